"""From a fit of user-written moments to what the reader is handed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qbeconometrics.models.row_weights import Dependence
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.posterior.nonlinear import NonlinearPosterior, nonlinear_moments_exist
from qbeconometrics.posterior.prior_marginals import prior_marginals
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.sampling.options import SampleOptions
from qbeconometrics.sampling.run import Sample

if TYPE_CHECKING:
    from qbeconometrics.models.gmm import QuasiBayesGMM


def gmm_record(
    model: QuasiBayesGMM,
    posterior: NonlinearPosterior,
    drawn: Sample,
    options: SampleOptions,
    *,
    rule: CovarianceRule,
    dependence: Dependence | None,
    quasi_likelihood: str,
    learning_rate: float,
    notes: list[str],
) -> FitRecord:
    """Collect draws, modes and names of one fit."""
    basis = posterior.basis
    root = basis.regressor_map @ drawn.surrogate.root
    chosen: dict[str, Any] = {} if dependence is None else dependence.options
    noted = () if dependence is None or not dependence.note else (dependence.note,)
    modes = np.array([mode.point for mode in posterior.modes])
    return FitRecord(
        draws=basis.to_params(drawn.draws),
        log_density=drawn.log_density,
        param_names=tuple(model.exog_names),
        endog_name=model.arrays.endog_name,
        model_name=type(model).__name__,
        formula=None,
        nobs=model.nobs,
        n_dropped=model.n_dropped,
        instrument_names=(),
        endogenous_names=(),
        mode=basis.to_params(drawn.mode.point),
        exact_mean=None,
        exact_cov=None,
        moments_exist=nonlinear_moments_exist(model.prior, quasi_likelihood),
        quasi_likelihood=quasi_likelihood,
        cov_type=rule.cov_type,
        cov_kwds={"centered": rule.centered, **chosen},
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
        notes=(*drawn.notes, *noted, *notes),
        n_moments=posterior.size.m,
        modes=basis.to_params(modes),
        mode_log_density=np.array([mode.log_density for mode in posterior.modes]),
        mode_cov=root @ root.T,
    )
