"""Bands against definitions and closed forms, and the faults that others shipped."""

import numpy as np
import pytest
from scipy.special import ndtri

from qbeconometrics.diagnostics.path_functionals import half_lives, peak_places
from qbeconometrics.diagnostics.simultaneous_bands import BAND_METHODS, simultaneous_band
from qbeconometrics.exceptions import InputError, OptionError

N, HORIZONS, ALPHA = 40_000, 13, 0.10


@pytest.fixture(scope="module")
def independent():
    return np.random.default_rng(0).standard_normal((N, HORIZONS))


@pytest.fixture(scope="module")
def skewed():
    rng = np.random.default_rng(1)
    return np.cumsum(rng.gamma(0.5, size=(4_000, HORIZONS)), axis=1)


def test_independent_normals_give_the_sidak_value(independent):
    band = simultaneous_band(independent, ALPHA)
    exact = float(ndtri(0.5 + 0.5 * (1 - ALPHA) ** (1 / HORIZONS)))
    # The density of the largest absolute value at its 90 % point is about 0.3.
    assert abs(band.critical_value - exact) < 4 * np.sqrt(0.09 / N) / 0.3
    np.testing.assert_allclose(
        simultaneous_band(independent, ALPHA, "sidak").upper, exact, atol=0.1
    )
    np.testing.assert_allclose(
        simultaneous_band(independent, ALPHA, "bonferroni").upper,
        -ndtri(ALPHA / HORIZONS / 2),
        atol=0.1,
    )


@pytest.mark.parametrize("alpha", [0.01, 0.1, 0.32])
@pytest.mark.parametrize("size", [200, 999, 4_000])
def test_quantile_band_holds_its_share_of_the_draws_exactly(skewed, size, alpha):
    draws = skewed[:size]
    band = simultaneous_band(draws, alpha, "quantile")
    inside = ((draws >= band.lower) & (draws <= band.upper)).all(axis=1).mean()
    assert inside >= 1 - alpha
    # One order statistic further in, too few are left.
    r = round((1 - band.pointwise_probability) * size / 2)
    ordered = np.sort(draws, axis=0)
    tighter = (draws >= ordered[r]) & (draws <= ordered[size - r - 1])
    assert tighter.all(axis=1).mean() < 1 - alpha


@pytest.mark.parametrize("method", ["quantile", "bonferroni", "sidak"])
def test_quantile_based_bands_contain_the_equal_tailed_intervals(skewed, method):
    for columns in (HORIZONS, 2, 1):
        draws = skewed[:, :columns]
        band = simultaneous_band(draws, ALPHA, method)
        low, high = np.quantile(draws, [ALPHA / 2, 1 - ALPHA / 2], axis=0)
        assert np.all(band.lower <= low)
        assert np.all(band.upper >= high)


def test_sup_t_value_is_at_least_that_of_each_horizon(skewed):
    whole = simultaneous_band(skewed, ALPHA).critical_value
    each = [simultaneous_band(skewed[:, [h]], ALPHA).critical_value for h in range(HORIZONS)]
    assert whole > max(each)


def test_coordinates_that_do_not_vary_are_left_out(independent):
    draws = np.insert(independent, 3, 1.5, axis=1)
    for method in BAND_METHODS:
        band, without = (simultaneous_band(x, ALPHA, method) for x in (draws, independent))
        assert band.lower[3] == band.upper[3] == 1.5
        np.testing.assert_array_equal(np.delete(band.lower, 3), without.lower)
    still = simultaneous_band(np.ones((50, 2)), ALPHA)
    np.testing.assert_array_equal(still.lower, [1.0, 1.0])


def test_known_mean_and_sd_are_used(independent):
    band = simultaneous_band(independent, ALPHA, mean=np.zeros(13), sd=np.ones(13))
    np.testing.assert_array_equal(band.upper, np.full(13, band.critical_value))
    np.testing.assert_array_equal(band.lower, -band.upper)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"alpha": 0.0}, OptionError, "alpha"),
        ({"method": "sup"}, OptionError, "Did you mean 'sup-t'"),
        ({"alpha": 0.001, "method": "bonferroni"}, InputError, "draw more"),
    ],
)
def test_refusals(independent, arguments, error, words):
    with pytest.raises(error, match=words):
        simultaneous_band(independent[:5_000], **arguments)
    with pytest.raises(InputError, match="at least two draws"):
        simultaneous_band(independent[:1])


def test_peaks_and_half_lives():
    paths = np.array([[0.0, 4.0, 3.0, 2.0, 1.0], [0.0, -5.0, 4.0, -3.0, 0.0], [1.0, 2, 3, 4, 5]])
    np.testing.assert_array_equal(peak_places(paths), [1, 1, 4])
    np.testing.assert_array_equal(peak_places(paths, "max"), [1, 2, 4])
    np.testing.assert_array_equal(peak_places(paths, "min"), [0, 1, 0])
    # The second path is on the other side at once; the third never comes down.
    np.testing.assert_array_equal(half_lives(paths), [2.0, 1.0, np.nan])
    np.testing.assert_array_equal(half_lives(np.zeros((1, 3))), [1.0])
    with pytest.raises(OptionError, match="kind"):
        peak_places(paths, "top")
