"""Densities against the volume element of the manifold, differential form by differential form."""

import numpy as np
import pytest
from scipy.special import gammaln
from scipy.stats import chi, norm, wishart

from qbeconometrics import stiefel

SHAPES = [(4, 1), (5, 2), (7, 4), (3, 3)]


def differences(function, x, step=1e-5):
    """Derivatives of a matrix function by each coordinate, (size, ...)."""
    return np.array(
        [(function(x + step * e) - function(x - step * e)) / (2 * step) for e in np.eye(len(x))]
    )


def forms(Q, changes):
    """The elements g_j' dq_i, j > i, of [Q, complement]' dQ for each change: columns."""
    p, k = Q.shape
    complement = np.linalg.qr(Q, mode="complete")[0][:, k:]
    moved = np.hstack([Q, complement]).T @ changes
    return np.array([moved[:, j, i] for i in range(k) for j in range(i + 1, p)])


def log_volume(p, k):
    """Of the manifold, or of the half of determinant 1: the product of spheres."""
    dimensions = np.arange(p - min(k, p - 1) + 1, p + 1)
    return np.sum(np.log(2) + dimensions / 2 * np.log(np.pi) - gammaln(dimensions / 2))


def uniform(chart, x):
    """Log density of the coordinates of uniform matrices."""
    return chart.log_density_and_gradient(x, lambda Q: (0.0, np.zeros(Q.shape)))[0]


@pytest.mark.parametrize(("p", "k"), SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_cayley(p, k, seed):
    x = np.random.default_rng([p, k, seed]).standard_normal(stiefel.Cayley(p, k).size)
    for chart in (stiefel.Cayley(p, k), stiefel.Cayley(p, k, center=stiefel.rand(p, k, rng=1))):
        by_force = forms(chart.to_matrix(x), differences(chart.to_matrix, x))
        log_jacobian = np.linalg.slogdet(by_force)[1]
        assert uniform(chart, x) == pytest.approx(log_jacobian - log_volume(p, k), abs=1e-7)


@pytest.mark.parametrize(("p", "k"), SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_givens(p, k, seed):
    chart = stiefel.Givens(p, k)
    rng = np.random.default_rng([p, k, seed])
    angles = rng.uniform(-np.pi, np.pi, chart.size // 2)
    radii = 1.0 + 0.1 * rng.standard_normal(len(angles))

    def coordinates(angles):
        return np.column_stack([radii * np.cos(angles), radii * np.sin(angles)]).ravel()

    def matrix(angles):
        return chart.to_matrix(coordinates(angles))

    log_jacobian = np.linalg.slogdet(forms(matrix(angles), differences(matrix, angles)))[1]
    # All other angles go round once where the chart of the manifold goes half round.
    halves = sum(j > i + 1 for i in range(k) for j in range(i + 1, p))
    expected = log_jacobian - log_volume(p, k) - halves * np.log(2)
    expected += np.sum(norm.logpdf(radii, 1.0, 0.1) - np.log(radii))
    assert uniform(chart, coordinates(angles)) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(("p", "k"), SHAPES)
@pytest.mark.parametrize("sign", [1, -1])
def test_householder(p, k, sign):
    """The volume element of v_1, v_2, ... is that of Q times r_i^(p - i) dr_i."""
    chart = stiefel.Householder(p, k, sign=sign)
    x = np.random.default_rng([p, k]).standard_normal(chart.size)
    ends = np.cumsum([p - i for i in range(min(k, p - 1))])

    def lengths(x):
        return np.array([np.linalg.norm(v) for v in np.split(x, ends)[:-1]])

    by_force = forms(chart.to_matrix(x), differences(chart.to_matrix, x))
    by_force = np.vstack([by_force, differences(lengths, x).T])
    powers = p - 1.0 - np.arange(len(ends))
    assert np.linalg.slogdet(by_force)[1] == pytest.approx(-powers @ np.log(lengths(x)), abs=1e-7)
    assert uniform(chart, x) == pytest.approx(np.sum(norm.logpdf(x)), rel=1e-13)


@pytest.mark.parametrize(("p", "k"), SHAPES)
def test_polar(p, k):
    """The volume element of X is 2^-k |S|^((p - k - 1) / 2) times those of S = X'X and Q."""
    chart = stiefel.Polar(p, k)
    x = np.random.default_rng([p, k]).standard_normal(chart.size)
    lower = np.tril_indices(k)

    def gram(x):
        X = x.reshape(p, k)
        return (X.T @ X)[lower]

    by_force = forms(chart.to_matrix(x), differences(chart.to_matrix, x))
    by_force = np.vstack([by_force, differences(gram, x).T])
    X = x.reshape(p, k)
    expected = k * np.log(2) - 0.5 * (p - k - 1) * np.linalg.slogdet(X.T @ X)[1]
    assert np.linalg.slogdet(by_force)[1] == pytest.approx(expected, abs=1e-6)
    assert uniform(chart, x) == pytest.approx(np.sum(norm.logpdf(x)), rel=1e-13)


@pytest.mark.parametrize(("p", "k"), [(4, 1), (5, 2), (4, 4)])
@pytest.mark.parametrize("df", [5.0, 20.5])
def test_degrees_of_freedom(p, k, df):
    """They change the law of what is redundant, X'X or lengths, and nothing else."""
    x = np.random.default_rng([p, k, 7]).standard_normal(p * k)
    gram = x.reshape(p, k).T @ x.reshape(p, k)
    expected = wishart.logpdf(gram, df, np.eye(k)) - wishart.logpdf(gram, p, np.eye(k))
    found = uniform(stiefel.Polar(p, k, df=df), x) - uniform(stiefel.Polar(p, k), x)
    assert found == pytest.approx(expected, rel=1e-11)

    x = x[: stiefel.Householder(p, k).size]
    elements = p - np.arange(min(k, p - 1))
    lengths = [np.linalg.norm(v) for v in np.split(x, np.cumsum(elements))[:-1]]
    expected = np.sum(chi.logpdf(lengths, df) - chi.logpdf(lengths, elements))
    found = uniform(stiefel.Householder(p, k, df=df), x) - uniform(stiefel.Householder(p, k), x)
    assert found == pytest.approx(expected, rel=1e-11)
