"""Warm-up of Hamiltonian Monte Carlo: coordinates in which the law is nearly normal, and the step.

Adaptation happens in windows, at fixed draw numbers. After each but the last, the coordinates are
learnt from the draws of all chains; within each, every chain's step is adapted by dual averaging.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

from qbeconometrics.diagnostics.convergence import bulk_ess
from qbeconometrics.kernels.reference.hmc import NormalisingMap
from qbeconometrics.posterior.target import Target
from qbeconometrics.sampling.chains import ChainRun, Workers, run_chains
from qbeconometrics.sampling.progress import Progress
from qbeconometrics.sampling.samplers import Settings
from qbeconometrics.sampling.state import ChainState, new_tuning

FloatArray = NDArray[np.float64]

# Shares of the warm-up: early draws know the covariance badly, so windows grow.
WINDOWS = (0.1, 0.15, 0.25, 0.4, 0.1)
FEWEST_DRAWS = 20
# Of the stretching that would make the log radius scatter as much as that of a normal vector: it is
# known with an error, and too much of it costs step length near the centre.
STRETCH = 0.9
LARGEST_POWER = 2.0


def warm_up_hamiltonian(
    target: Target,
    settings: Settings,
    states: Sequence[ChainState],
    tune: int,
    *,
    cores: Workers,
    progress: Progress,
) -> tuple[Settings, ChainRun]:
    """Run `tune` draws that are thrown away.

    Parameters
    ----------
    target : Target
    settings : Settings
        With a first normalising map.
    states : sequence of ChainState
        At positions in scaled coordinates.
    tune, cores : int or Executor
    progress : Progress

    Returns
    -------
    settings : Settings
        With the learnt map.
    run : ChainRun
        Of the last window; its states stand in the map's coordinates, all with the same step.
    """
    assert settings.normalising_map is not None
    to_normal = settings.normalising_map
    points = [state.position for state in states]
    # On a normal law the step that keeps the acceptance falls with the fourth root of k.
    log_step = float(np.log(0.5 / target.n_params**0.25))
    ends = np.rint(np.cumsum((0.0, *WINDOWS)) * tune).astype(int)
    for window, size in enumerate(np.diff(ends)):
        settings = replace(settings, goal=settings.target_accept, normalising_map=to_normal)
        states = [
            replace(state, position=to_normal.to_normal(point), tuning=new_tuning(log_step))
            for state, point in zip(states, points, strict=True)
        ]
        run = run_chains(target, settings, states, int(size), cores=cores, progress=progress)
        if run.interrupted:
            return settings, run
        states = list(run.states)
        points = [to_normal.to_target(state.position) for state in states]
        # A chain that is stuck has a step that is too small for the others.
        log_step = float(np.median([state.tuning[3] for state in states]))
        if window + 1 < len(WINDOWS) and size >= FEWEST_DRAWS:
            to_normal = learn_map(run.draws[:, size // 4 :], to_normal)
    states = [replace(state, tuning=new_tuning(log_step)) for state in states]
    return replace(settings, goal=-1.0), replace(run, states=tuple(states))


def learn_map(draws: FloatArray, before: NormalisingMap) -> NormalisingMap:
    """Move towards the median, shape and spread of the radius, by what the draws are worth.

    All three are robust: a chain that strays far out, where S is large, would stretch an ordinary
    covariance for as long as it is there. Shapes are learnt from directions only, in the old map's
    coordinates (the spatial-sign covariance; Tyler 1987, Annals of Statistics 15, 234-251, has its
    fixed point).

    Parameters
    ----------
    draws : ndarray, shape (chains, draws, k)
    before : NormalisingMap

    Returns
    -------
    NormalisingMap
    """
    k = draws.shape[2]
    pooled = draws.reshape(-1, k)
    moved = np.ptp(pooled, axis=0).min() > 0
    worth = float(np.nanmin(bulk_ess(draws))) if moved else 0.0
    share = worth / (worth + k)
    centre = share * np.median(pooled, axis=0) + (1.0 - share) * before.centre
    direction = np.linalg.solve(before.root, (pooled - centre).T)
    direction /= np.maximum(np.linalg.norm(direction, axis=0), 1e-300)
    shape = k * direction @ direction.T / len(pooled)
    try:
        root = before.root @ np.linalg.cholesky(share * shape + (1.0 - share) * np.eye(k))
    except np.linalg.LinAlgError:
        return before
    radius = np.linalg.norm(np.linalg.solve(root, (pooled - centre).T), axis=0)
    low, middle, high = np.quantile(np.log(np.maximum(radius, 1e-300)), (0.16, 0.5, 0.84))
    spread = (high - low) / 2.0 / np.sqrt(polygamma(1, k / 2) / 4.0)
    power = float(np.clip(STRETCH * share * (spread - 1.0), 0.0, LARGEST_POWER))
    typical = (digamma(k / 2) + np.log(2.0)) / 2.0  # mean log radius of a normal vector
    return NormalisingMap(centre, root * np.exp(middle - typical), power)
