"""Coordinates in which the posterior of a cointegrating space is near to uniform.

With more rows the posterior gathers about one space, at the rate of their number, and a sampler
would have to learn how closely. If span(c) is uniform, span(A c) has the density |A|^-r
|b'(AA')^-1 b|^(-n/2), b orthonormal: the matrix angular central Gaussian law (Chikuse 1990, Journal
of Multivariate Analysis 33, 265-274). Here AA' is that of the nearest such law.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.kernels._cointegration import DeterminantRatioTarget
from qbeconometrics.posterior.cointegration import CointegrationLaw

FloatArray = NDArray[np.float64]

# Weighted draws from which AA' is estimated: half of them uniform spaces, half of the law so far.
PILOT_DRAWS, PILOT_SEED = 4000, 0
# Rounds; they end once this many have had weights that were not flattened.
MOST_ROUNDS, FULL_ROUNDS = 12, 2
# Effective draws for each row of b; where there are fewer, weights are flattened by a power.
EFFECTIVE_A_ROW = 20.0
# Draws that are kept by their weights, and iterations to the fixed point, a digit each few.
KEPT_DRAWS, ITERATIONS = 1000, 20


@dataclass(frozen=True, slots=True, eq=False)
class CenteredSpaces:
    """Coordinates c of b = A c.

    Attributes
    ----------
    to_law : ndarray, shape (n, n)
        A.
    matrices, weights : ndarray, shapes (3, n, n) and (3,)
        log density of span(c) = sum_j weights_j log|c' matrices_j c| + log_constant, with respect
        to the uniform law, c orthonormal.
    log_constant : float
    rank : int
    """

    to_law: FloatArray
    matrices: FloatArray
    weights: FloatArray
    log_constant: float
    rank: int

    def target(self) -> DeterminantRatioTarget:
        """Return the compiled density, its constant left out."""
        return DeterminantRatioTarget(self.rank, self.matrices, self.weights)

    def log_density(self, c: FloatArray) -> FloatArray:
        """Log density at orthonormal c (..., n, rank), with the constant."""
        inner = np.einsum("...ia,jik,...kb->...jab", c, self.matrices, c, optimize=True)
        return np.asarray(np.linalg.slogdet(inner)[1] @ self.weights + self.log_constant)

    def propose(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Draw c (count, n, rank), of every other one b uniform and of the rest c."""
        normals = rng.standard_normal((count, len(self.to_law), self.rank))
        normals[::2] = np.linalg.solve(self.to_law, normals[::2])
        return np.asarray(np.linalg.qr(normals)[0])

    def log_proposal(self, c: FloatArray) -> FloatArray:
        """Log density of what `propose` draws, at orthonormal c (..., n, rank)."""
        return np.asarray(np.logaddexp(0.0, self.log_uniform(c)) - np.log(2.0))

    def log_uniform(self, c: FloatArray) -> FloatArray:
        """Log density at orthonormal c (..., n, rank) that c has where b is uniform."""
        inner = np.linalg.slogdet(c.swapaxes(-1, -2) @ self.matrices[2] @ c)[1]
        return np.asarray(self.weights[2] * inner + self.log_constant)

    def to_space(self, c: FloatArray) -> FloatArray:
        """Return orthonormal b (..., n, rank) of the same space as A c."""
        return np.asarray(np.linalg.qr(self.to_law @ c)[0])


def centered_spaces(law: CointegrationLaw, rank: int) -> CenteredSpaces:
    """Choose A by a pilot of importance sampling that is the same each time.

    Parameters
    ----------
    law : CointegrationLaw
    rank : int
        From 1 to n - 1.

    Returns
    -------
    CenteredSpaces
        With the mode at the first columns of the identity.
    """
    scatter, full = _at_mode(law, rank), 0
    rng = np.random.default_rng(PILOT_SEED)
    for _ in range(MOST_ROUNDS):
        scatter, power = _nearest(law, rank, scatter, rng)
        full += power == 1.0
        if full == FULL_ROUNDS:
            break
    root = np.linalg.cholesky(scatter)
    # Turned, so that charts with a centre have it at the mode.
    mode = np.linalg.solve(root, law.mode(rank))
    A = root @ np.linalg.qr(mode, mode="complete")[0]
    matrices = np.stack([A.T @ M @ A for M in (law.unrestricted, law.restricted, np.eye(law.size))])
    weights = np.array([law.exponent, -law.exponent, -0.5 * law.size])
    return CenteredSpaces(
        A,
        0.5 * (matrices + matrices.swapaxes(1, 2)),
        weights,
        rank * float(np.linalg.slogdet(A)[1]),
        rank,
    )


def _at_mode(law: CointegrationLaw, rank: int) -> FloatArray:
    """AA' (n, n) from the curvature at the mode, of the density and of the uniform law."""
    squared, V = law.directions()
    left = 1.0 - squared
    basis = np.linalg.qr(V[:, :rank])[0]
    beyond = V[:, rank:] - basis @ (basis.T @ V[:, rank:])
    of_data = 2.0 * law.exponent * (squared[:rank] - squared[rank:, None]) / left[:rank]
    lengths = [np.sum(block**2, axis=0) for block in (beyond, V[:, :rank])]
    of_prior = law.size * lengths[0][:, None] / lengths[1]
    spread = np.sqrt(law.size / np.mean(of_data + of_prior, axis=1))
    A = V * np.concatenate([np.ones(rank), spread])
    return np.asarray(A @ A.T)


def _nearest(
    law: CointegrationLaw, rank: int, scatter: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, float]:
    """AA' that maximises the likelihood of weighted draws, and the power of their weights.

    The fixed point is that of Tyler (1987, Annals of Statistics 15, 234-251), for spaces.
    """
    n = law.size
    normals = rng.standard_normal((PILOT_DRAWS, n, rank))
    normals[::2] = np.linalg.cholesky(scatter) @ normals[::2]
    b = np.linalg.qr(normals)[0]
    inner = np.linalg.slogdet(b.swapaxes(1, 2) @ np.linalg.solve(scatter, b))[1]
    scattered = -0.5 * n * inner - 0.5 * rank * np.linalg.slogdet(scatter)[1]
    weight, power = _flattened(
        law.log_density(b) - np.logaddexp(0.0, scattered), EFFECTIVE_A_ROW * n
    )
    places = (np.arange(KEPT_DRAWS) + rng.random()) / KEPT_DRAWS
    kept = np.searchsorted(np.cumsum(weight), places)
    b = b[np.minimum(kept, PILOT_DRAWS - 1)]
    turned = np.ascontiguousarray(b.swapaxes(1, 2))
    for _ in range(ITERATIONS):
        inverse = np.linalg.inv(turned @ np.linalg.solve(scatter, b))
        scatter = np.tensordot(b @ inverse, b, axes=((0, 2), (0, 2)))
        scatter = 0.5 * (scatter + scatter.T) * (n / np.trace(scatter))
    return scatter, power


def _flattened(log_weight: FloatArray, least: float) -> tuple[FloatArray, float]:
    """Weights (d,) of the largest power, up to one, that leaves `least` effective draws."""
    power = 1.0
    while True:
        weight = np.exp(power * (log_weight - log_weight.max()))
        weight /= weight.sum()
        if 1.0 / np.sum(weight**2) >= least:
            return weight, power
        power *= 0.7
