"""Two-step criteria of bootstrap replications of linear moments.

Each replication has its own first step, two-stage least squares, and its own weight. A row that is
drawn w times counts w times in S, not w squared; a cluster drawn twice is two clusters; and under
serial dependence S is the mean product of sums over the blocks that were drawn (Goetze and Kunsch
1996, Annals of Statistics 24, 1914-1933).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.calibration.replications import Bootstrap
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.linear import (
    ScaledRows,
    block_slices,
    pair_products,
    unpack_symmetric,
)

FloatArray = NDArray[np.float64]

# Arrays of weights, residuals and their products that are held at a time.
HELD = 3
# Ratio of the eigenvalues of a covariance or of a curvature below which it counts as singular.
SINGULAR = 1e-12


@dataclass(frozen=True, slots=True)
class MomentRows:
    """Rows of a model with linear moments, and what its replications are to do with them.

    Attributes
    ----------
    rows : ScaledRows
    rule : CovarianceRule
        Of S: rows under "HC0", "HC1" and "nonrobust"; whole clusters or blocks under others.
    n_params : int
        For "HC1": coefficients, and what was taken out of the rows before.
    fixed : ndarray, shape (m, m), or None
        Inverse of a weight that the user gave.
    subtracted : ndarray, shape (m,), or None
        What recentred moments have taken off: their mean at the estimate.
    """

    rows: ScaledRows
    rule: CovarianceRule
    n_params: int
    fixed: FloatArray | None = None
    subtracted: FloatArray | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.rows.residual)

    @property
    def k(self) -> int:
        """Number of coefficients."""
        return self.rows.regressor.shape[1]

    @property
    def m(self) -> int:
        """Number of moments."""
        return self.rows.instrument.shape[1]


@dataclass(frozen=True, slots=True)
class Criteria:
    """Criteria (n/2) g'Wg of replications, less their minima: (x - x0)'H(x - x0)/2.

    Attributes
    ----------
    curvature : ndarray, shape (B, k, k)
        H.
    minimiser : ndarray, shape (B, k)
        x0.
    """

    curvature: FloatArray
    minimiser: FloatArray


def two_step_criteria(given: MomentRows, drawn: Bootstrap, memory_limit: int) -> Criteria:
    """Return the criteria of all replications that have one; others are left out.

    Parameters
    ----------
    given : MomentRows
    drawn : Bootstrap
    memory_limit : int
        Bytes that the weights and residuals of replications may take at a time; one replication
        is the least.
    """
    curvature, minimiser = [], []
    for part in groups_of_replications(given.n, drawn.replications, memory_limit):
        found = _criteria_of(given, drawn, part)
        curvature.append(found.curvature)
        minimiser.append(found.minimiser)
    return Criteria(np.concatenate(curvature), np.concatenate(minimiser))


def groups_of_replications(n: int, replications: int, memory_limit: int) -> Iterator[slice]:
    """Yield slices of replications whose arrays of n numbers each fit the limit."""
    size = max(1, int(memory_limit // (8 * HELD * n)))
    for start in range(0, replications, size):
        yield slice(start, min(replications, start + size))


def _criteria_of(given: MomentRows, drawn: Bootstrap, part: slice) -> Criteria:
    weights = drawn.weights(part)
    sizes = weights.sum(axis=1)
    cross, instrument_product = replicated_sums(given.rows, weights)
    moments, slopes = cross[:, :, 0] / sizes[:, None], cross[:, :, 1:] / sizes[:, None, None]
    if given.subtracted is not None:
        moments = moments - given.subtracted
    first = instrument_product / sizes[:, None, None]
    usable = is_definite(first)
    usable[usable] = _has_minimum(slopes[usable], first[usable])
    if given.fixed is None:
        points = np.zeros((len(sizes), given.k))
        points[usable] = _minimiser(moments[usable], slopes[usable], first[usable])[1]
        S = _covariances(given, drawn, part, weights, points, cross, instrument_product)
    else:
        S = np.broadcast_to(given.fixed, first.shape)
    return criteria_of(sizes, moments, slopes, S, usable)


def criteria_of(
    sizes: FloatArray,
    moments: FloatArray,
    slopes: FloatArray,
    S: FloatArray,
    usable: NDArray[np.bool_],
) -> Criteria:
    """Return the criteria with weights S^-1, where both S and curvature are definite.

    Parameters
    ----------
    sizes : ndarray, shape (B,)
        Rows of each replication.
    moments : ndarray, shape (B, m)
        Means at the origin.
    slopes : ndarray, shape (B, m, k)
        Minus their derivatives.
    S : ndarray, shape (B, m, m)
    usable : ndarray of bool, shape (B,)
        Replications that are looked at.
    """
    usable = usable & is_definite(S)
    usable[usable] = _has_minimum(slopes[usable], S[usable])
    curvature, minimiser = _minimiser(moments[usable], slopes[usable], S[usable])
    return Criteria(sizes[usable, None, None] * curvature, minimiser)


def replicated_sums(rows: ScaledRows, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return sums over rows of w z (u, x)' (B, m, k + 1) and of w z z' (B, m, m)."""
    n, k = rows.regressor.shape
    m = rows.instrument.shape[1]
    cross = np.zeros((len(weights), m * (k + 1)))
    packed = np.zeros((len(weights), m * (m + 1) // 2))
    for block in block_slices(n, m * (k + 1 + m)):
        z = rows.instrument[block]
        w = np.column_stack([rows.residual[block], rows.regressor[block]])
        own = np.ascontiguousarray(weights[:, block])
        cross += own @ (z[:, :, None] * w[:, None, :]).reshape(len(z), -1)
        packed += own @ pair_products(np.ascontiguousarray(z.T)).T
    return cross.reshape(-1, m, k + 1), unpack_symmetric(packed, m)


def _minimiser(
    moments: FloatArray, slopes: FloatArray, S: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """A'S^-1 A (B, k, k), and where (g - A x)'S^-1 (g - A x) is smallest (B, k)."""
    weighted = np.linalg.solve(S, np.concatenate([moments[:, :, None], slopes], axis=2))
    normal = slopes.swapaxes(1, 2) @ weighted
    curvature = normal[:, :, 1:]
    curvature = (curvature + curvature.swapaxes(1, 2)) / 2.0
    return curvature, np.asarray(np.linalg.solve(curvature, normal[:, :, :1])[:, :, 0])


def is_definite(matrices: FloatArray) -> NDArray[np.bool_]:
    """Return whether each of (B, p, p) is finite and positive definite."""
    found = np.asarray(np.isfinite(matrices).all(axis=(1, 2)))
    eigenvalues = np.linalg.eigvalsh(matrices[found])
    found[found] = eigenvalues[:, 0] > SINGULAR * np.abs(eigenvalues[:, -1])
    return found


def _has_minimum(slopes: FloatArray, S: FloatArray) -> NDArray[np.bool_]:
    return is_definite(slopes.swapaxes(1, 2) @ np.linalg.solve(S, slopes))


def _covariances(
    given: MomentRows,
    drawn: Bootstrap,
    part: slice,
    weights: FloatArray,
    points: FloatArray,
    cross: FloatArray,
    instrument_product: FloatArray,
) -> FloatArray:
    """S of each replication at its own point."""
    rows, rule, sizes = given.rows, given.rule, weights.sum(axis=1)
    at = np.column_stack([np.ones(len(points)), -points])
    mean = np.einsum("bma,ba->bm", cross, at) / sizes[:, None]
    if rule.cov_type == "nonrobust":
        variance = _residual_variances(rows, weights, points, centered=rule.centered)
        return np.asarray(variance[:, None, None] * instrument_product / sizes[:, None, None])
    off = np.zeros_like(mean)
    if given.subtracted is not None:
        off += given.subtracted
    if rule.centered:
        off = mean
    if rule.is_dependent:
        units = Units(drawn)
        sums = [
            units.covariance(b, rows, point, own)
            for b, point, own in zip(range(part.start, part.stop), points, off, strict=True)
        ]
        return np.stack(sums) / sizes[:, None, None]
    S = _score_products(rows, weights, points) / sizes[:, None, None]
    product = mean[:, :, None] * off[:, None, :]
    S += off[:, :, None] * off[:, None, :] - product - product.swapaxes(1, 2)
    factor = np.array([rule.small_sample_factor(round(n), given.n_params) for n in sizes])
    return np.asarray(factor[:, None, None] * S)


def _residual_variances(
    rows: ScaledRows, weights: FloatArray, points: FloatArray, *, centered: bool
) -> FloatArray:
    sizes = weights.sum(axis=1)
    square, total = np.zeros(len(sizes)), np.zeros(len(sizes))
    for block in block_slices(len(rows.residual), len(points)):
        residual = rows.residual[block] - points @ rows.regressor[block].T
        weighted = weights[:, block] * residual
        total += weighted.sum(axis=1)
        square += (weighted * residual).sum(axis=1)
    variance = square / sizes
    return np.asarray(variance - (total / sizes) ** 2 if centered else variance)


def _score_products(rows: ScaledRows, weights: FloatArray, points: FloatArray) -> FloatArray:
    """Sums of w u^2 z z' (B, m, m), with u the residual at each replication's point."""
    m = rows.instrument.shape[1]
    packed = np.zeros((len(weights), m * (m + 1) // 2))
    for block in block_slices(len(rows.residual), m * (m + 1) // 2 + len(points)):
        residual = rows.residual[block] - points @ rows.regressor[block].T
        products = pair_products(np.ascontiguousarray(rows.instrument[block].T))
        packed += (weights[:, block] * residual**2) @ products.T
    return unpack_symmetric(packed, m)


class Units:
    """Clusters or blocks: what S of dependent rows is a sum over."""

    def __init__(self, drawn: Bootstrap):
        self.drawn = drawn
        if drawn.groups is not None:
            self.order = np.argsort(drawn.groups, kind="stable")
            self.lengths = np.bincount(drawn.groups)

    def covariance(
        self, b: int, rows: ScaledRows, point: FloatArray, off: FloatArray
    ) -> FloatArray:
        """Sum of products (m, m) of sums over units of moments less `off` (m,)."""
        residual = rows.residual - rows.regressor @ point
        return self.product(b, rows.instrument * residual[:, None], off)

    def product(self, b: int, columns: FloatArray, off: FloatArray) -> FloatArray:
        """Sum of products (p, p) of sums over units of `columns` (n, p) less `off` (p,)."""
        if self.drawn.groups is not None:
            chosen, lengths = self.order, self.lengths
            counts = self.drawn.cluster_counts(b)
        else:
            starts, lengths = self.drawn.blocks(b)
            places = np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
            chosen = (places + np.arange(self.drawn.n)) % self.drawn.n
            counts = np.ones(len(lengths), dtype=np.int64)
        sums = np.add.reduceat(columns[chosen], np.cumsum(lengths) - lengths, axis=0)
        sums -= lengths[:, None] * off
        return np.asarray((sums * counts[:, None]).T @ sums)
