"""Regions of draws against normal theory."""

import numpy as np
import pytest
from scipy.stats import chi2, norm

from qbeconometrics.calibration.rivals.regions import (
    ellipse_holds,
    equal_tailed,
    loss_region_holds,
)

DRAWS = 200_000
COVARIANCE = np.array([[2.0, -0.9], [-0.9, 0.5]])
ROOT = np.linalg.cholesky(COVARIANCE)
MEAN = np.array([3.0, -1.0])


@pytest.fixture(scope="module")
def draws():
    return MEAN + np.random.default_rng(0).standard_normal((DRAWS, 2)) @ ROOT.T


@pytest.mark.parametrize("alpha", [0.05, 0.5])
def test_intervals_are_quantiles(draws, alpha):
    found = equal_tailed(draws, alpha)
    reach = norm.ppf(1 - alpha / 2) * np.sqrt(np.diag(COVARIANCE))
    np.testing.assert_allclose(found, [MEAN - reach, MEAN + reach], atol=0.02)


@pytest.mark.parametrize("alpha", [0.05, 0.5])
@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_regions_end_where_chi_square_says(draws, alpha, factor):
    """In any direction; the loss of a normal law is half the squared distance."""
    radius = factor * np.sqrt(chi2.ppf(1 - alpha, 2))
    losses = 0.5 * np.sum(np.linalg.solve(ROOT, (draws - MEAN).T) ** 2, axis=0)
    for angle in (0.0, 1.0, 2.5):
        point = MEAN + radius * ROOT @ np.array([np.cos(angle), np.sin(angle)])
        assert ellipse_holds(draws, point, alpha) == (factor < 1.0)
        assert loss_region_holds(losses, 0.5 * radius**2, alpha) == (factor < 1.0)


def test_one_coefficient():
    draws = np.random.default_rng(1).standard_normal((DRAWS, 1))
    assert ellipse_holds(draws, np.array([1.9]), 0.05)
    assert not ellipse_holds(draws, np.array([2.02]), 0.05)
