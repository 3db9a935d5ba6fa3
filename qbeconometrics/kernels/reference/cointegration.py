"""Log density of a column space by log determinants; twin of the compiled one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from qbeconometrics.kernels.reference.density import FloatArray
from qbeconometrics.kernels.reference.stiefel_density import MatrixTarget

MOST_RANKS = 32


class DeterminantRatioTarget(MatrixTarget):
    """log f = sum_j w_j log |Q'M_jQ|: two terms of opposite weights are the power of a ratio.

    Parameters
    ----------
    k : int
        Columns of Q, 1 to 32.
    matrices : ndarray, shape (count, p, p)
        M_j, symmetric and positive definite.
    weights : ndarray, shape (count,)
        w_j. Where they add up to zero f depends on the column space of Q alone, whether or not its
        columns are orthonormal.

    Examples
    --------
    >>> target = DeterminantRatioTarget(1, [np.eye(2), np.diag([1.0, 2.0])], [1.5, -1.5])
    >>> value, slope = target.log_density_and_gradient(np.array([[0.6], [0.8]]))
    >>> round(value, 4), slope.ravel().round(4)
    (-0.742, array([ 0.7024, -0.5268]))
    """

    def __init__(self, k: int, matrices: ArrayLike, weights: ArrayLike) -> None:
        M, w = np.array(matrices, dtype=np.float64), np.array(weights, dtype=np.float64)
        if M.ndim != 3 or M.shape[1] != M.shape[2] or w.shape != M.shape[:1] or len(w) < 1:
            raise ValueError("matrices must have shape (count, p, p), and weights (count,)")
        if not 1 <= k <= M.shape[1] or M.shape[1] < 2 or k > MOST_RANKS:
            raise ValueError(f"p must be at least 2, and k from 1 to p, at most {MOST_RANKS}")
        if not np.array_equal(M, M.swapaxes(1, 2)):
            raise ValueError("matrices must be symmetric")
        self.p, self.k, self._matrices, self._weights = M.shape[1], k, M, w

    def _evaluate(self, Q: FloatArray) -> tuple[float, FloatArray]:
        value, slope = 0.0, np.zeros(Q.shape)
        for M, weight in zip(self._matrices, self._weights, strict=True):
            product = M @ Q
            try:
                root = np.linalg.cholesky(Q.T @ product)
            except np.linalg.LinAlgError:
                return np.nan, slope
            value += 2.0 * weight * float(np.sum(np.log(np.diag(root))))
            slope += 2.0 * weight * np.linalg.solve(root.T, np.linalg.solve(root, product.T)).T
        return float(value), slope


class SumOfTargets(MatrixTarget):
    """The sum of two log densities of matrices of one shape.

    Parameters
    ----------
    first, second : MatrixTarget

    Examples
    --------
    >>> part = DeterminantRatioTarget(1, [np.diag([1.0, 2.0])], [0.5])
    >>> round(SumOfTargets(part, part).log_density_and_gradient(np.array([[0.6], [0.8]]))[0], 4)
    0.4947
    """

    def __init__(self, first: MatrixTarget, second: MatrixTarget) -> None:
        shapes = [(getattr(one, "p", 0), getattr(one, "k", 0)) for one in (first, second)]
        if shapes[0] != shapes[1]:
            raise ValueError("both targets must be for matrices of one shape")
        if shapes[0] == (0, 0):
            raise TypeError("a target is one of the classes that are derived from this one")
        (self.p, self.k), self._parts = shapes[0], (first, second)

    def _evaluate(self, Q: FloatArray) -> tuple[float, FloatArray]:
        values, slopes = zip(*(one.log_density_and_gradient(Q) for one in self._parts), strict=True)
        return float(sum(values)), np.asarray(sum(slopes))
