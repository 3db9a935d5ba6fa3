"""Are the endogenous regressors endogenous, and are all of the instruments valid?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc, fdtrc

from qbeconometrics.exceptions import IdentificationError, NumericalError
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.dependence import RowWeights, pair_product
from qbeconometrics.moments.linear import LinearMomentStatistic
from qbeconometrics.posterior.quasi_posterior import fixed_covariance

FloatArray = NDArray[np.float64]


class CStatistic(NamedTuple):
    """Test that some of the instruments are valid, given that the others are.

    Attributes
    ----------
    value : float
        J with all the instruments less J without the suspect ones, under one weight.
    df : int
        Number of suspect instruments.
    pvalue : float
        From chi-squared(df).
    j_all, j_without : float
        The two of which it is the difference.
    centered : bool
        Whether the moments' mean is subtracted in the weight.
    """

    value: float
    df: int
    pvalue: float
    j_all: float
    j_without: float
    centered: bool


def endogeneity_tests(
    endog: FloatArray,
    exog: FloatArray,
    instrument: FloatArray,
    *,
    endogenous: Sequence[int],
    rule: CovarianceRule,
    weights: RowWeights | None = None,
    df_absorbed: int = 0,
) -> pd.DataFrame:
    """Test that the endogenous regressors are exogenous, given valid instruments.

    Parameters
    ----------
    endog : ndarray, shape (n,)
    exog : ndarray, shape (n, k)
    instrument : ndarray, shape (n, m)
        With the exogenous regressors.
    endogenous : sequence of int
        Positions in `exog` of the p regressors tested.
    rule : CovarianceRule
        Of the robust score test.
    weights : RowWeights, optional
        Of pairs of rows, for "HAC" and "cluster".

    Returns
    -------
    DataFrame
        Rows ``wu_hausman`` (F of the first-stage residuals added to least squares, F(p, n - k -
        p)), ``durbin`` (n times the fall in the sum of squares over that of least squares,
        chi-squared(p)) and ``robust_score`` (the score test of Wooldridge 1995, with S of the
        scores under `rule` in place of that of independent rows, chi-squared(p)); columns
        ``statistic``, ``df``, ``df_denom`` and ``pvalue``.

    References
    ----------
    Hausman, J. A. (1978). Specification tests in econometrics. Econometrica 46, 1251-1271.

    Wooldridge, J. M. (1995). Score diagnostics for linear models estimated by two stage least
    squares. In Advances in Econometrics and Quantitative Economics, Blackwell, 66-87.
    """
    n, k = exog.shape
    p = len(endogenous)
    if p == 0:
        raise IdentificationError("all regressors are exogenous: there is nothing to test")
    first_stage = _residual(exog[:, list(endogenous)], instrument)
    residual = _residual(endog[:, None], exog)
    added = _residual(first_stage, exog)
    total = float(np.sum(residual**2))
    fall = total - float(np.sum(_residual(residual, added) ** 2))
    df_denom = n - k - p - df_absorbed
    wu_hausman = fall / p / ((total - fall) / df_denom) if df_denom > 0 else np.nan
    durbin = n * fall / total
    scores = added * residual
    gap = scores.sum(axis=0)
    if rule.centered:
        scores = scores - scores.mean(axis=0)
    if rule.cov_type == "nonrobust":
        S = total / n * (added.T @ added)
    else:
        S = scores.T @ scores if weights is None else pair_product(weights, scores)
        S *= rule.small_sample_factor(n, k + df_absorbed)
    robust = float(gap @ np.linalg.solve(S, gap))
    return pd.DataFrame(
        {
            "statistic": [wu_hausman, durbin, robust],
            "df": [p, p, p],
            "df_denom": [float(df_denom), np.inf, np.inf],
            "pvalue": [fdtrc(p, df_denom, wu_hausman), chdtrc(p, durbin), chdtrc(p, robust)],
        },
        index=pd.Index(["wu_hausman", "durbin", "robust_score"], name="test"),
    )


def _residual(columns: FloatArray, regressors: FloatArray) -> FloatArray:
    """Columns less their projection on `regressors`, whose columns may differ in scale."""
    scaled = regressors / np.linalg.norm(regressors, axis=0)
    basis = np.linalg.qr(scaled)[0]
    rest = columns - basis @ (basis.T @ columns)
    return np.asarray(rest - basis @ (basis.T @ rest))


def c_statistic(
    statistic: LinearMomentStatistic, *, suspects: Sequence[int], rule: CovarianceRule
) -> CStatistic:
    """Return the difference of J with and without the suspect instruments.

    Both criteria take S from the two-stage least squares residuals with all the instruments, as a
    whole and its rows and columns of the instruments that are kept, so that the difference is never
    negative (Hayashi 2000, Econometrics, Princeton University Press, section 3.6).

    Parameters
    ----------
    statistic : LinearMomentStatistic
    suspects : sequence of int
        Positions among the m instruments.
    rule : CovarianceRule
        ``rule.centered`` is the convention of the weight.

    Raises
    ------
    IdentificationError
        If too few instruments would be left.
    """
    m, k = statistic.m, statistic.k
    kept = [j for j in range(m) if j not in set(suspects)]
    if len(kept) < k:
        raise IdentificationError(
            f"without the suspect instruments {len(kept)} are left for {k} coefficients: suspect "
            f"at most {m - k}"
        )
    S = fixed_covariance(statistic, rule, None)
    cross = statistic.cross / statistic.n
    all_of_them = _least_criterion(cross, S, statistic.n)
    # Columns of Z in terms of the scaled instruments.
    back = np.linalg.solve(statistic.basis.instrument_map, np.eye(m))[:, kept]
    back = back / np.linalg.norm(back, axis=0)
    without = _least_criterion(back.T @ cross, back.T @ S @ back, statistic.n)
    value, df = all_of_them - without, m - len(kept)
    pvalue = float(chdtrc(df, max(value, 0.0))) if df else float("nan")
    return CStatistic(value, df, pvalue, all_of_them, without, rule.centered)


def _least_criterion(cross: FloatArray, S: FloatArray, n: int) -> float:
    """Minimum over x of n g'S^-1 g with g = cross (1, -x)."""
    try:
        white = np.linalg.solve(np.linalg.cholesky(S), cross)
    except np.linalg.LinAlgError as error:
        raise NumericalError("the covariance of the moments is singular") from error
    slopes = np.linalg.lstsq(white[:, 1:], white[:, 0])
    if slopes[2] < white.shape[1] - 1:
        raise IdentificationError(
            "the instruments that are left do not move some endogenous regressor"
        )
    return float(n * np.sum((white[:, 0] - white[:, 1:] @ slopes[0]) ** 2))
