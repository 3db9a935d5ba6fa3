"""Wald tests that an estimated matrix is of lower rank than its size."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

FloatArray = NDArray[np.float64]


class RankTest(NamedTuple):
    """Kleibergen-Paap test that a matrix has a given rank.

    Attributes
    ----------
    value : float
        rk statistic; NaN if its covariance is singular.
    df : int
    pvalue : float
        From chi-square(df).
    """

    value: float
    df: int
    pvalue: float


def wald(estimate: FloatArray, covariance: FloatArray) -> float:
    """Quadratic form of `estimate` in the inverse covariance; NaN if that is singular."""
    eigenvalues = np.linalg.eigvalsh(covariance)
    rounding = 10.0 * len(estimate) * np.finfo(np.float64).eps
    if not eigenvalues[0] > rounding * eigenvalues[-1]:
        return float("nan")
    return float(estimate @ np.linalg.solve(covariance, estimate))


def rank_wald(
    matrix: FloatArray, covariance: FloatArray, left: FloatArray, right: FloatArray
) -> float:
    """Wald statistic of left' matrix right = 0.

    Parameters
    ----------
    matrix : ndarray, shape (l, p)
    covariance : ndarray, shape (p, l, p, l)
        covariance[j, a, k, b] of the entries (a, j) and (b, k).
    left : ndarray, shape (l, r)
    right : ndarray, shape (p, s)
    """
    half = np.einsum("jakb,js,bq->sakq", covariance, right, left, optimize=True)
    between = np.einsum("sakq,ar,kt->srtq", half, left, right, optimize=True)
    size = left.shape[1] * right.shape[1]
    return wald((left.T @ matrix @ right).T.ravel(), between.reshape(size, size))


def rank_test(matrix: FloatArray, covariance: FloatArray, rank: int) -> RankTest:
    """Test that a matrix has the rank `rank` and not a higher one.

    Parameters
    ----------
    matrix : ndarray, shape (l, p)
        An estimate, with rows and columns in comparable units.
    covariance : ndarray, shape (p, l, p, l)
        covariance[j, a, k, b] of the estimates of the entries (a, j) and (b, k).
    rank : int
        Less than l and p.

    Returns
    -------
    RankTest

    References
    ----------
    Kleibergen, F. and Paap, R. (2006). Generalized reduced rank tests using the singular value
    decomposition. Journal of Econometrics 133, 97-126.

    Examples
    --------
    >>> found = rank_test(np.diag([5.0, 2.0]), np.eye(4).reshape(2, 2, 2, 2), 1)
    >>> found.value, found.df, round(found.pvalue, 4)
    (4.0, 1, 0.0455)
    """
    left, _, right = np.linalg.svd(matrix)
    df = (matrix.shape[0] - rank) * (matrix.shape[1] - rank)
    value = rank_wald(matrix, covariance, left[:, rank:], right[rank:].T)
    return RankTest(value, df, float(chdtrc(df, value)))
