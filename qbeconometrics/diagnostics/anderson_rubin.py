"""Anderson-Rubin confidence sets of one coefficient: valid however weak the instruments are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from qbeconometrics.diagnostics.acceptance_sets import score_set
from qbeconometrics.diagnostics.convergence import check_probability
from qbeconometrics.exceptions import OptionError
from qbeconometrics.moments.dependence import RowWeights, weighted_rows

FloatArray = NDArray[np.float64]


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
    blocks = S.reshape(2, L, 2, L).transpose(0, 2, 1, 3)
    covariance = (blocks + blocks.transpose(1, 0, 2, 3)) / 2.0
    return score_set(g, covariance, n, float(chdtri(L, alpha)))
