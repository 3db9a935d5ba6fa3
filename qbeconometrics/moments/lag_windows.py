"""Kernels of the HAC covariance: weights by lag, and bandwidths chosen from the data.

The weight of lag j is k(j / bandwidth). For the Bartlett and Parzen kernels `maxlags` is the last
lag with a weight, so that the bandwidth is maxlags + 1; the quadratic-spectral kernel weighs every
lag, and its `maxlags` is the bandwidth itself. linearmodels counts alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import NumericalError, OptionError

FloatArray = NDArray[np.float64]

AUTOMATIC = ("newey-west", "andrews")
KERNEL_SYNONYMS = {
    "newey-west": "bartlett",
    "gallant": "parzen",
    "andrews": "quadratic-spectral",
    "qs": "quadratic-spectral",
}

# A first-order coefficient closer to one would select lags without bound (Andrews & Monahan 1992,
# Econometrica 60, 953-966, keep to 0.97 too).
LARGEST_COEFFICIENT = 0.97


def _bartlett(x: FloatArray) -> FloatArray:
    return np.maximum(1.0 - x, 0.0)


def _parzen(x: FloatArray) -> FloatArray:
    return np.where(x <= 0.5, 1.0 - 6.0 * x**2 + 6.0 * x**3, 2.0 * np.maximum(1.0 - x, 0.0) ** 3)


def _quadratic_spectral(x: FloatArray) -> FloatArray:
    angle = 6.0 * np.pi * np.where(x == 0.0, 1.0, x) / 5.0
    return np.where(x == 0.0, 1.0, 3.0 / angle**2 * (np.sin(angle) / angle - np.cos(angle)))


@dataclass(frozen=True, slots=True)
class LagWindow:
    """A kernel and the constants of its bandwidth rules.

    Attributes
    ----------
    weights : callable
        k(x) for x >= 0.
    truncated : bool
        Whether k(x) = 0 for x >= 1.
    exponent : int
        Characteristic exponent q.
    constant : float
        Of the optimal bandwidth, 1.1447 for Bartlett.
    pilot_exponent : float
        Of n / 100 in the number of lags that Newey & West (1994) look at first.
    """

    weights: Callable[[FloatArray], FloatArray]
    truncated: bool
    exponent: int
    constant: float
    pilot_exponent: float


KERNELS = {
    "bartlett": LagWindow(_bartlett, True, 1, 1.1447, 2 / 9),
    "parzen": LagWindow(_parzen, True, 2, 2.6614, 4 / 25),
    "quadratic-spectral": LagWindow(_quadratic_spectral, False, 2, 1.3221, 2 / 25),
}


def bandwidth_of_lags(kernel: str, maxlags: int) -> float:
    """Return the bandwidth for a number of lags: one more where the kernel is truncated."""
    return float(maxlags + 1 if KERNELS[kernel].truncated else maxlags)


def lag_weights(kernel: str, bandwidth: float, n: int) -> FloatArray:
    """Return the weights of lags 0, 1, ..., as many as are not zero and below n.

    Sources: Newey & West (1987, Econometrica 55, 703-708), Gallant (1987), Andrews (1991,
    Econometrica 59, 817-858).

    Examples
    --------
    >>> lag_weights("bartlett", 4.0, 100)
    array([1.  , 0.75, 0.5 , 0.25])
    """
    window = KERNELS[kernel]
    if bandwidth == 0.0:
        return np.ones(1)
    last = min(n, int(np.ceil(bandwidth))) if window.truncated else n
    return window.weights(np.arange(max(last, 1)) / bandwidth)


def newey_west_lags(moments: FloatArray, kernel: str) -> int:
    """Return the lags that Newey & West (1994, Review of Economic Studies 61, 631-653) select.

    From the sum over moments, each divided by its standard deviation, so that scale plays no part.

    Parameters
    ----------
    moments : ndarray, shape (n, m)
        Rows in order of time.
    kernel : str
        A key of `KERNELS`.

    Raises
    ------
    OptionError
        If there are too few rows.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> newey_west_lags(np.cumsum(rng.standard_normal((200, 1)), axis=0), "bartlett")
    13
    """
    window = KERNELS[kernel]
    n = len(moments)
    pilot = int(np.ceil(4.0 * (n / 100.0) ** window.pilot_exponent))
    if pilot >= n - 1:
        raise OptionError(
            f"cov_kwds['maxlags']='newey-west' needs more than {n} rows with the {kernel} kernel; "
            "give maxlags as a number"
        )
    varying = _varying(moments)
    total = (varying / varying.std(axis=0)).sum(axis=1)
    lags = np.arange(1, pilot + 1)
    variance = total @ total / n
    products = np.array([total[j:] @ total[:-j] for j in lags]) / n
    level = variance + 2.0 * products.sum()
    slope = 2.0 * (lags**window.exponent * products).sum()
    root = 1.0 / (2 * window.exponent + 1)
    # A level of zero is rounding; the longest lag is then what the formula tends to.
    ratio = (slope / level) ** 2 if level != 0.0 else np.inf
    return int(min(np.ceil(window.constant * (ratio * n) ** root), n - 1))


def andrews_bandwidth(moments: FloatArray, kernel: str) -> float:
    """Return the bandwidth of Andrews (1991, Econometrica 59, 817-858) by first-order models.

    Equations 6.2 to 6.4 with a first-order autoregression without intercept for each moment.
    The weights are the inverses of the squared innovation variances, so that scale plays no part.

    Parameters
    ----------
    moments : ndarray, shape (n, m)
        Rows in order of time.
    kernel : str
        A key of `KERNELS`.
    """
    window = KERNELS[kernel]
    n = len(moments)
    varying = _varying(moments)
    before, after = varying[:-1], varying[1:]
    rho = np.einsum("ij,ij->j", before, after) / np.einsum("ij,ij->j", before, before)
    rho = np.clip(rho, -LARGEST_COEFFICIENT, LARGEST_COEFFICIENT)
    if window.exponent == 1:
        curvature = 4.0 * rho**2 / ((1.0 - rho) ** 6 * (1.0 + rho) ** 2)
    else:
        curvature = 4.0 * rho**2 / (1.0 - rho) ** 8
    ratio = curvature.sum() / (1.0 / (1.0 - rho) ** 4).sum()
    bandwidth = window.constant * (ratio * n) ** (1.0 / (2 * window.exponent + 1))
    return float(min(bandwidth, n))


def _varying(moments: FloatArray) -> FloatArray:
    """Moments that are not zero, or the same, in all rows."""
    varying = moments[:, moments.std(axis=0) > 0.0]
    if varying.shape[1] == 0 or len(varying) < 3:
        raise NumericalError(
            "maxlags cannot be selected from the data: the moments do not vary. Give maxlags as a "
            "number."
        )
    return varying
