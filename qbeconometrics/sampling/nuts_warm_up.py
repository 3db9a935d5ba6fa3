"""Warm-up of the no-U-turn sampler: the metric and the step.

Adaptation happens in windows, at fixed draw numbers. In the windows that grow, the metric is learnt
from the draws of all chains together; every chain's step is adapted throughout, and begins anew
with every metric. Draws afterwards use the median of the chains' steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.kernels._density import CompiledDensity
from qbeconometrics.kernels._nuts import STATISTICS
from qbeconometrics.kernels.reference.cholesky import unpack_lower
from qbeconometrics.moments.linear import pack_symmetric
from qbeconometrics.sampling.chains import Workers
from qbeconometrics.sampling.nuts_chain import NutsSettings, bits_of, raise_error, run_nuts
from qbeconometrics.sampling.progress import Progress
from qbeconometrics.sampling.state import ChainState, new_tuning

FloatArray = NDArray[np.float64]

# Draws of the first window, of the first that a metric is learnt from, and of the last; their
# shares in a warm-up that is too short for them; and the shortest that learns a metric. All
# following Stan.
FIRST, GROWING, LAST = 75, 25, 50
FIRST_SHARE, LAST_SHARE = 0.15, 0.1
SHORTEST = 20

# Draws that the metric of many small variances counts for, and these variances.
SHRINKAGE_DRAWS, SMALL_VARIANCE = 5.0, 1e-3

GRADIENTS = STATISTICS.index("gradients")

# Doublings, or halvings, of the first step.
MOST_DOUBLINGS = 100


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What warm-up found.

    Attributes
    ----------
    settings : NutsSettings
    states : tuple of ChainState
        With the step that all chains use.
    gradients : int
        Evaluations of the density.
    """

    settings: NutsSettings
    states: tuple[ChainState, ...]
    gradients: int


def warm_up_windows(tune: int) -> tuple[int, ...]:
    """Return the sizes of the windows; the metric is learnt after all but the first and the last.

    Examples
    --------
    >>> warm_up_windows(1_000)
    (75, 25, 50, 100, 200, 500, 50)
    >>> warm_up_windows(100)
    (15, 75, 10)
    >>> warm_up_windows(10)
    (10,)
    """
    if tune < SHORTEST:
        return (tune,) if tune else ()
    first, growing, last = FIRST, GROWING, LAST
    if tune < first + growing + last:
        first, last = int(FIRST_SHARE * tune), int(LAST_SHARE * tune)
        growing = tune - first - last
    sizes, left = [first], tune - first - last
    while left:
        # What would leave too little for a next window of twice the size is taken along.
        size = growing if left >= 3 * growing else left
        sizes.append(size)
        left -= size
        growing *= 2
    return (*sizes, last)


def warm_up_nuts(
    densities: Sequence[CompiledDensity],
    settings: NutsSettings,
    states: Sequence[ChainState],
    tune: int,
    target_accept: float,
    *,
    cores: Workers,
    progress: Progress,
) -> WarmUp:
    """Run `tune` draws that are thrown away.

    Raises
    ------
    DensityError
        If a density raises.
    KeyboardInterrupt
        After Ctrl-C.
    """
    settings = replace(settings, goal=target_accept)
    sizes = warm_up_windows(tune)
    begin = [with_first_step(*pair, settings) for pair in zip(densities, states, strict=True)]
    gradients = 0
    for window, size in enumerate(sizes):
        run = run_nuts(densities, settings, begin, size, cores=cores, progress=progress)
        raise_error(densities)
        if run.interrupted:
            raise KeyboardInterrupt
        gradients += int(run.statistics[..., GRADIENTS].sum())
        begin = list(run.states)
        if 0 < window < len(sizes) - 1:
            settings = replace(settings, scale=learn_scale(run.draws, settings.scale))
            begin = [
                with_first_step(*pair, settings) for pair in zip(densities, begin, strict=True)
            ]
    raise_error(densities)
    log_step = float(np.median([state.tuning[3] for state in begin]))
    ready = tuple(replace(state, tuning=new_tuning(log_step)) for state in begin)
    return WarmUp(replace(settings, goal=-1.0), ready, gradients)


def learn_scale(draws: FloatArray, before: FloatArray) -> FloatArray:
    """Return the scale of draws (chains, draws, size), of the same kind as the one before.

    Variances shrink towards small ones by what n draws are worth: n/(n + 5). The scale before is
    returned if the draws have no finite covariance.
    """
    pooled = draws.reshape(-1, draws.shape[2])
    n, size = pooled.shape
    if n < 2:
        return before
    share = n / (n + SHRINKAGE_DRAWS)
    with np.errstate(all="ignore"):
        if len(before) == size:
            found = share * pooled.var(axis=0, ddof=1) + (1.0 - share) * SMALL_VARIANCE
            return np.sqrt(found) if np.isfinite(found).all() else before
        covariance = np.cov(pooled, rowvar=False).reshape(size, size)
    covariance = share * covariance + (1.0 - share) * SMALL_VARIANCE * np.eye(size)
    if not np.isfinite(covariance).all():
        return before
    try:
        return pack_symmetric(np.asarray(np.linalg.cholesky(covariance), dtype=np.float64))
    except np.linalg.LinAlgError:
        return before


def with_first_step(
    density: CompiledDensity, state: ChainState, settings: NutsSettings
) -> ChainState:
    """Return the state with a step whose acceptance has just crossed one half.

    From 1 it is doubled or halved (Hoffman & Gelman 2014, JMLR 15, 1593-1623, algorithm 4); the
    momentum comes from the chain's own generator.
    """
    bits, size = bits_of(state), density.size
    momentum = np.random.Generator(bits).standard_normal(size)
    root = np.diag(settings.scale) if len(settings.scale) == size else unpack_lower(settings.scale)
    with np.errstate(all="ignore"):
        here, gradient = density.log_density_and_gradient(state.position)
        pushed = root.T @ gradient

        def is_accepted(log_step: float) -> bool:
            step = math.exp(log_step)
            halfway = momentum + 0.5 * step * pushed
            there, slope = density.log_density_and_gradient(
                state.position + step * (root @ halfway)
            )
            moved = halfway + 0.5 * step * (root.T @ slope)
            gain = there - here - 0.5 * float(moved @ moved - momentum @ momentum)
            return gain > math.log(0.5)

        log_step, grows = 0.0, is_accepted(0.0)
        for _ in range(MOST_DOUBLINGS):
            log_step += math.log(2.0) if grows else -math.log(2.0)
            if is_accepted(log_step) != grows:
                break
    return replace(state, tuning=new_tuning(log_step), generator=dict(bits.state))
