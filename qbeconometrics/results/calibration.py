"""What a calibration of the learning rate found."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.plots.coverage import plot_coverage
from qbeconometrics.results.implied_rates import rates_note

FloatArray = NDArray[np.float64]

WIDTH = 78


@dataclass(frozen=True)
class LearningRateCalibration:
    """A calibrated learning rate and how it was found.

    Attributes
    ----------
    learning_rate : float
        For the loss as `loss` states it: a loss twice as large needs half the rate.
    learning_rate_se : float
        Standard error that the number of replications leaves.
    coverage : float
        Share of the replications whose region covers the estimate at that rate.
    status : {"converged", "no-root", "plateau", "several-roots", "too-few-replications"}
    message : str
        The status in a sentence.
    alpha : float
        One minus the level.
    region : {"loss", "ellipse", "marginal"}
    method : {"weighted-particles", "smc", "resimulate"}
    bootstrap : str
    loss : str
        The loss that the rate multiplies.
    passes : int
        Simulations of all replications.
    bracket : tuple of float
        Rates between which coverage was looked at without a new simulation.
    curve : DataFrame
        Columns ``learning_rate``, ``coverage``, ``ess`` (median effective particles).
    ess : ndarray, shape (replications,)
        Effective particles of each replication at the learning rate.
    information_rate : float
        Closed-form rate of Lyddon, Holmes and Walker (2019), for comparison.
    implied_rates : Series
        By coefficient, the rate that would give its own sandwich variance. Where they differ by
        more than 2 no single rate can calibrate all coefficients.
    remedy : str
        What to do then.
    """

    learning_rate: float
    learning_rate_se: float
    coverage: float
    status: str
    message: str
    alpha: float
    region: str
    method: str
    bootstrap: str
    loss: str
    passes: int
    bracket: tuple[float, float]
    curve: pd.DataFrame
    ess: FloatArray
    particles: int
    information_rate: float
    implied_rates: pd.Series
    remedy: str

    @property
    def one_rate_suffices(self) -> bool:
        """Whether the coefficients' own rates, and the joint one, are within a factor of 2."""
        return not self._rates_note()

    def _rates_note(self) -> str:
        joint = None if self.region == "marginal" else self.learning_rate
        return rates_note(self.implied_rates, self.remedy, joint)

    def summary(self) -> str:
        """Return the findings as text."""
        rows = [
            ("Learning rate", f"{self.learning_rate:.4g}"),
            ("Standard error", f"{self.learning_rate_se:.2g}"),
            ("Coverage", f"{self.coverage:.3f} (nominal {1 - self.alpha:.3g})"),
            ("Region", self.region),
            ("Method", self.method),
            ("Bootstrap", f"{self.bootstrap}, {len(self.ess)} replications"),
            ("Particles", f"{self.particles}, effective {np.median(self.ess):.0f} (median)"),
            ("Simulations", str(self.passes)),
            ("Information matching", f"{self.information_rate:.4g}"),
            ("Loss", self.loss),
            ("Status", self.status),
        ]
        lines = ["Learning rate calibration".center(WIDTH), "=" * WIDTH]
        lines += [f"{name:<24}{text}" for name, text in rows]
        lines += ["-" * WIDTH, "Rate that fits each coefficient alone"]
        lines += [f"  {name:<22}{rate:.4g}" for name, rate in self.implied_rates.items()]
        lines.append("=" * WIDTH)
        notes = [self.message] if self.status != "converged" else []
        if not self.one_rate_suffices:
            notes.append(self._rates_note())
        for note in notes:
            lines += textwrap.wrap(note, WIDTH)
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.summary()

    def plot(self, ax: Any = None) -> Any:
        """Draw coverage against the learning rate, and the rate with its standard error.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        Axes

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        """
        return plot_coverage(
            self.curve["learning_rate"].to_numpy(),
            self.curve["coverage"].to_numpy(),
            replications=len(self.ess),
            level=1.0 - self.alpha,
            rate=self.learning_rate,
            rate_se=self.learning_rate_se,
            ax=ax,
        )
