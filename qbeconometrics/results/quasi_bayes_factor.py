"""Quasi-marginal likelihoods of fits, and their ratios."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qbeconometrics.diagnostics.marginal_likelihood import (
    QuasiMarginalLikelihood,
    quasi_marginal_likelihood,
)
from qbeconometrics.exceptions import OptionError
from qbeconometrics.posterior.quasi_posterior import QuasiPosterior, fixed_covariance
from qbeconometrics.posterior.target import Posterior
from qbeconometrics.results.rebuilt_posterior import rebuild_posterior, rule_of
from qbeconometrics.sampling.seeds import spawn_seeds

if TYPE_CHECKING:
    from qbeconometrics.results.prior_results import PriorResults

FEWEST_PROPOSALS = 100


class QuasiBayesFactor(NamedTuple):
    """Ratio of two quasi-marginal likelihoods.

    Attributes
    ----------
    log_value : float
        Log of the factor in favour of the first.
    se : float
        Its Monte Carlo standard error.
    probability : float
        Quasi-posterior probability of the first if both are equally likely before.
    """

    log_value: float
    se: float
    probability: float


def marginal_likelihood_of(
    results: PriorResults,
    *,
    method: str = "importance",
    proposals: int = 20_000,
    rng: Any = 0,
) -> QuasiMarginalLikelihood:
    """Integrate the quasi-likelihood of a fit over its prior.

    Parameters
    ----------
    results : PriorResults
    method : {"importance", "bridge"}
    proposals : int
    rng : int, SeedSequence, BitGenerator, Generator or None

    Returns
    -------
    QuasiMarginalLikelihood

    Raises
    ------
    OptionError
        If the prior is flat, or the quasi-posterior cannot be built again.
    """
    whole = isinstance(proposals, (int, np.integer)) and not isinstance(proposals, bool)
    if not whole or proposals < FEWEST_PROPOSALS:
        raise OptionError(
            f"proposals={proposals!r} must be a whole number of at least {FEWEST_PROPOSALS}"
        )
    posterior = rebuild_posterior(results)
    record = results.record
    return quasi_marginal_likelihood(
        posterior,
        posterior.basis.to_scaled(record.draws),
        posterior.basis.to_scaled(record.mode),
        log_normaliser=_log_normaliser(results, posterior),
        method=method,
        proposals=int(proposals),
        rng=np.random.default_rng(spawn_seeds(rng, 1)[0]),
    )


def _log_normaliser(results: PriorResults, posterior: Posterior) -> float:
    """What makes the quasi-likelihood the normal density of root n times the moment mean."""
    record = results.record
    value = -0.5 * posterior.size.m * float(np.log(2.0 * np.pi / record.learning_rate))
    if record.quasi_likelihood != "two-step":
        return value
    if not isinstance(posterior, QuasiPosterior):
        raise OptionError(
            "quasi-marginal likelihoods of user-written moments need quasi_likelihood='cue'"
        )
    S = fixed_covariance(posterior.moments, rule_of(record), None)
    # In the units of the data, as log_constant is for "cue".
    value += float(np.linalg.slogdet(posterior.basis.instrument_map)[1])
    return value - 0.5 * float(np.linalg.slogdet(S)[1])


def quasi_bayes_factor(
    first: PriorResults,
    second: PriorResults,
    *,
    method: str = "importance",
    proposals: int = 20_000,
    rng: Any = 0,
) -> QuasiBayesFactor:
    """Compare two fits of one outcome with the same instruments.

    Parameters
    ----------
    first, second : PriorResults
    method, proposals, rng
        As in `marginal_likelihood_of`.

    Returns
    -------
    QuasiBayesFactor

    Raises
    ------
    OptionError
        If the quasi-likelihoods are not of the same moments of the same data.
    """
    _refuse_incomparable(first, second)
    seeds = spawn_seeds(rng, 2)
    one, two = (
        marginal_likelihood_of(fit, method=method, proposals=proposals, rng=seed)
        for fit, seed in zip((first, second), seeds, strict=True)
    )
    gap = one.log_value - two.log_value
    return QuasiBayesFactor(
        gap, float(np.hypot(one.se, two.se)), float(np.exp(-np.logaddexp(0.0, -gap)))
    )


def _refuse_incomparable(first: PriorResults, second: PriorResults) -> None:
    one, two = first.record, second.record
    for word in ("endog_name", "nobs", "quasi_likelihood", "cov_type", "cov_kwds", "learning_rate"):
        if getattr(one, word) != getattr(two, word):
            raise OptionError(
                f"the fits differ in {word}: {getattr(one, word)!r} and {getattr(two, word)!r}; "
                "quasi-likelihoods of different data or rules cannot be compared"
            )
    if one.quasi_likelihood == "cue-nodet":
        raise OptionError(
            "without its determinant a quasi-likelihood is no density: use quasi_likelihood='cue' "
            "or 'two-step'"
        )
    if one.n_moments != two.n_moments:
        raise OptionError(
            f"the fits have {one.n_moments} and {two.n_moments} moments: densities of different "
            "moments cannot be compared"
        )
    if set(one.instrument_names) != set(two.instrument_names):
        differ = sorted(set(one.instrument_names) ^ set(two.instrument_names))
        raise OptionError(
            f"only one of the fits has the instruments {', '.join(differ)}: densities of different "
            "moments cannot be compared. To ask whether an instrument is valid, keep it in both "
            "and let it enter the equation of one: 'y ~ x + z2 + [d ~ z1]' against "
            "'y ~ x + [d ~ z1 + z2]'"
        )
