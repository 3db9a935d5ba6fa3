"""Anderson-Rubin confidence sets of one coefficient: valid however weak the instruments are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigvals
from scipy.special import chdtri

from qbeconometrics.diagnostics.convergence import check_probability
from qbeconometrics.exceptions import OptionError
from qbeconometrics.moments.dependence import RowWeights, weighted_rows

FloatArray = NDArray[np.float64]

# Imaginary parts of eigenvalues, relative to their size, that rounding can leave.
ROUNDING = 1e-8


def anderson_rubin_set(
    endog: FloatArray,
    regressor: FloatArray,
    instrument: FloatArray,
    *,
    weights: RowWeights,
    alpha: float = 0.10,
    factor: float = 1.0,
) -> list[tuple[float, float]]:
    """Return the values b that the test of E[z (y - x b)] = 0 does not reject.

    The covariance of the moments at b is that of z times the residual of y - x b on z, so that it
    is quadratic in b and the ends are eigenvalues of a quadratic matrix polynomial.

    Parameters
    ----------
    endog, regressor : ndarray, shape (n,)
        With the controls partialled out, as is `instrument`.
    instrument : ndarray, shape (n, L)
    weights : RowWeights
        Of pairs of rows in the covariance.
    alpha : float
        One minus the level; the critical value is that of chi-squared with L degrees of freedom.
    factor : float
        On the covariance, such as n / (n - k).

    Returns
    -------
    list of tuple of float
        Intervals in order; possibly none, and possibly infinite.

    References
    ----------
    Anderson, T. W. and Rubin, H. (1949). Estimation of the parameters of a single equation in a
    complete system of stochastic equations. Annals of Mathematical Statistics 20, 46-63.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> z = rng.normal(size=(200, 1))
    >>> x = z[:, 0] + rng.normal(size=200)
    >>> y = x + rng.normal(size=200)
    >>> [(low, high)] = anderson_rubin_set(y, x, z, weights=RowWeights(lags=np.ones(1)))
    >>> low < 1.0 < high
    True
    """
    alpha = check_probability(alpha, "alpha")
    n, L = instrument.shape
    both = np.column_stack([endog, regressor])
    if n <= L:
        raise OptionError(f"an Anderson-Rubin set needs more than {L} rows")
    g = instrument.T @ both / n
    reduced = both - instrument @ np.linalg.lstsq(instrument, both)[0]
    scores = np.hstack([instrument * reduced[:, :1], instrument * reduced[:, 1:]])
    S = factor * scores.T @ weighted_rows(weights, scores) / n
    S = (S + S.T) / 2.0
    critical = float(chdtri(L, alpha))
    b, a = g.T
    cross = S[:L, L:]
    constant = critical * S[:L, :L] - n * np.outer(b, b)
    linear = -critical * (cross + cross.T) + n * (np.outer(b, a) + np.outer(a, b))
    square = critical * S[L:, L:] - n * np.outer(a, a)
    roots = _real_roots(constant, linear, square)

    def inside(value: float) -> bool:
        moment = b - a * value
        covariance = S[:L, :L] - value * (cross + cross.T) + value**2 * S[L:, L:]
        return bool(n * moment @ np.linalg.solve(covariance, moment) <= critical)

    if len(roots) == 0:
        return [(-np.inf, np.inf)] if inside(0.0) else []
    spread = max(1.0, float(np.ptp(roots)), float(np.abs(roots).max()))
    middles = np.concatenate(
        [[roots[0] - spread], (roots[1:] + roots[:-1]) / 2.0, [roots[-1] + spread]]
    )
    ends = np.concatenate([[-np.inf], roots, [np.inf]])
    intervals: list[tuple[float, float]] = []
    for place, middle in enumerate(middles):
        if not inside(float(middle)):
            continue
        low, high = float(ends[place]), float(ends[place + 1])
        if intervals and intervals[-1][1] == low:
            low = intervals.pop()[0]
        intervals.append((low, high))
    return intervals


def _real_roots(constant: FloatArray, linear: FloatArray, square: FloatArray) -> FloatArray:
    """Real b with det(constant + b linear + b^2 square) = 0, in order."""
    L = len(constant)
    zero, one = np.zeros((L, L)), np.eye(L)
    # Scaled so that both coefficient matrices are of one size.
    scale = np.sqrt(np.abs(np.trace(constant)) / max(np.abs(np.trace(square)), 1e-300))
    scale = float(scale) if np.isfinite(scale) and scale > 0.0 else 1.0
    size = np.linalg.norm(constant)
    left = np.block([[zero, one], [-constant / size, -linear * scale / size]])
    right = np.block([[one, zero], [zero, square * scale**2 / size]])
    with np.errstate(all="ignore"):
        values = eigvals(left, right)
    values = values[np.isfinite(values)]
    real = np.abs(values.imag) <= ROUNDING * np.abs(values)
    return np.sort(values[real].real) * scale
