"""Sums over rows from which estimates, tests and confidence sets of two effects are computed.

Per instrument w the moment E(w e1 e2) = 0 is linear in v = (1 + b12 b21, -b21, -b12), so that its
mean and its covariance at any value of the effects follow from a few sums whose number is free of
n: the mean of w q' and the covariance of w q', where q = (u1 u2, u1^2, u2^2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.diagnostics.concentrated_moments import quadratic_forms
from qbeconometrics.exceptions import IdentificationError, InputError

FloatArray = NDArray[np.float64]

# Numbers in a block of rows: a few megabytes.
BLOCK_NUMBERS = 500_000


@dataclass(frozen=True, slots=True)
class EffectMoments:
    """Moments of m instruments.

    Attributes
    ----------
    mean : ndarray, shape (m, 3)
        Pi, the mean of w q' for q = (u1 u2, u1^2, u2^2).
    covariance : ndarray, shape (3, 3, m, m)
        covariance[a, b] is the covariance of w q_a with w q_b.
    n : int
        Rows.
    """

    mean: FloatArray
    covariance: FloatArray
    n: int

    @property
    def n_instruments(self) -> int:
        """Number of instruments, m."""
        return int(self.mean.shape[0])

    @classmethod
    def from_sums(cls, total: FloatArray, product: FloatArray, n: int) -> EffectMoments:
        """Return the moments from sums over rows, as a stream keeps them.

        Parameters
        ----------
        total : ndarray, shape (3 m,)
            Sum of r, where r = (w q_1, w q_2, w q_3) is the row's instruments times each of q.
        product : ndarray, shape (3 m, 3 m)
            Sum of r r'.
        n : int

        Examples
        --------
        >>> r = np.array([[1.0, 2.0, 2.0, 4.0, 3.0, 6.0], [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]])
        >>> moments = EffectMoments.from_sums(r.sum(axis=0), r.T @ r, 2)
        >>> moments.mean
        array([[0.5, 1.5, 2.5],
               [1. , 2.5, 4. ]])
        """
        average = np.asarray(total, dtype=np.float64) / n
        m = len(average) // 3
        covariance = np.asarray(product, dtype=np.float64) / n - np.outer(average, average)
        return cls(
            average.reshape(3, m).T.copy(),
            np.ascontiguousarray(covariance.reshape(3, m, 3, m).transpose(0, 2, 1, 3)),
            int(n),
        )

    def at(self, v: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the mean (points, m) and covariance (points, m, m) of w q'v at v (points, 3)."""
        pairs = (v[:, :, None] * v[:, None, :]).reshape(len(v), 9)
        m = self.n_instruments
        return v @ self.mean.T, (pairs @ self.covariance.reshape(9, m * m)).reshape(-1, m, m)

    def criterion(self, v: ArrayLike) -> FloatArray:
        """Return n g'S^-1 g at each v (points, 3); NaN where S is singular.

        The same for every multiple of v, hence for both labels of the errors.
        """
        g, S = self.at(np.atleast_2d(np.asarray(v, dtype=np.float64)))
        return self.n * quadratic_forms(S, g)

    def standardised(self) -> tuple[EffectMoments, FloatArray]:
        """Return the moments of u1 and u2 in units of their sizes, and the sizes (2,).

        Instruments are scaled too, so that all moments are equally precise. Nothing depends on the
        units of u1, u2 and the instruments but the sizes, and these only by a common factor.
        """
        # Of each instrument times u1 u2: instruments may be of different units, as inverse
        # variances of two variables are.
        precision = np.einsum("jj,jj->j", self.covariance[1, 1], self.covariance[2, 2]) ** 0.25
        spread = np.sqrt(
            np.linalg.norm(self.mean / np.where(precision > 0.0, precision, 1.0)[:, None], axis=0)
        )
        sizes = np.where(spread[1:] > 0.0, spread[1:], 1.0)
        units = np.array([sizes[0] * sizes[1], sizes[0] ** 2, sizes[1] ** 2])
        covariance = self.covariance / np.outer(units, units)[:, :, None, None]
        noise = np.sqrt(np.einsum("aajj->j", covariance))
        noise = np.where(noise > 0.0, noise, 1.0)
        return EffectMoments(
            self.mean / units / noise[:, None], covariance / np.outer(noise, noise), self.n
        ), sizes


def effect_moments(
    u1: ArrayLike, u2: ArrayLike, instruments: ArrayLike, *, centered: bool = False
) -> EffectMoments:
    """Return the moments of reduced-form residuals and instruments.

    Parameters
    ----------
    u1, u2 : array_like, shape (n,)
        y1 - E(y1|x) and y2 - E(y2|x).
    instruments : array_like, shape (n, m)
        Functions of x; the efficient ones are the inverse error variances 1/exp g1, 1/exp g2.
    centered : bool, optional
        Whether instruments and products are taken less their means, so that covariances with e1 e2
        are used: for errors whose covariance is constant but perhaps not zero.

    Returns
    -------
    EffectMoments

    Raises
    ------
    InputError
        If the lengths differ, there are no rows or a value is not finite.
    IdentificationError
        If there are fewer than two instruments.
    """
    first, second = (np.asarray(part, dtype=np.float64) for part in (u1, u2))
    w = np.asarray(instruments, dtype=np.float64)
    if first.ndim != 1 or second.shape != first.shape or w.ndim != 2 or len(w) != len(first):
        raise InputError(
            f"u1 {first.shape}, u2 {second.shape} and instruments {w.shape} must be (n,), (n,) and "
            "(n, m)"
        )
    n, m = w.shape
    if n == 0:
        raise InputError("there are no rows")
    if m < 2:
        raise IdentificationError("two effects need two or more instruments; there is one")
    for name, part in (("u1", first), ("u2", second), ("instruments", w)):
        if not np.isfinite(part).all():
            raise InputError(f"{name} has values that are not finite")
    shift = np.zeros(3)
    if centered:
        w = w - w.mean(axis=0)
        shift = np.array([np.mean(first * second), np.mean(first**2), np.mean(second**2)])
    step = max(1, BLOCK_NUMBERS // (3 * m))
    blocks = [slice(start, start + step) for start in range(0, n, step)]
    average = np.zeros(3 * m)
    for block in blocks:
        average += _rows(first[block], second[block], w[block], shift).sum(axis=0)
    average /= n
    product = np.zeros((3 * m, 3 * m))
    for block in blocks:
        part = _rows(first[block], second[block], w[block], shift) - average
        product += part.T @ part
    covariance = product.reshape(3, m, 3, m).transpose(0, 2, 1, 3) / n
    return EffectMoments(average.reshape(3, m).T.copy(), np.ascontiguousarray(covariance), n)


def _rows(u1: FloatArray, u2: FloatArray, w: FloatArray, shift: FloatArray) -> FloatArray:
    """(w q_1, w q_2, w q_3) of each row, shape (n, 3 m)."""
    q = np.column_stack([u1 * u2, u1**2, u2**2]) - shift
    return np.asarray((q[:, :, None] * w[:, None, :]).reshape(len(q), -1))
