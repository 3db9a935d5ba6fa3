"""Products of the entries of rows; the twin of `_row_products`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def row_products(
    endog: FloatArray,
    exog: FloatArray,
    instrument: FloatArray,
    centre: FloatArray,
    regressor_map: FloatArray,
    instrument_map: FloatArray,
    w: FloatArray,
    z: FloatArray,
    w_pairs: FloatArray,
    z_pairs: FloatArray,
    lengths: FloatArray,
    fourth: FloatArray,
) -> None:
    """Fill rows in a basis, and the products of their entries; see the kernel."""
    n, size = len(endog), w.shape[1]
    for start in range(0, n, size):
        rows = slice(start, min(n, start + size))
        piece = rows.stop - start
        w[0, :piece] = endog[rows] - exog[rows] @ centre
        w[1:, :piece] = (exog[rows] @ regressor_map).T
        z[:, :piece] = (instrument[rows] @ instrument_map).T
        for columns, pairs in ((w, w_pairs), (z, z_pairs)):
            row, column = np.tril_indices(len(columns))
            pairs[:, :piece] = columns[row, :piece] * columns[column, :piece]
        lengths[rows] = np.sum(z[:, :piece] ** 2, axis=0)
        if fourth.size:
            fourth += w_pairs[:, :piece] @ z_pairs[:, :piece].T
