"""Fits in which instruments may have an effect of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from qbeconometrics.diagnostics.convergence import bulk_ess, check_probability
from qbeconometrics.exceptions import InputError, OptionError, check_choice, suggestion
from qbeconometrics.models.fit_options import check_learning_rate, sample_options
from qbeconometrics.moments.covariance import parse_covariance
from qbeconometrics.posterior.direct_effects import add_direct_effects
from qbeconometrics.posterior.propriety import check_propriety
from qbeconometrics.posterior.quasi_posterior import QuasiPosterior, build_quasi_posterior
from qbeconometrics.posterior.surrogate import normal_surrogate
from qbeconometrics.results.exclusion_sensitivity import ExclusionSensitivity
from qbeconometrics.sampling.options import SampleOptions
from qbeconometrics.sampling.run import sample

if TYPE_CHECKING:
    from qbeconometrics.models.identification_tests import IdentifiedModel

FloatArray = NDArray[np.float64]

COLUMNS = ["mean", "sd", "median", "lower", "upper", "ess"]


def exclusion_sensitivity(
    model: IdentifiedModel,
    param: str,
    tau: Sequence[float],
    *,
    instruments: Sequence[str] | str | None,
    alpha: float,
    quasi_likelihood: str,
    cov_type: str,
    cov_kwds: Mapping[str, Any] | None,
    learning_rate: float,
    draws: int,
    tune: int,
    chains: int,
    rng: Any,
) -> ExclusionSensitivity:
    """Fit the model once for each `tau`; arguments as in ``QuasiBayesIV.plausibly_exogenous``."""
    alpha = check_probability(alpha, "alpha")
    check_choice(quasi_likelihood, ("two-step", "cue"), "quasi_likelihood")
    rate = check_learning_rate(learning_rate)
    if param not in model.exog_names:
        raise InputError(
            f"{param!r} is not a coefficient.{suggestion(param, model.exog_names)} "
            f"Coefficients: {', '.join(model.exog_names)}."
        )
    effects = _effects(model, instruments)
    values = _checked_tau(tau)
    rule = parse_covariance(cov_type, cov_kwds)
    dependence = model._dependence(rule)
    k, m = len(model.exog_names), len(model.instrument_names)
    check_propriety(model.prior, quasi_likelihood=quasi_likelihood, rule=rule, k=k, m=m)
    model._refuse_singular_covariance(rule, dependence)
    options = sample_options(
        sampler="auto",
        draws=draws,
        tune=tune,
        chains=chains,
        cores=None,
        rng=rng,
        sampler_kwds=None,
        progressbar=False,
    )
    statistic, _ = model._moments(rule, dependence, quasi_likelihood, "statistic", 1)
    rows = []
    for one in values:
        changed, changed_rule = add_direct_effects(
            statistic,
            rule,
            instruments=[model.instrument_names.index(name) for name in effects],
            tau=one,
            learning_rate=rate,
        )
        posterior = build_quasi_posterior(
            changed,
            None,
            rule=changed_rule,
            quasi_likelihood=quasi_likelihood,
            learning_rate=rate,
            prior=model.prior,
        )
        rows.append(_summary(posterior, model.exog_names.index(param), alpha, options))
    table = pd.DataFrame(rows, index=pd.Index(values, name="tau"), columns=COLUMNS)
    return ExclusionSensitivity(param, tuple(effects), alpha, table)


def _effects(model: IdentifiedModel, instruments: Sequence[str] | str | None) -> list[str]:
    """Names of the instruments that may enter the equation."""
    excluded = [model.instrument_names[j] for j in model.design.excluded]
    if not model.design.endogenous:
        raise InputError("no regressor is endogenous, so that no instrument is excluded")
    if instruments is None:
        return excluded
    names = [instruments] if isinstance(instruments, str) else list(instruments)
    if not names:
        raise OptionError("instruments is empty: name at least one, or leave it out for all")
    for name in names:
        if name not in excluded:
            raise InputError(
                f"{name!r} is not an excluded instrument.{suggestion(name, excluded)} "
                f"Excluded instruments: {', '.join(excluded)}."
            )
    return names


def _checked_tau(tau: Sequence[float]) -> list[float]:
    numbers = np.asarray(tau)
    if numbers.ndim != 1 or numbers.size == 0 or numbers.dtype.kind not in "iuf":
        raise OptionError(f"tau={tau!r} must be a list of numbers such as [0, 0.01, 0.02]")
    if not (np.isfinite(numbers).all() and (numbers >= 0).all()):
        raise OptionError(f"tau={tau!r} must be finite and not negative")
    return [float(number) for number in numbers]


def _summary(
    posterior: QuasiPosterior, place: int, alpha: float, options: SampleOptions
) -> list[float]:
    """Mean, sd, median, ends of the interval and effective draws of one coefficient."""
    basis = posterior.basis
    if posterior.exactly_normal:
        law = normal_surrogate(posterior.target, np.zeros(posterior.size.k))
        mean = float(basis.to_params(law.mean)[place])
        sd = float(np.linalg.norm((basis.regressor_map @ law.root)[place]))
        half = float(ndtri(1.0 - alpha / 2.0)) * sd
        return [mean, sd, mean, mean - half, mean + half, np.inf]
    draws = basis.to_params(sample(posterior, options).draws)[:, :, place]
    lower, median, upper = np.quantile(draws, [alpha / 2.0, 0.5, 1.0 - alpha / 2.0])
    ess = float(np.min(bulk_ess(draws[:, :, None])))
    return [float(draws.mean()), float(draws.std(ddof=1)), *map(float, (median, lower, upper)), ess]
