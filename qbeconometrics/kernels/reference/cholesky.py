"""Cholesky factors and triangular solves for packed matrices; twin of the compiled ones.

The lower triangle of a matrix of order n is packed by rows: (0, 0), (1, 0), (1, 1), (2, 0), ...
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

FloatArray = NDArray[np.float64]


def order_of(packed: FloatArray) -> int:
    """Return n for an array of n (n + 1) / 2 numbers.

    Raises
    ------
    ValueError
        If there is no such n of at least 1.

    Examples
    --------
    >>> order_of(np.zeros(6))
    3
    """
    n = int(np.sqrt(2 * len(packed)))
    if n < 1 or n * (n + 1) // 2 != len(packed):
        raise ValueError("a packed triangle holds n (n + 1) / 2 numbers, n at least 1")
    return n


def unpack_lower(packed: FloatArray) -> FloatArray:
    """Return the lower-triangular matrix (n, n) whose rows are `packed`.

    Examples
    --------
    >>> unpack_lower(np.array([1.0, 2.0, 3.0]))
    array([[1., 0.],
           [2., 3.]])
    """
    n = order_of(packed)
    lower = np.zeros((n, n))
    lower[np.tril_indices(n)] = packed
    return lower


def unpack_symmetric(packed: FloatArray) -> FloatArray:
    """Return the symmetric matrix (n, n) whose lower triangle, by rows, is `packed`.

    Examples
    --------
    >>> unpack_symmetric(np.array([1.0, 2.0, 3.0]))
    array([[1., 2.],
           [2., 3.]])
    """
    lower = unpack_lower(packed)
    return lower + np.tril(lower, -1).T


def cholesky_factor(matrix: FloatArray) -> tuple[FloatArray, float] | None:
    """Return the lower factor of a matrix (n, n) and its log-determinant.

    None if the matrix is not positive definite or not finite: LAPACK by itself would let NaN pass.

    Examples
    --------
    >>> root, log_determinant = cholesky_factor(np.diag([4.0, 9.0]))
    >>> np.diag(root)
    array([2., 3.])
    >>> cholesky_factor(np.diag([4.0, -9.0])) is None
    True
    """
    if not np.all(np.isfinite(matrix)):
        return None
    try:
        root: FloatArray = np.asarray(np.linalg.cholesky(matrix), dtype=np.float64)
    except np.linalg.LinAlgError:
        return None
    log_determinant = 2.0 * float(np.sum(np.log(np.diag(root))))
    return (root, log_determinant) if np.isfinite(log_determinant) else None


def cholesky(packed: FloatArray) -> tuple[FloatArray, float]:
    """Factor a packed symmetric matrix.

    Parameters
    ----------
    packed : ndarray, shape (n (n + 1) / 2,)
        Lower triangle by rows; not changed.

    Returns
    -------
    root : ndarray, shape (n (n + 1) / 2,)
        Lower Cholesky factor by rows; NaN where there is none.
    log_determinant : float
        Of the matrix; NaN if it is not positive definite or not finite.

    Raises
    ------
    ValueError
        If `packed` is not of such a length.

    Examples
    --------
    >>> cholesky(np.array([4.0, 2.0, 2.0]))[0]
    array([2., 1., 1.])
    """
    factored = cholesky_factor(unpack_symmetric(packed))
    if factored is None:
        return np.full(len(packed), np.nan), np.nan
    root, log_determinant = factored
    return root[np.tril_indices(len(root))], log_determinant


def solve(root: FloatArray, b: FloatArray, transposed: bool = False) -> FloatArray:
    """Solve root x = b, or root' x = b, for a packed lower factor.

    Parameters
    ----------
    root : ndarray, shape (n (n + 1) / 2,)
    b : ndarray, shape (n,)
    transposed : bool

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    ValueError
        If the lengths do not belong together.

    Examples
    --------
    >>> solve(np.array([2.0, 1.0, 1.0]), np.array([4.0, 3.0]))
    array([2., 1.])
    """
    if order_of(root) != len(b):
        raise ValueError("root must hold n (n + 1) / 2 numbers for b of length n")
    solution: FloatArray = solve_triangular(
        unpack_lower(root), b, lower=True, trans="T" if transposed else "N"
    )
    return solution
