"""Adjacency matrix that the user gave, in any form -> links and names of the nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from qbeconometrics.exceptions import InputError

from .columns import label_text

# Fewer nodes have too few pairs for an eigenvalue and an intercept.
FEWEST_NODES = 3


def read_adjacency(
    adjacency: Any, names: Sequence[str] | None
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Check a network without directions.

    Parameters
    ----------
    adjacency : array_like, DataFrame or sparse matrix, shape (p, p)
        0 and 1, or bool, and symmetric; the diagonal is not read. Columns of a DataFrame are
        brought to the order of its rows.
    names : sequence of str or None
        Of the nodes; by default the labels of a DataFrame, or "1", "2", ...

    Returns
    -------
    links : ndarray of bool, shape (p, p)
        Symmetric, with False on the diagonal.
    names : tuple of str

    Raises
    ------
    InputError
        If it is not such a matrix; the message names the pair of nodes.

    Examples
    --------
    >>> links, names = read_adjacency([[0, 1, 0], [1, 0, 0], [0, 0, 0]], None)
    >>> links.sum(), names
    (np.int64(2), ('1', '2', '3'))
    """
    labels: list[str] | None = None
    if isinstance(adjacency, pd.DataFrame):
        labels = _labels(adjacency)
        adjacency = adjacency.loc[:, adjacency.index].to_numpy()
    elif sparse.issparse(adjacency):
        adjacency = adjacency.toarray()
    values = _numbers(adjacency)
    found = _names(names, labels, len(values))
    np.fill_diagonal(values, 0.0)
    _check_pairs(values, found)
    links = values == 1.0
    n_links, n_pairs = int(links.sum()) // 2, len(values) * (len(values) - 1) // 2
    if n_links in (0, n_pairs):
        raise InputError(
            f"adjacency has {'no' if n_links == 0 else 'all'} links of {n_pairs} pairs: there is "
            "nothing to explain"
        )
    return links, found


def _labels(frame: pd.DataFrame) -> list[str]:
    rows, columns = frame.index, frame.columns
    for axis, index in (("rows", rows), ("columns", columns)):
        if index.has_duplicates:
            label = index[index.duplicated()][0]
            raise InputError(f"adjacency has the label {label!r} twice in its {axis}")
    if set(rows) != set(columns):
        label = sorted(set(rows) ^ set(columns), key=str)[0]
        raise InputError(
            f"adjacency must have the same labels in rows and columns; {label!r} is in one only"
        )
    return [label_text(label) for label in rows]


def _numbers(adjacency: Any) -> NDArray[np.float64]:
    """Return a square copy."""
    try:
        if np.iscomplexobj(adjacency):
            raise TypeError
        values = np.array(adjacency, dtype=np.float64, order="C")
    except (TypeError, ValueError):
        raise InputError("adjacency must be a square matrix of 0 and 1") from None
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise InputError(f"adjacency must be square, not of shape {values.shape}")
    if len(values) < FEWEST_NODES:
        raise InputError(f"adjacency has {len(values)} nodes; at least {FEWEST_NODES} are needed")
    return values


def _names(names: Sequence[str] | None, labels: list[str] | None, p: int) -> tuple[str, ...]:
    if names is None:
        return tuple(labels or (str(node) for node in range(1, p + 1)))
    if isinstance(names, str) or len(names) != p:
        raise InputError(f"names must be {p} texts, one for each node")
    found = tuple(label_text(name) for name in names)
    if len(set(found)) < p:
        twice = next(name for name in found if found.count(name) > 1)
        raise InputError(f"names has {twice!r} twice")
    return found


def _check_pairs(values: NDArray[np.float64], names: tuple[str, ...]) -> None:
    remedies = {
        "is missing": np.isnan(values),
        "must be 0 or 1": ~np.isnan(values) & (values != 0.0) & (values != 1.0),
    }
    advice = {
        "is missing": "the model needs to know every pair; leave out nodes that were not observed",
        "must be 0 or 1": "say from which weight on a pair is linked, as in adjacency > 0",
    }
    for fault, wrong in remedies.items():
        if wrong.any():
            i, j = np.argwhere(wrong)[0]
            value = "" if fault == "is missing" else f" is {values[i, j]:g} and"
            raise InputError(
                f"adjacency[{names[i]!r}, {names[j]!r}]{value} {fault}: {advice[fault]}"
            )
    wrong = values != values.T
    if wrong.any():
        i, j = np.argwhere(wrong)[0]
        raise InputError(
            f"adjacency must be symmetric, but [{names[i]!r}, {names[j]!r}] is {values[i, j]:g} "
            f"and [{names[j]!r}, {names[i]!r}] is {values[j, i]:g}: for a network with directions, "
            "take links either way (A | A.T) or both ways (A & A.T)"
        )
