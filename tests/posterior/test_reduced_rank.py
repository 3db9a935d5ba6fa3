"""The law of a reduced-rank coefficient matrix against the normal law that it stands for."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from qbeconometrics.exceptions import NumericalError
from qbeconometrics.posterior.reduced_rank import (
    MomentFit,
    ReducedRankLaw,
    fit_moments,
    split_controls,
)

SHAPES = [(1, 2, 1), (2, 3, 1), (3, 4, 2), (2, 2, 2)]


def positive(size, rng):
    root = rng.standard_normal((size, size + 3))
    return root @ root.T


def random_law(m, q, rank, seed=0):
    rng = np.random.default_rng([seed, m, q])
    fit = MomentFit(rng.standard_normal((m, q)), positive(m * q, rng), misfit=1.7)
    return ReducedRankLaw(fit, rank, positive(m, rng), positive(q, rng))


def orthonormal(q, rank, rng):
    return np.ascontiguousarray(np.linalg.qr(rng.standard_normal((q, rank)))[0])


def prior_covariance_of_c(law, B):
    """Covariance of vec(A B') given B."""
    prior = np.kron(law.prior_precision, B.T @ law.prior_shape @ B)
    spread = np.kron(np.eye(law.shape[0]), B)
    return spread @ np.linalg.inv(prior) @ spread.T


@pytest.mark.parametrize(("m", "q", "rank"), SHAPES)
def test_density_is_normalised(m, q, rank):
    """E exp(log quasi-likelihood) given B, of a normal law of C: no constant is lost."""
    law, rng = random_law(m, q, rank), np.random.default_rng(1)
    V, target = np.linalg.inv(law.fit.precision), law.target()
    at_peak = multivariate_normal(cov=V).logpdf(np.zeros(m * q))
    for _ in range(3):
        B = orthonormal(q, rank, rng)
        marginal = multivariate_normal(cov=V + prior_covariance_of_c(law, B))
        expected = marginal.logpdf(law.fit.estimate.ravel()) - at_peak - 0.5 * law.fit.misfit
        found, _ = target.log_density_and_gradient(B)
        assert found == pytest.approx(expected, rel=1e-9)
    zero = law.fit.estimate.ravel()
    expected = -0.5 * (zero @ law.fit.precision @ zero + 1.7)
    assert law.log_density_of_zero == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("m", "q", "rank"), SHAPES)
def test_centred_density_is_that_of_the_space_by_another_law(m, q, rank):
    law, rng = random_law(m, q, rank), np.random.default_rng(8)
    law = ReducedRankLaw(law.fit, rank, law.prior_precision, np.eye(q))
    root = rng.standard_normal((q, q))
    target, centred = law.target(), law.centered_target(root)
    sigma = root @ root.T
    for _ in range(3):
        Z = orthonormal(q, rank, rng)
        B = np.linalg.qr(root @ Z)[0]
        by_uniform = -0.5 * rank * np.linalg.slogdet(sigma)[1]
        by_uniform -= 0.5 * q * np.linalg.slogdet(B.T @ np.linalg.solve(sigma, B))[1]
        expected = target.log_density_and_gradient(np.ascontiguousarray(B))[0] - by_uniform
        assert centred.log_density_and_gradient(Z)[0] == pytest.approx(expected, rel=1e-9)
    with pytest.raises(NumericalError, match="identity"):
        random_law(m, q, rank).centered_target(root)


@pytest.mark.parametrize(("m", "q", "rank"), SHAPES)
def test_loadings_given_the_space(m, q, rank):
    law, rng = random_law(m, q, rank), np.random.default_rng(2)
    spaces = np.stack([orthonormal(q, rank, rng) for _ in range(3)])
    means, precisions = law.loadings_given(spaces)
    for B, mean, precision in zip(spaces, means, precisions, strict=True):
        spread = np.kron(np.eye(m), B)
        expected = spread.T @ law.fit.precision @ spread
        expected += np.kron(law.prior_precision, B.T @ law.prior_shape @ B)
        np.testing.assert_allclose(precision, expected, rtol=1e-10)
        right = spread.T @ law.fit.precision @ law.fit.estimate.ravel()
        np.testing.assert_allclose(mean.ravel(), np.linalg.solve(expected, right), rtol=1e-8)


def test_drawn_loadings_have_the_law_that_is_said():
    law, n = random_law(2, 3, 2), 40_000
    B = orthonormal(3, 2, np.random.default_rng(3))
    drawn = law.draw_loadings(np.broadcast_to(B, (4, n // 4, 3, 2)), np.random.default_rng(4))
    assert drawn.shape == (4, n // 4, 2, 2)
    mean, precision = law.loadings_given(B)
    root = np.linalg.cholesky(precision)
    standard = (drawn - mean).reshape(n, 4) @ root
    assert np.all(np.abs(standard.mean(axis=0)) < 4.0 / np.sqrt(n))
    # The variance of a product of independent normals is one, that of a square two.
    assert np.all(np.abs(standard.T @ standard / n - np.eye(4)) < 4.0 * np.sqrt(2.0 / n))


@pytest.mark.parametrize("extra", [0, 2])
def test_moments_give_the_quadratic_form(extra):
    rng = np.random.default_rng(5)
    m, q, n, rate = 2, 3, 50, 0.7
    rows = q + extra
    cross, product = rng.standard_normal((rows, m)), rng.standard_normal((rows, q))
    W = positive(m * rows, rng)
    fit = fit_moments(cross, product, W, n, rate)
    for _ in range(3):
        C = rng.standard_normal((m, q))
        g = (cross.T - C @ product.T).ravel()
        d = (C - fit.estimate).ravel()
        expected = rate * n * g @ W @ g
        assert fit.misfit + d @ fit.precision @ d == pytest.approx(expected, rel=1e-9)
    assert (fit.misfit > 1e-3) == (extra > 0)


def test_collinear_moments_are_refused():
    product = np.array([[1.0, 1.0], [2.0, 2.0]])
    with pytest.raises(NumericalError, match="singular"):
        fit_moments(np.ones((2, 1)), product, np.eye(2), 10)


def test_controls_are_split_off_exactly():
    rng = np.random.default_rng(6)
    m, q, k = 2, 3, 2
    whole = MomentFit(rng.standard_normal((m, q + k)), positive(m * (q + k), rng), 0.4)
    fit, controls = split_controls(whole, q)
    places = np.arange(m * (q + k)).reshape(m, q + k)
    own, rest = places[:, :q].ravel(), places[:, q:].ravel()
    V = np.linalg.inv(whole.precision)
    np.testing.assert_allclose(np.linalg.inv(fit.precision), V[np.ix_(own, own)], rtol=1e-8)
    assert fit.misfit == 0.4
    slope = V[np.ix_(rest, own)] @ np.linalg.inv(V[np.ix_(own, own)])
    C = rng.standard_normal(m * q)
    expected = whole.estimate.ravel()[rest] + slope @ (C - fit.estimate.ravel())
    np.testing.assert_allclose(controls.conditional_mean(C), expected, rtol=1e-8)
    covariance = np.linalg.inv(controls.root.T @ controls.root)
    left = V[np.ix_(rest, rest)] - slope @ V[np.ix_(own, rest)]
    np.testing.assert_allclose(covariance, left, rtol=1e-7)
