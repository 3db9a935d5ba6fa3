"""Criteria of bootstrap replications of moments that a user wrote.

The function is called once at a position, whatever the number of replications: their mean moments,
and the sums that S is made of, are one product of the weights of rows with the moments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.calibration.replicated_covariance import ReplicatedCovariance, is_regular
from qbeconometrics.calibration.replicated_moments import groups_of_replications
from qbeconometrics.calibration.replications import Bootstrap
from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.moments.nonlinear import MomentFunction

FloatArray = NDArray[np.float64]

# Columns of moments and their products that are multiplied by the weights at a time.
WIDTH = 256


@dataclass(frozen=True, slots=True, eq=False)
class UserCriteria:
    """L = (n/2) g'Wg of replications, with W fixed or the inverse of S at each position.

    Attributes
    ----------
    function : MomentFunction
    basis : MomentBasis
        Of which `centre` and `regressor_map` are used: params = centre + R x.
    drawn : Bootstrap
    covariance : ReplicatedCovariance
    roots : ndarray, shape (B, m, m), or None
        Inverses of the lower factors of S, whose inverse is the weight; None if S is updated.
    usable : ndarray of int, shape (B,)
        Which of the replications drawn have an estimate.
    memory_limit : int
        Bytes that weights and moments may take at a time.
    """

    function: MomentFunction
    basis: MomentBasis
    drawn: Bootstrap
    covariance: ReplicatedCovariance
    roots: FloatArray | None
    usable: NDArray[np.intp]
    memory_limit: int

    @property
    def replications(self) -> int:
        """Number of replications with an estimate."""
        return len(self.usable)

    def _having(self, chosen: NDArray[np.bool_]) -> UserCriteria:
        roots = None if self.roots is None else self.roots[chosen]
        return replace(self, roots=roots, usable=self.usable[chosen])

    def evaluate(self, positions: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return L and half log det S (B, P) at `positions` (P, k) in scaled coordinates.

        L is infinite where a moment of any row is not finite, or S is not positive definite; half
        log det S is zero where S is fixed.
        """
        losses = np.full((self.replications, len(positions)), np.inf)
        halves = np.zeros_like(losses)
        for group, weights, counts in self._groups():
            losses[group], halves[group] = self._of_group(group, weights, counts, positions)
        return losses, halves

    def linearised(self, slope: FloatArray) -> tuple[UserCriteria, FloatArray, FloatArray]:
        """Linearise the moments at the origin.

        Parameters
        ----------
        slope : ndarray, shape (m, k)
            Of the mean moment of the data at the origin.

        Returns
        -------
        criteria : UserCriteria
            Those that have a minimum.
        minimiser : ndarray, shape (B, k)
        curvature : ndarray, shape (B, k, k)
        """
        means, roots, sizes = self._at_origin()
        white, moment = roots @ slope, (roots @ means[:, :, None])
        curvature = white.swapaxes(1, 2) @ white
        good = is_regular(curvature) & np.isfinite(moment).all(axis=(1, 2))
        pull = white[good].swapaxes(1, 2) @ moment[good]
        minima = -np.linalg.solve(curvature[good], pull)[:, :, 0]
        return self._having(good), np.asarray(minima), (sizes[:, None, None] * curvature)[good]

    def _at_origin(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean moments (B, m), inverses of factors of S, NaN where it has none, and rows (B,)."""
        m = self.function.m
        found = self.function.evaluate(self.basis.centre)
        assert found is not None
        means, rows = np.empty((self.replications, m)), np.empty(self.replications)
        roots = np.full((self.replications, m, m), np.nan)
        for group, weights, counts in self._groups():
            rows[group] = sizes = weights.sum(axis=1)
            raw = weights @ found[0] / sizes[:, None]
            off = self.covariance.subtracted
            means[group] = raw if off is None else raw - off
            if self.roots is None:
                sums = (counts @ self.covariance.columns(found[0]))[:, None]
                S = self.covariance.matrices(sums, raw[:, None], counts, sizes)[:, 0]
                good = self.covariance.is_regular(S)
                roots[group][good] = np.linalg.inv(np.linalg.cholesky(S[good]))
        return means, roots if self.roots is None else self.roots, rows

    def _groups(self) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
        """Yield some of the replications, weights of rows and counts of units (some, units)."""
        n, every = self.function.n, self.drawn.replications
        for part in groups_of_replications(n, every, self.memory_limit):
            first, last = np.searchsorted(self.usable, [part.start, part.stop])
            if first < last:
                chosen = self.usable[first:last] - part.start
                weights = self.drawn.weights(part)
                counts = self.covariance.counts(part, weights)
                yield slice(first, last), weights[chosen], counts[chosen]

    def _of_group(
        self, group: slice, weights: FloatArray, counts: FloatArray, positions: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        sizes = weights.sum(axis=1)
        losses = np.full((len(weights), len(positions)), np.inf)
        halves = np.zeros_like(losses)
        m, n, off = self.function.m, self.function.n, self.covariance.subtracted
        wide = m if self.roots is not None else m + m * (m + 1) // 2
        together = int(max(1, min(WIDTH, self.memory_limit // (8 * n)) // wide))
        for start in range(0, len(positions), together):
            places, moments, columns = [], [], []
            for place in range(start, min(start + together, len(positions))):
                params = self.basis.to_params(positions[place])
                with np.errstate(all="ignore"):
                    found = self.function.evaluate(params)
                    if found is None:
                        continue
                    places.append(place)
                    # Copies: the function may fill one buffer over and over.
                    moments.append(found[0].copy())
                    if self.roots is None:
                        columns.append(self.covariance.columns(found[0]))
            if not places:
                continue
            means = _added_up(weights, moments) / sizes[:, None, None]
            less = means if off is None else means - off
            with np.errstate(all="ignore"):
                if self.roots is not None:
                    white = less @ self.roots[group].swapaxes(1, 2)
                    squares = np.einsum("bpi,bpi->bp", white, white)
                else:
                    sums = _added_up(counts, columns)
                    S = self.covariance.matrices(sums, means, counts, sizes)
                    squares, halves[:, places] = _quadratic(S, less)
                found_losses = 0.5 * sizes[:, None] * squares
            losses[:, places] = np.where(np.isfinite(found_losses), found_losses, np.inf)
        return losses, halves


def _added_up(weights: FloatArray, arrays: list[FloatArray]) -> FloatArray:
    """Weighted sums (B, P, c) over rows of P arrays (n, c)."""
    sums = weights @ np.concatenate(arrays, axis=1)
    return sums.reshape(len(weights), len(arrays), -1)


def _quadratic(S: FloatArray, means: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return g'S^-1 g, infinite where S is not positive definite, and half log det S (B, P)."""
    flat, m = S.reshape(-1, *S.shape[2:]), S.shape[2]
    good = np.ones(len(flat), dtype=bool)
    try:
        roots = np.linalg.cholesky(flat)
    except np.linalg.LinAlgError:
        good = is_regular(flat)
        flat = np.where(good[:, None, None], flat, np.eye(m))
        roots = np.linalg.cholesky(flat)
    white = np.linalg.solve(roots, means.reshape(-1, m, 1))[:, :, 0]
    squares = np.where(good, np.einsum("ij,ij->i", white, white), np.inf)
    halves = np.log(np.einsum("ijj->ij", roots)).sum(axis=1)
    return squares.reshape(means.shape[:2]), np.where(good, halves, 0.0).reshape(means.shape[:2])
