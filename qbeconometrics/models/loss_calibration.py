"""The Gibbs posterior of a loss as a problem of calibration."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.calibration.loss_problem import LossProblem
from qbeconometrics.calibration.replicated_moments import is_definite
from qbeconometrics.calibration.replications import Bootstrap
from qbeconometrics.exceptions import NumericalError, OptionError
from qbeconometrics.models.calibrated_region import Functional, scaled_functional
from qbeconometrics.models.calibration_report import Calibrated, missing_replications
from qbeconometrics.models.loss_posteriors import LossPosteriors
from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.posterior.gibbs import curvature_surrogate
from qbeconometrics.posterior.loss_propriety import separating_columns
from qbeconometrics.posterior.quasi_posterior import scale_prior
from qbeconometrics.posterior.resolved_prior import no_prior
from qbeconometrics.posterior.risk_target import RiskTarget
from qbeconometrics.results.implied_rates import LOSS_REMEDY

FloatArray = NDArray[np.float64]


def refuse_q_posterior(model: LossPosteriors) -> None:
    """Raise `OptionError` unless the model has a Gibbs posterior."""
    if model.posterior != "gibbs":
        raise OptionError(
            "a Q-posterior has no learning rate to calibrate; build the model with "
            'posterior="gibbs"'
        )


def calibrated_loss(
    model: LossPosteriors,
    drawn: Bootstrap,
    *,
    region: str,
    functional: Functional | None,
    executor: Executor | None,
) -> Calibrated:
    """Return the replications of the Gibbs posterior of a model that have one.

    Raises
    ------
    NumericalError
        If nearly none has, or the scores vanish.
    """
    weights = drawn.weights(slice(None))
    usable = _with_posterior(model, weights)
    missing = missing_replications(
        len(weights), int(usable.sum()), "columns are collinear, or the outcome is separated,"
    )
    problem, root = loss_problem(model, weights[usable])
    if not is_definite(problem.score_product[None])[0]:
        raise NumericalError(
            f"the scores of the loss {model.loss.label!r} vanish in some direction at its minimum. "
            "A perfect fit leaves nothing to calibrate; and of a loss that is flat but for jumps, "
            "such as zero-one loss, the bootstrap is not consistent (Abrevaya and Huang 2005, "
            "Econometrica 73, 1175-1204): smooth it"
        )
    values = scaled_functional(functional, region, model.exog_names, model._estimate[0], root)
    return Calibrated(
        replace(problem, executor=executor, functional=values),
        root,
        model.exog_names,
        loss=f"{model.loss.label}: {model.loss.formula}",
        bootstrap=drawn.kind,
        remedy=LOSS_REMEDY,
        missing=missing,
    )


def _with_posterior(model: LossPosteriors, weights: FloatArray) -> NDArray[np.bool_]:
    """Return which replications (B,) have a proper posterior.

    Under a flat prior the rows that were drawn must span all columns, and the loss must not sink
    for ever along any direction, as that of a separated binary outcome does.
    """
    found = np.ones(len(weights), dtype=bool)
    if model.prior.is_proper:
        return found
    design = model.design
    white = design.exog @ model._basis.regressor_map
    for b, own in enumerate(weights):
        drawn = own > 0.0
        if not drawn.all():
            rows = white[drawn]
            found[b] = is_definite((rows.T @ rows)[None])[0] and not separating_columns(
                model.loss, design.endog[drawn], design.exog[drawn], design.exog_names
            )
    return found


def loss_problem(model: LossPosteriors, weights: FloatArray) -> tuple[LossProblem, FloatArray]:
    """Return replications by the weights (B, n) of rows, and R (k, k) of theta = estimate + R x."""
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
    problem = LossProblem(
        model.loss,
        design.endog,
        design.exog @ estimate,
        np.ascontiguousarray((design.exog @ root).T),
        np.ascontiguousarray(prior.precision),
        prior.mean,
        tuple(np.ascontiguousarray(part) for part in student),  # type: ignore[arg-type]
        weights,
    )
    return problem, root
