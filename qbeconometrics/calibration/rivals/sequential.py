"""Particles that take in row after row, following Chopin (2002, Biometrika 89, 539-552)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.calibration.coverage import ParticleSystem
from qbeconometrics.calibration.loss_problem import LossProblem
from qbeconometrics.calibration.tempering import NORMAL_SCALE, moved, systematic

FloatArray = NDArray[np.float64]

# Particles are resampled and moved where their effective number falls below this share.
SMALLEST_SHARE = 0.5
# Each time by so many random-walk steps at most: they are moved again soon, when rows have come in.
MOST_MOVES = 5
# A loss that is not finite counts as this much.
LARGEST_LOSS = 1e100
BISECTIONS = 40


def sequential_losses(
    problem: LossProblem,
    rate: float,
    first: int,
    prior_draws: FloatArray,
    seed: np.random.SeedSequence,
) -> float:
    """Return the sum over rows after the first of the loss expected from the rows before.

    Parameters
    ----------
    problem : LossProblem
        Of one replication.
    rate : float
    first : int
    prior_draws : ndarray, shape (particles, k)
    seed : SeedSequence
    """
    system = ParticleSystem(rate, prior_draws[None], np.zeros((1, len(prior_draws))))
    log_weights = np.zeros(len(prior_draws))
    scales = np.full(1, NORMAL_SCALE / np.sqrt(problem.n_params))
    seed = np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key)  # for each rate the same
    total = 0.0
    for row in range(len(problem.endog)):
        values = row_losses(problem, row, system.positions[0])
        if row >= first:
            total += float(_normalised(log_weights) @ values)
        taken = 0.0
        while taken < 1.0:
            step = _largest_step(log_weights, rate * values, 1.0 - taken)
            log_weights = log_weights - step * rate * values
            system = ParticleSystem(rate, system.positions, system.losses + step * values)
            taken += step
            if taken < 1.0:
                rows = _rows_so_far(problem, row, taken)
                system = _refreshed(rows, system, log_weights, scales, seed)
                log_weights = np.zeros(len(prior_draws))
                values = row_losses(problem, row, system.positions[0])
    return total


def row_losses(problem: LossProblem, row: int, positions: FloatArray) -> FloatArray:
    """Return the loss of one row at positions (M, k)."""
    index = problem.offset[row] + positions @ problem.columns[:, row]
    with np.errstate(all="ignore"):
        values = problem.loss.value(np.full(len(index), problem.endog[row]), index)
    return np.nan_to_num(np.minimum(values, LARGEST_LOSS), nan=LARGEST_LOSS)


def _normalised(log_weights: FloatArray) -> FloatArray:
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum())


def _largest_step(log_weights: FloatArray, values: FloatArray, most: float) -> float:
    """Return how much of a row may be taken in before the weights are too uneven."""

    def enough(step: float) -> bool:
        weights = _normalised(log_weights - step * values)
        return bool(1.0 / (weights @ weights) >= SMALLEST_SHARE * len(weights))

    if enough(most):
        return most
    inside, outside = 0.0, most
    for _ in range(BISECTIONS):
        middle = (inside + outside) / 2.0
        inside, outside = (middle, outside) if enough(middle) else (inside, middle)
    return outside


def _rows_so_far(problem: LossProblem, row: int, taken: float) -> LossProblem:
    """Return the rows before one, and a part of that one."""
    weights = np.ones((1, row + 1))
    weights[0, row] = taken
    return replace(
        problem,
        endog=problem.endog[: row + 1],
        offset=problem.offset[: row + 1],
        columns=problem.columns[:, : row + 1],
        weights=weights,
    )


def _refreshed(
    problem: LossProblem,
    system: ParticleSystem,
    log_weights: FloatArray,
    scales: FloatArray,
    seed: np.random.SeedSequence,
) -> ParticleSystem:
    """Resample particles by their weights, and move them."""
    resampling, moving = seed.spawn(2)
    weights = _normalised(log_weights)[None]
    chosen = systematic(weights, np.random.default_rng(resampling))[0]
    system = ParticleSystem(system.rate, system.positions[:, chosen], system.losses[:, chosen])
    return moved(problem, system, scales, moving, MOST_MOVES)
