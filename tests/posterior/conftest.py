"""A small problem, and the quasi-posterior written out from raw rows."""

from dataclasses import dataclass

import numpy as np
import pytest

import qbeconometrics as qb


@dataclass(frozen=True)
class Data:
    """Outcome (n,), regressors (n, k) and instruments (n, m)."""

    y: np.ndarray
    x: np.ndarray
    z: np.ndarray

    def residual(self, theta):
        return self.y - self.x @ theta

    def moments(self, theta):
        return self.z.T @ self.residual(theta) / len(self.y)

    def two_stage_least_squares(self):
        projected = self.z @ np.linalg.lstsq(self.z, self.x, rcond=None)[0]
        return np.linalg.lstsq(projected, self.y, rcond=None)[0]

    def covariance(self, theta, cov_type="HC0", centered=False):
        """S(theta), from its definition."""
        n, k = self.x.shape
        u = self.residual(theta)
        if cov_type == "nonrobust":
            variance = u.var() if centered else u @ u / n
            return variance * self.z.T @ self.z / n
        scores = self.z * u[:, None]
        if centered:
            scores = scores - scores.mean(axis=0)
        return scores.T @ scores / n * (n / (n - k) if cov_type == "HC1" else 1.0)

    def log_quasi_likelihood(
        self, theta, kind, *, learning_rate=1.0, weight=None, cov_type="HC0", centered=False
    ):
        """The three forms, from their definitions."""
        g = self.moments(theta)
        n = len(self.y)
        if kind == "two-step":
            if weight is None:
                first = self.two_stage_least_squares()
                weight = np.linalg.inv(self.covariance(first, cov_type, centered))
            return -0.5 * learning_rate * n * g @ weight @ g
        S = self.covariance(theta, cov_type, centered)
        value = -0.5 * learning_rate * n * g @ np.linalg.solve(S, g)
        return value - 0.5 * np.linalg.slogdet(S)[1] if kind == "cue" else value


def make_data(n=80, seed=4):
    rng = np.random.default_rng(seed)
    z = np.column_stack([np.ones(n), rng.standard_normal((n, 3)), 20 + 5 * rng.standard_normal(n)])
    error = rng.standard_normal(n)
    d = z[:, 1] - z[:, 2] + error + rng.standard_normal(n)
    x = np.column_stack([np.ones(n), d, z[:, 4]])
    y = x @ [2.0, 0.5, -0.1] + error * (0.5 + np.abs(z[:, 1]))
    return Data(y, x, z)


@pytest.fixture(scope="session")
def data():
    """Heteroskedastic, k = 3, m = 5, one endogenous regressor."""
    return make_data()


@pytest.fixture(scope="session")
def model_of():
    """Build a model of `Data`."""
    return lambda data, prior=None: qb.QuasiBayesIV(data.y, data.x, data.z, prior=prior)


@pytest.fixture(scope="session")
def ajr():
    """Acemoglu, Johnson and Robinson's base sample as `Data`."""
    frame = qb.datasets.load("ajr2001").query("baseco == 1")
    ones = np.ones(len(frame))
    return Data(
        frame["logpgp95"].to_numpy(),
        np.column_stack([ones, frame["avexpr"]]),
        np.column_stack([ones, frame["logem4"]]),
    )
