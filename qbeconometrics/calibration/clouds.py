"""Clouds of positions, from mixtures of multivariate Student-t laws, with the density of all.

Positions of several clouds are weighted by the density of the mixture of them all, each with its
share of the positions (Owen and Zhou 2000, Journal of the American Statistical Association 95,
135-143).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.special import logsumexp, ndtri
from scipy.stats import chi2
from scipy.stats.qmc import Sobol

FloatArray = NDArray[np.float64]

# Degrees of freedom: tails heavier than those of what is to be covered.
DF = 5.0
# Numbers that are nought or one have no quantile.
EDGE = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Cloud:
    """A mixture, in equal parts, of Student-t laws.

    Attributes
    ----------
    centres : ndarray, shape (c, k)
    roots : ndarray, shape (r, k, k)
        Lower factors of their scales.
    chosen : ndarray of int, shape (c,)
        Which of them goes with each centre.
    size : int
        Number of positions, a power of two.
    rate : float
        Learning rate that it was placed for.
    """

    centres: FloatArray
    roots: FloatArray
    chosen: NDArray[np.intp]
    size: int
    rate: float

    def draw(self, rng: np.random.Generator) -> FloatArray:
        """Return positions (size, k) from a Sobol sequence that is shifted at random."""
        k = self.centres.shape[1]
        sequence = Sobol(k + 2, scramble=False).random_base2(int(np.log2(self.size)))
        numbers = np.clip((sequence + rng.random(k + 2)) % 1.0, EDGE, 1.0 - EDGE)
        part = (numbers[:, k + 1] * len(self.centres)).astype(np.intp)
        stretch = np.sqrt(DF / chi2.ppf(numbers[:, k], DF))
        normal = stretch[:, None] * ndtri(numbers[:, :k])
        steps = np.einsum("pij,pj->pi", self.roots[self.chosen[part]], normal)
        return np.asarray(self.centres[part] + steps)

    def log_density(self, positions: FloatArray) -> FloatArray:
        """Return the log density (P,) up to a constant that all clouds share."""
        k = self.centres.shape[1]
        power = -0.5 * (DF + k)
        # Relative to one of them, so that no units overflow; tails of powers do not underflow.
        sizes = np.log(np.einsum("rjj->rj", self.roots)).sum(axis=1)
        total = np.zeros(len(positions))
        for i in np.unique(self.chosen):
            inverse = np.linalg.inv(self.roots[i]).T
            centres = self.centres[self.chosen == i] @ inverse
            squares = cdist(positions @ inverse, centres, "sqeuclidean")
            kernel = (1.0 + squares / DF) ** power
            total += np.exp(sizes[0] - sizes[i]) * kernel.sum(axis=1)
        return np.asarray(np.log(total) - sizes[0] - np.log(len(self.centres)))


class CloudMixture:
    """Positions of several clouds, and the density of the mixture that they are from."""

    def __init__(self, n_params: int):
        self.clouds: list[Cloud] = []
        self.positions = np.empty((0, n_params))
        self._each = np.empty((0, 0))

    @property
    def log_density(self) -> FloatArray:
        """Log density (P,) at all positions, up to a constant."""
        shares = np.log([cloud.size for cloud in self.clouds])
        return np.asarray(logsumexp(self._each + (shares - logsumexp(shares))[:, None], axis=0))

    def add(self, cloud: Cloud, positions: FloatArray) -> None:
        """Add a cloud with the positions (size, k) that were drawn from it."""
        before = [one.log_density(positions) for one in self.clouds]
        self.clouds.append(cloud)
        self._each = np.vstack([self._each, cloud.log_density(self.positions)])
        self._each = np.hstack([self._each, [*before, cloud.log_density(positions)]])
        self.positions = np.concatenate([self.positions, positions])

    def keep(self, kept: list[bool]) -> NDArray[np.bool_]:
        """Drop the other clouds, and return which positions (P,) are left."""
        chosen = np.array(kept, dtype=bool)
        left = np.repeat(chosen, [cloud.size for cloud in self.clouds])
        self.clouds = [cloud for cloud, keep in zip(self.clouds, kept, strict=True) if keep]
        self.positions, self._each = self.positions[left], self._each[chosen][:, left]
        return left


def power_of_two(number: float) -> int:
    """Return the least power of two that is not below `number`."""
    return int(2 ** max(0, int(np.ceil(np.log2(number)))))
