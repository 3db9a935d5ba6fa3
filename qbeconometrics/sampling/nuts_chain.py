"""Chains of the no-U-turn sampler: what stays fixed while they run, and a block of draws of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import DensityError, NumericalError
from qbeconometrics.kernels._density import CompiledDensity, PythonDensity
from qbeconometrics.kernels._nuts import STATISTICS, nuts
from qbeconometrics.kernels._stiefel_density import PythonMatrixTarget
from qbeconometrics.kernels.reference.cholesky import unpack_lower
from qbeconometrics.sampling.chains import ChainRun, Workers, run_blocks
from qbeconometrics.sampling.progress import Progress
from qbeconometrics.sampling.samplers import Block
from qbeconometrics.sampling.state import ChainState

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NutsSettings:
    """What stays fixed while chains run.

    Attributes
    ----------
    scale : ndarray, shape (size,) or (size (size + 1)/2,)
        Standard deviations, or the lower factor of a covariance packed by rows.
    max_depth : int
        Most doublings of a trajectory.
    goal : float
        Acceptance statistic that steps are adapted to; negative when they are fixed.
    """

    scale: FloatArray
    max_depth: int
    goal: float = -1.0

    def inverse_metric(self, size: int) -> FloatArray:
        """Return variances (size,), or the covariance (size, size) of a dense metric."""
        if len(self.scale) == size:
            return self.scale**2
        root = unpack_lower(self.scale)
        return np.asarray(root @ root.T, dtype=np.float64)


def bits_of(state: ChainState) -> np.random.PCG64:
    """Return the generator of a chain."""
    bits = np.random.PCG64(0)
    bits.state = cast(Any, state.generator)
    return bits


def python_part(density: CompiledDensity) -> PythonDensity | PythonMatrixTarget | None:
    """Return what calls Python in a density, and keeps the first error of it."""
    part = getattr(density, "target", density)
    return part if isinstance(part, PythonDensity | PythonMatrixTarget) else None


def error_of(density: CompiledDensity) -> BaseException | None:
    """Return what a density written in Python raised."""
    part = python_part(density)
    return None if part is None else part.error


def advance_nuts(
    density: CompiledDensity, settings: NutsSettings, state: ChainState, n_draws: int
) -> tuple[ChainState, Block]:
    """Advance a chain by a block of draws, or by fewer if the density raises.

    Raises
    ------
    NumericalError
        If the density is not finite where the chain stands.
    """
    draws = np.empty((n_draws, density.size))
    statistics = np.empty((n_draws, len(STATISTICS)))
    bits, position, tuning = bits_of(state), state.position.copy(), state.tuning.copy()
    with np.errstate(all="ignore"):
        done = nuts(
            density,
            bits,
            position,
            tuning,
            settings.scale,
            settings.max_depth,
            draws,
            statistics,
            goal=settings.goal,
        )
    if done < 0 and error_of(density) is None:
        raise NumericalError("the log density is not finite where a chain stands")
    complete = slice(max(done, 0))
    log_density = statistics[complete, STATISTICS.index("log_density")]
    block = Block(draws[complete], log_density, statistics[complete])
    return ChainState(position, tuning, dict(bits.state), state.counters), block


def run_nuts(
    densities: Sequence[CompiledDensity],
    settings: NutsSettings,
    states: Sequence[ChainState],
    n_draws: int,
    *,
    cores: Workers,
    progress: Progress,
) -> ChainRun:
    """Advance every chain by `n_draws` draws, or all by fewer if a density raises."""
    return run_blocks(
        [partial(advance_nuts, density, settings) for density in densities],
        states,
        n_draws,
        densities[0].size,
        cores=cores,
        progress=progress,
        columns=len(STATISTICS),
    )


def raise_error(densities: Sequence[CompiledDensity], sample: Any = None) -> None:
    """Raise what a density raised, with the draws before it.

    Raises
    ------
    DensityError
    """
    errors = [error for error in map(error_of, densities) if error is not None]
    if not errors:
        return
    message = f"the log density raised {type(errors[0]).__name__}: {errors[0]}"
    if sample is not None:
        message += f". The {sample.draws.shape[1]} draws of each chain before it are in .sample"
    raised = DensityError(message)
    raised.sample = sample
    raise raised from errors[0]
