"""What a fit of local projections hands to its results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.inputs.projection_design import first_and_last
from qbeconometrics.inputs.time_words import frequency_word
from qbeconometrics.models.fit_notes import warn_if_interrupted
from qbeconometrics.models.lp_fit import (
    Controls,
    ProjectionPosterior,
    first_stage_by_horizon,
    prior_cautions,
    projection_notes,
)
from qbeconometrics.moments.projection import LongRunRule
from qbeconometrics.posterior.projection_law import NormalLaw
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.lp_results import LPResults
from qbeconometrics.results.path_record import PathRecord
from qbeconometrics.sampling.options import SampleOptions
from qbeconometrics.sampling.projection import ProjectionSample
from qbeconometrics.sampling.seeds import spawn_seeds

if TYPE_CHECKING:
    from qbeconometrics.models.lp import QuasiBayesLP

FloatArray = NDArray[np.float64]


def lp_results(
    model: QuasiBayesLP,
    posterior: ProjectionPosterior,
    drawn: ProjectionSample,
    options: SampleOptions,
    *,
    rule: LongRunRule,
    quasi_likelihood: str,
    learning_rate: float,
    controls: Controls | None = None,
) -> LPResults:
    """Join draws with names, known coefficients and sentences."""
    design, layout, moments = model.design, model.layout, model.moments
    active = layout.active
    K = len(layout.names)
    known = np.empty(K)
    known[layout.places()] = moments.estimate
    draws = np.empty((*drawn.draws.shape[:2], K))
    draws[...] = known
    draws[..., active] = drawn.draws
    draws.flags.writeable = False
    exact_mean = exact_cov = None
    mode = known.copy()
    if posterior.law is not None and quasi_likelihood == "two-step":
        exact_mean = known.copy()
        exact_mean[active] = posterior.law.mean
        exact_cov = np.zeros((K, K))
        exact_cov[np.ix_(active, active)] = posterior.law.covariance
        mode = exact_mean
    else:
        assert drawn.log_density is not None
        best = np.unravel_index(int(np.argmax(drawn.log_density)), drawn.log_density.shape)
        mode[active] = drawn.draws[best]
    names = layout.names
    if controls is not None:
        names = (*names, *controls.names)
        seed = spawn_seeds(options.rng, options.chains + 1)[-1]
        pooled = drawn.draws.reshape(-1, drawn.draws.shape[2])
        more = controls.law.draw(pooled, np.random.default_rng(seed))
        draws = np.concatenate([draws, more.reshape(*draws.shape[:2], -1)], axis=2)
        draws.flags.writeable = False
        mode = np.concatenate([mode, controls.law.conditional_mean(mode[active])])
        if posterior.law is not None:
            exact_mean, exact_cov = _with_controls(controls, posterior.law, exact_cov, active, mode)
    used = design.used
    record = FitRecord(
        draws=draws,
        log_density=drawn.log_density,
        param_names=names,
        endog_name=model.endog_names,
        model_name=type(model).__name__,
        formula=model.formula,
        nobs=int(used.sum()),
        n_dropped=int(len(used) - used.sum()),
        instrument_names=design.instrument_names if design.has_instrument else (),
        endogenous_names=(design.shock_name,) if design.has_instrument else (),
        mode=mode,
        exact_mean=exact_mean,
        exact_cov=exact_cov,
        moments_exist=(True, True),
        quasi_likelihood=quasi_likelihood,
        cov_type=rule.cov_type,
        cov_kwds=dict(rule.options),
        learning_rate=learning_rate,
        prior=posterior.prior.description,
        sampler=drawn.sampler,
        sampler_reason=drawn.reason,
        sampler_settings=dict(options.sampler_kwds),
        sampler_stats=drawn.stats,
        draws_requested=options.draws,
        tune=options.tune,
        interrupted=drawn.interrupted,
        notes=(
            *([] if model.lag_order is None else [model.lag_order.sentence]),
            *projection_notes(design, moments, layout, rule),
        ),
    )
    smoothing = None if drawn.smoothing is None else drawn.smoothing.mean(axis=(0, 1))
    strength = None
    if design.has_instrument:
        strength = first_stage_by_horizon(design, moments, rule)
    first, last = first_and_last(design)
    paths = PathRecord(
        responses=design.response_names,
        states=design.state_names,
        horizons=design.horizons,
        shock=design.shock_name,
        frequency=frequency_word(design.labels),
        kind=model.response,
        sample=design.sample,
        first_row=first,
        last_row=last,
        rows=(int(moments.rows.min()), int(moments.rows.max())),
        active=active,
        smoothing=drawn.smoothing,
        strength=strength,
        cautions=tuple(prior_cautions(posterior, layout, smoothing)),
    )
    warn_if_interrupted(drawn, options)
    results = LPResults(model, record, paths)
    results.warn_if_unreliable(stacklevel=3)
    return results


def _with_controls(
    controls: Controls,
    law: NormalLaw,
    covariance: FloatArray | None,
    active: NDArray[np.bool_],
    mode: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Exact mean and covariance of responses and controls' coefficients."""
    assert covariance is not None
    _, own, cross = controls.law.moments_given(law)
    K, q = len(active), len(controls.names)
    whole = np.zeros((K + q, K + q))
    whole[:K, :K] = covariance
    whole[K:, K:] = own
    places = np.flatnonzero(active)
    whole[K:, places] = cross
    whole[places, K:] = cross.T
    return mode, whole
