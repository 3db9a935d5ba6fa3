"""How results move when every prior sd is multiplied by a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from qbeconometrics.diagnostics import convergence
from qbeconometrics.diagnostics.pareto_smoothing import (
    smooth_weights,
    weighted_quantiles,
)
from qbeconometrics.exceptions import OptionError, check_choice
from qbeconometrics.posterior.prior_draws import log_prior_kernel
from qbeconometrics.posterior.resolved_prior import ResolvedPrior, scale_prior_sds
from qbeconometrics.results.rebuilt_posterior import prior_of, rebuild_posterior
from qbeconometrics.sampling.chains import default_cores
from qbeconometrics.sampling.options import SAMPLER_KEYWORDS, SampleOptions, parse_sampler_kwds
from qbeconometrics.sampling.run import sample

if TYPE_CHECKING:
    from qbeconometrics.results.prior_results import PriorResults

FloatArray = NDArray[np.float64]

METHODS = ("auto", "reweight", "refit")
# Shape of the weights above which they are not trusted: beyond it their variance does not exist.
LARGEST_K = 0.5
# Effective draws below which reweighted quantiles are not taken.
SMALLEST_ESS = 400
# Shorter runs would not be worth their warm-up.
FEWEST_DRAWS = 500


@dataclass(frozen=True, slots=True)
class _Summaries:
    """Mean, sd, and three quantiles of each parameter, and how they were had."""

    mean: FloatArray
    sd: FloatArray
    quantiles: FloatArray
    method: str
    pareto_k: float = np.nan
    ess: float = np.nan


def prior_sensitivity(
    results: PriorResults,
    scales: Sequence[float],
    *,
    alpha: float = 0.05,
    method: str = "auto",
    rng: Any = 0,
) -> pd.DataFrame:
    """Summarise the posterior under priors that are tighter or wider than that of the fit.

    Parameters
    ----------
    results : PriorResults
        Of linear moments with a prior that is not flat in everything.
    scales : sequence of float
        Factors on every prior sd (the scale of a Student-t prior); means stay.
    alpha : float
        One minus the probability of the equal-tailed intervals.
    method : {"auto", "reweight", "refit"}
        "auto" reweights the draws where the Pareto shape of the weights, and of the weights times
        squared deviations of each parameter, is at most 0.5 (their variance exists) and the
        effective number at least 400; where not it samples anew, from the moment statistic.
    rng : int, SeedSequence, BitGenerator, Generator or None
        For sampling anew.

    Returns
    -------
    DataFrame
        Indexed by ``scale`` and ``parameter``, with columns ``mean``, ``sd``, ``median``,
        ``lower``, ``upper``, ``method`` ("fit", "exact", "reweighted" or "refitted"), ``pareto_k``
        (the largest of the shapes) and ``ess`` (effective draws: of the weights, or the smallest
        bulk value of the new chains).

    Raises
    ------
    OptionError
        If an argument is not allowed, or the prior is flat.
    """
    alpha = convergence.check_probability(alpha, "alpha")
    check_choice(method, METHODS, "method")
    factors = _checked_scales(scales)
    prior = prior_of(results)
    if not prior.root.any() and np.isnan(prior.df).all():
        raise OptionError("the prior is flat or uniform: there is no scale to change")
    levels = np.array([0.5, alpha / 2.0, 1.0 - alpha / 2.0])
    record = results.record
    tables = {}
    for factor in factors:
        scaled = scale_prior_sds(prior, factor)
        if record.exact:
            found = _exact(results, prior, scaled, levels)
        elif factor == 1.0:
            ess = float(results.ess()["bulk"].min())
            found = _of_draws(record.draws, None, levels, "fit", ess=ess)
        else:
            found = _reweighted(results, prior, scaled, levels)
            good = found.pareto_k <= LARGEST_K and found.ess >= SMALLEST_ESS
            if method == "refit" or (method == "auto" and not good):
                found = _refitted(results, scaled, levels, rng, found.pareto_k)
        tables[factor] = _table(found, results)
    return pd.concat(tables, names=["scale", "parameter"])


def _checked_scales(scales: Sequence[float]) -> list[float]:
    numbers = np.asarray(scales)
    if numbers.ndim != 1 or numbers.size == 0 or numbers.dtype.kind not in "iuf":
        raise OptionError(f"scales={scales!r} must be a list of numbers such as [0.5, 1, 2]")
    if not (np.isfinite(numbers).all() and (numbers > 0).all()):
        raise OptionError(f"scales={scales!r} must be positive and finite")
    if len(np.unique(numbers)) < len(numbers):
        raise OptionError(f"scales={scales!r} names a factor twice")
    return [float(number) for number in numbers]


def _table(found: _Summaries, results: PriorResults) -> pd.DataFrame:
    mean_exists, variance_exists = results.record.moments_exist
    columns = {
        "mean": found.mean if mean_exists else np.nan,
        "sd": found.sd if variance_exists else np.nan,
        "median": found.quantiles[0],
        "lower": found.quantiles[1],
        "upper": found.quantiles[2],
        "method": found.method,
        "pareto_k": found.pareto_k,
        "ess": found.ess,
    }
    return pd.DataFrame(columns, index=list(results.record.param_names))


def _exact(
    results: PriorResults, prior: ResolvedPrior, scaled: ResolvedPrior, levels: FloatArray
) -> _Summaries:
    """The normal law with one normal prior taken off and the other put on."""
    record = results.record
    assert record.exact_mean is not None
    assert record.exact_cov is not None
    # In units of the posterior, where the precision is the identity.
    root = np.linalg.cholesky(record.exact_cov)
    old, new = prior.root @ root, scaled.root @ root
    at_mean = [one.target - one.root @ record.exact_mean for one in (prior, scaled)]
    precision = np.eye(len(root)) - old.T @ old + new.T @ new
    step = np.linalg.solve(precision, new.T @ at_mean[1] - old.T @ at_mean[0])
    mean = record.exact_mean + root @ step
    sd = np.sqrt(np.einsum("ij,ji->i", root, np.linalg.solve(precision, root.T)))
    return _Summaries(mean, sd, mean + ndtri(levels)[:, None] * sd, "exact")


def _of_draws(
    draws: FloatArray,
    weights: FloatArray | None,
    levels: FloatArray,
    method: str,
    *,
    pareto_k: float = np.nan,
    ess: float = np.nan,
) -> _Summaries:
    pooled = draws.reshape(-1, draws.shape[-1])
    if weights is None:
        quantiles = np.quantile(pooled, levels, axis=0)
        mean, sd = pooled.mean(axis=0), pooled.std(axis=0, ddof=1)
    else:
        quantiles = weighted_quantiles(pooled, weights, levels)
        mean = weights @ pooled
        sd = np.sqrt(weights @ (pooled - mean) ** 2)
    return _Summaries(mean, sd, quantiles, method, pareto_k, ess)


def _reweighted(
    results: PriorResults, prior: ResolvedPrior, scaled: ResolvedPrior, levels: FloatArray
) -> _Summaries:
    draws = results.record.draws
    pooled = draws.reshape(-1, draws.shape[-1])
    efficiency = float(np.nanmin([results.ess()["bulk"].min() / len(pooled), 1.0]))
    ratios = log_prior_kernel(scaled, pooled) - log_prior_kernel(prior, pooled)
    smoothed = smooth_weights(ratios, relative_efficiency=efficiency)
    # What is averaged matters too: a wider prior reaches where there are hardly any draws, and the
    # variance, more than the weights themselves, is made there.
    distance = np.abs(pooled - np.median(pooled, axis=0))
    squares = ratios[:, None] + 2.0 * np.log(np.maximum(distance, np.finfo(np.float64).tiny))
    shapes = [
        smooth_weights(column, relative_efficiency=efficiency).pareto_k for column in squares.T
    ]
    return _of_draws(
        draws,
        smoothed.weights,
        levels,
        "reweighted",
        pareto_k=max(smoothed.pareto_k, *shapes),
        ess=smoothed.ess * efficiency,
    )


def _refitted(
    results: PriorResults,
    scaled: ResolvedPrior,
    levels: FloatArray,
    rng: Any,
    pareto_k: float,
) -> _Summaries:
    record = results.record
    posterior = rebuild_posterior(results, scaled)
    # Tuned anew: what suited the old prior may not suit the new one.
    keywords = (
        parse_sampler_kwds(record.sampler, None) if record.sampler in SAMPLER_KEYWORDS else {}
    )
    options = SampleOptions(
        sampler=record.sampler,
        draws=max(record.draws_requested, FEWEST_DRAWS),
        tune=max(record.tune, FEWEST_DRAWS),
        chains=len(record.draws),
        cores=default_cores(len(record.draws)),
        rng=rng,
        sampler_kwds=keywords,
        progressbar=False,
    )
    drawn = sample(posterior, options)
    draws = posterior.basis.to_params(drawn.draws)
    ess = float(np.min(convergence.bulk_ess(draws)))
    return _of_draws(draws, None, levels, "refitted", pareto_k=pareto_k, ess=ess)
