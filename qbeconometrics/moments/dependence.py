"""Sums over pairs of rows that may be correlated: serially, or within clusters.

With kappa_st the weight of the pair (s, t) of rows, every rule here is

    Omega_ab = sum_st kappa_st M_sa M_tb',    M_ta = z_t w_ta,

and S is quadratic in the coefficients whatever kappa is. T_ab = (Omega_ab + Omega_ba)/2 is stored
with the mean of w_a w_b z z' of independent rows in its place, so that the evaluation is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import matmul_toeplitz
from scipy.sparse import csr_array

from qbeconometrics.moments.linear import (
    BLOCK_NUMBERS,
    LinearMomentStatistic,
    ScaledRows,
    pack_symmetric,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

# Beyond so many lags a Fourier transform is faster than adding shifted rows.
LONGEST_DIRECT = 50


@dataclass(frozen=True, slots=True, eq=False)
class RowWeights:
    """kappa, the weights of pairs of rows.

    Attributes
    ----------
    lags : ndarray, shape (L + 1,), or None
        kappa_st = lags[|s - t|], and zero beyond.
    clusters : tuple of ndarray of int, each of shape (n,)
        One way: kappa_st = 1 within a cluster. Two ways: the first, the second and their
        intersection, which is subtracted (Cameron, Gelbach & Miller 2011, Journal of Business &
        Economic Statistics 29, 238-249).
    """

    lags: FloatArray | None = None
    clusters: tuple[IntArray, ...] = ()


def weighted_rows(weights: RowWeights, columns: FloatArray) -> FloatArray:
    """Return kappa times `columns` (n, p).

    Examples
    --------
    >>> within = RowWeights(clusters=(np.array([0, 0, 1]),))
    >>> weighted_rows(within, np.array([[1.0], [2.0], [5.0]])).ravel()
    array([3., 3., 5.])
    """
    if weights.lags is not None:
        return _weighted_by_lag(weights.lags, columns)
    total = np.zeros_like(columns)
    for sign, codes in zip((1.0, 1.0, -1.0), weights.clusters, strict=False):
        members = csr_array((np.ones(len(codes)), (codes, np.arange(len(codes)))))
        total += sign * np.asarray(members.T @ (members @ columns))
    return total


def _weighted_by_lag(lags: FloatArray, columns: FloatArray) -> FloatArray:
    n = len(columns)
    if len(lags) > LONGEST_DIRECT:
        column = np.zeros(n)
        column[: len(lags)] = lags[:n]
        return np.asarray(matmul_toeplitz(column, columns), dtype=np.float64)
    total = lags[0] * columns
    for j in range(1, min(len(lags), n)):
        total[j:] += lags[j] * columns[:-j]
        total[:-j] += lags[j] * columns[j:]
    return total


def pair_product(weights: RowWeights, scores: FloatArray) -> FloatArray:
    """Return sum_st kappa_st s_s s_t' (p, p) of `scores` (n, p)."""
    product = scores.T @ weighted_rows(weights, scores)
    return (product + product.T) / 2


def dependent_statistic(
    statistic: LinearMomentStatistic,
    rows: ScaledRows,
    weights: RowWeights,
    *,
    cov_type: str,
    with_fourth: bool,
) -> LinearMomentStatistic:
    """Return the statistic with sums over pairs of rows in place of those over rows.

    Parameters
    ----------
    statistic : LinearMomentStatistic
        Of the same rows in the same basis.
    rows : ScaledRows
    weights : RowWeights
    cov_type : str
        "HAC" or "cluster".
    with_fourth : bool
        Whether S is needed away from the centre.
    """
    w = np.column_stack([rows.residual, rows.regressor])
    z = rows.instrument
    row_totals = weighted_rows(weights, np.ones((len(w), 1)))
    return replace(
        statistic,
        score_product=pair_product(weights, z * w[:, :1]),
        fourth=_fourth_order_sums(w, z, weights) if with_fourth else None,
        dependence=cov_type,
        weighted_cross=z.T @ (row_totals * w),
        weight_total=float(row_totals.sum()),
    )


def _fourth_order_sums(w: FloatArray, z: FloatArray, weights: RowWeights) -> FloatArray:
    """n T_ab for all pairs a <= b, packed as in `LinearMomentStatistic`."""
    n, order = w.shape
    m = z.shape[1]
    fourth = np.empty((order * (order + 1) // 2, m * (m + 1) // 2))
    for b in range(order):
        weighted = weighted_rows(weights, z * w[:, b, None])
        omega = np.zeros(((b + 1) * m, m))
        step = max(128, BLOCK_NUMBERS // len(omega))
        for start in range(0, n, step):
            block = slice(start, start + step)
            products = w[block, : b + 1, None] * z[block, None, :]
            omega += products.reshape(-1, len(omega)).T @ weighted[block]
        omega = omega.reshape(b + 1, m, m)
        first = b * (b + 1) // 2
        fourth[first : first + b + 1] = pack_symmetric((omega + omega.swapaxes(1, 2)) / 2)
    return fourth


def largest_cluster_leverage(instrument: FloatArray, codes: IntArray) -> tuple[float, int]:
    """Return the largest share of some combination of the instruments that one cluster holds.

    Parameters
    ----------
    instrument : ndarray, shape (n, m)
        With Z'Z = n I.
    codes : ndarray of int, shape (n,)
        Cluster of each row.

    Returns
    -------
    share : float
        1 if some combination is zero outside the cluster.
    cluster : int
    """
    n = len(instrument)
    totals = np.bincount(codes, weights=np.einsum("ij,ij->i", instrument, instrument)) / n
    largest, cluster = 0.0, int(totals.argmax())
    # The largest eigenvalue is at most the trace, and at most m traces reach one.
    for candidate in np.flatnonzero(totals > 0.5):
        own = instrument[codes == candidate]
        share = float(np.linalg.eigvalsh(own.T @ own / n)[-1])
        if share > largest:
            largest, cluster = share, int(candidate)
    return largest, cluster
