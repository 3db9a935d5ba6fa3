"""From a quasi-posterior to draws: choose, warm up, sample."""

from __future__ import annotations

import pickle
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import (
    NumericalError,
    NumericalWarning,
    OptionError,
)
from qbeconometrics.moments.cost import ProblemSize, evaluation_cost
from qbeconometrics.posterior.mode import Mode
from qbeconometrics.posterior.risk_target import RiskTarget
from qbeconometrics.posterior.surrogate import NormalSurrogate, normal_surrogate
from qbeconometrics.posterior.tail_check import TailCheck, check_tail
from qbeconometrics.posterior.target import Posterior
from qbeconometrics.sampling.adaptation import warm_up
from qbeconometrics.sampling.chains import ChainRun, run_chains
from qbeconometrics.sampling.choose import (
    PILOT_CHAINS,
    Choice,
    Race,
    choose_sampler,
    dispersed_starts,
    first_map,
    race_modified,
    risk_sampler,
)
from qbeconometrics.sampling.options import INDEPENDENT, SAMPLER_KEYWORDS, SampleOptions
from qbeconometrics.sampling.progress import ProgressDisplay
from qbeconometrics.sampling.registry import check_applies, samplers_for
from qbeconometrics.sampling.samplers import (
    UNSCREENED,
    Settings,
)
from qbeconometrics.sampling.seeds import spawn_seeds
from qbeconometrics.sampling.state import new_state

FloatArray = NDArray[np.float64]

PILOT_DRAWS = (100, 500)
# Modelled cost of the evaluations of a pilot chain, beyond which it is shorter.
PILOT_NANOSECONDS = 2e8
FUNCTION_PILOT_DRAWS = (60, 150)

# Below this reciprocal condition number the proposal without prior is refused.
SINGULAR = 1e-12


@dataclass(frozen=True, slots=True)
class Sample:
    """Draws in scaled coordinates, and how they came about.

    Attributes
    ----------
    draws : ndarray, shape (chains, draws, k)
    log_density : ndarray, shape (chains, draws)
    mode : Mode
    surrogate : NormalSurrogate
        At the mode; the exact law where the draws are independent.
    sampler : str
    settings : dict
        Tuning that was used.
    reason : str
        Why this sampler.
    stats : dict
        Acceptance rates by chain, evaluations, seconds.
    tail : TailCheck or None
        None where it does not apply.
    exact : bool
        Whether the draws are independent draws from `surrogate`.
    interrupted : bool
    notes : tuple of str
    """

    draws: FloatArray
    log_density: FloatArray
    mode: Mode
    surrogate: NormalSurrogate
    sampler: str
    settings: dict[str, Any]
    reason: str
    stats: dict[str, Any]
    tail: TailCheck | None
    exact: bool
    interrupted: bool
    notes: tuple[str, ...] = field(default=())


def sample(posterior: Posterior, options: SampleOptions) -> Sample:
    """Draw from a quasi-posterior.

    Raises
    ------
    OptionError
        If the sampler does not fit the problem.
    KeyboardInterrupt
        If Ctrl-C comes before the warm-up is over.
    """
    began = time.perf_counter()
    target = posterior.target
    if _calls_python(target.form):
        # Threads would only wait for each other: a user's function holds the interpreter lock.
        options = replace(options, cores=1)
        if isinstance(options.executor, ProcessPoolExecutor):
            _refuse_what_cannot_be_sent(target)
    seeds = spawn_seeds(options.rng, options.chains + 1)
    exact = posterior.exactly_normal
    check_applies(target, options.sampler)
    if options.sampler == INDEPENDENT and not exact:
        raise OptionError(
            "sampler='independent' needs quasi_likelihood='two-step' and a normal or flat prior: "
            "only then is the quasi-posterior exactly normal"
        )
    samplers = samplers_for(target)
    asked = samplers.get(options.sampler)
    if asked and asked.needs_normal_prior and not posterior.prior.is_normal:
        raise OptionError(
            f"sampler={options.sampler!r} needs a normal or flat prior, which its proposal "
            "contains; use 'da-approx' or 'auto'"
        )
    if options.sampler == INDEPENDENT or (options.sampler == "auto" and exact):
        return _independent_sample(posterior, options, seeds, began)
    mode = posterior.find_mode()
    surrogate = posterior.surrogate_at(mode.point)
    notes: list[str] = []
    if not mode.converged:
        notes.append("The search for the mode did not converge: chains start where it ended.")
    tail = check_tail(posterior, mode.point, surrogate, np.random.default_rng(0))
    far_points = posterior.other_modes
    if tail and tail.noticeable:
        far_points = np.concatenate([far_points, tail.far_points])
    choice = _choose(posterior, options, mode, surrogate, far_points, seeds[-1], notes)
    settings = choice.settings
    starts = dispersed_starts(
        target,
        mode.point,
        surrogate.root,
        far_points,
        [seed.spawn(1)[0] for seed in seeds[:-1]],
    )
    states = [new_state(x, seed) for x, seed in zip(starts, seeds[:-1], strict=True)]
    started = time.perf_counter()
    total = options.chains * (options.tune + options.draws)
    with ProgressDisplay(total, options.progressbar, settings.sampler) as progress:
        settings, warm = warm_up(
            target, settings, states, options.tune, cores=options.workers, progress=progress
        )
        if warm.interrupted:
            raise KeyboardInterrupt
        states = [replace(state, counters=np.zeros_like(state.counters)) for state in warm.states]
        warmed = time.perf_counter()
        run = run_chains(
            target, settings, states, options.draws, cores=options.workers, progress=progress
        )
    if run.interrupted and run.draws.shape[1] == 0:
        raise KeyboardInterrupt
    return Sample(
        run.draws,
        run.log_density + posterior.log_constant,
        mode,
        surrogate,
        settings.sampler,
        _reported_settings(settings),
        choice.reason,
        run_statistics(run, settings, target.form, began=began, started=started, warmed=warmed),
        tail,
        False,
        run.interrupted,
        tuple(notes),
    )


def _choose(
    posterior: Posterior,
    options: SampleOptions,
    mode: Mode,
    surrogate: NormalSurrogate,
    far_points: FloatArray,
    seed: np.random.SeedSequence,
    notes: list[str],
) -> Choice:
    """Settle the sampler and its tuning, racing where something is left open."""
    target, sampler = posterior.target, options.sampler
    if sampler == "da-approx" and _nearly_singular(posterior, mode.point):
        fallback = "da-exact" if posterior.prior.is_normal else "da"
        sentence = (
            f"sampler='da-approx' was replaced by '{fallback}': without the prior, the moments "
            "hardly determine the coefficients, so its proposal is nearly singular."
        )
        warnings.warn(sentence, NumericalWarning, stacklevel=4)
        notes.append(sentence)
        sampler = fallback
        options_kwds: dict[str, Any] = {"df": "auto", "rho": "auto"}
    else:
        options_kwds = options.sampler_kwds
    reason = "asked for" if sampler == options.sampler else "fall-back"
    known = samplers_for(target)
    if sampler == "auto" and isinstance(target, RiskTarget):
        sampler, reason = risk_sampler(target)
    adapts = "nothing" if sampler == "auto" else known[sampler].adapts
    if adapts == "hamiltonian":
        return Choice(
            Settings(
                sampler, normalising_map=first_map(mode.point, surrogate), **options.sampler_kwds
            ),
            reason,
        )
    if adapts == "random walk":
        unscreened = options_kwds.get("unscreened", UNSCREENED)
        settings = Settings(sampler, proposal_root=surrogate.root, unscreened=unscreened)
        return Choice(settings, reason)
    if sampler != "auto" and "auto" not in options_kwds.values():
        settings = Settings(sampler, df=float(options_kwds["df"]), rho=float(options_kwds["rho"]))
        return Choice(settings, reason)
    start_seed, *pilot_seeds = seed.spawn(PILOT_CHAINS + 1)
    race = Race(
        target,
        posterior.size,
        dispersed_starts(
            target, mode.point, surrogate.root, far_points, start_seed.spawn(PILOT_CHAINS)
        ),
        pilot_seeds,
        mode.point,
        surrogate,
        _pilot_draws(posterior.size, options.tune),
        options.workers,
    )
    if sampler == "auto":
        return choose_sampler(race, normal_prior=posterior.prior.is_normal)
    best = race_modified(race, sampler, options_kwds["df"], options_kwds["rho"])
    return Choice(best.settings, f"{reason}; tuned in warm-up")


def _refuse_what_cannot_be_sent(target: object) -> None:
    try:
        pickle.dumps(target)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise OptionError(
            f"executor={ProcessPoolExecutor.__name__} cannot send the moment function to its "
            f"workers ({error}). Define momcond at the top of a module that the workers can "
            "import, or use an executor that sends any function, such as loky's or dask's."
        ) from error


def _calls_python(form: str) -> bool:
    return form.startswith("function")


def _pilot_draws(size: ProblemSize, tune: int) -> int:
    if _calls_python(size.form):
        return int(np.clip(tune // 8, *FUNCTION_PILOT_DRAWS))
    affordable = int(PILOT_NANOSECONDS / evaluation_cost(size))
    return int(np.clip(min(tune // 2, affordable), *PILOT_DRAWS))


def _nearly_singular(posterior: Posterior, point: FloatArray) -> bool:
    try:
        precision = normal_surrogate(posterior.target, point, with_prior=False).precision
    except NumericalError:
        return True
    return bool(1.0 / np.linalg.cond(precision) < SINGULAR)


def _independent_sample(
    posterior: Posterior,
    options: SampleOptions,
    seeds: list[np.random.SeedSequence],
    began: float,
) -> Sample:
    target = posterior.target
    k = target.n_params
    surrogate = normal_surrogate(target, np.zeros(k))
    draws = np.stack(
        [
            surrogate.mean
            + np.random.default_rng(seed).standard_normal((options.draws, k)) @ surrogate.root.T
            for seed in seeds[: options.chains]
        ]
    )
    setup = time.perf_counter() - began
    log_density = sum(target.evaluate(draws.reshape(-1, k))).reshape(draws.shape[:2])
    at_mode = float(sum(part[0] for part in target.evaluate(surrogate.mean[None, :])))
    seconds = time.perf_counter() - began
    ones = np.ones(options.chains)
    return Sample(
        draws,
        log_density + posterior.log_constant,
        Mode(surrogate.mean, at_mode, True),
        surrogate,
        INDEPENDENT,
        {},
        "a fixed weight and a normal or flat prior make the quasi-posterior exactly normal",
        {
            "acceptance_stage_1": ones,
            "acceptance_stage_2": ones,
            "acceptance_rate": ones,
            "nonfinite": 0,
            "evaluations": 0,
            "setup_seconds": setup,
            "sampling_seconds": seconds - setup,
            "seconds": seconds,
        },
        None,
        True,
        False,
    )


def _reported_settings(settings: Settings) -> dict[str, Any]:
    known = SAMPLER_KEYWORDS.get(settings.sampler, ())
    return {word: getattr(settings, word) for word in known}


def run_statistics(
    run: ChainRun, settings: Settings, form: str, *, began: float, started: float, warmed: float
) -> dict[str, Any]:
    """Counters as rates, and seconds in all, of the set-up and of the draws that are kept."""
    ended = time.perf_counter()
    counters = np.array([state.counters for state in run.states], dtype=float)
    proposed, passed, accepted, nonfinite, divergent = counters.T
    if settings.normalising_map is not None:
        # Trajectories have no first stage; what is counted in its place are their gradients.
        stages = {
            "acceptance_stage_1": np.ones_like(proposed),
            "acceptance_stage_2": accepted / proposed,
            "evaluations": int(passed.sum()),
            "divergences": int(divergent.sum()),
            "step": np.exp([state.tuning[0] for state in run.states]),
        }
    else:
        second = np.divide(accepted, passed, out=np.zeros_like(accepted), where=passed > 0)
        stages = {
            "acceptance_stage_1": passed / proposed,
            "acceptance_stage_2": second,
            # A user's function is called for every proposal, S formed for those that pass stage 1.
            "evaluations": int((proposed if _calls_python(form) else passed).sum()),
        }
    return {
        **stages,
        "acceptance_rate": accepted / proposed,
        "nonfinite": int(nonfinite.sum()),
        "setup_seconds": started - began,
        "sampling_seconds": ended - warmed,
        "seconds": ended - began,
    }
