"""What the rows and the moments say of one coefficient: first stage and criterion."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.plots.style import COLOUR, OTHER_COLOURS, hide_frame, small_legend

FloatArray = NDArray[np.float64]

MOST_POINTS = 3000
MOST_BINS, ROWS_A_BIN = 20, 8


def draw_first_stage(
    axis: Any,
    fitted: FloatArray,
    regressor: FloatArray,
    *,
    x_label: str,
    y_label: str,
    slope: float,
) -> None:
    """Draw a regressor against what moves it, controls out of both, with means of bins.

    Parameters
    ----------
    axis : Axes
    fitted, regressor : ndarray, shape (n,)
    x_label, y_label : str
    slope : float
        Of the line through the origin.
    """
    step = -(-len(fitted) // MOST_POINTS)
    many = len(fitted) > 300
    axis.plot(
        fitted[::step],
        regressor[::step],
        ".",
        color=COLOUR,
        alpha=0.35 if many else 0.6,
        markersize=4 if many else 6,
        markeredgewidth=0,
        rasterized=True,
        label="rows" if step == 1 else f"one row in {step}",
    )
    centres, means = bin_means(fitted, regressor)
    axis.plot(
        centres, means, "o", color="white", markeredgecolor="black", markersize=5,
        label="means of bins",
    )  # fmt: skip
    ends = np.array([fitted.min(), fitted.max()])
    axis.plot(ends, slope * ends, color=OTHER_COLOURS[0], linewidth=1.6, label="first stage")
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)
    hide_frame(axis)
    small_legend(axis)


def bin_means(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means of x and y in bins of x that hold about as many rows each; equal x stay together.

    Examples
    --------
    >>> bin_means(np.array([0.0, 0, 1, 1]), np.array([1.0, 3, 5, 6]))
    (array([0., 1.]), array([2. , 5.5]))
    """
    bins = int(np.clip(len(x) // ROWS_A_BIN, 2, MOST_BINS))
    edges = np.quantile(x, np.linspace(0, 1, bins + 1)[1:-1])
    # Values that differ by rounding, as those of dummies may, stay together.
    closest = np.ptp(x) / (2 * MOST_BINS)
    apart = [float(edges[0]) + closest / 10]
    for edge in edges[1:]:
        if edge - apart[-1] > closest:
            apart.append(float(edge) + closest / 10)
    place = np.searchsorted(np.array(apart), x, side="left")
    counts = np.bincount(place)
    filled = counts > 0
    return (
        np.bincount(place, x)[filled] / counts[filled],
        np.bincount(place, y)[filled] / counts[filled],
    )


def draw_profile(
    axis: Any,
    grid: FloatArray,
    criteria: dict[str, FloatArray],
    *,
    name: str,
    level: float,
    level_label: str,
) -> None:
    """Draw criteria (points,) over the grid of a parameter, and the level above the lowest.

    Parameters
    ----------
    axis : Axes
    grid : ndarray, shape (points,)
    criteria : dict of str to ndarray
        By label, each minimised over the other parameters.
    name : str
    level : float
        Critical value that is added to the lowest point of the first criterion.
    level_label : str
    """
    styles = ((COLOUR, "-"), (OTHER_COLOURS[0], "--"))
    for (label, values), (colour, style) in zip(criteria.items(), styles, strict=False):
        axis.plot(grid, values, color=colour, linestyle=style, linewidth=1.6, label=label)
    first = next(iter(criteria.values()))
    lowest = float(np.nanmin(first))
    axis.axhline(lowest + level, color="black", linewidth=0.8, linestyle=":", label=level_label)
    axis.set_xlim(grid[0], grid[-1])
    # A parabola far above the level says nothing more.
    top = min(lowest + 4.0 * level, max(float(np.nanmax(v)) for v in criteria.values()) * 1.05)
    axis.set_ylim(max(0.0, lowest - 0.15 * level), max(top, lowest + 1.3 * level))
    axis.set_xlabel(name)
    axis.set_ylabel("criterion")
    hide_frame(axis)
    small_legend(axis)
