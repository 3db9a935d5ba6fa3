"""Rows and values that cannot be used: missing, infinite, or beyond what squares can hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError

from .columns import Table

# Cross products of numbers beyond these leave the range of float64.
_LARGEST = 1e100
_SMALLEST = 1e-100

_BLOCK_ROWS = 16384

# Rows that are squared as one, since loops over few columns are slow.
_ROWS_AT_ONCE = 64


def refuse_infinite(tables: Sequence[Table], labels: pd.Index | None) -> None:
    """Raise for the first infinite value, and for sizes whose squares overflow or vanish.

    Raises
    ------
    InputError
        Names the column, and the row of an infinite value.
    """
    for table in tables:
        for position in _columns_to_inspect(table.values):
            _refuse_infinite_column(table, position, labels)


def _columns_to_inspect(values: NDArray[np.float64]) -> list[int]:
    """Columns that may hold NaN, infinite or extreme values, found in one pass."""
    return [int(place) for place in np.flatnonzero(~are_ordinary(squares(values), len(values)))]


def squares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of squares of each column."""
    rows, columns = values.shape
    whole = rows // _ROWS_AT_ONCE * _ROWS_AT_ONCE
    together = values[:whole].reshape(-1, _ROWS_AT_ONCE * columns)
    with np.errstate(all="ignore"):
        total = np.einsum("ij,ij->j", together, together).reshape(-1, columns).sum(axis=0)
        return total + np.einsum("ij,ij->j", values[whole:], values[whole:])


def are_ordinary(totals: NDArray[np.float64], n: int) -> NDArray[np.bool_]:
    """Mark columns whose sum of squares over n rows shows that all values can be used."""
    return (totals > n * _SMALLEST**2) & (totals < _LARGEST**2)


def _refuse_infinite_column(table: Table, position: int, labels: pd.Index | None) -> None:
    column = table.values[:, position]
    # fmin and fmax pass over NaN, which is dealt with separately.
    low, high = np.fmin.reduce(column), np.fmax.reduce(column)
    if np.isinf(low) or np.isinf(high):
        rows = np.flatnonzero(np.isinf(column))
        raise InputError(
            f"{table.describe(position, start=True)} is infinite in {rows.size} row(s), first at "
            f"{row_label(rows[0], labels)}. Replace or remove the infinite values; a logarithm "
            "of zero is a common cause."
        )
    largest = max(abs(low), abs(high))
    if largest > _LARGEST or 0.0 < largest < _SMALLEST:
        raise InputError(
            f"{table.describe(position, start=True)} has values as large as {largest:.3g}, whose "
            "squares cannot be computed. Rescale it."
        )


def complete_rows(tables: Sequence[Table]) -> NDArray[np.bool_] | None:
    """Mark the rows without NaN in any table; None if no value is missing."""
    missing: NDArray[np.bool_] | None = None
    for table in tables:
        for position in _columns_to_inspect(table.values):
            found = np.isnan(table.values[:, position])
            if found.any():
                missing = found if missing is None else np.logical_or(missing, found, out=missing)
    return None if missing is None else ~missing


def refuse_missing(
    tables: Sequence[Table],
    labels: pd.Index | None,
    remedy: str = "Remove these rows, or pass missing='drop'.",
) -> None:
    """Raise `InputError` for the first column with NaN, naming its first missing row."""
    for table in tables:
        for position in _columns_to_inspect(table.values):
            rows = np.flatnonzero(np.isnan(table.values[:, position]))
            if rows.size == 0:
                continue
            raise InputError(
                f"{table.describe(position, start=True)} is missing (NaN) in {rows.size} row(s), "
                f"first at {row_label(rows[0], labels)}. {remedy}"
            )


def refuse_no_rows_left(tables: Sequence[Table], kept: NDArray[np.bool_]) -> None:
    """Raise `InputError` if no complete row is left, naming the emptiest column."""
    if kept.any():
        return
    counts = [
        (int(np.isnan(column).sum()), table.describe(position))
        for table in tables
        for position, column in enumerate(table.values.T)
    ]
    count, what = max(counts, key=lambda entry: entry[0])
    raise InputError(
        f"Every row has a missing value, so none is left: {what} is missing in {count} of "
        f"{len(kept)} rows. Remove that column, or fill its values."
    )


def keep_rows(values: NDArray[np.float64], kept: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Move the kept rows to the front, in place, and return them as a view.

    A second copy of the data would double the memory at its peak.
    """
    filled = 0
    for start in range(0, len(kept), _BLOCK_ROWS):
        block = values[start : start + _BLOCK_ROWS][kept[start : start + _BLOCK_ROWS]]
        values[filled : filled + len(block)] = block
        filled += len(block)
    return values[:filled]


def row_label(row: int, labels: pd.Index | None) -> str:
    """Words for a row: its label where there is one, else its position."""
    if labels is None:
        return f"row {row}"
    label = labels[row]
    # NumPy 2 would write np.int64(7).
    return f"row label {(label.item() if isinstance(label, np.generic) else label)!r}"
