"""From the law of local projections to draws: independent ones, or a Gibbs sampler."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.posterior.projection_law import NormalLaw
from qbeconometrics.posterior.smoothing import SmoothingTarget
from qbeconometrics.sampling.chains import ChainRun, run_chains
from qbeconometrics.sampling.options import INDEPENDENT, SampleOptions
from qbeconometrics.sampling.progress import ProgressDisplay, SilentProgress
from qbeconometrics.sampling.samplers import Settings
from qbeconometrics.sampling.seeds import spawn_seeds
from qbeconometrics.sampling.state import ChainState, new_state

FloatArray = NDArray[np.float64]

GIBBS = "gibbs"
PILOT_SWEEPS = 2_000

# Starts of the smoothing parameters, times their scale: far apart, so that R-hat can tell.
START_SPREAD = (0.01, 100.0)


@dataclass(frozen=True, slots=True)
class ProjectionSample:
    """Draws of the active coefficients, and how they came about.

    Attributes
    ----------
    draws : ndarray, shape (chains, draws, k)
    smoothing : ndarray, shape (chains, draws, paths), or None
        Sampled smoothing parameters.
    log_density : ndarray, shape (chains, draws), or None
    sampler, reason : str
    stats : dict
    interrupted : bool
    """

    draws: FloatArray
    smoothing: FloatArray | None
    log_density: FloatArray | None
    sampler: str
    reason: str
    stats: dict[str, Any]
    interrupted: bool


def sample_normal(law: NormalLaw, options: SampleOptions) -> ProjectionSample:
    """Draw independently from a normal law."""
    began = time.perf_counter()
    seeds = spawn_seeds(options.rng, options.chains + 1)
    root = law.covariance_root
    k = len(law.mean)
    normals = np.stack(
        [
            np.random.default_rng(seed).standard_normal((options.draws, k))
            for seed in seeds[: options.chains]
        ]
    )
    draws = law.mean + normals @ root.T
    seconds = time.perf_counter() - began
    ones = np.ones(options.chains)
    return ProjectionSample(
        draws,
        None,
        -0.5 * np.sum(normals**2, axis=2),
        INDEPENDENT,
        "a fixed weight and a normal, flat or fixed roughness prior make the quasi-posterior "
        "exactly normal",
        {
            "acceptance_stage_1": ones,
            "acceptance_stage_2": ones,
            "acceptance_rate": ones,
            "nonfinite": 0,
            "evaluations": 0,
            "setup_seconds": 0.0,
            "sampling_seconds": seconds,
            "seconds": seconds,
        },
        False,
    )


def sample_smoothing(target: SmoothingTarget, options: SampleOptions) -> ProjectionSample:
    """Draw coefficients and smoothing parameters by Gibbs sweeps.

    Raises
    ------
    KeyboardInterrupt
        If Ctrl-C comes before the warm-up is over.
    """
    began = time.perf_counter()
    seeds = spawn_seeds(options.rng, options.chains + 1)
    states = _starts(target, seeds[: options.chains])
    total = options.chains * (options.tune + options.draws)
    settings = Settings(GIBBS)
    with ProgressDisplay(total, options.progressbar, GIBBS) as progress:
        warm = run_chains(
            target, settings, states, options.tune, cores=options.cores, progress=progress
        )
        if warm.interrupted:
            raise KeyboardInterrupt
        warmed = time.perf_counter()
        run = run_chains(
            target, settings, warm.states, options.draws, cores=options.cores, progress=progress
        )
    if run.interrupted and run.draws.shape[1] == 0:
        raise KeyboardInterrupt
    return _gibbs_sample(target, run, began=began, warmed=warmed)


def _starts(target: SmoothingTarget, seeds: list[np.random.SeedSequence]) -> list[ChainState]:
    """Means of the coefficients, smoothing parameters spread over orders of magnitude."""
    spread = np.geomspace(*START_SPREAD, num=len(seeds)) if len(seeds) > 1 else np.ones(1)
    paths = len(target.prior.roughness)
    return [
        new_state(np.concatenate([target.law.mean, np.full(paths, factor)]), seed)
        for factor, seed in zip(spread, seeds, strict=True)
    ]


def _gibbs_sample(
    target: SmoothingTarget, run: ChainRun, *, began: float, warmed: float
) -> ProjectionSample:
    k = len(target.law.mean)
    chains, kept, _ = run.draws.shape
    ended = time.perf_counter()
    return ProjectionSample(
        run.draws[:, :, :k],
        run.draws[:, :, k:],
        run.log_density,
        GIBBS,
        "given the smoothing parameter the quasi-posterior is normal",
        {
            "acceptance_rate": np.ones(chains),
            "nonfinite": 0,
            "evaluations": chains * kept,
            "setup_seconds": 0.0,
            "sampling_seconds": ended - warmed,
            "seconds": ended - began,
        },
        run.interrupted,
    )


def pilot_run(target: SmoothingTarget) -> tuple[FloatArray, FloatArray]:
    """Return coefficients (N, k) and smoothing parameters (N, paths) drawn with a fixed seed."""
    states = _starts(target, spawn_seeds(0, 2))
    run = run_chains(
        target, Settings(GIBBS), states, PILOT_SWEEPS, cores=1, progress=SilentProgress()
    )
    if run.interrupted:
        raise KeyboardInterrupt
    kept = run.draws[:, PILOT_SWEEPS // 10 :].reshape(-1, target.n_params)
    k = len(target.law.mean)
    return kept[:, :k], kept[:, k:]
