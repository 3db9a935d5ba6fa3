"""Kernels by lag and bandwidths selected from the data."""

import json
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.sandwich_covariance import weights_bartlett

import qbeconometrics as qb
from qbeconometrics.exceptions import NumericalError, OptionError
from qbeconometrics.moments import lag_windows

PATH = Path(__file__).parent.parent / "reference_values" / "reference_covariance.json"
STORED = json.loads(PATH.read_text(encoding="utf-8"))
# Formulas of a few operations.
ROUNDING = 1e-13


def first_step_moments(centered=False):
    names = ["gc", "gy", "r3", "gc_1", "gy_1", "r3_1"]
    y, gy, r3, *lagged = qb.datasets.load("consump_annual")[names].dropna().to_numpy().T
    x = np.column_stack([np.ones(len(y)), gy, r3])
    z = np.column_stack([np.ones(len(y)), *lagged])
    projected = z @ np.linalg.lstsq(z, x, rcond=None)[0]
    scores = z * (y - x @ np.linalg.lstsq(projected, y, rcond=None)[0])[:, None]
    return scores - scores.mean(axis=0) if centered else scores


@pytest.mark.parametrize("maxlags", [0, 1, 5])
def test_bartlett_weights_are_those_of_statsmodels(maxlags):
    bandwidth = lag_windows.bandwidth_of_lags("bartlett", maxlags)
    weights = lag_windows.lag_weights("bartlett", bandwidth, 50)
    assert np.allclose(weights, weights_bartlett(maxlags), rtol=ROUNDING, atol=0)


def test_parzen_weights():
    expected = [1, 1 - 6 / 16 + 6 / 64, 2 * 0.5**3, 2 * 0.25**3]
    assert np.allclose(lag_windows.lag_weights("parzen", 4.0, 50), expected, rtol=ROUNDING, atol=0)


def test_quadratic_spectral_weighs_every_lag():
    weights = lag_windows.lag_weights("quadratic-spectral", 3.0, 20)
    assert len(weights) == 20
    x = 6 * np.pi * 7 / 3 / 5
    assert weights[7] == pytest.approx(3 / x**2 * (np.sin(x) / x - np.cos(x)), rel=ROUNDING)


@pytest.mark.parametrize("kernel", lag_windows.KERNELS)
def test_no_lags_leave_the_row_alone(kernel):
    bandwidth = lag_windows.bandwidth_of_lags(kernel, 0)
    weights = lag_windows.lag_weights(kernel, bandwidth, 10)
    assert weights.tolist() == [1.0]


@pytest.mark.parametrize("kernel", lag_windows.KERNELS)
def test_every_kernel_is_positive_definite(kernel):
    for bandwidth in (1.5, 4.0, 40.0):
        column = np.zeros(60)
        weights = lag_windows.lag_weights(kernel, bandwidth, 60)
        column[: len(weights)] = weights
        matrix = column[np.abs(np.subtract.outer(np.arange(60), np.arange(60)))]
        assert np.linalg.eigvalsh(matrix)[0] > -1e-10


@pytest.mark.parametrize("entry", STORED["newey_west"], ids=str)
def test_newey_west_against_linearmodels(entry):
    moments = first_step_moments(entry["centered"])
    assert lag_windows.newey_west_lags(moments, entry["kernel"]) == entry["maxlags"]


def andrews_by_definition(moments, kernel):
    """Andrews (1991), one moment after the other."""
    n = len(moments)
    above, below = 0.0, 0.0
    for series in moments.T:
        rho = np.sum(series[1:] * series[:-1]) / np.sum(series[:-1] ** 2)
        innovation = np.mean((series[1:] - rho * series[:-1]) ** 2)
        weight = 1 / innovation**2
        if kernel == "bartlett":
            above += weight * 4 * rho**2 * innovation**2 / ((1 - rho) ** 6 * (1 + rho) ** 2)
        else:
            above += weight * 4 * rho**2 * innovation**2 / (1 - rho) ** 8
        below += weight * innovation**2 / (1 - rho) ** 4
    constant, root = {
        "bartlett": (1.1447, 1 / 3),
        "parzen": (2.6614, 1 / 5),
        "quadratic-spectral": (1.3221, 1 / 5),
    }[kernel]
    return constant * (above / below * n) ** root


@pytest.mark.parametrize("kernel", lag_windows.KERNELS)
def test_andrews_by_definition(kernel):
    moments = first_step_moments()
    expected = andrews_by_definition(moments, kernel)
    assert lag_windows.andrews_bandwidth(moments, kernel) == pytest.approx(expected, rel=1e-10)


def random_walks(n):
    return np.cumsum(np.random.default_rng(2).standard_normal((n, 2)), axis=0)


@pytest.mark.parametrize("kernel", lag_windows.KERNELS)
@pytest.mark.parametrize("select", [lag_windows.newey_west_lags, lag_windows.andrews_bandwidth])
def test_scale_plays_no_part_and_bandwidths_stay_within_the_sample(kernel, select):
    moments = random_walks(60)
    assert select(moments * [1e6, 1e-6], kernel) == pytest.approx(select(moments, kernel), rel=1e-9)
    assert select(moments, kernel) <= 60


def test_more_correlation_selects_more_lags():
    noise = np.random.default_rng(3).standard_normal((500, 2))
    for select in (lag_windows.newey_west_lags, lag_windows.andrews_bandwidth):
        assert select(random_walks(500), "bartlett") > select(noise, "bartlett")


def test_too_few_rows_and_moments_that_stand_still():
    with pytest.raises(OptionError, match="more than 3 rows"):
        lag_windows.newey_west_lags(random_walks(3), "bartlett")
    for select in (lag_windows.newey_west_lags, lag_windows.andrews_bandwidth):
        with pytest.raises(NumericalError, match="do not vary"):
            select(np.zeros((30, 2)), "bartlett")
