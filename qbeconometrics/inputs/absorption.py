"""Fixed effects taken out of columns: exactly for one way, by sparse least squares for two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import LinearOperator, cg

from qbeconometrics.exceptions import InputError, NumericalError

from .columns import Table, label_text

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

# Up to so many levels of the shorter way the normal equations are factored.
MOST_FACTORED = 3000
# Of conjugate gradients, and what may be left of the normal equations, relative to the column.
ITERATION_TOLERANCE = 1e-13
MOST_ITERATIONS = 10_000
LEFT_OVER = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class FixedEffects:
    """Levels of one or two ways of fixed effects on the rows of a design.

    Attributes
    ----------
    codes : tuple of ndarray of int, each of shape (n,)
    counts : tuple of int
        Levels of each way.
    names : tuple of str
    df : int
        Rank of the dummies of all levels together, the constant included.
    n_singletons : int
        Rows that the fixed effects fit exactly whatever the data are: alone in a level, or so once
        other such rows are left out.
    """

    codes: tuple[IntArray, ...]
    counts: tuple[int, ...]
    names: tuple[str, ...]
    df: int
    n_singletons: int

    @property
    def description(self) -> str:
        """Names and numbers of levels, such as ``"state (51), year (10)"``."""
        pairs = zip(self.names, self.counts, strict=True)
        return ", ".join(f"{name} ({count})" for name, count in pairs)


def level_codes(absorb: Any) -> Table:
    """Number the levels of fixed effects from 0, with NaN where one is missing.

    Parameters
    ----------
    absorb : Series, DataFrame or array_like, shape (n,) or (n, 2)
        Numbers, text, dates or categories.

    Raises
    ------
    InputError
        If there are more than two columns, or values that cannot be told apart.

    Examples
    --------
    >>> level_codes(pd.Series(["b", None, "b", "a"], name="state")).values.ravel()
    array([ 0., nan,  0.,  1.])
    """
    names: tuple[str, ...]
    if isinstance(absorb, pd.Series):
        frame, names = absorb.to_frame(), (label_text(absorb.name or "absorb"),)
    elif isinstance(absorb, pd.DataFrame):
        frame, names = absorb, tuple(map(label_text, absorb.columns))
    else:
        try:
            array = absorb if isinstance(absorb, np.ndarray) else np.array(list(absorb), object)
            frame = pd.DataFrame(array)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"absorb must hold levels, one or two columns, not {type(absorb).__name__}"
            ) from error
        names = tuple(f"absorb {j + 1}" for j in range(frame.shape[1]))
    if not 1 <= frame.shape[1] <= 2:
        raise InputError(f"absorb has {frame.shape[1]} columns. Give one or two ways.")
    values = np.empty(frame.shape)
    for j, name in enumerate(names):
        try:
            codes = pd.factorize(frame.iloc[:, j])[0]
        except TypeError as error:
            raise InputError(f"the levels of {name!r} cannot be told apart ({error}).") from error
        values[:, j] = np.where(codes < 0, np.nan, codes)
    labelled = isinstance(absorb, (pd.Series, pd.DataFrame))
    return Table("absorb", values, names, frame.index if labelled else None)


def fixed_effects(codes: FloatArray, names: Sequence[str]) -> FixedEffects:
    """Return the fixed effects of the rows kept.

    Parameters
    ----------
    codes : ndarray, shape (n, 1) or (n, 2)
        Levels as numbers, without NaN.
    names : sequence of str

    Examples
    --------
    >>> found = fixed_effects(np.array([[0, 0], [0, 1], [1, 1], [2, 2.0]]), ["firm", "year"])
    >>> found.df, found.n_singletons, found.description
    (4, 4, 'firm (3), year (3)')
    """
    dense = tuple(
        np.unique(column, return_inverse=True)[1].astype(np.intp).ravel() for column in codes.T
    )
    counts = tuple(int(code.max()) + 1 for code in dense)
    pieces = 1 if len(dense) == 1 else _components(dense, counts)[0]
    df = sum(counts) - (pieces if len(dense) == 2 else 0)
    return FixedEffects(dense, counts, tuple(names), df, _singletons(dense))


def absorb(columns: FloatArray, effects: FixedEffects, weights: FloatArray | None) -> FloatArray:
    """Return residuals of columns (n, p) from the dummies of all levels, weighted or not.

    Parameters
    ----------
    columns : ndarray, shape (n, p)
    effects : FixedEffects
    weights : ndarray, shape (n,), or None

    Raises
    ------
    NumericalError
        If the normal equations of two ways could not be solved.

    Notes
    -----
    Two ways: the longer is taken out exactly and the normal equations of the other, the Laplacian
    of a graph, are solved with one level of each connected component set to zero: by a Cholesky
    factor for up to 3,000 levels, else by conjugate gradients. A second pass over the residuals
    takes out rounding.

    Examples
    --------
    >>> effects = fixed_effects(np.array([[0.0], [0.0], [1.0]]), ["state"])
    >>> absorb(np.array([[1.0], [2.0], [5.0]]), effects, None).ravel()
    array([-0.5,  0.5,  0. ])
    """
    weight = np.ones(len(columns)) if weights is None else weights
    if len(effects.codes) == 1:
        take_out = _one_way(effects.codes[0], effects.counts[0], weight)
    else:
        take_out = _two_ways(effects, weight)
    residuals = take_out(take_out(columns))
    for codes, count in zip(effects.codes, effects.counts, strict=True):
        sums = _sums(codes, count, weight[:, None] * residuals)
        scale = _sums(codes, count, weight[:, None] * np.abs(columns)).max(axis=0)
        if (np.abs(sums) > LEFT_OVER * scale).any():
            raise NumericalError(
                f"the fixed effects {effects.description} could not be taken out: their normal "
                "equations are too ill-conditioned. Check the weights, or use one way."
            )
    return residuals


def _sums(codes: IntArray, count: int, columns: FloatArray) -> FloatArray:
    """Sums of columns (n, p) over levels, shape (count, p)."""
    return np.asarray(_dummies(codes, count).T @ columns)


def _dummies(codes: IntArray, count: int) -> Any:
    n = len(codes)
    return csr_array((np.ones(n), (np.arange(n), codes)), shape=(n, count))


def _one_way(codes: IntArray, count: int, weight: FloatArray) -> Any:
    totals = np.bincount(codes, weights=weight, minlength=count)[:, None]

    def take_out(columns: FloatArray) -> FloatArray:
        means: FloatArray = _sums(codes, count, weight[:, None] * columns) / totals
        return columns - means[codes]

    return take_out


def _two_ways(effects: FixedEffects, weight: FloatArray) -> Any:
    order = np.argsort(effects.counts, kind="stable")
    (short, long), (n_short, n_long) = (
        [effects.codes[j] for j in order],
        [effects.counts[j] for j in order],
    )
    within_long = _one_way(long, n_long, weight)
    cross = csr_array((weight, (long, short)), shape=(n_long, n_short))
    long_totals, short_totals = (
        np.asarray(np.bincount(code, weights=weight, minlength=count), dtype=np.float64)
        for code, count in ((long, n_long), (short, n_short))
    )
    free = _free_levels(long, n_long, short, n_short)
    cross = csr_array(cross[:, free])
    solve = _laplacian_solver(cross, long_totals, short_totals[free])

    def take_out(columns: FloatArray) -> FloatArray:
        inside = within_long(columns)
        effect = np.zeros((n_short, columns.shape[1]))
        effect[free] = solve(_sums(short, n_short, weight[:, None] * inside)[free])
        rest: FloatArray = within_long(columns - effect[short])
        return rest

    return take_out


def _free_levels(long: IntArray, n_long: int, short: IntArray, n_short: int) -> IntArray:
    """Levels of the shorter way but for the first of each connected component."""
    _, labels = _components((long, short), (n_long, n_short))
    _, first = np.unique(labels[n_long:], return_index=True)
    return np.setdiff1d(np.arange(n_short), first)


def _components(codes: tuple[IntArray, ...], counts: tuple[int, ...]) -> tuple[int, IntArray]:
    """Number of connected components of two ways, and that of each level."""
    n = len(codes[0])
    total = sum(counts)
    edges = csr_array((np.ones(n), (codes[0], codes[1] + counts[0])), shape=(total, total))
    number, labels = connected_components(edges, directed=False)
    return int(number), labels


def _laplacian_solver(cross: Any, long_totals: FloatArray, short_totals: FloatArray) -> Any:
    """Solver of (diag(short) - cross' diag(1/long) cross) a = b for the free levels."""
    size = cross.shape[1]
    if size == 0:
        return lambda right: right
    shares = diags_array(1.0 / long_totals) @ cross
    if size <= MOST_FACTORED:
        matrix = np.diag(short_totals) - (cross.T @ shares).toarray()
        factor = cho_factor(matrix)
        return lambda right: cho_solve(factor, right)
    operator = LinearOperator(
        (size, size), matvec=lambda a: short_totals * a - cross.T @ (shares @ a), dtype=np.float64
    )
    scale = diags_array(1.0 / short_totals)

    def solve(right: FloatArray) -> FloatArray:
        columns = [
            cg(operator, b, rtol=ITERATION_TOLERANCE, maxiter=MOST_ITERATIONS, M=scale)[0]
            for b in right.T
        ]
        return np.column_stack(columns)

    return solve


def _singletons(codes: tuple[IntArray, ...]) -> int:
    left = np.ones(len(codes[0]), dtype=bool)
    while True:
        alone = np.zeros(len(left), dtype=bool)
        for code in codes:
            sizes = np.bincount(code[left], minlength=int(code.max()) + 1)
            alone |= left & (sizes[code] == 1)
        if not alone.any():
            return int((~left).sum())
        left &= ~alone
