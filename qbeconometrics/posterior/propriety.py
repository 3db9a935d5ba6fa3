"""Does the quasi-posterior integrate, do its moments exist, and does the far region matter?

For linear moments the criterion n g'S^-1 g stays bounded as |theta| grows, so without a proper
prior only the determinant or a fixed weight can make the quasi-posterior integrable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from qbeconometrics.exceptions import ImproperPosteriorError
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.linear import LinearMomentStatistic
from qbeconometrics.posterior.quasi_posterior import QuasiPosterior
from qbeconometrics.priors import ResolvedPrior

FloatArray = NDArray[np.float64]

# An instrument row this close to leverage 1 makes S singular wherever its residual is zero.
LEVERAGE_LIMIT = 1.0 - 1e-9

TAIL_DRAWS = 2_000
TAIL_WARNING = np.log(0.01)


def check_propriety(
    prior: ResolvedPrior,
    *,
    names: tuple[str, ...],
    quasi_likelihood: str,
    rule: CovarianceRule,
    m: int,
) -> None:
    """Refuse a prior under which the quasi-posterior has no finite integral.

    Raises
    ------
    ImproperPosteriorError
        With the reason and what to do.
    """
    if prior.is_proper or quasi_likelihood == "two-step":
        return
    k = len(names)
    flat = [
        name
        for j, name in enumerate(names)
        if np.isnan(prior.df[j]) and not prior.precision[j].any()
    ]
    where = f"the flat prior of {', '.join(flat)}" if flat else "an improper prior"
    remedy = (
        "Leave prior=None for the weak default, give a proper one such as priors.Normal(0, 10), or "
        "use quasi_likelihood='two-step'."
    )
    if quasi_likelihood == "cue-nodet":
        raise ImproperPosteriorError(
            f"{where} makes the quasi-posterior improper: without the determinant the criterion "
            f"stays bounded as a coefficient grows, so it never integrates. {remedy}"
        )
    if rule.cov_type != "nonrobust":
        raise ImproperPosteriorError(
            f"{where} is refused with quasi_likelihood='cue' and cov_type={rule.cov_type!r}: the "
            "quasi-likelihood falls only like a power of the coefficients, which need not be "
            f"integrable. {remedy}"
        )
    if m <= k:
        raise ImproperPosteriorError(
            f"{where} makes the quasi-posterior improper: with as many instruments as coefficients "
            f"({m}) the determinant falls too slowly. {remedy}"
        )


def moments_exist(
    prior: ResolvedPrior,
    statistic: LinearMomentStatistic,
    *,
    quasi_likelihood: str,
    rule: CovarianceRule,
) -> tuple[bool, bool]:
    """Return whether the quasi-posterior has a mean and a variance."""
    if quasi_likelihood == "two-step":
        # Normal tails, from the moments alone.
        return True, True
    if not prior.is_proper:
        # check_propriety has left only the nonrobust "cue": r moments exist iff m - k > r.
        surplus = statistic.m - statistic.k
        return surplus > 1, surplus > 2
    has_term = ~np.isnan(prior.df)
    if not has_term.any():
        return True, True
    # Along one coefficient S grows in at least one moment, unless the determinant is left out.
    decay = prior.df[has_term].min() + (1 if quasi_likelihood == "cue" else 0)
    return bool(decay > 1), bool(decay > 2)


def check_leverage(leverage: float, row_label: object) -> None:
    """Refuse an instrument row that is alone in some direction, for "cue" with an HC rule.

    Parameters
    ----------
    leverage : float
        The largest z'(Z'Z)^-1 z.
    row_label : object
        Of that row.

    Raises
    ------
    ImproperPosteriorError
        Naming the row.
    """
    if leverage > LEVERAGE_LIMIT:
        raise ImproperPosteriorError(
            f"row {row_label!r} is the only one with a value in some combination of the "
            "instruments (leverage 1, such as a dummy for a single row): the covariance of the "
            "moments is singular wherever its residual is zero, and quasi_likelihood='cue' cannot "
            "be integrated. Drop the row or the dummy, use cov_type='nonrobust', or "
            "quasi_likelihood='two-step'."
        )


@dataclass(frozen=True, slots=True)
class TailCheck:
    """How much of the quasi-posterior lies far from the mode.

    Attributes
    ----------
    log_ratio : float
        Log of the mass outside the local ellipsoid over the mass of the normal approximation.
    noticeable : bool
        Whether the ratio is above 0.01.
    """

    log_ratio: float
    noticeable: bool


def check_tail(
    posterior: QuasiPosterior,
    mode: FloatArray,
    covariance_root: FloatArray,
    rng: np.random.Generator,
    draws: int = TAIL_DRAWS,
) -> TailCheck | None:
    """Compare the mass far from the mode with the mass around it, by draws from the prior.

    A proper prior is not enough: far out the criterion is flat, and where many coefficients share
    few instruments the volume there can outweigh the density at the mode. Far is a squared
    Mahalanobis distance above four times the .999 point of chi-square(k).

    Parameters
    ----------
    posterior : QuasiPosterior
    mode : ndarray, shape (k,)
        In scaled coordinates.
    covariance_root : ndarray, shape (k, k)
        Lower factor of the covariance at the mode.
    rng : numpy.random.Generator
    draws : int

    Returns
    -------
    TailCheck, or None if the prior is not a proper normal one
    """
    prior = posterior.prior
    if not (prior.is_normal and prior.is_proper):
        return None
    target = posterior.target
    k = target.n_params
    precision = target.arrays["prior_precision"]
    precision_root = np.linalg.cholesky(precision)
    normals = rng.standard_normal((draws, k))
    points = target.arrays["prior_mean"] + np.linalg.solve(precision_root.T, normals.T).T
    far = np.sum(np.linalg.solve(covariance_root, (points - mode).T) ** 2, axis=0)
    likelihood, _ = target.evaluate(points)
    likelihood = np.where(far > 4.0 * stats.chi2.ppf(0.999, k), likelihood, -np.inf)
    log_tail = float(np.logaddexp.reduce(likelihood)) - np.log(draws)
    at_mode = sum(float(part[0]) for part in target.evaluate(mode[None, :]))
    log_volume = 0.5 * k * np.log(2 * np.pi) + np.sum(np.log(np.diag(covariance_root)))
    log_prior_constant = np.sum(np.log(np.diag(precision_root))) - 0.5 * k * np.log(2 * np.pi)
    log_ratio = float(log_tail - (at_mode + log_volume + log_prior_constant))
    return TailCheck(log_ratio, log_ratio > TAIL_WARNING)
