"""Confidence sets and tests of endogenous coefficients that hold however weak the instruments are.

The Anderson-Rubin test of theta asks whether the excluded instruments are uncorrelated with the
residual at theta. Under "nonrobust" it is the F test of the instruments in the regression of that
residual; under the other covariances it is the S statistic of Stock and Wright (2000), the
continuously updated criterion itself with the controls partialled out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, chdtri, fdtrc, fdtri

from qbeconometrics.diagnostics.acceptance_sets import (
    WHOLE_LINE,
    Intervals,
    ScoreLine,
    accepts_somewhere,
    profiled_quadratic_set,
    quadratic_set,
    score_set,
)
from qbeconometrics.diagnostics.concentrated_moments import ConcentratedMoments
from qbeconometrics.diagnostics.conditional_likelihood_ratio import largest_accepted
from qbeconometrics.diagnostics.convergence import check_probability
from qbeconometrics.diagnostics.projected_sets import projected_set
from qbeconometrics.exceptions import InputError, OptionError, check_choice, suggestion

FloatArray = NDArray[np.float64]

STATISTICS = ("ar", "clr")

# Points on the circle of the other coefficient, for projections without a closed form.
INNER_POINTS = 120


def robust_set(
    moments: ConcentratedMoments,
    param: str,
    *,
    alpha: float = 0.05,
    statistic: str = "ar",
) -> Intervals:
    """Return the values of one coefficient that a weak-instrument robust test does not reject.

    Parameters
    ----------
    moments : ConcentratedMoments
    param : str
        An endogenous regressor.
    alpha : float
        One minus the level.
    statistic : {"ar", "clr"}
        "ar": Anderson and Rubin (1949) F under "nonrobust", with F(l, n - q - l) critical values; S
        of Stock and Wright (2000) under the other covariances, with chi-squared(l) ones. "clr":
        conditional likelihood ratio (Moreira 2003), for one endogenous regressor under "nonrobust".

    Returns
    -------
    list of tuple of float
        Intervals in order: none if every value is rejected, infinite ends where the data do not
        bound the coefficient.

    Raises
    ------
    InputError
        If `param` is not an endogenous regressor.
    OptionError
        If the statistic does not apply.

    Notes
    -----
    With one endogenous regressor the ends are roots of polynomials: exact up to rounding. With
    several, the set is the projection of the joint set (Dufour and Taamouti 2005), which is
    conservative: exact under "nonrobust"; for two regressors under the other covariances exact in
    the other coefficient, while the ends are bisected on a grid of 240 angles of the projective
    line, refined at local minima, so that a component narrower than that might be missed.

    References
    ----------
    Anderson, T. W. and Rubin, H. (1949). Estimation of the parameters of a single equation in a
    complete system of stochastic equations. Annals of Mathematical Statistics 20, 46-63.

    Dufour, J.-M. and Taamouti, M. (2005). Projection-based statistical inference in linear
    structural models with possibly weak instruments. Econometrica 73, 1351-1365.

    Moreira, M. J. (2003). A conditional likelihood ratio test for structural models. Econometrica
    71, 1027-1048.

    Stock, J. H. and Wright, J. H. (2000). GMM with weak identification. Econometrica 68, 1055-1096.
    """
    alpha = check_probability(alpha, "alpha")
    check_choice(statistic, STATISTICS, "statistic")
    if param not in moments.names:
        raise InputError(
            f"{param!r} is not an endogenous regressor.{suggestion(param, moments.names)} "
            f"Robust sets are of: {', '.join(moments.names)}."
        )
    if moments.df_resid <= 0:
        raise InputError(
            f"a robust set needs more rows than controls and instruments; there are {moments.n}"
        )
    place = moments.names.index(param)
    if statistic == "clr":
        found = _conditional_set(moments, alpha)
    elif moments.covariance is None:
        found = profiled_quadratic_set(_f_test_form(moments, alpha), place)
    elif moments.n_endogenous == 1:
        critical = float(chdtri(moments.n_excluded, alpha))
        found = score_set(moments.cross, moments.covariance, moments.n, critical)
    elif moments.n_endogenous == 2:
        found = _projected_score_set(moments, place, float(chdtri(moments.n_excluded, alpha)))
    else:
        raise OptionError(
            f"robust sets with {moments.n_endogenous} endogenous regressors are there for "
            "cov_type='nonrobust' only; test joint values with robust_pvalue instead"
        )
    # theta = centre + b, since v = (1, centre - theta).
    shift = float(moments.centre[place])
    return [(float(low + shift), float(high + shift)) for low, high in found]


def robust_pvalues(moments: ConcentratedMoments, theta: FloatArray) -> FloatArray:
    """Return p-values of the Anderson-Rubin test of all endogenous coefficients at once.

    Parameters
    ----------
    moments : ConcentratedMoments
    theta : ndarray, shape (points, p)

    Returns
    -------
    ndarray, shape (points,)
    """
    values = joint_statistic(moments, moments.homogeneous(theta))
    if moments.covariance is None:
        return np.asarray(fdtrc(moments.n_excluded, moments.df_resid, values))
    return np.asarray(chdtrc(moments.n_excluded, values))


def robust_pvalue(moments: ConcentratedMoments, values: Mapping[str, float] | float) -> float:
    """Return the p-value at one value of every endogenous coefficient, given by name.

    Parameters
    ----------
    moments : ConcentratedMoments
    values : dict of str to float, or float
        A number if there is one endogenous regressor.

    Raises
    ------
    InputError
        If a coefficient is missing or is no endogenous one, or a value is not finite.
    """
    if not isinstance(values, Mapping):
        if moments.n_endogenous != 1:
            raise InputError(f"give a dict with a value for each of: {', '.join(moments.names)}")
        values = {moments.names[0]: values}
    if set(values) != set(moments.names):
        raise InputError(
            f"values names {', '.join(map(repr, values))}; needed is each of the endogenous "
            f"regressors once: {', '.join(map(repr, moments.names))}"
        )
    theta = np.array([float(values[name]) for name in moments.names])
    if not np.isfinite(theta).all():
        raise InputError("values must be finite numbers")
    return float(robust_pvalues(moments, theta)[0])


def joint_statistic(moments: ConcentratedMoments, points: FloatArray) -> FloatArray:
    """Return the F under "nonrobust", else S, at `points` v (points, p + 1)."""
    if moments.covariance is not None:
        return moments.criterion(points)
    fitted, rest = moments.fitted_and_rest()
    numerator = np.einsum("ia,ab,ib->i", points, fitted, points) / moments.n_excluded
    denominator = np.einsum("ia,ab,ib->i", points, rest, points) / moments.df_resid
    return np.asarray(numerator / denominator)


def _f_test_form(moments: ConcentratedMoments, alpha: float) -> FloatArray:
    """F with v'Fv <= 0 where the F test does not reject."""
    L, df = moments.n_excluded, moments.df_resid
    fitted, rest = moments.fitted_and_rest()
    return fitted * (df / L) - float(fdtri(L, df, 1.0 - alpha)) * rest


def _conditional_set(moments: ConcentratedMoments, alpha: float) -> Intervals:
    if moments.covariance is not None:
        raise OptionError(
            "statistic='clr' is for homoskedastic errors: use cov_type='nonrobust', or "
            "statistic='ar'"
        )
    if moments.n_endogenous != 1:
        raise OptionError(
            f"statistic='clr' is for one endogenous regressor, not {moments.n_endogenous}; use 'ar'"
        )
    fitted, rest = moments.fitted_and_rest()
    root = np.linalg.cholesky(rest)
    eigenvalues = np.linalg.eigvalsh(np.linalg.solve(root, np.linalg.solve(root, fitted).T))
    low, high = np.maximum(eigenvalues * moments.df_resid, 0.0)
    largest = largest_accepted(float(low), float(high), moments.n_excluded, alpha)
    if largest >= high:
        return WHOLE_LINE.copy()
    return quadratic_set(moments.df_resid * fitted - largest * rest)


def _projected_score_set(moments: ConcentratedMoments, place: int, critical: float) -> Intervals:
    """Values of one of two coefficients at which some value of the other is not rejected.

    The first coefficient is scale times the tangent of an angle, so that infinity is an angle too.
    At each angle the question is answered exactly; angles are taken from a grid, and where the
    least statistic over the other coefficient has a local minimum between them.
    """
    assert moments.covariance is not None
    covariance = moments.covariance
    size = np.sqrt(np.diag(moments.gram))
    own, rest = size[0] / size[1 + place], size[0] / size[2 - place]
    ahead = np.zeros(3)
    ahead[2 - place] = -rest

    def start(angle: float) -> FloatArray:
        point = np.zeros(3)
        point[0], point[1 + place] = np.cos(angle), -np.sin(angle) * own
        return point

    def accepted(angle: float) -> bool:
        ends = np.column_stack([start(angle), ahead])
        pairs = np.einsum("ac,bd,abjk->cdjk", ends, ends, covariance)
        return accepts_somewhere(ScoreLine(moments.cross @ ends, pairs, moments.n, critical))

    turns = np.linspace(-np.pi / 2, np.pi / 2, INNER_POINTS, endpoint=False)

    def least(angle: float) -> float:
        points = np.cos(turns)[:, None] * start(angle) + np.sin(turns)[:, None] * ahead
        values = moments.criterion(points)
        return float(np.where(np.isfinite(values), values, 0.0).min())

    return projected_set(accepted, least, own)
