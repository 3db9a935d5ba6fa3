"""Samplers for user-written moments, in Python: the same algorithms as the compiled ones.

Each draws from NumPy's generator in a fixed order, evaluates the user's function once a proposal
(and for its derivative where that is not given), and accepts by the exact Metropolis-Hastings
ratio, whatever the quality of the approximation that proposed.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dtrsv

from qbeconometrics.exceptions import NumericalError
from qbeconometrics.moments.cost import ProblemSize
from qbeconometrics.posterior.function_target import FunctionTarget, Point, Screened
from qbeconometrics.posterior.local_normal import LocalNormal, linearise
from qbeconometrics.sampling.function_hamiltonian import function_hamiltonian
from qbeconometrics.sampling.samplers import Advance, Block, Sampler, Settings
from qbeconometrics.sampling.state import ChainState

FloatArray = NDArray[np.float64]

# Robbins-Monro, as in the compiled kernels: the gain of draw i is (i + 1)^-0.6.
GAIN_EXPONENT = -0.6

# As there: log sd of the scale of the steps of "da" that are not screened.
SCATTER = 1.5

# Modelled costs, in nanoseconds: calls into Python, a moment of a row, a product of two of them.
NS_FUNCTION_CALL = 25_000.0
NS_MOMENT = 8.0
NS_MOMENT_PRODUCT = 0.1

PROPOSED, PASSED, ACCEPTED, NONFINITE = range(4)


class _Chain:
    """A chain while it runs a block."""

    __slots__ = ("counters", "current", "rng", "target", "tuning")

    def __init__(self, target: Any, state: ChainState):
        bits = np.random.PCG64(0)
        bits.state = cast(Any, state.generator)
        self.target, self.rng = target, np.random.Generator(bits)
        self.counters = state.counters.tolist()
        self.tuning = state.tuning.copy()
        point = target.recall(state.position)
        if point is None:
            raise NumericalError("the quasi-posterior is not finite where a chain stands")
        # Of the target's kind.
        self.current: Any = point

    def adapt(self, acceptance: float, goal: float) -> None:
        """Move the scale of the random walk towards the goal."""
        self.tuning[1] += 1.0
        self.tuning[0] += (acceptance - goal) * self.tuning[1] ** GAIN_EXPONENT

    def state(self) -> ChainState:
        """Return what is needed to go on."""
        self.target.remember(self.current)
        return ChainState(
            self.current.position.copy(),
            self.tuning.copy(),
            dict(self.rng.bit_generator.state),
            np.array(self.counters, dtype=np.int64),
        )


def _exponential(value: float) -> float:
    return 1.0 if value >= 0.0 else math.exp(value)


def _log_uniform(rng: np.random.Generator) -> float:
    return math.log(rng.random() or 5e-324)


def _random_walk(delayed: bool) -> Advance:
    step = _delayed_step if delayed else _plain_step

    def advance(
        target: FunctionTarget, settings: Settings, state: ChainState, n_draws: int
    ) -> tuple[ChainState, Block]:
        k = target.n_params
        block = Block(np.empty((n_draws, k)), np.empty(n_draws))
        with np.errstate(all="ignore"):
            chain = _Chain(target, state)
            assert settings.proposal_root is not None
            root, normals = settings.proposal_root, chain.rng.standard_normal
            for i in range(n_draws):
                move = math.exp(chain.tuning[0]) * (root @ normals(k))
                number = chain.counters[PROPOSED] + 1
                scattered = (
                    delayed and settings.unscreened > 0 and number % settings.unscreened == 0
                )
                if scattered:
                    move *= math.exp(SCATTER * normals())
                    acceptance = _plain_step(chain, chain.current.position + move)
                else:
                    acceptance = step(chain, chain.current.position + move)
                if settings.goal > 0.0 and not scattered:
                    chain.adapt(acceptance, settings.goal)
                block.draws[i] = chain.current.position
                block.log_density[i] = chain.current.log_density
            return chain.state(), block

    return advance


def _plain_step(chain: _Chain, position: FloatArray) -> float:
    """Metropolis; return the probability of acceptance."""
    counters, current = chain.counters, chain.current
    log_uniform = _log_uniform(chain.rng)
    counters[PROPOSED] += 1
    counters[PASSED] += 1
    point = chain.target.attempt(position)
    if point is False:
        return 0.0
    if point is None:
        counters[NONFINITE] += 1
        return 0.0
    ratio = point.log_density - current.log_density
    if log_uniform < ratio:
        counters[ACCEPTED] += 1
        chain.current = point
    return _exponential(ratio)


def _delayed_step(chain: _Chain, position: FloatArray) -> float:
    """Delayed acceptance: stage 1 freezes S at the current point and needs the mean moment only."""
    counters, current, target = chain.counters, chain.current, chain.target
    log_first, log_second = _log_uniform(chain.rng), _log_uniform(chain.rng)
    counters[PROPOSED] += 1
    screened = target.screen(position)
    if screened is False:
        return 0.0
    if not isinstance(screened, Screened):
        counters[NONFINITE] += 1
        return 0.0
    quadratic = target.frozen_quadratic(current.root, screened.mean)
    forward = 0.5 * (current.quadratic - quadratic) + screened.log_prior - current.log_prior
    if not log_first < forward:
        return 0.0
    counters[PASSED] += 1
    point = target.complete(screened)
    if point is None:
        counters[NONFINITE] += 1
        return 0.0
    quadratic = target.frozen_quadratic(point.root, current.mean)
    backward = 0.5 * (point.quadratic - quadratic) + current.log_prior - point.log_prior
    ratio = point.log_density - current.log_density + min(0.0, backward) - min(0.0, forward)
    if log_second < ratio:
        counters[ACCEPTED] += 1
        chain.current = point
    return _exponential(ratio)


def _local_law(target: FunctionTarget, point: Point) -> LocalNormal:
    """The linearised law at a point; about the point itself where there is none.

    Whether there is one depends on the point alone, so the proposal has a density both ways.
    """
    local = linearise(target, point, target.relative_step)
    if local is None:
        return LocalNormal(point.position, np.eye(target.n_params), 0.0)
    return local


def _log_proposal(
    law: LocalNormal, origin: FloatArray, end: FloatArray, df: float, rho: float
) -> float:
    """Log density, but for a constant, of proposing `end` at `origin`."""
    k = len(end)
    white = law.factor.T @ (end - law.mean - rho * (origin - law.mean))
    distance = float(white @ white) / (1.0 - rho**2)
    if math.isinf(df):
        return law.log_determinant - 0.5 * distance
    return law.log_determinant - 0.5 * (df + k) * math.log1p(distance / df)


def _linearised(
    target: FunctionTarget, settings: Settings, state: ChainState, n_draws: int
) -> tuple[ChainState, Block]:
    """Delayed acceptance with the linearised law as proposal: stage 1 always accepts.

    Random numbers a draw: a chi-square variate if `df` is finite, k standard normals, one uniform.
    """
    k, df, rho = target.n_params, settings.df, settings.rho
    block = Block(np.empty((n_draws, k)), np.empty(n_draws))
    with np.errstate(all="ignore"):
        chain = _Chain(target, state)
        law = _local_law(target, chain.current)
        counters, rng = chain.counters, chain.rng
        for i in range(n_draws):
            current = chain.current
            spread = 1.0 if math.isinf(df) else math.sqrt(df / rng.chisquare(df))
            move = dtrsv(law.factor, rng.standard_normal(k), lower=1, trans=1)
            log_uniform = _log_uniform(rng)
            position = law.mean + rho * (current.position - law.mean)
            position = position + (math.sqrt(1.0 - rho**2) * spread) * move
            counters[PROPOSED] += 1
            counters[PASSED] += 1
            screened = target.screen(position)
            point = target.complete(screened) if isinstance(screened, Screened) else None
            if point is not None:
                reverse = _local_law(target, point)
                ratio = (
                    point.log_density
                    - current.log_density
                    + _log_proposal(reverse, position, current.position, df, rho)
                    - _log_proposal(law, current.position, position, df, rho)
                )
                if log_uniform < ratio:
                    counters[ACCEPTED] += 1
                    chain.current, law = point, reverse
            elif screened is not False:
                counters[NONFINITE] += 1
            block.draws[i] = chain.current.position
            block.log_density[i] = chain.current.log_density
        return chain.state(), block


def _function_cost(size: ProblemSize) -> float:
    return NS_FUNCTION_CALL + NS_MOMENT * size.n * size.m


def _covariance_cost(size: ProblemSize) -> float:
    return NS_MOMENT_PRODUCT * size.n * size.m**2


def _cost_random_walk(size: ProblemSize, passed: float) -> float:
    return _function_cost(size) + _covariance_cost(size)


def _cost_delayed(size: ProblemSize, passed: float) -> float:
    return _function_cost(size) + passed * _covariance_cost(size)


def _cost_linearised(size: ProblemSize, passed: float) -> float:
    calls = 1.0 if size.form == "function with jac" else 2.0 * size.k
    return _cost_random_walk(size, passed) + calls * _function_cost(size)


def _cost_hamiltonian(size: ProblemSize, gradients: float) -> float:
    return gradients * (1.0 + 2.0 * size.k) * _cost_random_walk(size, 1.0)


FUNCTION_SAMPLERS: dict[str, Sampler] = {
    "rwm": Sampler(_random_walk(delayed=False), _cost_random_walk, "random walk", False),
    "da": Sampler(_random_walk(delayed=True), _cost_delayed, "random walk", False),
    "da-exact": Sampler(_linearised, _cost_linearised, "nothing", False),
    "hmc": Sampler(function_hamiltonian, _cost_hamiltonian, "hamiltonian", False),
}


def _cost_risk_hamiltonian(size: ProblemSize, gradients: float) -> float:
    return gradients * 2.0 * _function_cost(size)


# A risk has no covariance that could be frozen.
RISK_SAMPLERS: dict[str, Sampler] = {
    "rwm": FUNCTION_SAMPLERS["rwm"],
    "hmc": Sampler(function_hamiltonian, _cost_risk_hamiltonian, "hamiltonian", False),
}
