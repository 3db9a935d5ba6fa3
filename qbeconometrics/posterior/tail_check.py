"""Does the region far from the mode matter?

A proper prior is not enough: far out the criterion n g'S^-1 g is flat, and where many coefficients
share few instruments the volume there can outweigh the density at the mode. A chain that starts at
the mode may never find that region and looks converged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from qbeconometrics.posterior.prior_draws import draw_prior, log_prior_constant
from qbeconometrics.posterior.surrogate import NormalSurrogate
from qbeconometrics.posterior.target import Posterior

FloatArray = NDArray[np.float64]

TAIL_DRAWS = 2_000
# Points evaluated in one call: between calls Ctrl-C is heard.
CALL_POINTS = 50
NOTICEABLE = float(np.log(0.01))
FAR_POINTS = 64


@dataclass(frozen=True, slots=True)
class TailCheck:
    """How much of the quasi-posterior lies far from the mode.

    Attributes
    ----------
    log_ratio : float
        Log of the mass outside the local ellipsoid over the mass of the normal approximation.
    far_points : ndarray, shape (points, k)
        Points of that region, drawn by their weight; none if it has no weight.
    """

    log_ratio: float
    far_points: FloatArray

    @property
    def noticeable(self) -> bool:
        """Whether the ratio is above 0.01."""
        return self.log_ratio > NOTICEABLE


def check_tail(
    posterior: Posterior,
    mode: FloatArray,
    surrogate: NormalSurrogate,
    rng: np.random.Generator,
    draws: int = TAIL_DRAWS,
) -> TailCheck | None:
    """Compare the mass far from the mode with the mass around it, by draws from the prior.

    Far is a squared Mahalanobis distance above four times the .999 point of chi-square(k).

    Parameters
    ----------
    posterior : Posterior
    mode : ndarray, shape (k,)
        In scaled coordinates.
    surrogate : NormalSurrogate
        At the mode.
    rng : numpy.random.Generator
    draws : int

    Returns
    -------
    TailCheck, or None if the prior is flat in some parameter, or the density is log-concave
    """
    prior = posterior.prior
    if posterior.log_concave or not prior.is_proper:
        return None
    target = posterior.target
    k = target.n_params
    points = scaled_prior_draws(posterior, rng, draws)
    distance = np.sum(np.linalg.solve(surrogate.root, (points - mode).T) ** 2, axis=0)
    far = points[distance > 4.0 * stats.chi2.ppf(0.999, k)]
    calls = [far[start : start + CALL_POINTS] for start in range(0, len(far), CALL_POINTS)]
    likelihood = np.concatenate([target.evaluate(call)[0] for call in calls] or [np.empty(0)])
    log_tail = float(np.logaddexp.reduce(likelihood, initial=-np.inf)) - np.log(draws)
    at_mode = sum(float(part[0]) for part in target.evaluate(mode[None, :]))
    log_volume = 0.5 * k * np.log(2 * np.pi) + np.sum(np.log(np.diag(surrogate.root)))
    log_volume += np.linalg.slogdet(posterior.basis.regressor_map)[1]
    log_ratio = float(log_tail - (at_mode + log_volume + log_prior_constant(prior)))
    chosen = np.empty((0, k))
    if np.isfinite(log_tail):
        weight = np.exp(likelihood - likelihood.max())
        chosen = far[rng.choice(len(far), size=FAR_POINTS, p=weight / weight.sum())]
    return TailCheck(log_ratio, chosen)


def scaled_prior_draws(posterior: Posterior, rng: np.random.Generator, draws: int) -> FloatArray:
    """Draws (draws, k) from the prior in scaled coordinates."""
    if not posterior.prior.is_normal:
        return posterior.basis.to_scaled(draw_prior(posterior.prior, rng, draws))
    # Drawn there, since the way from the parameters loses digits where regressors are far from
    # zero; scaled to a unit diagonal first, since the entries may differ by many powers of ten.
    arrays = posterior.target.arrays
    precision = arrays["prior_precision"]
    scale = np.sqrt(np.diag(precision))
    root = np.linalg.cholesky(precision / np.outer(scale, scale))
    normals = rng.standard_normal((draws, len(scale)))
    points: FloatArray = arrays["prior_mean"] + np.linalg.solve(root.T, normals.T).T / scale
    return points
