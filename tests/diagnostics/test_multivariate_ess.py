"""Multivariate effective sample size: known answers, a direct computation, refusals."""

import numpy as np
import pytest

from qbeconometrics.diagnostics.multivariate_ess import multivariate_ess


def vector_autoregression(rng, *, chains, draws, coefficients):
    """Independent stationary AR(1) components."""
    coefficients = np.asarray(coefficients)
    noise = rng.standard_normal((chains, draws, len(coefficients)))
    path = noise.copy()
    for t in range(1, draws):
        path[:, t] = coefficients * path[:, t - 1] + np.sqrt(1 - coefficients**2) * noise[:, t]
    return path


def direct(draws):
    """The definition, with loops and determinants."""
    chains, n, p = draws.shape
    size = int(np.floor(np.sqrt(n)))
    grand = draws.reshape(-1, p).mean(axis=0)
    first = n - size * (n // size)
    means = np.array(
        [
            draws[c, first + b * size : first + (b + 1) * size].mean(axis=0)
            for c in range(chains)
            for b in range(n // size)
        ]
    )
    assert first or np.allclose(means.mean(axis=0), grand)
    sigma = np.atleast_2d(size * np.cov(means.T))
    lam = np.atleast_2d(np.cov(draws.reshape(-1, p).T))
    return chains * n * (np.linalg.det(lam) / np.linalg.det(sigma)) ** (1 / p)


@pytest.mark.parametrize("coefficients", [[0.5], [0.7, 0.3], [0.8, -0.3, 0.0]])
def test_autoregression_has_the_known_size(coefficients):
    rng = np.random.default_rng(12)
    draws = vector_autoregression(rng, chains=4, draws=40_000, coefficients=coefficients)
    ratio = (1 - np.asarray(coefficients)) / (1 + np.asarray(coefficients))
    known = 160_000 * np.prod(ratio) ** (1 / len(coefficients))
    # 800 batches: each variance has a relative sd of 5 %; three of these, and 2 % of batch bias.
    assert multivariate_ess(draws).value == pytest.approx(known, rel=0.17)


@pytest.mark.parametrize("shape", [(4, 400, 3), (1, 1000, 5), (3, 250, 1), (2, 417, 4)])
def test_equals_direct_computation(shape):
    draws = np.random.default_rng(2).standard_normal(shape).cumsum(axis=1)
    result = multivariate_ess(draws)
    assert result.reason == ""
    assert result.value == pytest.approx(direct(draws), rel=1e-9)


def test_linear_map_leaves_it_unchanged():
    rng = np.random.default_rng(3)
    draws = vector_autoregression(rng, chains=4, draws=900, coefficients=[0.2, 0.5, 0.9])
    mapped = draws @ rng.standard_normal((3, 3)) * np.array([1e-6, 1.0, 1e6]) + 5.0
    assert multivariate_ess(mapped).value == pytest.approx(multivariate_ess(draws).value, rel=1e-6)


def test_chains_that_disagree_lower_it():
    draws = np.random.default_rng(6).standard_normal((4, 900, 2))
    apart = draws + 2 * np.arange(4)[:, None, None]
    assert multivariate_ess(apart).value < 0.25 * multivariate_ess(draws).value


def test_two_dimensional_draws_are_one_parameter():
    draws = np.random.default_rng(7).standard_normal((4, 400))
    assert multivariate_ess(draws) == multivariate_ess(draws[:, :, None])


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("few", "6 batches do not suffice for 6 parameters"),
        ("constant", "constant"),
        ("collinear", "covariance of the draws is singular"),
        ("nan", "not finite"),
        ("empty", "0 batches"),
        ("zero batches vary", "batch-means covariance is singular"),
    ],
)
def test_refusals_give_a_reason(case, reason):
    rng = np.random.default_rng(1)
    draws = rng.standard_normal((2, 400, 3))
    if case == "few":
        draws = rng.standard_normal((2, 9, 6))
    elif case == "constant":
        draws[:, :, 1] = 0.1
    elif case == "collinear":
        draws[:, :, 2] = draws[:, :, 0] - 3 * draws[:, :, 1]
    elif case == "nan":
        draws[0, 0, 0] = np.nan
    elif case == "empty":
        draws = draws[:, :0]
    else:
        draws[:, ::2, 0], draws[:, 1::2, 0] = 1.0, -1.0
    result = multivariate_ess(draws)
    assert np.isnan(result.value)
    assert reason in result.reason
