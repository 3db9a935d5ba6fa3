"""The samplers of local projections by name, state in, state out."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from qbeconometrics.kernels._smoothing import smoothing_gibbs
from qbeconometrics.moments.cost import NS_CALL, ProblemSize
from qbeconometrics.posterior.smoothing import SmoothingTarget
from qbeconometrics.sampling.samplers import Block, Sampler, Settings
from qbeconometrics.sampling.state import ChainState


def _gibbs(
    target: SmoothingTarget, settings: Settings, state: ChainState, n_draws: int
) -> tuple[ChainState, Block]:
    draws = np.empty((n_draws, target.n_params))
    bits = np.random.PCG64(0)
    bits.state = cast(Any, state.generator)
    position = state.position.copy()
    shape, rate, cauchy_rate = target.hyperprior
    smoothing_gibbs(
        bits,
        position,
        **target.arrays,
        shape=shape,
        rate=rate,
        cauchy_rate=cauchy_rate,
        draws=draws,
    )
    new = ChainState(position, state.log_scale, state.adaptations, dict(bits.state), state.counters)
    return new, Block(draws, np.add(*target.evaluate(draws)))


def _cost(size: ProblemSize, passed: float) -> float:
    return NS_CALL + 20.0 * size.k + float(size.k) ** 2


PROJECTION_SAMPLERS = {"gibbs": Sampler(_gibbs, _cost, False, True)}
