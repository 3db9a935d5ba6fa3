"""Particles of the Gibbs posterior of a weighted loss, written for reading.

Twins of the compiled functions, which also serve losses that a user writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.kernels.reference.cholesky import unpack_lower

FloatArray = NDArray[np.float64]

# Rows of the compiled class come in multiples of this.
LANES = 8

# Losses of outcome y and index e, with an option a, in the order of their numbers.
LOSSES: tuple[Callable[[FloatArray, FloatArray, float], FloatArray], ...] = (
    lambda y, e, a: 0.5 * (y - e) ** 2,  # squared
    lambda y, e, a: (y - e) * np.where(y < e, a - 1.0, a),  # quantile
    lambda y, e, a: np.abs(y - e),  # absolute
    lambda y, e, a: np.where(  # Huber
        np.abs(y - e) <= a, 0.5 * (y - e) ** 2, a * (np.abs(y - e) - 0.5 * a)
    ),
    lambda y, e, a: np.where(y < e, 1.0 - a, a) * (y - e) ** 2,  # expectile
    lambda y, e, a: np.logaddexp(0.0, e) - y * e,  # logistic
    lambda y, e, a: np.exp(e) - y * e + np.where(y > 0, y * np.log(np.where(y > 0, y, 1)) - y, 0),
    lambda y, e, a: np.maximum(0.0, 1.0 - y * e),  # hinge, of y = -1 or 1
)

# Of the adaptation of the scale of a random walk: steps shrink as count to this power.
DECAY = 0.6

# Losses of so many rows and points are formed at once.
BLOCK_NUMBERS = 250_000


class LossRows:
    """Rows of one replication, with any loss.

    Parameters
    ----------
    loss : int or callable
        A number, as of the compiled class; or ``loss(endog, index)`` -> losses of arrays.
    option, endog, offset, columns, weight, prior_precision, prior_mean, student
        As of the compiled class, with any number of rows.
    """

    def __init__(
        self,
        loss: int | Callable[[FloatArray, FloatArray], FloatArray],
        option: float,
        endog: FloatArray,
        offset: FloatArray,
        columns: FloatArray,
        weight: FloatArray,
        prior_precision: FloatArray,
        prior_mean: FloatArray,
        student: tuple[FloatArray, FloatArray, FloatArray],
    ):
        self._loss, self._option = loss, option
        self._endog, self._offset = endog, offset
        self._columns, self._weight = columns, weight
        self._precision, self._mean, self._student = prior_precision, prior_mean, student

    def losses(self, points: FloatArray) -> FloatArray:
        """Return L (M,) at `points` (M, k)."""
        n = len(self._endog)
        result = np.empty(len(points))
        size = max(1, BLOCK_NUMBERS // n)
        for start in range(0, len(points), size):
            block = points[start : start + size]
            index = self._offset + block @ self._columns
            endog = np.broadcast_to(self._endog, index.shape)
            if callable(self._loss):
                values = self._loss(endog.ravel(), index.ravel()).reshape(index.shape)
            else:
                values = LOSSES[self._loss](endog, index, self._option)
            result[start : start + size] = values @ self._weight
        return result

    def log_prior(self, points: FloatArray) -> FloatArray:
        """Return the log prior (M,) at `points` (M, k), without its constant."""
        distance = points - self._mean
        value = -0.5 * np.sum((distance @ self._precision) * distance, axis=1)
        rows, offset, df = self._student
        standard = points @ rows.T + offset
        return np.asarray(value - 0.5 * np.sum((df + 1.0) * np.log1p(standard**2 / df), axis=1))


def _acceptance(change: FloatArray) -> FloatArray:
    """Return min(1, exp(change)), 0 where it is NaN."""
    return np.where(np.isnan(change), 0.0, np.exp(np.minimum(np.nan_to_num(change, nan=0.0), 0.0)))


def particle_walk(
    rows: LossRows,
    bit_generator: np.random.BitGenerator,
    position: FloatArray,
    tuning: FloatArray,
    root: FloatArray,
    rate: float,
    goal: float,
    draws: FloatArray,
    losses: FloatArray,
) -> int:
    """Twin of the compiled function of the same name; see there."""
    rng = np.random.Generator(bit_generator)
    lower = unpack_lower(root)
    loss, prior = rows.losses(position[None])[0], rows.log_prior(position[None])[0]
    if not math.isfinite(loss):
        return -1
    accepted = 0
    for i in range(len(draws)):
        scale = math.exp(tuning[0])
        proposal = position + scale * (lower @ rng.standard_normal(len(position)))
        u = rng.random()
        candidate = rows.losses(proposal[None])[0]
        candidate_prior = rows.log_prior(proposal[None])[0]
        acceptance = float(_acceptance(rate * (loss - candidate) + candidate_prior - prior))
        if u < acceptance:
            accepted += 1
            position[:] = proposal
            loss, prior = candidate, candidate_prior
        if goal > 0.0:
            tuning[1] += 1.0
            tuning[0] += (acceptance - goal) / tuning[1] ** DECAY
        draws[i], losses[i] = position, loss
    return accepted


def move_particles(
    rows: LossRows,
    bit_generator: np.random.BitGenerator,
    positions: FloatArray,
    losses: FloatArray,
    root: FloatArray,
    scale: float,
    rate: float,
    steps: int,
) -> int:
    """Twin of the compiled function of the same name; see there."""
    rng = np.random.Generator(bit_generator)
    size, k = positions.shape
    lower = unpack_lower(root)
    accepted = 0
    for _ in range(steps):
        proposals = positions + scale * (rng.standard_normal((size, k)) @ lower.T)
        u = rng.random(size)
        candidates = rows.losses(proposals)
        change = rate * (losses - candidates)
        change += rows.log_prior(proposals) - rows.log_prior(positions)
        taken = u < _acceptance(change)
        positions[taken], losses[taken] = proposals[taken], candidates[taken]
        accepted += int(taken.sum())
    return accepted
