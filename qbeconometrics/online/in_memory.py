"""Heads trained by several passes over rows in memory, and used on rows that they have not seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError, OptionError
from qbeconometrics.online.cross_fitting import CrossFitted, cross_fitted
from qbeconometrics.online.stream import push
from qbeconometrics.online.stream_moments import fitted_heads
from qbeconometrics.online.stream_state import FIRST_ROWS, StreamOptions, StreamState, new_state
from qbeconometrics.sampling.seeds import spawn_seeds

FloatArray = NDArray[np.float64]

# Rows that are shuffled into one piece.
PIECE = 10 * FIRST_ROWS


def trained_state(
    rows: FloatArray,
    options: StreamOptions,
    *,
    passes: int | None = None,
    rng: Any = None,
    names: Sequence[str] | None = None,
) -> StreamState:
    """Return what a stream knows after several passes over rows, each in a new random order.

    Parameters
    ----------
    rows : ndarray, shape (n, 2 + k)
        Columns (y1, y2, x).
    options : StreamOptions
    passes : int, optional
        None is `usual_passes`.
    rng : None, int, SeedSequence, BitGenerator or Generator
    names : sequence of str, optional
        Of the columns of x, for messages.

    Raises
    ------
    InputError
        If there are fewer than 1,000 rows.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((1_500, 3))
    >>> trained_state(rows, StreamOptions(features="linear"), passes=2, rng=0).batches
    30
    """
    passes = usual_passes(len(rows)) if passes is None else passes
    if passes < 1:
        raise OptionError(f"passes={passes!r} must be at least 1")
    if len(rows) < FIRST_ROWS:
        raise InputError(f"{len(rows)} rows are too few to train on; {FIRST_ROWS:,} are needed")
    features, order = spawn_seeds(rng, 2)
    state = new_state(options, rows.shape[1] - 2, rng=features)
    generator = np.random.default_rng(order)
    for _ in range(passes):
        shuffled = generator.permutation(len(rows))
        for start in range(0, len(rows), PIECE):
            push(state, options, rows[shuffled[start : start + PIECE]], names=names)
    return state


def usual_passes(n: int) -> int:
    """Return how often `n` rows are seen: 500,000 rows in all, in 3 to 10 passes.

    Heads that have not learned enough leave parts of the means in the residuals, which look like
    error variances and may pass for identification.

    Examples
    --------
    >>> [usual_passes(n) for n in (10_000, 100_000, 1_000_000)]
    [10, 5, 3]
    """
    return min(max(-(-500_000 // n), 3), 10)


def residuals_and_instruments(
    state: StreamState, options: StreamOptions, rows: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return y - E(y|x) and exp(-g1), exp(-g2) at rows, each of shape (n, 2)."""
    residuals, instruments = np.empty((2, len(rows), 2))
    for start in range(0, len(rows), FIRST_ROWS):
        piece = slice(start, start + FIRST_ROWS)
        means, variances = fitted_heads(state, options, rows[piece, 2:])
        residuals[piece], instruments[piece] = rows[piece, :2] - means, 1.0 / variances
    return residuals, instruments


def cross_fit(
    rows: FloatArray,
    options: StreamOptions,
    *,
    folds: int = 2,
    passes: int | None = None,
    rng: Any = None,
    names: Sequence[str] | None = None,
) -> CrossFitted:
    """Return the estimate from all rows, each with heads that were trained on the other folds.

    Parameters
    ----------
    rows : ndarray, shape (n, 2 + k)
        Columns (y1, y2, x).
    options : StreamOptions
    folds : int, optional
        Parts of the same size, at random.
    passes : int, optional
        Over the rows of the other folds; None is `usual_passes`.
    rng : None, int, SeedSequence, BitGenerator or Generator
    names : sequence of str, optional

    Raises
    ------
    OptionError
        If there are fewer than two folds, or no pass.
    InputError
        If fewer than 1,000 rows are left to train on.

    Examples
    --------
    >>> from qbeconometrics import simulate
    >>> data = simulate.bidirectional(20_000)[["y1", "y2", "x1", "x2"]]
    >>> found = cross_fit(data.to_numpy(), StreamOptions(n_features=40), rng=0)
    >>> found.pooled.params.round(1)
    array([ 0.5, -0.4])
    """
    if folds < 2:
        raise OptionError(f"folds={folds!r} must be at least 2")
    assignment, *training = spawn_seeds(rng, 1 + folds)
    fold_of = np.random.default_rng(assignment).permutation(np.arange(len(rows)) % folds)
    residuals, instruments = np.empty((2, len(rows), 2))
    for fold, seed in enumerate(training):
        own = fold_of == fold
        state = trained_state(rows[~own], options, passes=passes, rng=seed, names=names)
        residuals[own], instruments[own] = residuals_and_instruments(state, options, rows[own])
    return cross_fitted(residuals[:, 0], residuals[:, 1], instruments, fold_of)
