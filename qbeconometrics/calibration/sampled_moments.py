"""Bootstrap replications of quasi-posteriors of linear moments that are not normal.

A continuously updated weight, or a Student-t prior: particles come from a random walk of the
compiled sampler in each replication. The learning rate multiplies the quadratic form; determinant
and prior are left as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.calibration.replicated_walks import ReplicatedWalks
from qbeconometrics.calibration.updated_moments import UpdatedCriteria
from qbeconometrics.exceptions import NumericalError
from qbeconometrics.kernels._linear_moments import LinearMomentTarget
from qbeconometrics.moments.linear import unpack_symmetric
from qbeconometrics.posterior.quasi_posterior import ScaledPrior
from qbeconometrics.posterior.surrogate import normal_surrogate
from qbeconometrics.sampling.adaptation import acceptance_goal, initial_scale
from qbeconometrics.sampling.progress import Progress
from qbeconometrics.sampling.registry import samplers_for
from qbeconometrics.sampling.samplers import Settings
from qbeconometrics.sampling.state import new_state, new_tuning

FloatArray = NDArray[np.float64]

BURN_IN = 500


@dataclass(frozen=True)
class SampledMomentProblem(ReplicatedWalks):
    """Criteria in coordinates whose origin is the estimate, with curvature one.

    Attributes
    ----------
    criteria : UpdatedCriteria
    score_product : ndarray, shape (k, k)
        Covariance of the gradient of the criterion of the data at its minimum.
    prior : ScaledPrior
    determinant : bool
        Whether -1/2 log det S belongs to the log density.
    executor : Executor, optional
    functional : callable, optional
        Of positions (M, k), for the region "marginal".
    progress : Progress, optional
        Told of each replication that is simulated or moved.
    """

    criteria: UpdatedCriteria
    score_product: FloatArray
    prior: ScaledPrior
    determinant: bool
    executor: Executor | None = field(default=None, compare=False)
    functional: Callable[[FloatArray], FloatArray] | None = None
    progress: Progress | None = field(default=None, compare=False)

    @property
    def replications(self) -> int:
        """Number of replications."""
        return len(self.criteria.forms)

    @property
    def n_params(self) -> int:
        """Number of coefficients."""
        return self.criteria.jacobian.shape[2]

    @property
    def loss_at_estimate(self) -> FloatArray:
        """Criterion of the estimate in each replication (B,)."""
        origin = np.zeros((1, self.n_params))
        return np.array([_losses(self._arrays(b), origin)[0] for b in range(self.replications)])

    def _arrays(self, b: int) -> tuple[Any, ...]:
        given = self.criteria
        return given.intercept[b], given.jacobian[b], given.forms[b], self.prior, self.determinant

    def _workers(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        return _simulate, _move


def _target(arrays: tuple[Any, ...], rate: float, determinant: bool) -> LinearMomentTarget:
    intercept, jacobian, form, prior, _ = arrays
    return LinearMomentTarget(
        np.sqrt(rate) * intercept,
        np.sqrt(rate) * jacobian,
        prior.precision,
        prior.mean,
        determinant=determinant,
        student=prior.student,
        **form,
    )


def _losses(arrays: tuple[Any, ...], points: FloatArray) -> FloatArray:
    """Criterion (M,) without determinant; infinite where S is not positive definite."""
    return np.asarray(-_target(arrays, 1.0, False).evaluate(points)[0])


def _log_densities(arrays: tuple[Any, ...], rate: float, points: FloatArray) -> NDArray[np.float64]:
    likelihood, prior = _target(arrays, rate, arrays[-1]).evaluate(points)
    return np.asarray(likelihood + prior)


def _simulate(
    rate: float, particles: int, arrays: tuple[Any, ...], seed: np.random.SeedSequence
) -> tuple[FloatArray, FloatArray]:
    """Positions (M, k) and losses (M,) of one replication; NaN where it has no start."""
    target = _target(arrays, rate, arrays[-1])
    k = target.n_params
    advance = samplers_for(target)["rwm"].advance
    try:
        start = normal_surrogate(target, np.zeros(k))
        settings = Settings("rwm", proposal_root=start.root, goal=acceptance_goal(k, delayed=False))
        state = replace(new_state(start.mean, seed), tuning=new_tuning(initial_scale(k)))
        state, _ = advance(target, settings, state, BURN_IN)
        _, block = advance(target, replace(settings, goal=-1.0), state, particles)
    except NumericalError:
        return np.full((particles, k), np.nan), np.full(particles, np.nan)
    return block.draws, _losses(arrays, block.draws)


def _move(
    rate: float,
    arrays: tuple[Any, ...],
    positions: FloatArray,
    of_positions: FloatArray,
    root: FloatArray,
    scale: float,
    seed: np.random.SeedSequence,
) -> tuple[FloatArray, FloatArray, float]:
    rng = np.random.default_rng(seed)
    k = positions.shape[1]
    lower = np.tril(unpack_symmetric(root, k))
    proposed = positions + scale * rng.standard_normal(positions.shape) @ lower.T
    change = _log_densities(arrays, rate, proposed) - _log_densities(arrays, rate, positions)
    accepted = np.log(rng.random(len(positions))) < change
    moved = np.where(accepted[:, None], proposed, positions)
    losses = np.where(accepted, _losses(arrays, proposed), of_positions)
    return moved, losses, float(accepted.mean())
