"""What a fit of an error-correction model hands to its results."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InterruptedWarning
from qbeconometrics.models.vecm_moments import MomentForm
from qbeconometrics.models.vecm_sampling import SpaceOptions, SpaceSample
from qbeconometrics.posterior.cointegration_draws import (
    ErrorCorrectionDraws,
    draw_coefficients,
    mean_coefficients,
    normalized,
)
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.vecm_record import VECMRecord
from qbeconometrics.results.vecm_results import VECMResults

if TYPE_CHECKING:
    from qbeconometrics.models.vecm import QuasiBayesVECM

FloatArray = NDArray[np.float64]


def vecm_results(
    model: QuasiBayesVECM,
    sample: SpaceSample,
    options: SpaceOptions,
    rng: np.random.Generator,
    moments: MomentForm | None,
) -> VECMResults:
    """Draw the coefficients given the spaces, and join them with names and sentences."""
    design, law, rank = model.design, model.law, model.coint_rank
    if moments is None:
        drawn, mode = draw_coefficients(law, sample.spaces, rng), law.mode(rank)
        at_mode = mean_coefficients(law, mode)
    else:
        drawn, mode, at_mode = _by_moments(moments, sample, rng)
    relations = VECMRecord(
        spaces=sample.spaces,
        mode=mode,
        to_levels=law.to_levels,
        sigma_u=drawn.sigma_u,
        endog_names=design.endog_names,
        restricted_names=design.restricted_names,
        short_run_names=design.short_run_names,
        lagged=design.lagged,
        k_ar_diff=model.k_ar_diff,
        rank=rank,
        deterministic=model.deterministic,
        johansen=pd.DataFrame(),
        first_row=design.first_row,
        last_row=design.last_row,
    )
    names = relations.param_names()
    object.__setattr__(relations, "johansen", _johansen(model, names))
    draws = _coefficients(drawn, rank)
    draws.flags.writeable = False
    is_law = relations.free == 0
    record = FitRecord(
        draws=draws,
        log_density=sample.log_density,
        param_names=names,
        endog_name=", ".join(design.endog_names),
        model_name=type(model).__name__,
        formula=None,
        nobs=design.nobs,
        n_dropped=0,
        instrument_names=(),
        endogenous_names=(),
        mode=_coefficients(at_mode, rank),
        exact_mean=None,
        exact_cov=None,
        moments_exist=(is_law, is_law),
        quasi_likelihood="likelihood" if moments is None else "two-step",
        cov_type="" if moments is None else moments.rule.cov_type,
        cov_kwds=_options(moments),
        learning_rate=1.0,
        prior=_prior_lines(model.prior_observations, moments is not None),
        sampler="independent" if is_law else "nuts",
        sampler_reason=_reason(is_law, options, moments is not None),
        sampler_settings={
            "parameterization": options.parameterization,
            "target_accept": options.target_accept,
        },
        sampler_stats=sample.stats,
        draws_requested=options.draws,
        tune=options.tune,
        interrupted=sample.interrupted,
        notes=(),
    )
    if sample.interrupted:
        warnings.warn(
            f"interrupted: kept {draws.shape[1]} of {options.draws} draws a chain",
            InterruptedWarning,
            stacklevel=3,
        )
    return VECMResults(model, record, relations)


def _by_moments(
    moments: MomentForm, sample: SpaceSample, rng: np.random.Generator
) -> tuple[ErrorCorrectionDraws, FloatArray, ErrorCorrectionDraws]:
    """Draws, the drawn space of the highest density, and means given it."""
    drawn = moments.draw(sample.of_moments, sample.centered, rng)
    best = np.unravel_index(int(np.argmax(sample.log_density)), sample.log_density.shape)
    return drawn, sample.spaces[best], moments.draw(sample.of_moments, sample.centered[best], None)


def _options(moments: MomentForm | None) -> dict[str, Any]:
    if moments is None:
        return {}
    dependence = {} if moments.dependence is None else moments.dependence.options
    return {"centered": moments.rule.centered, **dependence}


def _prior_lines(nu: float, by_moments: bool) -> tuple[str, ...]:
    if by_moments:
        return (
            f"uniform on spaces, weight of {nu:g} observation{'s' * (nu != 1)}: span(beta) uniform "
            "for series divided by their residual standard deviations",
            f"alpha | beta ~ N(0, Sigma x ({nu:g} beta'S11 beta)^-1), Sigma estimated",
            "short-run terms flat",
        )
    return (
        f"uniform on spaces, weight of {nu:g} observation{'s' * (nu != 1)}: span(beta) uniform for "
        "series divided by their residual standard deviations",
        f"alpha | beta, Sigma ~ N(0, Sigma x ({nu:g} beta'S11 beta)^-1)",
        f"Sigma ~ inverse Wishart with {nu:g} degrees of freedom a variance",
        "short-run terms flat",
    )


def _reason(is_law: bool, options: SpaceOptions, by_moments: bool) -> str:
    if is_law:
        return "there is one cointegrating space of this rank, and the rest is drawn exactly"
    rest = "alpha and the short run" if by_moments else "alpha, the short run and Sigma"
    return (
        f"spaces by the no-U-turn sampler in {options.parameterization} coordinates; {rest} "
        "exactly, given each"
    )


def _coefficients(drawn: ErrorCorrectionDraws, rank: int) -> FloatArray:
    """Normalised coefficients (..., parameter), in the order of `VECMRecord.param_names`."""
    beta, alpha = normalized(drawn.beta, drawn.alpha)
    lead = beta.shape[:-2]
    return np.concatenate(
        [
            beta[..., rank:, :].swapaxes(-1, -2).reshape(*lead, -1),
            alpha.reshape(*lead, -1),
            drawn.short_run.reshape(*lead, -1),
        ],
        axis=-1,
    )


def _johansen(model: QuasiBayesVECM, names: tuple[str, ...]) -> pd.DataFrame:
    """Johansen's estimates and standard errors by statsmodels; NaN where it has none."""
    # Takes long to import.
    from statsmodels.tsa.vector_ar.vecm import VECM

    columns = np.full((len(names), 2), np.nan)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            found = VECM(
                model.design.endog.to_numpy(),
                exog=model.design.exog,
                k_ar_diff=model.k_ar_diff,
                coint_rank=model.coint_rank,
                deterministic=model.deterministic,
                seasons=model.seasons,
                first_season=model.first_season,
            ).fit()
            columns[:, 0] = _in_order(found, "", model.coint_rank)
            columns[:, 1] = _in_order(found, "stderr_", model.coint_rank)
        except (ValueError, IndexError, np.linalg.LinAlgError):
            # Without relations it has no standard errors.
            pass
    return pd.DataFrame(columns, index=list(names), columns=["estimate", "se"])


def _in_order(found: Any, prefix: str, rank: int) -> FloatArray:
    """Estimates or standard errors of statsmodels' results in the order of the draws."""
    parts = {
        name: np.real(np.asarray(getattr(found, prefix + name)))
        for name in ("beta", "det_coef_coint", "alpha", "gamma", "det_coef")
    }
    beta = np.vstack([parts["beta"], parts["det_coef_coint"]])
    short_run = np.hstack([parts["gamma"], parts["det_coef"]])
    return np.concatenate([beta[rank:].T.ravel(), parts["alpha"].ravel(), short_run.ravel()])
