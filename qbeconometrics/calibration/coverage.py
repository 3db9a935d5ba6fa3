"""Coverage of credible regions at any learning rate, from weighted particles.

Particles of replication b, drawn at one rate, are worth exp(-(difference of the rates) L_b) at
another. A region covers if it holds the estimate from the original rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

REGIONS = ("loss", "ellipse", "marginal")


@dataclass(frozen=True, slots=True)
class ParticleSystem:
    """Particles of all replications at one learning rate.

    Attributes
    ----------
    rate : float
    positions : ndarray, shape (B, M, k)
        In the coordinates of the problem.
    losses : ndarray, shape (B, M)
        Summed loss of each particle in its replication.
    worth : float or ndarray, shape (B,)
        Effective number of what the particles were resampled from, as a share of M; 1 where they
        were not.
    """

    rate: float
    positions: FloatArray
    losses: FloatArray
    worth: float | FloatArray = 1.0

    def part(self, particles: slice) -> ParticleSystem:
        """Return some of the particles of each replication."""
        chosen = self.positions[:, particles], self.losses[:, particles]
        return ParticleSystem(self.rate, *chosen, self.worth)


@dataclass(frozen=True, slots=True)
class Region:
    """Which region is to cover, and what.

    Attributes
    ----------
    kind : {"loss", "ellipse", "marginal"}
    alpha : float
        One minus the level.
    estimate : ndarray, shape (k,)
        In the coordinates of the particles.
    loss_at_estimate : ndarray, shape (B,)
    values : ndarray, shape (B, M), or None
        For "marginal", the functional of the particles, beside `value_at_estimate`.
    value_at_estimate : float
    """

    kind: str
    alpha: float
    estimate: FloatArray
    loss_at_estimate: FloatArray
    value_at_estimate: float = 0.0


def weights_at(system: ParticleSystem, rate: float | FloatArray) -> FloatArray:
    """Return weights (B, M) that sum to one in each replication; rates may be (B, 1)."""
    weights = np.asarray((system.rate - rate) * system.losses)
    weights -= weights.max(axis=1, keepdims=True)
    # In place: new arrays of this size cost as much as the arithmetic.
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def effective_sizes(weights: FloatArray) -> FloatArray:
    """Return the effective number of particles (B,) of weights (B, M)."""
    return np.asarray(1.0 / np.einsum("bm,bm->b", weights, weights))


def covered(
    system: ParticleSystem,
    region: Region,
    rate: float | FloatArray,
    values: FloatArray | None = None,
) -> NDArray[np.bool_]:
    """Return whether the region of each replication (B,) covers the estimate.

    Parameters
    ----------
    system : ParticleSystem
    region : Region
    rate : float or ndarray, shape (B, 1)
    values : ndarray, shape (B, M), optional
        The functional of the particles, for the region "marginal".
    """
    weights = weights_at(system, rate)
    if region.kind == "loss":
        inside = np.einsum("bm,bm->b", weights, system.losses < region.loss_at_estimate[:, None])
        return np.asarray(inside <= 1.0 - region.alpha)
    if region.kind == "marginal":
        assert values is not None
        below = np.einsum("bm,bm->b", weights, values <= region.value_at_estimate)
        return np.asarray((below >= region.alpha / 2) & (below <= 1.0 - region.alpha / 2))
    distance = _squared_distances(system.positions, weights, region.estimate)
    inside = np.einsum("bm,bm->b", weights, distance[:, 1:] < distance[:, :1])
    return np.asarray(inside <= 1.0 - region.alpha)


def _squared_distances(
    positions: FloatArray, weights: FloatArray, estimate: FloatArray
) -> FloatArray:
    """Mahalanobis distances (B, 1 + M) of the estimate and of the particles from their mean."""
    mean = np.einsum("bm,bmk->bk", weights, positions)
    centred = positions - mean[:, None]
    covariance = np.einsum("bm,bmk,bml->bkl", weights, centred, centred)
    points = np.concatenate([(estimate - mean)[:, None], centred], axis=1)
    precision = np.linalg.pinv(covariance, hermitian=True)
    return np.asarray(np.einsum("bmk,bkl,bml->bm", points, precision, points))
