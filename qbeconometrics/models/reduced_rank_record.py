"""From draws without units to the results of a reduced-rank regression."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import InterruptedWarning
from qbeconometrics.models.reduced_rank_fit import ReducedRankSample, SpaceOptions, SystemFit
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.reduced_rank_record import ReducedRankRecord
from qbeconometrics.results.reduced_rank_results import ReducedRankResults

if TYPE_CHECKING:
    from qbeconometrics.models.reduced_rank import QuasiBayesReducedRank

FloatArray = NDArray[np.float64]


def reduced_rank_results(
    model: QuasiBayesReducedRank,
    weighted: SystemFit,
    drawn: ReducedRankSample,
    *,
    rule: CovarianceRule,
    quasi_likelihood: str,
    learning_rate: float,
    options: SpaceOptions,
) -> ReducedRankResults:
    """Put draws into the units of the data, and join them with names and sentences."""
    design, system = model.design, model._system
    C = drawn.loadings @ drawn.spaces.swapaxes(-1, -2)
    names = tuple(model.param_names)
    params = _in_order(*system.in_units(C, drawn.controls))
    params.flags.writeable = False
    if drawn.interrupted:
        warnings.warn(
            f"interrupted: kept {params.shape[1]} of {options.draws} draws a chain",
            InterruptedWarning,
            stacklevel=3,
        )
    scale = f"{model.prior_scale:g} sd(y)/sd(x)"
    record = FitRecord(
        draws=params,
        log_density=None,
        param_names=names,
        endog_name=model.endog_names,
        model_name=type(model).__name__,
        formula=getattr(model, "formula", None),
        nobs=design.nobs,
        n_dropped=model.n_dropped,
        instrument_names=(),
        endogenous_names=(),
        mode=_in_order(*system.in_units(*drawn.mode)),
        exact_mean=None,
        exact_cov=None,
        moments_exist=(True, True),
        quasi_likelihood=quasi_likelihood,
        cov_type=rule.cov_type,
        cov_kwds={"centered": rule.centered, **weighted.options},
        learning_rate=learning_rate,
        prior=(
            f"uniform space: B uniform for regressors divided by their sd, A given B normal, so "
            f"that each coefficient has the sd {scale}; controls flat",
        ),
        sampler="nuts",
        sampler_reason=(
            f"row spaces in {options.parameterization} coordinates; loadings and controls are "
            "drawn exactly given the space"
        ),
        sampler_settings={"parameterization": options.parameterization, **options.sampler_kwds},
        sampler_stats=drawn.stats,
        draws_requested=options.draws,
        tune=options.tune,
        interrupted=drawn.interrupted,
        notes=weighted.notes,
        n_moments=len(names),
    )
    spaces = ReducedRankRecord(
        outcomes=design.endog_names,
        regressors=design.exog_names,
        controls=design.control_names,
        rank=model.rank,
        exog_sds=system.exog_sds,
        endog_sds=system.endog_sds,
        spaces=drawn.spaces,
        loadings=drawn.loadings,
    )
    return model.results_class(model, record, spaces)


def _in_order(C: FloatArray, D: FloatArray) -> FloatArray:
    """Coefficients outcome by outcome, controls first; shape (..., m (k + q))."""
    joined = np.concatenate([D, C], axis=-1)
    return np.ascontiguousarray(joined.reshape(*joined.shape[:-2], -1))
