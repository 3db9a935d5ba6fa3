"""The conditional distribution of the likelihood ratio against simulation."""

import numpy as np
import pytest
from scipy import stats

from qbeconometrics.diagnostics.conditional_likelihood_ratio import (
    conditional_pvalue,
    largest_accepted,
)

DRAWS = 400_000


@pytest.mark.parametrize("excluded", [2, 3, 10])
@pytest.mark.parametrize("strength", [0.0, 1.0, 20.0, 1e4])
def test_p_values_equal_simulated_ones(excluded, strength):
    s = np.random.default_rng(excluded).standard_normal((DRAWS, excluded))
    q_s = np.sum(s**2, axis=1)
    # By rotation, the first axis is the direction of the strength statistic.
    product = strength * s[:, 0] ** 2
    ratio = q_s - strength + np.sqrt((q_s + strength) ** 2 - 4 * (q_s * strength - product))
    for value in (0.5, 3.0, 8.0):
        expected = np.mean(ratio / 2 > value)
        error = np.sqrt(expected * (1 - expected) / DRAWS) + 1 / DRAWS
        assert abs(conditional_pvalue(value, strength, excluded) - expected) < 4 * error


def test_limits():
    # Without strength it is Anderson-Rubin's statistic, with all strength chi-squared(1).
    assert conditional_pvalue(5.0, 0.0, 4) == pytest.approx(stats.chi2.sf(5.0, 4), rel=1e-10)
    assert conditional_pvalue(5.0, 1e10, 4) == pytest.approx(stats.chi2.sf(5.0, 1), rel=1e-6)
    assert conditional_pvalue(0.0, 3.0, 4) == 1.0


def test_largest_accepted_is_where_the_p_value_is_alpha():
    found = largest_accepted(1.5, 40.0, 3, 0.05)
    assert conditional_pvalue(found - 1.5, 41.5 - found, 3) == pytest.approx(0.05, abs=1e-9)
    assert largest_accepted(1.5, 2.0, 3, 0.05) == 2.0
