"""Joins a model to the calibration of its learning rate."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2

from qbeconometrics.calibration.coverage import (
    REGIONS,
    Region,
    effective_sizes,
    weights_at,
)
from qbeconometrics.calibration.loss_problem import LossProblem
from qbeconometrics.calibration.problem import CoverageCurve, Search
from qbeconometrics.calibration.replications import BOOTSTRAPS, bootstrap_weights
from qbeconometrics.calibration.resimulation import resimulated
from qbeconometrics.calibration.tempering import tempered
from qbeconometrics.calibration.weighted_particles import (
    last_rate,
    root_within,
    weighted_particles,
    window,
)
from qbeconometrics.exceptions import OptionError, check_choice, refuse_unknown_keywords
from qbeconometrics.inputs.groups import read_groups
from qbeconometrics.models.fit_options import check_learning_rate, whole_number
from qbeconometrics.models.loss_posteriors import LossPosteriors
from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.posterior.gibbs import curvature_surrogate
from qbeconometrics.posterior.quasi_posterior import scale_prior
from qbeconometrics.posterior.resolved_prior import no_prior
from qbeconometrics.posterior.risk_target import RiskTarget
from qbeconometrics.results.calibration import LearningRateCalibration
from qbeconometrics.sampling.seeds import spawn_seeds

FloatArray = NDArray[np.float64]

METHODS = ("weighted-particles", "smc", "resimulate")
# Particles of a random walk are worth about a tenth of as many independent ones; those that the
# tempered sampler moves are nearly independent, so it takes fewer.
SMC_SHARE = 0.5
# Coverage further than this from the level, at the rate where it crosses it, is a plateau.
LARGEST_JUMP = 0.025
CURVE_POINTS = 25
BATCHES = 4


def calibrate_learning_rate(
    model: LossPosteriors,
    alpha: float = 0.05,
    method: str = "weighted-particles",
    region: str = "loss",
    functional: str | Callable[[FloatArray], ArrayLike] | None = None,
    bootstrap: str | None = None,
    replications: int = 200,
    particles: int = 2000,
    groups: Any = None,
    block_length: int | None = None,
    start: float | None = None,
    rng: Any = None,
    executor: Executor | None = None,
    **unknown: Any,
) -> LearningRateCalibration:
    """Find the learning rate at which credible regions cover as often as they claim.

    Regions of bootstrap replications of the data are to cover the estimate from the data, following
    the idea of Syring and Martin (2019, Biometrika 106, 479-486). What is new is how little
    simulation that takes: "weighted-particles" follows Tanaka (arXiv 2405.04845) and "smc" Tanaka
    (arXiv 2404.16528); the details are ours, built from their abstracts.

    Parameters
    ----------
    model : QuasiBayesM
        With ``posterior="gibbs"``.
    alpha : float
        One minus the level; a rate calibrated at one level is not for another.
    method : {"weighted-particles", "smc", "resimulate"}
        "weighted-particles" reweights particles of one rate to others, "smc" takes them up a ladder
        of rates, "resimulate" draws them again at each rate.
    region : {"loss", "ellipse", "marginal"}
        "loss" holds the coefficients of smallest loss; its coverage never rises with the rate.
        "ellipse" is about the mean, by Mahalanobis distance; "marginal" the equal-tailed interval
        of `functional`.
    functional : str or callable, optional
        Name of a coefficient, or a function of coefficients (M, k) that returns (M,) values.
    bootstrap : {"pairs", "cluster", "moving-block", "stationary", "multiplier"}, optional
        How replications are drawn; default "cluster" if `groups` is given, else "pairs".
    replications, particles : int
        200 replications leave a standard error of some 10 % of the learning rate.
    groups : str, Series or array_like, shape (n,), optional
        Clusters, as in ``cov_kwds`` of ``QuasiBayesIV.fit``.
    block_length : int, optional
        Rows a block; required for "moving-block" and "stationary".
    start : float, optional
        Learning rate to simulate at first; default the information-matching one. Not used by "smc".
    rng : int, SeedSequence, BitGenerator, Generator or None
    executor : concurrent.futures.Executor, optional
        Works on the replications; the result does not depend on it.

    Returns
    -------
    LearningRateCalibration

    Raises
    ------
    OptionError
    NumericalError
        If the loss has no curvature at its minimum.

    Examples
    --------
    >>> import qbeconometrics as qb
    >>> data = qb.datasets.load("mroz1987").query("inlf == 1")
    >>> model = qb.QuasiBayesM.from_formula(
    ...     "lwage ~ educ", data, loss=qb.losses.Quantile(0.5), posterior="gibbs"
    ... )
    >>> cal = qb.calibrate_learning_rate(model, rng=0)
    >>> cal.status, round(cal.coverage, 2)
    ('converged', 0.95)
    """
    refuse_unknown_keywords(unknown, CALIBRATION_KEYWORDS, "calibrate_learning_rate")
    _check_model(model)
    alpha = _level(alpha)
    check_choice(method, METHODS, "method")
    check_choice(region, REGIONS, "region")
    replications = whole_number(replications, "replications", minimum=20)
    particles = whole_number(particles, "particles", minimum=100)
    if start is not None:
        start = check_learning_rate(start)
    weighting, moving = spawn_seeds(rng, 2)
    kind, weights = _weights(model, bootstrap, replications, weighting, groups, block_length)
    problem, root = _problem(model, weights, region, functional, executor)
    curve = _curve(problem, region, alpha)
    if method == "smc":
        count = max(100, int(SMC_SHARE * particles))
        search = tempered(problem, curve, moving, count)
    elif method == "resimulate":
        begin = start or problem.information_rate
        search = resimulated(problem, curve, begin, moving, particles)
    else:
        begin = start or problem.information_rate
        search = weighted_particles(problem, curve, begin, moving, particles)
    return _report(model, problem, root, curve, search, method=method, bootstrap=kind)


CALIBRATION_KEYWORDS = (
    "model",
    "alpha",
    "method",
    "region",
    "functional",
    "bootstrap",
    "replications",
    "particles",
    "groups",
    "block_length",
    "start",
    "rng",
    "executor",
)


def _check_model(model: object) -> None:
    if not isinstance(model, LossPosteriors):
        raise OptionError(
            f"a learning rate is calibrated for QuasiBayesM, not for {type(model).__name__}"
        )
    if model.posterior != "gibbs":
        raise OptionError(
            "a Q-posterior has no learning rate to calibrate; build the model with "
            'posterior="gibbs"'
        )


def _level(alpha: object) -> float:
    if isinstance(alpha, (int, float, np.number)) and 0.0 < float(alpha) < 1.0:
        return float(alpha)
    raise OptionError(f"alpha={alpha!r} must be a number between 0 and 1")


def _weights(
    model: LossPosteriors,
    bootstrap: str | None,
    replications: int,
    seed: np.random.SeedSequence,
    groups: Any,
    block_length: int | None,
) -> tuple[str, FloatArray]:
    """Return the kind of bootstrap and its weights."""
    n = len(model.design.endog)
    kind = bootstrap or ("pairs" if groups is None else "cluster")
    check_choice(kind, BOOTSTRAPS, "bootstrap")
    if (groups is not None) != (kind == "cluster"):
        raise OptionError('groups and bootstrap="cluster" belong together')
    blocks = kind in ("moving-block", "stationary")
    if (block_length is not None) != blocks:
        raise OptionError('block_length belongs to bootstrap="moving-block" and "stationary"')
    length = whole_number(block_length, "block_length", minimum=1) if blocks else 1
    if length > n:
        raise OptionError(f"block_length={length} is more than the {n} rows")
    codes = None
    if groups is not None:
        read = read_groups(
            groups, labels=model.design.row_labels, kept=model._kept, n=n, frame=model._frame
        )
        if len(read.codes) > 1 or read.counts[0] < 2:
            raise OptionError(
                'bootstrap="cluster" takes one way of clustering, with two clusters at least'
            )
        codes = read.codes[0]
    return kind, bootstrap_weights(kind, n, replications, seed, groups=codes, block_length=length)


def _problem(
    model: LossPosteriors,
    weights: FloatArray,
    region: str,
    functional: str | Callable[[FloatArray], ArrayLike] | None,
    executor: Executor | None,
) -> tuple[LossProblem, FloatArray]:
    """Return the replications, and R of theta = estimate + R x."""
    design, k = model.design, model.design.exog.shape[1]
    estimate = model._estimate[0]
    flat = RiskTarget(
        model.loss,
        design.endog,
        design.exog,
        no_prior(design.exog_names),
        model._basis,
        learning_rate=1.0,
    )
    curvature = curvature_surrogate(flat, model._basis.to_scaled(estimate))
    root = model._basis.regressor_map @ curvature.root
    prior = scale_prior(model.prior, MomentBasis(estimate, root, np.eye(k)))
    student = prior.student or (np.empty((0, k)), np.empty(0), np.empty(0))
    if (functional is None) != (region != "marginal"):
        raise OptionError('functional and region="marginal" belong together')
    return LossProblem(
        model.loss,
        design.endog,
        design.exog @ estimate,
        np.ascontiguousarray((design.exog @ root).T),
        np.ascontiguousarray(prior.precision),
        prior.mean,
        tuple(np.ascontiguousarray(part) for part in student),  # type: ignore[arg-type]
        weights,
        executor,
        None if functional is None else _in_scaled(functional, model, estimate, root),
    ), root


def _in_scaled(
    functional: str | Callable[[FloatArray], ArrayLike],
    model: LossPosteriors,
    estimate: FloatArray,
    root: FloatArray,
) -> Callable[[FloatArray], FloatArray]:
    """Return the functional of scaled positions (M, k)."""
    if isinstance(functional, str):
        j = model.exog_names.index(check_choice(functional, model.exog_names, "functional"))
        return lambda points: estimate[j] + points @ root[j]
    if not callable(functional):
        raise OptionError(f"functional={functional!r} must be a coefficient's name or a function")

    def values(points: FloatArray) -> FloatArray:
        found = np.asarray(functional(estimate + points @ root.T), dtype=np.float64)
        if found.shape != (len(points),) or not np.isfinite(found).all():
            raise OptionError(
                f"functional must return {len(points)} finite values for coefficients of shape "
                f"{points.shape}, not an array of shape {found.shape}"
            )
        return found

    return values


def _curve(problem: LossProblem, region: str, alpha: float) -> CoverageCurve:
    origin = np.zeros(problem.n_params)
    if region == "marginal":
        value = float(problem.values(origin[None, None])[0, 0])
        chosen = Region(region, alpha, origin, problem.loss_at_estimate, value)
        return CoverageCurve(chosen, problem.values)
    return CoverageCurve(Region(region, alpha, origin, problem.loss_at_estimate))


def _report(
    model: LossPosteriors,
    problem: LossProblem,
    root: FloatArray,
    curve: CoverageCurve,
    search: Search,
    *,
    method: str,
    bootstrap: str,
) -> LearningRateCalibration:
    low, high = window(search.system)
    rates = np.geomspace(low, high, CURVE_POINTS)
    sizes = [effective_sizes(weights_at(search.system, rate)) for rate in rates]
    table = pd.DataFrame(
        {
            "learning_rate": rates,
            "coverage": [curve.coverage(search.system, rate) for rate in rates],
            "ess": [float(np.median(one)) for one in sizes],
        }
    )
    coverage = curve.coverage(search.system, search.rate)
    status, message = _status(search, coverage, curve.level)
    spread = root @ problem.score_product @ root.T
    return LearningRateCalibration(
        learning_rate=search.rate,
        learning_rate_se=search.rate * _log_error(curve, search, problem, low, high),
        coverage=coverage,
        status=status,
        message=message,
        alpha=curve.region.alpha,
        region=curve.region.kind,
        method=method,
        bootstrap=bootstrap,
        loss=f"{model.loss.label}: {model.loss.formula}",
        passes=search.passes,
        bracket=(low, high),
        curve=table,
        ess=effective_sizes(weights_at(search.system, search.rate)),
        particles=search.system.losses.shape[1],
        information_rate=problem.information_rate,
        implied_rates=pd.Series(
            np.diag(root @ root.T) / np.diag(spread), index=model.exog_names, name="rate"
        ),
    )


def _status(search: Search, coverage: float, level: float) -> tuple[str, str]:
    if search.at_bound:
        side = "stays below" if coverage < level else "stays above"
        return "no-root", (
            f"The coverage {side} {level:.3g} ({coverage:.3f}) over all learning rates that were "
            "looked at; the one reported is the last of them. A prior that is far from the "
            "estimate, or a loss without information, has this effect."
        )
    if abs(coverage - level) > LARGEST_JUMP:
        return "plateau", (
            f"The coverage jumps over {level:.3g}: at the learning rate reported it is "
            f"{coverage:.3f}. Losses with few values do this."
        )
    return "converged", f"The coverage is {coverage:.3f} at the learning rate reported."


def _log_error(
    curve: CoverageCurve, search: Search, problem: LossProblem, low: float, high: float
) -> float:
    """Return the standard error of the log rate, from replications and from particles.

    The rate is a quantile over replications: half the distance of the rates at which coverage is
    one binomial standard error above and below the level (Woodruff 1952, JASA 47, 635-646). Where
    these rates are not both within reach the slope of a chi-square curve takes their place. The
    noise of particles is the spread of the rates that quarters of them give.
    """
    level = curve.level
    step = float(np.sqrt(level * (1.0 - level) / problem.replications))

    def last(share: float) -> float:
        return last_rate(lambda rate: curve.coverage(search.system, rate) >= share, low, high)

    first, second = last(min(level + step, 1.0)), last(level - step)
    if low < first < second < high:
        of_replications = float(np.log(second / first)) / 2.0
    else:
        df = 1 if curve.region.kind == "marginal" else problem.n_params
        quantile = chi2.ppf(level, df)
        of_replications = step / float(quantile * chi2.pdf(quantile, df))
    size = search.system.losses.shape[1] // BATCHES
    parts = [
        root_within(curve, search.system.part(slice(i * size, (i + 1) * size)), low, high)
        for i in range(BATCHES)
    ]
    of_particles = float(np.std(np.log(parts), ddof=1)) / np.sqrt(BATCHES)
    return float(np.hypot(of_replications, of_particles))
