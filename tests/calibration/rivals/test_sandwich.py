"""Sandwich adjustments of draws, by their algebra."""

import numpy as np
import pytest

from qbeconometrics.calibration.rivals.sandwich import (
    adjustment,
    location_scale,
    open_faced_sandwich,
    symmetric_power,
)


def matrices(k):
    """Two positive definite matrices that do not commute."""
    rng = np.random.default_rng(k)
    first, second = rng.standard_normal((2, k, 2 * k + 2))
    return first @ first.T, second @ second.T


def sandwich(curvature, product):
    bread = np.linalg.inv(curvature)
    return bread @ product @ bread


@pytest.mark.parametrize("k", [1, 2, 6])
def test_the_adjustment_makes_the_sandwich(k):
    curvature, product = matrices(k)
    omega = adjustment(curvature, product)
    found = omega @ np.linalg.inv(curvature) @ omega.T
    np.testing.assert_allclose(found, sandwich(curvature, product), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "mutant",
    [
        lambda q, p: np.linalg.inv(q) @ symmetric_power(q, 0.5) @ symmetric_power(p, 0.5),
        lambda q, p: symmetric_power(p, 0.5) @ symmetric_power(q, 0.5),
        lambda q, p: np.linalg.inv(q) @ symmetric_power(p, 0.5),
        lambda q, p: np.linalg.inv(q) @ p @ symmetric_power(q, 0.5),
    ],
    ids=["order of the roots", "no bread", "no root of Q", "no root of P"],
)
def test_wrong_adjustments_do_not(mutant):
    curvature, product = matrices(3)
    omega = mutant(curvature, product)
    found = omega @ np.linalg.inv(curvature) @ omega.T
    wanted = sandwich(curvature, product)
    assert np.abs(found - wanted).max() > 0.01 * np.abs(wanted).max()


def with_moments(shape, mean, covariance):
    """Draws whose own mean and covariance are exactly these."""
    draws = np.random.default_rng(3).gamma(2.0, size=shape)
    draws = draws - draws.mean(axis=0)
    whiten = np.linalg.inv(np.linalg.cholesky(np.cov(draws, rowvar=False))).T
    return mean + draws @ whiten @ np.linalg.cholesky(covariance).T


def test_draws_about_the_estimate_get_the_sandwich():
    curvature, product = matrices(3)
    estimate = np.array([1.0, -2.0, 30.0])
    draws = with_moments((500, 3), estimate, np.linalg.inv(curvature))
    found = open_faced_sandwich(draws, estimate, curvature, product)
    np.testing.assert_allclose(found.mean(axis=0), estimate, rtol=1e-10)
    wanted = sandwich(curvature, product)
    np.testing.assert_allclose(np.cov(found, rowvar=False), wanted, rtol=1e-8, atol=1e-12)


def test_open_faced_keeps_the_distance_of_the_mean_from_the_estimate():
    """What a prior moves stays moved, by the same map; location and scale take it back."""
    curvature, product = matrices(2)
    away = np.array([0.5, 1.0])
    draws = with_moments((200, 2), away, np.linalg.inv(curvature))
    omega = adjustment(curvature, product)
    moved = open_faced_sandwich(draws, np.zeros(2), curvature, product)
    np.testing.assert_allclose(moved.mean(axis=0), omega @ away, rtol=1e-9)
    centred = location_scale(draws, np.zeros(2), sandwich(curvature, product))
    np.testing.assert_allclose(centred.mean(axis=0), 0.0, atol=1e-12)


@pytest.mark.parametrize("k", [1, 2, 6])
def test_location_and_scale_are_exactly_what_is_asked_for(k):
    draws = np.random.default_rng(0).gamma(1.5, size=(300, k)) @ matrices(k)[0]
    estimate, wanted = np.arange(k, dtype=float), matrices(k)[1]
    found = location_scale(draws, estimate, wanted)
    np.testing.assert_allclose(found.mean(axis=0), estimate, atol=1e-9)
    np.testing.assert_allclose(np.atleast_2d(np.cov(found, rowvar=False)), wanted, rtol=1e-8)


def test_location_and_scale_of_the_draws_do_not_matter():
    draws = np.random.default_rng(0).gamma(1.5, size=(300, 2))
    wanted = matrices(2)[1]
    once = location_scale(draws, np.ones(2), wanted)
    again = location_scale(7.0 + 0.1 * draws, np.ones(2), wanted)
    np.testing.assert_allclose(again, once, rtol=1e-9)
