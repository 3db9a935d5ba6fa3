"""Sums over one block of rows, taken in pieces that stay in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError
from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.moments.compensated import CompensatedSum
from qbeconometrics.moments.linear import block_slices, pair_products

FloatArray = NDArray[np.float64]

MIXED_GROUPS = "groups are numbers in some blocks and text in others. Give them one type."


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of data that are finite and of one width.

    Attributes
    ----------
    endog : ndarray, shape (n,)
    exog : ndarray, shape (n, k)
    instrument : ndarray, shape (n, m)
    clusters : ndarray, shape (n,), or None
        Whole numbers or text.
    """

    endog: FloatArray
    exog: FloatArray
    instrument: FloatArray
    clusters: NDArray[Any] | None = None

    def part(self, rows: slice) -> Rows:
        """Return some of the rows."""
        clusters = None if self.clusters is None else self.clusters[rows]
        return Rows(self.endog[rows], self.exog[rows], self.instrument[rows], clusters)

    def followed_by(self, rows: Rows) -> Rows:
        """Return the rows with others below them."""
        clusters = None
        if self.clusters is not None and rows.clusters is not None:
            parts = [part for part in (self.clusters, rows.clusters) if len(part)]
            if len({part.dtype.kind for part in parts}) > 1:
                raise InputError(MIXED_GROUPS)
            clusters = np.concatenate(parts) if parts else rows.clusters
        return Rows(
            np.concatenate([self.endog, rows.endog]),
            np.concatenate([self.exog, rows.exog]),
            np.concatenate([self.instrument, rows.instrument]),
            clusters,
        )


@dataclass(frozen=True, slots=True)
class BlockSums:
    """Sums over a block; see `RunningMoments`.

    Attributes
    ----------
    cross, instrument_product, row_product : CompensatedSum
    fourth : CompensatedSum or None
    lengths : ndarray, shape (n,)
        z'z of each row.
    """

    cross: CompensatedSum
    instrument_product: CompensatedSum
    row_product: CompensatedSum
    fourth: CompensatedSum | None
    lengths: FloatArray


def block_sums(rows: Rows, basis: MomentBasis, *, with_fourth: bool) -> BlockSums:
    """Add up the products of rows in a basis."""
    endog, exog, instrument = rows.endog, rows.exog, rows.instrument
    n, k = exog.shape
    m = instrument.shape[1]
    pairs, packed = (k + 1) * (k + 2) // 2, m * (m + 1) // 2
    cross = CompensatedSum.zeros((m + 1, k + 2))
    instrument_product = CompensatedSum.zeros(packed)
    row_product = CompensatedSum.zeros(pairs)
    fourth = CompensatedSum.zeros((pairs, packed)) if with_fourth else None
    lengths = np.empty(n)
    lower_z, lower_w = np.tril_indices(m), np.tril_indices(k + 1)
    for block in block_slices(n, pairs + packed + k + m + 1):
        # Rows of the data lie along the last axis, so that products run over contiguous numbers.
        size = block.stop - block.start
        w, z = np.empty((k + 2, size)), np.empty((m + 1, size))
        w[0], z[0] = 1.0, 1.0
        w[1] = endog[block] - exog[block] @ basis.centre
        np.matmul(basis.regressor_map.T, exog[block].T, out=w[2:])
        np.matmul(basis.instrument_map.T, instrument[block].T, out=z[1:])
        cross = cross.add(z @ w.T)
        np.einsum("ji,ji->i", z[1:], z[1:], out=lengths[block])
        if fourth is None:
            instrument_product = instrument_product.add((z[1:] @ z[1:].T)[lower_z])
            row_product = row_product.add((w[1:] @ w[1:].T)[lower_w])
            continue
        of_w, of_z = pair_products(w[1:]), pair_products(z[1:])
        fourth = fourth.add(of_w @ of_z.T)
        instrument_product = instrument_product.add(of_z.sum(axis=1))
        row_product = row_product.add(of_w.sum(axis=1))
    return BlockSums(cross, instrument_product, row_product, fourth, lengths)
