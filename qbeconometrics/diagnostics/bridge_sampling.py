"""Normalising constants by bridge sampling: draws of a density, draws of a proposal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import NumericalError

FloatArray = NDArray[np.float64]

STEPS, TOLERANCE = 1000, 1e-10


@dataclass(frozen=True, slots=True)
class BridgeEstimate:
    """A normalising constant.

    Attributes
    ----------
    log_value : float
        Log of the integral of the density.
    se : float
        Monte Carlo standard error of `log_value`.
    """

    log_value: float
    se: float


def bridge_sampling(
    log_ratio_of_proposals: FloatArray, log_ratio_of_draws: FloatArray, effective_draws: float
) -> BridgeEstimate:
    """Integrate a density by the optimal bridge to a proposal.

    Parameters
    ----------
    log_ratio_of_proposals : ndarray, shape (proposals,)
        Log density, not normalised, less the log density of the proposal, at independent draws from
        the proposal; minus infinity where there is no density.
    log_ratio_of_draws : ndarray, shape (draws,)
        The same at draws from the density, all chains together.
    effective_draws : float
        How many independent draws these are worth.

    Returns
    -------
    BridgeEstimate

    Raises
    ------
    NumericalError
        If there are too few draws, or the iteration does not end.

    References
    ----------
    Meng, X.-L. and Wong, W. H. (1996). Simulating ratios of normalizing constants via a simple
    identity: a theoretical exploration. Statistica Sinica 6, 831-860.

    Frühwirth-Schnatter, S. (2004). Estimating marginal likelihoods for mixture and Markov switching
    models using bridge sampling techniques. Econometrics Journal 7, 143-167: the standard error.

    Examples
    --------
    The integral of exp(-x^2 / 2), with a normal proposal of standard deviation 2:

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> draws, proposals = rng.standard_normal(4000), 2.0 * rng.standard_normal(4000)
    >>> def log_ratio(x):
    ...     return -(x**2) / 2 + (x / 2) ** 2 / 2 + np.log(2.0 * np.sqrt(2.0 * np.pi))
    >>> estimate = bridge_sampling(log_ratio(proposals), log_ratio(draws), 4000)
    >>> abs(estimate.log_value - np.log(2.0 * np.pi) / 2) < 4 * estimate.se < 0.1
    True
    """
    if not effective_draws > 1.0:
        raise NumericalError("the draws are too few, or too dependent, for bridge sampling")
    shift = float(np.median(log_ratio_of_draws))
    proposed, drawn = (
        np.exp(np.clip(one - shift, -700.0, 700.0))
        for one in (log_ratio_of_proposals, log_ratio_of_draws)
    )
    share = effective_draws / (effective_draws + len(proposed))
    value = 1.0
    for _ in range(STEPS):
        upper = np.mean(proposed / (share * proposed + (1 - share) * value))
        lower = np.mean(1.0 / (share * drawn + (1 - share) * value))
        previous, value = value, float(upper / lower)
        if abs(value / previous - 1.0) < TOLERANCE:
            break
    else:
        raise NumericalError("bridge sampling did not converge: the proposal is far from the draws")
    of_proposals = proposed / value / (share * proposed / value + 1 - share)
    of_draws = 1.0 / (share * drawn / value + 1 - share)
    variance = of_proposals.var() / of_proposals.mean() ** 2 / len(proposed)
    variance += of_draws.var() / of_draws.mean() ** 2 / effective_draws
    return BridgeEstimate(shift + float(np.log(value)), float(np.sqrt(variance)))
