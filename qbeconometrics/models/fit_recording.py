"""What a fit hands to its results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qbeconometrics.models.row_weights import Dependence
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.posterior.prior_marginals import prior_marginals
from qbeconometrics.posterior.propriety import moments_exist
from qbeconometrics.posterior.quasi_posterior import QuasiPosterior
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.sampling.options import SampleOptions
from qbeconometrics.sampling.run import Sample

if TYPE_CHECKING:
    from qbeconometrics.models.linear_moments import LinearMomentsModel


def record_fit(
    model: LinearMomentsModel,
    posterior: QuasiPosterior,
    drawn: Sample,
    options: SampleOptions,
    *,
    rule: CovarianceRule,
    dependence: Dependence | None,
    quasi_likelihood: str,
    learning_rate: float,
    notes: list[str],
) -> FitRecord:
    """Return draws in the units of the data, with names and sentences, and without rows.

    The sums that J needs and the first stage go along, so that results need no model.
    """
    basis = posterior.basis
    design = model.design
    draws = basis.to_params(drawn.draws)
    draws.flags.writeable = False
    root = basis.regressor_map @ drawn.surrogate.root
    mode_cov = root @ root.T
    exact_mean = exact_cov = None
    if drawn.exact:
        exact_mean, exact_cov = basis.to_params(drawn.surrogate.mean), mode_cov
    cov_kwds: dict[str, Any] = {"centered": rule.centered}
    if dependence is not None:
        cov_kwds.update(dependence.options)
        notes = [*notes, dependence.note] if dependence.note else notes
    weighting, effects = design.weighting, design.effects
    return FitRecord(
        draws=draws,
        log_density=drawn.log_density,
        param_names=design.exog_names,
        endog_name=design.endog_name,
        model_name=type(model).__name__,
        formula=model._recipe.formula if model._recipe else None,
        nobs=design.nobs,
        n_dropped=model.n_dropped,
        instrument_names=design.instrument_names,
        endogenous_names=tuple(model.endogenous_names),
        mode=basis.to_params(drawn.mode.point),
        exact_mean=exact_mean,
        exact_cov=exact_cov,
        moments_exist=moments_exist(
            model.prior,
            quasi_likelihood=quasi_likelihood,
            k=posterior.size.k,
            m=posterior.size.m,
        ),
        quasi_likelihood=quasi_likelihood,
        cov_type=rule.cov_type,
        cov_kwds=cov_kwds,
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
        notes=tuple(notes),
        moments=posterior.moments,
        strength=model._strength(rule, dependence),
        mode_cov=mode_cov,
        weights=f"{weighting.kind} ({weighting.name})" if weighting else "",
        absorbed=effects.description if effects else "",
        df_absorbed=design.df_absorbed,
    )
