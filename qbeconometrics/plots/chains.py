"""Chains: traces, ranks and autocorrelations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.stats import rankdata

from qbeconometrics.plots.style import CHAIN_COLOURS, COLOUR, hide_frame

FloatArray = NDArray[np.float64]

MOST_BINS = 20
# Normal quantile of the bounds of autocorrelations and of the heights of bins.
QUANTILE = 1.96
# Longer chains are thinned: more points than pixels only take time.
MOST_POINTS = 2000


def draw_trace(axis: Any, draws: FloatArray, name: str) -> None:
    """Draw each chain of `draws` (chain, draw) against the number of the draw."""
    step = -(-draws.shape[1] // MOST_POINTS)
    places = np.arange(0, draws.shape[1], step)
    for number, chain in enumerate(draws):
        axis.plot(
            places,
            chain[places],
            color=CHAIN_COLOURS[number % len(CHAIN_COLOURS)],
            linewidth=0.5,
            alpha=0.8,
        )
    axis.set_xlim(0, max(draws.shape[1] - 1, 1))
    axis.set_xlabel("draw")
    axis.set_ylabel(name)
    hide_frame(axis)


def draw_ranks(axis: Any, draws: FloatArray, name: str) -> None:
    """Draw how the ranks of each chain among all draws are spread, one row a chain.

    Following the rank plots of Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021, Bayesian
    Analysis 16, 667-718): where chains agree, each row is flat up to noise. The dotted lines are
    two standard errors of independent draws, so that correlated draws may leave them.
    """
    n_chains, n_draws = draws.shape
    ranks = rankdata(draws, method="average").reshape(draws.shape)
    bins = int(np.clip(n_draws // 20, 2, MOST_BINS))
    edges = np.linspace(0.5, draws.size + 0.5, bins + 1)
    error = QUANTILE * np.sqrt((1 - 1 / bins) * bins / n_draws)
    for number, chain in enumerate(ranks):
        share = np.histogram(chain, edges)[0] * bins / n_draws
        level = n_chains - 1 - number
        colour = CHAIN_COLOURS[number % len(CHAIN_COLOURS)]
        heights = level + 0.4 * share
        axis.stairs(heights, edges, baseline=level, fill=True, color=colour, alpha=0.75)
        for height in (1 - error, 1 + error):
            axis.axhline(level + 0.4 * height, color="black", linewidth=0.6, linestyle=":")
        axis.axhline(level + 0.4, color="black", linewidth=0.6)
    axis.set_xlim(edges[0], edges[-1])
    axis.set_ylim(-0.05, n_chains)
    axis.set_yticks(np.arange(n_chains) + 0.4, [f"chain {j}" for j in range(n_chains)][::-1])
    axis.tick_params(left=False)
    axis.set_xlabel(f"rank of {name}")
    hide_frame(axis, ("top", "right", "left"))


def draw_autocorrelation(axis: Any, draws: FloatArray, name: str, lags: int) -> None:
    """Draw autocorrelations of `draws` (chain, draw): a line a chain, bars for their mean."""
    correlations = autocorrelations(draws, lags)
    places = np.arange(correlations.shape[1])
    axis.bar(places, correlations.mean(axis=0), width=0.8, color=COLOUR, alpha=0.35, linewidth=0)
    for number, line in enumerate(correlations):
        colour = CHAIN_COLOURS[number % len(CHAIN_COLOURS)]
        axis.plot(places, line, color=colour, linewidth=0.9)
    bound = QUANTILE / np.sqrt(draws.size)
    for height in (-bound, bound):
        axis.axhline(height, color="black", linewidth=0.6, linestyle=":")
    axis.axhline(0.0, color="black", linewidth=0.6)
    axis.set_xlim(-0.5, places[-1] + 0.5)
    axis.set_ylim(min(-0.1, 1.05 * correlations.min()), 1.02)
    axis.set_xlabel("lag")
    axis.set_ylabel(f"autocorrelation of {name}")
    hide_frame(axis)


def autocorrelations(draws: FloatArray, lags: int) -> FloatArray:
    """Autocorrelations of each chain of `draws` (chain, draw), shape (chain, lags + 1).

    A chain that stands still has autocorrelation 1.

    Examples
    --------
    >>> autocorrelations(np.array([[1.0, -1.0, 1.0, -1.0]]), 1).round(2)
    array([[ 1.  , -0.75]])
    """
    n = draws.shape[1]
    lags = min(lags, n - 1)
    centred = draws - draws.mean(axis=1, keepdims=True)
    size = next_fast_len(2 * n)
    spectrum = np.abs(rfft(centred, size, axis=1)) ** 2
    covariances = np.asarray(irfft(spectrum, size, axis=1))[:, : lags + 1]
    still = np.ptp(draws, axis=1) == 0.0
    variance = np.where(still, 1.0, covariances[:, 0])
    return np.where(still[:, None], 1.0, covariances / variance[:, None])
