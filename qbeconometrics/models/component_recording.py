"""From a fit of principal components to what the reader is handed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qbeconometrics.models.sampled_laws import LawOptions, law_record
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
    options: LawOptions,
    seconds: float,
) -> tuple[FitRecord, ComponentRecord]:
    """Collect draws, names and statistics of one fit."""
    found = unpack_components(chart, sample.draws, model._law.scale)
    found.vectors.flags.writeable = False
    common = np.sum(found.lengths**2, axis=-1)
    share = common / (common + chart.p * found.noise**2)
    record = law_record(
        model,
        np.concatenate([found.lengths, (found.noise**2)[..., None], share[..., None]], axis=-1),
        log_density_of_matrices(chart, sample.draws, sample.statistics["log_density"]),
        sample,
        options,
        seconds,
        nobs=model.nobs,
        n_dropped=model.n_dropped,
        prior=f"loadings normal and noise sd half-normal, of sd {model._law.scale:.4g}",
    )
    return record, ComponentRecord(found.vectors, found.reference, model.column_names)
