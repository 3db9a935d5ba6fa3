"""Fits of laws of orthonormal matrices with a few numbers beside them: chains, and their record."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from qbeconometrics.exceptions import InterruptedWarning
from qbeconometrics.kernels._density import CompiledDensity
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.sampling.nuts import DensitySample, sample_density
from qbeconometrics.sampling.options import whole_number
from qbeconometrics.sampling.seeds import spawn_seeds
from qbeconometrics.stiefel.base import Chart
from qbeconometrics.stiefel.checks import FloatArray


class Law(Protocol):
    """A density in the coordinates of a chart and of what stands beside the matrix."""

    def chart(self, parameterization: str) -> Chart: ...

    def density(self, chart: Chart) -> CompiledDensity: ...

    def start(self, chart: Chart, rng: np.random.Generator) -> FloatArray: ...


@dataclass(frozen=True, slots=True)
class LawOptions:
    """Options of a fit, as the user gave them."""

    draws: int
    tune: int
    chains: int
    cores: int | None
    parameterization: str
    target_accept: float
    max_depth: int
    progressbar: bool | None

    @property
    def settings(self) -> dict[str, Any]:
        """What a record says of them."""
        return {
            "parameterization": self.parameterization,
            "target_accept": float(self.target_accept),
            "max_depth": int(self.max_depth),
        }


def sample_law(
    law: Law, options: LawOptions, rng: Any, stacklevel: int = 3
) -> tuple[Chart, DensitySample, float]:
    """Draw from a law, each chain with a start and a density of its own.

    Returns
    -------
    chart : Chart
    sample : DensitySample
    seconds : float

    Raises
    ------
    OptionError

    Warns
    -----
    InterruptedWarning
        If Ctrl-C came; `stacklevel` as in ``warnings.warn``.
    """
    chart = law.chart(options.parameterization)
    chains = whole_number(options.chains, "chains", minimum=1)
    began = time.perf_counter()
    *seeds, of_chains = spawn_seeds(rng, chains + 1)
    sample = sample_density(
        [law.density(chart) for _ in range(chains)],
        options.draws,
        options.tune,
        chains,
        of_chains,
        [law.start(chart, np.random.default_rng(seed)) for seed in seeds],
        target_accept=options.target_accept,
        max_depth=options.max_depth,
        cores=options.cores,
        progressbar=options.progressbar,
    )
    if sample.interrupted:
        warnings.warn(
            f"interrupted: kept {sample.draws.shape[1]} of {options.draws} draws a chain",
            InterruptedWarning,
            stacklevel=stacklevel,
        )
    return chart, sample, time.perf_counter() - began


def law_record(
    model: Any,
    numbers: FloatArray,
    log_density: FloatArray,
    sample: DensitySample,
    options: LawOptions,
    seconds: float,
    *,
    nobs: int,
    n_dropped: int,
    prior: str,
) -> FitRecord:
    """Return the record of a fit by a likelihood.

    `model` has `exog_names`, the names of `numbers` (chains, draws, names), which become read-only.
    """
    numbers.flags.writeable = False
    statistics = sample.statistics
    gradients = statistics["gradients"].sum(axis=1)
    return FitRecord(
        draws=numbers,
        log_density=log_density,
        param_names=tuple(model.exog_names),
        endog_name=model.endog_names,
        model_name=type(model).__name__,
        formula=None,
        nobs=nobs,
        n_dropped=n_dropped,
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
        prior=(prior,),
        sampler="nuts",
        sampler_reason="",
        sampler_settings=options.settings,
        sampler_stats={
            "acceptance_rate": statistics["acceptance"].mean(axis=1),
            "step": statistics["step"][:, -1],
            "divergent": statistics["divergent"].sum(axis=1),
            "nonfinite": statistics["nonfinite"].sum(axis=1),
            "gradients": gradients,
            "evaluations": gradients,
            "warm_up_gradients": sample.warm_up_gradients,
            "seconds": seconds,
        },
        draws_requested=int(options.draws),
        tune=int(options.tune),
        interrupted=sample.interrupted,
        notes=(),
    )
