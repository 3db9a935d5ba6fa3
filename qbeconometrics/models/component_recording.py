"""From a fit of principal components to what the reader is handed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qbeconometrics.results.component_record import ComponentRecord
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.sampling.nuts import DensitySample
from qbeconometrics.stiefel.base import Chart
from qbeconometrics.stiefel.components import unpack_components
from qbeconometrics.stiefel.eigenmodel import log_density_of_matrices

if TYPE_CHECKING:
    from qbeconometrics.models.principal_components import ProbabilisticPCA


def component_records(
    model: ProbabilisticPCA,
    chart: Chart,
    sample: DensitySample,
    settings: dict[str, Any],
    draws: int,
    tune: int,
) -> tuple[FitRecord, ComponentRecord]:
    """Collect draws, names and statistics of one fit.

    `settings` are the options of the sampler and its seconds, `draws` and `tune` those asked for.
    """
    law = model._law
    found = unpack_components(chart, sample.draws, law.scale)
    log_density = log_density_of_matrices(chart, sample.draws, sample.statistics["log_density"])
    common = np.sum(found.lengths**2, axis=-1)
    share = common / (common + chart.p * found.noise**2)
    numbers = np.concatenate(
        [found.lengths, (found.noise**2)[..., None], share[..., None]], axis=-1
    )
    for array in (numbers, found.vectors):
        array.flags.writeable = False
    statistics = sample.statistics
    options = {name: value for name, value in settings.items() if name != "seconds"}
    record = FitRecord(
        draws=numbers,
        log_density=log_density,
        param_names=tuple(model.exog_names),
        endog_name=model.endog_names,
        model_name=type(model).__name__,
        formula=None,
        nobs=model.nobs,
        n_dropped=model.n_dropped,
        instrument_names=(),
        endogenous_names=(),
        mode=numbers[np.unravel_index(np.argmax(log_density), log_density.shape)],
        exact_mean=None,
        exact_cov=None,
        moments_exist=(True, True),
        quasi_likelihood="likelihood",
        cov_type="",
        cov_kwds={},
        learning_rate=1.0,
        prior=(f"loadings normal and noise sd half-normal, of sd {law.scale:.4g}",),
        sampler="nuts",
        sampler_reason="",
        sampler_settings=options,
        sampler_stats={
            "acceptance_rate": statistics["acceptance"].mean(axis=1),
            "step": statistics["step"][:, -1],
            "divergent": statistics["divergent"].sum(axis=1),
            "nonfinite": statistics["nonfinite"].sum(axis=1),
            "gradients": statistics["gradients"].sum(axis=1),
            "evaluations": statistics["gradients"].sum(axis=1),
            "warm_up_gradients": sample.warm_up_gradients,
            "seconds": settings["seconds"],
        },
        draws_requested=int(draws),
        tune=int(tune),
        interrupted=sample.interrupted,
        notes=(),
    )
    return record, ComponentRecord(found.vectors, found.reference, model.column_names)
