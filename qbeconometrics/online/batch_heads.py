"""Means and log variances by least squares and Fisher scoring, for rows that can be read again.

Every row gets the residuals and instruments of heads that were fitted to other folds, so that the
moments of `cross_fitting.cross_fitted` are free of the heads' own fitting. The heads are linear
in features, which are formed again for each pass if they are too many to be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve

from qbeconometrics.exceptions import InputError, OptionError, check_choice
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

# Added to the diagonal of the features' mean products, as a share of its mean.
RIDGE = 1e-6

TRAINING = ("others", "earlier")


class CrossFittedRows(NamedTuple):
    """What heads of other folds make of the rows.

    Attributes
    ----------
    u1, u2 : ndarray, shape (n,)
        Reduced-form residuals.
    instruments : ndarray, shape (n, 2)
        Inverse error variances exp(-g1) and exp(-g2).
    folds : ndarray of int, shape (n,)

    Of n rows, all that were given or, if heads are trained on earlier folds, those after the first
    fold, in their order.
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
    training: str = "others",
    ridge: float = RIDGE,
) -> CrossFittedRows:
    """Return residuals and instruments of rows, by heads that were fitted without their fold.

    Parameters
    ----------
    y1, y2 : array_like, shape (n,)
    x : array_like, shape (n, d)
    features : callable
        Features (rows, p) of rows of x (rows, d), a constant among them.
    folds : array_like of int, shape (n,)
        The fold of each row, 0 to K - 1; drawn at random unless rows are in no order.
    training : {"others", "earlier"}
        The folds to which the heads for a fold are fitted: all others, which is for estimates, or
        those before it, which is for the rank test and the robust set. The first fold has none
        before it, and its rows are left out.
    ridge : float, optional
        Added to the diagonal of the features' mean products, as a share of its mean.

    Returns
    -------
    CrossFittedRows

    Raises
    ------
    InputError
        If lengths differ, a value is not finite, or there are fewer than two folds, or heads would
        see fewer rows than twice the features.

    Notes
    -----
    Per fold, from the other rows: means by least squares; log variances of the residuals, by least
    squares of log squares, for first instruments; effects from these in closed form; log variances
    of the errors, by least squares of log squares and then three steps of Fisher scoring for the
    normal likelihood. Without a solution the effects count as zero: the instruments are functions
    of x all the same.

    Why two ways: if the variances do not move with x, the instruments are noise about a constant.
    The noise that fold 1 gives to the instruments of fold 2 then enters the moments by the same
    products of errors as that of fold 2 in fold 1, and the contributions of the folds are
    correlated: the rank test of nominal size 0.05 rejects in about 0.09 of samples with two folds
    of others, in 0.05 with earlier ones. With identified effects this is of second order.
    """
    check_choice(training, TRAINING, "training")
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
    seen = places[:, None] != np.arange(len(names))
    if training == "earlier":
        seen = places[:, None] <= np.arange(len(names) - 1)
        # Heads k are for fold k + 1.
        places = places - 1
    fitted = _Rows(y, columns, features, seen, ridge).fit()
    kept = np.flatnonzero(places >= 0)
    own = kept, places[kept]
    u1, u2 = fitted.residuals[own].T.copy()
    return CrossFittedRows(u1, u2, np.exp(-fitted.logs[own]), labels[kept])


class PooledHeads(NamedTuple):
    """Heads that were fitted to all rows, and what they make of them.

    Attributes
    ----------
    weights : ndarray, shape (4, p)
        Of the means of y1 and y2 and the log variances of the errors.
    low, high : ndarray, shape (2,)
        Bounds of the log variances.
    u1, u2 : ndarray, shape (n,)
    instruments : ndarray, shape (n, 2)
        As in `CrossFittedRows`.
    """

    weights: FloatArray
    low: FloatArray
    high: FloatArray
    u1: FloatArray
    u2: FloatArray
    instruments: FloatArray


def pooled_heads(
    y: FloatArray, x: FloatArray, features: Features, *, ridge: float = RIDGE
) -> PooledHeads:
    """Return heads fitted to all rows, as `cross_fitted_rows` fits those of a fold.

    Parameters
    ----------
    y : ndarray, shape (n, 2)
    x : ndarray, shape (n, d)
    features : callable
    ridge : float, optional

    Raises
    ------
    InputError
        As `cross_fitted_rows`.
    """
    fitted = _Rows(y, x, features, np.ones((len(y), 1), dtype=bool), ridge).fit()
    weights = np.concatenate([fitted.means[:, 0], fitted.log_weights[:, 0]], axis=1).T
    center = fitted.center[0]
    u1, u2 = fitted.residuals[:, 0].T.copy()
    return PooledHeads(
        np.ascontiguousarray(weights),
        center - LARGEST_LOG,
        center + LARGEST_LOG,
        u1,
        u2,
        np.exp(-fitted.logs[:, 0]),
    )


class _Fitted(NamedTuple):
    """Coefficients (p, K, 2) of means and log variances, and residuals and logs (n, K, 2).

    The logs are bounded about their medians before the last step, `center` (K, 2).
    """

    means: FloatArray
    log_weights: FloatArray
    residuals: FloatArray
    logs: FloatArray
    center: FloatArray


class _Rows:
    """Rows, their features by blocks, and the factors of the features' products.

    Arrays (n, K, 2) hold what the k-th heads, fitted to the rows seen[:, k], make of all rows.
    """

    def __init__(
        self,
        y: FloatArray,
        x: FloatArray,
        features: Features,
        seen: NDArray[np.bool_],
        ridge: float,
    ) -> None:
        self.y, self.x, self.features, self.seen = y, x, features, seen
        self.n_heads = seen.shape[1]
        self.counts = seen.sum(axis=0)
        width = features(x[:1]).shape[1]
        if self.counts.min() < 2 * width:
            raise InputError(
                f"{width} features need {2 * width} rows to fit the heads for each fold; there are "
                f"{self.counts.min()}"
            )
        self.kept: list[FloatArray] = []
        if len(x) * width <= KEPT_NUMBERS:
            self.kept = [phi for _, phi in self.blocks()]
        products = np.zeros((self.n_heads, width, width))
        for block, phi in self.blocks():
            for head in range(self.n_heads):
                inside = phi[seen[block, head]]
                products[head] += inside.T @ inside
        if not np.isfinite(products).all():
            raise InputError("features returned values that are not finite")
        try:
            self.factors = [
                cho_factor(product + ridge * np.trace(product) / width * np.eye(width))
                for product in products
            ]
        except np.linalg.LinAlgError:
            raise InputError(
                "features are linear combinations of each other in the rows that heads are fitted "
                "to: leave some out, or raise ridge"
            ) from None

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
        return np.concatenate(parts).reshape(-1, self.n_heads, 2)

    def fit(self) -> _Fitted:
        """Means, first log variances of residuals, effects, and log variances of errors."""
        target = np.repeat(self.y[:, None, :], self.n_heads, axis=1)
        means = self.regress(target)
        residuals = target - self.values(means)
        effects = self.effects(residuals, self.fit_log_squares(residuals))
        # e1 = u1 - b12 u2 and e2 = u2 - b21 u1, (n, K, 2).
        errors = residuals - effects * residuals[:, :, ::-1]
        weights = self.score(errors, self.fit_log_squares(errors))
        logs = self.values(weights)
        center = np.median(logs, axis=0)
        return _Fitted(means, weights, residuals, _bounded(logs, center), center)

    def fit_log_squares(self, errors: FloatArray) -> FloatArray:
        """Coefficients of log variances, by least squares of log squares."""
        squares = errors**2
        floor = FLOOR * np.einsum("nkj,nk->kj", squares, self.seen) / self.counts[:, None]
        return self.regress(np.log(squares + floor) + LOG_SQUARE)

    def effects(self, residuals: FloatArray, coefficients: FloatArray) -> FloatArray:
        """(b12, b21) by head, (K, 2); zeros without a solution."""
        w = np.exp(-_bounded(self.values(coefficients)))
        found = np.zeros((self.n_heads, 2))
        for head in range(self.n_heads):
            seen = self.seen[:, head]
            u1, u2 = residuals[seen, head].T
            weights = w[seen, head].T
            solution = solve_effects(weights @ (u1 * u2), weights @ u1**2, weights @ u2**2)
            if solution.status != WEAK:
                found[head] = solution.params
        return found

    def score(self, errors: FloatArray, coefficients: FloatArray) -> FloatArray:
        """Coefficients (p, K, 2) of log variances after Fisher scoring."""
        squares = errors**2
        for _ in range(SCORING_STEPS):
            logs = _bounded(self.values(coefficients))
            standardised = np.minimum(squares * np.exp(-logs), LARGEST_SQUARE)
            coefficients = coefficients + self.regress(standardised - 1.0)
        return coefficients


def _products(phi: FloatArray, target: FloatArray, seen: NDArray[np.bool_]) -> FloatArray:
    """Products of features with targets of rows that may be seen, (p, K, 2)."""
    masked = target * seen[:, :, None]
    return (phi.T @ masked.reshape(len(masked), -1)).reshape(-1, *target.shape[1:])


def _bounded(logs: FloatArray, center: FloatArray | None = None) -> FloatArray:
    """Log variances no further from their median than e to the eighth."""
    middle = np.median(logs, axis=0) if center is None else center
    return np.clip(logs, middle - LARGEST_LOG, middle + LARGEST_LOG)
