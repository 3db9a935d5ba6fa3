"""Probabilistic principal components: the density against the twin, and its mode in closed form."""

import numpy as np
import pytest

from qbeconometrics.kernels import _components, _stiefel
from qbeconometrics.kernels.reference import components, stiefel
from qbeconometrics.stiefel import Cayley, Givens, Householder, Polar, rand

SHAPES = [(2, 1), (5, 2), (9, 4), (4, 3)]
CHARTS = {"polar": Polar, "householder": Householder, "givens": Givens, "cayley": Cayley}


def scatter_of(p, n, rng):
    data = rng.standard_normal((n, p)) * np.linspace(2.0, 0.5, p)
    return data.T @ data


def both(name, p, k, scatter, n, prior=True):
    return (
        _components.ComponentDensity(_stiefel.StiefelMap(name, p, k), scatter, n, prior),
        components.ComponentDensity(stiefel.StiefelMap(name, p, k), scatter, n, prior),
    )


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize(("p", "k"), SHAPES)
@pytest.mark.parametrize("prior", [True, False])
def test_density(name, p, k, prior):
    rng = np.random.default_rng([p, k])
    compiled, twin = both(name, p, k, scatter_of(p, 20, rng), 20.0, prior)
    assert compiled.size == twin.size
    for scale in (0.3, 1.0, 2.0):
        x = rng.standard_normal(twin.size) * scale
        found, expected = (each.log_density_and_gradient(x) for each in (compiled, twin))
        assert found[0] == pytest.approx(expected[0], rel=1e-12)
        assert np.max(np.abs(found[1] - expected[1])) <= 1e-11 * np.max(np.abs(expected[1]))


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("prior", [True, False])
def test_gradient(name, prior):
    rng = np.random.default_rng(4)
    density = both(name, 6, 3, scatter_of(6, 10, rng), 10.0, prior)[0]
    x = np.append(CHARTS[name](6, 3).from_matrix(rand(6, 3, rng=5)), [-0.3, -1.0, 0.1, 0.2])
    x += 0.05 * rng.standard_normal(x.size)
    gradient = density.log_density_and_gradient(x)[1]
    step = 1e-5
    for place, direction in enumerate(np.eye(x.size) * step):
        up, down = (density.log_density_and_gradient(x + s * direction)[0] for s in (1, -1))
        assert (up - down) / (2.0 * step) == pytest.approx(gradient[place], rel=1e-7, abs=1e-7)


def test_likelihood_is_that_of_the_covariance():
    """By determinant and inverse of Sigma, in differences between points."""
    rng = np.random.default_rng(7)
    scatter = scatter_of(5, 12, rng)
    density = both("polar", 5, 2, scatter, 12.0, prior=False)[0]
    found = []
    for _ in range(4):
        Q, logs = rand(5, 2, rng=rng), rng.standard_normal(3) * 0.5
        x = np.append(Q.ravel(), logs)
        lengths = np.exp(logs[1]) + np.array([np.exp(logs[0]), 0.0])
        sigma = (Q * lengths**2) @ Q.T + np.exp(2.0 * logs[2]) * np.eye(5)
        direct = -6.0 * np.linalg.slogdet(sigma)[1] - 0.5 * np.trace(
            np.linalg.solve(sigma, scatter)
        )
        # The polar chart adds half of the squared length of x, which is k / 2 here.
        assert density.log_density_and_gradient(x)[0] == pytest.approx(direct - 1.0, rel=1e-12)
        found.append(direct)
    assert np.ptp(found) > 1.0


@pytest.mark.parametrize(("p", "k"), SHAPES)
def test_mode_of_the_likelihood(p, k):
    """Tipping and Bishop (1999, Journal of the Royal Statistical Society B 61, 611)."""
    rng = np.random.default_rng([p, k, 1])
    n = 30.0
    scatter = scatter_of(p, 30, rng)
    values, vectors = np.linalg.eigh(scatter / n)
    values, Q = values[::-1], vectors[:, ::-1][:, :k]
    noise = np.sqrt(values[k:].mean())
    lengths = np.sqrt(values[:k] - noise**2)
    logs = np.log(np.append(lengths - np.append(lengths[1:], 0.0), noise))
    x = np.append(Q.ravel(), logs)
    density = both("polar", p, k, scatter, n, prior=False)[0]
    value, gradient = density.log_density_and_gradient(x)
    # What is left of the gradient is that of the chart's own term.
    gradient[: p * k] += x[: p * k]
    assert np.max(np.abs(gradient)) < 1e-9 * n
    for _ in range(20):
        moved = np.linalg.qr(Q + 0.1 * rng.standard_normal(Q.shape))[0]
        other = np.append(moved.ravel(), logs + 0.1 * rng.standard_normal(k + 1))
        assert density.log_density_and_gradient(other)[0] < value


def test_prior_is_that_of_normal_loadings():
    """For k = 1 the length is chi with p degrees of freedom: ratios of densities of log l."""
    density = both("polar", 4, 1, np.zeros((4, 4)), 1e-300)[0]
    logs = np.array([-1.0, 0.0, 0.5])
    found = [
        density.log_density_and_gradient(np.array([1.0, 0.0, 0.0, 0.0, u, 0.3]))[0] for u in logs
    ]
    expected = 4.0 * logs - 0.5 * np.exp(2.0 * logs)
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-12)


@pytest.mark.parametrize("module", [_components, components])
def test_bad_arguments(module):
    maps = _stiefel if module is _components else stiefel
    for scatter in (np.eye(2), np.triu(np.ones((3, 3)))):
        with pytest.raises(ValueError, match="symmetric, of shape"):
            module.ComponentDensity(maps.StiefelMap("polar", 3, 1), scatter, 5.0)
    for k, n in ((3, 5.0), (1, 0.0)):
        with pytest.raises(ValueError, match="below p"):
            module.ComponentDensity(maps.StiefelMap("polar", 3, k), np.eye(3), n)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1e4, 1e4])
def test_points_without_density(bad):
    for density in both("polar", 4, 2, np.eye(4), 5.0):
        for place in (8, 10):
            x = np.append(np.arange(8.0) ** 2, np.zeros(3))
            assert np.isfinite(density.log_density_and_gradient(x)[0])
            x[place] = bad
            with np.errstate(all="ignore"):
                assert np.isnan(density.log_density_and_gradient(x)[0])
