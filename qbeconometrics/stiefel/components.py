"""Probabilistic principal components in the coordinates of a chart: density, starts, draws back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qbeconometrics.kernels._components import ComponentDensity
from qbeconometrics.stiefel.base import Chart
from qbeconometrics.stiefel.chart_names import away_from_holes, chart_around
from qbeconometrics.stiefel.checks import FloatArray
from qbeconometrics.stiefel.eigenmodel import leading_of_mean, match_signs

# Starts: sds of what is added to the elements of sqrt(p) Q, and to the other coordinates.
JITTER = 0.1
# Least share of the noise variance that a start gives to a squared length, and to their gaps.
LEAST_LENGTH = 0.01


@dataclass(frozen=True, slots=True)
class PrincipalComponents:
    """Sums of products of data with the prior of their components.

    Attributes
    ----------
    scatter : ndarray, shape (p, p)
        Of centred data.
    n : int
        Degrees of freedom of it.
    rank : int
    scale : float
        Prior sd of loadings, and of the half-normal noise sd.
    """

    scatter: FloatArray
    n: int
    rank: int
    scale: float

    def maximum_likelihood(self) -> tuple[FloatArray, FloatArray, float]:
        """Return components (p, k), their lengths (k,) and the noise sd.

        Following Tipping and Bishop (1999, Journal of the Royal Statistical Society B 61, 611).
        """
        values, vectors = np.linalg.eigh(self.scatter / self.n)
        noise = float(values[: -self.rank].mean())
        lengths = np.sqrt(np.maximum(values[: -self.rank - 1 : -1] - noise, 0.0))
        return vectors[:, : -self.rank - 1 : -1], lengths, float(np.sqrt(noise))

    def chart(self, parameterization: str) -> Chart:
        """Return a chart; that of Cayley is centred at the components of maximum likelihood.

        Raises
        ------
        OptionError
        """
        return chart_around(parameterization, away_from_holes(self.maximum_likelihood()[0]))

    def density(self, chart: Chart) -> ComponentDensity:
        """Return the posterior density, with work space of its own: each thread takes one."""
        return ComponentDensity(chart._map, self.scatter / self.scale**2, float(self.n))

    def start(self, chart: Chart, rng: np.random.Generator) -> FloatArray:
        """Return coordinates near the estimates of maximum likelihood."""
        Q, lengths, noise = self.maximum_likelihood()
        Q = away_from_holes(Q)
        moved = Q + JITTER / np.sqrt(len(Q)) * rng.standard_normal(Q.shape)
        left, _, right = np.linalg.svd(moved, full_matrices=False)
        gaps = lengths - np.append(lengths[1:], 0.0)
        numbers = np.log(np.append(np.maximum(gaps, LEAST_LENGTH * noise), noise) / self.scale)
        numbers += JITTER * rng.standard_normal(numbers.size)
        return np.concatenate([chart.from_matrix(left @ right), numbers])


@dataclass(frozen=True, slots=True)
class ComponentDraws:
    """Draws in units of the data.

    Attributes
    ----------
    vectors : ndarray, shape (chains, draws, p, k)
        In descending order of lengths, with the signs nearest to `reference`.
    lengths : ndarray, shape (chains, draws, k)
    noise : ndarray, shape (chains, draws)
        Standard deviations.
    reference : ndarray, shape (p, k)
        Leading eigenvectors of the mean of Q diag(l^2) Q'.
    """

    vectors: FloatArray
    lengths: FloatArray
    noise: FloatArray
    reference: FloatArray


def unpack_components(chart: Chart, draws: FloatArray, scale: float) -> ComponentDraws:
    """Return matrices and numbers from coordinates (chains, draws, size)."""
    lead, k = draws.shape[:2], chart.k
    flat = draws.reshape(-1, draws.shape[2])
    vectors = np.stack([chart.to_matrix(x[: chart.size]) for x in flat])
    numbers = scale * np.exp(flat[:, chart.size :])
    lengths = np.cumsum(numbers[:, k - 1 :: -1], axis=1)[:, ::-1]
    reference = leading_of_mean(vectors, lengths**2)
    match_signs(vectors, reference)
    return ComponentDraws(
        vectors.reshape(*lead, chart.p, k),
        lengths.reshape(*lead, k),
        numbers[:, k].reshape(lead),
        reference,
    )
