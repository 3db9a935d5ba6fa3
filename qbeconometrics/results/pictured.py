"""Pictures of results: matplotlib draws what ArviZ lacks, or what is wanted without it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.diagnostics.convergence import check_probability
from qbeconometrics.exceptions import InputError, OptionError, suggestion
from qbeconometrics.plots.chains import draw_autocorrelation, draw_ranks, draw_trace
from qbeconometrics.plots.laws import LawPanel, draw_forest, draw_law, draw_pairs
from qbeconometrics.plots.style import one_axes, several_axes, square_axes
from qbeconometrics.results.fit_record import FitRecord

FloatArray = NDArray[np.float64]

# Rows of a forest, and parameters of a pair plot, that still can be read.
MOST_PAIRS = 8
ROW_HEIGHT = 0.32


class Pictured:
    """Pictures; a part of `PosteriorResults`.

    Every method takes ``ax`` and returns the axes that it drew into. Without it a figure of pyplot
    is made; no setting of matplotlib is changed. ``params`` is a name, or a list of names with one
    axes each; None is all of them. ArviZ draws more: see ``to_arviz``.
    """

    record: FitRecord

    @abstractmethod
    def conf_int(self, alpha: float = 0.05, method: str = "eti") -> pd.DataFrame:
        """Credible intervals."""

    def plot_trace(self, params: str | Sequence[str] | None = None, ax: Any = None) -> Any:
        """Draw each chain against the number of the draw.

        Parameters
        ----------
        params : str or sequence of str, optional
        ax : Axes or array of Axes, optional

        Returns
        -------
        Axes or ndarray of Axes
            The former if `params` is a name.

        Raises
        ------
        InputError
            If a name is no parameter.
        MissingExtraError
            If matplotlib is missing.
        """
        names = self._chosen(params)
        axes = several_axes(ax, len(names))
        for axis, name in zip(axes, names, strict=True):
            draw_trace(axis, self._draws_of(name), name)
        return _returned(axes, params)

    def plot_rank(self, params: str | Sequence[str] | None = None, ax: Any = None) -> Any:
        """Draw the ranks of each chain among all draws: flat where the chains agree.

        Parameters and what is returned are those of `plot_trace`.
        """
        names = self._chosen(params)
        axes = several_axes(ax, len(names))
        for axis, name in zip(axes, names, strict=True):
            draw_ranks(axis, self._draws_of(name), name)
        return _returned(axes, params)

    def plot_autocorrelation(
        self, params: str | Sequence[str] | None = None, lags: int = 50, ax: Any = None
    ) -> Any:
        """Draw autocorrelations: a line a chain, bars for their mean.

        Parameters and what is returned are those of `plot_trace`, and `lags` the longest lag.
        """
        if not isinstance(lags, (int, np.integer)) or lags < 1:
            raise OptionError(f"lags={lags!r} must be a whole number of at least 1")
        names = self._chosen(params)
        axes = several_axes(ax, len(names))
        for axis, name in zip(axes, names, strict=True):
            draw_autocorrelation(axis, self._draws_of(name), name, int(lags))
        return _returned(axes, params)

    def plot_forest(
        self,
        params: Sequence[str] | str | None = None,
        alpha: float = 0.05,
        inner: float = 0.5,
        ax: Any = None,
    ) -> Any:
        """Draw equal-tailed intervals of the parameters under each other.

        Parameters
        ----------
        params : str or sequence of str, optional
        alpha : float
            One minus the probability of the thin lines.
        inner : float
            Probability of the thick lines.
        ax : Axes, optional

        Returns
        -------
        Axes
        """
        names = self._chosen(params)
        outer_ends = self.conf_int(alpha).loc[names].to_numpy()
        inner = check_probability(inner, "inner")
        inner_ends = self.conf_int(1 - inner).loc[names].to_numpy()
        axis = one_axes(ax, height=1.2 + ROW_HEIGHT * len(names))
        median = getattr(self, "median").loc[names].to_numpy()  # noqa: B009
        labels = (f"{inner:.0%} interval", f"{1 - alpha:.0%} interval")
        draw_forest(axis, names, median, inner_ends, outer_ends, labels)
        return axis

    def plot_posterior(
        self,
        params: str | Sequence[str] | None = None,
        alpha: float = 0.05,
        *,
        prior: bool = True,
        normal: bool = True,
        robust_set: Sequence[tuple[float, float]] | None = None,
        set_label: str = "Anderson-Rubin set",
        ax: Any = None,
    ) -> Any:
        """Draw densities, with the prior, the asymptotic normal and a robust set.

        Parameters
        ----------
        params : str or sequence of str, optional
        alpha : float
            One minus the probability of the equal-tailed interval that is shaded.
        prior, normal : bool
            Whether they are drawn over it, where they are known: the marginal prior, and the normal
            approximation at the mode.
        robust_set : sequence of (float, float), optional
            Intervals, such as ``model.robust_set(param)`` returns, which are drawn under the
            density: none for an empty set, infinite ends for an unbounded one. For one parameter.
        set_label : str
        ax : Axes or array of Axes, optional

        Returns
        -------
        Axes or ndarray of Axes
            The former if `params` is a name.

        Raises
        ------
        OptionError
            If `robust_set` comes with several parameters.
        """
        names = self._chosen(params)
        if robust_set is not None and len(names) != 1:
            raise OptionError("robust_set is of one parameter: name it in params")
        interval = self.conf_int(alpha)
        axes = several_axes(ax, len(names))
        for number, (axis, name) in enumerate(zip(axes, names, strict=True)):
            low, high = (float(interval.loc[name, end]) for end in (0, 1))
            draw_law(
                axis,
                LawPanel(
                    name=name,
                    draws=self._draws_of(name).ravel(),
                    interval=(low, high),
                    interval_label=f"{1 - alpha:.0%} interval",
                    exact=self._normal_law(name, self.record.exact_mean, self.record.exact_cov),
                    prior=self._prior_of(name) if prior else None,
                    normal=self._asymptotic(name) if normal else None,
                    robust_set=None if robust_set is None else _checked_set(robust_set),
                    set_label=set_label,
                ),
                # The same words would stand in every panel.
                legend=number == 0,
            )
        return _returned(axes, params)

    def plot_pair(self, params: Sequence[str] | None = None, ax: Any = None) -> Any:
        """Draw the draws pair by pair.

        Parameters
        ----------
        params : sequence of str, optional
            Eight at most.
        ax : array of Axes, shape (k, k), optional

        Returns
        -------
        ndarray of Axes, shape (k, k)
            Those above the diagonal are hidden.
        """
        names = self._chosen(params)
        if len(names) > MOST_PAIRS:
            raise OptionError(
                f"{len(names)} parameters are too many for pairs: name at most {MOST_PAIRS} in "
                "params"
            )
        axes = square_axes(ax, names)
        draws = np.column_stack([self._draws_of(name).ravel() for name in names])
        draw_pairs(axes, names, draws)
        return axes

    def _chosen(self, params: str | Sequence[str] | None) -> list[str]:
        known = list(self.record.param_names)
        if params is None:
            return known
        names = [params] if isinstance(params, str) else list(params)
        if not names:
            raise OptionError("params names no parameter")
        for name in names:
            if name not in known:
                raise InputError(f"{name!r} is not a parameter.{suggestion(str(name), known)}")
        return names

    def _draws_of(self, name: str) -> FloatArray:
        """Draws of one parameter, shape (chain, draw)."""
        return self.record.draws[:, :, self.record.param_names.index(name)]

    def _normal_law(
        self, name: str, mean: FloatArray | None, covariance: FloatArray | None
    ) -> tuple[float, float] | None:
        """Mean and standard deviation of one parameter."""
        if mean is None or covariance is None:
            return None
        j = self.record.param_names.index(name)
        return float(mean[j]), float(np.sqrt(covariance[j, j]))

    def _asymptotic(self, name: str) -> tuple[float, float] | None:
        # An exactly normal law is its own approximation.
        if self.record.exact:
            return None
        law = self._normal_law(name, self.record.mode, self.record.mode_cov)
        return law if law is not None and law[1] > 0.0 else None

    def _prior_of(self, name: str) -> tuple[float, float, float] | None:
        marginals = self.record.prior_marginals
        if marginals is None:
            return None
        loc, scale, df = marginals[self.record.param_names.index(name)]
        return None if np.isnan(loc) else (float(loc), float(scale), float(df))


def _returned(axes: list[Any], params: str | Sequence[str] | None) -> Any:
    if isinstance(params, str):
        return axes[0]
    returned = np.empty(len(axes), dtype=object)
    returned[:] = axes
    return returned


def _checked_set(intervals: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    try:
        pairs = [(float(low), float(high)) for low, high in intervals]
    except (TypeError, ValueError) as error:
        raise OptionError(f"robust_set={intervals!r} must be a list of (lower, upper)") from error
    if any(not low <= high for low, high in pairs):
        raise OptionError(f"robust_set={intervals!r} has an upper end below its lower end")
    return pairs
