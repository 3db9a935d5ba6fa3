"""Bridge sampling against integrals that are known."""

import numpy as np
import pytest
from scipy.special import gammaln

from qbeconometrics.diagnostics.bridge_sampling import bridge_sampling
from qbeconometrics.exceptions import NumericalError

DF, DIMENSION = 7.0, 3
# Student-t: the density that is not normalised is (1 + x'x / df)^-(df + d) / 2.
EXACT = (
    gammaln(DF / 2) + DIMENSION / 2 * np.log(DF * np.pi) - gammaln((DF + DIMENSION) / 2)
)  # fmt: skip


def log_ratio(x):
    distance = np.sum(x**2, axis=1)
    proposal = -0.5 * distance - DIMENSION / 2 * np.log(2.0 * np.pi)
    return -(DF + DIMENSION) / 2 * np.log1p(distance / DF) - proposal


def estimate(seed, draws=2000, proposals=4000):
    rng = np.random.default_rng(seed)
    normals = rng.standard_normal((draws, DIMENSION))
    drawn = normals / np.sqrt(rng.chisquare(DF, (draws, 1)) / DF)
    return bridge_sampling(
        log_ratio(rng.standard_normal((proposals, DIMENSION))), log_ratio(drawn), draws
    )


def test_errors_are_as_large_as_they_claim():
    found = [estimate(seed) for seed in range(300)]
    standard = np.array([(one.log_value - EXACT) / one.se for one in found])
    assert abs(standard.mean()) < 4.0 / np.sqrt(300)
    # The standard deviation of 300 normals is within 0.16 of one in all but 1 of 10,000 cases.
    assert abs(standard.std() - 1.0) < 0.16


def test_constants_far_beyond_the_range_of_numbers():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 1000, DIMENSION))
    plain = bridge_sampling(log_ratio(x), log_ratio(y), 1000)
    moved = bridge_sampling(log_ratio(x) - 5e4, log_ratio(y) - 5e4, 1000)
    assert moved.log_value == pytest.approx(plain.log_value - 5e4, rel=1e-12)
    assert moved.se == pytest.approx(plain.se, rel=1e-6)


def test_proposals_without_density():
    """Half of the proposals outside of the support halve the integral."""
    rng = np.random.default_rng(1)
    inside = np.zeros(500)
    proposals = np.where(rng.permutation(1000) < 500, 0.0, -np.inf)
    found = bridge_sampling(proposals, inside, 500)
    assert found.log_value == pytest.approx(np.log(0.5), abs=1e-9)


def test_too_few_draws():
    for size in (1.0, np.nan):
        with pytest.raises(NumericalError, match="too few"):
            bridge_sampling(np.zeros(10), np.zeros(10), size)
