"""How strongly the excluded instruments move the endogenous regressors.

The model is ``y = X1 b + D theta + u`` with controls ``X1`` (n, q), endogenous regressors ``D``
(n, p) and excluded instruments ``Z2`` (n, l). Every statistic is about the first stage
``D = X1 A + Z2 Pi + V`` after the controls have been partialled out of both ``D`` and ``Z2``.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular
from scipy.special import chdtrc, chndtrix, fdtrc

from qbeconometrics.diagnostics.first_stage_moments import FirstStageMoments, first_stage_moments
from qbeconometrics.diagnostics.rank_test import rank_wald, wald
from qbeconometrics.exceptions import NumericalWarning, OptionError
from qbeconometrics.moments.dependence import RowWeights

FloatArray = NDArray[np.float64]

# Shares of the worst-case bias for which critical values of the effective F are given.
BIASES = (0.05, 0.10, 0.20, 0.30)


def first_stage(
    endogenous: ArrayLike,
    controls: ArrayLike,
    excluded: ArrayLike,
    *,
    endogenous_names: Sequence[str],
    cov_type: str = "HC0",
    centered: bool = False,
    weights: RowWeights | None = None,
    df_absorbed: int = 0,
) -> pd.DataFrame:
    """
    First-stage statistics of a linear instrumental-variable model.

    Parameters
    ----------
    endogenous : array_like, shape (n, p)
        Endogenous regressors.
    controls : array_like, shape (n, q)
        Exogenous regressors of the equation, with the constant if it has one; q may be 0.
    excluded : array_like, shape (n, l)
        Instruments that are not in the equation, l >= p.
    endogenous_names : sequence of str
        Names of the p endogenous regressors.
    cov_type : {"nonrobust", "HC0", "HC1", "HAC", "cluster"}, optional
        Covariance of the first-stage coefficients. "HC1" is "HC0" times n / (n - q - l).
    centered : bool, optional
        Accepted so that the options of a fit can be handed on. It changes nothing: the first-stage
        scores sum to zero exactly, so their centred and uncentred second moments are equal.
    weights : RowWeights, optional
        Weights of pairs of rows, for "HAC" and "cluster".
    df_absorbed : int, optional
        Controls that were partialled out of all columns before; they count among q.

    Returns
    -------
    DataFrame
        One row per endogenous regressor; see `first_stage_table` for the columns.

    Raises
    ------
    InputError
        If there is no endogenous regressor, the shapes do not match, n is too small or a value is
        not finite.
    IdentificationError
        If there are fewer excluded instruments than endogenous regressors.
    RankError
        If a control or an instrument is a linear combination of the columns before it.
    NumericalError
        If the instruments and controls fit an endogenous regressor exactly.

    Examples
    --------
    >>> from qbeconometrics import datasets
    >>> data = datasets.load("card1995")
    >>> data["constant"] = 1.0
    >>> controls = data[["constant", "exper", "expersq", "black", "south"]]
    >>> table = first_stage(
    ...     data[["educ"]], controls, data[["nearc2", "nearc4"]], endogenous_names=["educ"]
    ... )
    >>> table.loc["educ", ["f", "f_robust", "effective_f"]].round(2).tolist()
    [19.68, 20.47, 20.15]
    """
    if not isinstance(centered, (bool, np.bool_)):
        raise OptionError(f"centered={centered!r} is not allowed: give True or False.")
    moments = first_stage_moments(
        endogenous,
        controls,
        excluded,
        endogenous_names=endogenous_names,
        cov_type=cov_type,
        weights=weights,
        df_absorbed=df_absorbed,
    )
    return first_stage_table(moments, endogenous_names=endogenous_names)


def first_stage_table(
    moments: FirstStageMoments, *, endogenous_names: Sequence[str]
) -> pd.DataFrame:
    """
    Table of first-stage statistics from `FirstStageMoments`.

    Parameters
    ----------
    moments : FirstStageMoments
        From `first_stage_moments`.
    endogenous_names : sequence of str
        Names of the p endogenous regressors.

    Returns
    -------
    DataFrame
        One row per endogenous regressor and the columns

        - ``partial_r2``: R-squared of the regressor on the instruments, controls partialled out
          of both and nothing else subtracted.
        - ``shea_r2``: partial R-squared of Shea (1997), in the form of Godfrey (1999), which also
          takes out the fitted values of the other endogenous regressors; equal to the first if
          p = 1.
        - ``f``, ``f_p_value``: partial F for identically distributed errors, F(l, n - q - l).
        - ``f_robust``, ``f_robust_p_value``: Wald statistic under `cov_type` over l; the p-value
          takes the Wald statistic as chi-squared with l degrees of freedom. Under "nonrobust"
          both repeat ``f`` and ``f_p_value``.
        - ``effective_f``, ``effective_f_critical_value``: Montiel Olea and Pflueger (2013) under
          `cov_type`, and its conservative 5 per cent critical value for a worst-case bias of 10
          per cent (`effective_f_critical_value`); NaN if p > 1. Those for a bias of 5, 20 and 30
          per cent are ``effective_f_critical_value_05``, ``_20`` and ``_30``.
        - ``cragg_donald_f``: Cragg and Donald (1993), to be compared with the tables of Stock and
          Yogo (2005) under identically distributed errors; the same in each row.
        - ``kleibergen_paap_f``: the rk Wald statistic of Kleibergen and Paap (2006) times
          (n - q - l) / (n l), under "HC0" and "HC1" alike, the usual convention, and under "HAC"
          and "cluster" too (no factor for the number of clusters); under "nonrobust" it equals
          ``cragg_donald_f``. The same in each row.
        - ``n_excluded``: number of excluded instruments, l.

    References
    ----------
    Cragg, J. G. and Donald, S. G. (1993). Testing identifiability and specification in
    instrumental variable models. Econometric Theory 9, 222-240.

    Godfrey, L. G. (1999). Instrument relevance in multivariate linear models. Review of Economics
    and Statistics 81, 550-552.

    Kleibergen, F. and Paap, R. (2006). Generalized reduced rank tests using the singular value
    decomposition. Journal of Econometrics 133, 97-126.

    Montiel Olea, J. L. and Pflueger, C. (2013). A robust test for weak instruments. Journal of
    Business and Economic Statistics 31, 358-369.

    Shea, J. (1997). Instrument relevance in multivariate linear models: a simple measure. Review
    of Economics and Statistics 79, 348-352.

    Stock, J. H. and Yogo, M. (2005). Testing for weak instruments in linear IV regression. In
    Identification and Inference for Econometric Models, Cambridge University Press, 80-108.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.array([[1.0], [2.0], [3.0], [4.0]])
    >>> d = np.array([[1.0], [3.0], [2.0], [5.0]])
    >>> moments = first_stage_moments(d, np.ones((4, 1)), z, endogenous_names=["d"])
    >>> round(float(first_stage_table(moments, endogenous_names=["d"]).loc["d", "f"]), 4)
    4.4815
    """
    endogenous_names = list(endogenous_names)
    n_excluded, df_resid = moments.n_excluded, moments.df_resid
    fitted = np.sum(moments.coefficients**2, axis=0)
    residual = np.sum(moments.residual_factor**2, axis=0)
    f = fitted / n_excluded / (residual / df_resid)
    f_p_value = fdtrc(n_excluded, df_resid, f)
    f_robust, f_robust_p_value = f, f_p_value
    if moments.cov_type != "nonrobust":
        f_robust = _robust_f(moments, endogenous_names)
        f_robust_p_value = chdtrc(n_excluded, n_excluded * f_robust)
    effective, critical = _effective_f(moments)
    return pd.DataFrame(
        {
            "partial_r2": fitted / (fitted + residual),
            "shea_r2": _shea_r2(moments),
            "f": f,
            "f_p_value": f_p_value,
            "f_robust": f_robust,
            "f_robust_p_value": f_robust_p_value,
            "effective_f": effective,
            "effective_f_critical_value": critical[0.10],
            "effective_f_critical_value_05": critical[0.05],
            "effective_f_critical_value_20": critical[0.20],
            "effective_f_critical_value_30": critical[0.30],
            "cragg_donald_f": _cragg_donald_f(moments),
            "kleibergen_paap_f": _kleibergen_paap_f(moments),
            "n_excluded": n_excluded,
        },
        index=pd.Index(endogenous_names, name="endogenous"),
    )


def effective_f_critical_value(
    score_covariance: ArrayLike, *, bias: float = 0.10, level: float = 0.05, worst: float = 1.0
) -> float:
    """
    Conservative critical value of the effective F of Montiel Olea and Pflueger (2013).

    The hypothesis is that the Nagar bias of two-stage least squares or LIML can exceed the share
    `bias` of its worst case. The simplified procedure of the paper bounds that bias by one over the
    strength of the instruments and approximates the null distribution by a non-central
    chi-squared with a fractional number of degrees of freedom (Patnaik, 1949).

    Parameters
    ----------
    score_covariance : array_like, shape (l, l)
        Covariance, up to scale, of the first-stage coefficients on orthonormal instruments.
    bias : float, optional
        Largest tolerated bias as a share of the worst case, between 0 and 1.
    level : float, optional
        Level of the test, between 0 and 1.
    worst : float, optional
        Largest bias that the errors allow as a share of the benchmark, from
        `qbeconometrics.diagnostics.two_stage_bias.worst_relative_bias`; 1 is the bound of the
        simplified procedure.

    Returns
    -------
    float
        The instruments are called weak unless the effective F exceeds it.

    Raises
    ------
    OptionError
        If `bias` or `level` is not between 0 and 1.

    Examples
    --------
    >>> round(effective_f_critical_value([[1.0]]), 1)
    23.1
    """
    for argument, value in (("bias", bias), ("level", level)):
        if not 0.0 < value < 1.0:
            raise OptionError(f"{argument}={value!r} is not allowed: give a number in (0, 1).")
    eigenvalues = np.linalg.eigvalsh(np.asarray(score_covariance, dtype=np.float64))
    # Those of a two-way clustered covariance may be negative.
    eigenvalues = np.maximum(eigenvalues, 0.0)
    weights = eigenvalues / eigenvalues.sum()
    strength = worst / bias
    degrees = (1.0 + 2.0 * strength) / (weights @ weights + 2.0 * strength * weights.max())
    return float(chndtrix(1.0 - level, degrees, degrees * strength) / degrees)


def _robust_f(moments: FirstStageMoments, names: Sequence[str]) -> FloatArray:
    """Wald statistic over l of each endogenous regressor, shape (p,)."""
    n_excluded, values = moments.n_excluded, np.empty(moments.n_endogenous)
    for j in range(moments.n_endogenous):
        own = slice(j * n_excluded, (j + 1) * n_excluded)
        covariance = moments.score_covariance[own, own]
        values[j] = wald(moments.coefficients[:, j], covariance) / n_excluded
        if np.isnan(values[j]):
            warnings.warn(
                f"The {moments.cov_type} covariance of the first stage of {names[j]!r} is "
                "singular, so its robust F is NaN: an instrument varies in too few rows.",
                NumericalWarning,
                stacklevel=3,
            )
    return values


def _effective_f(moments: FirstStageMoments) -> tuple[float, dict[float, float]]:
    """Effective F and its critical values by bias; NaN if p > 1 or without a variance."""
    total = np.trace(moments.score_covariance)
    # Two-way clustered covariances need not be positive.
    if moments.n_endogenous > 1 or not total > 0.0:
        return float("nan"), dict.fromkeys(BIASES, float("nan"))
    effective = float(np.sum(moments.coefficients**2) / total)
    covariance = moments.score_covariance
    return effective, {bias: effective_f_critical_value(covariance, bias=bias) for bias in BIASES}


def _shea_r2(moments: FirstStageMoments) -> FloatArray:
    """Ratio of the variances of least squares and two-stage least squares, shape (p,)."""
    fitted = np.linalg.qr(moments.coefficients, mode="r")
    whole = np.linalg.qr(np.vstack([fitted, moments.residual_factor]), mode="r")
    identity = np.eye(moments.n_endogenous)
    least_squares = np.sum(solve_triangular(whole, identity) ** 2, axis=1)
    # An endogenous regressor with no fitted part at all has a Shea R-squared of zero.
    if np.any(np.diag(fitted) == 0.0):
        return np.zeros(moments.n_endogenous)
    two_stage = np.sum(solve_triangular(fitted, identity) ** 2, axis=1)
    return np.asarray(least_squares / two_stage)


def _whitened_coefficients(moments: FirstStageMoments) -> FloatArray:
    """First-stage coefficients over the residual factor, shape (l, p)."""
    return np.asarray(
        solve_triangular(moments.residual_factor, moments.coefficients.T, trans="T").T
    )


def _cragg_donald_f(moments: FirstStageMoments) -> float:
    """Smallest eigenvalue of the first-stage F matrix."""
    singular_values = np.linalg.svd(_whitened_coefficients(moments), compute_uv=False)
    return float(singular_values[-1] ** 2 * moments.df_resid / moments.n_excluded)


def _kleibergen_paap_f(moments: FirstStageMoments) -> float:
    """rk Wald statistic that the first-stage coefficients have rank p - 1, over l."""
    n_excluded, p = moments.n_excluded, moments.n_endogenous
    left, _, right = np.linalg.svd(_whitened_coefficients(moments))
    # The combination of endogenous regressors that the instruments move least, and the
    # directions of the instruments that serve none of the other combinations.
    weakest = solve_triangular(moments.residual_factor, right[-1:].T)
    covariance = moments.score_covariance.reshape(p, n_excluded, p, n_excluded)
    rank_statistic = rank_wald(moments.coefficients, covariance, left[:, p - 1 :], weakest)
    uncorrected = moments.cov_type not in ("nonrobust", "HC1")
    correction = moments.df_resid / moments.nobs if uncorrected else 1.0
    return rank_statistic / n_excluded * correction
