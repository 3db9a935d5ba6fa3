"""Joins a model to the calibration of its learning rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.calibration.coverage import REGIONS
from qbeconometrics.calibration.loss_problem import LossProblem
from qbeconometrics.calibration.resimulation import resimulated
from qbeconometrics.calibration.sampled_moments import SampledMomentProblem
from qbeconometrics.calibration.tempering import tempered
from qbeconometrics.calibration.weighted_particles import weighted_particles
from qbeconometrics.exceptions import OptionError, check_choice, refuse_unknown_keywords
from qbeconometrics.models.bootstrap_arguments import BootstrapArguments
from qbeconometrics.models.calibrated_region import coverage_curve
from qbeconometrics.models.calibration_report import calibration_report
from qbeconometrics.models.fit_options import check_learning_rate, whole_number
from qbeconometrics.models.linear_moments import LinearMomentsModel
from qbeconometrics.models.loss_calibration import calibrated_loss, refuse_q_posterior
from qbeconometrics.models.loss_posteriors import LossPosteriors
from qbeconometrics.models.lp_model import ProjectionModel
from qbeconometrics.models.moment_calibration import calibrated_moments, moment_options
from qbeconometrics.models.projection_calibration import (
    calibrated_projections,
    projection_options,
)
from qbeconometrics.models.user_moment_calibration import (
    calibrated_user_moments,
    user_moment_options,
)
from qbeconometrics.models.user_moments import UserMoments
from qbeconometrics.results.calibration import LearningRateCalibration
from qbeconometrics.sampling.progress import ProgressDisplay
from qbeconometrics.sampling.seeds import spawn_seeds

FloatArray = NDArray[np.float64]

METHODS = ("weighted-particles", "smc", "resimulate")
# Particles of a random walk are worth about a tenth of as many independent ones; those that the
# tempered sampler moves are nearly independent, so it takes fewer.
SMC_SHARE = 0.5
# Bytes that replications of the rows take at a time.
MEMORY_LIMIT = 2**28


def calibrate_learning_rate(
    model: LinearMomentsModel | ProjectionModel | UserMoments,
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
    fit_kwds: Mapping[str, Any] | None = None,
    recentre: bool = False,
    memory_limit: int | None = None,
    rng: Any = None,
    executor: Executor | None = None,
    progressbar: bool | None = None,
    **unknown: Any,
) -> LearningRateCalibration:
    """Find the learning rate at which credible regions cover as often as they claim.

    Regions of bootstrap replications of the data are to cover the estimate from the data, following
    the idea of Syring and Martin (2019, Biometrika 106, 479-486). What is new is how little
    simulation that takes: "weighted-particles" follows Tanaka (arXiv 2405.04845) and "smc" Tanaka
    (arXiv 2404.16528); the details are ours, built from their abstracts.

    Parameters
    ----------
    model : QuasiBayesM, QuasiBayesIV, QuasiBayesGMM or QuasiBayesLP
        A QuasiBayesM has ``posterior="gibbs"``. Models of linear moments need their rows.
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
        How replications are drawn; default "cluster" if `groups` is given, else "pairs". For
        moments it follows `cov_type`, and has to suit it: "cluster" draws the clusters of
        `cov_kwds`, "HAC" takes "moving-block" (default) or "stationary". So do local projections
        whatever their covariance: their rows depend over time and overlap.
    replications, particles : int
        200 replications leave a standard error of some 10 % of the learning rate.
    groups : str, Series or array_like, shape (n,), optional
        Clusters, as in ``cov_kwds`` of ``QuasiBayesIV.fit``.
    block_length : int, optional
        Rows a block; required for "moving-block" and "stationary", but with ``cov_type="HAC"``,
        where it is by default the number of lags, or the bandwidth of "andrews", and one. For local
        projections at least the last horizon and one, which is the default unless lags are more.
    start : float, optional
        Learning rate to simulate at first; default the information-matching one, for the
        joint regions of moments the one that matches the mean criterion. Not used by "smc".
    fit_kwds : dict, optional
        For moments, options of the fit that the rate is for: "quasi_likelihood", "cov_type",
        "cov_kwds" and "weight_matrix", with the defaults of ``QuasiBayesIV.fit``; for local
        projections "cov_type" and "cov_kwds", with those of ``QuasiBayesLP.fit``.
    recentre : bool
        For moments, whether replications have their mean at the estimate taken off. The rate is
        then right only for moments that hold; without, regions cover the pseudo-true value where
        they do not.
    memory_limit : int, optional
        For moments, bytes that the replications of the rows may take at a time, and for moments
        that you wrote the losses of all positions; default 2**28.
    rng : int, SeedSequence, BitGenerator, Generator or None
    executor : concurrent.futures.Executor, optional
        Works on the replications; the result does not depend on it. Moments with a fixed weight
        and a normal or flat prior need no sampling, and do not use it; nor do moments that you
        wrote.
    progressbar : bool, optional
        Replications done: True always, False never, None where stderr is a terminal and it takes
        longer than a second. Moments that you wrote show none.

    Returns
    -------
    LearningRateCalibration

    Raises
    ------
    OptionError
    NumericalError
        If the loss has no curvature at its minimum, nearly all replications are collinear, or the
        replications of moments that you wrote lie too far apart.

    Notes
    -----
    For moments the loss is (n/2) g'Wg with g the mean moment. In each replication first step, W and
    S are computed anew, with a row that is drawn twice counted twice. The rate multiplies this
    quadratic form alone; determinant and prior are left as they are. With a fixed weight and a
    normal or flat prior replications are normal laws, so that particles are exact and independent;
    else they come from random walks. Absorbed fixed effects and clusters of two ways are refused.

    Of local projections the rows of the stacked sample are drawn, one for all responses and
    horizons, and in each replication controls are partialled out anew. With ``cov_type="HAC"`` S is
    a mean over blocks, of which there must be twice as many as moments. Refused are sampled
    smoothing parameters, ``quasi_likelihood="cue"``, ``weight_iterations`` beyond 1 and
    ``partial_out=False``.

    Moments that you wrote are evaluated once at each position of a cloud that all replications
    share, from Student-t laws about their linearised minima, and the particles of a replication are
    resampled from it by importance weights (ours). The cloud grows until the median replication
    has 200 effective positions; ``ess`` counts them. A position where a moment of any row is not
    finite has no weight. Modes far from the estimate are not looked for. Their minima come from
    derivatives by differences, since ``jac`` is of the mean over all rows; under
    ``cov_type="HAC"`` only "two-step" is calibrated.

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

    Moments of which identity weighting makes inefficient use:

    >>> data = qb.datasets.load("card1995")
    >>> model = qb.QuasiBayesIV.from_formula(
    ...     "lwage ~ exper + black + [educ ~ nearc4 + nearc2]", data, prior=qb.priors.Flat()
    ... )
    >>> cal = qb.calibrate_learning_rate(model, fit_kwds={"quasi_likelihood": "two-step"}, rng=0)
    >>> cal.status, cal.passes
    ('converged', 1)

    Local projections:

    >>> import numpy as np
    >>> shock = np.random.default_rng(0).standard_normal(200)
    >>> y = np.convolve(shock, [1.0, 0.5, 0.25])[:200]
    >>> y = y + np.random.default_rng(1).standard_normal(200)
    >>> model = qb.QuasiBayesLP(y, shock, horizon=3, lags=1, prior=qb.priors.Flat())
    >>> cal = qb.calibrate_learning_rate(model, rng=0)
    >>> cal.status, cal.bootstrap
    ('converged', 'moving-block')
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
    bootstraps = BootstrapArguments(bootstrap, groups, block_length, replications, weighting)
    if isinstance(model, LossPosteriors):
        refuse_q_posterior(model)
        _refuse_moment_options(fit_kwds, recentre, memory_limit)
        calibrated = calibrated_loss(
            model,
            bootstraps.draw(model),
            region=region,
            functional=functional,
            executor=executor,
        )
    else:
        limit = MEMORY_LIMIT
        if memory_limit is not None:
            limit = whole_number(memory_limit, "memory_limit", minimum=1)
        about: dict[str, Any] = {"region": region, "functional": functional}
        about |= {"recentre": recentre, "memory_limit": limit}
        given = fit_kwds or {}
        if isinstance(model, UserMoments):
            options = user_moment_options(model, given)
            calibrated = calibrated_user_moments(model, options, bootstraps, **about)
        elif isinstance(model, ProjectionModel):
            rule = projection_options(model, given)
            calibrated = calibrated_projections(model, rule, bootstraps, **about)
        else:
            options = moment_options(model, given)
            calibrated = calibrated_moments(model, options, bootstraps, executor=executor, **about)
    problem = calibrated.problem
    curve = coverage_curve(problem, region, alpha)
    # The interval of one coefficient takes a rate like its own; a joint region that of them all.
    begin = start or (problem.information_rate if region == "marginal" else problem.typical_rate)
    with ProgressDisplay(None, progressbar, "calibration", unit="replication") as progress:
        if isinstance(problem, LossProblem | SampledMomentProblem):
            problem = replace(problem, progress=progress)
        if method == "smc":
            search = tempered(problem, curve, moving, max(100, int(SMC_SHARE * particles)))
        elif method == "resimulate":
            search = resimulated(problem, curve, begin, moving, particles)
        else:
            search = weighted_particles(problem, curve, begin, moving, particles)
    return calibration_report(calibrated, curve, search, method)


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
    "fit_kwds",
    "recentre",
    "memory_limit",
    "rng",
    "executor",
    "progressbar",
)


def _check_model(model: object) -> None:
    if not isinstance(model, (LinearMomentsModel, ProjectionModel, UserMoments)):
        raise OptionError(
            "a learning rate is calibrated for QuasiBayesM, QuasiBayesIV, QuasiBayesGMM and "
            f"QuasiBayesLP, not for {type(model).__name__}"
        )


def _refuse_moment_options(fit_kwds: object, recentre: bool, memory_limit: object) -> None:
    if fit_kwds or recentre or memory_limit is not None:
        raise OptionError(
            "fit_kwds, recentre and memory_limit are for moments: a loss has nothing that they "
            "could be about"
        )


def _level(alpha: object) -> float:
    if isinstance(alpha, (int, float, np.number)) and 0.0 < float(alpha) < 1.0:
        return float(alpha)
    raise OptionError(f"alpha={alpha!r} must be a number between 0 and 1")
