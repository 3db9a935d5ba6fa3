"""Smoothed importance weights."""

import numpy as np
import pytest
from scipy import stats

from qbeconometrics.diagnostics.pareto_smoothing import (
    fit_generalised_pareto,
    pareto_quantile,
    smooth_weights,
    weighted_quantiles,
)

# psislw of ArviZ 0.23.4 on the log ratios of `ratios(df)` below: shape, and sum of squared weights.
ARVIZ = {
    3.0: (0.6894036075903803, 0.0003829709785483496),
    30.0: (0.48189438477464314, 0.00025113422623536293),
}


def ratios(df):
    """From a normal proposal to a Student-t target."""
    draws = np.random.default_rng(0).standard_normal(4000)
    return stats.t.logpdf(draws, df) - stats.norm.logpdf(draws)


@pytest.mark.parametrize("df", sorted(ARVIZ))
def test_shapes_and_weights_are_those_of_arviz(df):
    found = smooth_weights(ratios(df))
    np.testing.assert_allclose([found.pareto_k, 1 / found.ess], ARVIZ[df], rtol=1e-6)
    assert found.weights.sum() == pytest.approx(1.0)


def test_the_fit_finds_the_shape():
    for k in (-0.3, 0.2, 0.9):
        draws = np.sort(stats.genpareto.rvs(k, scale=2.0, size=20_000, random_state=1))
        shape, scale = fit_generalised_pareto(draws)
        assert abs(shape - k) < 0.05
        assert abs(scale / 2.0 - 1.0) < 0.05
        levels = np.array([0.1, 0.5, 0.99])
        np.testing.assert_allclose(
            pareto_quantile(levels, k, 2.0), stats.genpareto.ppf(levels, k, scale=2.0)
        )


def test_equal_ratios_and_few_draws():
    found = smooth_weights(np.full(500, 3.0))
    assert found.pareto_k == -np.inf
    assert found.ess == pytest.approx(500)
    assert found.log_mean == pytest.approx(3.0)
    # Too few draws for a verdict.
    assert smooth_weights(np.array([0.0, 1.0, 2.0])).pareto_k == np.inf


def test_weighted_quantiles():
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((200_000, 1))
    weights = np.exp(draws[:, 0] - 0.5)
    levels = np.array([0.025, 0.5, 0.975])
    found = weighted_quantiles(draws, weights / weights.sum(), levels)[:, 0]
    # The weights move the mean of the normal law to one.
    np.testing.assert_allclose(found, stats.norm.ppf(levels, 1.0), atol=0.03)
