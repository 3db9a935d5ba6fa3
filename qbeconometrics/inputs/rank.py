"""Linear dependence among columns, read off one triangular factor of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A column counts as a combination of others when less than this share of its length is left
# over. Rounding leaves about 1e-15 of an exact combination, and 1e-13 at worst after a million
# rows; a true remainder of 1e-9 has the square 1e-18, which is lost in any cross product of
# float64 numbers. Columns are compared with their own length, so units do not matter.
DEPENDENCE_TOLERANCE = 1e-9

# Coefficients on unit-length columns below this share of the largest are rounding, not part
# of the combination to report.
_REPORTED_SHARE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Dependence:
    """One column that is a linear combination of earlier ones.

    Attributes
    ----------
    column : int
        Position of the dependent column.
    name : str
        Its name.
    sources : tuple of int
        Positions of the earlier independent columns that it combines; empty when the column
        is zero.
    source_names : tuple of str
        Their names.
    coefficients : ndarray, shape (len(sources),)
        ``column == sum(coefficients * sources)`` in the units of the data.
    """

    column: int
    name: str
    sources: tuple[int, ...]
    source_names: tuple[str, ...]
    coefficients: NDArray[np.float64]


def triangular_factor(
    columns: Sequence[NDArray[np.float64]], block_rows: int = 16384
) -> NDArray[np.float64]:
    """Return R of the QR factorisation of the columns set side by side, in row blocks.

    Parameters
    ----------
    columns : sequence of ndarray, each of shape (n,) or (n, k_i)
        The pieces, in order; p is their total number of columns.
    block_rows : int, optional
        Rows copied at a time.

    Returns
    -------
    ndarray, shape (p, p)
        Upper triangular, with ``R.T @ R`` equal to the cross product of the columns; the signs
        of its rows are arbitrary. With fewer than p rows of data the lower rows are zero.

    Notes
    -----
    Householder QR of the rows so far, carried as R on top of the next block (Golub and Van
    Loan, 2013, *Matrix Computations*, section 5.2; the blocked form is the sequential TSQR of
    Demmel, Grigori, Hoemmen and Langou, 2012, SIAM J. Sci. Comput. 34). The error of each
    column is relative to that column's length, whatever the scale of the others.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([3.0, 4.0])
    >>> abs(triangular_factor([x]))
    array([[5.]])
    """
    pieces = [piece[:, None] if piece.ndim == 1 else piece for piece in columns]
    n_rows = pieces[0].shape[0]
    size = sum(piece.shape[1] for piece in pieces)
    block_rows = max(min(block_rows, n_rows), 2 * size, 1)
    stacked = np.zeros((size + block_rows, size))
    for start in range(0, n_rows, block_rows):
        stop = min(start + block_rows, n_rows)
        last = size + stop - start
        np.concatenate([piece[start:stop] for piece in pieces], axis=1, out=stacked[size:last])
        stacked[:size] = np.linalg.qr(stacked[:last], mode="r")
    return stacked[:size].copy()


def dependent_columns(
    triangle: NDArray[np.float64],
    names: Sequence[str],
    tolerance: float = DEPENDENCE_TOLERANCE,
) -> list[Dependence]:
    """Find the columns that are linear combinations of earlier columns.

    Parameters
    ----------
    triangle : ndarray, shape (p, k)
        Columns in any orthonormal coordinates, such as columns of `triangular_factor`.
    names : sequence of str
        Names of the k columns.
    tolerance : float, optional
        A column is dependent when its part orthogonal to the earlier independent columns is
        shorter than `tolerance` times its own length.

    Returns
    -------
    list of Dependence
        One for each dependent column, in order.

    Notes
    -----
    Sequential Gram-Schmidt, each column projected twice ("twice is enough": Giraud, Langou and
    Rozloznik, 2005, Comput. Math. Appl. 50). The diagonal of a triangle alone would not do:
    after a dependent column its direction is arbitrary, and later columns lean on it.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 2.0]])
    >>> found = dependent_columns(x, ["a", "b", "c"])
    >>> found[0].name, found[0].source_names, found[0].coefficients
    ('c', ('a', 'b'), array([1., 2.]))
    """
    lengths = np.sqrt(np.einsum("ij,ij->j", triangle, triangle))
    basis = np.zeros_like(triangle)
    upper = np.zeros((triangle.shape[1], triangle.shape[1]))
    independent: list[int] = []
    found: list[Dependence] = []
    for column, length in enumerate(lengths):
        rank = len(independent)
        unit = triangle[:, column] / length if length > 0 else triangle[:, column]
        loadings, remainder = _split(basis[:, :rank], unit)
        left_over = float(np.linalg.norm(remainder))
        if length > 0 and left_over > tolerance:
            basis[:, rank] = remainder / left_over
            upper[:rank, rank], upper[rank, rank] = loadings, left_over
            independent.append(column)
            continue
        shares = np.asarray(np.linalg.solve(upper[:rank, :rank], loadings), dtype=np.float64)
        found.append(_dependence(column, shares, independent, lengths, names))
    return found


def _split(
    basis: NDArray[np.float64], vector: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Loadings of a vector on an orthonormal basis, and what they leave over."""
    loadings = basis.T @ vector
    remainder = vector - basis @ loadings
    correction = basis.T @ remainder
    return loadings + correction, remainder - basis @ correction


def _dependence(
    column: int,
    shares: NDArray[np.float64],
    independent: list[int],
    lengths: NDArray[np.float64],
    names: Sequence[str],
) -> Dependence:
    sizes = np.abs(shares)
    kept = np.flatnonzero(sizes > _REPORTED_SHARE * sizes.max(initial=0.0))
    sources = tuple(independent[position] for position in kept)
    scale = lengths[column] / lengths[list(sources)]
    return Dependence(
        column=column,
        name=names[column],
        sources=sources,
        source_names=tuple(names[source] for source in sources),
        coefficients=shares[kept] * scale,
    )
