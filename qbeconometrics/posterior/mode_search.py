"""Local maxima of the log quasi-posterior of a user's moment function."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from qbeconometrics.exceptions import NumericalError
from qbeconometrics.posterior.function_target import FunctionTarget
from qbeconometrics.posterior.local_normal import local_surrogate
from qbeconometrics.posterior.mode import Mode

FloatArray = NDArray[np.float64]

# Step of the central differences of the log density, in units of its standard deviation: the error
# of rounding and that of truncation are then both far below the tolerance.
DENSITY_STEP = 1e-4
GRADIENT_TOLERANCE = 1e-6
LOOSE_GRADIENT = 1e-3
# Stands in for infinity, which line searches cannot take.
UNUSABLE = 1e100
# Points closer than this, in standard deviations, are taken as one mode.
SAME_MODE = 1.0
POLISHING_ROUNDS = 3

# Of the last steps: four-point differences, whose error of truncation is of fourth order.
REFINING_STEP = 1e-3
REFINED_GRADIENT = 1e-11
REFINING_ROUNDS = 20


class Objective:
    """Minus the log density and its gradient as a function of y, with x = origin + root y."""

    def __init__(self, target: FunctionTarget, origin: FloatArray, root: FloatArray):
        self._target, self._origin, self._root = target, origin, root

    def position(self, y: FloatArray) -> FloatArray:
        """Return the scaled coordinates of `y`."""
        return self._origin + self._root @ y

    def value(self, y: FloatArray) -> float:
        """Return minus the log density, large where it is not finite."""
        point = self._target.point(self.position(y))
        return UNUSABLE if point is None else -point.log_density

    def __call__(self, y: FloatArray) -> tuple[float, FloatArray]:
        """Return the value, and its gradient by central differences."""
        value = self.value(y)
        gradient = np.zeros_like(y)
        if value == UNUSABLE:
            return value, gradient
        for j in range(len(y)):
            step = np.zeros_like(y)
            step[j] = DENSITY_STEP
            above, below = self.value(y + step), self.value(y - step)
            if max(above, below) < UNUSABLE:
                gradient[j] = (above - below) / (2.0 * DENSITY_STEP)
        return value, gradient


def climb(
    target: FunctionTarget, start: FloatArray, lower: FloatArray, upper: FloatArray
) -> Mode | None:
    """Climb from `start` within a box; None if the log density is not finite there.

    Parameters
    ----------
    target : FunctionTarget
        In coordinates along the parameters (its regressor_map is diagonal), without the box.
    start, lower, upper : ndarray, shape (k,)
        In scaled coordinates.

    Returns
    -------
    Mode or None
    """
    with np.errstate(all="ignore"):
        objective: Any = Objective(target, np.zeros(len(start)), np.eye(len(start)))
        if objective.value(start) == UNUSABLE:
            return None
        bounds = list(zip(lower.tolist(), upper.tolist(), strict=True))
        found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds)
        margin = 10.0 * DENSITY_STEP
        if ((found.x <= lower + margin) | (found.x >= upper - margin)).any():
            return Mode(found.x, -float(found.fun), bool(found.success))
        best = _polish(target, found.x)
        inside = bool(((best.point >= lower) & (best.point <= upper)).all())
        if inside and best.log_density >= -float(found.fun) - LOOSE_GRADIENT:
            return best
        return Mode(found.x, -float(found.fun), bool(found.success))


def _polish(target: FunctionTarget, start: FloatArray) -> Mode:
    """Climb the last steps in coordinates in which the log density is nearly round."""
    point, value, converged = start, -np.inf, False
    for _ in range(POLISHING_ROUNDS):
        try:
            surrogate, _ = local_surrogate(target, point)
        except NumericalError:
            break
        objective: Any = Objective(target, point, surrogate.root)
        zero = np.zeros_like(start)
        found = minimize(
            objective, zero, jac=True, method="BFGS", options={"gtol": GRADIENT_TOLERANCE}
        )
        point, value = objective.position(found.x), -float(found.fun)
        converged = bool(found.success or np.max(np.abs(found.jac)) < LOOSE_GRADIENT)
        if np.max(np.abs(found.x)) < 1.0:  # the coordinates suited the point where it ended
            break
    if not converged:
        return descend_simplex(target, point)
    return Mode(point, value, converged)


def refine(target: FunctionTarget, mode: Mode, root: FloatArray) -> Mode:
    """Follow the gradient to zero, as far as rounding lets it be seen, by Broyden's method.

    The climbs compare values, which no longer differ within 1e-8 standard deviations of a mode.

    Parameters
    ----------
    target : FunctionTarget
        Without the box.
    mode : Mode
    root : ndarray, shape (k, k)
        Lower factor of the covariance at the mode.
    """
    objective = Objective(target, mode.point, root)
    k = len(mode.point)
    steps = REFINING_STEP * np.eye(k)

    def gradient(y: FloatArray) -> FloatArray:
        near = [objective.value(y + s) - objective.value(y - s) for s in steps]
        far = [objective.value(y + 2 * s) - objective.value(y - 2 * s) for s in steps]
        return (8.0 * np.array(near) - np.array(far)) / (12.0 * REFINING_STEP)

    y, inverse = np.zeros(k), np.eye(k)
    slope = gradient(y)
    for _ in range(REFINING_ROUNDS):
        size = float(np.max(np.abs(slope)))
        move = -inverse @ slope
        # Far from zero there is a jump, or the climb has failed; near it there is rounding.
        if not REFINED_GRADIENT < size < LOOSE_GRADIENT:
            break
        new = gradient(y + move)
        if not np.max(np.abs(new)) < size:
            break
        change = inverse @ (new - slope)
        inverse += np.outer(move - change, move @ inverse) / (move @ change)
        y, slope = y + move, new
    value = -objective.value(y)
    if value < mode.log_density - GRADIENT_TOLERANCE:
        return mode
    return Mode(objective.position(y), value, mode.converged)


def descend_simplex(target: FunctionTarget, start: FloatArray) -> Mode:
    """Search without derivatives, for moments with jumps."""
    try:
        root = local_surrogate(target, start)[0].root
    except NumericalError:
        root = np.eye(len(start))
    objective = Objective(target, start, root)
    simplex = np.vstack([np.zeros(len(start)), np.eye(len(start))])
    found = minimize(
        objective.value,
        simplex[0],
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "xatol": 1e-3, "fatol": 1e-3},
    )
    return Mode(objective.position(found.x), -float(found.fun), bool(found.success))


def distinct_modes(target: FunctionTarget, modes: Iterable[Mode]) -> list[Mode]:
    """Return the modes, best first, without repetitions and without points that are no modes."""
    kept: list[Mode] = []
    roots: list[FloatArray] = []
    for mode in sorted(modes, key=lambda mode: -mode.log_density):
        distances = [
            float(np.linalg.norm(np.linalg.solve(root, mode.point - other.point)))
            for root, other in zip(roots, kept, strict=True)
        ]
        if min(distances, default=np.inf) < SAME_MODE or (kept and not mode.converged):
            continue
        try:
            root = local_surrogate(target, mode.point)[0].root
        except NumericalError:
            root = np.eye(len(mode.point))
        kept.append(mode)
        roots.append(root)
    return kept
