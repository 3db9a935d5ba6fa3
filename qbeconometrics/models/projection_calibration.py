"""The quasi-posterior of local projections as a problem of calibration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.calibration.moment_problem import MomentProblem
from qbeconometrics.calibration.replicated_projections import (
    ProjectionRows,
    projection_criteria,
    shared_rows,
)
from qbeconometrics.calibration.replications import Bootstrap
from qbeconometrics.exceptions import OptionError, check_choice, refuse_unknown_keywords
from qbeconometrics.models.bootstrap_arguments import BootstrapArguments, lags_in_use
from qbeconometrics.models.calibrated_region import Functional, scaled_functional
from qbeconometrics.models.calibration_report import Calibrated, missing_replications
from qbeconometrics.models.fit_options import whole_number
from qbeconometrics.models.lp_arguments import QUASI_LIKELIHOODS
from qbeconometrics.models.lp_fit import ProjectionPosterior
from qbeconometrics.models.lp_model import ProjectionModel
from qbeconometrics.moments.projection import LongRunRule, check_rank_of_scores, score_covariance
from qbeconometrics.posterior.smoothing import fixed_prior_rows

FloatArray = NDArray[np.float64]

# Blocks for each moment: with fewer, S of a replication is so noisy that its inverse is on average
# more than twice too large.
FEWEST_BLOCKS = 2

FIT_OPTIONS = ("quasi_likelihood", "cov_type", "cov_kwds", "weight_iterations")


def projection_options(model: ProjectionModel, fit_kwds: Mapping[str, Any]) -> LongRunRule:
    """Check `fit_kwds` for local projections, and return the covariance of the fit.

    Raises
    ------
    OptionError
        If the quasi-posterior is none whose learning rate can be calibrated; it says what can.
    """
    refuse_unknown_keywords(fit_kwds, FIT_OPTIONS, "fit_kwds")
    name = fit_kwds.get("quasi_likelihood")
    name = "two-step" if name is None else check_choice(name, QUASI_LIKELIHOODS, "quasi_likelihood")
    if name != "two-step":
        raise OptionError(
            f"the learning rate of local projections is calibrated for a fixed weight, not for "
            f"quasi_likelihood={name!r}: use 'two-step' (the default)"
        )
    if whole_number(fit_kwds.get("weight_iterations", 1), "weight_iterations", minimum=1) > 1:
        raise OptionError(
            "a learning rate is calibrated with weight_iterations=1: beyond the first the weight "
            "depends on the posterior mean, and so on the rate itself"
        )
    if not model.partial_out:
        raise OptionError(
            "a learning rate is calibrated with partial_out=True (the default); the responses are "
            "the same, without the coefficients of the controls"
        )
    return model._rule(fit_kwds.get("cov_type"), fit_kwds.get("cov_kwds"))


def calibrated_projections(
    model: ProjectionModel,
    rule: LongRunRule,
    bootstrap: BootstrapArguments,
    *,
    region: str,
    functional: Functional | None,
    recentre: bool,
    memory_limit: int,
) -> Calibrated:
    """Return the replications of the quasi-posterior of local projections.

    Raises
    ------
    NumericalError
        If S is singular, or nearly no replication has an estimate.
    OptionError
        If the prior has a smoothing parameter that is sampled, or a response whose interval is to
        cover is known without error, or blocks are too few for S.
    """
    lags = lags_in_use(rule.options) if rule.cov_type == "HAC" else 0
    drawn = bootstrap.draw_in_time(model.moments.nobs, model.design.horizons[-1], lags)
    posterior = model._posterior(rule, 1.0, 1)
    if posterior.law is None:
        raise OptionError(
            "a learning rate is not calibrated with a smoothing parameter that is sampled, which "
            "would have to be sampled in each replication: fix it, as in "
            "priors.Smoothness(smoothing=10), or use a Normal or Flat prior"
        )
    _refuse_few_blocks(model, rule, drawn)
    _refuse_known_response(model, functional)
    layout, law = model.layout, posterior.flat
    estimate = np.empty(len(layout.names))
    estimate[layout.places()] = model.moments.estimate
    estimate[layout.active] = law.mean
    root = law.covariance_root
    given, product = rows_at(model, rule, estimate, root, recentre)
    criteria = projection_criteria(given, drawn, memory_limit)
    precision, mean = _scaled_prior(posterior, root)
    whole = np.zeros((len(estimate), len(root)))
    whole[layout.active] = root
    problem = MomentProblem(
        criteria.curvature,
        criteria.minimiser,
        product,
        precision,
        mean,
        scaled_functional(functional, region, layout.names, estimate, whole),
    )
    recentred = ", recentred" if recentre else ""
    remedy = "Use fewer horizons, controls or instruments."
    return Calibrated(
        problem,
        root,
        [name for name, on in zip(layout.names, layout.active, strict=True) if on],
        loss=f"projections: (n/2) g'Wg, two-step W, cov_type {rule.cov_type}{recentred}",
        bootstrap=drawn.kind,
        remedy='region="marginal" calibrates one of them.',
        missing=missing_replications(
            drawn.replications,
            problem.replications,
            "controls, instruments or moments are collinear",
            remedy,
        ),
        remedy_of_missing=remedy,
    )


def rows_at(
    model: ProjectionModel,
    rule: LongRunRule,
    estimate: FloatArray,
    root: FloatArray,
    recentre: bool,
) -> tuple[ProjectionRows, FloatArray]:
    """Rows with the estimate as origin, and the covariance of the criterion's gradient there."""
    moments, layout = model.moments, model.layout
    blocks = np.flatnonzero(~moments.degenerate)
    places, L = layout.places(), moments.cross.shape[1]
    chosen = (blocks[:, None] * L + np.arange(L)).ravel()
    covariance = score_covariance(moments, rule)
    origin = estimate[places]
    first, here = (
        covariance.at(deviations)[np.ix_(chosen, chosen)]
        for deviations in (np.zeros_like(origin), origin - moments.estimate)
    )
    factor = check_rank_of_scores(first, moments.nobs, "local projections")
    mean = moments.cross - np.einsum("blp,bp->bl", moments.jacobian, origin)
    given = ProjectionRows(
        shared_rows(model.design, blocks),
        moments.nobs,
        rule,
        moments.n_regressors,
        (np.cumsum(layout.active) - 1)[places[blocks]],
        origin[blocks],
        mean[blocks] if recentre else np.zeros((len(blocks), L)),
        np.asarray(np.linalg.inv(factor), dtype=np.float64),
        root,
    )
    slopes = given.moment_map @ given.stacked(moments.jacobian[blocks]) @ root
    own = given.moment_map @ here @ given.moment_map.T
    return given, moments.nobs * slopes.T @ own @ slopes


def _scaled_prior(
    posterior: ProjectionPosterior, root: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Precision and mean of the prior of x, where coefficients are estimate + root x.

    The prior is that of the data in all replications.
    """
    rows, target = fixed_prior_rows(posterior.prior, len(root))
    target = target - rows @ posterior.flat.mean
    rows = rows @ root
    return rows.T @ rows, np.asarray(np.linalg.lstsq(rows, target)[0])


def _refuse_few_blocks(model: ProjectionModel, rule: LongRunRule, drawn: Bootstrap) -> None:
    """Refuse blocks whose sums say too little about the covariance of the moments."""
    if rule.cov_type != "HAC":
        return
    blocks = -(-drawn.n // drawn.block_length)  # on average of "stationary"
    moments = int((~model.moments.degenerate).sum()) * model.moments.cross.shape[1]
    least = FEWEST_BLOCKS * moments + rule.centered
    if blocks < least:
        raise OptionError(
            f"with cov_type='HAC' S of a replication is a mean over blocks, and {blocks} blocks of "
            f"{drawn.block_length} rows are too few for {moments} moments: {least} are needed. Use "
            "fewer horizons, responses or instruments, or lag augmentation with cov_type='HC1'"
        )


def _refuse_known_response(model: ProjectionModel, functional: Functional | None) -> None:
    names, active = model.layout.names, model.layout.active
    if isinstance(functional, str) and functional in [
        name for name, on in zip(names, active, strict=True) if not on
    ]:
        raise OptionError(
            f"functional={functional!r} is known without error, so that its interval is a point at "
            "any learning rate: name another response"
        )
