"""Run several chains in threads, or in the workers of an executor, block by block.

Between blocks the main thread stores draws, reports progress and hears Ctrl-C. Chains take turns,
so that an interrupted run has about as many draws of each. The size of a block follows the clock,
which changes no draw.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.posterior.target import Target
from qbeconometrics.sampling.progress import Progress, SilentProgress
from qbeconometrics.sampling.registry import samplers_for
from qbeconometrics.sampling.samplers import Block, Settings
from qbeconometrics.sampling.state import ChainState

FloatArray = NDArray[np.float64]

FIRST_BLOCK = 10  # short, since it may be slow and cannot be interrupted
BLOCK_SECONDS = 0.05
POLL_SECONDS = 0.05
# The target travels to an executor's worker with every block.
EXECUTOR_BLOCK_SECONDS = 1.0

# Threads of our own, or workers that the user has.
Workers = int | Executor

# (state, draws) -> (state, block). A block that is shorter than asked for ends the run.
AdvanceChain = Callable[[ChainState, int], tuple[ChainState, Block]]


@dataclass(frozen=True, slots=True)
class ChainRun:
    """Draws of all chains and where they ended.

    Attributes
    ----------
    states : tuple of ChainState
    draws : ndarray, shape (chains, draws, k)
        In scaled coordinates; as many draws as every chain has completed.
    log_density : ndarray, shape (chains, draws)
    interrupted : bool
    statistics : ndarray, shape (chains, draws, columns)
        What the sampler records of every draw besides; most have no columns.
    """

    states: tuple[ChainState, ...]
    draws: FloatArray
    log_density: FloatArray
    interrupted: bool
    statistics: FloatArray


def default_cores(chains: int) -> int:
    """Return the number of threads: one a chain, at most the processors that we may use."""
    available = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, min(chains, available))


def _timed_block(
    advance: AdvanceChain, state: ChainState, n_draws: int
) -> tuple[ChainState, Block, float]:
    began = time.perf_counter()
    state, block = advance(state, n_draws)
    return state, block, time.perf_counter() - began


def _advance(
    target: Target, settings: Settings, state: ChainState, n_draws: int
) -> tuple[ChainState, Block]:
    return samplers_for(target)[settings.sampler].advance(target, settings, state, n_draws)


def _pool_of(cores: Workers) -> AbstractContextManager[Executor]:
    """Threads that end with the block, or the user's executor, which is left open."""
    if isinstance(cores, Executor):
        return nullcontext(cores)
    return ThreadPoolExecutor(max_workers=cores, thread_name_prefix="qbeconometrics")


def run_chains(
    target: Target,
    settings: Settings,
    states: Sequence[ChainState],
    n_draws: int,
    *,
    cores: Workers,
    progress: Progress | None = None,
) -> ChainRun:
    """Advance every chain by `n_draws` draws.

    Parameters
    ----------
    target : Target
    settings : Settings
    states : sequence of ChainState
    n_draws : int
    cores : int or Executor
        Threads, or workers; draws are the same bits.
    progress : Progress, optional

    Returns
    -------
    ChainRun
        After Ctrl-C, with the draws that are complete and ``interrupted=True``.
    """
    return run_blocks(
        [partial(_advance, target, settings)] * len(states),
        states,
        n_draws,
        target.n_params,
        cores=cores,
        progress=progress,
    )


def run_blocks(
    advances: Sequence[AdvanceChain],
    states: Sequence[ChainState],
    n_draws: int,
    k: int,
    *,
    cores: Workers,
    progress: Progress | None = None,
    columns: int = 0,
) -> ChainRun:
    """Advance every chain by `n_draws` draws, each by its own function.

    Parameters
    ----------
    advances : sequence of callable
    states : sequence of ChainState
    n_draws, k : int
    cores : int or Executor
    progress : Progress, optional
    columns : int
        Statistics of a draw.

    Returns
    -------
    ChainRun
        After Ctrl-C, or a block that is shorter than asked for, with the draws that are complete.
    """
    progress = progress or SilentProgress()
    chains = len(states)
    current = list(states)
    draws = np.empty((chains, n_draws, k))
    log_density = np.empty((chains, n_draws))
    statistics = np.empty((chains, n_draws, columns))
    done = [0] * chains
    size = [min(FIRST_BLOCK, n_draws)] * chains
    interrupted = ended = False
    block_seconds = EXECUTOR_BLOCK_SECONDS if isinstance(cores, Executor) else BLOCK_SECONDS
    pending: dict[Future[tuple[ChainState, Block, float]], int] = {}

    def store(future: Future[tuple[ChainState, Block, float]], chain: int) -> None:
        nonlocal ended
        current[chain], block, seconds = future.result()
        end = done[chain] + len(block.draws)
        draws[chain, done[chain] : end] = block.draws
        log_density[chain, done[chain] : end] = block.log_density
        if block.statistics is not None:
            statistics[chain, done[chain] : end] = block.statistics
        done[chain] = end
        ended |= len(block.draws) < size[chain]
        faster = int(len(block.draws) * block_seconds / max(seconds, 1e-6))
        size[chain] = min(n_draws - end, max(1, min(faster, 100 * len(block.draws))))
        progress.update(len(block.draws))

    with _pool_of(cores) as pool:

        def submit(chain: int) -> None:
            future = pool.submit(_timed_block, advances[chain], current[chain], size[chain])
            pending[future] = chain

        try:
            if n_draws > 0:
                for chain in range(chains):
                    submit(chain)
            while pending:
                ready, _ = wait(pending, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
                for future in ready:
                    chain = pending.pop(future)
                    store(future, chain)
                    if size[chain] and not ended:
                        submit(chain)
        except KeyboardInterrupt:
            interrupted = True
            for future, chain in pending.items():
                if not future.cancel():
                    store(future, chain)
        except BaseException:
            for future in pending:
                future.cancel()
            raise
    complete = min(done)
    return ChainRun(
        tuple(current),
        draws[:, :complete],
        log_density[:, :complete],
        interrupted,
        statistics[:, :complete],
    )
