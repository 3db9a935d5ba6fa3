"""Columns that stand beside a formula, such as weights: matched to the rows of its data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError, suggestion

from .columns import label_text
from .missing_rows import row_label


def side_columns(values: Any, role: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return what the user named or gave, one row for each row of the data.

    Parameters
    ----------
    values : str, list of str, Series, DataFrame or array_like
        Columns of `frame`; labelled data, matched by label; or an array of the length of `frame`.
    role : str
        Name of the argument, for messages.
    frame : DataFrame

    Raises
    ------
    InputError
        If a name is no column, or the rows do not match.

    Examples
    --------
    >>> frame = pd.DataFrame({"y": [1, 2], "w": [3, 4]}, index=["a", "b"])
    >>> side_columns(pd.Series({"b": 8, "a": 7}), "weights", frame).iloc[:, 0].tolist()
    [7, 8]
    """
    if isinstance(values, str):
        values = [values]
    if isinstance(values, (list, tuple)) and values and all(isinstance(v, str) for v in values):
        return pd.concat([_column(frame, name, role) for name in values], axis=1)
    if isinstance(values, (pd.Series, pd.DataFrame)):
        return _aligned(values, role, frame)
    table = pd.DataFrame(np.asarray(values))
    if len(table) != len(frame):
        raise InputError(
            f"{role} has {len(table)} rows but the data have {len(frame)}. Give one value for each."
        )
    table.columns = [f"{role} {j + 1}" if table.shape[1] > 1 else role for j in table.columns]
    return table.set_axis(frame.index, axis=0)


def complete_side_rows(tables: dict[str, pd.DataFrame], missing: str) -> NDArray[np.bool_] | None:
    """Mark the rows in which no side column is missing; None without side columns.

    Raises
    ------
    InputError
        If a value is missing and rows are not to be dropped.
    """
    usable = None
    for role, table in tables.items():
        absent = table.isna().any(axis=1).to_numpy()
        if absent.any() and missing != "drop":
            row = row_label(int(np.argmax(absent)), table.index)
            raise InputError(
                f"{role} is missing (NaN) in {absent.sum()} row(s), first at {row}. Remove these "
                "rows, or pass missing='drop'."
            )
        usable = ~absent if usable is None else usable & ~absent
    return usable


def _column(frame: pd.DataFrame, name: str, role: str) -> pd.Series:
    if name not in frame.columns:
        raise InputError(
            f"{role}={name!r} is not a column of the data."
            f"{suggestion(name, map(str, frame.columns))}"
        )
    column = frame[name]
    if not isinstance(column, pd.Series):
        raise InputError(
            f"{role}={name!r} names {column.shape[1]} columns of the data. Rename one."
        )
    return column


def _aligned(values: pd.Series | pd.DataFrame, role: str, frame: pd.DataFrame) -> pd.DataFrame:
    table = values.to_frame() if isinstance(values, pd.Series) else values
    named = [c is not None and not (isinstance(c, int) and c == 0) for c in table.columns]
    table = table.set_axis(
        [label_text(c) if known else role for c, known in zip(table.columns, named, strict=True)],
        axis=1,
    )
    if table.index.equals(frame.index):
        return table
    if not (table.index.is_unique and frame.index.is_unique):
        raise InputError(
            f"{role} cannot be matched by label, since labels occur more than once. Give it the "
            "index of the data, or give an array."
        )
    places = table.index.get_indexer(frame.index)
    if (places < 0).any():
        row = row_label(int(np.argmax(places < 0)), frame.index)
        raise InputError(f"{role} does not have {row}. Give it the index of the data.")
    return table.iloc[places]
