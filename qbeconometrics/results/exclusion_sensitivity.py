"""Intervals of a coefficient against how far its instruments may violate their exclusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from qbeconometrics.plots.style import BAND_COLOUR, COLOUR, import_pyplot


@dataclass(frozen=True, slots=True, eq=False)
class ExclusionSensitivity:
    """Posterior of one coefficient for several prior sds of the instruments' own effects.

    Attributes
    ----------
    param : str
    instruments : tuple of str
        Those that may enter the equation.
    alpha : float
        One minus the probability of the intervals.
    table : DataFrame
        Indexed by ``tau``, with columns ``mean``, ``sd``, ``median``, ``lower``, ``upper`` and
        ``ess`` (smallest bulk effective draws; infinite where the law is exact).
    """

    param: str
    instruments: tuple[str, ...]
    alpha: float
    table: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Return a copy of the table."""
        return self.table.copy()

    def plot(self, ax: Any = None) -> Any:
        """Draw median and interval against tau; needs the extra ``plots``.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Drawn into, if given.

        Returns
        -------
        matplotlib.axes.Axes
        """
        if ax is None:
            _, ax = import_pyplot().subplots(layout="constrained")
        table = self.table.sort_index()
        tau = table.index.to_numpy()
        ax.axhline(0.0, color="black", linewidth=0.6, zorder=1.5)
        ax.fill_between(
            tau,
            table["lower"].to_numpy(),
            table["upper"].to_numpy(),
            color=BAND_COLOUR,
            linewidth=0.0,
            label=f"{100 * (1 - self.alpha):.4g}% interval",
        )
        marker = "o" if len(tau) == 1 else None
        ax.plot(
            tau,
            table["median"].to_numpy(),
            color=COLOUR,
            linewidth=1.6,
            marker=marker,
            label="median",
        )
        ax.set_xlabel(f"prior sd of the direct effect of {', '.join(self.instruments)}")
        ax.set_ylabel(self.param)
        if len(tau) > 1:
            ax.set_xlim(tau[0], tau[-1])
        ax.legend(frameon=False, fontsize="small")
        return ax
