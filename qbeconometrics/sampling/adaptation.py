"""Warm-up: what a sampler tunes, adapted at fixed draw numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.diagnostics.convergence import bulk_ess
from qbeconometrics.posterior.target import Target
from qbeconometrics.sampling.chains import ChainRun, Workers, run_chains
from qbeconometrics.sampling.hamiltonian import warm_up_hamiltonian
from qbeconometrics.sampling.progress import Progress
from qbeconometrics.sampling.registry import samplers_for
from qbeconometrics.sampling.samplers import Settings
from qbeconometrics.sampling.state import ChainState, new_tuning

FloatArray = NDArray[np.float64]

# Rejections in stage 1 are cheap, so delayed acceptance does better with bolder steps.
DELAYED_GOAL_SHARE = 0.7


def acceptance_goal(k: int, *, delayed: bool) -> float:
    """Return the acceptance rate to aim at: 0.44 for one coefficient, towards 0.234 for many."""
    goal = 0.234 + 0.206 / k
    return DELAYED_GOAL_SHARE * goal if delayed else goal


def initial_scale(k: int) -> float:
    """Return the usual log scale of a random walk on a normal target."""
    return float(np.log(2.38 / np.sqrt(k)))


def pooled_proposal_root(draws: FloatArray, root: FloatArray) -> FloatArray:
    """Blend the covariance of the chains with the one at the mode, by what the draws are worth.

    Parameters
    ----------
    draws : ndarray, shape (chains, draws, k)
    root : ndarray, shape (k, k)
        Lower factor of the covariance at the mode.

    Returns
    -------
    ndarray, shape (k, k)
        Lower factor.
    """
    k = draws.shape[2]
    moved = np.ptp(draws, axis=(0, 1)).min() > 0
    worth = float(np.nanmin(bulk_ess(draws))) if moved else 0.0
    share = worth / (worth + 10.0 * k)
    sample = np.cov(draws.reshape(-1, k), rowvar=False).reshape(k, k)
    blended = share * sample + (1.0 - share) * root @ root.T
    try:
        return np.linalg.cholesky(blended)
    except np.linalg.LinAlgError:
        return root


def warm_up(
    target: Target,
    settings: Settings,
    states: Sequence[ChainState],
    tune: int,
    *,
    cores: Workers,
    progress: Progress,
) -> tuple[Settings, ChainRun]:
    """Run `tune` draws that are thrown away, adapting what the sampler adapts on the way.

    Returns
    -------
    settings : Settings
        With what was learnt, and a fixed scale.
    run : ChainRun
        Of the last part of the warm-up.
    """
    adapts = samplers_for(target)[settings.sampler].adapts
    if adapts == "hamiltonian":
        return warm_up_hamiltonian(target, settings, states, tune, cores=cores, progress=progress)
    if adapts == "nothing":
        return settings, run_chains(target, settings, states, tune, cores=cores, progress=progress)
    assert settings.proposal_root is not None
    k = target.n_params
    adapting = replace(settings, goal=acceptance_goal(k, delayed=settings.sampler == "da"))
    states = [replace(state, tuning=new_tuning(initial_scale(k))) for state in states]
    first = run_chains(target, adapting, states, tune // 2, cores=cores, progress=progress)
    if first.interrupted:
        return settings, first
    shaped = adapting
    states = list(first.states)
    if tune // 2 >= 40:
        root = pooled_proposal_root(first.draws[:, tune // 4 :], settings.proposal_root)
        shaped = replace(adapting, proposal_root=root)
        states = [replace(state, tuning=new_tuning(initial_scale(k))) for state in first.states]
    second = run_chains(target, shaped, states, tune - tune // 2, cores=cores, progress=progress)
    return replace(shaped, goal=-1.0), second
