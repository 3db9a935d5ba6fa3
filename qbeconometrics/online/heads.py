"""Fitted conditional means and variances as arrays, to be evaluated at any x."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.kernels._kernel_learning import FeatureMap
from qbeconometrics.online.features import fourier_map, monomial_map

FloatArray = NDArray[np.float64]

BLOCK_ROWS = 8_192


@dataclass(frozen=True, slots=True)
class FeatureChoice:
    """Features of standardised regressors.

    Attributes
    ----------
    frequencies : ndarray, shape (k, D)
        For bandwidth one; D = 0 for a polynomial.
    phases : ndarray, shape (D,)
    bandwidth : float
    degree : int
        Of the polynomial.
    scales : ndarray, shape (features,)
        Of its products of columns; empty for random features.
    """

    frequencies: FloatArray
    phases: FloatArray
    bandwidth: float
    degree: int
    scales: FloatArray

    def feature_map(self) -> FeatureMap:
        """Return the map from standardised regressors to features."""
        if len(self.phases):
            return fourier_map(self.frequencies, self.phases, self.bandwidth)
        return monomial_map(len(self.frequencies), self.degree, self.scales)


@dataclass(frozen=True, slots=True)
class Heads:
    """Conditional means of y1 and y2 and log variances of the errors, linear in features.

    Attributes
    ----------
    features : FeatureChoice
    centre, spread : ndarray, shape (2 + k,)
        What (y1, y2, x) are standardised by.
    weights : ndarray, shape (4, p)
        Of the two means and the two log variances of standardised variables; of the features, the
        last of which may be zeros, only the first p are used.
    low, high : ndarray, shape (2,)
        Bounds of the log variances.
    """

    features: FeatureChoice
    centre: FloatArray
    spread: FloatArray
    weights: FloatArray
    low: FloatArray
    high: FloatArray

    @property
    def columns(self) -> int:
        """Number of regressors, k."""
        return len(self.centre) - 2

    def evaluate(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return E(y|x) and Var(e|x), each (n, 2), at rows x (n, k)."""
        evaluate, width = self.features.feature_map().evaluate, self.weights.shape[1]
        found = np.empty((len(x), 4))
        for start in range(0, len(x), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            scaled = np.ascontiguousarray((x[rows] - self.centre[2:]) / self.spread[2:])
            found[rows] = evaluate(scaled)[:, :width] @ self.weights.T
        spread = self.spread[:2]
        logs = np.clip(found[:, 2:], self.low, self.high)
        return found[:, :2] * spread + self.centre[:2], np.exp(logs) * spread**2
