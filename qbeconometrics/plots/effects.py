"""Two effects on each other: the set that data do not reject, dependence on x, learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.plots.style import (
    BAND_COLOUR,
    COLOUR,
    OTHER_COLOURS,
    OTHER_STYLES,
    hide_frame,
    small_legend,
)

FloatArray = NDArray[np.float64]


def draw_region(
    axis: Any,
    b12: FloatArray,
    slices: Sequence[Sequence[tuple[float, float]]],
    params: FloatArray,
    level: str,
    labels: tuple[str, str],
) -> None:
    """Draw the joint set of two effects.

    Parameters
    ----------
    axis : Axes
    b12 : ndarray, shape (points,)
    slices : sequence of sequence of (low, high)
        Values of b21 in the set, at each b12.
    params : ndarray, shape (2,)
        The estimate; NaN is not drawn.
    level : str
        Such as "95 %".
    labels : tuple of str
        Of the axes.
    """
    most = max(map(len, slices), default=0)
    bounds = np.full((most, 2, len(b12)), np.nan)
    for point, pieces in enumerate(slices):
        for place, piece in enumerate(pieces):
            bounds[place, :, point] = piece
    for place, (low, high) in enumerate(bounds):
        name = f"{level} robust set" if place == 0 else None
        axis.fill_between(b12, low, high, color=BAND_COLOUR, linewidth=0.0, label=name)
        for edge in (low, high):
            axis.plot(b12, edge, color=COLOUR, linewidth=0.8)
    if np.isfinite(params).all():
        axis.plot(*params, "o", color=COLOUR, markersize=4, label="estimate")
    axis.set_xlabel(labels[0])
    axis.set_ylabel(labels[1])
    hide_frame(axis)
    # The set leans to the left where both variables dampen each other, as most do.
    small_legend(axis, loc="upper right")


def draw_dependence(
    axis: Any,
    grid: FloatArray,
    values: FloatArray,
    names: Sequence[str],
    labels: tuple[str, str],
) -> None:
    """Draw averages by outcome against one regressor.

    Parameters
    ----------
    axis : Axes
    grid : ndarray, shape (points,)
    values : ndarray, shape (points, outcomes)
    names : sequence of str
        Of the outcomes.
    labels : tuple of str
        Of the axes.
    """
    colours = (COLOUR, OTHER_COLOURS[0])
    styles = ("-", OTHER_STYLES[0])
    for column, name, colour, style in zip(values.T, names, colours, styles, strict=True):
        axis.plot(grid, column, color=colour, linestyle=style, label=name)
    axis.set_xlabel(labels[0])
    axis.set_ylabel(labels[1])
    hide_frame(axis)
    small_legend(axis)


def draw_learning_curve(
    axis: Any, rows: FloatArray, effects: FloatArray, names: Sequence[str]
) -> None:
    """Draw how the effects moved.

    Parameters
    ----------
    axis : Axes
    rows : ndarray, shape (points,)
    effects : ndarray, shape (points, 2)
    names : sequence of str
    """
    draw_dependence(axis, rows, effects, names, ("rows", "effect"))
    if len(rows) > 1 and rows[-1] >= 20 * rows[0]:
        axis.set_xscale("log")
