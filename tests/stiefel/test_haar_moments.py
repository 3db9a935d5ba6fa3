"""Moments of uniform matrices, from the base law of each chart and from its density by weights."""

import numpy as np
import pytest
from scipy.stats import multivariate_t

from qbeconometrics import stiefel

DRAWS = 8_000
pytestmark = pytest.mark.slow


def moments(Q):
    """Functions of matrices (n, p, k) and what they are on average under the uniform law."""
    p, k = Q.shape[1:]
    pairs = [
        (Q[:, 0, 0], 0.0),
        (Q[:, -1, -1] ** 2, 1 / p),
        (Q[:, 0, 0] ** 2, 1 / p),
        (Q[:, 0, 0] ** 4, 3 / (p * (p + 2))),
        (Q[:, p // 2, -1] ** 4, 3 / (p * (p + 2))),
    ]
    if k > 1:
        denominator = p * (p - 1) * (p + 2)
        pairs += [
            (Q[:, 0, 0] ** 2 * Q[:, 1, 1] ** 2, (p + 1) / denominator),
            (Q[:, 0, 0] * Q[:, 1, 1] * Q[:, 0, 1] * Q[:, 1, 0], -1 / denominator),
        ]
    values, expected = zip(*pairs, strict=True)
    return np.array(values), np.array(expected)


def errors(Q, weights=None):
    """How far the averages are off, in Monte Carlo standard errors."""
    values, expected = moments(np.array(Q))
    weights = np.ones(len(Q)) if weights is None else weights / np.mean(weights)
    deviations = weights * (values - expected[:, None])
    return np.abs(deviations.mean(axis=1)) / (deviations.std(axis=1) / np.sqrt(len(Q)))


def givens_angles(chart, rng, n, law="beta"):
    """sin^2 of the angle in plane (i, j) is Beta(1/2, (j - i) / 2), its signs are even."""
    gaps = np.array([j - i for i in range(chart.k) for j in range(i + 1, chart.p)])
    square = rng.beta(0.5, gaps / 2 if law == "beta" else 0.5, (n, len(gaps)))
    signs = rng.choice([-1.0, 1.0], (2, n, len(gaps)))
    return np.stack([signs[0] * np.sqrt(1 - square), signs[1] * np.sqrt(square)], -1).reshape(n, -1)


SHAPES = [(4, 1), (5, 2), (4, 4)]


@pytest.mark.parametrize(("p", "k"), SHAPES)
@pytest.mark.parametrize("name", ["polar", "householder +", "householder -", "givens", "rand"])
def test_base_law(p, k, name):
    rng = np.random.default_rng([p, k, 3])
    if name == "rand":
        Q = [stiefel.rand(p, k, rng=seed) for seed in range(DRAWS)]
    else:
        chart = {
            "polar": stiefel.Polar(p, k),
            "householder +": stiefel.Householder(p, k, sign=1),
            "householder -": stiefel.Householder(p, k, sign=-1, det=-1),
            "givens": stiefel.Givens(p, k),
        }[name]
        x = rng.standard_normal((DRAWS, chart.size))
        if name == "givens":
            x = givens_angles(chart, rng, DRAWS)
        Q = [chart.to_matrix(point) for point in x]
    assert np.max(errors(Q)) < 4.0


def test_another_law_of_the_angles_is_seen():
    chart = stiefel.Givens(5, 2)
    x = givens_angles(chart, np.random.default_rng(3), DRAWS, law="uniform")
    assert np.max(errors([chart.to_matrix(point) for point in x])) > 10.0


def weighted(chart, x, log_proposal):
    def flat(Q):
        return 0.0, np.zeros(Q.shape)

    log_density = np.array([chart.log_density_and_gradient(point, flat)[0] for point in x])
    return [chart.to_matrix(point) for point in x], np.exp(log_density - log_proposal)


def assert_uniform(Q, weights):
    """The density integrates to one, and weights by it give the moments of the uniform law."""
    assert abs(np.mean(weights) - 1.0) < 4.0 * np.std(weights) / np.sqrt(len(weights))
    assert np.max(errors(Q, weights)) < 4.0


@pytest.mark.parametrize(("p", "k"), [(4, 1), (4, 2), (3, 3)])
@pytest.mark.parametrize("moved", [False, True])
def test_density_of_cayley(p, k, moved):
    """Weights of Cauchy draws are bounded in these shapes."""
    center = stiefel.rand(p, k, rng=2) if moved else None
    chart = stiefel.Cayley(p, k, center=center)
    law = multivariate_t(np.zeros(chart.size), 0.3 * np.eye(chart.size), df=1, seed=4)
    x = law.rvs(DRAWS)
    Q, weights = weighted(chart, x, law.logpdf(x))
    if p == k and not moved:
        assert np.linalg.det(Q[0]) > 0
    assert_uniform(Q, weights)


@pytest.mark.parametrize(("p", "k"), [(4, 1), (4, 2), (3, 3)])
def test_density_of_givens(p, k):
    """Weights of even angles and of radii from their own law."""
    chart, rng = stiefel.Givens(p, k), np.random.default_rng(5)
    shape = (DRAWS, chart.size // 2)
    angles, radii = rng.uniform(-np.pi, np.pi, shape), 1.0 + 0.1 * rng.standard_normal(shape)
    x = np.stack([radii * np.cos(angles), radii * np.sin(angles)], -1).reshape(DRAWS, -1)
    log_radii = -0.5 * ((radii - 1.0) / 0.1) ** 2 - np.log(0.1 * np.sqrt(2 * np.pi))
    Q, weights = weighted(chart, x, np.sum(log_radii - np.log(2 * np.pi * radii), axis=1))
    assert_uniform(Q, weights)
