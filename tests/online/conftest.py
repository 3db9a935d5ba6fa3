"""The design of `simulate.bidirectional` as a population: integrals over x instead of rows."""

import numpy as np
import pytest


def structural_functions(x1, x2):
    f1 = np.sin(1.5 * x1) + 0.5 * x2
    f2 = np.cos(x1) - 0.4 * x2**2 + 0.3 * x1 * x2
    g1 = np.sin(x1) + 0.3 * x2 - 0.5
    g2 = 0.8 * np.cos(1.5 * x2) - 0.4 * x1 - 0.3
    return f1, f2, g1, g2


class Population:
    """Points of x with masses, and what holds there."""

    def __init__(self):
        nodes, weights = np.polynomial.legendre.leggauss(40)
        self.x1, self.x2 = (2.0 * part.ravel() for part in np.meshgrid(nodes, nodes))
        self.mass = np.outer(weights, weights).ravel() / 4.0
        self.f1, self.f2, self.g1, self.g2 = structural_functions(self.x1, self.x2)

    def moments(self, params, instruments, g1=None, g2=None):
        """Pi (m, 3): integrals of w u1 u2, w u1^2 and w u2^2."""
        g1 = self.g1 if g1 is None else g1
        g2 = self.g2 if g2 is None else g2
        mixing = np.linalg.inv([[1.0, -params[0]], [-params[1], 1.0]])
        covariance = np.einsum("ij,jn,kj->nik", mixing, np.exp([g1, g2]), mixing)
        products = np.column_stack([covariance[:, 0, 1], covariance[:, 0, 0], covariance[:, 1, 1]])
        return (np.asarray(instruments) * self.mass) @ products

    def efficient(self):
        """Inverse error variances."""
        return np.exp(-self.g1), np.exp(-self.g2)


@pytest.fixture(scope="session")
def population():
    return Population()


class Sampler:
    """Reduced-form residuals and the efficient instruments with all functions known."""

    def __init__(self, seed, n, params=(0.5, -0.4), strength=1.0):
        self.rng = np.random.default_rng(seed)
        self.n, self.params, self.strength = n, params, strength

    def draw(self, errors=None):
        """u1, u2 (n,) and log variances g1, g2; `errors` (2, n) are standardised."""
        x1, x2 = self.rng.uniform(-2.0, 2.0, size=(2, self.n))
        g1, g2 = (self.strength * g for g in structural_functions(x1, x2)[2:])
        if errors is None:
            errors = self.rng.standard_normal((2, self.n))
        e1, e2 = np.exp(g1 / 2.0) * errors[0], np.exp(g2 / 2.0) * errors[1]
        b12, b21 = self.params
        determinant = 1.0 - b12 * b21
        return (e1 + b12 * e2) / determinant, (e2 + b21 * e1) / determinant, g1, g2


@pytest.fixture(scope="session")
def sampler():
    return Sampler
