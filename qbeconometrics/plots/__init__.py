"""Figures from arrays and labels; matplotlib is imported when one is drawn."""

from qbeconometrics.plots.paths import PathPanel, plot_paths

__all__ = ["PathPanel", "plot_paths"]
