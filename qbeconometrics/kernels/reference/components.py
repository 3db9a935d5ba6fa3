"""Log density of probabilistic principal components; twin of the compiled one."""

from __future__ import annotations

import numpy as np

from qbeconometrics.kernels.reference.density import CompiledDensity, FloatArray
from qbeconometrics.kernels.reference.stiefel import StiefelMap


class ComponentDensity(CompiledDensity):
    """Density of chart coordinates of Q, logs of increments of lengths, and the log noise sd.

    Data are normal with covariance Sigma = Q diag(l^2) Q' + s^2 I, l_1 > ... > l_k > 0, up to
    constants. The prior is that of loadings Q diag(l) V' which are independent standard normals,
    following Nirwan and Bertschinger (2019, PMLR 97), with s half-normal(0, 1): for Q
    uniform, and for l sum_{i<j} log(l_i^2 - l_j^2) + (p - k) sum_i log l_i - sum_i l_i^2 / 2. The
    coordinates are those of the chart, then log(l_1 - l_2), ..., log(l_(k-1) - l_k), log l_k, then
    log s.

    Parameters
    ----------
    chart : StiefelMap
        Of matrices (p, k), k below p.
    scatter : ndarray, shape (p, p)
        Sums of products of centred data, in units of the prior sd of loadings.
    n : float
        Degrees of freedom of it.
    prior : bool
        Whether the prior and the Jacobian of the coordinates are added, or the likelihood is alone.

    Examples
    --------
    >>> ComponentDensity(StiefelMap("polar", 3, 2), np.eye(3), 10.0).size
    9
    """

    def __init__(
        self, chart: StiefelMap, scatter: FloatArray, n: float, prior: bool = True
    ) -> None:
        p = chart.p
        kept = np.array(scatter, dtype=np.float64)
        if kept.shape != (p, p) or not np.array_equal(kept, kept.T):
            raise ValueError(f"scatter must be symmetric, of shape ({p}, {p})")
        if chart.k >= p or not n > 0.0:
            raise ValueError("k must be below p, and n positive")
        self._chart, self._scatter, self._n, self._prior = chart, kept, n, prior
        self.size = chart.size + chart.k + 1

    def evaluate(self, x: FloatArray) -> tuple[float, FloatArray] | None:
        """Return log density and gradient; None where they are not finite, or cannot be had."""
        p, k, n = self._chart.p, self._chart.k, self._n
        coordinates, logs = x[: -k - 1], x[-k - 1 :]
        Q = self._chart.forward(coordinates)
        if not np.all(np.isfinite(Q)):
            return None
        increments, noise = np.exp(logs[:k]), np.exp(logs[k])
        lengths = np.cumsum(increments[::-1])[::-1]
        variances = lengths**2 + noise**2
        shares = lengths**2 / variances
        rotated = self._scatter @ Q
        along = np.sum(Q * rotated, axis=0)
        left = np.trace(self._scatter) - shares @ along
        value = -0.5 * n * (np.log(variances).sum() + 2.0 * (p - k) * logs[k])
        value -= 0.5 * left / noise**2
        by_length = lengths / variances * (along / variances - n)
        by_noise = left / noise**3 - n * (p - k) / noise
        by_noise -= np.sum(n * noise / variances + along * shares / (noise * variances))
        if self._prior:
            gaps = np.subtract.outer(lengths, lengths)
            sums = np.add.outer(lengths, lengths)
            above = np.triu_indices(k, 1)
            value += np.log(gaps[above] * sums[above]).sum() + (p - k) * np.log(lengths).sum()
            value += logs.sum() - 0.5 * (lengths @ lengths + noise**2)
            np.fill_diagonal(gaps, np.inf)
            np.fill_diagonal(sums, np.inf)
            by_length += (1.0 / gaps + 1.0 / sums).sum(axis=1) + (p - k) / lengths - lengths
            by_noise -= noise
        by_logs = np.append(np.cumsum(by_length) * increments, by_noise * noise) + self._prior
        own, by_chart = self._chart.pull_back(coordinates, rotated * shares / noise**2)
        value += own
        gradient = np.concatenate([by_chart, by_logs])
        return (value, gradient) if np.isfinite(value) and np.isfinite(gradient).all() else None
