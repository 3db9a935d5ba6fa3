"""Means and log variances by least squares and Fisher scoring, for rows that can be read again.

Every row gets the residuals and instruments of heads that were fitted to the other folds, so that
the moments of `cross_fitting.cross_fitted` are free of the heads' own fitting. The heads are linear
in features, which are formed again for each pass if they are too many to be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve

from qbeconometrics.exceptions import InputError, OptionError
from qbeconometrics.online.closed_form import WEAK, solve_effects

FloatArray = NDArray[np.float64]
Features = Callable[[FloatArray], FloatArray]

# Rows whose features are formed at a time, and numbers of features up to which they are kept.
BLOCK_ROWS = 8_192
KEPT_NUMBERS = 25_000_000

# Share of the mean square that is added before logarithms, and bounds of what enters scoring.
FLOOR = 1e-3
LARGEST_SQUARE, LARGEST_LOG = 25.0, 8.0

# -E log Z^2 for standard normal Z.
LOG_SQUARE = 1.2703628454614782

SCORING_STEPS = 3


class CrossFittedRows(NamedTuple):
    """What heads of the other folds make of each row.

    Attributes
    ----------
    u1, u2 : ndarray, shape (n,)
        Reduced-form residuals.
    instruments : ndarray, shape (n, 2)
        Inverse error variances exp(-g1) and exp(-g2).
    folds : ndarray of int, shape (n,)
    """

    u1: FloatArray
    u2: FloatArray
    instruments: FloatArray
    folds: NDArray[np.int64]


def cross_fitted_rows(
    y1: ArrayLike,
    y2: ArrayLike,
    x: ArrayLike,
    features: Features,
    *,
    folds: ArrayLike,
    ridge: float = 1e-6,
) -> CrossFittedRows:
    """Return residuals and instruments of every row, by heads that were fitted without its fold.

    Parameters
    ----------
    y1, y2 : array_like, shape (n,)
    x : array_like, shape (n, d)
    features : callable
        Features (rows, p) of rows of x (rows, d), a constant among them.
    folds : array_like of int, shape (n,)
        The fold of each row, 0 to K - 1; drawn at random unless rows are in no order.
    ridge : float, optional
        Added to the diagonal of the features' mean products, as a share of its mean.

    Returns
    -------
    CrossFittedRows

    Raises
    ------
    InputError
        If lengths differ, a value is not finite, or there are fewer than two folds, or fewer rows
        outside a fold than twice the features.

    Notes
    -----
    Per fold, from the other rows: means by least squares; log variances of the residuals, by least
    squares of log squares, for first instruments; effects from these in closed form; log variances
    of the errors, by least squares of log squares and then three steps of Fisher scoring for the
    normal likelihood. Without a solution the effects count as zero: the instruments are functions
    of x all the same.
    """
    if not ridge >= 0.0:
        raise OptionError(f"ridge={ridge!r} is not allowed: give a number of at least 0")
    y = np.column_stack([np.asarray(y1, np.float64), np.asarray(y2, np.float64)])
    columns, labels = np.asarray(x, np.float64), np.asarray(folds)
    if columns.ndim != 2 or len(columns) != len(y) or labels.shape != (len(y),):
        raise InputError(
            f"y1 and y2 have {len(y)} rows, x {columns.shape} and folds {labels.shape}: needed are "
            "(n,), (n,), (n, d) and (n,)"
        )
    if not (np.isfinite(y).all() and np.isfinite(columns).all()):
        raise InputError("y1, y2 and x must be finite numbers")
    names, places = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        raise InputError("cross-fitting needs two or more folds")
    rows = _Rows(y, columns, features, places.astype(np.int64), len(names), ridge)
    residuals = rows.fit_means()
    first = rows.fit_log_squares(residuals)
    effects = rows.effects(residuals, first)
    # e1 = u1 - b12 u2 and e2 = u2 - b21 u1, (n, K, 2).
    errors = residuals - effects * residuals[:, :, ::-1]
    logs = rows.score(errors, rows.fit_log_squares(errors))
    own = np.arange(len(y)), rows.places
    u = residuals[own]
    return CrossFittedRows(
        np.ascontiguousarray(u[:, 0]), np.ascontiguousarray(u[:, 1]), np.exp(-logs[own]), places
    )


class _Rows:
    """Rows, their features by blocks, and the factors of the features' products by fold.

    Arrays (n, K, 2) hold what the heads without fold k make of row i.
    """

    def __init__(
        self,
        y: FloatArray,
        x: FloatArray,
        features: Features,
        places: NDArray[np.int64],
        n_folds: int,
        ridge: float,
    ) -> None:
        self.y, self.x, self.features = y, x, features
        self.places, self.n_folds = places, n_folds
        # Rows that the heads without fold k may see.
        self.seen = places[:, None] != np.arange(n_folds)
        self.counts = self.seen.sum(axis=0)
        width = features(x[:1]).shape[1]
        if self.counts.min() < 2 * width:
            raise InputError(
                f"{width} features need {2 * width} rows outside each fold; there are "
                f"{self.counts.min()}"
            )
        self.kept: list[FloatArray] = []
        if len(x) * width <= KEPT_NUMBERS:
            self.kept = [phi for _, phi in self.blocks()]
        products = np.zeros((n_folds, width, width))
        for block, phi in self.blocks():
            for fold in range(n_folds):
                inside = phi[places[block] == fold]
                products[fold] += inside.T @ inside
        without = products.sum(axis=0) - products
        size = np.trace(without, axis1=1, axis2=2) / width
        self.factors = [
            cho_factor(product + share * np.eye(width))
            for product, share in zip(without, ridge * size, strict=True)
        ]

    def blocks(self) -> Iterator[tuple[slice, FloatArray]]:
        """Blocks of rows with their features."""
        for number, start in enumerate(range(0, len(self.x), BLOCK_ROWS)):
            block = slice(start, start + BLOCK_ROWS)
            yield block, self.kept[number] if self.kept else self.features(self.x[block])

    def solve(self, cross: FloatArray) -> FloatArray:
        """Coefficients (p, K, 2) from features' products (p, K, 2) with the targets."""
        return np.stack(
            [cho_solve(factor, cross[:, k]) for k, factor in enumerate(self.factors)], axis=1
        )

    def regress(self, target: FloatArray) -> FloatArray:
        """Coefficients (p, K, 2) of least squares of targets (n, K, 2) on features."""
        parts = [_products(phi, target[block], self.seen[block]) for block, phi in self.blocks()]
        return self.solve(np.sum(parts, axis=0))

    def values(self, coefficients: FloatArray) -> FloatArray:
        """Heads at all rows, (n, K, 2)."""
        flat = coefficients.reshape(len(coefficients), -1)
        parts = [phi @ flat for _, phi in self.blocks()]
        return np.concatenate(parts).reshape(-1, self.n_folds, 2)

    def fit_means(self) -> FloatArray:
        """Residuals of y1 and y2."""
        target = np.repeat(self.y[:, None, :], self.n_folds, axis=1)
        return target - self.values(self.regress(target))

    def fit_log_squares(self, errors: FloatArray) -> FloatArray:
        """Coefficients of log variances, by least squares of log squares."""
        squares = errors**2
        floor = FLOOR * np.einsum("nkj,nk->kj", squares, self.seen) / self.counts[:, None]
        return self.regress(np.log(squares + floor) + LOG_SQUARE)

    def effects(self, residuals: FloatArray, coefficients: FloatArray) -> FloatArray:
        """(b12, b21) by fold, (K, 2); zeros without a solution."""
        w = np.exp(-_bounded(self.values(coefficients)))
        found = np.zeros((self.n_folds, 2))
        for fold in range(self.n_folds):
            seen = self.seen[:, fold]
            u1, u2 = residuals[seen, fold].T
            weights = w[seen, fold].T
            solution = solve_effects(weights @ (u1 * u2), weights @ u1**2, weights @ u2**2)
            if solution.status != WEAK:
                found[fold] = solution.params
        return found

    def score(self, errors: FloatArray, coefficients: FloatArray) -> FloatArray:
        """Log variances after Fisher scoring, (n, K, 2)."""
        squares = errors**2
        logs = _bounded(self.values(coefficients))
        for _ in range(SCORING_STEPS):
            standardised = np.minimum(squares * np.exp(-logs), LARGEST_SQUARE)
            coefficients = coefficients + self.regress(standardised - 1.0)
            logs = _bounded(self.values(coefficients))
        return logs


def _products(phi: FloatArray, target: FloatArray, seen: NDArray[np.bool_]) -> FloatArray:
    """Products of features with targets of rows that may be seen, (p, K, 2)."""
    masked = target * seen[:, :, None]
    return (phi.T @ masked.reshape(len(masked), -1)).reshape(-1, *target.shape[1:])


def _bounded(logs: FloatArray) -> FloatArray:
    """Log variances no further from their median than e to the eighth."""
    center = np.median(logs, axis=0)
    return np.clip(logs, center - LARGEST_LOG, center + LARGEST_LOG)
