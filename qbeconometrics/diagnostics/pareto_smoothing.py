"""Importance weights with a smoothed tail, and whether they can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# A tail has to hold more weights than this for its shape to be estimated.
SHORTEST_TAIL = 4


@dataclass(frozen=True, slots=True)
class SmoothedWeights:
    """Importance weights that sum to one.

    Attributes
    ----------
    weights : ndarray, shape (draws,)
    pareto_k : float
        Shape of the generalised Pareto law of the largest weights; minus infinity if they are all
        equal.
    ess : float
        1 / sum of squared weights.
    log_mean : float
        Log of the mean of the smoothed weights before they were made to sum to one.
    """

    weights: FloatArray
    pareto_k: float
    ess: float
    log_mean: float


def smooth_weights(log_ratios: FloatArray, *, relative_efficiency: float = 1.0) -> SmoothedWeights:
    """Replace the largest importance ratios by quantiles of a generalised Pareto law.

    Parameters
    ----------
    log_ratios : ndarray, shape (draws,)
        Not all minus infinity.
    relative_efficiency : float
        Effective draws a draw.

    Returns
    -------
    SmoothedWeights

    References
    ----------
    Vehtari, A., Simpson, D., Gelman, A., Yao, Y. and Gabry, J. (2024). Pareto smoothed importance
    sampling. Journal of Machine Learning Research 25, 1-58.

    Examples
    --------
    >>> found = smooth_weights(np.zeros(1000))
    >>> round(found.ess)
    1000
    """
    draws = len(log_ratios)
    largest = float(log_ratios.max())
    logs = log_ratios - largest
    length = int(np.ceil(min(0.2 * draws, 3.0 * np.sqrt(draws / min(relative_efficiency, 1.0)))))
    order = np.argsort(logs)
    k = np.inf
    if length > SHORTEST_TAIL:
        tail = order[-length:]
        cut = float(logs[order[-length - 1]])
        if logs[tail[0]] == logs[tail[-1]]:
            k = -np.inf
        else:
            excess = np.exp(logs[tail]) - np.exp(cut)
            k, scale = fit_generalised_pareto(excess)
            if np.isfinite(k):
                place = (np.arange(length) + 0.5) / length
                smooth = pareto_quantile(place, k, scale) + np.exp(cut)
                logs = logs.copy()
                # No smoothed weight is above the largest raw one.
                logs[tail] = np.minimum(np.log(smooth), 0.0)
    total = float(np.log(np.sum(np.exp(logs))))
    weights = np.exp(logs - total)
    return SmoothedWeights(
        weights, float(k), float(1.0 / np.sum(weights**2)), largest + total - np.log(draws)
    )


def fit_generalised_pareto(excess: FloatArray) -> tuple[float, float]:
    """Return shape and scale of a generalised Pareto law with location zero.

    The shape is drawn towards one half as by ten observations, as Pareto smoothing does.

    Parameters
    ----------
    excess : ndarray, shape (n,)
        In order, not negative, the last positive.

    References
    ----------
    Zhang, J. and Stephens, M. A. (2009). A new and efficient estimation method for the generalized
    Pareto distribution. Technometrics 51, 316-325.
    """
    n = len(excess)
    quartile = float(excess[int(n / 4.0 + 0.5) - 1])
    if quartile <= 0.0:
        return float("inf"), float("nan")
    points = 30 + int(np.sqrt(n))
    theta = 1.0 - np.sqrt(points / (np.arange(1, points + 1) - 0.5))
    theta = theta / (3.0 * quartile) + 1.0 / float(excess[-1])
    shape = np.mean(np.log1p(-theta[:, None] * excess), axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_likelihood = n * (np.log(-theta / shape) - shape - 1.0)
    weight = np.exp(log_likelihood - np.nanmax(log_likelihood))
    weight = np.where(np.isfinite(weight), weight, 0.0)
    best = float(np.sum(weight * theta) / np.sum(weight))
    k = float(np.mean(np.log1p(-best * excess)))
    scale = -k / best
    return (n * k + 10.0 * 0.5) / (n + 10.0), scale


def pareto_quantile(probability: FloatArray, k: float, scale: float) -> FloatArray:
    """Return quantiles of the generalised Pareto law with location zero."""
    if abs(k) < 1e-12:
        return np.asarray(-scale * np.log1p(-probability))
    return np.asarray(scale * np.expm1(-k * np.log1p(-probability)) / k)


def weighted_quantiles(draws: FloatArray, weights: FloatArray, levels: FloatArray) -> FloatArray:
    """Return quantiles (levels, p) of `draws` (n, p) with `weights` (n,) that sum to one."""
    found = np.empty((len(levels), draws.shape[1]))
    for j in range(draws.shape[1]):
        order = np.argsort(draws[:, j])
        share = np.cumsum(weights[order]) - weights[order] / 2.0
        found[:, j] = np.interp(levels, share, draws[order, j])
    return found
