"""Integrals of von Mises-Fisher densities of unit vectors, which Bessel functions give."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import gamma, iv

from qbeconometrics import stiefel


def mean_of_density(p, kappa):
    """Mean of exp(kappa mu'q) over uniform unit vectors q of p elements."""
    return gamma(p / 2) * (2 / kappa) ** (p / 2 - 1) * iv(p / 2 - 1, kappa)


def integrals(chart, mu, kappa, points):
    """Integrals of the density of x, and of mu'Q times it: points (n, size) and their weights."""
    total, moment = 0.0, 0.0
    for x, weight in points:
        logp, _ = chart.log_density_and_gradient(x, lambda Q: (kappa * np.sum(mu * Q), kappa * mu))
        share = weight * np.exp(logp)
        total, moment = total + share, moment + share * np.sum(mu * chart.to_matrix(x))
    return total, moment / total


def on_the_sphere(p, nodes=80):
    """Coordinates of Cayley charts, a = tan(t / 2) u: Gauss rules for t, and for the angle of u."""
    t, weights = np.polynomial.legendre.leggauss(nodes)
    t, weights = 0.5 * np.pi * (t + 1.0), 0.5 * np.pi * weights
    length, change = np.tan(t / 2), 0.5 / np.cos(t / 2) ** 2
    angles = np.arange(nodes) * 2 * np.pi / nodes
    for r, weight in zip(length, weights * change, strict=True):
        if p == 2:
            yield [r], weight
            yield [-r], weight
        else:
            for angle in angles:
                area = weight * r * 2 * np.pi / nodes
                yield [r * np.cos(angle), r * np.sin(angle)], area


@pytest.mark.parametrize("p", [2, 3])
@pytest.mark.parametrize("kappa", [0.5, 5.0])
@pytest.mark.parametrize("centred", [True, False])
def test_cayley(p, kappa, centred):
    mu = stiefel.rand(p, 1, rng=3)
    chart = stiefel.Cayley(p, 1, center=mu if centred else None)
    total, mean = integrals(chart, mu, kappa, on_the_sphere(p))
    assert total == pytest.approx(mean_of_density(p, kappa), rel=1e-9)
    assert mean == pytest.approx(iv(p / 2, kappa) / iv(p / 2 - 1, kappa), rel=1e-9)


@pytest.mark.parametrize("chart", [stiefel.Polar(2, 1), stiefel.Householder(2, 1)], ids=repr)
def test_the_plane(chart):
    """Over angles, at each of the lengths of a Gauss rule for r exp(-r^2 / 2)."""
    mu, kappa = np.array([[0.6], [0.8]]), 3.0
    square, weights = np.polynomial.laguerre.laggauss(20)
    angles = (np.arange(60) + 0.5) * 2 * np.pi / 60
    points = [
        ([r * np.cos(t), r * np.sin(t)], w * np.exp(r**2 / 2) * 2 * np.pi / 60)
        for r, w in zip(np.sqrt(2 * square), weights, strict=True)
        for t in angles
    ]
    total, mean = integrals(chart, mu, kappa, points)
    assert total == pytest.approx(iv(0, kappa), rel=1e-9)
    assert mean == pytest.approx(iv(1, kappa) / iv(0, kappa), rel=1e-9)


def test_rotations_of_the_plane():
    mu, kappa, chart = np.array([[0.6], [0.8]]), 3.0, stiefel.Givens(2, 1)

    def over_angles(r):
        angles = (np.arange(60) + 0.5) * 2 * np.pi / 60
        points = [([r * np.cos(t), r * np.sin(t)], r * 2 * np.pi / 60) for t in angles]
        return integrals(chart, mu, kappa, points)

    total, _ = quad(lambda r: over_angles(r)[0], 0.2, 1.8, points=[0.9, 1.0, 1.1])
    assert total == pytest.approx(iv(0, kappa), rel=1e-9)
    assert over_angles(1.1)[1] == pytest.approx(iv(1, kappa) / iv(0, kappa), rel=1e-9)
