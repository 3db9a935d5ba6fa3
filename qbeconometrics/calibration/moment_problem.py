"""Bootstrap replications of the quasi-posterior of linear moments with fixed weights.

The criterion of a replication is quadratic, so with a normal or flat prior its quasi-posterior is
normal at every learning rate: particles are exact, independent, and made from the same standard
normal numbers at all rates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.calibration.coverage import ParticleSystem
from qbeconometrics.calibration.replicated_problem import ReplicatedProblem

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class MomentProblem(ReplicatedProblem):
    """Criteria in coordinates in which that of the data has minimum zero and curvature one.

    Attributes
    ----------
    curvature : ndarray, shape (B, k, k)
    minimiser : ndarray, shape (B, k)
    score_product : ndarray, shape (k, k)
        Covariance of the gradient of the criterion of the data at its minimum.
    prior_precision : ndarray, shape (k, k)
    prior_mean : ndarray, shape (k,)
    functional : callable, optional
        Of positions (M, k), for the region "marginal".
    """

    curvature: FloatArray
    minimiser: FloatArray
    score_product: FloatArray
    prior_precision: FloatArray
    prior_mean: FloatArray
    functional: Callable[[FloatArray], FloatArray] | None = None

    @property
    def replications(self) -> int:
        """Number of replications."""
        return len(self.minimiser)

    @property
    def n_params(self) -> int:
        """Number of coefficients."""
        return self.minimiser.shape[1]

    @property
    def loss_at_estimate(self) -> FloatArray:
        """Criterion of the estimate in each replication (B,), above its minimum."""
        return self._losses(np.zeros((self.replications, 1, self.n_params)))[:, 0]

    def _losses(self, positions: FloatArray) -> FloatArray:
        distance = positions - self.minimiser[:, None]
        return np.asarray(0.5 * np.einsum("bmk,bmk->bm", distance @ self.curvature, distance))

    def simulate(self, rate: float, seed: np.random.SeedSequence, particles: int) -> ParticleSystem:
        """Draw independent particles; each replication has the same numbers at any rate."""
        k = self.n_params
        precision = rate * self.curvature + self.prior_precision
        pull = rate * np.einsum("bkl,bl->bk", self.curvature, self.minimiser)
        pull += self.prior_precision @ self.prior_mean
        mean = np.linalg.solve(precision, pull[:, :, None])[:, :, 0]
        root = np.linalg.inv(np.linalg.cholesky(precision))
        positions = np.empty((self.replications, particles, k))
        for b, own in enumerate(_streams(seed, self.replications)):
            normal = np.random.default_rng(own).standard_normal((particles, k))
            positions[b] = mean[b] + normal @ root[b]
        return ParticleSystem(rate, positions, self._losses(positions))


def _streams(seed: np.random.SeedSequence, count: int) -> list[np.random.SeedSequence]:
    """Children of a seed that are the same whenever they are asked for."""
    return [
        np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, b)) for b in range(count)
    ]
