"""S from the moments of all rows, against double loops, statsmodels and linearmodels."""

import numpy as np
import pytest
from linearmodels.iv.gmm import (
    HeteroskedasticWeightMatrix,
    HomoskedasticWeightMatrix,
    KernelWeightMatrix,
    OneWayClusteredWeightMatrix,
)
from statsmodels.stats.sandwich_covariance import S_crosssection, S_hac_simple

from qbeconometrics.exceptions import OptionError
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.dependence import RowWeights
from qbeconometrics.moments.lag_windows import bandwidth_of_lags, lag_weights
from qbeconometrics.moments.row_covariance import (
    LONGEST_SHIFTED,
    check_residual_moments,
    row_covariance,
)

# Sums of a few thousand products in another order, relative to the largest.
ROUNDING = 1e-12
N, Q = 60, 3
RNG = np.random.default_rng(3)
Z = np.column_stack([np.ones(N), RNG.standard_normal((N, Q - 1))])
U = RNG.standard_normal((N, 2)) + 0.3
# Two residuals times all instruments, residual by residual.
MOMENTS = (U[:, :, None] * Z[:, None, :]).reshape(N, -1)
FIRST, SECOND = RNG.integers(0, 9, N), RNG.integers(0, 8, N)
BOTH = np.unique(FIRST * 8 + SECOND, return_inverse=True)[1]
KERNELS = ("bartlett", "parzen", "quadratic-spectral")
LAGS = (0, 1, 5, LONGEST_SHIFTED, LONGEST_SHIFTED + 1, N - 1)


def ours(rule, moments=MOMENTS, weights=None, instrument=Z):
    form = row_covariance(rule, n=len(moments), n_params=2, weights=weights, instrument=instrument)
    before = moments.copy()
    S = form(moments, moments.mean(axis=0))
    np.testing.assert_array_equal(moments, before)
    assert S.flags.c_contiguous
    return S


def close(S, expected):
    np.testing.assert_allclose(S, expected, rtol=0, atol=ROUNDING * np.abs(expected).max())


def double_loop(kappa, moments, centered):
    if centered:
        moments = moments - moments.mean(axis=0)
    S = np.zeros((moments.shape[1],) * 2)
    for s in range(len(moments)):
        for t in range(len(moments)):
            S += kappa(s, t) * np.outer(moments[s], moments[t])
    return S / len(moments)


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("lags", LAGS)
def test_serial_dependence_against_a_double_loop(kernel, lags, centered):
    weights = lag_weights(kernel, bandwidth_of_lags(kernel, lags), N)
    rule = CovarianceRule("HAC", centered, kernel=kernel, maxlags=lags)
    expected = double_loop(
        lambda s, t: weights[abs(s - t)] if abs(s - t) < len(weights) else 0.0, MOMENTS, centered
    )
    close(ours(rule, weights=RowWeights(lags=weights)), expected)
    # Memory in the order of columns.
    close(ours(rule, np.asfortranarray(MOMENTS), RowWeights(lags=weights)), expected)


@pytest.mark.parametrize("centered", [False, True])
def test_clusters_against_a_double_loop(centered):
    rule = CovarianceRule("cluster", centered)
    one = double_loop(lambda s, t: FIRST[s] == FIRST[t], MOMENTS, centered)
    close(ours(rule, weights=RowWeights(clusters=(FIRST,))), one)
    two = double_loop(
        lambda s, t: float(FIRST[s] == FIRST[t] or SECOND[s] == SECOND[t]), MOMENTS, centered
    )
    close(ours(rule, weights=RowWeights(clusters=(FIRST, SECOND, BOTH))), two)


@pytest.mark.parametrize("centered", [False, True])
def test_one_residual_variance(centered):
    u = U - U.mean(axis=0) * centered
    expected = np.zeros((2 * Q, 2 * Q))
    for a in range(2):
        for b in range(2):
            block = np.mean(u[:, a] * u[:, b]) * Z.T @ Z / N
            expected[a * Q : (a + 1) * Q, b * Q : (b + 1) * Q] = block
    close(ours(CovarianceRule("nonrobust", centered)), expected)


@pytest.mark.parametrize("lags", LAGS)
def test_statsmodels(lags):
    weights = RowWeights(lags=lag_weights("bartlett", lags + 1.0, N))
    close(ours(CovarianceRule("HAC"), weights=weights), S_hac_simple(MOMENTS, nlags=lags) / N)
    by_cluster = ours(CovarianceRule("cluster"), weights=RowWeights(clusters=(FIRST,)))
    close(by_cluster, S_crosssection(MOMENTS, FIRST) / N)


@pytest.mark.parametrize("centered", [False, True])
def test_linearmodels(centered):
    x, u = Z[:, :2], U[:, :1]
    moments = u * Z

    def compare(theirs, cov_type, weights=None, small_sample=1.0):
        rule = CovarianceRule(cov_type, centered)
        close(ours(rule, moments, weights), small_sample * theirs.weight_matrix(x, Z, u))

    compare(HeteroskedasticWeightMatrix(center=centered), "HC0")
    compare(HeteroskedasticWeightMatrix(center=centered), "HC1", None, N / (N - 2))
    if centered:  # which is what it does whatever it is told
        compare(HomoskedasticWeightMatrix(), "nonrobust")
    one_way = RowWeights(clusters=(FIRST,))
    if not centered:  # there the mean is subtracted from the sums of clusters instead
        compare(OneWayClusteredWeightMatrix(FIRST), "cluster", one_way)
    for kernel in KERNELS:
        for lags in (1, 4, 30):
            weights = lag_weights(kernel, bandwidth_of_lags(kernel, lags), N)
            theirs = KernelWeightMatrix(kernel=kernel, bandwidth=lags, center=centered)
            compare(theirs, "HAC", RowWeights(lags=weights))


@pytest.mark.parametrize(
    ("moments", "instrument", "message"),
    [
        (MOMENTS, None, "give instrument"),
        (MOMENTS[:, :4], Z, "4 moments are not a multiple of 3 instruments"),
        (MOMENTS[:, [0, 3, 1, 4, 2, 5]], Z, "which moment . of row .* is not"),
        (MOMENTS + 1e-5, Z, "is not"),
        (MOMENTS, Z * (np.arange(N) != 7)[:, None], "zero in row 7"),
    ],
)
def test_moments_that_are_no_residuals_times_instruments(moments, instrument, message):
    with pytest.raises(OptionError, match=message):
        check_residual_moments(moments, instrument)


def test_residual_moments_are_accepted_at_any_scale():
    for scale in (1e-150, 1.0, 1e100):
        check_residual_moments(scale * MOMENTS, Z)
        check_residual_moments(MOMENTS * scale, Z * scale)


def test_moments_that_cease_to_be_residuals_times_instruments():
    with pytest.raises(OptionError, match="at some parameters they are not"):
        ours(CovarianceRule("nonrobust"), MOMENTS + 0.01 * RNG.standard_normal(MOMENTS.shape))
