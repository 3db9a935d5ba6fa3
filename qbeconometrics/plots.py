"""Figures from arrays and labels; matplotlib is imported when one is drawn."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import MissingExtraError

FloatArray = NDArray[np.float64]

# Blue that stays apart in print and for the colour-blind; others for comparison.
COLOUR, INTERVAL_COLOUR, BAND_COLOUR = "#1f4e79", "#a5b8cc", "#dde4ec"
OTHER_COLOURS = ("#c44e00", "#4d7f17", "#7a3b8f", "#555555")
OTHER_STYLES = ("--", "-.", ":", (0, (5, 1)))
PANEL_SIZE = (3.4, 2.5)
MOST_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class PathPanel:
    """One panel of a figure of paths.

    Attributes
    ----------
    title : str
    horizons : ndarray, shape (n,)
    centre : ndarray, shape (n,)
    interval, band : ndarray, shape (n, 2)
        Pointwise intervals, and the simultaneous band.
    others : mapping of str to ndarray, shape (n,)
        Paths to compare with, by label.
    """

    title: str
    horizons: NDArray[np.int64]
    centre: FloatArray
    interval: FloatArray
    band: FloatArray
    others: Mapping[str, FloatArray] = field(default_factory=dict)


def import_pyplot() -> Any:
    """Return ``matplotlib.pyplot``.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    try:
        return importlib.import_module("matplotlib.pyplot")
    except ImportError as error:
        raise MissingExtraError(
            f"plots need matplotlib, which cannot be imported ({error}). Install the extra: "
            "pip install 'qbeconometrics[plots]'."
        ) from error


def plot_paths(
    panels: Sequence[PathPanel],
    *,
    horizon_label: str,
    centre_label: str,
    interval_label: str,
    band_label: str,
    response_label: str = "",
    figure: Any = None,
) -> Any:
    """Draw paths with pointwise intervals and simultaneous bands, one panel each.

    Parameters
    ----------
    panels : sequence of PathPanel
    horizon_label, response_label : str
        Of the axes.
    centre_label, interval_label, band_label : str
        For the legend.
    figure : matplotlib Figure, optional
        Drawn into, if given.

    Returns
    -------
    matplotlib.figure.Figure
    """
    columns = 2 if len(panels) == 4 else min(len(panels), MOST_COLUMNS)
    rows = -(-len(panels) // columns)
    if figure is None:
        width = max(columns * PANEL_SIZE[0], 4.6)
        height = rows * PANEL_SIZE[1] + 0.6 if len(panels) > 1 else 3.4
        figure = import_pyplot().figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    for place, (axis, panel) in enumerate(zip(axes, panels, strict=False)):
        _draw_panel(axis, panel, centre_label, interval_label, band_label)
        # The lowest panel of each column carries the axis label.
        if place + columns >= len(panels):
            axis.set_xlabel(horizon_label)
            axis.tick_params(labelbottom=True)
        if place % columns == 0 and response_label:
            axis.set_ylabel(response_label)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=min(len(handles), 4 if columns > 1 else 2),
        frameon=False,
        fontsize="small",
    )
    return figure


def _draw_panel(
    axis: Any, panel: PathPanel, centre_label: str, interval_label: str, band_label: str
) -> None:
    axis.axhline(0.0, color="black", linewidth=0.6, zorder=1.5)
    axis.fill_between(
        panel.horizons, *panel.band.T, color=BAND_COLOUR, linewidth=0.0, label=band_label
    )
    axis.fill_between(
        panel.horizons,
        *panel.interval.T,
        color=INTERVAL_COLOUR,
        linewidth=0.0,
        label=interval_label,
    )
    axis.plot(panel.horizons, panel.centre, color=COLOUR, linewidth=1.6, label=centre_label)
    for number, (label, path) in enumerate(panel.others.items()):
        axis.plot(
            panel.horizons[: len(path)],
            path,
            color=OTHER_COLOURS[number % len(OTHER_COLOURS)],
            linestyle=OTHER_STYLES[number % len(OTHER_STYLES)],
            linewidth=1.2,
            label=label,
        )
    axis.set_title(panel.title, fontsize="medium")
    axis.set_xlim(panel.horizons[0], panel.horizons[-1])
    axis.set_xticks(_ticks(int(panel.horizons[0]), int(panel.horizons[-1])))
    axis.margins(y=0.08)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _ticks(first: int, last: int) -> list[int]:
    """Ticks at multiples that suit months and quarters; at most eight."""
    step = next(step for step in (1, 2, 4, 6, 12, 24, 48, 10**6) if (last - first) / step <= 7)
    return [h for h in range(first, last + 1) if h % step == 0]


def plot_coverage(
    rates: FloatArray,
    coverage: FloatArray,
    *,
    replications: int,
    level: float,
    rate: float,
    rate_se: float,
    ax: Any = None,
) -> Any:
    """Draw coverage (n,) against learning rates (n,), with two binomial standard errors.

    Returns
    -------
    matplotlib Axes
    """
    pyplot = import_pyplot()
    if ax is None:
        _, ax = pyplot.subplots(figsize=(5.0, 3.4), layout="constrained")
    error = 2.0 * np.sqrt(coverage * (1.0 - coverage) / replications)
    ax.fill_between(
        rates,
        np.maximum(coverage - error, 0.0),
        np.minimum(coverage + error, 1.0),
        color=INTERVAL_COLOUR,
        linewidth=0,
        label="2 s.e.",
    )
    ax.plot(rates, coverage, color=COLOUR, label="coverage")
    ax.axhline(level, color="black", linewidth=0.8, linestyle=":", label=f"nominal {level:.3g}")
    ax.errorbar(
        [rate],
        [level],
        xerr=[rate_se],
        color=OTHER_COLOURS[0],
        marker="o",
        capsize=3,
        label=f"{rate:.3g} (s.e. {rate_se:.2g})",
    )
    ax.set_xscale("log")
    ax.set_xlabel("learning rate")
    ax.set_ylabel("coverage")
    ax.legend(frameon=False, fontsize=8)
    return ax
