"""Losses of the residual r = y - x'theta."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.losses.base import Loss, number_between

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Squared(Loss):
    """Squared loss (1/2) r^2, r = y - x'theta: its minimiser is least squares."""

    label = "squared"
    formula = "(1/2) r^2, r = y - x'theta"
    bounded_score = False

    def value(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return (1/2) r^2."""
        residual = endog - index
        return 0.5 * residual * residual

    def score(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return -r."""
        return index - endog

    def curvature(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return one."""
        return np.ones_like(index)


@dataclass(frozen=True)
class Quantile(Loss):
    """Check loss r (tau - 1{r < 0}), r = y - x'theta, of quantile regression.

    Parameters
    ----------
    tau : float
        Which quantile, between 0 and 1.

    Raises
    ------
    OptionError

    Notes
    -----
    Koenker and Bassett (1978, Econometrica 46, 33-50). The score is the subgradient
    1{r < 0} - tau; it has a jump, so its mean is a step function of theta.
    """

    tau: float = 0.5
    formula = "r (tau - 1{r < 0}), r = y - x'theta"
    has_curvature = False
    jumps = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "tau", number_between(self.tau, 0.0, 1.0, "tau"))

    @property
    def label(self) -> str:
        """Name and tau."""
        return f"quantile (tau = {self.tau:g})"

    def value(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return r (tau - 1{r < 0})."""
        residual = endog - index
        return np.maximum(self.tau * residual, (self.tau - 1.0) * residual)

    def score(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return 1{r < 0} - tau."""
        return (endog < index).astype(np.float64) - self.tau


@dataclass(frozen=True)
class Absolute(Loss):
    """Absolute loss |r|, r = y - x'theta: twice the check loss of the median.

    The same Gibbs posterior needs half the learning rate of ``Quantile(0.5)``.
    """

    label = "absolute"
    formula = "|r|, r = y - x'theta"
    has_curvature = False
    jumps = True

    def value(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return |r|."""
        return np.abs(endog - index)

    def score(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return the subgradient 2 1{r < 0} - 1."""
        return 2.0 * (endog < index).astype(np.float64) - 1.0


@dataclass(frozen=True)
class Huber(Loss):
    """Huber's loss: (1/2) r^2 up to |r| = delta, then delta (|r| - delta/2).

    Parameters
    ----------
    delta : float
        In the units of the outcome; positive. It is not multiplied by an estimate of scale: for
        95 % efficiency under normal errors give 1.345 times their standard deviation.

    Raises
    ------
    OptionError

    Notes
    -----
    Huber (1964, Annals of Mathematical Statistics 35, 73-101).
    """

    delta: float
    formula = "(1/2) r^2 up to |r| = delta, then delta (|r| - delta/2), r = y - x'theta"

    def __post_init__(self) -> None:
        object.__setattr__(self, "delta", number_between(self.delta, 0.0, np.inf, "delta"))

    @property
    def label(self) -> str:
        """Name and delta."""
        return f"Huber (delta = {self.delta:.4g})"

    def value(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return Huber's function of r."""
        size = np.abs(endog - index)
        inside = np.minimum(size, self.delta)
        return inside * (size - 0.5 * inside)

    def score(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return -r, cut off at delta."""
        return np.clip(index - endog, -self.delta, self.delta)

    def curvature(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return 1{|r| <= delta}."""
        return (np.abs(endog - index) <= self.delta).astype(np.float64)


@dataclass(frozen=True)
class Expectile(Loss):
    """Asymmetric squared loss |tau - 1{r < 0}| r^2, r = y - x'theta.

    Parameters
    ----------
    tau : float
        Which expectile, between 0 and 1. At one half it is the squared loss (1/2) r^2.

    Raises
    ------
    OptionError

    Notes
    -----
    Newey and Powell (1987, Econometrica 55, 819-847).
    """

    tau: float = 0.5
    formula = "|tau - 1{r < 0}| r^2, r = y - x'theta"
    bounded_score = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "tau", number_between(self.tau, 0.0, 1.0, "tau"))

    @property
    def label(self) -> str:
        """Name and tau."""
        return f"expectile (tau = {self.tau:g})"

    def _weight(self, residual: FloatArray) -> FloatArray:
        return np.where(residual < 0.0, 1.0 - self.tau, self.tau)

    def value(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return |tau - 1{r < 0}| r^2."""
        residual = endog - index
        return self._weight(residual) * residual * residual

    def score(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return -2 |tau - 1{r < 0}| r."""
        residual = endog - index
        return -2.0 * self._weight(residual) * residual

    def curvature(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return 2 |tau - 1{r < 0}|."""
        return 2.0 * self._weight(endog - index)
