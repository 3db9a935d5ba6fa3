"""Hamiltonian Monte Carlo for continuously updated local projections.

Coefficients and logs of the smoothing parameters move together; trajectories are those of
user-written moments, with the gradient of the band structure.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from qbeconometrics.exceptions import OptionError
from qbeconometrics.kernels.reference.hmc import NormalisingMap
from qbeconometrics.posterior.projection_cue import CueTarget
from qbeconometrics.sampling.chains import run_chains
from qbeconometrics.sampling.hamiltonian import warm_up_hamiltonian
from qbeconometrics.sampling.options import SampleOptions
from qbeconometrics.sampling.progress import ProgressDisplay
from qbeconometrics.sampling.projection import ProjectionSample
from qbeconometrics.sampling.projection_cue import Reference, scattered_starts
from qbeconometrics.sampling.run import run_statistics
from qbeconometrics.sampling.samplers import Settings
from qbeconometrics.sampling.seeds import spawn_seeds
from qbeconometrics.sampling.state import new_state

HAMILTONIAN = "hmc"


def sample_hamiltonian(
    target: CueTarget, reference: Reference, options: SampleOptions
) -> ProjectionSample:
    """Draw from a continuously updated quasi-posterior by Hamiltonian trajectories.

    Parameters
    ----------
    target : CueTarget
    reference : Reference
    options : SampleOptions
        ``sampler_kwds`` holds "target_accept" and "length".

    Raises
    ------
    OptionError
        With a half-Cauchy law of the smoothing parameters: the paths narrow without bound as these
        grow, and no step suits all of that funnel.
    KeyboardInterrupt
        If Ctrl-C comes before the warm-up is over.
    """
    began = time.perf_counter()
    if target.compiled.n_paths and target.hyperprior[2] > 0.0:
        raise OptionError(
            "sampler='hmc' does not take priors.Smoothness(half_cauchy=...): paths narrow without "
            "bound as the smoothing parameter grows, and no step suits all of that funnel. Use "
            "sampler='da' or gamma=(shape, rate)"
        )
    k = target.compiled.n_params
    seeds = spawn_seeds(options.rng, options.chains + 1)[:-1]
    starts = scattered_starts(target, reference, seeds)
    states = [
        new_state(np.concatenate([x[:k], np.log(x[k:])]), seed)
        for x, seed in zip(starts, seeds, strict=True)
    ]
    settings = Settings(HAMILTONIAN, normalising_map=_first_map(reference), **options.sampler_kwds)
    started = time.perf_counter()
    total = options.chains * (options.tune + options.draws)
    with ProgressDisplay(total, options.progressbar, HAMILTONIAN) as progress:
        settings, warm = warm_up_hamiltonian(
            target, settings, states, options.tune, cores=options.cores, progress=progress
        )
        if warm.interrupted:
            raise KeyboardInterrupt
        states = [replace(state, counters=np.zeros_like(state.counters)) for state in warm.states]
        warmed = time.perf_counter()
        run = run_chains(
            target, settings, states, options.draws, cores=options.cores, progress=progress
        )
    if run.interrupted and run.draws.shape[1] == 0:
        raise KeyboardInterrupt
    logs = run.draws[:, :, k:]
    return ProjectionSample(
        run.draws[:, :, :k],
        np.exp(logs) if target.compiled.n_paths else None,
        run.log_density - target.log_hyperprior(logs),
        HAMILTONIAN,
        "asked for",
        run_statistics(run, settings, target.form, began=began, started=started, warmed=warmed),
        run.interrupted,
    )


def _first_map(reference: Reference) -> NormalisingMap:
    """Coordinates of the fixed-weight law, with logs of smoothing parameters of sd one."""
    k, paths = len(reference.mean), len(reference.smoothing)
    root = np.eye(k + paths)
    root[:k, :k] = np.linalg.cholesky(reference.covariance)
    return NormalisingMap(np.concatenate([reference.mean, np.log(reference.smoothing)]), root, 0.0)
