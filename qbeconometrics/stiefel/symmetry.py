"""Which changes of the columns a density of orthonormal matrices does not notice."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from qbeconometrics.stiefel.checks import FloatArray
from qbeconometrics.stiefel.haar import rand

# Equal values of log f, relative to their size or to 1.
SAME = 1e-10


def column_symmetry(log_f: Callable[[FloatArray], float], points: Iterable[FloatArray]) -> str:
    """Return what log f is found to be invariant to at some points.

    A computation at points where f is positive, no proof.

    Parameters
    ----------
    log_f : callable
        Takes Q (p, k).
    points : iterable of ndarray, shape (p, k)

    Returns
    -------
    {"rotations", "signs", "none"}
        Rotations and reflections of the columns among each other, so that f depends on the column
        space alone; a change of the sign of any column; or neither.

    Examples
    --------
    >>> import numpy as np
    >>> A, points = np.diag([3.0, 2.0, 1.0]), [np.linalg.qr([[1.0, 2], [3, 4], [5, 7]])[0]]
    >>> column_symmetry(lambda Q: np.trace(Q.T @ A @ Q), points)
    'rotations'
    >>> column_symmetry(lambda Q: np.trace(Q.T @ A @ Q @ np.diag([2.0, 1.0])), points)
    'signs'
    >>> column_symmetry(lambda Q: np.sum(Q * A[:, :2]), points)
    'none'
    """
    rotations = signs = True
    for number, Q in enumerate(points):
        k = Q.shape[1]
        value = log_f(Q)

        def same(changed: FloatArray, value: float = value) -> bool:
            return bool(abs(log_f(changed) - value) <= SAME * max(1.0, abs(value)))

        for column in range(k):
            mirror = np.ones(k)
            mirror[column] = -1.0
            signs = signs and same(Q * mirror)
        # Fixed rotations: which they are matters as little as it can.
        rotations = rotations and signs and (k == 1 or same(Q @ rand(k, k, rng=number)))
        if not signs:
            return "none"
    # The space of one column is the column up to its sign, of all columns it says nothing.
    return "rotations" if rotations and k < Q.shape[0] else "signs"


def signs_like(Q: FloatArray, reference: FloatArray) -> FloatArray:
    """Return Q (..., p, k) with columns whose products with those of a reference are positive.

    Examples
    --------
    >>> import numpy as np
    >>> signs_like(np.array([[-0.6], [0.8]]), np.array([[1.0], [0.0]])).ravel()
    array([ 0.6, -0.8])
    """
    products = np.sum(Q * reference, axis=-2, keepdims=True)
    return np.asarray(np.where(products < 0.0, -Q, Q))


def main_axes(Q: FloatArray) -> FloatArray:
    """Return for each column of draws Q (..., p, k) the direction (p, k) that it varies around.

    The leading eigenvector of the mean of its projection, which no sign changes.

    Examples
    --------
    >>> import numpy as np
    >>> np.abs(main_axes(np.array([[[1.0], [0.0]], [[-1.0], [0.0]]]))).ravel()
    array([1., 0.])
    """
    pooled = Q.reshape(-1, *Q.shape[-2:])
    columns = [
        np.linalg.eigh(pooled[:, :, j].T @ pooled[:, :, j] / len(pooled))[1][:, -1]
        for j in range(pooled.shape[2])
    ]
    return np.column_stack(columns)
