"""Several calibrations of one posterior side by side."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import numpy as np
import pandas as pd

from qbeconometrics.results.implied_rates import LOSS_REMEDY, rates_note

WIDTH = 78
NAME_WIDTH = 22
COLUMN_WIDTH = 13
# Coefficients in one block of the summary.
BLOCK = 4


@dataclass(frozen=True, eq=False)
class CalibrationComparison:
    """Intervals of several calibrations; made by `compare_calibrations`.

    Attributes
    ----------
    methods : tuple of str
    alpha : float
        One minus the level of intervals and joint regions.
    learning_rate : Series
        By method; NaN where there is none.
    region : Series
        By method, the joint region: "loss" holds the coefficients of smallest loss, "ellipse" those
        near the mean of the draws.
    lower, upper : DataFrame
        Ends of the equal-tailed intervals, methods by coefficients.
    covers : DataFrame or None
        Methods by coefficients and "joint": whether interval and joint region hold the truth.
    implied_rates : Series
        By coefficient, the rate that would give its own sandwich variance.
    loss : str
        The loss that the rates multiply.
    notes : tuple of str
    """

    methods: tuple[str, ...]
    alpha: float
    learning_rate: pd.Series
    region: pd.Series
    lower: pd.DataFrame
    upper: pd.DataFrame
    covers: pd.DataFrame | None
    implied_rates: pd.Series
    loss: str
    notes: tuple[str, ...]

    @property
    def lengths(self) -> pd.DataFrame:
        """Lengths of the intervals, methods by coefficients."""
        return self.upper - self.lower

    def to_frame(self) -> pd.DataFrame:
        """Return all numbers: one row a method; columns by number, then coefficient.

        The numbers are "learning rate", "region", "length", "lower", "upper" and, where the truth
        is known, "covers", which has a column "joint" after those of the coefficients.
        """
        parts = {
            "learning rate": self.learning_rate.to_frame(""),
            "region": self.region.to_frame(""),
            "length": self.lengths,
            "lower": self.lower,
            "upper": self.upper,
        }
        if self.covers is not None:
            parts["covers"] = self.covers
        frame = pd.concat(parts, axis=1)
        frame.columns.names = ["number", "coefficient"]
        frame.index.name = "method"
        return frame

    def summary(self) -> str:
        """Return the table and the notes as text."""
        lines = ["Calibrations compared".center(WIDTH), "=" * WIDTH]
        lines += [
            f"{'Loss':<{NAME_WIDTH}}{self.loss}",
            f"{'Level':<{NAME_WIDTH}}{1.0 - self.alpha:.3g}",
            "-" * WIDTH,
            *self._heading("Learning rate", "Region", *([] if self.covers is None else ["Joint"])),
        ]
        for method in self.methods:
            rate = self.learning_rate[method]
            cells = ["" if np.isnan(rate) else f"{rate:.4g}", self.region[method]]
            if self.covers is not None:
                cells.append("covers" if self.covers.loc[method, "joint"] else "misses")
            lines.append(_row(method, cells))
        names = list(self.lower.columns)
        for start in range(0, len(names), BLOCK):
            block = names[start : start + BLOCK]
            lines += ["-" * WIDTH, *self._heading(*(_short(f"{name}") for name in block))]
            for method in self.methods:
                lines.append(_row(method, [self._length(method, name) for name in block]))
        lines.append("=" * WIDTH)
        for note in self._all_notes():
            lines += textwrap.wrap(note, WIDTH)
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.summary()

    def _heading(self, *names: str) -> list[str]:
        return [_row("Method", list(names)), "-" * WIDTH]

    def _length(self, method: str, name: str) -> str:
        missed = self.covers is not None and not self.covers.loc[method, name]
        return f"{self.lengths.loc[method, name]:.4g}{'*' if missed else ' '}"

    def _all_notes(self) -> list[str]:
        notes = ["Under the coefficients: lengths of equal-tailed intervals."]
        if self.covers is not None:
            notes.append("* the interval misses the truth.")
        notes += self.notes
        note = rates_note(self.implied_rates, LOSS_REMEDY)
        return [*notes, note] if note else notes


def _row(name: str, cells: list[str]) -> str:
    return (f"{name:<{NAME_WIDTH}}" + "".join(f"{cell:>{COLUMN_WIDTH}}" for cell in cells)).rstrip()


def _short(name: str) -> str:
    """Cut a name to its column."""
    return name if len(name) < COLUMN_WIDTH else name[: COLUMN_WIDTH - 2] + "~"
