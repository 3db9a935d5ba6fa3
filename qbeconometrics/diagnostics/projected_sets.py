"""Projection of a two-dimensional acceptance region onto a line that includes infinity."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from qbeconometrics.diagnostics.acceptance_sets import WHOLE_LINE, Intervals

FloatArray = NDArray[np.float64]

# Points on the circle of the line and its point at infinity.
OUTER_POINTS = 240


def projected_set(
    accepted: Callable[[float], bool],
    least: Callable[[float], float],
    unit: float,
    known: Sequence[float] = (),
) -> Intervals:
    """Return the values b = unit tan(angle) of one coefficient that are accepted.

    Parameters
    ----------
    accepted : callable
        Whether some value of the other coefficient is accepted, at an angle in [-pi/2, pi/2].
    least : callable
        Least statistic over the other coefficient, at least roughly: it shows where between the
        240 angles of the grid a component might lie.
    unit : float
    known : sequence of float, optional
        Values, such as an estimate, around which a component may be narrow.

    Notes
    -----
    Ends are bisected between angles of the grid, of local minima and of the known values, so that
    another component narrower than that might be missed.
    """
    step = np.pi / OUTER_POINTS
    angles = np.linspace(-np.pi / 2, np.pi / 2, OUTER_POINTS + 1)
    profile = np.array([least(float(angle)) for angle in angles[:-1]])
    bottoms = [
        float(minimize_scalar(least, bounds=(angle - step, angle + step), method="bounded").x)
        for angle in angles[_local_minima(profile)]
    ]
    near = [float(np.arctan(value / unit)) for value in known]
    nodes = np.unique([*angles, *near, *(x for x in bottoms if abs(x) < np.pi / 2)])
    inside = [accepted(float(node)) for node in nodes]
    # Minus and plus infinity are one point, whatever rounding says.
    inside[-1] = inside[0]
    if all(inside) or not any(inside):
        return WHOLE_LINE.copy() if inside[0] else []
    change = [i for i in range(len(nodes) - 1) if inside[i] != inside[i + 1]]
    crossings = [_crossing(accepted, float(nodes[i]), float(nodes[i + 1])) for i in change]
    ends = [float(np.tan(angle) * unit) for angle in crossings]
    if inside[0]:
        ends = [-np.inf, *ends, np.inf]
    return list(zip(ends[::2], ends[1::2], strict=True))


def _crossing(accepted: Callable[[float], bool], low: float, high: float) -> float:
    """Where the answer changes, by bisection."""
    answer = accepted(low)
    for _ in range(52):
        middle = (low + high) / 2.0
        if accepted(middle) == answer:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def _local_minima(values: FloatArray) -> list[int]:
    """Positions on a circle that are no higher than their neighbours."""
    lower = (values <= np.roll(values, 1)) & (values <= np.roll(values, -1))
    return [int(i) for i in np.flatnonzero(lower)]
