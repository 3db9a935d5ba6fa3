"""Colours, and axes to draw into, with no change of matplotlib's settings."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from qbeconometrics.exceptions import MissingExtraError, OptionError

# Blue that stays apart in print and for the colour-blind; others for comparison.
COLOUR, INTERVAL_COLOUR, BAND_COLOUR = "#1f4e79", "#a5b8cc", "#dde4ec"
OTHER_COLOURS = ("#c44e00", "#4d7f17", "#7a3b8f", "#555555")
OTHER_STYLES = ("--", "-.", ":", (0, (5, 1)))
# Of chains: they differ in lightness too.
CHAIN_COLOURS = ("#1f4e79", "#d08c3a", "#5b8c5a", "#a0527a", "#7fa8d1", "#8a7f73")

PANEL_WIDTH, PANEL_HEIGHT = 4.6, 3.0
MOST_COLUMNS = 3


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


def one_axes(ax: Any, *, width: float = PANEL_WIDTH, height: float = PANEL_HEIGHT) -> Any:
    """Return `ax`, or the axes of a new figure."""
    if ax is not None:
        return ax
    figure = import_pyplot().figure(figsize=(width, height), layout="constrained")
    return figure.subplots()


def several_axes(ax: Any, n: int, *, height: float = PANEL_HEIGHT) -> list[Any]:
    """Return the `n` axes that were given, or those of a new figure.

    Raises
    ------
    OptionError
        If another number was given.
    """
    if ax is None:
        columns = min(n, MOST_COLUMNS)
        rows = -(-n // columns)
        size = (columns * PANEL_WIDTH * (1.0 if n == 1 else 0.8), rows * height * 0.9)
        figure = import_pyplot().figure(figsize=size, layout="constrained")
        axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
        for spare in axes[n:]:
            spare.set_visible(False)
        return axes[:n]
    axes = list(np.atleast_1d(np.asarray(ax, dtype=object)).ravel())
    if len(axes) != n:
        raise OptionError(f"ax holds {len(axes)} axes, but {n} are needed, one a parameter")
    return axes


def square_axes(ax: Any, names: Sequence[str]) -> Any:
    """Return axes (k, k) for pairs of parameters.

    Raises
    ------
    OptionError
        If another shape was given.
    """
    k = len(names)
    if ax is None:
        size = max(1.9 * k, 3.6)
        figure = import_pyplot().figure(figsize=(size, size), layout="constrained")
        return figure.subplots(k, k, squeeze=False)
    axes = np.asarray(ax, dtype=object)
    if axes.shape != (k, k):
        raise OptionError(f"ax must hold {k} by {k} axes, not the shape {axes.shape}")
    return axes


def hide_frame(axis: Any, sides: Sequence[str] = ("top", "right")) -> None:
    """Hide lines of the frame."""
    for side in sides:
        axis.spines[side].set_visible(False)


def small_legend(axis: Any, **options: Any) -> None:
    """Draw a legend without a frame, if anything is labelled."""
    if axis.get_legend_handles_labels()[0]:
        axis.legend(**{"frameon": False, "fontsize": "small", **options})
