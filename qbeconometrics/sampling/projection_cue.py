"""Delayed acceptance within Gibbs for continuously updated local projections: warm-up and run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.diagnostics.convergence import bulk_ess
from qbeconometrics.posterior.projection_cue import CueTarget
from qbeconometrics.sampling.chains import ChainRun, run_chains
from qbeconometrics.sampling.options import SampleOptions
from qbeconometrics.sampling.progress import ProgressDisplay
from qbeconometrics.sampling.projection import ProjectionSample
from qbeconometrics.sampling.projection_samplers import BlockSettings, block_settings
from qbeconometrics.sampling.run import run_statistics
from qbeconometrics.sampling.seeds import spawn_seeds
from qbeconometrics.sampling.state import ChainState, new_state

FloatArray = NDArray[np.float64]

# The quasi-posterior has heavier tails than its normal approximation.
DF = 5.0
WIDER = 1.5
PILOT_SWEEPS = 100
GOAL = 0.4
START_DROP = 10.0  # in log density from the centre, beyond one a coefficient
ROUNDS = 2  # of warm-up, each of which refits the proposal law


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Where the warm-up begins.

    Attributes
    ----------
    mean : ndarray, shape (k,)
    covariance : ndarray, shape (k, k)
        Of the fixed-weight quasi-posterior.
    smoothing : ndarray, shape (paths,)
        Typical smoothing parameters.
    """

    mean: FloatArray
    covariance: FloatArray
    smoothing: FloatArray


def sample_cue(
    target: CueTarget,
    reference: Reference,
    options: SampleOptions,
    starts: Sequence[FloatArray] | None = None,
) -> ProjectionSample:
    """Draw from a continuously updated quasi-posterior.

    Parameters
    ----------
    target : CueTarget
    reference : Reference
    options : SampleOptions
    starts : sequence of ndarray, shape (k + paths,), optional
        One a chain; the default is dispersed about the reference.

    Raises
    ------
    KeyboardInterrupt
        If Ctrl-C comes before the warm-up is over.
    """
    began = time.perf_counter()
    seeds = spawn_seeds(options.rng, options.chains + 1)
    if starts is None:
        starts = scattered_starts(target, reference, seeds[:-1])
    states = [new_state(x, seed) for x, seed in zip(starts, seeds[:-1], strict=True)]
    mean, covariance = reference.mean, WIDER**2 * reference.covariance
    started = time.perf_counter()
    total = options.chains * (options.tune + options.draws)
    with ProgressDisplay(total, options.progressbar, "da") as progress:
        settings, states = _choose_blocks(target, mean, covariance, states, options)
        for _ in range(ROUNDS):
            run = run_chains(
                target,
                settings,
                states,
                options.tune // ROUNDS,
                cores=options.cores,
                progress=progress,
            )
            if run.interrupted:
                raise KeyboardInterrupt
            states = list(run.states)
            mean, covariance = _refit(run, mean, covariance)
            settings = block_settings(mean, covariance, len(settings.blocks) - 1, DF)
        states = [replace(state, counters=np.zeros_like(state.counters)) for state in states]
        warmed = time.perf_counter()
        run = run_chains(
            target, settings, states, options.draws, cores=options.cores, progress=progress
        )
    if run.interrupted and run.draws.shape[1] == 0:
        raise KeyboardInterrupt
    k = target.compiled.n_params
    blocks = len(settings.blocks) - 1
    return ProjectionSample(
        run.draws[:, :, :k],
        run.draws[:, :, k:] if target.compiled.n_paths else None,
        run.log_density,
        "da",
        f"delayed acceptance within Gibbs; blocks of principal components: {blocks}",
        run_statistics(run, settings, target.form, began=began, started=started, warmed=warmed),
        run.interrupted,
    )


def scattered_starts(
    target: CueTarget, reference: Reference, seeds: Sequence[np.random.SeedSequence]
) -> list[FloatArray]:
    """Student-t draws (3 degrees of freedom) about the reference, where the density is not nil.

    The far region, which the tail check has found negligible, would hold a chain that starts there.
    """
    root = np.linalg.cholesky(reference.covariance)
    centre = np.concatenate([reference.mean, reference.smoothing])
    lowest = _log_density(target, centre) - len(root) - START_DROP
    starts = []
    for seed in seeds:
        rng = np.random.default_rng(seed.spawn(1)[0])
        step = 1.5 * root @ rng.standard_normal(len(root)) * np.sqrt(3.0 / rng.chisquare(3.0))
        smoothing = reference.smoothing * np.exp(rng.standard_normal(len(reference.smoothing)))
        while True:
            start = np.concatenate([reference.mean + step, smoothing])
            if _log_density(target, start) > lowest:
                break
            step, smoothing = step / 2.0, np.sqrt(smoothing * reference.smoothing)
        starts.append(start)
    return starts


def _log_density(target: CueTarget, point: FloatArray) -> float:
    return float(np.add(*target.evaluate(point[None, :]))[0])


def _choose_blocks(
    target: CueTarget,
    mean: FloatArray,
    covariance: FloatArray,
    states: list[ChainState],
    options: SampleOptions,
) -> tuple[BlockSettings, list[ChainState]]:
    """Halve the blocks until enough proposals are accepted in short runs."""
    k = len(mean)
    n_blocks = 1
    while True:
        settings = block_settings(mean, covariance, n_blocks, DF)
        run = run_chains(target, settings, states, PILOT_SWEEPS, cores=options.cores)
        if run.interrupted:
            raise KeyboardInterrupt
        before = np.sum([state.counters for state in states], axis=0)
        counted = np.sum([state.counters for state in run.states], axis=0) - before
        states = list(run.states)
        if counted[2] >= GOAL * counted[0] or 2 * n_blocks > k:
            return settings, states
        n_blocks *= 2


def _refit(
    run: ChainRun, mean: FloatArray, covariance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Blend the moments of the chains' later half with those so far, by what draws are worth."""
    k = len(mean)
    draws = run.draws[:, run.draws.shape[1] // 2 :, :k]
    if draws.shape[1] < 4 or not np.ptp(draws, axis=(0, 1)).min() > 0.0:
        return mean, covariance
    worth = float(np.nanmin(bulk_ess(draws)))
    share = worth / (worth + 10.0 * k)
    pooled = draws.reshape(-1, k)
    sample = np.cov(pooled, rowvar=False).reshape(k, k)
    new = share * sample + (1.0 - share) * covariance
    return share * pooled.mean(axis=0) + (1.0 - share) * mean, new
