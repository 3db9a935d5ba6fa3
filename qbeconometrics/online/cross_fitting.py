"""Estimates from all rows with heads that were trained on the same rows, or on other ones.

Both are functions of residuals and instruments that were computed before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from qbeconometrics.exceptions import InputError
from qbeconometrics.online.closed_form import WEAK, effects_of_null_vector, null_vector
from qbeconometrics.online.effect_moments import EffectMoments, effect_moments
from qbeconometrics.online.inference import EffectEstimate, estimate_effects, label_status


def two_pass(u1: ArrayLike, u2: ArrayLike, instruments: ArrayLike) -> EffectEstimate:
    """Return the estimate from all rows, with residuals and instruments of frozen heads.

    Parameters
    ----------
    u1, u2 : array_like, shape (n,)
    instruments : array_like, shape (n, 2)
        exp(-g1) and exp(-g2) of the frozen heads.

    Notes
    -----
    The heads saw the rows on which the moments are computed. Their error matters to second order
    only, but below some 100,000 rows it is not negligible; cross-fit then.
    """
    return estimate_effects(effect_moments(u1, u2, instruments))


@dataclass(frozen=True, slots=True)
class CrossFitted:
    """A cross-fitted estimate.

    Attributes
    ----------
    pooled : EffectEstimate
        Of the moments of all rows, each row with the heads that did not see it.
    moments : EffectMoments
        Those moments.
    by_fold : tuple of EffectEstimate
        Of each fold's rows alone; a look at how stable the estimate is.
    """

    pooled: EffectEstimate
    moments: EffectMoments
    by_fold: tuple[EffectEstimate, ...]


def cross_fitted(
    u1: ArrayLike, u2: ArrayLike, instruments: ArrayLike, folds: ArrayLike
) -> CrossFitted:
    """Return the estimate with every row's residuals and instruments from heads of other folds.

    Parameters
    ----------
    u1, u2 : array_like, shape (n,)
    instruments : array_like, shape (n, 2)
    folds : array_like of int, shape (n,)
        The fold of each row: the one left out when its heads were trained.

    Returns
    -------
    CrossFitted

    Raises
    ------
    InputError
        If there are fewer than two folds, or `folds` has another length.

    References
    ----------
    Chernozhukov, V., Chetverikov, D., Demirer, M., Duflo, E., Hansen, C., Newey, W. and Robins, J.
    (2018). Double/debiased machine learning for treatment and structural parameters. Econometrics
    Journal 21, C1-C68.
    """
    u1, u2, w = (np.asarray(part, dtype=np.float64) for part in (u1, u2, instruments))
    labels = np.asarray(folds)
    if labels.shape != u1.shape:
        raise InputError(f"folds {labels.shape} must have a value for each of {u1.shape} rows")
    names = np.unique(labels)
    if len(names) < 2:
        raise InputError("cross-fitting needs two or more folds")
    moments = effect_moments(u1, u2, w)
    parts = [labels == name for name in names]
    return CrossFitted(
        estimate_effects(moments),
        moments,
        tuple(two_pass(u1[part], u2[part], w[part]) for part in parts),
    )


def median_of_splits(estimates: Sequence[EffectEstimate]) -> EffectEstimate:
    """Return the median estimate over repeated random splits, with the spread in its covariance.

    Parameters
    ----------
    estimates : sequence of EffectEstimate
        Of the same rows, split into folds again each time. Those without a solution are left out
        unless there is no other.

    Returns
    -------
    EffectEstimate
        `params` are medians by coordinate. The covariance is the one, among those of the splits
        with the outer product of their distance from the median added, whose trace is the median.

    Notes
    -----
    Medians over splits are proposed by Chernozhukov et al. (2018), see `cross_fitted`; to order
    the covariances by their trace is ours.
    """
    if not estimates:
        raise InputError("median_of_splits needs at least one estimate")
    solved = [one for one in estimates if one.status != WEAK]
    if len(solved) * 2 <= len(estimates):
        return next(one for one in estimates if one.status == WEAK)
    params = np.median([one.params for one in solved], axis=0)
    spread = [one.covariance + np.outer(one.params - params, one.params - params) for one in solved]
    order = np.argsort([np.trace(part) for part in spread])
    covariance = spread[int(order[len(order) // 2])]
    other = effects_of_null_vector(null_vector(params)).other
    return replace(
        solved[0],
        params=params,
        covariance=covariance,
        status=label_status(params, covariance),
        other=other,
        criterion=float(np.median([one.criterion for one in solved])),
    )
