"""Estimates of the two effects from moments, their covariances, and how strong the data are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from qbeconometrics.exceptions import InputError
from qbeconometrics.online.closed_form import (
    LABEL_AMBIGUOUS,
    OK,
    WEAK,
    Effects,
    effects_of_null_vector,
    null_vector,
    smallest_direction,
)
from qbeconometrics.online.effect_moments import EffectMoments

FloatArray = NDArray[np.float64]

# Standard errors between b12 b21 and -1 below which the data do not tell the labels apart.
LABEL_MARGIN = 3.0


@dataclass(frozen=True, slots=True)
class EffectEstimate:
    """Estimated effects.

    Attributes
    ----------
    params : ndarray, shape (2,)
        (b12, b21) with |b12 b21| < 1; NaN if the status is "weak".
    covariance : ndarray, shape (2, 2)
        NaN if "weak". Under "label-ambiguous" it is that of one label's estimate, and no interval
        should be formed from it.
    status : {"ok", "weak", "label-ambiguous"}
        "label-ambiguous": b12 b21 is less than three standard errors from -1.
    other : tuple of float
        The estimate under the other label, (1/b21, 1/b12).
    criterion : float
        n g'S^-1 g at the estimate: zero for two instruments, NaN if "weak".
    n, n_instruments : int
    """

    params: FloatArray
    covariance: FloatArray
    status: str
    other: tuple[float, float]
    criterion: float
    n: int
    n_instruments: int

    @property
    def bse(self) -> FloatArray:
        """Standard errors, (2,)."""
        return np.sqrt(np.diag(self.covariance))


def identification_strength(log_variance1: ArrayLike, log_variance2: ArrayLike) -> float:
    """Return kappa = E exp(2r) E exp(-2r) - 1 with 2r = g1 - g2: zero if that is constant.

    The information on both effects is proportional to functions of kappa (`information_covariance`)
    and zero with it. With estimated log variances it is biased upwards, by some multiple of the
    number of features over n.

    Parameters
    ----------
    log_variance1, log_variance2 : array_like, shape (n,)
        g1 and g2 at the rows.

    Examples
    --------
    >>> round(identification_strength([0.0, np.log(2.0)], [0.0, 0.0]), 4)
    0.125
    """
    forward, backward = _ratio_means(log_variance1, log_variance2)
    return forward * backward - 1.0


def _ratio_means(log_variance1: ArrayLike, log_variance2: ArrayLike) -> tuple[float, float]:
    """E exp(g1 - g2) and E exp(g2 - g1)."""
    log_ratio = np.asarray(log_variance1, np.float64) - np.asarray(log_variance2, np.float64)
    if log_ratio.size == 0 or not np.isfinite(log_ratio).all():
        raise InputError("log variances must be finite numbers, one a row")
    return float(np.mean(np.exp(log_ratio))), float(np.mean(np.exp(-log_ratio)))


def information_covariance(
    params: ArrayLike, log_variance1: ArrayLike, log_variance2: ArrayLike, n: int | None = None
) -> FloatArray:
    """Return the inverse of n times the efficient information on (b12, b21).

    Parameters
    ----------
    params : array_like, shape (2,)
    log_variance1, log_variance2 : array_like, shape (rows,)
        Log error variances g1 and g2; their means over these rows stand for expectations.
    n : int, optional
        Rows of the estimate; default those given.

    Returns
    -------
    ndarray, shape (2, 2)
        NaN if kappa is zero.

    Notes
    -----
    With means and variances projected out, and E(e1^2 e2^2|x) = exp(g1 + g2), the information is
    (1 - b12 b21)^-2 [E exp(g2 - g1), 1; 1, E exp(g1 - g2)]; derived for this package. Use
    `sandwich_covariance` where the squares of the errors may depend on each other.

    Examples
    --------
    >>> information_covariance([0.0, 0.0], [0.0, np.log(2.0)], [0.0, 0.0]).round(4)
    array([[ 6., -4.],
           [-4.,  3.]])
    """
    rows = np.size(log_variance1) if n is None else n
    return covariance_of_ratios(params, _ratio_means(log_variance1, log_variance2), rows)


def covariance_of_ratios(
    params: ArrayLike, variance_ratios: tuple[float, float], n: int
) -> FloatArray:
    """Return `information_covariance` from the means of exp(g1 - g2) and exp(g2 - g1).

    Parameters
    ----------
    params : array_like, shape (2,)
    variance_ratios : tuple of float
    n : int

    Returns
    -------
    ndarray, shape (2, 2)
        NaN if kappa is zero.
    """
    b12, b21 = np.asarray(params, dtype=np.float64)
    forward, backward = variance_ratios
    kappa = forward * backward - 1.0
    if not kappa > 0.0:
        return np.full((2, 2), np.nan)
    adjugate = np.array([[forward, -1.0], [-1.0, backward]])
    return np.asarray((1.0 - b12 * b21) ** 2 / (kappa * n) * adjugate)


def sandwich_covariance(params: ArrayLike, moments: EffectMoments) -> FloatArray:
    """Return (J'S^-1 J)^-1 / n, where J = d mean(w e1 e2)/d(b12, b21); J^-1 S J^-1'/n if m = 2.

    Parameters
    ----------
    params : array_like, shape (2,)
    moments : EffectMoments

    Returns
    -------
    ndarray, shape (2, 2)
        NaN if a matrix is singular.
    """
    b12, b21 = np.asarray(params, dtype=np.float64)
    J = moments.mean @ np.array([[b21, b12], [0.0, -1.0], [-1.0, 0.0]])
    _, S = moments.at(null_vector([[b12, b21]]))
    try:
        white = np.linalg.solve(np.linalg.cholesky(S[0]), J)
        root = np.linalg.inv(np.linalg.qr(white, mode="r"))
    except np.linalg.LinAlgError:
        return np.full((2, 2), np.nan)
    return np.asarray(root @ root.T / moments.n)


def estimate_effects(moments: EffectMoments) -> EffectEstimate:
    """Return the effects that solve, or with more than two instruments best solve, the moments.

    Parameters
    ----------
    moments : EffectMoments

    Returns
    -------
    EffectEstimate

    Notes
    -----
    Two instruments: the closed form of `closed_form.solve_effects`. More: the continuously updated
    criterion of Hansen, Heaton and Yaron (1996), minimised over directions of
    (1 + b12 b21, -b21, -b12) from the closed form, so that nothing depends on the label of the
    errors. The covariance is `sandwich_covariance`.

    References
    ----------
    Hansen, L. P., Heaton, J. and Yaron, A. (1996). Finite-sample properties of some alternative GMM
    estimators. Journal of Business & Economic Statistics 14, 262-280.
    """
    if moments.n_instruments == 2:
        found = effects_of_null_vector(smallest_direction(moments.mean))
        criterion = 0.0
    else:
        found, criterion = _updated(moments)
    covariance = np.full((2, 2), np.nan)
    status = found.status
    if status != WEAK:
        covariance = sandwich_covariance(found.params, moments)
        status = label_status(found.params, covariance)
    return EffectEstimate(
        found.params,
        covariance,
        status,
        found.other,
        float("nan") if status == WEAK else criterion,
        moments.n,
        moments.n_instruments,
    )


def label_status(params: ArrayLike, covariance: FloatArray) -> str:
    """Return "ok", or "label-ambiguous" if b12 b21 is less than 3 standard errors above -1.

    "weak" if the covariance is not finite.
    """
    b12, b21 = np.asarray(params, dtype=np.float64)
    slope = np.array([b21, b12])
    variance = float(slope @ covariance @ slope)
    if not np.isfinite(variance):
        return WEAK
    near = 1.0 + b12 * b21 < LABEL_MARGIN * np.sqrt(max(variance, 0.0))
    return LABEL_AMBIGUOUS if near else OK


def _updated(moments: EffectMoments) -> tuple[Effects, float]:
    """Minimiser of the continuously updated criterion and its value."""
    scaled, sizes = moments.standardised()
    start = np.linalg.svd(scaled.mean)[2][2]
    beside = np.linalg.svd(start[None, :])[2][1:]

    def value_and_slope(t: FloatArray) -> tuple[float, FloatArray]:
        v = start + t @ beside
        g, S = scaled.at(v[None, :])
        h = np.linalg.solve(S[0], g[0])
        turned = np.einsum("abij,b,i,j->a", scaled.covariance, v, h, h)
        return float(g[0] @ h), (2.0 * (h @ scaled.mean) - 2.0 * turned) @ beside.T

    try:
        result = minimize(
            value_and_slope, np.zeros(2), jac=True, method="BFGS", options={"gtol": 1e-10}
        )
    except np.linalg.LinAlgError:
        return effects_of_null_vector(np.zeros(3)), float("nan")
    v = (start + result.x @ beside) / np.array([sizes[0] * sizes[1], sizes[0] ** 2, sizes[1] ** 2])
    return effects_of_null_vector(v), scaled.n * float(result.fun)
