"""The samplers of local projections by name, state in, state out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import NumericalError
from qbeconometrics.kernels._projection import projection_chain
from qbeconometrics.kernels._smoothing import smoothing_gibbs
from qbeconometrics.moments.cost import NS_CALL, ProblemSize
from qbeconometrics.posterior.projection_cue import CueTarget
from qbeconometrics.posterior.smoothing import SmoothingTarget
from qbeconometrics.sampling.function_hamiltonian import function_hamiltonian
from qbeconometrics.sampling.samplers import Block, Sampler, Settings
from qbeconometrics.sampling.state import ChainState

FloatArray = NDArray[np.float64]

# One proposal in so many is not screened; their number of blocks is a power of two.
UNSCREENED_BLOCKS = 5


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
    new = ChainState(position, state.tuning, dict(bits.state), state.counters)
    return new, Block(draws, np.add(*target.evaluate(draws)))


@dataclass(frozen=True, slots=True)
class BlockSettings(Settings):
    """The proposals of delayed acceptance within Gibbs.

    Attributes
    ----------
    blocks : ndarray of int64, shape (blocks + 1,)
        Where blocks start, and the number of coefficients.
    centre : ndarray, shape (k,)
        Of a fixed normal law.
    whitening, colouring : ndarray, shape (k, k)
        To its uncorrelated coordinates, and back.
    """

    blocks: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, dtype=np.int64))
    centre: FloatArray = field(default_factory=lambda: np.empty(0))
    whitening: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    colouring: FloatArray = field(default_factory=lambda: np.empty((0, 0)))


def block_settings(
    centre: FloatArray, covariance: FloatArray, n_blocks: int, df: float
) -> BlockSettings:
    """Settings with blocks of nearly equal length, of principal components in order of size.

    Components of a path's law are its slow and fast movements; unlike neighbouring horizons they
    are uncorrelated, so that a sweep over blocks forgets where it was.
    """
    scale = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    roots, vectors = np.sqrt(values[::-1]), vectors[:, ::-1]
    return BlockSettings(
        "da",
        df=df,
        unscreened=UNSCREENED_BLOCKS,
        blocks=np.unique(np.linspace(0, len(centre), n_blocks + 1).astype(np.int64)),
        centre=np.ascontiguousarray(centre),
        whitening=np.ascontiguousarray(vectors.T / roots[:, None] / scale),
        colouring=np.ascontiguousarray(scale[:, None] * vectors * roots),
    )


def _delayed_acceptance(
    target: CueTarget, settings: Settings, state: ChainState, n_draws: int
) -> tuple[ChainState, Block]:
    assert isinstance(settings, BlockSettings)
    block = Block(np.empty((n_draws, target.n_params)), np.empty(n_draws))
    bits = np.random.PCG64(0)
    bits.state = cast(Any, state.generator)
    position, counters = state.position.copy(), state.counters.copy()
    shape, rate, cauchy_rate = target.hyperprior
    ready = projection_chain(
        target.compiled,
        bits,
        position,
        settings.blocks,
        settings.centre,
        settings.whitening,
        settings.colouring,
        settings.df,
        shape,
        rate,
        cauchy_rate,
        block.draws,
        block.log_density,
        counters,
        unscreened=settings.unscreened,
    )
    if not ready:
        raise NumericalError("the quasi-posterior is not finite at the start of a chain")
    new = ChainState(position, state.tuning, dict(bits.state), counters)
    return new, block


def _cost(size: ProblemSize, passed: float) -> float:
    return NS_CALL + 20.0 * size.k + float(size.k) ** 2


PROJECTION_SAMPLERS = {
    "gibbs": Sampler(_gibbs, _cost, "nothing", True),
    "da": Sampler(_delayed_acceptance, _cost, "nothing", True),
    "hmc": Sampler(function_hamiltonian, _cost, "hamiltonian", True),
}
