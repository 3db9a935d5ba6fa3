"""One argument of the user, in any form, as a float64 table with what is known of its labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError

_REMEDY = "Convert it to numbers first, e.g. with pd.to_numeric or .astype(float)."

# Arguments that are one outcome each.
ONE_OUTCOME = ("y1", "y2")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One argument, checked.

    Attributes
    ----------
    role : str
        The argument's name: "endog", "exog" or "instrument".
    values : ndarray, shape (n, k)
        C-ordered float64; missing values are NaN. A writable copy unless `read_table` was told
        otherwise.
    names : tuple of str or None
        Column names from pandas, None for arrays.
    index : pandas.Index or None
        Row labels from pandas, None for arrays.
    """

    role: str
    values: NDArray[np.float64]
    names: tuple[str, ...] | None
    index: pd.Index | None

    def describe(self, position: int, *, start: bool = False) -> str:
        """Words for one column, such as "column 'educ' of exog"; `start` begins a sentence."""
        name = repr(self.names[position]) if self.names is not None else str(position)
        if self.role == "endog":
            return f"endog {name}"
        if self.role in ONE_OUTCOME:
            known = self.names is not None and self.names[position] != self.role
            return f"{self.role} {name}" if known else self.role
        return f"{'Column' if start else 'column'} {name} of {self.role}"


def read_table(data: object, role: str, *, copy: bool = True) -> Table:
    """Read an argument into a `Table`.

    Parameters
    ----------
    data : array_like, Series or DataFrame
        Numbers or booleans; one-dimensional data are one column.
    role : str
        Name of the argument, for messages.
    copy : bool
        Whether an array is copied that could be used as it is.

    Raises
    ------
    InputError
        If the data are not numbers, not a table, or have no rows or no columns.

    Examples
    --------
    >>> read_table([1, 2], "exog").values
    array([[1.],
           [2.]])
    """
    if isinstance(data, pd.Series):
        table = _from_series(data, role)
    elif isinstance(data, pd.DataFrame):
        table = _from_frame(data, role)
    else:
        table = Table(role, _from_array(data, role, copy=copy), None, None)
    rows, columns = table.values.shape
    if rows == 0:
        raise InputError(f"{role} has zero rows. Check how the sample was selected.")
    if columns == 0:
        raise InputError(f"{role} has zero columns. Give at least one column.")
    return table


def _from_series(series: pd.Series, role: str) -> Table:
    name = label_text(series.name) if series.name is not None else None
    numbers = _series_numbers(series, f"{role} {name!r}" if name else role)
    names = (name,) if name is not None else None
    return Table(role, numbers.reshape(-1, 1).copy(), names, series.index)


def _from_frame(frame: pd.DataFrame, role: str) -> Table:
    names = tuple(label_text(label) for label in frame.columns)
    values = np.empty(frame.shape)
    for position, name in enumerate(names):
        column = frame.iloc[:, position]
        values[:, position] = _series_numbers(column, f"column {name!r} of {role}")
    return Table(role, values, names, frame.index)


def _series_numbers(series: pd.Series, what: str) -> NDArray[np.float64]:
    kind = series.dtype
    if isinstance(kind, pd.CategoricalDtype):
        raise InputError(
            f"{what} is categorical. Use a formula with C(...), or make dummy columns with "
            "pd.get_dummies(..., drop_first=True, dtype=float)."
        )
    numeric = pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_complex_dtype(kind)
    if not numeric:
        raise InputError(f"{what} has dtype {kind}, which is not numeric. {_REMEDY}")
    if isinstance(kind, np.dtype):
        return series.to_numpy(dtype=np.float64)
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def _from_array(data: object, role: str, *, copy: bool) -> NDArray[np.float64]:
    try:
        array = np.ma.asanyarray(data) if np.ma.isMaskedArray(data) else np.asarray(data)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{role} cannot be read as an array ({error}). Give rows of equal length."
        ) from error
    if array.dtype.kind not in "biuf":
        where = _first_entry_that_is_no_number(array)
        raise InputError(f"{role} has dtype {array.dtype}, which is not numeric{where}. {_REMEDY}")
    if array.ndim not in (1, 2):
        raise InputError(
            f"{role} has {array.ndim} dimensions. Give one (a single column) or two "
            "(rows by columns)."
        )
    if np.ma.isMaskedArray(array):
        array = np.ma.filled(array.astype(np.float64), np.nan)
    if copy:
        values = np.array(array, dtype=np.float64, order="C")
    else:
        values = np.require(array, np.float64, ["C", "ALIGNED", "ENSUREARRAY"])
    return values[:, None] if values.ndim == 1 else values


def _first_entry_that_is_no_number(array: np.ndarray) -> str:
    if array.dtype.kind != "O" or array.ndim not in (1, 2):
        return ""
    for position, value in np.ndenumerate(array):
        if not isinstance(value, (int, float, np.number, np.bool_)):
            column = f", column {position[1]}" if array.ndim == 2 else ""
            return f" (row {position[0]}{column} holds {value!r})"
    return ""


def label_text(label: object) -> str:
    """Text of a column label; the levels of a MultiIndex are joined by "_"."""
    if isinstance(label, tuple):
        return "_".join(str(part) for part in label)
    return str(label)
