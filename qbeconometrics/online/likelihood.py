"""The Gaussian quasi-likelihood of two effects."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def mean_log_likelihood(
    u1: FloatArray, u2: FloatArray, params: ArrayLike, instruments: FloatArray
) -> float:
    """Return the mean over rows of the log density of (y1, y2) given x.

    Parameters
    ----------
    u1, u2 : ndarray, shape (n,)
        Reduced-form residuals.
    params : array_like, shape (2,)
        (b12, b21).
    instruments : ndarray, shape (n, 2)
        Inverse error variances.

    Notes
    -----
    log|1 - b12 b21| - log(2 pi) - (1/2) sum_j (g_j + e_j^2 exp(-g_j)). Without the first term, the
    Jacobian, the maximum would shrink the residuals instead of the errors.

    Examples
    --------
    >>> zero = np.zeros(3)
    >>> round(mean_log_likelihood(zero, zero, [0.5, 0.0], np.ones((3, 2))), 4)
    -1.8379
    """
    b12, b21 = np.asarray(params, dtype=np.float64)
    errors = np.column_stack([u1 - b12 * u2, u2 - b21 * u1])
    fit = np.sum(errors**2 * instruments - np.log(instruments), axis=1)
    jacobian = np.log(abs(1.0 - b12 * b21))
    return float(jacobian - np.log(2.0 * np.pi) - 0.5 * np.mean(fit))
