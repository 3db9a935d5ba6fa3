"""Spaces near given ones: a law with a simple density, to compare with and to centre at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Share of the proposals that is uniform, which bounds the ratio of densities.
UNIFORM_SHARE = 0.1
MOST_STEPS, TOLERANCE = 500, 1e-8
# Added to a covariance of mean diagonal one: spaces that are all but the same leave nothing else.
FLOOR = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class SpaceProposal:
    """Mixture of uniform spaces and the matrix angular central Gaussian law.

    The latter is that of X (X'X)^(-1/2), the columns of X independent normal with covariance
    `covariance` (q, q): Chikuse (1990, Journal of Multivariate Analysis 33, 265-274).
    """

    covariance: FloatArray

    def draw(self, n: int, rank: int, rng: np.random.Generator) -> FloatArray:
        """Return orthonormal matrices (n, q, r)."""
        q = len(self.covariance)
        X = rng.standard_normal((n, q, rank))
        narrow = rng.uniform(size=n) >= UNIFORM_SHARE
        X[narrow] = np.linalg.cholesky(self.covariance) @ X[narrow]
        return column_spaces(X)

    def log_density(self, B: FloatArray) -> FloatArray:
        """Return the log density by the uniform law at B (..., q, r)."""
        q, rank = B.shape[-2:]
        inner = B.swapaxes(-1, -2) @ np.linalg.solve(self.covariance, B)
        narrow = -0.5 * rank * np.linalg.slogdet(self.covariance)[1]
        narrow = narrow - 0.5 * q * np.linalg.slogdet(inner)[1]
        return np.asarray(
            np.logaddexp(np.log(UNIFORM_SHARE), np.log1p(-UNIFORM_SHARE) + narrow),
            dtype=np.float64,
        )


def fitted_proposal(spaces: FloatArray) -> SpaceProposal:
    """Fit the proposal to spaces (n, q, r) by the fixed point of its likelihood equation."""
    q = spaces.shape[1]
    covariance = np.eye(q)
    for _ in range(MOST_STEPS):
        inner = spaces.swapaxes(1, 2) @ np.linalg.solve(covariance, spaces)
        found = np.einsum("nik,nkj->ij", spaces @ np.linalg.inv(inner), spaces.swapaxes(1, 2))
        found *= q / np.trace(found)
        moved = float(np.abs(found - covariance).max())
        covariance = 0.5 * (found + found.T)
        if moved < TOLERANCE:
            break
    return SpaceProposal(covariance + FLOOR * np.eye(q))


def column_spaces(X: FloatArray) -> FloatArray:
    """Return the orthonormal polar factors of matrices (..., q, r)."""
    U, _, Vt = np.linalg.svd(X, full_matrices=False)
    return np.ascontiguousarray(U @ Vt)
