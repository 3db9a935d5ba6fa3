"""Joins a model to calibrations that compete."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.calibration.loss_problem import LossProblem
from qbeconometrics.calibration.rivals.regions import (
    ellipse_holds,
    equal_tailed,
    loss_region_holds,
)
from qbeconometrics.calibration.rivals.safe_bayes import LIKELIHOODS, safe_bayes
from qbeconometrics.calibration.rivals.sandwich import location_scale, open_faced_sandwich
from qbeconometrics.diagnostics.convergence import bulk_ess, check_probability
from qbeconometrics.exceptions import (
    ImproperPosteriorError,
    InputError,
    NumericalError,
    OptionError,
    check_choice,
    refuse_unknown_keywords,
)
from qbeconometrics.models.calibration import calibrate_learning_rate
from qbeconometrics.models.fit_options import whole_number
from qbeconometrics.models.loss_calibration import loss_problem, refuse_q_posterior
from qbeconometrics.models.loss_posteriors import LossPosteriors
from qbeconometrics.posterior.prior_draws import draw_prior
from qbeconometrics.results.calibration_comparison import CalibrationComparison
from qbeconometrics.sampling.seeds import spawn_seeds

FloatArray = NDArray[np.float64]

METHODS = (
    "uncalibrated",
    "coverage",
    "information-matching",
    "safe-bayes",
    "open-faced-sandwich",
    "location-scale",
    "q-posterior",
)
CHAINS = 4
# One in so many draws is made of the Q-posterior, and at least so many a chain: they cost more, and
# are less correlated.
Q_SHARE = 5
Q_LEAST = 1_000
SAFE_BAYES_PARTICLES = 500
# Draws worth fewer independent ones than this are said to be few.
FEW = 400
LARGEST_CONDITION = 1e14


@dataclass(frozen=True, slots=True)
class _Task:
    """What every method works with.

    Attributes
    ----------
    model : LossPosteriors
    problem : LossProblem
        Whose only replication is the data.
    root : ndarray, shape (k, k)
        Of theta = estimate + root x.
    alpha : float
    replications, draws : int
    seed : SeedSequence
        The same for every method, so that equal rates give equal draws.
    """

    model: LossPosteriors
    problem: LossProblem
    root: FloatArray
    alpha: float
    replications: int
    draws: int
    seed: np.random.SeedSequence

    @property
    def estimate(self) -> FloatArray:
        """The minimiser of the loss (k,)."""
        return self.model._estimate[0]

    def walk_seed(self) -> np.random.SeedSequence:
        """Return a fresh copy of the seed of every random walk."""
        return spawn_seeds(self.seed, 1)[0]

    def loss_at(self, params: FloatArray) -> float:
        """Return the summed loss at coefficients (k,)."""
        design = self.model.design
        return float(self.model.loss.value(design.endog, design.exog @ params).sum())


@dataclass(frozen=True, slots=True)
class _Found:
    """Draws (M, k) of one method, their losses (M,) where the joint region is made of them."""

    draws: FloatArray
    rate: float = np.nan
    losses: FloatArray | None = None
    note: str = ""


def compare_calibrations(
    model: LossPosteriors,
    alpha: float = 0.05,
    truth: ArrayLike | None = None,
    methods: Sequence[str] | None = None,
    replications: int = 200,
    draws: int = 20_000,
    rng: Any = None,
    **unknown: Any,
) -> CalibrationComparison:
    """Put intervals of competing calibrations of a Gibbs posterior side by side.

    Parameters
    ----------
    model : QuasiBayesM
        With ``posterior="gibbs"``.
    alpha : float
        One minus the level of intervals and joint regions.
    truth : array_like, shape (k,), or Series, optional
        Coefficients that simulated data have: whether intervals and regions cover them is said.
    methods : sequence of str, optional
        By default all that the loss allows, in this order:

        - "uncalibrated", learning rate 1;
        - "coverage", that of `calibrate_learning_rate` for the joint loss region;
        - "information-matching", following Lyddon, Holmes and Walker (2019, Biometrika 106,
          465-478);
        - "safe-bayes", following Grünwald and van Ommen (2017, Bayesian Analysis 12, 1069-1103):
          for the squared, logistic and Poisson loss. It is for prediction, and depends on the
          order of the rows;
        - "open-faced-sandwich", draws at the information-matching rate, moved following Shaby
          (2014, Journal of Computational and Graphical Statistics 23, 853-876);
        - "location-scale", the same draws, moved following the abstract of Tamano and Tomo (arXiv
          2511.15320);
        - "q-posterior", following Frazier, Drovandi and Kohn (arXiv 2311.15485): ``posterior="q"``.
    replications : int
        Bootstrap replications, for "coverage".
    draws : int
        Of each method, from a compiled random walk; a fifth of them, and 4,000 at least, for
        "q-posterior", from the sampler that ``fit`` chooses.
    rng : int, SeedSequence, BitGenerator, Generator or None

    Returns
    -------
    CalibrationComparison

    Raises
    ------
    OptionError
        Naming the argument; also where a method is asked for that the loss does not allow.
    InputError
        If the truth does not fit the coefficients.
    ImproperPosteriorError, NumericalError

    Warns
    -----
    ConvergenceWarning, TailWarning, NumericalWarning
        From the Q-posterior.

    Notes
    -----
    A joint region is the set of small losses where draws are of a Gibbs posterior, an ellipse with
    the quantile of the draws' own distances elsewhere. A method that is not asked for by name and
    cannot be had is left out, with a note.

    Examples
    --------
    >>> import qbeconometrics as qb
    >>> data = qb.datasets.load("mroz1987").query("inlf == 1")
    >>> model = qb.QuasiBayesM.from_formula(
    ...     "lwage ~ educ", data, loss=qb.losses.Quantile(0.5), posterior="gibbs"
    ... )
    >>> table = qb.compare_calibrations(model, methods=["uncalibrated", "location-scale"], rng=0)
    >>> table.lengths.round(2)["educ"].to_dict()
    {'uncalibrated': 0.1, 'location-scale': 0.06}
    """
    refuse_unknown_keywords(unknown, KEYWORDS, "compare_calibrations")
    check_gibbs_model(model)
    alpha = check_probability(alpha, "alpha")
    chosen = _check_methods(methods, model)
    at = None if truth is None else _check_truth(truth, list(model.exog_names))
    replications = whole_number(replications, "replications", minimum=20)
    draws = whole_number(draws, "draws", minimum=1_000)
    model.quasi_posterior()  # refuses what is not a law
    problem, root = loss_problem(model, np.ones((1, len(model.design.endog))))
    if not np.linalg.cond(problem.score_product) < LARGEST_CONDITION:
        raise NumericalError(
            "the scores of the rows are collinear where the loss is smallest, as with a perfect "
            "fit: there is no sandwich to compare with"
        )
    task = _Task(model, problem, root, alpha, replications, draws, spawn_seeds(rng, 1)[0])
    found: dict[str, _Found] = {}
    notes = []
    for method in chosen:
        try:
            found[method] = WORK[method](task)
        except (ImproperPosteriorError, NumericalError) as error:
            if methods is not None:
                raise
            notes.append(f"{method} is left out: {error}")
    return _report(task, found, at, notes)


KEYWORDS = ("model", "alpha", "truth", "methods", "replications", "draws", "rng")


def check_gibbs_model(model: object) -> None:
    """Raise `OptionError` unless it is a model with the Gibbs posterior of a loss."""
    if not isinstance(model, LossPosteriors):
        raise OptionError(
            f"calibrations are compared for QuasiBayesM, not for {type(model).__name__}"
        )
    refuse_q_posterior(model)


def _check_methods(methods: Sequence[str] | None, model: LossPosteriors) -> list[str]:
    allowed = isinstance(model.loss, LIKELIHOODS)
    if methods is None:
        return [method for method in METHODS if allowed or method != "safe-bayes"]
    if isinstance(methods, str) or not isinstance(methods, Sequence) or not methods:
        raise OptionError(f"methods={methods!r} must be a list of names of methods")
    chosen = [check_choice(method, METHODS, "methods") for method in methods]
    if len(set(chosen)) < len(chosen):
        raise OptionError(f"methods={methods!r} names a method twice")
    if "safe-bayes" in chosen and not allowed:
        raise OptionError(
            f"methods: 'safe-bayes' needs a likelihood, and the {model.loss.label} loss is none; "
            "it is for losses.Squared, losses.Logistic and losses.Poisson"
        )
    return chosen


def _check_truth(truth: ArrayLike, names: list[str]) -> FloatArray:
    if isinstance(truth, pd.Series):
        if set(truth.index) != set(names) or len(truth) != len(names):
            raise InputError(f"truth must name each coefficient once: {names}")
        truth = truth[names]
    try:
        values = np.asarray(truth, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.shape != (len(names),) or not np.isfinite(values).all():
        raise InputError(
            f"truth must hold one finite number for each of the {len(names)} coefficients {names}"
        )
    return values


def _at_rate(task: _Task, rate: float, note: str = "") -> _Found:
    """Draw the Gibbs posterior at a learning rate."""
    system = task.problem.simulate(rate, task.walk_seed(), task.draws)
    draws, losses = system.positions[0], system.losses[0]
    return _Found(task.estimate + draws @ task.root.T, rate, losses, note)


def _uncalibrated(task: _Task) -> _Found:
    return _at_rate(task, 1.0)


def _coverage(task: _Task) -> _Found:
    found = calibrate_learning_rate(
        task.model, task.alpha, replications=task.replications, rng=task.seed
    )
    note = "" if found.status == "converged" else f"coverage: {found.message}"
    return _at_rate(task, found.learning_rate, note)


def _information_matching(task: _Task) -> _Found:
    return _at_rate(task, task.problem.information_rate)


def _safe_bayes(task: _Task) -> _Found:
    prior = task.model.prior
    start, walking = spawn_seeds(task.seed, 2)
    drawn = None
    if prior.is_proper:
        points = draw_prior(prior, np.random.default_rng(start), SAFE_BAYES_PARTICLES)
        drawn = np.asarray(np.linalg.solve(task.root, (points - task.estimate).T).T)
    found = safe_bayes(task.problem, drawn, walking)
    note = "safe-bayes depends on the order of the rows, and is for prediction, not coverage."
    if found.at_end:
        note += " Its learning rate is the last of those that it tries."
    return _at_rate(task, found.rate, note)


def _draws_to_adjust(task: _Task) -> FloatArray:
    """Draw at a rate that suits the scale of the loss, where the curvature of the loss is one."""
    rate = task.problem.information_rate
    return task.problem.simulate(rate, task.walk_seed(), task.draws).positions[0]


def _open_faced_sandwich(task: _Task) -> _Found:
    rate, product = task.problem.information_rate, task.problem.score_product
    k = task.problem.n_params
    adjusted = open_faced_sandwich(
        _draws_to_adjust(task), np.zeros(k), rate * np.eye(k), rate**2 * product
    )
    return _Found(task.estimate + adjusted @ task.root.T)


def _location_scale(task: _Task) -> _Found:
    origin = np.zeros(task.problem.n_params)
    adjusted = location_scale(_draws_to_adjust(task), origin, task.problem.score_product)
    return _Found(task.estimate + adjusted @ task.root.T)


def _q_posterior(task: _Task) -> _Found:
    model: Any = copy.copy(task.model)
    model.posterior = "q"
    each = max(Q_LEAST, -(-task.draws // (Q_SHARE * CHAINS)))
    results = model.fit(draws=each, chains=CHAINS, rng=task.seed, progressbar=False)
    return _Found(results.draws.reshape(-1, task.problem.n_params))


WORK: dict[str, Callable[[_Task], _Found]] = {
    "uncalibrated": _uncalibrated,
    "coverage": _coverage,
    "information-matching": _information_matching,
    "safe-bayes": _safe_bayes,
    "open-faced-sandwich": _open_faced_sandwich,
    "location-scale": _location_scale,
    "q-posterior": _q_posterior,
}


def _report(
    task: _Task, found: dict[str, _Found], truth: FloatArray | None, notes: list[str]
) -> CalibrationComparison:
    names, methods = list(task.model.exog_names), list(found)
    ends = np.array([equal_tailed(one.draws, task.alpha) for one in found.values()])
    covers = None
    if truth is not None:
        held = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
        covers = pd.DataFrame(held, methods, names)
        covers["joint"] = [_joint(task, one, truth) for one in found.values()]
    for method, one in found.items():
        worth = float(np.min(bulk_ess(one.draws[None])))
        if method != "q-posterior" and worth < FEW:
            notes.append(
                f"{method}: the draws are worth {worth:.0f} independent ones; give more draws."
            )
    root = task.root
    rates = np.diag(root @ root.T) / np.diag(root @ task.problem.score_product @ root.T)
    regions = ["ellipse" if one.losses is None else "loss" for one in found.values()]
    return CalibrationComparison(
        methods=tuple(methods),
        alpha=task.alpha,
        learning_rate=pd.Series([one.rate for one in found.values()], methods, dtype=float),
        region=pd.Series(regions, methods, dtype=object),
        lower=pd.DataFrame(ends[:, 0], methods, names),
        upper=pd.DataFrame(ends[:, 1], methods, names),
        covers=covers,
        implied_rates=pd.Series(rates, names, name="rate"),
        loss=f"{task.model.loss.label}: {task.model.loss.formula}",
        notes=tuple([one.note for one in found.values() if one.note] + notes),
    )


def _joint(task: _Task, found: _Found, truth: FloatArray) -> bool:
    if found.losses is None:
        return ellipse_holds(found.draws, truth, task.alpha)
    return loss_region_holds(found.losses, task.loss_at(truth), task.alpha)
