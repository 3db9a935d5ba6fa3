"""The samplers by name: each advances a chain by a block of draws, state in, state out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import NumericalError
from qbeconometrics.kernels import _delayed_acceptance as kernels
from qbeconometrics.kernels._hmc import hamiltonian
from qbeconometrics.kernels._linear_moments import LinearMomentTarget
from qbeconometrics.kernels.reference.hmc import NormalisingMap
from qbeconometrics.moments.cost import (
    NS_CALL,
    ProblemSize,
    evaluation_cost,
    gradient_cost,
    surrogate_cost,
)
from qbeconometrics.moments.linear import pack_symmetric
from qbeconometrics.sampling.state import ChainState

FloatArray = NDArray[np.float64]

UNSCREENED = 20

# Of "hmc": acceptance rate that the step is adapted to, mean length of a trajectory in coordinates
# in which the target is nearly standard normal, and the share by which lengths scatter.
TARGET_ACCEPT = 0.9
LENGTH = 3.0
JITTER = 0.3


@dataclass(frozen=True, slots=True)
class Settings:
    """What stays fixed while a sampler runs.

    Attributes
    ----------
    sampler : str
        A key of `SAMPLERS`.
    df : float
        Degrees of freedom of the proposal of the modified samplers; infinity is normal.
    rho : float
        Their share of the current position that is kept.
    proposal_root : ndarray, shape (k, k), or None
        Lower factor of the covariance of the random walk.
    goal : float
        Acceptance rate that the random walk's scale, or the step of "hmc", is adapted to; negative
        when it is fixed.
    unscreened : int
        Of "da": one step in so many is not screened; 0 screens all.
    normalising_map : NormalisingMap or None
        Of "hmc": its coordinates.
    target_accept, length : float
        Of "hmc": acceptance rate to adapt to in warm-up, and mean length of a trajectory.
    """

    sampler: str
    df: float = np.inf
    rho: float = 0.0
    proposal_root: FloatArray | None = None
    goal: float = -1.0
    unscreened: int = UNSCREENED
    normalising_map: NormalisingMap | None = None
    target_accept: float = TARGET_ACCEPT
    length: float = LENGTH


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive draws of one chain.

    Attributes
    ----------
    draws : ndarray, shape (draws, k)
        In scaled coordinates.
    log_density : ndarray, shape (draws,)
    statistics : ndarray, shape (draws, columns), or None
        What the sampler records of every draw besides.
    """

    draws: FloatArray
    log_density: FloatArray
    statistics: FloatArray | None = None


# The target is of the kind that the sampler is for.
Advance = Callable[[Any, Settings, ChainState, int], tuple[ChainState, Block]]


@dataclass(frozen=True, slots=True)
class Sampler:
    """An entry of the registry.

    Attributes
    ----------
    advance : callable
        (target, settings, state, draws) -> (state, block).
    cost : callable
        (size, share of proposals that pass stage 1, or gradients a draw) -> modelled nanoseconds a
        draw.
    adapts : {"nothing", "random walk", "hamiltonian"}
        What warm-up tunes.
    needs_normal_prior : bool
    """

    advance: Advance
    cost: Callable[[ProblemSize, float], float]
    adapts: str
    needs_normal_prior: bool


def _outputs(n_draws: int, k: int) -> Block:
    return Block(np.empty((n_draws, k)), np.empty(n_draws))


def _bit_generator(state: ChainState) -> np.random.PCG64:
    bits = np.random.PCG64(0)
    bits.state = cast(Any, state.generator)
    return bits


def _random_walk(delayed: bool) -> Advance:
    def advance(
        target: LinearMomentTarget, settings: Settings, state: ChainState, n_draws: int
    ) -> tuple[ChainState, Block]:
        block = _outputs(n_draws, target.n_params)
        bits = _bit_generator(state)
        position, counters = state.position.copy(), state.counters.copy()
        tuning = state.tuning.copy()
        assert settings.proposal_root is not None
        ready = kernels.random_walk(
            target,
            bits,
            position,
            tuning,
            pack_symmetric(settings.proposal_root),
            block.draws,
            block.log_density,
            counters,
            delayed=delayed,
            goal=settings.goal,
            unscreened=settings.unscreened,
        )
        _check_ready(ready)
        return ChainState(position, tuning, dict(bits.state), counters), block

    return advance


def _hamiltonian(
    target: LinearMomentTarget, settings: Settings, state: ChainState, n_draws: int
) -> tuple[ChainState, Block]:
    block = _outputs(n_draws, target.n_params)
    bits = _bit_generator(state)
    position, counters, tuning = state.position.copy(), state.counters.copy(), state.tuning.copy()
    assert settings.normalising_map is not None
    ready = hamiltonian(
        target,
        bits,
        position,
        tuning,
        settings.normalising_map.centre,
        pack_symmetric(settings.normalising_map.root),
        settings.normalising_map.power,
        settings.length,
        JITTER,
        block.draws,
        block.log_density,
        counters,
        goal=settings.goal,
    )
    _check_ready(ready)
    return ChainState(position, tuning, dict(bits.state), counters), block


def _modified(exact: bool) -> Advance:
    def advance(
        target: LinearMomentTarget, settings: Settings, state: ChainState, n_draws: int
    ) -> tuple[ChainState, Block]:
        block = _outputs(n_draws, target.n_params)
        bits = _bit_generator(state)
        position, counters = state.position.copy(), state.counters.copy()
        inverse, root = np.empty((0, 0)), np.empty(0)
        if not exact and target.n_params == target.n_moments:
            inverse = np.ascontiguousarray(np.linalg.inv(target.arrays["jacobian"]))
            root = inverse @ target.arrays["intercept"]
        ready = kernels.modified_delayed_acceptance(
            target,
            bits,
            position,
            settings.df,
            settings.rho,
            inverse,
            root,
            block.draws,
            block.log_density,
            counters,
            exact=exact,
        )
        _check_ready(ready)
        return replace(
            state, position=position, generator=dict(bits.state), counters=counters
        ), block

    return advance


def _check_ready(ready: bool) -> None:
    if not ready:
        raise NumericalError("the quasi-posterior is not finite where a chain stands")


def _cost_random_walk(size: ProblemSize, passed: float) -> float:
    return NS_CALL + 20.0 * size.k + evaluation_cost(size)


def _cost_delayed(size: ProblemSize, passed: float) -> float:
    screening = 0.5 * (size.m * size.k + size.m**2 / 2 + size.k**2)
    return NS_CALL + 20.0 * size.k + screening + passed * evaluation_cost(size)


def _cost_modified(size: ProblemSize, passed: float) -> float:
    return NS_CALL + 20.0 * size.k + passed * (evaluation_cost(size) + surrogate_cost(size))


def _cost_hamiltonian(size: ProblemSize, gradients: float) -> float:
    each = evaluation_cost(size) + gradient_cost(size) + 2.0 * size.k**2
    return NS_CALL + 20.0 * size.k + gradients * each


def _cost_approx(size: ProblemSize, passed: float) -> float:
    if size.k == size.m:  # no k x k factor
        return NS_CALL + 20.0 * size.k + size.k**2 + passed * evaluation_cost(size)
    return _cost_modified(size, passed)


SAMPLERS: dict[str, Sampler] = {
    "rwm": Sampler(_random_walk(delayed=False), _cost_random_walk, "random walk", False),
    "da": Sampler(_random_walk(delayed=True), _cost_delayed, "random walk", False),
    "da-exact": Sampler(_modified(exact=True), _cost_modified, "nothing", True),
    "da-approx": Sampler(_modified(exact=False), _cost_approx, "nothing", False),
    "hmc": Sampler(_hamiltonian, _cost_hamiltonian, "hamiltonian", False),
}
