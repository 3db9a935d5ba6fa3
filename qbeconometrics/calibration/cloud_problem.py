"""Bootstrap replications of the quasi-posterior of moments that a user wrote.

A walk in each replication would call the function replications x particles times. Instead one cloud
of positions serves all replications and all learning rates: the moments are computed once at each
position, and the particles of a replication are positions resampled by its importance weights. The
algorithm is ours. A cloud that does not suit some learning rate is joined by another that does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.calibration.clouds import Cloud, CloudMixture, power_of_two
from qbeconometrics.calibration.coverage import ParticleSystem, effective_sizes
from qbeconometrics.calibration.replicated_problem import ReplicatedProblem
from qbeconometrics.calibration.tempering import systematic
from qbeconometrics.calibration.user_criteria import UserCriteria
from qbeconometrics.exceptions import NumericalError
from qbeconometrics.posterior.quasi_posterior import ScaledPrior

FloatArray = NDArray[np.float64]

# Effective positions that the median replication, and the one that is worse than all but a
# twentieth, are to have; and those without which there is no answer.
WANTED = 200.0, 60.0
ENOUGH = 150.0, 15.0
# Positions of the first cloud, and of all of them at most, over the particles asked for.
FIRST_SHARE, LARGEST_SHARE = 1.0, 32.0
MOST_CLOUDS = 12
# A cloud is placed anew for a learning rate, instead of by weights, if none was for one within this
# factor and effective positions lack by that factor.
NEAR_RATE = 2.0
FAR_OFF = 10.0
# A cloud that lacks no more than this factor of effective positions is extended, else adapted.
WORTHWHILE = 3.0
# Effective share of tempered weights, by which the next cloud is placed.
TEMPERED_SHARE = 0.1
# Particles for each replication that the next cloud is placed about, and its scale over theirs.
CENTRES = 3
KERNEL = 0.6
# Effective positions, over the number of parameters, that the mean covariance counts as.
SHRUNK = 3.0
# Keeps weights that are all nought from having no effective number.
TINY = 1e-12
# Matrices (replications, positions) that are held at a time.
HELD = 5


class CloudProblem(ReplicatedProblem):
    """Criteria in coordinates whose origin is the estimate, with curvature one.

    Parameters
    ----------
    criteria : UserCriteria
    score_product : ndarray, shape (k, k)
        Covariance of the gradient of the criterion of the data at its minimum.
    minimiser : ndarray, shape (B, k)
    curvature : ndarray, shape (B, k, k)
        Of the criteria with the moments linearised; they help to place the first cloud.
    prior : ScaledPrior
        Of which the normal part helps too.
    log_prior : callable
        Positions (P, k) -> log prior (P,), minus infinity outside the box.
    determinant : bool
        Whether -1/2 log det S belongs to the log density.
    memory_limit : int
        Bytes that the losses of all positions may take.
    functional : callable, optional
        Of positions (M, k), for the region "marginal".

    Raises
    ------
    NumericalError
        By `simulate`, if no cloud within the limits suits a learning rate.
    """

    def __init__(
        self,
        criteria: UserCriteria,
        score_product: FloatArray,
        minimiser: FloatArray,
        curvature: FloatArray,
        prior: ScaledPrior,
        log_prior: Callable[[FloatArray], FloatArray],
        *,
        determinant: bool,
        memory_limit: int,
        functional: Callable[[FloatArray], FloatArray] | None = None,
    ):
        self.criteria, self.score_product = criteria, score_product
        self.minimiser, self.curvature = minimiser, curvature
        self.prior, self.log_prior, self.determinant = prior, log_prior, determinant
        self.functional = functional
        self.loss_at_estimate = criteria.evaluate(np.zeros((1, self.n_params)))[0][:, 0]
        self._most = memory_limit // (8 * HELD * self.replications)
        self._mixture = CloudMixture(self.n_params)
        self._drawn = 0  # clouds, with those that were dropped
        self._losses = np.empty((self.replications, 0))
        # Of everything in the log density that does not depend on the learning rate.
        self._rest = np.empty((self.replications, 0))
        self._log_proposal = np.empty(0)
        self._order = np.empty(0, dtype=np.intp)

    @property
    def replications(self) -> int:
        """Number of replications."""
        return self.criteria.replications

    @property
    def n_params(self) -> int:
        """Number of parameters."""
        return len(self.score_product)

    @property
    def positions(self) -> int:
        """Number of positions at which the function was called."""
        return len(self._mixture.positions)

    def simulate(self, rate: float, seed: np.random.SeedSequence, particles: int) -> ParticleSystem:
        """Resample particles of all replications from the cloud, which grows if it has to.

        Raises
        ------
        NumericalError
        """
        weights, sizes = self._suitable_weights(rate, seed, particles)
        order = self._order
        # Neighbours in the order of resampling are from all clouds alike.
        chosen = order[systematic(weights[:, order], np.random.default_rng(seed), particles)]
        losses = np.take_along_axis(self._losses, chosen, axis=1)
        worth = np.minimum(sizes / particles, 1.0)
        return ParticleSystem(rate, self._mixture.positions[chosen], losses, worth)

    def weights(self, rate: float) -> FloatArray:
        """Return importance weights (B, positions), which sum to one in each replication."""
        return _normalised(-rate * self._losses + self._rest - self._log_proposal)

    def _suitable_weights(
        self, rate: float, seed: np.random.SeedSequence, particles: int
    ) -> tuple[FloatArray, FloatArray]:
        """Return weights, and effective numbers of positions (B,), after adding clouds."""
        first = power_of_two(FIRST_SHARE * particles)
        most = min(LARGEST_SHARE * particles, self._most)
        sizes, lacking = np.zeros(self.replications), np.inf
        for _ in range(MOST_CLOUDS):
            if self._mixture.clouds:
                weights = self.weights(rate)
                sizes = effective_sizes(weights)
                lacking = _lacking(sizes, WANTED)
                if lacking <= 1.0:
                    return weights, sizes
            own = np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, self._drawn))
            rng = np.random.default_rng(own)
            if lacking > FAR_OFF and not any(self._near(rate)):
                cloud = self._linearised_cloud(rate, first)
            else:
                # Many more positions of a kind that suits badly would help little.
                more = lacking - 1.0 if lacking < WORTHWHILE else 0.5
                size = power_of_two(max(0.5 * first, 0.7 * more * self.positions))
                cloud = self._adapted_cloud(rate, size, rng)
            if self.positions + cloud.size > most:
                self._forget(rate)
            if self.positions + cloud.size > most:
                break
            self._add(cloud, rng)
        if self._mixture.clouds:
            weights = self.weights(rate)
            sizes = effective_sizes(weights)
            if _lacking(sizes, ENOUGH) <= 1.0:
                return weights, sizes
        raise NumericalError(
            f"a cloud of {self.positions} positions serves the replications badly at learning rate "
            f"{rate:.3g}: the median one has {np.median(sizes):.0f} effective positions and needs "
            f"{ENOUGH[0]:.0f}, and 5 % have fewer than {np.quantile(sizes, 0.05):.0f} where "
            f"{ENOUGH[1]:.0f} are needed. Their quasi-posteriors lie too far apart, or there are "
            f"too many parameters ({self.n_params}) for one cloud: raise particles or "
            "memory_limit, give a tighter prior, or estimate fewer parameters"
        )

    def _linearised_cloud(self, rate: float, size: int) -> Cloud:
        """The cloud if the moments were linear, with the normal part of the prior."""
        precision = rate * self.curvature + self.prior.precision
        pull = rate * np.einsum("bkl,bl->bk", self.curvature, self.minimiser)
        pull += self.prior.precision @ self.prior.mean
        inverse = np.linalg.inv(precision)
        covariance = np.asarray((inverse + inverse.swapaxes(1, 2)) / 2.0)
        centres = np.einsum("bkl,bl->bk", covariance, pull)
        of = np.arange(self.replications)
        roots = np.asarray(np.linalg.cholesky(covariance))
        return Cloud(np.asarray(centres), roots, of, size, rate)

    def _adapted_cloud(self, rate: float, size: int, rng: np.random.Generator) -> Cloud:
        """A cloud about particles of the replications, under weights that are not too uneven."""
        log_weights = -rate * self._losses + self._rest - self._log_proposal
        power = 1.0
        weights = _normalised(log_weights)
        while (
            np.median(effective_sizes(weights)) < TEMPERED_SHARE * self.positions and power > 0.01
        ):
            power *= 0.8
            weights = _normalised(power * log_weights)
        means = weights @ self._mixture.positions
        products = self._mixture.positions[:, :, None] * self._mixture.positions[:, None, :]
        second = weights @ products.reshape(self.positions, -1)
        within = second.reshape(-1, self.n_params, self.n_params)
        within = within - means[:, :, None] * means[:, None, :]
        # Few effective positions say little of their covariance: that of all stands in for it.
        known = effective_sizes(weights + TINY)[:, None, None]
        unknown = SHRUNK * self.n_params
        within = (known * within + unknown * within.mean(axis=0)) / (known + unknown)
        roots = KERNEL * np.linalg.cholesky(within)
        # More of them about the replications that have few effective positions, which lie outside.
        shares = 1.0 / effective_sizes(_normalised(log_weights) + TINY)
        of = systematic(shares[None], rng, CENTRES * self.replications)[0]
        chosen = [systematic(weights[b, None], rng, 1)[0, 0] for b in of]
        return Cloud(self._mixture.positions[chosen], roots, of, size, rate)

    def _add(self, cloud: Cloud, rng: np.random.Generator) -> None:
        positions = cloud.draw(rng)
        log_prior = self.log_prior(positions)
        # Outside the box the function need not be defined, and is not called.
        inside = np.isfinite(log_prior)
        losses = np.full((self.replications, cloud.size), np.inf)
        rest = np.full((self.replications, cloud.size), -np.inf)
        found, halves = self.criteria.evaluate(positions[inside])
        losses[:, inside] = found
        rest[:, inside] = log_prior[inside] - (halves if self.determinant else 0.0)
        self._mixture.add(cloud, positions)
        self._drawn += 1
        self._losses = np.concatenate([self._losses, losses], axis=1)
        self._rest = np.concatenate([self._rest, rest], axis=1)
        self._mix(rng)

    def _forget(self, rate: float) -> None:
        """Drop the clouds that were for other learning rates."""
        left = self._mixture.keep(self._near(rate))
        self._losses, self._rest = self._losses[:, left], self._rest[:, left]
        self._mix(np.random.default_rng(0))

    def _near(self, rate: float) -> list[bool]:
        """Return which clouds were placed for a learning rate near this one."""
        return [
            bool(abs(np.log(rate / one.rate)) < np.log(NEAR_RATE)) for one in self._mixture.clouds
        ]

    def _mix(self, rng: np.random.Generator) -> None:
        several = len(self._mixture.clouds) > 1
        # Runs of a Sobol sequence are even; several have to be mixed.
        self._order = rng.permutation(self.positions) if several else np.arange(self.positions)
        if self._mixture.clouds:
            self._log_proposal = self._mixture.log_density


def _normalised(log_weights: FloatArray) -> FloatArray:
    """Weights (B, P) that sum to one; nought where no position has any."""
    largest = log_weights.max(axis=1)[:, None]
    weights = np.exp(log_weights - np.where(np.isfinite(largest), largest, 0.0))
    total = weights.sum(axis=1)[:, None]
    return np.asarray(weights / np.where(total > 0.0, total, 1.0))


def _lacking(sizes: FloatArray, wanted: tuple[float, float]) -> float:
    """How many times more positions are needed, if more of the same kind help; one is enough."""
    worst = float(np.quantile(sizes, 0.05))
    if not (worst > 0.0 and np.isfinite(sizes).all()):
        return np.inf
    return max(wanted[0] / float(np.median(sizes)), wanted[1] / worst)
