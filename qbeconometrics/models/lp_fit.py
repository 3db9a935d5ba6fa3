"""From a checked local projection to what its results hold."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.diagnostics.instrument_strength import first_stage
from qbeconometrics.exceptions import NumericalWarning, PriorWarning
from qbeconometrics.inputs.projection_design import ProjectionDesign
from qbeconometrics.moments.projection import (
    LongRunRule,
    ProjectionMoments,
    ScoreCovariance,
    score_covariance,
)
from qbeconometrics.moments.projection_full import full_moments, whitened_rows
from qbeconometrics.posterior.projection_cue import cue_target, refuse_far_mass, tail_of
from qbeconometrics.posterior.projection_full import ControlsLaw, split_full_law
from qbeconometrics.posterior.projection_law import (
    NormalLaw,
    PathLayout,
    ProjectionPrior,
    combine,
    fixed_weight_law,
    resolve_projection_prior,
)
from qbeconometrics.posterior.smoothing import (
    SmoothingTarget,
    fixed_smoothing_law,
    prior_rows,
    smoothing_target,
)
from qbeconometrics.priors import PriorLike
from qbeconometrics.results.reliability import Finding
from qbeconometrics.sampling.options import SampleOptions
from qbeconometrics.sampling.projection import ProjectionSample, pilot_run
from qbeconometrics.sampling.projection_cue import Reference, sample_cue
from qbeconometrics.sampling.projection_hamiltonian import HAMILTONIAN, sample_hamiltonian

FloatArray = NDArray[np.float64]

# Share of its standard deviation that a response must lose to data from its own horizon on.
EXTRAPOLATED = 0.95

# Beyond this share of horizons x responses to rows the estimate of the weight is noisy.
NOISY_WEIGHT = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class ProjectionPosterior:
    """The fixed-weight quasi-posterior of local projections.

    Attributes
    ----------
    flat : NormalLaw
        Of the active coefficients, without prior.
    prior : ProjectionPrior
    law : NormalLaw or None
        The posterior, where it is normal.
    smoothing : SmoothingTarget or None
        Where smoothing parameters are sampled.
    """

    flat: NormalLaw
    prior: ProjectionPrior
    law: NormalLaw | None
    smoothing: SmoothingTarget | None

    def mean(self) -> FloatArray:
        """Posterior mean of the active coefficients; of a pilot run where it is not known."""
        if self.law is not None:
            return self.law.mean
        assert self.smoothing is not None
        return np.asarray(pilot_run(self.smoothing)[0].mean(axis=0))


def two_step_posterior(
    moments: ProjectionMoments,
    layout: PathLayout,
    rule: LongRunRule,
    prior: PriorLike,
    *,
    learning_rate: float,
    weight_iterations: int,
) -> ProjectionPosterior:
    """Build the quasi-posterior with a fixed weight.

    Parameters
    ----------
    moments : ProjectionMoments
    layout : PathLayout
    rule : LongRunRule
    prior : Prior, dict or None
    learning_rate : float
    weight_iterations : int
        1: S at the first-step estimate; each further one re-evaluates S at the posterior mean.
    """
    covariance = score_covariance(moments, rule, regressors=weight_iterations > 1)
    posterior = _with_weight(
        moments, layout, prior, covariance, np.zeros_like(moments.estimate), learning_rate
    )
    places = layout.places()
    for _ in range(weight_iterations - 1):
        values = np.zeros(len(layout.names))
        values[places] = moments.estimate
        values[layout.active] = posterior.mean()
        deviations = values[places] - moments.estimate
        posterior = _with_weight(moments, layout, prior, covariance, deviations, learning_rate)
    return posterior


def _with_weight(
    moments: ProjectionMoments,
    layout: PathLayout,
    prior: PriorLike,
    covariance: ScoreCovariance,
    deviations: FloatArray,
    learning_rate: float,
) -> ProjectionPosterior:
    flat = fixed_weight_law(moments, layout, covariance.at(deviations), learning_rate)
    return _with_prior(moments, layout, prior, flat, learning_rate)


def _with_prior(
    moments: ProjectionMoments,
    layout: PathLayout,
    prior: PriorLike,
    flat: NormalLaw,
    learning_rate: float,
) -> ProjectionPosterior:
    # The prior is the same at every rate: roughness is measured by the variance at rate one.
    plain = NormalLaw(flat.root / np.sqrt(learning_rate), flat.mean)
    resolved = resolve_projection_prior(prior, moments, layout, plain)
    smoothness = resolved.smoothness
    if smoothness is not None and smoothness.smoothing is None:
        return ProjectionPosterior(flat, resolved, None, smoothing_target(flat, resolved))
    return ProjectionPosterior(flat, resolved, fixed_smoothing_law(flat, resolved), None)


@dataclass(frozen=True, slots=True, eq=False)
class Controls:
    """Names of the controls' coefficients that are sampled, and their law given the responses.

    Attributes
    ----------
    names : tuple of str
    law : ControlsLaw
    """

    names: tuple[str, ...]
    law: ControlsLaw


def full_posterior(
    design: ProjectionDesign,
    moments: ProjectionMoments,
    layout: PathLayout,
    rule: LongRunRule,
    prior: PriorLike,
    structure: str | float,
    *,
    learning_rate: float,
) -> tuple[ProjectionPosterior, Controls]:
    """Build the quasi-posterior of responses and controls' coefficients, which are flat a priori.

    Given the responses the controls' coefficients are normal whatever the prior of the responses,
    so that these are sampled from their marginal law and the others after them.
    """
    full = full_moments(design, moments)
    scale = float(np.sqrt(learning_rate * moments.nobs))
    rows, target = whitened_rows(full, rule, structure, scale)
    flat, law = split_full_law(rows, target, layout, design.n_regressors)
    names = [
        f"{response}[{h}] {control}"
        for b, (response, h) in enumerate(product(design.response_names, design.horizons))
        if not moments.degenerate[b]
        for control in design.control_names
    ]
    posterior = _with_prior(moments, layout, prior, flat, learning_rate)
    return posterior, Controls(tuple(names), law)


def sample_continuously_updated(
    moments: ProjectionMoments,
    layout: PathLayout,
    rule: LongRunRule,
    posterior: ProjectionPosterior,
    options: SampleOptions,
    *,
    learning_rate: float,
) -> ProjectionSample:
    """Draw with S re-evaluated at every path, where that law keeps to the mode.

    Raises
    ------
    ImproperPosteriorError
        If the prior is flat in some direction.
    TailMassError
        If the region far from the mode holds a noticeable share.
    """
    covariance = score_covariance(moments, rule)
    hyperprior = (1.0, 0.0, 0.0)
    smoothing = np.empty(0)
    if posterior.law is not None:
        law, mean, spread = posterior.law, posterior.law.mean, posterior.law.covariance
        smoothness = posterior.prior.smoothness
        if smoothness is not None:
            assert smoothness.smoothing is not None
            smoothing = np.full(len(posterior.prior.roughness), float(smoothness.smoothing))
    else:
        assert posterior.smoothing is not None
        hyperprior = posterior.smoothing.hyperprior
        drawn, parameters = pilot_run(posterior.smoothing)
        mean, spread = drawn.mean(axis=0), np.cov(drawn, rowvar=False).reshape(len(drawn[0]), -1)
        smoothing = parameters.mean(axis=0)
        law = combine(posterior.flat, *prior_rows(posterior.prior, smoothing, len(mean)))
    target = cue_target(moments, layout, covariance, posterior.prior, learning_rate, hyperprior)
    refuse_far_mass(tail_of(target, law, smoothing), centered=rule.centered)
    held = smoothing if target.compiled.n_paths else np.empty(0)
    sample = sample_hamiltonian if options.sampler == HAMILTONIAN else sample_cue
    return sample(target, Reference(mean, spread, held), options)


def first_stage_by_horizon(
    design: ProjectionDesign, moments: ProjectionMoments, rule: LongRunRule
) -> pd.DataFrame:
    """Strength of the instruments for the first response, one row a horizon (and state)."""
    tables: dict[tuple[bytes, int], pd.DataFrame] = {}
    found = []
    names = [f"{design.shock_name} {state}".strip() for state in design.state_names]
    for place in range(len(design.horizons)):
        kept = design.kept[:, 0, place]
        layer = place if design.regressors.shape[1] > 1 else 0
        key = (kept.tobytes(), layer)
        if key not in tables:
            with warnings.catch_warnings():
                # A singular first stage shows as NaN in the table.
                warnings.simplefilter("ignore", NumericalWarning)
                tables[key] = first_stage(
                    design.regressors[kept, layer],
                    design.controls[kept],
                    design.instrument[kept],
                    endogenous_names=names,
                    cov_type=rule.cov_type,
                    weights=rule.weights if rule.cov_type == "HAC" else None,
                )
        found.append(tables[key])
    table = pd.concat(found, keys=design.horizons, names=["horizon", "endogenous"])
    return table.droplevel("endogenous") if len(names) == 1 else table


def projection_notes(
    design: ProjectionDesign, moments: ProjectionMoments, layout: PathLayout, rule: LongRunRule
) -> list[str]:
    """Sentences about covariance, degenerate coefficients and the size of the weight."""
    notes = []
    if rule.cov_type != "HAC":
        factor = " with the factor T/(T - k)" if rule.cov_type == "HC1" else ""
        assumption = "valid if the controls hold one lag more than the dynamics have"
        notes.append(f"Covariance: outer product of the scores{factor}, {assumption}.")
    names = [name for name, on in zip(layout.names, layout.active, strict=True) if not on]
    if names:
        notes.append(
            f"Known without error, since the residual is zero: {_listed(names)}. Left out of the "
            "sampling and put back as constants."
        )
    size = int((~moments.degenerate).sum()) * moments.cross.shape[1]
    if size > NOISY_WEIGHT * moments.nobs:
        notes.append(
            f"{size} stacked moments on {moments.nobs} rows: the estimated weight is noisy, which "
            "matters where a prior or more instruments than coefficients make use of it."
        )
    if design.has_instrument:
        missing = [
            name
            for name in (design.shock_name, *design.instrument_names)
            if not any(f"lag({name}" in control for control in design.control_names)
        ]
        if rule.cov_type != "HAC" and missing and len(design.state_names) == 1:
            notes.append(
                f"Lags of {_listed(missing)} are not among the controls: with an instrument the "
                "outer product needs an instrument that the controls do not predict."
            )
    return notes


def extrapolated(
    flat: NormalLaw, prior: ProjectionPrior, smoothing: FloatArray
) -> NDArray[np.bool_]:
    """Mark the responses that roughness prior and shorter horizons alone give nearly as well.

    Parameters
    ----------
    flat : NormalLaw
    prior : ProjectionPrior
        With roughness.
    smoothing : ndarray, shape (paths,)

    Returns
    -------
    ndarray of bool, shape (k,)
    """
    marked = np.zeros(len(flat.mean), dtype=bool)
    for one, value in zip(prior.roughness, smoothing, strict=True):
        places = one.places
        V = flat.covariance[np.ix_(places, places)]
        level = prior.rows[:, places]
        base = value / one.unit * one.differences.T @ one.differences + level.T @ level
        whole = np.linalg.inv(base + np.linalg.inv(V))
        for h in range(1, len(places)):
            shorter = base.copy()
            shorter[:h, :h] += np.linalg.inv(V[:h, :h])
            # Two points determine a straight line, one does not.
            if np.linalg.matrix_rank(shorter) == len(shorter):
                ratio = whole[h, h] / np.linalg.inv(shorter)[h, h]
                marked[places[h]] = ratio > EXTRAPOLATED**2
    return marked


def prior_cautions(
    posterior: ProjectionPosterior, layout: PathLayout, smoothing: FloatArray | None
) -> list[Finding]:
    """Say where the prior, more than the data, decides the responses.

    Parameters
    ----------
    posterior : ProjectionPosterior
    layout : PathLayout
    smoothing : ndarray, shape (paths,), or None
        Posterior means of sampled smoothing parameters.
    """
    prior = posterior.prior
    if prior.sds is not None:
        weak = np.sqrt(np.sum(posterior.flat.covariance_root**2, axis=1)) > prior.sds
        reason = "the prior's standard deviation is below the data's"
    else:
        if smoothing is None:
            assert prior.smoothness is not None
            assert prior.smoothness.smoothing is not None
            smoothing = np.full(len(prior.roughness), float(prior.smoothness.smoothing))
        weak = extrapolated(posterior.flat, prior, smoothing)
        reason = (
            "data at these and longer horizons narrow them by less than "
            f"{1 - EXTRAPOLATED:.0%}, so they follow from the roughness prior and shorter horizons"
        )
    if not weak.any():
        return []
    names = [name for name, on in zip(layout.names, layout.active, strict=True) if on]
    chosen = [name for name, one in zip(names, weak, strict=True) if one]
    return [
        Finding(
            PriorWarning,
            f"The data say little about {_listed(chosen)}: {reason}. See how the results move with "
            "the prior.",
        )
    ]


def _listed(names: Sequence[str], most: int = 4) -> str:
    """Names in quotes, the middle of a long list left out."""
    quoted = [repr(name) for name in names]
    if len(quoted) > most:
        quoted = [*quoted[: most - 1], "...", quoted[-1]]
    return ", ".join(quoted)
