"""From a fit of a loss to what the reader is handed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qbeconometrics.losses import Loss
from qbeconometrics.models.fit_notes import tail_notes, width_notes
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.posterior.gibbs import GibbsPosterior
from qbeconometrics.posterior.nonlinear import NonlinearPosterior
from qbeconometrics.posterior.prior_marginals import prior_marginals
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.sampling.options import SampleOptions
from qbeconometrics.sampling.run import Sample

if TYPE_CHECKING:
    from qbeconometrics.models.m_estimation import QuasiBayesM

# With scores that grow without bound a fixed weight leaves nothing far from the mode.
TWO_STEP = "Tighten the prior, or use quasi_likelihood='two-step'."


def m_record(
    model: QuasiBayesM,
    posterior: NonlinearPosterior | GibbsPosterior,
    drawn: Sample,
    options: SampleOptions,
    *,
    rule: CovarianceRule | None,
    quasi_likelihood: str,
    learning_rate: float,
    moments_exist: tuple[bool, bool],
) -> FitRecord:
    """Collect draws, mode and names of one fit; `rule` is None for a Gibbs posterior."""
    basis = posterior.basis
    root = basis.regressor_map @ drawn.surrogate.root
    draws = basis.to_params(drawn.draws)
    draws.flags.writeable = False
    remedy = "Tighten the prior." if rule is None or model.loss.bounded_score else TWO_STEP
    tails = tail_notes(drawn, remedy)
    width = width_notes(model.exog_names, posterior, drawn) if rule is not None else []
    return FitRecord(
        draws=draws,
        log_density=drawn.log_density,
        param_names=model.design.exog_names,
        endog_name=model.design.endog_name,
        model_name=type(model).__name__,
        formula=getattr(model, "formula", None),
        nobs=len(model.design.endog),
        n_dropped=model.n_dropped,
        instrument_names=(),
        endogenous_names=(),
        mode=basis.to_params(drawn.mode.point),
        exact_mean=None,
        exact_cov=None,
        moments_exist=moments_exist,
        quasi_likelihood=quasi_likelihood,
        cov_type="" if rule is None else rule.cov_type,
        cov_kwds={} if rule is None else {"centered": rule.centered},
        learning_rate=learning_rate,
        prior=model.prior.description,
        prior_marginals=prior_marginals(model.prior),
        sampler=drawn.sampler,
        sampler_reason=drawn.reason,
        sampler_settings=drawn.settings,
        sampler_stats=drawn.stats,
        draws_requested=options.draws,
        tune=options.tune,
        interrupted=drawn.interrupted,
        notes=(*loss_notes(model.loss, model.posterior), *drawn.notes, *tails, *width),
        mode_cov=root @ root.T,
        loss=model.loss.label,
    )


def relabelled_record(model: QuasiBayesM, record: FitRecord) -> FitRecord:
    """Return the record of a fit with linear moments in the words of a loss."""
    notes = (*loss_notes(model.loss, model.posterior), *record.notes)
    record = replace(record, loss=model.loss.label, notes=notes, instrument_names=())
    if model.posterior == "q":
        return record
    # Two-step moments leave out what does not depend on the parameters.
    design = model.design
    smallest = float(model.loss.value(design.endog, design.exog @ model._basis.centre).sum())
    log_density = record.log_density
    if log_density is not None:
        log_density = log_density - record.learning_rate * smallest
    if record.exact:
        reason = "the squared loss and a normal or flat prior make the posterior exactly normal"
        record = replace(record, sampler_reason=reason)
    return replace(
        record, quasi_likelihood="gibbs", cov_type="", cov_kwds={}, log_density=log_density
    )


def loss_notes(loss: Loss, posterior: str) -> list[str]:
    """Say what the loss is, to what scale the learning rate refers, and what jumps imply."""
    notes = [f"Loss of a row: {loss.formula}."]
    if posterior == "gibbs":
        notes = [
            f"Gibbs posterior: the learning rate multiplies the sum of the losses {loss.formula}. "
            "Intervals are as wide as it makes them; it is not calibrated."
        ]
    elif loss.jumps:
        notes.append(
            "The score is a subgradient with a jump, so the log density is a step function: the "
            "mode is the best point found."
        )
    return notes
