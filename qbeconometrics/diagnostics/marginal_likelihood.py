"""Integrals of prior times quasi-likelihood, by importance or bridge sampling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from qbeconometrics.diagnostics.bridge_sampling import bridge_sampling
from qbeconometrics.diagnostics.convergence import bulk_ess
from qbeconometrics.diagnostics.pareto_smoothing import smooth_weights
from qbeconometrics.exceptions import NumericalError, OptionError, check_choice
from qbeconometrics.posterior.prior_draws import log_prior_constant
from qbeconometrics.posterior.surrogate import NormalSurrogate
from qbeconometrics.posterior.tail_check import scaled_prior_draws
from qbeconometrics.posterior.target import Posterior

FloatArray = NDArray[np.float64]

METHODS = ("importance", "bridge")

# The proposal: Student-t around the draws and around the mode, and the prior, which bounds the
# weights however far the quasi-posterior reaches.
PROPOSAL_DF = 5.0
SHARES = np.array([0.45, 0.45, 0.10])


@dataclass(frozen=True, slots=True)
class QuasiMarginalLikelihood:
    """Log of the integral of the prior density times the quasi-likelihood.

    Attributes
    ----------
    log_value : float
    se : float
        Monte Carlo standard error of `log_value`; 0 where it is exact.
    method : str
        "exact", "importance" or "bridge".
    ess : float
        Effective number of proposals ("importance"), or of draws ("bridge").
    pareto_k : float
        Shape of the tail of the importance weights: unreliable above 0.7. NaN otherwise.
    """

    log_value: float
    se: float
    method: str
    ess: float = np.nan
    pareto_k: float = np.nan


@dataclass(frozen=True, slots=True)
class _Student:
    """Student-t law in scaled coordinates."""

    mean: FloatArray
    root: FloatArray

    def draw(self, rng: np.random.Generator, count: int) -> FloatArray:
        normals = rng.standard_normal((count, len(self.mean)))
        scale = np.sqrt(rng.chisquare(PROPOSAL_DF, count) / PROPOSAL_DF)
        return self.mean + (normals / scale[:, None]) @ self.root.T

    def log_density(self, points: FloatArray) -> FloatArray:
        k, df = len(self.mean), PROPOSAL_DF
        distance = np.sum(np.linalg.solve(self.root, (points - self.mean).T) ** 2, axis=0)
        constant = gammaln((df + k) / 2) - gammaln(df / 2) - k / 2 * np.log(df * np.pi)
        constant -= np.sum(np.log(np.abs(np.diag(self.root))))
        return np.asarray(constant - (df + k) / 2 * np.log1p(distance / df))


@dataclass(frozen=True, slots=True)
class _Problem:
    """Integrand and proposal, both with their constants, as functions of scaled coordinates."""

    posterior: Posterior
    around: tuple[_Student, _Student]
    log_prior_shift: float
    log_shift: float

    def log_parts(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log integrand and log density of the proposal at `points` (points, k)."""
        likelihood, kernel = self.posterior.target.evaluate(points)
        prior = np.asarray(kernel) + self.log_prior_shift
        integrand = np.where(np.isfinite(likelihood), likelihood, -np.inf) + prior + self.log_shift
        parts = [*(one.log_density(points) for one in self.around), prior]
        proposal = np.logaddexp.reduce(np.log(SHARES)[:, None] + np.array(parts), axis=0)
        return np.asarray(integrand), np.asarray(proposal)

    def propose(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Draws (count, k), a fixed share from each part."""
        counts = _counts(count)
        first, second = (
            one.draw(rng, number) for one, number in zip(self.around, counts[:2], strict=True)
        )
        return np.vstack([first, second, scaled_prior_draws(self.posterior, rng, counts[2])])


def _counts(count: int) -> NDArray[np.int_]:
    """How many proposals come from each part."""
    counts = np.floor(SHARES * count).astype(int)
    counts[0] += count - counts.sum()
    return counts


def quasi_marginal_likelihood(
    posterior: Posterior,
    draws: FloatArray,
    mode: FloatArray,
    *,
    log_normaliser: float = 0.0,
    method: str = "importance",
    proposals: int = 20_000,
    rng: np.random.Generator,
) -> QuasiMarginalLikelihood:
    """Integrate the prior times the quasi-likelihood.

    Parameters
    ----------
    posterior : Posterior
        With a proper prior.
    draws : ndarray, shape (chain, draw, k)
        From it, in scaled coordinates.
    mode : ndarray, shape (k,)
        In scaled coordinates.
    log_normaliser : float
        Added to the log quasi-likelihood.
    method : {"importance", "bridge"}
        "bridge" (Meng and Wong 1996) fits its proposal to one half of the draws and uses the other.
    proposals : int
    rng : numpy.random.Generator

    Returns
    -------
    QuasiMarginalLikelihood

    Raises
    ------
    OptionError
        If the prior is flat somewhere.

    References
    ----------
    Meng, X.-L. and Wong, W. H. (1996). Simulating ratios of normalizing constants via a simple
    identity: a theoretical exploration. Statistica Sinica 6, 831-860.

    Frühwirth-Schnatter, S. (2004). Estimating marginal likelihoods for mixture and Markov switching
    models using bridge sampling techniques. Econometrics Journal 7, 143-167.
    """
    check_choice(method, METHODS, "method")
    if not posterior.prior.is_proper:
        raise OptionError(
            "a marginal likelihood needs a proper prior of every coefficient, but that of "
            f"{', '.join(posterior.prior.flat)} is flat"
        )
    volume = float(np.linalg.slogdet(posterior.basis.regressor_map)[1])
    surrogate = posterior.surrogate_at(mode)
    half = max(draws.shape[1] // 2, 1)
    fitted = draws if method == "importance" else draws[:, :half]
    problem = _Problem(
        posterior,
        (_around_draws(fitted, surrogate), _Student(mode, surrogate.root)),
        log_prior_constant(posterior.prior) + volume,
        posterior.log_constant + log_normaliser,
    )
    if posterior.exactly_normal:
        return QuasiMarginalLikelihood(_exact(problem, surrogate), 0.0, "exact")
    points = problem.propose(rng, proposals)
    if method == "importance":
        return _importance(*problem.log_parts(points))
    kept = draws[:, half:]
    size = float(np.min(bulk_ess(kept)))
    proposed, drawn = (
        np.subtract(*problem.log_parts(one)) for one in (points, kept.reshape(-1, kept.shape[2]))
    )
    try:
        found = bridge_sampling(proposed, drawn, size)
    except NumericalError as error:
        raise NumericalError(f"{error}; use method='importance'") from error
    return QuasiMarginalLikelihood(found.log_value, found.se, "bridge", size)


def _around_draws(draws: FloatArray, surrogate: NormalSurrogate) -> _Student:
    """Median and spread of the draws; the law at the mode if they are too few."""
    pooled = draws.reshape(-1, draws.shape[2])
    if len(pooled) < 10 * pooled.shape[1]:
        return _Student(surrogate.mean, surrogate.root)
    covariance = np.atleast_2d(np.cov(pooled.T))
    root = np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
    return _Student(np.median(pooled, axis=0), root)


def _exact(problem: _Problem, law: NormalSurrogate) -> float:
    """Integrand over the normal density, at its mean."""
    k = len(law.mean)
    at_mean = float(problem.log_parts(law.mean[None, :])[0][0])
    return at_mean + k / 2 * float(np.log(2 * np.pi)) + float(np.sum(np.log(np.diag(law.root))))


def _importance(integrand: FloatArray, proposal: FloatArray) -> QuasiMarginalLikelihood:
    ratios = integrand - proposal
    smoothed = smooth_weights(ratios)
    largest = float(ratios.max())
    weights = np.exp(ratios - largest)
    mean = float(weights.mean())
    # Each part has a fixed number of proposals, so that only the spread within parts counts.
    parts = np.split(weights, np.cumsum(_counts(len(weights)))[:-1])
    variance = sum(len(part) * float(part.var(ddof=1)) for part in parts) / len(weights) ** 2
    se = np.sqrt(variance) / mean
    ess = float(weights.sum() ** 2 / (weights @ weights))
    return QuasiMarginalLikelihood(
        largest + float(np.log(mean)), float(se), "importance", ess, smoothed.pareto_k
    )
