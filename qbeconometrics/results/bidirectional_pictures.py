"""Pictures of two effects on each other."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.diagnostics.convergence import check_probability
from qbeconometrics.online.identification import RobustSet, region_slices
from qbeconometrics.plots.effects import draw_dependence, draw_learning_curve, draw_region
from qbeconometrics.plots.style import one_axes, several_axes
from qbeconometrics.results.bidirectional_record import BidirectionalRecord

FloatArray = NDArray[np.float64]

REGION_POINTS = 240
# A set without end is shown so far, in ratios of the residuals' standard deviations.
SHOWN_RATIOS = 3.0
MARGIN = 0.15


class BidirectionalPictures:
    """Pictures; a part of `OnlineBidirectionalResults`.

    Every method takes ``ax`` and returns the axes that it drew into. Without it a figure of pyplot
    is made; no setting of matplotlib is changed.
    """

    record: BidirectionalRecord
    learning_curve: pd.DataFrame

    @abstractmethod
    def robust_set(self, alpha: float = 0.05) -> RobustSet:
        """Effects that are not rejected."""

    @abstractmethod
    def partial_dependence(self, column: str, kind: str = "mean", grid: Any = None) -> pd.DataFrame:
        """Averages over x with one column held fixed."""

    def plot(self, ax: Any = None) -> Any:
        """Draw the joint set, and the dependence of means and variances on the first columns of x.

        Parameters
        ----------
        ax : array of Axes, optional
            Three or, where x has two columns or more, five.

        Returns
        -------
        ndarray of Axes
        """
        columns = self.record.exog_names[:2]
        panels = [(column, kind) for column in columns for kind in ("mean", "variance")]
        axes = several_axes(ax, 1 + len(panels))
        self.plot_region(ax=axes[0])
        for axis, (column, kind) in zip(axes[1:], panels, strict=True):
            self.plot_partial_dependence(column, kind, ax=axis)
        return np.array(axes, dtype=object)

    def plot_region(self, alpha: float = 0.05, ax: Any = None) -> Any:
        """Draw the weak-identification-robust set of both effects, and the estimate.

        Parameters
        ----------
        alpha : float
            One minus the level of the set.
        ax : Axes, optional

        Returns
        -------
        Axes
        """
        alpha = check_probability(alpha, "alpha")
        axis = one_axes(ax)
        b12 = self._shown_range(alpha)
        first, second = self.record.endog_names
        draw_region(
            axis,
            b12,
            region_slices(self.record.tested, b12, alpha=alpha),
            self.record.estimate.params,
            f"{100 * (1 - alpha):g} %",
            (f"b12: {second} on {first}", f"b21: {first} on {second}"),
        )
        limit = SHOWN_RATIOS / self._ratio
        low, high = axis.get_ylim()
        axis.set_ylim(max(low, -limit), min(high, limit))
        return axis

    def plot_partial_dependence(self, column: str, kind: str = "mean", ax: Any = None) -> Any:
        """Draw `partial_dependence`, whose arguments it takes.

        Parameters
        ----------
        column : str
        kind : {"mean", "variance"}
        ax : Axes, optional

        Returns
        -------
        Axes
        """
        found = self.partial_dependence(column, kind)
        axis = one_axes(ax)
        words = "conditional mean" if kind == "mean" else "error variance"
        names = self.record.endog_names
        draw_dependence(axis, found.index.to_numpy(), found.to_numpy(), names, (column, words))
        return axis

    def plot_learning_curve(self, ax: Any = None) -> Any:
        """Draw how the effects moved along a stream.

        Parameters
        ----------
        ax : Axes, optional

        Returns
        -------
        Axes

        Raises
        ------
        DataNeededError
            For rows in memory.
        """
        curve = self.learning_curve
        axis = one_axes(ax)
        draw_learning_curve(
            axis, curve.index.to_numpy(np.float64), curve[["b12", "b21"]].to_numpy(), ("b12", "b21")
        )
        return axis

    @property
    def _ratio(self) -> float:
        """Standard deviation of the residuals of y1 over that of y2, about."""
        _, B, C = np.abs(self.record.moments.mean.sum(axis=0))
        return float(np.sqrt(B / C)) if B > 0.0 and C > 0.0 else 1.0

    def _shown_range(self, alpha: float) -> FloatArray:
        """Values of b12 at which the set is drawn."""
        limit = SHOWN_RATIOS * self._ratio
        ends = [end for piece in self.robust_set(alpha).b12 for end in piece]
        ends += [value for value in self.record.estimate.params[:1] if np.isfinite(value)]
        shown = np.clip(ends or [-limit, limit], -limit, limit)
        low, high = float(shown.min()), float(shown.max())
        margin = MARGIN * (high - low) or 0.1 * self._ratio
        return np.linspace(low - margin, high + margin, REGION_POINTS)
