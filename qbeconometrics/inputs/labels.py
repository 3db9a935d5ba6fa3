"""Names of columns, and whether the rows of several tables belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError

from .columns import Table

_PEEK_ROWS = 64


def check_rows_belong_together(tables: Sequence[Table]) -> pd.Index | None:
    """Check equal lengths and equal pandas indices; return the index, if there is one.

    Raises
    ------
    InputError
        If two tables differ in length, or their labels differ or come in another order.
    """
    first = tables[0]
    for other in tables[1:]:
        if len(other.values) != len(first.values):
            raise InputError(
                f"{first.role} has {len(first.values)} rows but {other.role} has "
                f"{len(other.values)}. Give all arguments the same rows."
            )
    labelled = [table for table in tables if table.index is not None]
    for other in labelled[1:]:
        _check_equal_labels(labelled[0], other)
    return labelled[0].index if labelled else None


def _check_equal_labels(first: Table, other: Table) -> None:
    mine, theirs = first.index, other.index
    assert mine is not None
    assert theirs is not None
    if mine.equals(theirs):
        return
    row = _first_difference(mine, theirs)
    own, another = (
        label.item() if isinstance(label, np.generic) else label
        for label in (mine[row], theirs[row])
    )
    where = f"row {row} is labelled {own!r} in {first.role} but {another!r} in {other.role}"
    if _same_labels(mine, theirs):
        remedy = (
            f"{other.role} holds the same labels in another order. "
            f"Reorder it, e.g. {other.role}.loc[{first.role}.index]."
        )
    else:
        remedy = (
            "Select the same rows for all arguments, or reset the indices if the rows are "
            "known to be in the same order."
        )
    raise InputError(
        f"The rows of {first.role} and {other.role} are not aligned: {where}. {remedy}"
    )


def _first_difference(mine: pd.Index, theirs: pd.Index) -> int:
    for row, (left, right) in enumerate(zip(mine, theirs, strict=True)):
        both_missing = left is right or (left != left and right != right)
        if not both_missing and left != right:
            return row
    return 0  # the labels print alike and differ in type only


def _same_labels(mine: pd.Index, theirs: pd.Index) -> bool:
    try:
        return Counter(mine) == Counter(theirs)
    except TypeError:
        return False


def endog_label(table: Table, exog_names: Sequence[str], given: str | None = None) -> str:
    """Name of the outcome: as given, else from pandas, else "y" as statsmodels has it.

    Raises
    ------
    InputError
        If a regressor has the same name.
    """
    if given is None and table.names is None:
        return "y" if "y" not in exog_names else "endog"
    name = str(given) if given is not None else table.names[0]  # type: ignore[index]
    if name in exog_names:
        raise InputError(
            f"endog {name!r} is also a column of exog. Remove {name!r} from exog, or rename it "
            "if it holds something else."
        )
    return name


def exog_labels(table: Table, given: Sequence[str] | None = None) -> tuple[str, ...]:
    """Names of the regressors; for arrays "x1", "x2", ..., and "const" for a constant column.

    As in statsmodels the count of the others leaves the constant out.

    Examples
    --------
    >>> from qbeconometrics.inputs.columns import read_table
    >>> exog_labels(read_table([[1, 5, 3], [1, 6, 1]], "exog"))
    ('const', 'x1', 'x2')
    """
    named = names_known(table, given)
    if named is not None:
        return named
    names: list[str] = []
    for column in table.values.T:
        if "const" not in names and _is_constant(column):
            names.append("const")
        else:
            names.append(f"x{len(names) - ('const' in names) + 1}")
    return tuple(names)


def instrument_labels(
    table: Table,
    exog: Table,
    exog_names: Sequence[str],
    given: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """Names of the instruments; for arrays "z1", "z2", ..., or the equal regressor's name."""
    named = names_known(table, given)
    if named is not None:
        return named
    names: list[str] = []
    taken = set(exog_names)
    for column in table.values.T:
        name = _equal_column(column, exog.values, exog_names)
        if name is None or name in names:
            name = "const" if _is_constant(column) and "const" not in taken else None
        if name is None:
            number = 1
            while f"z{number}" in taken:
                number += 1
            name = f"z{number}"
        taken.add(name)
        names.append(name)
    return tuple(names)


def names_known(table: Table, given: Sequence[str] | None) -> tuple[str, ...] | None:
    """Names as given, else from pandas, checked; None if there are none."""
    if given is None and table.names is None:
        return None
    names = tuple(str(name) for name in given) if given is not None else table.names
    assert names is not None
    if len(names) != table.values.shape[1]:
        raise InputError(
            f"{table.role} has {table.values.shape[1]} columns but {len(names)} names were "
            f"given: {', '.join(names)}."
        )
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(
                f"{table.role} has {count} columns named {name!r}. Keep one, or rename them "
                "if they differ."
            )
    return names


def check_shared_names(instrument: Table, exog: Table) -> None:
    """Raise `InputError` if a name in both tables does not stand for the same numbers."""
    for name, theirs, mine in shared_names(instrument, exog):
        if not _equal(instrument.values[:, theirs], exog.values[:, mine]):
            raise InputError(
                f"Column {name!r} of {instrument.role} holds other numbers than column {name!r} of "
                "exog. Rename one of them, or check the order of the rows."
            )


def shared_names(instrument: Table, exog: Table) -> list[tuple[str, int, int]]:
    """Return names in both tables, and their places in each."""
    places = {name: position for position, name in enumerate(exog.names or ())}
    return [
        (name, position, places[name])
        for position, name in enumerate(instrument.names or ())
        if name in places
    ]


def _equal_column(
    column: NDArray[np.float64], values: NDArray[np.float64], names: Sequence[str]
) -> str | None:
    for position, name in enumerate(names):
        if _equal(column, values[:, position]):
            return name
    return None


def _equal(left: NDArray[np.float64], right: NDArray[np.float64]) -> bool:
    # Most pairs differ in the first rows, which spares a pass over the data.
    if not np.array_equal(left[:_PEEK_ROWS], right[:_PEEK_ROWS], equal_nan=True):
        return False
    # Looking for NaN takes long.
    return bool(np.array_equal(left, right) or np.array_equal(left, right, equal_nan=True))


def _is_constant(column: NDArray[np.float64]) -> bool:
    low = column.min()
    return bool(low == column.max() and low != 0.0)
