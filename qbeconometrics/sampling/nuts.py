"""Draws from any log density with a gradient, by the no-U-turn sampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.exceptions import InputError, OptionError, check_choice
from qbeconometrics.kernels._density import CompiledDensity
from qbeconometrics.kernels._nuts import STATISTICS
from qbeconometrics.moments.linear import pack_symmetric
from qbeconometrics.sampling.chains import ChainRun, default_cores
from qbeconometrics.sampling.nuts_chain import (
    NutsSettings,
    error_of,
    python_part,
    raise_error,
    run_nuts,
)
from qbeconometrics.sampling.nuts_warm_up import warm_up_nuts
from qbeconometrics.sampling.options import whole_number
from qbeconometrics.sampling.progress import ProgressDisplay
from qbeconometrics.sampling.seeds import spawn_seeds
from qbeconometrics.sampling.state import ChainState, new_state

FloatArray = NDArray[np.float64]

METRICS = ("diag", "dense")
MOST_DOUBLINGS = 20


@dataclass(frozen=True, slots=True)
class Divergences:
    """Draws whose trajectory met an energy error above 1,000, in the order of chains and draws.

    Attributes
    ----------
    chain, draw : ndarray of int64, shape (divergences,)
    start : ndarray, shape (divergences, size)
        Where the trajectory began.
    energy_error : ndarray, shape (divergences,)
        The error that ended it.
    """

    chain: NDArray[np.int64]
    draw: NDArray[np.int64]
    start: FloatArray
    energy_error: FloatArray


@dataclass(frozen=True, slots=True)
class DensitySample:
    """Draws, and all that is needed to go on.

    Attributes
    ----------
    draws : ndarray, shape (chains, draws, size)
    statistics : dict of str to ndarray, shape (chains, draws)
        "depth" (completed doublings) and "gradients" (leapfrog steps) of the trajectory; whether it
        was ended by a divergence ("divergent") or a point without finite density ("nonfinite");
        "acceptance", its mean statistic; "step"; "energy" of the draw; "energy_error", the largest
        of the trajectory; "log_density".
    origins : ndarray, shape (chains, size)
        Where the chains stood before the first draw.
    settings : NutsSettings
        With the metric.
    states : tuple of ChainState
        Where the chains stand.
    warm_up_gradients : int
    interrupted : bool
        Whether Ctrl-C came; all chains then have as many draws.
    """

    draws: FloatArray
    statistics: dict[str, FloatArray]
    origins: FloatArray
    settings: NutsSettings
    states: tuple[ChainState, ...]
    warm_up_gradients: int
    interrupted: bool

    @property
    def divergences(self) -> Divergences:
        """Where trajectories diverged."""
        chain, draw = np.nonzero(self.statistics["divergent"])
        before = np.concatenate([self.origins[:, None], self.draws], axis=1)
        return Divergences(
            chain, draw, before[chain, draw], self.statistics["energy_error"][chain, draw]
        )


def sample_density(
    density: CompiledDensity | Sequence[CompiledDensity],
    draws: int,
    tune: int,
    chains: int,
    rng: Any,
    starts: ArrayLike,
    metric: str = "diag",
    target_accept: float = 0.8,
    max_depth: int = 10,
    cores: int | None = None,
    progressbar: bool | None = None,
) -> DensitySample:
    """Draw from a log density by the no-U-turn sampler.

    Trajectories follow Betancourt (2017): draws from all points of a trajectory by their densities,
    with a preference for the newer half. Steps are adapted by dual averaging, following Hoffman and
    Gelman (2014), and the metric in growing windows, following Stan; that chains share one metric
    and one step is ours.

    Parameters
    ----------
    density : CompiledDensity or sequence of it
        One for all chains, or one a chain where an evaluation uses memory of its own. Outside its
        support it must be minus infinity or NaN: an exception ends the run.
    draws : int
        Of each chain, after warm-up.
    tune : int
        Draws of warm-up, which are thrown away.
    chains : int
    rng : None, int, SeedSequence, BitGenerator or Generator
    starts : array_like, shape (chains, size)
    metric : {"diag", "dense"}
        What is learnt of the covariance: variances, or all of it.
    target_accept : float
        Mean acceptance statistic that steps are adapted to.
    max_depth : int
        Most doublings of a trajectory, 1 to 20.
    cores : int, optional
        Threads, which change no draw. By default one a chain, at most the processors; one for a
        density written in Python.
    progressbar : bool or None
        None shows one on a terminal, for runs of more than a second.

    Returns
    -------
    DensitySample

    Raises
    ------
    InputError
        If a start has no finite density.
    OptionError
    DensityError
        If a density raises; `sample` holds the draws before that.
    KeyboardInterrupt
        If Ctrl-C comes before the first draws are complete.

    References
    ----------
    Hoffman, M. D. and Gelman, A. (2014). The No-U-Turn sampler. Journal of Machine Learning
    Research 15, 1593-1623.

    Betancourt, M. (2017). A conceptual introduction to Hamiltonian Monte Carlo. arXiv:1701.02434.

    Examples
    --------
    >>> import numpy as np
    >>> from qbeconometrics.kernels._density import PythonDensity
    >>> density = PythonDensity(2, lambda x: (-0.5 * float(x @ x), -x))
    >>> sample = sample_density(density, 200, 200, 4, rng=1, starts=np.zeros((4, 2)))
    >>> sample.draws.shape
    (4, 200, 2)
    >>> int(sample.statistics["divergent"].sum())
    0
    """
    check_options(draws, tune, chains, metric, target_accept, max_depth, cores)
    densities = _densities(density, chains)
    threads = _threads(cores, densities)
    positions = _checked_starts(starts, densities)
    size = densities[0].size
    scale = np.ones(size) if metric == "diag" else pack_symmetric(np.eye(size))
    with ProgressDisplay(chains * (tune + draws), progressbar, "nuts") as progress:
        warm = warm_up_nuts(
            densities,
            NutsSettings(scale, max_depth),
            [new_state(*pair) for pair in zip(positions, spawn_seeds(rng, chains), strict=True)],
            tune,
            float(target_accept),
            cores=threads,
            progress=progress,
        )
        run = run_nuts(
            densities, warm.settings, warm.states, draws, cores=threads, progress=progress
        )
    return _sample(densities, warm.settings, warm.states, run, warm.gradients)


def continue_sample(
    density: CompiledDensity | Sequence[CompiledDensity],
    sample: DensitySample,
    draws: int,
    cores: int | None = None,
    progressbar: bool | None = None,
) -> DensitySample:
    """Draw on from where a sample ended: the draws that a longer run would have had.

    After Ctrl-C or an error, chains that were ahead of the others go on from where they stood.

    Parameters
    ----------
    density : CompiledDensity or sequence of it
        As for `sample_density`.
    sample : DensitySample
    draws : int
        Further draws of each chain.
    cores : int, optional
    progressbar : bool or None

    Returns
    -------
    DensitySample
        Of the further draws only.

    Raises
    ------
    OptionError, DensityError, NumericalError, KeyboardInterrupt
        As for `sample_density`; a density that is not finite where a chain stands is another one.
    """
    draws = whole_number(draws, "draws", minimum=1)
    densities = _densities(density, len(sample.states))
    size = sample.draws.shape[2]
    if densities[0].size != size:
        raise OptionError(f"density has {densities[0].size} coordinates, the sample {size}")
    threads = _threads(cores, densities)
    with ProgressDisplay(len(densities) * draws, progressbar, "nuts") as progress:
        run = run_nuts(
            densities, sample.settings, sample.states, draws, cores=threads, progress=progress
        )
    return _sample(densities, sample.settings, sample.states, run, 0)


def _sample(
    densities: Sequence[CompiledDensity],
    settings: NutsSettings,
    before: Sequence[ChainState],
    run: ChainRun,
    warm_up_gradients: int,
) -> DensitySample:
    sample = DensitySample(
        run.draws,
        {name: run.statistics[..., column] for column, name in enumerate(STATISTICS)},
        np.stack([state.position for state in before]),
        settings,
        run.states,
        warm_up_gradients,
        run.interrupted,
    )
    raise_error(densities, sample)
    if run.interrupted and run.draws.shape[1] == 0:
        raise KeyboardInterrupt
    return sample


def check_options(
    draws: Any,
    tune: Any,
    chains: Any,
    metric: Any,
    target_accept: Any,
    max_depth: Any,
    cores: Any,
) -> None:
    """Refuse what `sample_density` does not take.

    Raises
    ------
    OptionError
    """
    whole_number(draws, "draws", minimum=1)
    whole_number(tune, "tune", minimum=0)
    whole_number(chains, "chains", minimum=1)
    check_choice(metric, METRICS, "metric")
    is_number = isinstance(target_accept, (int, float, np.number))
    if not is_number or isinstance(target_accept, bool) or not 0.0 < target_accept < 1.0:
        raise OptionError(f"target_accept={target_accept!r} must be between 0 and 1, such as 0.8")
    if whole_number(max_depth, "max_depth", minimum=1) > MOST_DOUBLINGS:
        raise OptionError(f"max_depth={max_depth} must be at most {MOST_DOUBLINGS}")
    if cores is not None:
        whole_number(cores, "cores", minimum=1)


def _densities(
    density: CompiledDensity | Sequence[CompiledDensity], chains: int
) -> tuple[CompiledDensity, ...]:
    """Return one density a chain, without errors of an earlier run."""
    if isinstance(density, CompiledDensity):
        found: tuple[CompiledDensity, ...] = (density,) * chains
    elif isinstance(density, Sequence) and all(isinstance(d, CompiledDensity) for d in density):
        found = tuple(density)
    else:
        raise OptionError(
            f"density={density!r} must be a CompiledDensity, such as PythonDensity(size, function),"
            " or a sequence of one for each chain"
        )
    if len(found) != chains:
        raise OptionError(f"there must be one density or {chains}, one a chain, not {len(found)}")
    if len({d.size for d in found}) != 1 or found[0].size < 1:
        raise OptionError("the densities of the chains must have the same coordinates")
    for each in found:
        part = python_part(each)
        if part is not None:
            part.error = None
    return found


def _threads(cores: int | None, densities: Sequence[CompiledDensity]) -> int:
    """Threads of Python functions would only wait for each other."""
    if cores is not None:
        return whole_number(cores, "cores", minimum=1)
    in_python = any(python_part(density) is not None for density in densities)
    return 1 if in_python else default_cores(len(densities))


def _checked_starts(starts: ArrayLike, densities: Sequence[CompiledDensity]) -> FloatArray:
    """Return starts (chains, size) at which the densities are finite."""
    shape = (len(densities), densities[0].size)
    try:
        positions = np.array(starts, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise InputError(f"starts must be numbers of shape (chains, size) = {shape}") from error
    if positions.shape != shape:
        raise InputError(f"starts has shape {positions.shape}, not (chains, size) = {shape}")
    for chain, (position, density) in enumerate(zip(positions, densities, strict=True)):
        wrong = np.flatnonzero(~np.isfinite(position))
        if len(wrong):
            raise InputError(f"starts[{chain}, {wrong[0]}] is {position[wrong[0]]}, not finite")
        with np.errstate(all="ignore"):
            log_density, _ = density.log_density_and_gradient(position)
        if error_of(density) is not None:
            raise_error([density])
        if not np.isfinite(log_density):
            raise InputError(
                f"the log density or its gradient is not finite at starts[{chain}]; "
                "start where it is"
            )
    return positions
