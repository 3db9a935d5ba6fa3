"""The Gibbs posterior of a loss as a problem of calibration."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.calibration.loss_problem import LossProblem
from qbeconometrics.calibration.replications import Bootstrap
from qbeconometrics.exceptions import OptionError
from qbeconometrics.models.calibrated_region import Functional, scaled_functional
from qbeconometrics.models.calibration_report import Calibrated
from qbeconometrics.models.loss_posteriors import LossPosteriors
from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.posterior.gibbs import curvature_surrogate
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
    """Return the replications of the Gibbs posterior of a model."""
    problem, root = loss_problem(model, drawn.weights(slice(None)))
    values = scaled_functional(functional, region, model.exog_names, model._estimate[0], root)
    return Calibrated(
        replace(problem, executor=executor, functional=values),
        root,
        model.exog_names,
        loss=f"{model.loss.label}: {model.loss.formula}",
        bootstrap=drawn.kind,
        remedy=LOSS_REMEDY,
    )


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
