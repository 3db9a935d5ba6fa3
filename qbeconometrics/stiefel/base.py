"""What the four charts share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from qbeconometrics.exceptions import InputError
from qbeconometrics.kernels._stiefel import StiefelMap
from qbeconometrics.kernels._stiefel_density import (
    MatrixTarget,
    PythonMatrixTarget,
    StiefelDensity,
)
from qbeconometrics.stiefel.checks import (
    FloatArray,
    check_array,
    check_dimensions,
    check_orthonormal,
)

Target = Callable[[FloatArray], tuple[float, FloatArray]]


class Chart(ABC):
    """Coordinates x (size,) of orthonormal matrices Q (p, k).

    Use `Polar`, `Householder`, `Givens` or `Cayley`.

    Attributes
    ----------
    p, k : int
        Rows and columns of Q.
    size : int
        Number of coordinates.
    """

    p: int
    k: int
    # Added to the density of the coordinates, so that it integrates to the mean of f.
    _log_constant: float
    _map: StiefelMap

    def __init__(self, name: str, p: int, k: int, **settings: Any) -> None:
        self.p, self.k = check_dimensions(p, k)
        self._map = StiefelMap(name, self.p, self.k, **settings)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.p}, {self.k})"

    @property
    def size(self) -> int:
        """Number of coordinates.

        Examples
        --------
        >>> from qbeconometrics import stiefel
        >>> stiefel.Cayley(5, 2).size
        7
        """
        return self._map.size

    def to_matrix(self, x: Any) -> FloatArray:
        """Return the orthonormal matrix at a point.

        Parameters
        ----------
        x : array_like, shape (size,)

        Returns
        -------
        ndarray, shape (p, k)

        Raises
        ------
        InputError
            If x is not of this length, is not finite, or lies where the chart has no matrix, such
            as x = 0 in charts with redundant coordinates.

        Examples
        --------
        >>> from qbeconometrics import stiefel
        >>> stiefel.Polar(2, 1).to_matrix([3.0, 4.0])
        array([[0.6],
               [0.8]])
        """
        Q = np.asarray(self._map.forward(check_array(x, "x", (self.size,))))
        if not np.all(np.isfinite(Q)):
            raise InputError(f"x lies where {self!r} has no matrix: {self._hole}")
        return Q

    # Where to_matrix has no value, in words.
    _hole = "its elements are too large"

    def from_matrix(self, Q: Any) -> FloatArray:
        """Return a point at which the chart has this matrix.

        Coordinates that do not move Q, such as lengths, are put at their mode.

        Parameters
        ----------
        Q : array_like, shape (p, k)
            Its columns are orthonormal to 1e-8.

        Returns
        -------
        ndarray, shape (size,)

        Raises
        ------
        InputError
            If Q is not such a matrix, or is one that the chart does not reach.

        Examples
        --------
        >>> from qbeconometrics import stiefel
        >>> stiefel.Polar(2, 1).from_matrix([[0.6], [0.8]])
        array([0.6, 0.8])
        """
        return self._coordinates(check_orthonormal(Q, "Q", self.p, self.k))

    @abstractmethod
    def _coordinates(self, Q: FloatArray) -> FloatArray:
        """Coordinates of an orthonormal matrix, which may be overwritten."""

    def log_density_and_gradient(self, x: Any, target: Target) -> tuple[float, FloatArray]:
        """Return the log density of the coordinates and its gradient.

        Parameters
        ----------
        x : array_like, shape (size,)
        target : callable
            Takes Q (p, k); returns log f(Q), of the density with respect to the uniform
            distribution, and its gradient (p, k) by the entries of Q, as if they were free. A
            constant left out of log f is left out of the result.

        Returns
        -------
        logp : float
            NaN where the chart has no matrix or no density.
        grad : ndarray, shape (size,)

        Raises
        ------
        InputError
            If x is not of this length or not finite, or `target` does not return a number and an
            array of this shape.

        Examples
        --------
        >>> import numpy as np
        >>> from qbeconometrics import stiefel
        >>> M = np.array([[2.0], [0.0]])
        >>> chart = stiefel.Cayley(2, 1)
        >>> logp, grad = chart.log_density_and_gradient([0.5], lambda Q: (np.sum(M * Q), M))
        >>> round(logp, 4), grad
        (-0.1679, array([-3.36]))
        """
        x = check_array(x, "x", (self.size,))
        Q = np.asarray(self._map.forward(x))
        if not np.all(np.isfinite(Q)):
            return np.nan, np.full(self.size, np.nan)
        log_f, slope = _evaluated(target, Q)
        value, gradient = self._map.pull_back(x, slope)
        return log_f + float(value) + self._log_constant, gradient

    def unpack(self, x: FloatArray, log_density: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return matrices, and log f of them, for points and their log densities.

        Parameters
        ----------
        x : ndarray, shape (..., size)
            Finite points at which the chart has matrices.
        log_density : ndarray, shape (...)
            As from `log_density_and_gradient`.

        Returns
        -------
        Q : ndarray, shape (..., p, k)
        log_f : ndarray, shape (...)

        Examples
        --------
        >>> import numpy as np
        >>> from qbeconometrics import stiefel
        >>> chart, M = stiefel.Polar(2, 1), np.array([[2.0], [0.0]])
        >>> x = np.array([3.0, 4.0])
        >>> logp, _ = chart.log_density_and_gradient(x, lambda Q: (np.sum(M * Q), M))
        >>> Q, log_f = chart.unpack(x, logp)
        >>> round(float(log_f), 12)
        1.2
        """
        points = np.ascontiguousarray(x, dtype=np.float64).reshape(-1, self.size)
        Q = np.empty((len(points), self.p, self.k))
        of_chart = np.empty(len(points))
        flat = np.zeros((self.p, self.k))
        for i, point in enumerate(points):
            Q[i] = self._map.forward(point)
            of_chart[i] = self._map.pull_back(point, flat)[0]
        shape = np.shape(log_density)
        log_f = log_density - (of_chart.reshape(shape) + self._log_constant)
        return Q.reshape(*shape, self.p, self.k), log_f

    def density(self, target: Target | MatrixTarget) -> StiefelDensity:
        """Return what `log_density_and_gradient` computes, as compiled samplers take it.

        Parameters
        ----------
        target : callable or compiled target
            A Python function as for `log_density_and_gradient`, whose first error is kept in
            `target.error` of what is returned, or a `MatrixTarget`, which runs without Python.

        Returns
        -------
        StiefelDensity
            With `size`, `target` and `log_density_and_gradient(x)`; NaN where there is no density.
            Its work space is its own, so each thread takes one.

        Raises
        ------
        InputError
            If a compiled target is for matrices of another shape.

        Examples
        --------
        >>> import numpy as np
        >>> from qbeconometrics import stiefel
        >>> from qbeconometrics.kernels._stiefel_density import QuadraticTarget
        >>> M = np.array([[2.0], [0.0]])
        >>> density = stiefel.Cayley(2, 1).density(QuadraticTarget(2, 1, linear=M))
        >>> round(density.log_density_and_gradient(np.array([0.5]))[0], 4)
        -0.1679
        """
        if not isinstance(target, MatrixTarget):
            target = PythonMatrixTarget(self.p, self.k, target)
        if (target.p, target.k) != (self.p, self.k):
            raise InputError(
                f"the target is for matrices {(target.p, target.k)}, and the chart for "
                f"{(self.p, self.k)}"
            )
        return StiefelDensity(self._map, target, self._log_constant)


def _evaluated(target: Target, Q: FloatArray) -> tuple[float, FloatArray]:
    """What a target returns, its types and shapes checked."""
    shape = Q.shape
    returned: Any = target(Q)
    try:
        value, slope = returned
        log_f, gradient = float(value), np.array(slope, dtype=np.float64, order="C")
    except (TypeError, ValueError):
        raise InputError(
            "target must return log f, a number, and the gradient of log f by Q, an array of "
            f"shape {shape}"
        ) from None
    if gradient.shape != shape:
        raise InputError(
            f"the gradient that target returns must have shape {shape}, not {gradient.shape}"
        )
    return log_f, gradient
