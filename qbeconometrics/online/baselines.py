"""What others would estimate: single equations, polynomial instruments, and variance regimes."""

from __future__ import annotations

from itertools import combinations_with_replacement
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import lstsq

from qbeconometrics.exceptions import InputError, OptionError
from qbeconometrics.inputs.rank import dependent_columns, triangular_factor
from qbeconometrics.online.closed_form import OK
from qbeconometrics.online.effect_moments import effect_moments
from qbeconometrics.online.inference import EffectEstimate, estimate_effects

FloatArray = NDArray[np.float64]

# Largest polynomials of the means, and of the instruments, in a comparison of all baselines.
MOST_TERMS, MOST_INSTRUMENTS = 120, 30


class LeastSquares(NamedTuple):
    """Coefficients of single equations.

    Attributes
    ----------
    params, bse : ndarray, shape (2,)
        Of y2 in the equation of y1, and of y1 in that of y2; standard errors are HC0.
    status : str
        "ok", always: the estimate exists, though it is of no effect if both variables move the
        other one.
    """

    params: FloatArray
    bse: FloatArray
    status: str


def polynomial(x: ArrayLike, degree: int) -> FloatArray:
    """Return all monomials of standardised columns up to a total degree, the constant first.

    Parameters
    ----------
    x : array_like, shape (n, d)
    degree : int

    Returns
    -------
    ndarray, shape (n, (d + degree)! / (d! degree!))

    Examples
    --------
    >>> polynomial([[1.0], [3.0]], 2)
    array([[ 1., -1.,  1.],
           [ 1.,  1.,  1.]])
    """
    columns = np.asarray(x, dtype=np.float64)
    if columns.ndim != 2 or columns.shape[1] == 0 or not np.isfinite(columns).all():
        raise InputError(f"x {columns.shape} must be finite numbers (n, d)")
    if degree < 1 or degree != int(degree):
        raise OptionError(f"degree={degree!r} is not allowed: give a whole number of at least 1")
    spread = columns.std(axis=0)
    if (spread == 0.0).any():
        place = int(np.flatnonzero(spread == 0.0)[0])
        raise InputError(f"column {place} of x is constant: leave it out")
    z = (columns - columns.mean(axis=0)) / spread
    terms = [np.ones(len(z))]
    for power in range(1, int(degree) + 1):
        for chosen in combinations_with_replacement(range(z.shape[1]), power):
            terms.append(z[:, list(chosen)].prod(axis=1))
    return np.column_stack(terms)


def reduced_form_residuals(
    y1: ArrayLike, y2: ArrayLike, x: ArrayLike, degree: int
) -> tuple[FloatArray, FloatArray]:
    """Return residuals of y1 and y2 from least squares on `polynomial`, each (n,)."""
    basis = polynomial(x, degree)
    y = np.column_stack([np.asarray(y1, np.float64), np.asarray(y2, np.float64)])
    if len(y) != len(basis):
        raise InputError(f"y1 and y2 have {len(y)} rows, x has {len(basis)}")
    if not np.isfinite(y).all():
        raise InputError("y1 and y2 must be finite numbers")
    if len(y) <= basis.shape[1]:
        raise InputError(f"a polynomial of {basis.shape[1]} terms needs more than {len(y)} rows")
    u = y - basis @ lstsq(basis, y)[0]
    return u[:, 0], u[:, 1]


def single_equations(
    y1: ArrayLike, y2: ArrayLike, x: ArrayLike, *, degree: int = 3
) -> LeastSquares:
    """Regress each variable on the other one and a polynomial of x.

    Biased if both effects or a common cause are at work; what the other estimates are compared to.

    Parameters
    ----------
    y1, y2 : array_like, shape (n,)
    x : array_like, shape (n, d)
    degree : int, optional

    Returns
    -------
    LeastSquares
    """
    return _slopes(*reduced_form_residuals(y1, y2, x, degree))


def _slopes(u1: FloatArray, u2: FloatArray) -> LeastSquares:
    """Least squares of each residual on the other one."""
    params, bse = [], []
    for own, other in ((u1, u2), (u2, u1)):
        total = float(other @ other)
        slope = float(own @ other) / total
        params.append(slope)
        bse.append(float(np.linalg.norm(other * (own - slope * other))) / total)
    return LeastSquares(np.array(params), np.array(bse), OK)


def polynomial_lewbel(
    y1: ArrayLike, y2: ArrayLike, x: ArrayLike, *, degree: int = 2, mean_degree: int = 5
) -> EffectEstimate:
    """Estimate both effects with polynomials of x as instruments, following Lewbel (2012).

    Parameters
    ----------
    y1, y2 : array_like, shape (n,)
    x : array_like, shape (n, d)
    degree : int, optional
        Of the instruments z in Cov(z, e1 e2) = 0.
    mean_degree : int, optional
        Of the polynomial that stands for the means of y1 and y2 given x. What it misses of them
        is taken for error variance that moves with x.

    Returns
    -------
    EffectEstimate

    References
    ----------
    Lewbel, A. (2012). Using heteroscedasticity to identify and estimate mismeasured and endogenous
    regressor models. Journal of Business & Economic Statistics 30, 67-80.
    """
    u1, u2 = reduced_form_residuals(y1, y2, x, mean_degree)
    instruments = polynomial(x, degree)[:, 1:]
    return estimate_effects(effect_moments(u1, u2, instruments, centered=True))


def variance_regimes(u1: ArrayLike, u2: ArrayLike, x: ArrayLike, count: int) -> NDArray[np.int64]:
    """Split the rows by how large the variance of u1 is expected to be relative to that of u2.

    Parameters
    ----------
    u1, u2 : array_like, shape (n,)
        Reduced-form residuals.
    x : array_like, shape (n, d)
    count : int
        Regimes, of equal numbers of rows.

    Returns
    -------
    ndarray of int, shape (n,)
        0, ..., count - 1: bins of the fitted values of log u1^2 - log u2^2 on a quadratic in x.
    """
    if count < 2 or count != int(count):
        raise OptionError(f"count={count!r} is not allowed: give a whole number of at least 2")
    squares = np.square([np.asarray(u1, np.float64), np.asarray(u2, np.float64)])
    # A residual that happens to be near zero would rule the fit.
    first, second = np.log(squares + 0.01 * squares.mean(axis=1, keepdims=True))
    basis = polynomial(x, 2)
    fitted = basis @ lstsq(basis, first - second)[0]
    cuts = np.quantile(fitted, np.arange(1, int(count)) / int(count))
    return np.searchsorted(cuts, fitted, side="right").astype(np.int64)


def rigobon(
    y1: ArrayLike,
    y2: ArrayLike,
    x: ArrayLike,
    *,
    regimes: ArrayLike | int = 2,
    mean_degree: int = 5,
) -> EffectEstimate:
    """Estimate both effects from regimes of different variances, following Rigobon (2003).

    Parameters
    ----------
    y1, y2 : array_like, shape (n,)
    x : array_like, shape (n, d)
    regimes : int or array_like of shape (n,), optional
        A number of regimes, formed by `variance_regimes`, or the regime of each row, which must be
        known without y1 and y2.
    mean_degree : int, optional
        Of the polynomial that stands for the means given x.

    Returns
    -------
    EffectEstimate
        Two regimes: the exact solution. More: the minimum of the continuously updated criterion.

    References
    ----------
    Rigobon, R. (2003). Identification through heteroskedasticity. Review of Economics and
    Statistics 85, 777-792.
    """
    u1, u2 = reduced_form_residuals(y1, y2, x, mean_degree)
    if np.ndim(regimes) == 0:
        labels = variance_regimes(u1, u2, x, int(np.asarray(regimes)))
    else:
        labels = np.asarray(regimes)
        if labels.shape != u1.shape:
            raise InputError(f"regimes {labels.shape} must have a value for each of {u1.shape}")
    names = np.unique(labels)
    if len(names) < 2:
        raise InputError("two effects need two or more regimes; there is one")
    indicators = (labels[:, None] == names).astype(np.float64)
    return estimate_effects(effect_moments(u1, u2, indicators))


def all_baselines(
    y1: ArrayLike, y2: ArrayLike, x: ArrayLike
) -> list[tuple[str, LeastSquares | EffectEstimate]]:
    """Return names and estimates of all baselines, with polynomials as large as x allows.

    Parameters
    ----------
    y1, y2 : array_like, shape (n,)
    x : array_like, shape (n, d)

    Notes
    -----
    Degrees are the usual ones of each estimator, lowered until the polynomial of the means has at
    most MOST_TERMS terms and that of the instruments MOST_INSTRUMENTS. Regimes are quantiles of the
    fitted ratio of variances, which is ours.
    """
    n, d = np.shape(x)
    mean_degree = _largest_degree(d, 5, min(MOST_TERMS, n // 4))
    degree = _largest_degree(d, 2, MOST_INSTRUMENTS)
    u1, u2 = reduced_form_residuals(y1, y2, x, mean_degree)
    instruments = independent_columns(polynomial(x, degree))[:, 1:]
    found: list[tuple[str, LeastSquares | EffectEstimate]] = [
        ("single-equation OLS", single_equations(y1, y2, x, degree=min(3, mean_degree)))
    ]
    if instruments.shape[1] > 1:
        lewbel = estimate_effects(effect_moments(u1, u2, instruments, centered=True))
        found.append(("Lewbel, polynomial", lewbel))
    for count in (2, 4):
        labels = variance_regimes(u1, u2, x, count)
        names = np.unique(labels)
        if len(names) > 1:
            indicators = (labels[:, None] == names).astype(np.float64)
            estimate = estimate_effects(effect_moments(u1, u2, indicators))
            found.append((f"Rigobon, {count} regimes", estimate))
    return found


def independent_columns(columns: FloatArray) -> FloatArray:
    """Return the columns (n, p) that are no linear combinations of those before.

    Examples
    --------
    >>> independent_columns(np.array([[1.0, 2.0, 0.0], [1.0, 2.0, 1.0]]))
    array([[1., 0.],
           [1., 1.]])
    """
    names = [""] * columns.shape[1]
    dependent = [one.column for one in dependent_columns(triangular_factor([columns]), names)]
    return np.delete(columns, dependent, axis=1)


def _largest_degree(columns: int, most: int, terms: int) -> int:
    """Largest degree, 1 at least, of a polynomial with so many terms."""
    return next(
        (degree for degree in range(most, 1, -1) if comb(columns + degree, degree) <= terms), 1
    )
