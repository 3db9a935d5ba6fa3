"""Laws of parameters: densities with what they are compared to, intervals and pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from qbeconometrics.plots.style import (
    COLOUR,
    INTERVAL_COLOUR,
    OTHER_COLOURS,
    hide_frame,
    small_legend,
)

FloatArray = NDArray[np.float64]

GRID = 512
# Share of the draws left out on each side of the picture.
OUTSIDE = 0.001
MOST_POINTS = 2000
SET_COLOUR = "#e9b872"


@dataclass(frozen=True, slots=True)
class LawPanel:
    """One parameter.

    Attributes
    ----------
    name : str
    draws : ndarray, shape (N,)
    interval : tuple of float
        Shaded under the density.
    interval_label : str
    exact : tuple of float or None
        Mean and standard deviation of a law that is exactly normal.
    prior : tuple of float or None
        Location, scale and degrees of freedom: see `marginal_density`.
    normal : tuple of float or None
        Mean and standard deviation of the asymptotic normal.
    robust_set : sequence of (float, float) or None
        Intervals, possibly none and possibly infinite.
    set_label : str
    """

    name: str
    draws: FloatArray
    interval: tuple[float, float]
    interval_label: str
    exact: tuple[float, float] | None = None
    prior: tuple[float, float, float] | None = None
    normal: tuple[float, float] | None = None
    robust_set: Sequence[tuple[float, float]] | None = None
    set_label: str = field(default="robust set")


def draw_law(axis: Any, panel: LawPanel, *, legend: bool = True) -> None:
    """Draw the density of one parameter, its interval, and what it is compared to."""
    low, high = _range(panel)
    grid = np.linspace(low, high, GRID)
    density = _density(panel, grid)
    if density is None:
        axis.axvline(panel.draws[0], color=COLOUR, label="all draws")
    else:
        inside = (grid >= panel.interval[0]) & (grid <= panel.interval[1])
        axis.fill_between(
            grid, density, where=inside, color=INTERVAL_COLOUR, linewidth=0,
            label=panel.interval_label,
        )  # fmt: skip
        axis.plot(grid, density, color=COLOUR, linewidth=1.6, label="posterior")
    others = []
    if panel.normal is not None:
        others.append(("asymptotic normal", "--", norm.pdf(grid, *panel.normal)))
    if panel.prior is not None:
        others.append(("prior", ":", marginal_density(grid, *panel.prior)))
    for (label, style, values), colour in zip(others, OTHER_COLOURS, strict=False):
        axis.plot(grid, values, color=colour, linestyle=style, linewidth=1.3, label=label)
    axis.margins(y=0.05)
    axis.set_xlim(low, high)
    axis.locator_params(axis="x", nbins=5)
    top = axis.get_ylim()[1]
    axis.set_ylim(0.0, top)
    if panel.robust_set is not None:
        _draw_set(axis, panel.robust_set, panel.set_label, top)
    axis.set_xlabel(panel.name)
    axis.set_yticks([])
    hide_frame(axis, ("top", "right", "left"))
    if legend:
        small_legend(axis)


def draw_forest(
    axis: Any,
    names: Sequence[str],
    centres: FloatArray,
    inner: FloatArray,
    outer: FloatArray,
    labels: tuple[str, str],
) -> None:
    """Draw intervals (k, 2) of parameters under each other, the first on top."""
    places = np.arange(len(names))[::-1]
    axis.hlines(places, *outer.T, color=COLOUR, linewidth=1.2, label=labels[1])
    axis.hlines(places, *inner.T, color=COLOUR, linewidth=3.6, label=labels[0])
    axis.plot(
        centres, places, "o", markersize=5, markerfacecolor="white", markeredgecolor=COLOUR,
        label="median",
    )  # fmt: skip
    axis.axvline(0.0, color="black", linewidth=0.6, zorder=0)
    axis.set_yticks(places, names)
    axis.set_ylim(-0.6, len(names) - 0.4)
    axis.tick_params(left=False)
    hide_frame(axis, ("top", "right", "left"))
    small_legend(axis, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)


def draw_pairs(axes: Any, names: Sequence[str], draws: FloatArray) -> None:
    """Draw draws (N, k) pair by pair below the diagonal, densities on it, nothing above."""
    k = len(names)
    step = -(-len(draws) // MOST_POINTS)
    thinned = draws[::step]
    limits = [_limits(draws[:, j]) for j in range(k)]
    for row in range(k):
        for column in range(k):
            axis = axes[row, column]
            if column > row:
                axis.set_visible(False)
                continue
            axis.set_xlim(*limits[column])
            if row == column:
                grid = np.linspace(*limits[row], GRID)
                density = kernel_density(draws[:, row], grid)
                if density is not None:
                    axis.fill_between(grid, density, color=INTERVAL_COLOUR, linewidth=0)
                    axis.plot(grid, density, color=COLOUR, linewidth=1.2)
                axis.set_ylim(bottom=0.0)
                axis.set_yticks([])
                hide_frame(axis, ("top", "right", "left"))
            else:
                axis.plot(
                    thinned[:, column], thinned[:, row], ".", color=COLOUR, markersize=2,
                    alpha=0.25, markeredgewidth=0, rasterized=True,
                )  # fmt: skip
                axis.set_ylim(*limits[row])
                hide_frame(axis)
            _label_edges(axis, names, row, column, k)


def kernel_density(draws: FloatArray, grid: FloatArray) -> FloatArray | None:
    """Density of draws (N,) on an even grid; None if they are all the same.

    A normal kernel with the bandwidth of Silverman (1986, Density Estimation for Statistics and
    Data Analysis, equation 3.31), which heavy tails do not widen.

    Examples
    --------
    >>> grid = np.linspace(-4, 4, 201)
    >>> values = kernel_density(np.random.default_rng(0).normal(size=100_000), grid)
    >>> bool(np.abs(values - norm.pdf(grid)).max() < 0.02)
    True
    """
    quartiles = np.quantile(draws, [0.25, 0.75])
    sizes = [draws.std(), (quartiles[1] - quartiles[0]) / 1.34]
    spread = min((size for size in sizes if size > 0.0), default=0.0)
    if spread == 0.0:
        return None
    width = 0.9 * spread * len(draws) ** -0.2
    step = grid[1] - grid[0]
    # Draws beyond the picture reach into it.
    reach = int(np.ceil(4.0 * width / step))
    edges = grid[0] - step * (reach + 0.5) + step * np.arange(len(grid) + 2 * reach + 1)
    counts = np.histogram(draws, edges)[0] / (len(draws) * step)
    kernel = norm.pdf(step * np.arange(-reach, reach + 1), scale=width) * step
    smooth = np.convolve(counts, kernel, mode="same")[reach : reach + len(grid)]
    return np.maximum(smooth, 0.0)


def marginal_density(grid: FloatArray, loc: float, scale: float, df: float) -> FloatArray:
    """Density of a prior: Student-t, normal if df is infinite, uniform on loc ± scale if it is 0.

    Examples
    --------
    >>> marginal_density(np.array([0.0, 3.0]), 0.0, 2.0, 0.0)
    array([0.25, 0.  ])
    """
    if df == 0.0:
        return np.where(np.abs(grid - loc) <= scale, 0.5 / scale, 0.0)
    return np.asarray(norm.pdf(grid, loc, scale) if np.isinf(df) else t.pdf(grid, df, loc, scale))


def _density(panel: LawPanel, grid: FloatArray) -> FloatArray | None:
    if panel.exact is not None and panel.exact[1] > 0.0:
        return np.asarray(norm.pdf(grid, *panel.exact))
    return kernel_density(panel.draws, grid)


def _limits(draws: FloatArray) -> tuple[float, float]:
    low, high = np.quantile(draws, [OUTSIDE, 1 - OUTSIDE])
    margin = 0.05 * (high - low) or 0.5 * abs(low) or 0.5
    return float(low - margin), float(high + margin)


def _range(panel: LawPanel) -> tuple[float, float]:
    """What the picture shows: the draws, the normal, and the finite ends of the set nearby."""
    low, high = _limits(panel.draws)
    if panel.normal is not None:
        mean, sd = panel.normal
        low, high = min(low, mean - 3 * sd), max(high, mean + 3 * sd)
    width = high - low
    for end in [end for pair in panel.robust_set or [] for end in pair]:
        if low - width < end < high + width:
            low, high = min(low, end - 0.05 * width), max(high, end + 0.05 * width)
    return low, high


def _draw_set(axis: Any, intervals: Sequence[tuple[float, float]], label: str, top: float) -> None:
    """Shade a set of intervals in a strip below the density."""
    left, right = axis.get_xlim()
    strip = 0.07 * top
    axis.set_ylim(-strip, top)
    axis.axhline(0.0, color="black", linewidth=0.8)
    if not len(intervals):
        axis.fill_between([], [], color=SET_COLOUR, label=f"{label}: empty")
    for number, (low, high) in enumerate(intervals):
        ends = [max(low, left), min(high, right)]
        axis.fill_between(
            ends, -strip, 0.0, color=SET_COLOUR, linewidth=0, label=label if number == 0 else None
        )
        for end in (low, high):
            if left < end < right:
                axis.plot([end, end], [-strip, 0.0], color="black", linewidth=0.8)
        # An arrow where the set goes on beyond the picture.
        for end, edge, mark in ((low, left, "<"), (high, right, ">")):
            if not left <= end <= right:
                axis.plot([edge], [-strip / 2], mark, color="black", markersize=4, clip_on=False)


def _label_edges(axis: Any, names: Sequence[str], row: int, column: int, k: int) -> None:
    if row == k - 1:
        axis.set_xlabel(names[column])
        axis.tick_params(axis="x", labelrotation=45)
    else:
        axis.tick_params(labelbottom=False)
    if column == 0 and row > 0:
        axis.set_ylabel(names[row])
    else:
        axis.tick_params(labelleft=False)
    axis.locator_params(axis="x", nbins=4)
    if row != column:
        axis.locator_params(axis="y", nbins=4)
