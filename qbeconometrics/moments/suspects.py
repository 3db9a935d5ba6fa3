"""The few rows that may have leverage 1, kept while rows come in.

Leverage only falls as rows are added, so a row above the bound at the end was above it all along,
and at most m / bound rows can be above it at any time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.moments.block_sums import Rows
from qbeconometrics.moments.linear import HIGH_LEVERAGE

FloatArray = NDArray[np.float64]

# Eigenvalues of Z'Z below this share of the largest are of directions that no row has shown yet.
UNSEEN = 1e-14


@dataclass(frozen=True, slots=True)
class Suspects:
    """Rows with leverage above a bound.

    Attributes
    ----------
    instrument : ndarray, shape (r, m)
    others : ndarray, shape (r, k + 1)
        Outcome and regressors, to tell rows that are the same.
    positions : ndarray of int, shape (r,)
        Places in the data.
    leverage : ndarray, shape (r,)
        Among the rows so far.
    """

    instrument: FloatArray
    others: FloatArray
    positions: NDArray[np.int64]
    leverage: FloatArray

    @classmethod
    def nobody(cls, k: int, m: int) -> Suspects:
        """Return the suspects among no rows."""
        return cls(np.empty((0, m)), np.empty((0, k + 1)), np.empty(0, dtype=np.int64), np.empty(0))

    def add(
        self,
        rows: Rows,
        lengths: FloatArray,
        positions: NDArray[np.int64] | int,
        *,
        basis: MomentBasis,
        instrument_product: FloatArray,
    ) -> Suspects:
        """Return the suspects after a block.

        Parameters
        ----------
        rows : Rows
        lengths : ndarray, shape (n,)
            z'z of each row in the basis.
        positions : ndarray of int, shape (n,), or int
            Places in the data; of the first, where the rows lie one after another.
        basis : MomentBasis
        instrument_product : ndarray, shape (m, m)
            In the basis, over all rows, these included.
        """
        eigenvalues = np.linalg.eigvalsh(instrument_product)
        smallest = eigenvalues[eigenvalues > UNSEEN * eigenvalues[-1]][:1]
        (found,) = np.nonzero(lengths > HIGH_LEVERAGE * smallest)
        places = positions + found if isinstance(positions, int) else positions[found]
        joined = Suspects(
            np.concatenate([self.instrument, rows.instrument[found]]),
            np.concatenate([self.others, np.column_stack([rows.endog[found], rows.exog[found]])]),
            np.concatenate([self.positions, places]),
            np.empty(0),
        )
        return joined._pruned(basis, instrument_product)

    def merge(
        self, other: Suspects, *, basis: MomentBasis, instrument_product: FloatArray
    ) -> Suspects:
        """Return the suspects among the rows of both."""
        joined = Suspects(
            np.concatenate([self.instrument, other.instrument]),
            np.concatenate([self.others, other.others]),
            np.concatenate([self.positions, other.positions]),
            np.empty(0),
        )
        return joined._pruned(basis, instrument_product)

    def later(self, offset: int) -> Suspects:
        """Return the same rows, so many places further down."""
        return replace(self, positions=self.positions + offset)

    def _pruned(self, basis: MomentBasis, instrument_product: FloatArray) -> Suspects:
        eigenvalues, vectors = np.linalg.eigh(instrument_product)
        seen = eigenvalues > UNSEEN * eigenvalues[-1]
        root = vectors[:, seen] / np.sqrt(eigenvalues[seen])
        leverage = np.sum((self.instrument @ basis.instrument_map @ root) ** 2, axis=1)
        kept = leverage > HIGH_LEVERAGE
        return Suspects(
            self.instrument[kept], self.others[kept], self.positions[kept], leverage[kept]
        )

    def largest(self) -> tuple[float, int]:
        """Return the largest leverage, and the place of its row; rows that are the same add up."""
        if not len(self.leverage):
            return 0.0, 0
        _, first, group = np.unique(
            np.column_stack([self.others, self.instrument]),
            axis=0,
            return_index=True,
            return_inverse=True,
        )
        totals = np.bincount(group.ravel(), weights=self.leverage)
        largest = int(totals.argmax())
        return float(totals[largest]), int(self.positions[first[largest]])
