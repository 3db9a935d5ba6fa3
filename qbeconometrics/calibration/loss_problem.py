"""Bootstrap replications of the Gibbs posterior of a loss."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics import losses
from qbeconometrics.calibration.replicated_walks import ReplicatedWalks
from qbeconometrics.kernels import _particles
from qbeconometrics.kernels.reference import particles as reference
from qbeconometrics.losses import Loss
from qbeconometrics.sampling.progress import Progress

FloatArray = NDArray[np.float64]

# Numbers of the compiled losses, and the option that each has.
COMPILED: dict[type[Loss], tuple[int, str | None]] = {
    losses.Squared: (0, None),
    losses.Quantile: (1, "tau"),
    losses.Absolute: (2, None),
    losses.Huber: (3, "delta"),
    losses.Expectile: (4, "tau"),
    losses.Logistic: (5, None),
    losses.Poisson: (6, None),
    losses.Hinge: (7, None),
}

BURN_IN = 500
# Acceptance rate to which random walks are tuned while they burn in.
GOAL = 0.3
NORMAL_SCALE = 2.38  # over sqrt(k), of a random walk on a normal law


@dataclass(frozen=True)
class LossProblem(ReplicatedWalks):
    """Rows, in coordinates x in which the curvature of the summed loss at its minimum is one.

    Attributes
    ----------
    loss : Loss
    endog, offset : ndarray, shape (n,)
        Outcome, and index at the estimate.
    columns : ndarray, shape (k, n)
        Regressors in these coordinates, whose origin is the estimate.
    prior_precision : ndarray, shape (k, k)
    prior_mean : ndarray, shape (k,)
    student : tuple of ndarray, shapes (s, k), (s,), (s,)
    weights : ndarray, shape (B, n)
    executor : Executor, optional
    functional : callable, optional
        Of positions (M, k), for the region "marginal".
    progress : Progress, optional
        Told of each replication that is simulated or moved.
    """

    loss: Loss
    endog: FloatArray
    offset: FloatArray
    columns: FloatArray
    prior_precision: FloatArray
    prior_mean: FloatArray
    student: tuple[FloatArray, FloatArray, FloatArray]
    weights: FloatArray
    executor: Executor | None = field(default=None, compare=False)
    functional: Callable[[FloatArray], FloatArray] | None = None
    progress: Progress | None = field(default=None, compare=False)

    @property
    def replications(self) -> int:
        """Number of replications."""
        return len(self.weights)

    @property
    def n_params(self) -> int:
        """Number of coefficients."""
        return len(self.columns)

    @cached_property
    def score_product(self) -> FloatArray:  # type: ignore[override]
        """Sum of products of the scores at the estimate (k, k); the curvature is the identity."""
        scores = self.columns * self.loss.score(self.endog, self.offset)
        return np.asarray(scores @ scores.T)

    @property
    def typical_rate(self) -> float:
        """The information-matching rate: all coefficients of a loss are of like importance."""
        return self.information_rate

    @cached_property
    def loss_at_estimate(self) -> FloatArray:
        """Summed loss of the estimate in each replication (B,)."""
        return np.asarray(self.weights @ self.loss.value(self.endog, self.offset))

    def _arrays(self, b: int) -> tuple[Any, ...]:
        """What a worker needs of one replication; rows that were not drawn are left out."""
        drawn = np.flatnonzero(self.weights[b])
        padding = -len(drawn) % _particles.LANES

        def padded(values: FloatArray) -> FloatArray:
            """Rows of weight zero, with values at which no loss overflows, fill the last lanes."""
            return np.concatenate([values, np.zeros(padding)])

        endog = self.endog[drawn]
        if isinstance(self.loss, losses.Hinge):
            endog = self.loss.sign(endog)
        columns = np.zeros((self.n_params, len(drawn) + padding))
        columns[:, : len(drawn)] = self.columns[:, drawn]
        return (
            self.loss,
            padded(endog),
            padded(self.offset[drawn]),
            columns,
            padded(self.weights[b, drawn]),
            self.prior_precision,
            self.prior_mean,
            self.student,
        )

    def _workers(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        return _simulate, _move


def _rows(arrays: tuple[Any, ...]) -> tuple[Any, Any]:
    """Return the module that moves particles, and its rows."""
    loss, rest = arrays[0], arrays[1:]
    if type(loss) not in COMPILED:
        return reference, reference.LossRows(loss.value, 0.0, *rest)
    number, option = COMPILED[type(loss)]
    value = 0.0 if option is None else getattr(loss, option)
    return _particles, _particles.LossRows(number, value, *rest)


def _simulate(
    rate: float, particles: int, arrays: tuple[Any, ...], seed: np.random.SeedSequence
) -> tuple[FloatArray, FloatArray]:
    """Positions (M, k) and losses (M,) of one replication; NaN where the start has no loss."""
    module, rows = _rows(arrays)
    k = len(arrays[3])
    position, bits = np.zeros(k), np.random.PCG64(seed)
    tuning = np.array([np.log(NORMAL_SCALE / np.sqrt(k * rate)), 0.0])
    root = np.eye(k)[np.tril_indices(k)]
    burnt = np.empty((BURN_IN, k)), np.empty(BURN_IN)
    draws = np.empty((particles, k)), np.empty(particles)
    with np.errstate(all="ignore"):
        if module.particle_walk(rows, bits, position, tuning, root, rate, GOAL, *burnt) < 0:
            return np.full((particles, k), np.nan), np.full(particles, np.nan)
        module.particle_walk(rows, bits, position, tuning, root, rate, -1.0, *draws)
    return draws


def _move(
    rate: float,
    arrays: tuple[Any, ...],
    positions: FloatArray,
    of_positions: FloatArray,
    root: FloatArray,
    scale: float,
    seed: np.random.SeedSequence,
) -> tuple[FloatArray, FloatArray, float]:
    module, rows = _rows(arrays)
    positions, of_positions = positions.copy(), of_positions.copy()
    with np.errstate(all="ignore"):
        accepted = module.move_particles(
            rows, np.random.PCG64(seed), positions, of_positions, root, scale, rate, 1
        )
    return positions, of_positions, accepted / len(positions)
