"""Do the data bound the endogenous coefficients, and does the posterior stay where they do?

Far out in the direction of an endogenous coefficient the continuously updated criterion tends to a
finite limit. Where that limit is below the critical value of the robust test, the data do not rule
out infinity, and how far the quasi-posterior reaches is the prior's doing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigvalsh
from scipy.special import chdtri, fdtri

from qbeconometrics.diagnostics.acceptance_sets import Intervals
from qbeconometrics.diagnostics.concentrated_moments import ConcentratedMoments
from qbeconometrics.diagnostics.robust_sets import joint_statistic, robust_set

FloatArray = NDArray[np.float64]

LEVEL = 0.05

# Directions of infinity that are tried with two endogenous regressors.
DIRECTIONS = 360

# Draws that are looked at: a share then has a standard error of at most 0.011. Fewer where there
# are many instruments: the work is points times l^3.
MOST_POINTS, FEWEST_POINTS = 2_000, 500
MOST_OPERATIONS = 2e9
NUMBERS_AT_A_TIME = 2_000_000


@dataclass(frozen=True, slots=True)
class WeakIdentification:
    """What the 95 per cent Anderson-Rubin set says of a quasi-posterior.

    Attributes
    ----------
    names : tuple of str
        Endogenous regressors, p of them.
    at_mode : float
        Criterion n g'S^-1 g at the mode, controls partialled out.
    at_infinity : ndarray, shape (p,)
        Its limit as one coefficient grows and the others stay.
    unbounded : tuple of str
        Endogenous regressors whose coefficient the joint set does not bound.
    share_outside : float
        Posterior mass outside the joint set.
    intervals : list of tuple of float, or None
        The set, if there is one endogenous regressor.
    empty : bool
        Whether the set is empty; with several endogenous regressors, whether it holds no draw, not
        the mode and not the two-stage least squares estimate.
    """

    names: tuple[str, ...]
    at_mode: float
    at_infinity: FloatArray
    unbounded: tuple[str, ...]
    share_outside: float
    intervals: Intervals | None
    empty: bool


def weak_identification(
    moments: ConcentratedMoments, draws: FloatArray, mode: FloatArray
) -> WeakIdentification:
    """Compare posterior draws with the 95 per cent Anderson-Rubin set.

    Parameters
    ----------
    moments : ConcentratedMoments
        Of p endogenous regressors and l excluded instruments.
    draws : ndarray, shape (points, p)
        Of the endogenous coefficients; thinned, evenly, to about 2,000.
    mode : ndarray, shape (p,)

    Returns
    -------
    WeakIdentification
    """
    p = moments.n_endogenous
    L = moments.n_excluded
    if moments.covariance is None:
        critical = float(fdtri(L, moments.df_resid, 1.0 - LEVEL))
    else:
        critical = float(chdtri(L, LEVEL))
    axes = np.eye(p + 1)[1:]
    bounded = joint_statistic(moments, axes) > critical
    # The joint set may reach infinity between the axes only: then along every one of them.
    if _weakest(moments) <= critical:
        bounded[:] = False
    kept = int(np.clip(MOST_OPERATIONS / L**3, FEWEST_POINTS, MOST_POINTS))
    thinned = draws[:: max(1, len(draws) // kept)]
    rejected = _statistic_of_draws(moments, thinned) > critical
    tried = np.vstack([moments.centre, mode])
    points_accepted = joint_statistic(moments, moments.homogeneous(tried)) <= critical
    intervals = robust_set(moments, moments.names[0], alpha=LEVEL) if p == 1 else None
    accepted = not rejected.all() or bool(points_accepted.any()) or not bounded.all()
    return WeakIdentification(
        names=moments.names,
        at_mode=float(moments.criterion(moments.homogeneous(mode))[0]),
        at_infinity=moments.criterion(axes),
        unbounded=tuple(
            name for name, inside in zip(moments.names, bounded, strict=True) if not inside
        ),
        share_outside=float(rejected.mean()),
        intervals=intervals,
        empty=not accepted if intervals is None else not intervals,
    )


def _statistic_of_draws(moments: ConcentratedMoments, draws: FloatArray) -> FloatArray:
    step = max(1, NUMBERS_AT_A_TIME // moments.n_excluded**2)
    parts = [
        joint_statistic(moments, moments.homogeneous(draws[start : start + step]))
        for start in range(0, len(draws), step)
    ]
    return np.concatenate(parts)


def _weakest(moments: ConcentratedMoments) -> float:
    """Least value of the statistic at infinity that can be found."""
    p = moments.n_endogenous
    if moments.covariance is None:
        fitted, rest = (part[1:, 1:] for part in moments.fitted_and_rest())
        scale = np.sqrt(np.diag(rest))
        smallest = eigvalsh(fitted / np.outer(scale, scale), rest / np.outer(scale, scale))[0]
        return float(smallest) * moments.df_resid / moments.n_excluded
    directions = np.eye(p + 1)[1:]
    if p == 2:
        turns = np.linspace(0.0, np.pi, DIRECTIONS, endpoint=False)
        size = np.sqrt(np.diag(moments.gram))[1:]
        plane = np.column_stack([np.cos(turns), np.sin(turns)]) / size
        directions = np.column_stack([np.zeros(DIRECTIONS), plane])
    return float(np.nanmin(joint_statistic(moments, directions)))
