"""The two effects from moments of reduced-form residuals, without a search.

With u = y - E(y|x), e1 = u1 - b12 u2 and e2 = u2 - b21 u1, every instrument w that is a function
of x satisfies E(w e1 e2) = 0. With A = E(w u1 u2), B = E(w u1^2), C = E(w u2^2) and P = b12 b21:

    (1 + P) A - b21 B - b12 C = 0,

which is linear in v = (1 + P, -b21, -b12). Two instruments fix v up to a factor, and the factor
comes from P = b12 b21, a quadratic equation whose two roots are the two labellings of the errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.exceptions import IdentificationError, InputError

FloatArray = NDArray[np.float64]

OK, WEAK, LABEL_AMBIGUOUS = "ok", "weak", "label-ambiguous"

# Relative size below which a quantity that decides on the status counts as zero.
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Effects:
    """Two effects with |b12 b21| < 1.

    Attributes
    ----------
    b12, b21 : float
        Effects of y2 on y1 and of y1 on y2; NaN if weak.
    status : {"ok", "weak", "label-ambiguous"}
        "weak": the equations have no real solution, or fewer than two of them are independent.
        "label-ambiguous": b12 b21 is -1 up to rounding, so that neither label is preferred.
    other : tuple of float
        The same law with the errors labelled the other way, (1/b21, 1/b12); infinite if an effect
        is zero.
    """

    b12: float
    b21: float
    status: str
    other: tuple[float, float]

    @property
    def params(self) -> FloatArray:
        """(b12, b21)."""
        return np.array([self.b12, self.b21])


NO_EFFECTS = Effects(np.nan, np.nan, WEAK, (np.nan, np.nan))


def null_vector(params: ArrayLike) -> FloatArray:
    """Return (1 + b12 b21, -b21, -b12) of each row of effects (..., 2).

    Examples
    --------
    >>> null_vector([0.5, -0.4])
    array([ 0.8,  0.4, -0.5])
    """
    b12, b21 = np.moveaxis(np.asarray(params, dtype=np.float64), -1, 0)
    return np.stack([1.0 + b12 * b21, -b21, -b12], axis=-1)


def effects_of_null_vector(v: ArrayLike) -> Effects:
    """Return the effects with |b12 b21| < 1 that belong to any multiple of `null_vector`.

    Parameters
    ----------
    v : array_like, shape (3,)

    Notes
    -----
    With s = |v0| + sqrt(v0^2 - 4 v1 v2) the effects are -2 sign(v0) (v2, v1) / s: the stable root,
    without cancellation at b12 b21 = 0 or -1.

    Examples
    --------
    >>> found = effects_of_null_vector([-1.6, -0.8, 1.0])
    >>> round(found.b12, 12), round(found.b21, 12), found.status
    (0.5, -0.4, 'ok')
    """
    v = np.asarray(v, dtype=np.float64)
    square, product = float(v[0] ** 2), 4.0 * float(v[1] * v[2])
    discriminant = square - product
    if not discriminant > ROUNDING * (square + abs(product)):
        return NO_EFFECTS
    total = abs(float(v[0])) + np.sqrt(discriminant)
    factor = -2.0 * np.copysign(1.0, v[0]) / total
    b12, b21 = float(factor * v[2]), float(factor * v[1])
    ambiguous = 1.0 + b12 * b21 < ROUNDING
    return Effects(b12, b21, LABEL_AMBIGUOUS if ambiguous else OK, other_label(b12, b21))


def other_label(b12: float, b21: float) -> tuple[float, float]:
    """Return the effects of the same law with the two errors exchanged, (1/b21, 1/b12).

    Examples
    --------
    >>> other_label(0.5, -0.4)
    (-2.5, 2.0)
    """
    inverse = [1.0 / b if b != 0.0 else float("inf") for b in (b21, b12)]
    return inverse[0], inverse[1]


def canonical_label(b12: float, b21: float) -> tuple[float, float]:
    """Return the effects or `other_label`, whichever has |b12 b21| < 1.

    Examples
    --------
    >>> canonical_label(-2.5, 2.0)
    (0.5, -0.4)
    """
    return (b12, b21) if abs(b12 * b21) <= 1.0 else other_label(b12, b21)


def solve_effects(A: ArrayLike, B: ArrayLike, C: ArrayLike) -> Effects:
    """Return the effects that solve E(w e1 e2) = 0 for two or more instruments w.

    Parameters
    ----------
    A, B, C : array_like, shape (m,)
        Means of w u1 u2, w u1^2 and w u2^2 for each instrument, or covariances of w with the
        products if only those of e1 e2 are known to be zero. With more than two instruments they
        should be in comparable units, since each counts as much as its size.

    Returns
    -------
    Effects

    Raises
    ------
    InputError
        If the shapes differ or a value is not finite.
    IdentificationError
        If there is one instrument only.

    Notes
    -----
    Exact for population moments. With more than two instruments the sum of squares of the
    equations is minimised over directions of v, in standardised variables, which treats the two
    labels alike; least squares with 1 + b12 b21 divided out does not.

    The equations are those of Lewbel (2012), here solved for both effects at once; Rigobon (2003)
    has indicators of regimes as instruments.

    References
    ----------
    Lewbel, A. (2012). Using heteroscedasticity to identify and estimate mismeasured and endogenous
    regressor models. Journal of Business & Economic Statistics 30, 67-80.

    Rigobon, R. (2003). Identification through heteroskedasticity. Review of Economics and
    Statistics 85, 777-792.

    Examples
    --------
    Errors of variances (1, 2) in one regime and (3, 1) in another, effects 0.5 and -0.4:

    >>> import numpy as np
    >>> A, B, C = [], [], []
    >>> for variances in ([1.0, 2.0], [3.0, 1.0]):
    ...     mixing = np.linalg.inv([[1.0, -0.5], [0.4, 1.0]])
    ...     covariance = mixing @ np.diag(variances) @ mixing.T
    ...     A.append(covariance[0, 1]), B.append(covariance[0, 0]), C.append(covariance[1, 1])
    (None, None, None)
    (None, None, None)
    >>> found = solve_effects(A, B, C)
    >>> round(found.b12, 12), round(found.b21, 12)
    (0.5, -0.4)
    """
    columns = [np.atleast_1d(np.asarray(part, dtype=np.float64)) for part in (A, B, C)]
    if any(part.ndim != 1 or part.shape != columns[0].shape for part in columns):
        raise InputError("A, B and C must be vectors of one length, with a value per instrument")
    Pi = np.column_stack(columns)
    if not np.isfinite(Pi).all():
        raise InputError("A, B and C must be finite numbers")
    if len(Pi) < 2:
        raise IdentificationError("two effects need two or more instruments; there is one")
    return effects_of_null_vector(smallest_direction(Pi))


def smallest_direction(Pi: FloatArray) -> FloatArray:
    """Return v (3,) with |Pi v| least in standardised variables; zero if Pi has rank one.

    Parameters
    ----------
    Pi : ndarray, shape (m, 3)
        Columns A, B, C.
    """
    size1, size2 = np.linalg.norm(Pi[:, 1]), np.linalg.norm(Pi[:, 2])
    if size1 == 0.0 or size2 == 0.0:
        return np.zeros(3)
    # u1 and u2 in units of their root mean squares.
    units = np.array([np.sqrt(size1) * np.sqrt(size2), size1, size2])
    scaled = Pi / units
    if len(scaled) == 2:
        # Both equations can be met, so that their units are free.
        rows = np.linalg.norm(scaled, axis=1, keepdims=True)
        scaled = scaled / np.where(rows > 0.0, rows, 1.0)
    _, singular, right = np.linalg.svd(scaled)
    if singular[1] <= ROUNDING * singular[0]:
        return np.zeros(3)
    return np.asarray(right[2] / units)
