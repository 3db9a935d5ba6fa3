"""Clusters that the user gave, in any form -> whole numbers for the rows that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError, suggestion

from .columns import label_text
from .missing_rows import row_label


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """One or two ways of clustering the rows.

    Attributes
    ----------
    codes : tuple of ndarray of int, each of shape (n,)
        Numbered from 0 in the order of appearance, one array a way.
    values : tuple of pandas.Index
        What the codes stand for.
    name : str
        For summaries and messages: the columns, or "array".
    """

    codes: tuple[NDArray[np.intp], ...]
    values: tuple[pd.Index, ...]
    name: str

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of clusters of each way."""
        return tuple(len(values) for values in self.values)


def read_groups(
    groups: Any,
    *,
    labels: pd.Index | None,
    kept: NDArray[np.bool_] | None,
    n: int,
    frame: pd.DataFrame | None,
) -> Groups:
    """Match clusters to the rows of a model.

    Parameters
    ----------
    groups : str, list of two str, Series, DataFrame or array_like
        Names of columns of `frame`; labelled data, matched by label; or an array of the original
        length, (n,) or (n, 2) for two ways.
    labels : pandas.Index or None
        Labels of the rows kept.
    kept : ndarray of bool or None
        Marks the rows kept among the original ones; None if no row was dropped.
    n : int
        Rows kept.
    frame : DataFrame or None
        The data of a formula; None for models from arrays.

    Raises
    ------
    InputError
        If the groups cannot be matched to the rows, or are missing in one of them.

    Examples
    --------
    >>> found = read_groups(["b", "a", "b"], labels=None, kept=None, n=3, frame=None)
    >>> found.codes[0], found.counts
    (array([0, 1, 0]), (2,))
    """
    if kept is None:
        kept = np.ones(n, dtype=bool)
    columns, name = _columns(groups, labels, kept, frame)
    codes, values = [], []
    for column in columns:
        try:
            numbers, found = pd.factorize(column)
        except TypeError as error:
            raise InputError(
                f"groups {name} cannot be told apart ({error}). Give numbers or text."
            ) from error
        absent = np.flatnonzero(numbers < 0)
        if len(absent):
            first = absent[0] if labels is not None else np.flatnonzero(kept)[absent[0]]
            raise InputError(
                f"groups {name} is missing in {len(absent)} row(s), first at "
                f"{row_label(int(first), labels)}. Fill the group, or drop these rows."
            )
        codes.append(numbers.astype(np.intp))
        values.append(pd.Index(found))
    return Groups(tuple(codes), tuple(values), name)


def _columns(
    groups: Any,
    labels: pd.Index | None,
    kept: NDArray[np.bool_],
    frame: pd.DataFrame | None,
) -> tuple[list[pd.Series], str]:
    """One Series a way on the kept rows, and a name."""
    names = _column_names(groups, frame)
    if names:
        assert frame is not None
        return [_column(frame, name)[kept] for name in names], ", ".join(names)
    if isinstance(groups, (pd.Series, pd.DataFrame)):
        table = groups.to_frame() if isinstance(groups, pd.Series) else groups
        _check_ways(table.shape, "groups")
        known = [label_text(c) for c in table.columns if isinstance(c, (str, tuple))]
        if isinstance(groups, pd.Series) and groups.name is None:
            known = []
        aligned = _aligned(table, labels, kept)
        parts = [aligned.iloc[:, j] for j in range(table.shape[1])]
        return parts, ", ".join(known) or "array"
    array = _as_array(groups)
    if len(array) != len(kept):
        raise InputError(_wrong_length(len(array), kept))
    return [pd.Series(array[kept, j]) for j in range(array.shape[1])], "array"


def _column_names(groups: Any, frame: pd.DataFrame | None) -> list[str]:
    """Names of columns, if that is what `groups` is."""
    if isinstance(groups, str):
        if frame is None:
            raise InputError(
                f"groups={groups!r} names a column, but the model was not built from a formula and "
                "a data frame. Give the values: a Series or an array."
            )
        return [groups]
    few = isinstance(groups, (list, tuple)) and 1 <= len(groups) <= 2
    if frame is not None and few and all(isinstance(name, str) for name in groups):
        return list(groups)
    return []


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    if name not in frame.columns:
        raise InputError(
            f"groups={name!r} is not a column of the data."
            f"{suggestion(name, map(str, frame.columns))}"
        )
    column = frame[name]
    if not isinstance(column, pd.Series):
        raise InputError(
            f"groups={name!r} names {column.shape[1]} columns of the data. Rename one."
        )
    return column


def _aligned(table: pd.DataFrame, labels: pd.Index | None, kept: NDArray[np.bool_]) -> pd.DataFrame:
    """Rows of labelled groups that belong to the kept rows."""
    if len(table) == len(kept):
        if labels is None or table.index[kept].equals(labels):
            return table[kept]
    elif labels is None:
        raise InputError(_wrong_length(len(table), kept))
    if not (table.index.is_unique and labels.is_unique):
        raise InputError(
            "groups cannot be matched by label, since labels occur more than once. Give them in "
            "the order of the rows with the same index, or as an array."
        )
    places = table.index.get_indexer(labels)
    if (places < 0).any():
        first = row_label(int(np.argmax(places < 0)), labels)
        raise InputError(
            f"groups does not have {first}. Give it the index of the data, or give an "
            "array of the original length."
        )
    return table.iloc[places]


def _as_array(groups: Any) -> NDArray[Any]:
    """An array (n, 1) or (n, 2); text is not made of numbers that stand beside text."""
    try:
        array = groups if isinstance(groups, np.ndarray) else np.array(list(groups), dtype=object)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"groups must be a column name, a Series or an array, not {type(groups).__name__}"
        ) from error
    if np.ma.isMaskedArray(array):
        masked = np.ma.getmaskarray(array)
        array = array.data.astype(object)
        array[masked] = None
    if array.ndim == 1:
        array = array[:, None]
    _check_ways(array.shape, "groups")
    return array


def _check_ways(shape: Sequence[int], what: str) -> None:
    if len(shape) != 2 or not 1 <= shape[1] <= 2:
        raise InputError(
            f"{what} has the shape {tuple(shape)}. Give one column, or two for two-way clusters."
        )


def _wrong_length(length: int, kept: NDArray[np.bool_]) -> str:
    dropped = int((~kept).sum())
    remark = f", {dropped} of which were dropped because of missing values" if dropped else ""
    return (
        f"groups has {length} rows but the data have {len(kept)}{remark}. Give one group for each "
        "original row."
    )
