"""Numbers of orthonormal matrices by which chains are judged, with their names."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.stiefel.symmetry import main_axes, signs_like

FloatArray = NDArray[np.float64]

QUANTITIES = ("identified", "projection", "aligned", "entries")

# Rows from which on the diagonal of QQ' stands for all of it.
MOST_ROWS = 30


def quantities(
    draws: FloatArray,
    of: str,
    symmetry: str = "none",
    log_density: FloatArray | None = None,
) -> tuple[FloatArray, list[str]]:
    """Return numbers of draws and their names.

    Parameters
    ----------
    draws : ndarray, shape (chain, draw, p, k)
    of : {"identified", "projection", "entries"}
    symmetry : {"rotations", "signs", "none"}
        What "identified" leaves out.
    log_density : ndarray, shape (chain, draw), optional
        Put before "identified".

    Returns
    -------
    values : ndarray, shape (chain, draw, number)
    labels : list of str
    """
    if of == "entries":
        return _entries(draws, "Q")
    if of == "projection":
        return _projection(draws, all_of_it=True)
    if symmetry == "rotations":
        values, labels = _projection(draws, all_of_it=draws.shape[2] <= MOST_ROWS)
    elif symmetry == "signs":
        values, labels = _entries(signs_like(draws, main_axes(draws)), "+-Q")
    else:
        values, labels = _entries(draws, "Q")
    if log_density is not None:
        values, labels = np.dstack([log_density, values]), ["log f", *labels]
    return values, labels


def _entries(draws: FloatArray, name: str) -> tuple[FloatArray, list[str]]:
    chains, n_draws, p, k = draws.shape
    labels = [f"{name}[{i},{j}]" for i in range(p) for j in range(k)]
    return draws.reshape(chains, n_draws, p * k), labels


def _projection(draws: FloatArray, *, all_of_it: bool) -> tuple[FloatArray, list[str]]:
    """Elements of QQ', without more memory than they need."""
    p = draws.shape[2]
    pairs = [(i, j) for i in range(p) for j in range(i + 1) if all_of_it or i == j]
    values = np.empty((*draws.shape[:2], len(pairs)))
    for number, (i, j) in enumerate(pairs):
        values[:, :, number] = np.sum(draws[:, :, i] * draws[:, :, j], axis=-1)
    return values, [f"QQ'[{i},{j}]" for i, j in pairs]
