"""Cross-fitted estimates and medians over splits."""

import numpy as np
import pytest

from qbeconometrics.exceptions import InputError
from qbeconometrics.online.closed_form import other_label
from qbeconometrics.online.cross_fitting import cross_fitted, median_of_splits, two_pass
from qbeconometrics.online.inference import EffectEstimate


def test_cross_fitting_pools_the_rows(sampler):
    u1, u2, g1, g2 = sampler(9, 3_000).draw()
    w = np.exp(-np.column_stack([g1, g2]))
    folds = np.arange(3_000) % 3
    found = cross_fitted(u1, u2, w, folds)
    whole = two_pass(u1, u2, w)
    np.testing.assert_array_equal(found.pooled.params, whole.params)
    np.testing.assert_array_equal(found.pooled.covariance, whole.covariance)
    assert [one.n for one in found.by_fold] == [1_000, 1_000, 1_000]
    np.testing.assert_array_equal(
        found.by_fold[1].params, two_pass(u1[1::3], u2[1::3], w[1::3]).params
    )
    assert found.moments.n == 3_000
    with pytest.raises(InputError, match="two or more folds"):
        cross_fitted(u1, u2, w, np.zeros(3_000))
    with pytest.raises(InputError, match="must have a value"):
        cross_fitted(u1, u2, w, folds[:-1])


def estimate_at(params, covariance, status="ok"):
    return EffectEstimate(
        np.array(params), np.array(covariance), status, other_label(*params), 0.0, 100, 2
    )


def test_the_median_of_splits_adds_their_spread():
    covariance = np.diag([1.0, 4.0]) * 1e-4
    splits = [estimate_at(params, covariance) for params in ([0.5, 0.1], [0.51, 0.1], [0.47, 0.1])]
    found = median_of_splits(splits)
    assert found.params == pytest.approx([0.5, 0.1])
    # Squared distances 0, 1e-4 and 9e-4: the median is of the second.
    np.testing.assert_allclose(found.covariance, covariance + np.diag([1e-4, 0.0]), rtol=1e-9)
    assert found.other == pytest.approx((10.0, 2.0))


def test_splits_without_a_solution():
    good = estimate_at([0.5, 0.1], 1e-4 * np.eye(2))
    bad = estimate_at([np.nan, np.nan], np.full((2, 2), np.nan), "weak")
    assert median_of_splits([good, good, bad]).params == pytest.approx([0.5, 0.1])
    assert median_of_splits([good, bad, bad]).status == "weak"
    with pytest.raises(InputError, match="at least one"):
        median_of_splits([])
