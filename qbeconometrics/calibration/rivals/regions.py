"""Credible regions of draws, and whether they hold a point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def equal_tailed(draws: FloatArray, alpha: float) -> FloatArray:
    """Return lower and upper ends (2, k) of the marginal intervals of draws (M, k)."""
    return np.asarray(np.quantile(draws, [alpha / 2.0, 1.0 - alpha / 2.0], axis=0))


def loss_region_holds(losses: FloatArray, loss_at_point: float, alpha: float) -> bool:
    """Return whether a point is among the coefficients of smallest loss, of draws' losses (M,)."""
    return bool(loss_at_point <= np.quantile(losses, 1.0 - alpha))


def ellipse_holds(draws: FloatArray, point: FloatArray, alpha: float) -> bool:
    """Return whether the ellipse about the mean of draws (M, k) holds a point (k,).

    Its size is the quantile of the distances of the draws, not that of a chi-square law.
    """
    mean = draws.mean(axis=0)
    precision = np.linalg.inv(np.atleast_2d(np.cov(draws, rowvar=False)))
    centred = draws - mean
    distances = np.einsum("mk,kl,ml->m", centred, precision, centred)
    away = point - mean
    return bool(away @ precision @ away <= np.quantile(distances, 1.0 - alpha))
