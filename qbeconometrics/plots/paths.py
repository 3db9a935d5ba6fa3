"""Paths by horizon, with pointwise intervals and simultaneous bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.plots.style import (
    BAND_COLOUR,
    COLOUR,
    INTERVAL_COLOUR,
    OTHER_COLOURS,
    OTHER_STYLES,
    hide_frame,
    import_pyplot,
)

FloatArray = NDArray[np.float64]

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
    hide_frame(axis)


def _ticks(first: int, last: int) -> list[int]:
    """Ticks at multiples that suit months and quarters; at most eight."""
    step = next(step for step in (1, 2, 4, 6, 12, 24, 48, 10**6) if (last - first) / step <= 7)
    return [h for h in range(first, last + 1) if h % step == 0]
