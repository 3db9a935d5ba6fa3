"""S from the moments of all rows, for moments of any form: formed anew wherever a chain goes.

Every rule is S = (1/n) sum_st kappa_st g_s g_t' with the kappa of `moments.dependence`, but for
"nonrobust". All the work is in a few calls of BLAS, of a Fourier transform or of a sparse product,
so that a rule costs little more than the function whose moments it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len, rfft
from scipy.linalg.blas import daxpy
from scipy.sparse import csr_array

from qbeconometrics.exceptions import OptionError
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.dependence import RowWeights

FloatArray = NDArray[np.float64]

# (moments (n, m), their mean (m,)) -> S (m, m), C-ordered and new; the moments are left alone.
RowCovariance = Callable[[FloatArray, FloatArray], FloatArray]

# Beyond so many lags a Fourier transform is faster than adding shifted rows.
LONGEST_SHIFTED = 20

# Largest distance of a moment from residual times instrument, as a share of the largest moment; and
# of their sums of squares, which is checked at every point.
RESIDUAL_TOLERANCE = 1e-8
SQUARES_TOLERANCE = 1e-9


def row_covariance(
    rule: CovarianceRule,
    *,
    n: int,
    n_params: int,
    weights: RowWeights | None = None,
    instrument: FloatArray | None = None,
) -> RowCovariance:
    """Return the function that forms S.

    Parameters
    ----------
    rule : CovarianceRule
    n, n_params : int
    weights : RowWeights, optional
        Needed for "HAC" and "cluster".
    instrument : ndarray, shape (n, q), optional
        Needed for "nonrobust".

    Examples
    --------
    >>> form = row_covariance(CovarianceRule("HC0"), n=2, n_params=1)
    >>> form(np.array([[1.0, 0.0], [1.0, 2.0]]), np.array([1.0, 1.0]))
    array([[1., 1.],
           [1., 2.]])
    """
    return _FormedCovariance(rule, n, n_params, weights, instrument)


class _FormedCovariance:
    """The function that forms S, made anew in each process that it is sent to."""

    def __init__(self, *facts: Any):
        self._facts = facts
        self._form = _covariance_form(*facts)

    def __call__(self, moments: FloatArray, mean: FloatArray) -> FloatArray:
        return self._form(moments, mean)

    def __reduce__(self) -> tuple[Any, ...]:
        return _FormedCovariance, self._facts


def _covariance_form(
    rule: CovarianceRule,
    n: int,
    n_params: int,
    weights: RowWeights | None,
    instrument: FloatArray | None,
) -> RowCovariance:
    if rule.cov_type == "nonrobust":
        assert instrument is not None
        return _of_residuals(instrument, rule.centered)
    if not rule.is_dependent:
        return _of_independent_rows(n, rule.small_sample_factor(n, n_params), rule.centered)
    assert weights is not None
    if weights.lags is None:
        return _of_clusters(weights, n, rule.centered)
    by = _by_shifts if len(weights.lags) - 1 <= LONGEST_SHIFTED else _by_frequency
    return by(weights.lags, n, rule.centered)


def _of_independent_rows(n: int, factor: float, centered: bool) -> RowCovariance:
    scale = factor / n

    def covariance(moments: FloatArray, mean: FloatArray) -> FloatArray:
        S: FloatArray = moments.T @ moments
        S *= scale
        if centered:
            S -= factor * (mean[:, None] * mean)
        return S

    return covariance


def _by_shifts(lags: FloatArray, n: int, centered: bool) -> RowCovariance:
    half = lags / n
    half[0] /= 2.0

    def covariance(moments: FloatArray, mean: FloatArray) -> FloatArray:
        rows = moments - mean if centered else np.ascontiguousarray(moments)
        m = rows.shape[1]
        # Rows are contiguous, so a shift by a lag is a shift in memory.
        flat = rows.reshape(-1)
        ahead = half[0] * flat
        for lag in range(1, len(half)):
            ahead = daxpy(flat, ahead, n=(n - lag) * m, a=half[lag], offx=lag * m)
        product = rows.T @ ahead.reshape(n, m)
        return np.ascontiguousarray(product + product.T)

    return covariance


def _by_frequency(lags: FloatArray, n: int, centered: bool) -> RowCovariance:
    length = next_fast_len(n + len(lags) - 1, real=True)
    column = np.zeros(length)
    column[: len(lags)] = lags
    column[length - len(lags) + 1 :] = lags[:0:-1]
    spectrum = np.real(rfft(column)) / (n * length)
    # Frequencies between zero and the highest stand for two.
    spectrum[1 : (length + 1) // 2] *= 2.0
    twice = np.repeat(spectrum, 2)

    def covariance(moments: FloatArray, mean: FloatArray) -> FloatArray:
        rows = moments - mean if centered else moments
        parts = rfft(np.ascontiguousarray(rows.T), length).view(np.float64)
        product = (parts * twice) @ parts.T
        return np.ascontiguousarray((product + product.T) / 2.0)

    return covariance


def _of_clusters(weights: RowWeights, n: int, centered: bool) -> RowCovariance:
    members = [
        csr_array((np.ones(n), (codes, np.arange(n))), shape=(int(codes.max()) + 1, n))
        for codes in weights.clusters
    ]
    signs = (1.0, 1.0, -1.0)

    def covariance(moments: FloatArray, mean: FloatArray) -> FloatArray:
        rows = moments - mean if centered else moments
        m = rows.shape[1]
        S = np.zeros((m, m))
        for sign, indicator in zip(signs, members, strict=False):
            sums = np.asarray(indicator @ rows)
            S += (sign / n) * (sums.T @ sums)
        return S

    return covariance


def _of_residuals(instrument: FloatArray, centered: bool) -> RowCovariance:
    n = len(instrument)
    squares = np.einsum("ij,ij->i", instrument, instrument)
    product = instrument.T @ instrument / n

    def covariance(moments: FloatArray, mean: FloatArray) -> FloatArray:
        residuals = residuals_along(moments, instrument, squares)
        total = float(np.vdot(moments, moments))
        # The part of the moments along the instruments cannot be longer than the moments.
        along = float(np.einsum("ij,ij,i->", residuals, residuals, squares))
        if total - along > SQUARES_TOLERANCE * total:
            raise OptionError(f"{_NOT_RESIDUALS}, but at some parameters they are not. {_REMEDY}")
        if centered:
            residuals = residuals - residuals.mean(axis=0)
        return np.ascontiguousarray(np.kron(residuals.T @ residuals / n, product))

    return covariance


def residuals_along(moments: FloatArray, instrument: FloatArray, squares: FloatArray) -> FloatArray:
    """Return residuals (n, r) of moments that are residuals times instruments.

    `squares` (n,) are the squared lengths of the rows of the instruments.
    """
    n, q = instrument.shape
    by_residual = moments.reshape(n, -1, q)
    along: FloatArray = np.matmul(by_residual, instrument[:, :, None])[:, :, 0]
    return along / squares[:, None]


_NOT_RESIDUALS = (
    "cov_type='nonrobust' is for moments that are residuals times all instruments, residual by "
    "residual (u1 z1, u1 z2, ..., u2 z1, ...)"
)
_REMEDY = "Order the moments so, or use cov_type='HC0'."


def check_residual_moments(moments: FloatArray, instrument: FloatArray | None) -> None:
    """Refuse moments that are not residuals times the instruments.

    Parameters
    ----------
    moments : ndarray, shape (n, m)
    instrument : ndarray, shape (n, q), or None

    Raises
    ------
    OptionError
        Saying what is missing.
    """
    if instrument is None:
        raise OptionError(
            f"{_NOT_RESIDUALS}; give instrument=... (or exog, as its own instruments), or use "
            "cov_type='HC0'."
        )
    m, q = moments.shape[1], instrument.shape[1]
    if m % q != 0:
        raise OptionError(
            f"{_NOT_RESIDUALS}, but {m} moments are not a multiple of {q} instruments. {_REMEDY}"
        )
    squares = np.einsum("ij,ij->i", instrument, instrument)
    if not squares.all():
        row = int(np.argmin(squares != 0.0))
        raise OptionError(
            f"{_NOT_RESIDUALS}, and needs the residual of every row, but all instruments are zero "
            f"in row {row}. Add a constant to the instruments, drop the row, or use cov_type='HC0'."
        )
    residuals = residuals_along(moments, instrument, squares)
    distance = np.abs(moments - (residuals[:, :, None] * instrument[:, None, :]).reshape(-1, m))
    if distance.max() > RESIDUAL_TOLERANCE * np.abs(moments).max():
        row, moment = divmod(int(distance.argmax()), m)
        raise OptionError(f"{_NOT_RESIDUALS}, which moment {moment} of row {row} is not. {_REMEDY}")
