"""Hamiltonian Monte Carlo for all but linear moments, in Python.

A user's function gives no derivative of S, so the gradient is taken by central differences of the
log density: 2 k evaluations. Under a fixed weight a given `jac` spares them. Draws are exact
whatever the quality of the gradient, since trajectories are accepted by the exact energy. A Gibbs
posterior knows its gradient; at the kinks of a loss it is a subgradient. So do local projections.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dtrsv

from qbeconometrics.exceptions import NumericalError
from qbeconometrics.kernels.reference.hmc import hamiltonian_chain
from qbeconometrics.posterior.function_target import FunctionTarget, Point, Screened
from qbeconometrics.posterior.projection_cue import CueTarget
from qbeconometrics.posterior.risk_target import RiskTarget
from qbeconometrics.sampling.samplers import JITTER, Block, Settings
from qbeconometrics.sampling.state import ChainState

FloatArray = NDArray[np.float64]

# Of central differences in coordinates in which posterior sds are near 1.
STEP = 1e-4


def function_hamiltonian(
    target: FunctionTarget | RiskTarget | CueTarget,
    settings: Settings,
    state: ChainState,
    n_draws: int,
) -> tuple[ChainState, Block]:
    """Advance a chain by a block of draws."""
    block = Block(np.empty((n_draws, target.n_params)), np.empty(n_draws))
    bits = np.random.PCG64(0)
    bits.state = cast(Any, state.generator)
    position, tuning, counters = state.position.copy(), state.tuning.copy(), state.counters.copy()
    assert settings.normalising_map is not None
    density = (
        partial(log_density_and_gradient, target)
        if isinstance(target, FunctionTarget)
        else target.log_density_and_gradient
    )
    with np.errstate(all="ignore"):
        ready = hamiltonian_chain(
            density,
            np.random.Generator(bits),
            position,
            tuning,
            settings.normalising_map,
            settings.length,
            JITTER,
            block.draws,
            block.log_density,
            counters,
            goal=settings.goal,
        )
    if not ready:
        raise NumericalError("the quasi-posterior is not finite where a chain stands")
    return ChainState(position, tuning, dict(bits.state), counters), block


def log_density_and_gradient(target: FunctionTarget, x: FloatArray) -> tuple[float, FloatArray]:
    """Return the log density at x and its gradient (k,).

    The density is minus infinity outside the prior, NaN where it cannot be evaluated.
    """
    screened = target.screen(x)
    if screened is False:
        return -math.inf, np.zeros(len(x))
    point = target.complete(screened) if isinstance(screened, Screened) else None
    if point is None:
        return math.nan, np.zeros(len(x))
    if target.fixed_root is not None and target.function.has_jacobian:
        return point.log_density, _fixed_weight_gradient(target, point)
    gradient = np.empty(len(x))
    for j in range(len(x)):
        gradient[j] = _slope(target, point, j)
    return point.log_density, gradient


def _slope(target: FunctionTarget, point: Point, j: int) -> float:
    """Central difference, one-sided beside a point that is not finite, zero between two."""
    step = np.zeros(len(point.position))
    step[j] = STEP
    after, before = target.point(point.position + step), target.point(point.position - step)
    ends = [p.log_density for p in (after, before) if p is not None]
    if len(ends) == 2:
        return (ends[0] - ends[1]) / (2.0 * STEP)
    if not ends:
        return 0.0
    return (ends[0] - point.log_density) / (STEP if after is not None else -STEP)


def _fixed_weight_gradient(target: FunctionTarget, point: Point) -> FloatArray:
    gradient = target.log_prior_gradient(point.position, point.params)
    derivative = target.scaled_jacobian(point.params, target.relative_step)
    if derivative is None:
        return gradient
    white = dtrsv(point.root, point.mean, lower=1)
    solved = dtrsv(point.root, white, lower=1, trans=1)
    return gradient - math.sqrt(target.factor) * (derivative.T @ solved)
