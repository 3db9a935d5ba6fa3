"""The slope of the mean score, from the curvature of a loss or from a window about its jumps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from qbeconometrics.losses import Loss, Quantile

FloatArray = NDArray[np.float64]

# Differences of a smooth score, relative to the spread of the index.
SMOOTH_STEP = 6e-6
# Hall and Sheather's window is that of a 95 % interval.
TAIL = 0.975
NARROWEST_LEVEL = 0.01


def score_slope(
    loss: Loss, endog: FloatArray, index: FloatArray, window: float | None = None
) -> FloatArray:
    """Return the derivative of the score of each row by its index (n,).

    Where the score jumps its derivative is zero almost everywhere, so its mean slope is estimated
    from the rows within a window, (score(index + h) - score(index - h)) / 2h: for quantiles the
    estimate of Powell (1991, in Nonparametric and Semiparametric Methods in Econometrics, CUP).

    Parameters
    ----------
    loss : Loss
    endog, index : ndarray, shape (n,)
    window : float, optional
        h; by default `default_window`.
    """
    if loss.has_curvature:
        return loss.curvature(endog, index)
    h = default_window(loss, endog, index) if window is None else window
    slope: FloatArray = (loss.score(endog, index + h) - loss.score(endog, index - h)) / (2.0 * h)
    return slope


def default_window(loss: Loss, endog: FloatArray, index: FloatArray) -> float:
    """Return half the width of the window.

    For scores with jumps it is that of Hall and Sheather (1988, Journal of the Royal Statistical
    Society B 50, 381-391) times a robust spread, as in Koenker (2005, Quantile Regression, CUP,
    section 3.4.2): of the residuals, or of the index where that is not on the outcome's scale.
    """
    spread = _spread(endog - index if loss.on_outcome_scale else index)
    if not loss.jumps:
        return SMOOTH_STEP * spread
    level = loss.tau if isinstance(loss, Quantile) else 0.5
    middle = norm.ppf(level)
    shape = 1.5 * norm.pdf(middle) ** 2 / (2.0 * middle**2 + 1.0)
    half = len(index) ** (-1 / 3) * norm.ppf(TAIL) ** (2 / 3) * shape ** (1 / 3)
    low, high = np.clip([level - half, level + half], NARROWEST_LEVEL, 1.0 - NARROWEST_LEVEL)
    return float(spread * (norm.ppf(high) - norm.ppf(low)))


def _spread(values: FloatArray) -> float:
    """Standard deviation, or the quartiles' distance over 1.34 if that is less but not zero."""
    deviation = float(values.std())
    quartiles = float(np.subtract(*np.quantile(values, [0.75, 0.25]))) / 1.34
    smallest = min(deviation, quartiles) if quartiles > 0.0 else deviation
    return smallest if smallest > 0.0 else 1.0
