"""Losses of binary and of non-negative outcomes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, xlogy

from qbeconometrics.losses.base import Loss, refuse_values

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Logistic(Loss):
    """Logistic loss log(1 + exp(eta)) - y eta, eta = x'theta, of an outcome 0 or 1.

    It is minus the log likelihood of logit: at learning rate 1 the Gibbs posterior is the ordinary
    posterior.
    """

    label = "logistic"
    formula = "log(1 + exp(eta)) - y eta, eta = x'theta"
    on_outcome_scale = False

    def value(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return log(1 + exp(eta)) - y eta."""
        return np.logaddexp(0.0, index) - endog * index

    def score(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return the probability of one, less y."""
        return np.asarray(expit(index) - endog, dtype=np.float64)

    def curvature(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return p (1 - p), p the probability of one."""
        probability = expit(index)
        return np.asarray(probability * (1.0 - probability), dtype=np.float64)

    def check_endog(self, endog: FloatArray, name: str) -> None:
        """Refuse an outcome that is not 0 or 1."""
        refuse_values(endog, (endog == 0) | (endog == 1), name, "0 or 1", "logistic")

    def sinking_sides(self, endog: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Up for a one, down for a zero."""
        return _binary_sides(endog)

    def centre(self, endog: FloatArray) -> float:
        """Return the log odds of the share of ones."""
        return float(logit(endog.mean()))

    def mean(self, index: FloatArray) -> FloatArray:
        """Return the probability of one."""
        return np.asarray(expit(index), dtype=np.float64)


@dataclass(frozen=True)
class Poisson(Loss):
    """Half the Poisson deviance, y log(y/mu) - (y - mu) with mu = exp(x'theta).

    It differs from minus the log likelihood of Poisson regression by a constant. The outcome need
    not be whole, only zero or more (Poisson pseudo-maximum likelihood).

    Notes
    -----
    Gourieroux, Monfort and Trognon (1984, Econometrica 52, 701-720).
    """

    label = "Poisson"
    formula = "y log(y/mu) - (y - mu), mu = exp(x'theta)"
    on_outcome_scale = False

    def value(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return y log(y/mu) - (y - mu)."""
        constant = np.asarray(xlogy(endog, endog), dtype=np.float64) - endog
        return np.exp(index) - endog * index + constant

    def score(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return mu - y."""
        return np.exp(index) - endog

    def curvature(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return mu."""
        return np.exp(index)

    def check_endog(self, endog: FloatArray, name: str) -> None:
        """Refuse a negative outcome."""
        refuse_values(endog, endog >= 0, name, "zero or more", "Poisson")

    def sinking_sides(self, endog: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Down for a zero, nowhere else."""
        return np.where(endog > 0.0, 0.0, -np.inf), np.zeros_like(endog)

    def centre(self, endog: FloatArray) -> float:
        """Return the logarithm of the mean."""
        return float(np.log(endog.mean()))

    def mean(self, index: FloatArray) -> FloatArray:
        """Return mu."""
        return np.exp(index)


@dataclass(frozen=True)
class Hinge(Loss):
    """Hinge loss max(0, 1 - s eta), eta = x'theta, of support vector machines.

    The outcome is 0 or 1, as in statsmodels, with s = 2 y - 1; or s = y is -1 or 1.

    Notes
    -----
    Cortes and Vapnik (1995, Machine Learning 20, 273-297).
    """

    label = "hinge"
    formula = "max(0, 1 - s eta), eta = x'theta, s = -1 or 1"
    has_curvature = False
    jumps = True
    on_outcome_scale = False

    @staticmethod
    def sign(endog: FloatArray) -> FloatArray:
        """Return s (n,)."""
        return np.where(endog > 0.0, 1.0, -1.0)

    def value(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return max(0, 1 - s eta)."""
        return np.maximum(0.0, 1.0 - self.sign(endog) * index)

    def score(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return the subgradient -s 1{s eta < 1}."""
        sign = self.sign(endog)
        return -sign * (sign * index < 1.0)

    def check_endog(self, endog: FloatArray, name: str) -> None:
        """Refuse an outcome that is neither 0 or 1 nor -1 or 1."""
        zero_one = (endog == 0) | (endog == 1)
        plus_minus = (endog == -1) | (endog == 1)
        usable = zero_one if zero_one.sum() >= plus_minus.sum() else plus_minus
        refuse_values(endog, usable, name, "0 or 1, or -1 or 1", "hinge")

    def sinking_sides(self, endog: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Up for a one, down for a zero."""
        return _binary_sides(endog)

    def mean(self, index: FloatArray) -> None:
        """Return None: the sign of the index is a class, not a mean."""


def _binary_sides(endog: FloatArray) -> tuple[FloatArray, FloatArray]:
    up = endog > 0.0
    return np.where(up, 0.0, -np.inf), np.where(up, np.inf, 0.0)
