"""From results back to the quasi-posterior that they were drawn from, under another prior maybe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qbeconometrics.exceptions import OptionError
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.posterior.quasi_posterior import QuasiPosterior, build_quasi_posterior
from qbeconometrics.posterior.resolved_prior import ResolvedPrior
from qbeconometrics.posterior.surrogate import normal_surrogate
from qbeconometrics.posterior.target import Posterior
from qbeconometrics.results.fit_record import FitRecord

if TYPE_CHECKING:
    from qbeconometrics.results.prior_results import PriorResults

# Two draws tell a rebuilt quasi-posterior from another: by the difference of their log densities.
AGREEMENT = 1e-6


def prior_of(results: PriorResults) -> ResolvedPrior:
    """Return the prior of a fit as numbers.

    Raises
    ------
    OptionError
        If the results were loaded without it.
    """
    prior = getattr(results.model, "prior", None)
    if not isinstance(prior, ResolvedPrior):
        raise OptionError("these results do not know their prior as numbers: fit the model again")
    return prior


def rebuild_posterior(results: PriorResults, prior: ResolvedPrior | None = None) -> Posterior:
    """Return the quasi-posterior of a fit.

    Parameters
    ----------
    results : PriorResults
    prior : ResolvedPrior, optional
        In place of that of the fit.

    Raises
    ------
    OptionError
        If it cannot be had from what results and model know, such as after a fit with a
        weight_matrix.
    """
    posterior = results._rebuild_posterior(prior_of(results))
    if not _is_that_of(posterior, results.record):
        raise OptionError(
            "the quasi-posterior of this fit cannot be built again: it had a weight_matrix, which "
            "results do not keep"
        )
    return posterior if prior is None else results._rebuild_posterior(prior)


def rebuild_linear_posterior(results: PriorResults, prior: ResolvedPrior) -> QuasiPosterior:
    """Return the quasi-posterior of linear moments, from their sums, under `prior`."""
    record = results.record
    rule = rule_of(record)
    moments, rows = record.moments, None
    fixed = record.quasi_likelihood == "two-step"
    if moments is None or not (fixed or rule.cov_type == "nonrobust" or moments.fourth is not None):
        if rule.is_dependent or not hasattr(results.model, "_moments"):
            raise OptionError("the sums that the quasi-posterior is made of were not kept")
        evaluations = record.draws.shape[0] * (record.draws_requested + record.tune)
        moments, rows = results.model._moments(
            rule, None, record.quasi_likelihood, "auto", evaluations
        )
    return build_quasi_posterior(
        moments,
        rows,
        rule=rule,
        quasi_likelihood=record.quasi_likelihood,
        learning_rate=record.learning_rate,
        prior=prior,
    )


def rule_of(record: FitRecord) -> CovarianceRule:
    """Return the rule of S; kernel and groups are in the sums already."""
    return CovarianceRule(record.cov_type, bool(record.cov_kwds.get("centered", False)))


def _is_that_of(posterior: Posterior, record: FitRecord) -> bool:
    if record.exact_mean is not None and record.exact_cov is not None:
        surrogate = normal_surrogate(posterior.target, np.zeros(len(record.exact_mean)))
        root = posterior.basis.regressor_map @ surrogate.root
        gap = np.linalg.solve(root, posterior.basis.to_params(surrogate.mean) - record.exact_mean)
        change = np.linalg.solve(root, np.linalg.solve(root, record.exact_cov).T)
        identity = np.eye(len(gap))
        return bool(np.abs(gap).max() < AGREEMENT and np.abs(change - identity).max() < AGREEMENT)
    if record.log_density is None:
        return False
    draws = record.draws.reshape(-1, record.draws.shape[2])
    kept = record.log_density.reshape(-1)
    chosen = [int(kept.argmax()), int(kept.argmin())]
    values = sum(posterior.target.evaluate(posterior.basis.to_scaled(draws[chosen])))
    difference = float(np.diff(values)[0] - np.diff(kept[chosen])[0])
    return abs(difference) <= AGREEMENT * max(1.0, float(np.ptp(kept[chosen])))
