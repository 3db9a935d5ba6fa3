"""From a fit of a network eigenmodel to what the reader is handed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.network_record import NetworkRecord
from qbeconometrics.sampling.nuts import DensitySample
from qbeconometrics.stiefel.base import Chart
from qbeconometrics.stiefel.eigenmodel import log_density_of_matrices, unpack

if TYPE_CHECKING:
    from qbeconometrics.models.network import NetworkEigenmodel


def network_records(
    model: NetworkEigenmodel,
    chart: Chart,
    sample: DensitySample,
    parameterization: str,
    settings: dict[str, Any],
    draws: int,
    tune: int,
    seconds: float,
) -> tuple[FitRecord, NetworkRecord]:
    """Collect draws, names and statistics of one fit.

    `settings` are the options of the sampler, `draws` and `tune` those asked for.
    """
    law = model._law
    found = unpack(chart, sample.draws, law.eigenvalue_scale)
    log_density = log_density_of_matrices(chart, sample.draws, sample.statistics["log_density"])
    numbers = np.concatenate([found.eigenvalues, found.intercept[..., None]], axis=-1)
    for array in (numbers, found.vectors):
        array.flags.writeable = False
    statistics = sample.statistics
    p = len(law.links)
    record = FitRecord(
        draws=numbers,
        log_density=log_density,
        param_names=tuple(model.exog_names),
        endog_name=model.endog_names,
        model_name=type(model).__name__,
        formula=None,
        nobs=p * (p - 1) // 2,
        n_dropped=0,
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
        prior=(
            f"Q uniform, eigenvalues normal(0, {law.eigenvalue_scale**2:.0f}), intercept "
            f"normal(0, {law.intercept_scale**2:.0f}), these being variances",
        ),
        sampler="nuts",
        sampler_reason="",
        sampler_settings={"parameterization": parameterization, **settings},
        sampler_stats={
            "acceptance_rate": statistics["acceptance"].mean(axis=1),
            "step": statistics["step"][:, -1],
            "divergent": statistics["divergent"].sum(axis=1),
            "nonfinite": statistics["nonfinite"].sum(axis=1),
            "gradients": statistics["gradients"].sum(axis=1),
            "evaluations": statistics["gradients"].sum(axis=1),
            "warm_up_gradients": sample.warm_up_gradients,
            "seconds": seconds,
        },
        draws_requested=int(draws),
        tune=int(tune),
        interrupted=sample.interrupted,
        notes=(),
    )
    network = NetworkRecord(
        vectors=found.vectors,
        reference=found.reference,
        node_names=model.node_names,
        links=law.links[np.triu_indices(p, 1)],
        parameterization=parameterization,
    )
    return record, network
