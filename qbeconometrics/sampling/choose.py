"""Which sampler, and how tuned: a race on short pilot chains from dispersed starts.

The winner has the largest smallest effective sample size per unit of modelled cost. Costs come from
`moments.cost`, never from a clock, so the same random state chooses the same sampler.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.diagnostics.convergence import bulk_ess, tail_ess
from qbeconometrics.kernels.reference.hmc import NormalisingMap
from qbeconometrics.moments.cost import ProblemSize
from qbeconometrics.posterior.risk_target import RiskTarget
from qbeconometrics.posterior.surrogate import NormalSurrogate
from qbeconometrics.posterior.target import Target
from qbeconometrics.sampling.adaptation import warm_up
from qbeconometrics.sampling.chains import ChainRun, Workers, run_chains
from qbeconometrics.sampling.progress import SilentProgress
from qbeconometrics.sampling.registry import samplers_for
from qbeconometrics.sampling.samplers import Settings
from qbeconometrics.sampling.state import ChainState, new_state

FloatArray = NDArray[np.float64]

DF_CANDIDATES = (2.0, 5.0, 20.0, 50.0, np.inf)
FEW_DF_CANDIDATES = (2.0, 5.0, 20.0)  # where evaluations call a user's function
RHO_CANDIDATES = (0.5, 0.8, 0.95)
PILOT_CHAINS = 4
# Where trajectories overtake a random walk. With fewer, proposals of the modified samplers still
# cross between distant modes, which no trajectory does and no effective sample size shows.
MANY_PARAMETERS = 8
LOW_ACCEPTANCE = 0.25
# A chain that is stuck overstates its own effective sample size: among candidates whose scores are
# this close to the best, the heaviest tails win.
CLOSE_ENOUGH = 0.75
# Where the best pilot is worth little, the pilots have hardly seen the tails and scores mean less.
LITTLE_WORTH = 0.1
CLOSE_WHEN_WORTH_LITTLE = 0.33
# What a well-tuned random walk is worth a draw, at most, on a normal target (times k).
RANDOM_WALK_WORTH = 0.33
RANDOM_WALK_PASSES = 0.3
# What Hamiltonian Monte Carlo is worth a draw where the others stall, and at how many gradients.
HAMILTONIAN_WORTH = 0.3
HAMILTONIAN_GRADIENTS = 10.0
# Where a trajectory costs more than this, shorter ones are enough for the usual number of draws; at
# their full length they are antithetic, and worth as many draws as they are.
EXPENSIVE_NANOSECONDS = 5e7
SHORT_LENGTH = 1.7
# Chains that stand still are estimated to be worth a draw or two each. Where no pilot was worth
# more than this, scores mean nothing, and one of "hmc" would be too short for its warm-up.
STALLED = 20.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A candidate and how it did.

    Attributes
    ----------
    settings : Settings
    effective_share : float
        Smallest bulk or tail effective sample size per draw.
    effective_draws : float
        That share of the draws of the pilot.
    acceptance : float
    score : float
        Effective draws per modelled millisecond.
    """

    settings: Settings
    effective_share: float
    effective_draws: float
    acceptance: float
    score: float


@dataclass(frozen=True, slots=True)
class Choice:
    """The settings to use, and why."""

    settings: Settings
    reason: str


def dispersed_starts(
    target: Target,
    mode: FloatArray,
    root: FloatArray,
    far_points: FloatArray,
    seeds: Sequence[np.random.SeedSequence],
) -> list[FloatArray]:
    """Draw one start a seed from a Student-t law (3 degrees of freedom) about the mode.

    A start where the log density is not finite is pulled halfway to the mode until it is. Every
    second start is one of `far_points` (points, k), if there are any: where the region far from
    the mode matters, a chain has to begin there.
    """
    starts = []
    for chain, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        step = 1.5 * root @ rng.standard_normal(len(mode)) * np.sqrt(3.0 / rng.chisquare(3.0))
        if chain % 2 and len(far_points):
            step = far_points[rng.integers(len(far_points))] - mode
        while not np.isfinite(sum(part[0] for part in target.evaluate((mode + step)[None, :]))):
            step = step / 2.0
        starts.append(mode + step)
    return starts


def first_map(mode: FloatArray, surrogate: NormalSurrogate) -> NormalisingMap:
    """Return the coordinates in which "hmc" begins: those of the normal law at the mode."""
    return NormalisingMap(mode, surrogate.root, 0.0)


class Race:
    """Pilot runs on one problem.

    Parameters
    ----------
    target : Target
    size : ProblemSize
    starts : sequence of ndarray, shape (k,)
    seeds : sequence of SeedSequence
        One a pilot chain.
    mode : ndarray, shape (k,)
    surrogate : NormalSurrogate
        At the mode.
    pilot_draws : int
        Draws a pilot chain; the first quarter is dropped.
    cores : int or Executor
    """

    def __init__(
        self,
        target: Target,
        size: ProblemSize,
        starts: Sequence[FloatArray],
        seeds: Sequence[np.random.SeedSequence],
        mode: FloatArray,
        surrogate: NormalSurrogate,
        pilot_draws: int,
        cores: Workers,
    ):
        self._target: Any = target
        self._size, self._cores = size, cores
        self.samplers = samplers_for(target)
        self._states = [new_state(x, seed) for x, seed in zip(starts, seeds, strict=True)]
        self._root = surrogate.root
        self._map = first_map(mode, surrogate)
        self._pilot_draws = pilot_draws
        self.entries: list[Entry] = []

    @property
    def compiled(self) -> bool:
        """Whether evaluations are cheap."""
        return not self._size.form.startswith("function")

    def _pilot(self, settings: Settings) -> tuple[Settings, ChainRun]:
        states: Sequence[ChainState] = self._states
        if self.samplers[settings.sampler].adapts != "nothing":
            settings, run = warm_up(
                self._target,
                replace(settings, proposal_root=self._root),
                states,
                self._pilot_draws,
                cores=self._cores,
                progress=SilentProgress(),
            )
            states = run.states
            if run.interrupted:
                raise KeyboardInterrupt
        run = run_chains(self._target, settings, states, self._pilot_draws, cores=self._cores)
        if run.interrupted:
            raise KeyboardInterrupt
        return settings, run

    def run(self, settings: Settings) -> Entry:
        """Add a candidate."""
        tuned, run = self._pilot(settings)
        counters = np.sum([state.counters for state in run.states], axis=0)
        proposed, passed, accepted = (max(1, int(count)) for count in counters[:3])
        kept = run.draws[:, run.draws.shape[1] // 4 :]
        share = 0.0
        if kept.shape[1] >= 4:
            worth = np.concatenate([np.ravel(bulk_ess(kept)), np.ravel(tail_ess(kept))])
            moves = np.ptp(kept, axis=(0, 1)).min() > 0
            share = float(np.nanmin(worth)) / (kept.shape[0] * kept.shape[1]) if moves else 0.0
        cost = self.samplers[settings.sampler].cost(self._size, passed / proposed)
        entry = Entry(
            tuned, share, share * kept[..., 0].size, accepted / proposed, 1e6 * share / cost
        )
        self.entries.append(entry)
        return entry

    def random_walk_may_win(self, sampler: str, best: Entry) -> bool:
        """Whether a random walk as good as on a normal target would come near the best score."""
        bound = RANDOM_WALK_WORTH / self._target.n_params
        cost = self.samplers[sampler].cost(self._size, RANDOM_WALK_PASSES)
        return 1e6 * bound / cost >= CLOSE_ENOUGH * best.score

    @property
    def stalled(self) -> bool:
        """Whether many parameters let no candidate move enough to be judged."""
        if self._target.n_params < MANY_PARAMETERS:
            return False
        most = max(self.entries, key=lambda entry: entry.effective_draws)
        return most.effective_draws < STALLED and most.acceptance < LOW_ACCEPTANCE

    def hamiltonian_settings(self) -> Settings:
        """Return what "hmc" begins with."""
        settings = Settings("hmc", normalising_map=self._map)
        cost = self.samplers["hmc"].cost(self._size, HAMILTONIAN_GRADIENTS)
        return replace(settings, length=SHORT_LENGTH) if cost > EXPENSIVE_NANOSECONDS else settings

    def hamiltonian_may_win(self, best: Entry) -> bool:
        """Whether "hmc" as good as it is where the others stall would beat the best score."""
        cost = self.samplers["hmc"].cost(self._size, HAMILTONIAN_GRADIENTS)
        many = self._target.n_params >= MANY_PARAMETERS
        return many and 1e6 * HAMILTONIAN_WORTH / cost > best.score

    def best(self, entries: Sequence[Entry]) -> Entry:
        """Return the entry with the best score, preferring what does not stick where it is close.

        These are heavy tails, but for a user's moments with an S that moves: far out both their
        linearisation and S at the current point mislead, a chain that proposes or screens by them
        sticks, and a pilot too short to get there does not see it. There it is a plain random walk.
        """
        top = max(entries, key=lambda entry: entry.score)
        tolerance = CLOSE_ENOUGH if top.effective_share > LITTLE_WORTH else CLOSE_WHEN_WORTH_LITTLE
        close = [entry for entry in entries if entry.score >= tolerance * top.score]
        walks = [e for e in close if self.samplers[e.settings.sampler].adapts == "random walk"]
        if walks and not self.compiled and self._target.fixed_root is None:
            plain = [entry for entry in walks if entry.settings.sampler == "rwm"]
            return max(plain or walks, key=lambda entry: entry.score)
        modified = [e for e in close if self.samplers[e.settings.sampler].adapts == "nothing"]
        if not modified:
            return max(close, key=lambda entry: entry.score)
        lightest = min(entry.settings.df for entry in modified)
        return max(
            (entry for entry in modified if entry.settings.df == lightest),
            key=lambda entry: entry.score,
        )


def race_modified(race: Race, sampler: str, df: float | str, rho: float | str) -> Entry:
    """Tune a modified sampler: degrees of freedom first, then partial refreshment if it stalls."""
    base_rho = 0.0 if rho == "auto" else float(rho)
    every = DF_CANDIDATES if race.compiled else FEW_DF_CANDIDATES
    candidates = every if df == "auto" else (float(df),)
    entries = [race.run(Settings(sampler, df=value, rho=base_rho)) for value in candidates]
    best = race.best(entries)
    if rho == "auto" and best.acceptance < LOW_ACCEPTANCE:
        entries += [race.run(replace(best.settings, rho=value)) for value in RHO_CANDIDATES]
        best = race.best(entries)
    return best


def risk_sampler(target: RiskTarget) -> tuple[str, str]:
    """Return the sampler for a Gibbs posterior, and why: it has few choices, and no race.

    A random walk needs some 3 k evaluations for an effective draw, trajectories a dozen of twice
    the cost, whatever k is, unless the gradient jumps.
    """
    if target.loss.jumps or target.n_params < MANY_PARAMETERS:
        return "rwm", "the loss has few parameters, or a gradient that jumps"
    return "hmc", "the loss has many parameters and a gradient"


def choose_sampler(race: Race, *, normal_prior: bool) -> Choice:
    """Choose among all samplers that fit the problem."""
    modified = [
        name
        for name, sampler in race.samplers.items()
        if sampler.adapts == "nothing" and (normal_prior or not sampler.needs_normal_prior)
    ]
    best = race_modified(race, modified[0], "auto", "auto")
    for name in modified[1:]:
        race.run(replace(best.settings, sampler=name))
    for sampler in ("da", "rwm"):
        if race.random_walk_may_win(sampler, race.best(race.entries)):
            race.run(Settings(sampler))
    if race.stalled:
        return Choice(
            race.hamiltonian_settings(),
            f"chosen in warm-up, where the pilot runs of {len(race.entries)} other candidates were "
            f"worth fewer than {STALLED:.0f} draws each",
        )
    if race.hamiltonian_may_win(race.best(race.entries)):
        race.run(race.hamiltonian_settings())
    winner = race.best(race.entries)
    # Its proposal knows the prior: where the two are close, Exact wastes fewer draws in the tails.
    if winner.settings.sampler == "da-approx" and best.score >= CLOSE_ENOUGH * winner.score:
        winner = best
    reason = (
        f"chosen in warm-up among {len(race.entries)} candidates by effective draws per modelled "
        f"cost ({winner.effective_share:.2f} effective draws a draw in the pilot run)"
    )
    return Choice(winner.settings, reason)
