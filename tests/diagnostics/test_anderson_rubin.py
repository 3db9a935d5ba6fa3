"""Anderson-Rubin sets against a grid of the test statistic itself."""

import numpy as np
import pytest
from scipy import stats

from qbeconometrics.diagnostics.anderson_rubin import anderson_rubin_set
from qbeconometrics.exceptions import OptionError
from qbeconometrics.moments.dependence import RowWeights
from qbeconometrics.moments.lag_windows import lag_weights

HC = RowWeights(lags=np.ones(1))
HAC = RowWeights(lags=lag_weights("bartlett", 5.0, 120))


def data(strength, n_instruments, seed, n=120):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, n_instruments))
    common = rng.normal(size=n)
    x = z @ np.full(n_instruments, strength) + common + rng.normal(size=n)
    return 0.5 * x - common + rng.normal(size=n), x, z


def statistic(b, y, x, z, weights):
    """By the definition, with the covariance summed over pairs of rows."""
    n = len(y)
    error = y - b * x
    residual = error - z @ np.linalg.lstsq(z, error)[0]
    scores = z * residual[:, None]
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    kernel = np.append(weights.lags, np.zeros(n))[distance]
    g = z.T @ error / n
    return n * g @ np.linalg.solve(scores.T @ kernel @ scores / n, g)


@pytest.mark.parametrize("weights", [HC, HAC], ids=["HC", "HAC"])
@pytest.mark.parametrize("n_instruments", [1, 2, 4])
@pytest.mark.parametrize("strength", [0.5, 0.1, 0.0])
def test_the_set_is_where_the_test_does_not_reject(strength, n_instruments, weights):
    critical = stats.chi2.ppf(0.9, n_instruments)
    for seed in range(4):
        y, x, z = data(strength, n_instruments, seed)
        found = anderson_rubin_set(y, x, z, weights=weights)
        for b in np.concatenate([np.linspace(-6, 6, 61), [-1e3, 1e3]]):
            inside = any(low <= b <= high for low, high in found)
            assert inside == (statistic(b, y, x, z, weights) <= critical), (seed, b)
        for end in {end for interval in found for end in interval if np.isfinite(end)}:
            assert statistic(end, y, x, z, weights) == pytest.approx(critical, rel=1e-6)


def test_units_do_not_matter():
    y, x, z = data(0.4, 2, 1)
    [(low, high)] = anderson_rubin_set(y, x, z, weights=HC)
    [scaled] = anderson_rubin_set(1e6 * y, 1e-3 * x, 1e4 * z, weights=HC)
    np.testing.assert_allclose(scaled, (1e9 * low, 1e9 * high), rtol=1e-8)


def test_too_few_rows():
    with pytest.raises(OptionError, match="more than 4 rows"):
        anderson_rubin_set(np.ones(4), np.ones(4), np.ones((4, 4)), weights=HC)
