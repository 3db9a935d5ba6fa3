"""Log densities of orthonormal matrices, joined to a chart; twin of the compiled ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qbeconometrics.kernels.reference.density import CompiledDensity, FloatArray
from qbeconometrics.kernels.reference.stiefel import StiefelMap


class MatrixTarget:
    """log f of an orthonormal matrix Q (p, k); a base class, whose parts write `_evaluate`."""

    p: int
    k: int

    def _evaluate(self, Q: FloatArray) -> tuple[float, FloatArray]:
        raise TypeError("a target is one of the classes that are derived from this one")

    def log_density_and_gradient(self, Q: FloatArray) -> tuple[float, FloatArray]:
        """Return log f and its gradient (p, k) at Q (p, k); NaN where there is none.

        Raises
        ------
        ValueError
        """
        if getattr(self, "p", None) is not None and Q.shape != (self.p, self.k):
            raise ValueError(f"Q must have shape ({self.p}, {self.k})")
        value, slope = self._evaluate(Q)
        return (value, slope) if np.isfinite(value) else (np.nan, np.full(Q.shape, np.nan))


class QuadraticTarget(MatrixTarget):
    """log f = tr(M'Q) + tr(D Q'AQ): uniform, matrix von Mises-Fisher, Bingham, or both.

    Parameters
    ----------
    p, k : int
    linear : ndarray, shape (p, k), optional
        M; zero by default.
    quadratic : ndarray, shape (p, p), optional
        A, symmetric; zero by default.
    weights : ndarray, shape (k,), optional
        Diagonal of D; ones by default.

    Examples
    --------
    >>> target = QuadraticTarget(2, 1, linear=np.array([[2.0], [0.0]]))
    >>> target.log_density_and_gradient(np.array([[0.6], [0.8]]))[0]
    1.2
    """

    def __init__(
        self,
        p: int,
        k: int,
        linear: FloatArray | None = None,
        quadratic: FloatArray | None = None,
        weights: FloatArray | None = None,
    ) -> None:
        if not 1 <= k <= p or p < 2:
            raise ValueError("p must be at least 2, and k from 1 to p")
        self.p, self.k = p, k
        self._linear = np.zeros((p, k)) if linear is None else np.array(linear)
        self._quadratic = np.zeros((p, p)) if quadratic is None else np.array(quadratic)
        self._weights = np.ones(k) if weights is None else np.array(weights)
        A = self._quadratic
        if A.shape != (p, p) or not np.array_equal(A, A.T):
            raise ValueError(f"quadratic must be symmetric, of shape ({p}, {p})")
        if self._linear.shape != (p, k) or self._weights.shape != (k,):
            raise ValueError(f"linear must have shape ({p}, {k}), and weights ({k},)")

    def _evaluate(self, Q: FloatArray) -> tuple[float, FloatArray]:
        half = self._quadratic @ Q * self._weights
        return float(np.sum((self._linear + half) * Q)), self._linear + 2.0 * half


class PythonMatrixTarget(MatrixTarget):
    """A Python function of Q (p, k) that returns log f and its gradient (p, k).

    Parameters
    ----------
    p, k : int
    function : callable
        An exception of it is kept in `error`, and the point is taken as one without density.

    Examples
    --------
    >>> target = PythonMatrixTarget(2, 1, lambda Q: (Q[0, 0], np.eye(2, 1)))
    >>> target.log_density_and_gradient(np.array([[0.6], [0.8]]))[0]
    0.6
    """

    error: BaseException | None

    def __init__(
        self, p: int, k: int, function: Callable[[FloatArray], tuple[float, FloatArray]]
    ) -> None:
        if not 1 <= k <= p or p < 2:
            raise ValueError("p must be at least 2, and k from 1 to p")
        self.p, self.k, self._function, self.error = p, k, function, None

    def _evaluate(self, Q: FloatArray) -> tuple[float, FloatArray]:
        try:
            value, slope = self._function(Q.copy())
            value, slope = float(value), np.array(slope, dtype=np.float64)
            if slope.shape != (self.p, self.k):
                raise ValueError(f"the gradient has shape {slope.shape}, not ({self.p}, {self.k})")
        except BaseException as error:
            if self.error is None:
                self.error = error
            return np.nan, np.full(Q.shape, np.nan)
        return value, slope


class StiefelDensity(CompiledDensity):
    """Density of the coordinates x (size,) of a chart under which Q has the density f.

    Parameters
    ----------
    chart : StiefelMap
    target : MatrixTarget
    log_constant : float
        Added to the log density.

    Examples
    --------
    >>> density = StiefelDensity(StiefelMap("polar", 2, 1), QuadraticTarget(2, 1))
    >>> density.log_density_and_gradient(np.array([3.0, 4.0]))
    (-12.5, array([-3., -4.]))
    """

    def __init__(self, chart: StiefelMap, target: MatrixTarget, log_constant: float = 0.0) -> None:
        if (getattr(target, "p", 0), getattr(target, "k", 0)) != (chart.p, chart.k):
            raise ValueError(f"the target must take matrices ({chart.p}, {chart.k})")
        self.size = chart.size
        self._chart, self.target, self._log_constant = chart, target, log_constant

    def evaluate(self, x: FloatArray) -> tuple[float, FloatArray] | None:
        """Return log density and gradient; None where they are not finite, or cannot be had."""
        Q = self._chart.forward(x)
        if not np.all(np.isfinite(Q)):
            return None
        log_f, slope = self.target.log_density_and_gradient(Q)
        value, gradient = self._chart.pull_back(x, slope)
        value += log_f + self._log_constant
        return (value, gradient) if np.isfinite(value) and np.isfinite(gradient).all() else None
