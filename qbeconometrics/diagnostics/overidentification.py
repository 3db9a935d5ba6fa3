"""Hansen's J: do the moments agree with each other?"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from qbeconometrics.exceptions import NumericalWarning, check_choice
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.linear import LinearMomentStatistic, ScaledRows
from qbeconometrics.moments.nonlinear import MomentFunction
from qbeconometrics.moments.row_covariance import RowCovariance
from qbeconometrics.posterior.mode import find_mode
from qbeconometrics.posterior.nonlinear import build_nonlinear_posterior
from qbeconometrics.posterior.quasi_posterior import build_quasi_posterior
from qbeconometrics.posterior.resolved_prior import ResolvedPrior, no_prior
from qbeconometrics.posterior.surrogate import normal_surrogate

J_WEIGHTS = ("two-step", "cue")


class JStatistic(NamedTuple):
    """Test of over-identifying restrictions.

    Attributes
    ----------
    value : float
        n gbar' S^-1 gbar at its minimiser.
    df : int
        m - k.
    pvalue : float
        From chi-square(df); NaN if df is 0.
    """

    value: float
    df: int
    pvalue: float

    @classmethod
    def of(cls, value: float, df: int) -> JStatistic:
        """Return the statistic with its p-value."""
        return cls(float(value), df, float(stats.chi2.sf(value, df)) if df > 0 else float("nan"))


def j_statistic(
    statistic: LinearMomentStatistic,
    rows: ScaledRows | None,
    *,
    rule: CovarianceRule,
    weight: str = "two-step",
) -> JStatistic:
    """Return J with a fixed or a continuously updated weight; no prior, no determinant.

    Parameters
    ----------
    statistic : LinearMomentStatistic
    rows : ScaledRows or None
        Needed if the statistic has no fourth-order sums and the rule is HC.
    rule : CovarianceRule
    weight : {"two-step", "cue"}
        "two-step": S at the two-stage least squares estimate (Hansen 1982); "cue": S updated with
        the coefficients, minimised from the two-step estimate (Hansen, Heaton & Yaron 1996).

    Returns
    -------
    JStatistic

    Warns
    -----
    NumericalWarning
        If the continuously updated criterion was not minimised.
    """
    check_choice(weight, J_WEIGHTS, "weight")
    posterior = build_quasi_posterior(
        statistic,
        rows,
        rule=rule,
        quasi_likelihood="cue-nodet" if weight == "cue" else "two-step",
        learning_rate=1.0,
        prior=no_prior([""] * statistic.k),
    )
    degrees = statistic.m - statistic.k
    if weight == "cue" and degrees > 0:
        mode = find_mode(posterior.target)
        if not mode.converged:
            warnings.warn(
                "the continuously updated criterion has no minimum near the two-step estimate; its "
                "J is an upper bound",
                NumericalWarning,
                stacklevel=3,
            )
        value = -2.0 * mode.log_density
    else:
        surrogate = normal_surrogate(posterior.target, np.zeros(statistic.k))
        value = -2.0 * float(posterior.target.evaluate(surrogate.mean[None, :])[0][0])
    return JStatistic.of(value, degrees)


def nonlinear_j_statistic(
    function: MomentFunction,
    *,
    start: NDArray[np.float64],
    rule: CovarianceRule,
    prior: ResolvedPrior,
    first_step: NDArray[np.float64],
    weight: str = "two-step",
    covariance: RowCovariance | None = None,
    one_step: NDArray[np.float64] | None = None,
) -> JStatistic:
    """Return J of user-written moments, minimised from the first-step estimate.

    Parameters
    ----------
    function : MomentFunction
    start : ndarray, shape (k,)
    rule : CovarianceRule
    prior : ResolvedPrior
        Of which only the box is kept.
    first_step : ndarray, shape (m, m)
        Covariance whose inverse is the weight of the first step.
    weight : {"two-step", "cue"}
        As in `j_statistic`.
    covariance, one_step
        As in `build_nonlinear_posterior`.

    Returns
    -------
    JStatistic
    """
    check_choice(weight, J_WEIGHTS, "weight")
    posterior = build_nonlinear_posterior(
        function,
        start=start,
        rule=rule,
        quasi_likelihood="cue-nodet" if weight == "cue" else "two-step",
        learning_rate=1.0,
        prior=replace(no_prior([""] * function.k), lower=prior.lower, upper=prior.upper),
        first_step=first_step,
        dispersed_starts=0,
        covariance=covariance,
        one_step=one_step,
    )
    degrees = function.m - function.k
    value = -2.0 * posterior.find_mode().log_density
    return JStatistic.of(value, degrees)
