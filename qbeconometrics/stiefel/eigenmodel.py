"""Network eigenmodel in the coordinates of a chart: density, starts, and draws back to matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from qbeconometrics.kernels._network import NetworkDensity
from qbeconometrics.stiefel.base import Chart
from qbeconometrics.stiefel.chart_names import away_from_holes, chart_around
from qbeconometrics.stiefel.checks import FloatArray

# Starts: sd of what is added to the elements of sqrt(p) Q, and range of factors of eigenvalues. The
# linear approximation to Phi gives eigenvalues that are too large.
JITTER = 0.1
SHRINKAGE = (0.4, 0.8)


@dataclass(frozen=True, slots=True)
class Eigenmodel:
    """A network with the prior of its eigenmodel.

    Attributes
    ----------
    links : ndarray of bool, shape (p, p)
    rank : int
    eigenvalue_scale, intercept_scale : float
        Prior sds.
    """

    links: NDArray[np.bool_]
    rank: int
    eigenvalue_scale: float
    intercept_scale: float

    def leading(self) -> tuple[FloatArray, FloatArray]:
        """Return eigenvalues (k,) of the links, largest in size first, and eigenvectors (p, k)."""
        values, vectors = np.linalg.eigh(self.links.astype(float))
        order = np.argsort(-np.abs(values), kind="stable")[: self.rank]
        return values[order], away_from_holes(vectors[:, order])

    def chart(self, parameterization: str) -> Chart:
        """Return a chart; that of Cayley is centred at the leading eigenvectors.

        Raises
        ------
        OptionError
        """
        return chart_around(parameterization, self.leading()[1])

    def density(self, chart: Chart) -> NetworkDensity:
        """Return the posterior density, with work space of its own: each thread takes one."""
        return NetworkDensity(
            chart._map,
            self.links,
            self.eigenvalue_scale,
            self.intercept_scale,
            chart._log_constant,
        )

    def start(self, chart: Chart, rng: np.random.Generator) -> FloatArray:
        """Return coordinates near the leading eigenvectors of the links."""
        p = len(self.links)
        values, vectors = self.leading()
        moved = vectors + JITTER / np.sqrt(p) * rng.standard_normal(vectors.shape)
        left, _, right = np.linalg.svd(moved, full_matrices=False)
        intercept = ndtri(self.links.sum() / (p * (p - 1)))
        height = np.exp(-0.5 * intercept**2) / np.sqrt(2.0 * np.pi)
        eigenvalues = values / height * rng.uniform(*SHRINKAGE, self.rank)
        return np.concatenate(
            [
                chart.from_matrix(left @ right),
                eigenvalues / self.eigenvalue_scale,
                [intercept + JITTER * rng.standard_normal()],
            ]
        )


@dataclass(frozen=True, slots=True)
class EigenmodelDraws:
    """Draws, the eigenvalues of each in descending order.

    Attributes
    ----------
    vectors : ndarray, shape (chains, draws, p, k)
        Signs are those nearest to `reference`.
    eigenvalues : ndarray, shape (chains, draws, k)
    intercept : ndarray, shape (chains, draws)
    reference : ndarray, shape (p, k)
        Leading eigenvectors of the mean of Q Lambda Q', in descending order of their eigenvalues.
    """

    vectors: FloatArray
    eigenvalues: FloatArray
    intercept: FloatArray
    reference: FloatArray


def unpack(chart: Chart, draws: FloatArray, eigenvalue_scale: float) -> EigenmodelDraws:
    """Return matrices and numbers from coordinates (chains, draws, size)."""
    lead, k = draws.shape[:2], chart.k
    flat = draws.reshape(-1, draws.shape[2])
    vectors = np.stack([chart.to_matrix(x[: chart.size]) for x in flat])
    eigenvalues = eigenvalue_scale * flat[:, chart.size : chart.size + k]
    order = np.argsort(-eigenvalues, axis=1, kind="stable")
    eigenvalues = np.take_along_axis(eigenvalues, order, axis=1)
    vectors = np.take_along_axis(vectors, order[:, None, :], axis=2)
    reference = leading_of_mean(vectors, eigenvalues)
    match_signs(vectors, reference)
    return EigenmodelDraws(
        vectors.reshape(*lead, chart.p, k),
        eigenvalues.reshape(*lead, k),
        np.ascontiguousarray(draws[..., -1]),
        reference,
    )


def match_signs(vectors: FloatArray, reference: FloatArray) -> None:
    """Turn columns (draws, p, k) to those of a reference (p, k), in place to save memory."""
    vectors *= np.where(np.einsum("dpk,pk->dk", vectors, reference) < 0.0, -1.0, 1.0)[:, None, :]


def leading_of_mean(vectors: FloatArray, eigenvalues: FloatArray) -> FloatArray:
    """Return leading eigenvectors (p, k) of the mean of Q Lambda Q', largest eigenvalue first.

    `vectors` are (draws, p, k), `eigenvalues` (draws, k).
    """
    n, p, k = vectors.shape
    wide = vectors.transpose(1, 0, 2).reshape(p, n * k)
    mean = (wide * eigenvalues.ravel()) @ wide.T / n
    values, found = np.linalg.eigh(mean)
    largest = np.argsort(-np.abs(values), kind="stable")[:k]
    return np.asarray(found[:, largest[np.argsort(-values[largest])]])


def log_density_of_matrices(chart: Chart, draws: FloatArray, log_density: FloatArray) -> FloatArray:
    """Return log densities (chains, draws) of Q and the other coordinates.

    With respect to the uniform distribution of Q: what the chart adds for its coordinates is taken
    away.
    """
    slope = np.zeros((chart.p, chart.k))
    flat = np.ascontiguousarray(draws.reshape(-1, draws.shape[2])[:, : chart.size])
    added = [chart._map.pull_back(x, slope)[0] + chart._log_constant for x in flat]
    return log_density - np.reshape(added, log_density.shape)
