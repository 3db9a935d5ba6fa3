"""From checked data and options of a reduced-rank regression to its law, and to draws from it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import (
    InputError,
    NumericalError,
    OptionError,
    check_choice,
    refuse_unknown_keywords,
)
from qbeconometrics.inputs.system_design import SystemDesign
from qbeconometrics.models.row_weights import Dependence, RowsOfModel, resolve_dependence
from qbeconometrics.models.space_proposal import column_spaces, fitted_proposal
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.row_covariance import row_covariance
from qbeconometrics.moments.system import ScaledSystem
from qbeconometrics.posterior.projection_full import ControlsLaw
from qbeconometrics.posterior.reduced_rank import (
    MomentFit,
    ReducedRankLaw,
    fit_moments,
    split_controls,
)
from qbeconometrics.sampling.nuts import DensitySample, sample_density
from qbeconometrics.sampling.options import whole_number
from qbeconometrics.sampling.seeds import spawn_seeds
from qbeconometrics.stiefel import Chart, rand
from qbeconometrics.stiefel.chart_names import PARAMETERIZATIONS, chart_around
from qbeconometrics.stiefel.subspaces import procrustes

FloatArray = NDArray[np.float64]

SAMPLER_KEYWORDS = ("target_accept", "max_depth", "metric")
# Below this smallest eigenvalue of its correlations, S cannot be inverted to any use.
SMALLEST_EIGENVALUE = 1e-11
# Draws of the unrestricted coefficients that coordinates are centred by.
CENTRE_DRAWS = 1_000
# Centred by a law so much wider, spaces stay away from where the density drops to nothing.
WIDER = 5.0
# Starts near the estimate are this many standard deviations wide.
START_WIDTH = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class SystemFit:
    """The unrestricted fit, seen through the weight of its moments.

    Attributes
    ----------
    fit : MomentFit
        Of C without units.
    controls : ControlsLaw
        Of the coefficients of the controls' basis given C.
    options : dict
        Of the covariance, for the record.
    notes : tuple of str
    """

    fit: MomentFit
    controls: ControlsLaw
    options: dict[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SpaceOptions:
    """Arguments that concern the chains of row spaces.

    Attributes
    ----------
    draws, tune, chains : int
    cores : int or None
    parameterization : str
    sampler_kwds : dict
    progressbar : bool or None
    """

    draws: int
    tune: int
    chains: int
    cores: int | None
    parameterization: str
    sampler_kwds: dict[str, Any]
    progressbar: bool | None


@dataclass(frozen=True, slots=True, eq=False)
class ReducedRankSample:
    """Draws without units.

    Attributes
    ----------
    spaces, loadings : ndarray, shapes (chain, draw, q, r) and (chain, draw, m, r)
    controls : ndarray, shape (chain, draw, m, k)
        Coefficients of the controls' basis.
    mode : tuple of ndarray
        Coefficients (m, q) and (m, k) where the density of the row space was highest.
    stats : dict
        As in a `FitRecord`.
    interrupted : bool
    """

    spaces: FloatArray
    loadings: FloatArray
    controls: FloatArray
    mode: tuple[FloatArray, FloatArray]
    stats: dict[str, Any]
    interrupted: bool


def weighted_system(
    design: SystemDesign,
    system: ScaledSystem,
    rule: CovarianceRule,
    learning_rate: float,
    frame: pd.DataFrame | None = None,
) -> SystemFit:
    """Weigh the moments by the inverse of S at the unrestricted estimate.

    `frame` is the data of a formula, in which groups may be a column.

    Raises
    ------
    InputError, OptionError
        If the rows do not suit the rule.
    NumericalError
        If S is singular.
    """
    estimate = system.estimate()
    moments = system.moments(estimate)
    n, size = moments.shape
    if not rule.is_dependent and rule.cov_type != "nonrobust" and n <= size:
        raise InputError(
            f"There are {n} rows but {size} moments, one for each outcome and regressor: their "
            "covariance would be singular. Use more data, fewer outcomes or regressors, or "
            "cov_type='nonrobust'."
        )
    dependence = _dependence(design, rule, moments, frame)
    covariance = row_covariance(
        rule,
        n=n,
        n_params=system.regressors.shape[1],
        weights=None if dependence is None else dependence.weights,
        instrument=system.regressors,
    )
    S = covariance(moments, moments.mean(axis=0))
    _refuse_singular(S, design)
    whole = fit_moments(
        system.regressors.T @ system.endog / n,
        system.regressors.T @ system.regressors / n,
        np.linalg.inv(S).astype(np.float64),
        n,
        learning_rate,
    )
    fit, controls = split_controls(whole, system.q)
    options = {} if dependence is None else dependence.options
    noted = () if dependence is None or not dependence.note else (dependence.note,)
    return SystemFit(fit, controls, options, noted)


def _dependence(
    design: SystemDesign, rule: CovarianceRule, moments: FloatArray, frame: pd.DataFrame | None
) -> Dependence | None:
    if not rule.is_dependent:
        return None
    n, size = moments.shape
    rows = RowsOfModel(
        n,
        size,
        size,
        labels=design.row_labels,
        kept=design.kept,
        frame=frame,
        first_step="least-squares",
        what_moments="moments, one for each outcome and regressor",
        what_fewer="outcomes or regressors",
    )
    return resolve_dependence(rule, rows, lambda: moments)


def _refuse_singular(S: FloatArray, design: SystemDesign) -> None:
    scale = np.sqrt(np.diag(S))
    names = [
        f"{outcome!r} and {name!r}"
        for outcome in design.endog_names
        for name in (*design.exog_names, *design.control_names)
    ]
    if not np.all(scale > 0.0):
        where = names[int(np.argmin(scale > 0.0))]
        raise NumericalError(
            f"The moment of {where} is zero in every row, so the covariance of the moments is "
            "singular. Remove the regressor that only rows fitted without error have, or use "
            "cov_type='nonrobust'."
        )
    values, vectors = np.linalg.eigh(S / scale / scale[:, None])
    if values[0] < SMALLEST_EIGENVALUE:
        where = names[int(np.abs(vectors[:, 0]).argmax())]
        raise NumericalError(
            "The covariance of the moments is singular or not positive definite, mainly for the "
            f"moment of {where}. Use fewer lags or more clusters, fewer outcomes or regressors, or "
            "cov_type='nonrobust'."
        )


def reduced_rank_law(fit: MomentFit, rank: int, prior_scale: float) -> ReducedRankLaw:
    """Join a fit to the default prior, of which each coefficient has the sd `prior_scale`.

    A row of A has independent elements of variance prior_scale^2 q / r, so that an element of
    A B', B uniform, has the variance prior_scale^2 at every rank.
    """
    m, q = fit.estimate.shape
    return ReducedRankLaw(fit, rank, np.eye(m) * rank / (q * prior_scale**2), np.eye(q))


def space_options(
    *,
    draws: Any,
    tune: Any,
    chains: Any,
    cores: Any,
    parameterization: Any,
    sampler_kwds: Any,
    progressbar: Any,
) -> SpaceOptions:
    """Check what concerns the chains; the sampler checks the values of its keywords.

    Raises
    ------
    OptionError
        Naming the argument.
    """
    if sampler_kwds is not None and not isinstance(sampler_kwds, Mapping):
        raise OptionError(
            f"sampler_kwds must be a dict such as {{'target_accept': 0.9}}, not {sampler_kwds!r}"
        )
    refuse_unknown_keywords(sampler_kwds or {}, SAMPLER_KEYWORDS, "sampler_kwds")
    if progressbar not in (None, True, False):
        raise OptionError(f"progressbar={progressbar!r} must be True, False or None")
    return SpaceOptions(
        draws=whole_number(draws, "draws", minimum=1),
        tune=whole_number(tune, "tune", minimum=0),
        chains=whole_number(chains, "chains", minimum=1),
        cores=None if cores is None else whole_number(cores, "cores", minimum=1),
        parameterization=check_choice(parameterization, PARAMETERIZATIONS, "parameterization"),
        sampler_kwds=dict(sampler_kwds or {}),
        progressbar=progressbar,
    )


def sample_spaces(
    law: ReducedRankLaw, options: SpaceOptions, rng: Any
) -> tuple[FloatArray, DensitySample]:
    """Draw row spaces by NUTS.

    Returns
    -------
    spaces : ndarray, shape (chain, draw, q, r)
    sample : DensitySample
        Of their coordinates.
    """
    first, second, *rest = spawn_seeds(rng, options.chains + 2)
    root = _centre(law, np.random.default_rng(second))
    chart = chart_around(options.parameterization, np.eye(law.shape[1], law.rank))
    starts = _starts(law, root, chart, options.parameterization, rest)
    sample = sample_density(
        [chart.density(law.centered_target(root)) for _ in rest],
        options.draws,
        options.tune,
        options.chains,
        first,
        starts,
        cores=options.cores,
        progressbar=options.progressbar,
        **options.sampler_kwds,
    )
    drawn = np.stack([chart.to_matrix(x) for x in sample.draws.reshape(-1, chart.size)])
    spaces = column_spaces(root @ drawn)
    return spaces.reshape(*sample.draws.shape[:2], law.shape[1], law.rank), sample


def draw_reduced_rank(
    law: ReducedRankLaw, controls: ControlsLaw, options: SpaceOptions, rng: Any
) -> ReducedRankSample:
    """Draw row spaces by NUTS, and loadings and controls given them exactly.

    Raises
    ------
    OptionError, KeyboardInterrupt
    """
    began = time.perf_counter()
    first, last = spawn_seeds(rng, 2)
    spaces, sample = sample_spaces(law, options, first)
    generator = np.random.default_rng(last)
    loadings = law.draw_loadings(spaces, generator)
    m, q = law.shape
    C = loadings @ spaces.swapaxes(-1, -2)
    others = controls.draw(C.reshape(-1, m * q), generator)
    best = spaces.reshape(-1, q, law.rank)[int(np.argmax(log_densities(law, spaces)))]
    at_best = law.loadings_given(best)[0] @ best.T
    return ReducedRankSample(
        spaces,
        loadings,
        others.reshape(*spaces.shape[:2], m, -1),
        (at_best, controls.conditional_mean(at_best.ravel()).reshape(m, -1)),
        _statistics(sample, time.perf_counter() - began),
        sample.interrupted,
    )


def _centre(law: ReducedRankLaw, rng: np.random.Generator) -> FloatArray:
    """Root of the covariance of the central Gaussian law near that of the row space.

    It is fitted to row spaces of draws of the unrestricted C.
    """
    q = law.shape[1]
    if law.rank == q:
        return np.eye(q)
    estimate, root = law.fit.estimate, np.linalg.cholesky(law.fit.precision)
    normal = rng.standard_normal((estimate.size, CENTRE_DRAWS))
    drawn = estimate + np.linalg.solve(root.T, normal).T.reshape(-1, *estimate.shape)
    spaces = np.linalg.svd(drawn, full_matrices=False)[2][:, : law.rank].swapaxes(1, 2)
    values, vectors = np.linalg.eigh(fitted_proposal(spaces).covariance)
    across = q - law.rank
    values[:across] = np.minimum(WIDER**2 * values[:across], values[across])
    return np.asarray(vectors * np.sqrt(values) @ vectors.T)


def _row_space(C: FloatArray, rank: int) -> FloatArray:
    """Leading right singular vectors (q, r) of C (m, q)."""
    return np.ascontiguousarray(np.linalg.svd(C)[2][:rank].T)


def _starts(
    law: ReducedRankLaw,
    centre: FloatArray,
    chart: Chart,
    parameterization: str,
    seeds: Sequence[np.random.SeedSequence],
) -> FloatArray:
    """Every other chain near the estimate, the others anywhere."""
    root = np.linalg.cholesky(law.fit.precision)
    estimate = law.fit.estimate
    first = np.eye(law.shape[1], law.rank)
    starts = []
    for chain, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        if chain % 2:
            B = rand(law.shape[1], law.rank, rng)
        else:
            shift = np.linalg.solve(root.T, rng.standard_normal(estimate.size))
            B = _row_space(estimate + START_WIDTH * shift.reshape(estimate.shape), law.rank)
        Z = column_spaces(np.asarray(np.linalg.solve(centre, B), dtype=np.float64))
        # Of all matrices of a space, one that every chart reaches.
        starts.append(chart.from_matrix(Z if parameterization == "polar" else procrustes(Z, first)))
    return np.array(starts)


def log_densities(law: ReducedRankLaw, spaces: FloatArray) -> FloatArray:
    """Log density of each row space (..., q, r)."""
    target = law.target()
    flat = np.ascontiguousarray(spaces.reshape(-1, *spaces.shape[-2:]))
    values = [target.log_density_and_gradient(B)[0] for B in flat]
    return np.array(values).reshape(spaces.shape[:-2])


def _statistics(sample: DensitySample, seconds: float) -> dict[str, Any]:
    statistics = sample.statistics
    return {
        "acceptance_rate": statistics["acceptance"].mean(axis=1),
        "divergences": int(statistics["divergent"].sum()),
        "nonfinite": int(statistics["nonfinite"].sum()),
        "evaluations": int(statistics["gradients"].sum()) + sample.warm_up_gradients,
        "step": statistics["step"][:, -1],
        "seconds": seconds,
    }
