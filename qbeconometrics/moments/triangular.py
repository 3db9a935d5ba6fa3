"""Triangular systems that may have no rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

FloatArray = NDArray[np.float64]


def solve_upper(root: FloatArray, right: FloatArray) -> FloatArray:
    """Solve with an upper triangular matrix; of none, which SciPy before 1.14 refuses, nothing.

    Examples
    --------
    >>> solve_upper(np.array([[2.0]]), np.array([[4.0]]))
    array([[2.]])
    >>> solve_upper(np.empty((0, 0)), np.empty((0, 3))).shape
    (0, 3)
    """
    if right.size == 0:
        return np.zeros(right.shape)
    return np.asarray(solve_triangular(root, right), dtype=np.float64)
