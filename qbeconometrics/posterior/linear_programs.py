"""Estimates and directions that are solutions of linear programs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from qbeconometrics.exceptions import NumericalError

FloatArray = NDArray[np.float64]

# An index that moves by less than this share of the largest movement stands still.
STILL = 1e-7


def quantile_regression(endog: FloatArray, exog: FloatArray, tau: float) -> FloatArray:
    """Return the coefficients (k,) that minimise the check loss.

    The dual program is solved: maximise y'a with X'a = (1 - tau) X'1 and 0 <= a <= 1, whose
    multipliers are the coefficients (Koenker and Bassett 1978, Econometrica 46, 33-50).

    Raises
    ------
    NumericalError
        If the program is not solved.
    """
    found = _solve(
        -endog,
        A_eq=exog.T,
        b_eq=(1.0 - tau) * exog.sum(axis=0),
        bounds=np.tile([0.0, 1.0], (len(endog), 1)),
    )
    return -np.asarray(found.eqlin.marginals, dtype=np.float64)


def hinge_estimate(sign: FloatArray, exog: FloatArray) -> FloatArray:
    """Return the coefficients (k,) that minimise the hinge loss; `sign` (n,) is -1 or 1.

    The dual program: maximise the sum of a with X'(s a) = 0 and 0 <= a <= 1.

    Raises
    ------
    NumericalError
        If the program is not solved.
    """
    n, k = exog.shape
    found = _solve(
        -np.ones(n),
        A_eq=(exog * sign[:, None]).T,
        b_eq=np.zeros(k),
        bounds=np.tile([0.0, 1.0], (n, 1)),
    )
    return -np.asarray(found.eqlin.marginals, dtype=np.float64)


def sinking_direction(exog: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray | None:
    """Return a direction (k,) along which every index stays between `low` and `high`.

    It is the program by which Konis (2007, DPhil thesis, University of Oxford) detects separation:
    along the direction the risk never rises, so it has no minimum or no single one.

    Parameters
    ----------
    exog : ndarray, shape (n, k)
        Of full rank, its columns of similar size.
    low, high : ndarray, shape (n,)
        Zero or infinite.

    Returns
    -------
    ndarray or None
        None if every direction moves some index beyond.

    Raises
    ------
    NumericalError
        If the program is not solved.
    """
    sense = np.where(high > 0.0, 1.0, -1.0)
    fixed = (low == 0.0) & (high == 0.0)
    moving = exog[~fixed] * sense[~fixed, None]
    equalities: dict[str, Any] = {}
    if fixed.any():
        # The rows span few directions, of which the triangle has the same null space.
        triangle = np.linalg.qr(exog[fixed], mode="r")
        equalities = {"A_eq": triangle, "b_eq": np.zeros(len(triangle))}
    if not len(moving):
        return None
    found = _solve(
        -moving.sum(axis=0) / len(moving),
        A_ub=-moving,
        b_ub=np.zeros(len(moving)),
        bounds=np.tile([-1.0, 1.0], (exog.shape[1], 1)),
        **equalities,
    )
    direction = np.asarray(found.x, dtype=np.float64)
    return direction if np.max(moving @ direction) > STILL else None


def _solve(objective: FloatArray, **program: Any) -> Any:
    found = linprog(objective, method="highs", **program)
    if found.status != 0:
        raise NumericalError(f"a linear program was not solved: {found.message}")
    return found
