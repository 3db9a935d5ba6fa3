"""Log density of the network eigenmodel; twin of the compiled one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr

from qbeconometrics.kernels.reference.density import CompiledDensity, FloatArray
from qbeconometrics.kernels.reference.stiefel import StiefelMap


def log_probit(z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return log Phi(z) and phi(z) / Phi(z), each of shape (size,).

    Examples
    --------
    >>> log_probit(np.array([-1e8, 0.0]))[1].round(4)
    array([1.000e+08, 7.979e-01])
    """
    return log_ndtr(z), np.sqrt(2.0 / np.pi) / erfcx(-z / np.sqrt(2.0))


class NetworkDensity(CompiledDensity):
    """Density of chart coordinates of Q, scaled eigenvalues and the intercept, given a network.

    Links of pairs i < j are independent with probability Phi(c + sum_l lambda_l Q_il Q_jl), where Q
    is uniform, lambda_l normal(0, eigenvalue_scale^2) and c normal(0, intercept_scale^2), following
    Hoff (2009, arXiv:0712.4166). The coordinates are those of the chart, then
    lambda / eigenvalue_scale, then c.

    Parameters
    ----------
    chart : StiefelMap
    links : ndarray of bool, shape (p, p)
        Links of pairs i < j; the rest is not read.
    eigenvalue_scale, intercept_scale : float
        Prior sds; coordinates of eigenvalues are divided by theirs.
    log_constant : float
        Added to the log density.

    Examples
    --------
    >>> links = np.zeros((2, 2), dtype=bool)
    >>> density = NetworkDensity(StiefelMap("polar", 2, 1), links, 1.0, 10.0)
    >>> density.size
    4
    """

    def __init__(
        self,
        chart: StiefelMap,
        links: NDArray[np.bool_],
        eigenvalue_scale: float,
        intercept_scale: float,
        log_constant: float = 0.0,
    ) -> None:
        if links.shape != (chart.p, chart.p) or links.dtype != np.bool_:
            raise ValueError(f"links must be of bool and have shape ({chart.p}, {chart.p})")
        if not (eigenvalue_scale > 0.0 and intercept_scale > 0.0):
            raise ValueError("scales must be positive")
        self._chart, self._scales = chart, np.append(np.ones(chart.k), intercept_scale)
        self._pairs = np.triu_indices(chart.p, 1)
        self._signs = np.where(links[self._pairs], 1.0, -1.0)
        self._eigenvalue_scale = eigenvalue_scale
        self._log_constant = (
            log_constant - 0.5 * (chart.k + 1) * np.log(2.0 * np.pi) - np.log(intercept_scale)
        )
        self.size = chart.size + chart.k + 1

    def evaluate(self, x: FloatArray) -> tuple[float, FloatArray] | None:
        """Return log density and gradient; None where they are not finite, or cannot be had."""
        p, k = self._chart.p, self._chart.k
        coordinates, rest = x[: -k - 1], x[-k - 1 :]
        Q = self._chart.forward(coordinates)
        if not np.all(np.isfinite(Q)) or not np.all(np.isfinite(rest)):
            return None
        eigenvalues, intercept = self._eigenvalue_scale * rest[:k], rest[k]
        index = intercept + ((Q * eigenvalues) @ Q.T)[self._pairs]
        log_probabilities, mills = log_probit(self._signs * index)
        weights = np.zeros((p, p))
        weights[self._pairs] = self._signs * mills
        by_node = (weights + weights.T) @ Q
        value, by_chart = self._chart.pull_back(coordinates, by_node * eigenvalues)
        by_eigenvalue = 0.5 * np.sum(Q * by_node, axis=0)
        by_rest = np.append(self._eigenvalue_scale * by_eigenvalue, weights.sum())
        gradient = np.concatenate([by_chart, by_rest - rest / self._scales**2])
        value += log_probabilities.sum() - 0.5 * np.sum((rest / self._scales) ** 2)
        value += self._log_constant
        return (value, gradient) if np.isfinite(value) and np.isfinite(gradient).all() else None
