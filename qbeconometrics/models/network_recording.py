"""From a fit of a network eigenmodel to what the reader is handed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qbeconometrics.models.sampled_laws import LawOptions, law_record
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
    options: LawOptions,
    seconds: float,
) -> tuple[FitRecord, NetworkRecord]:
    """Collect draws, names and statistics of one fit."""
    law = model._law
    found = unpack(chart, sample.draws, law.eigenvalue_scale)
    found.vectors.flags.writeable = False
    pairs = np.triu_indices(len(law.links), 1)
    record = law_record(
        model,
        np.concatenate([found.eigenvalues, found.intercept[..., None]], axis=-1),
        log_density_of_matrices(chart, sample.draws, sample.statistics["log_density"]),
        sample,
        options,
        seconds,
        nobs=len(pairs[0]),
        n_dropped=0,
        prior=(
            f"Q uniform, eigenvalues normal(0, {law.eigenvalue_scale**2:.0f}), intercept "
            f"normal(0, {law.intercept_scale**2:.0f}), these being variances"
        ),
    )
    network = NetworkRecord(
        vectors=found.vectors,
        reference=found.reference,
        node_names=model.node_names,
        links=law.links[pairs],
        parameterization=options.parameterization,
    )
    return record, network
