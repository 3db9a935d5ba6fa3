"""What an expression in a formula can evaluate to: its kind, its missing rows, its rows."""

from __future__ import annotations

import datetime
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from patsy.categorical import C

from qbeconometrics.exceptions import FormulaError, suggestion

_CategoricalBox = type(C([0]))

# A text column with more levels than this, in more than half of its rows, is not a category.
_MANY_LEVELS = 50


def plain_series(column: pd.Series) -> pd.Series:
    """Turn nullable numbers and booleans into NumPy's own; leave other columns alone."""
    kind = column.dtype
    if isinstance(kind, (np.dtype, pd.CategoricalDtype)):
        return column
    missing = bool(column.isna().any())
    if pd.api.types.is_bool_dtype(kind):
        values = column.to_numpy(dtype=object if missing else bool, na_value=np.nan)
    elif pd.api.types.is_integer_dtype(kind) and not missing:
        values = column.to_numpy(dtype=np.int64)
    elif pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_complex_dtype(kind):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    elif pd.api.types.is_string_dtype(kind):
        values = column.to_numpy(dtype=object, na_value=np.nan)
    else:
        return column
    return pd.Series(values, index=column.index, name=column.name)


def check_value(value: Any, name: str, data: pd.DataFrame) -> None:
    contents = value.data if isinstance(value, _CategoricalBox) else value
    if callable(contents) or contents is None:
        raise FormulaError(
            f"column {name!r} is not in data.{suggestion(name, map(str, data.columns))} "
            "The name stands for a function."
        )
    rows = np.shape(contents)[0] if np.ndim(contents) else 1
    if np.ndim(contents) == 0 or rows != len(data):
        raise FormulaError(
            f"Term {name!r} has {rows} value(s), but data has {len(data)} rows. A term must "
            "have one value for each row."
        )
    if isinstance(contents, (pd.Series, pd.DataFrame)) and not contents.index.equals(data.index):
        raise FormulaError(
            f"Term {name!r} has other row labels than data. Put the variable into data first."
        )
    _check_kind(contents, name, boxed=isinstance(value, _CategoricalBox))


def _check_kind(contents: Any, name: str, *, boxed: bool) -> None:
    dtype = getattr(contents, "dtype", None)
    if isinstance(dtype, pd.CategoricalDtype):
        return
    array = np.asarray(contents)
    if array.dtype.kind in "mMc":
        raise FormulaError(
            f"Term {name!r} has dtype {array.dtype}, which is not numeric. Convert it to a "
            "number, such as a year, first."
        )
    if boxed or array.dtype.kind not in "OUST" or array.ndim != 1:
        return
    present = [value for value in array.tolist() if not _is_missing(value)]
    if any(isinstance(value, (datetime.date, pd.Period)) for value in present):
        raise FormulaError(f"Term {name!r} holds dates. Convert them to numbers first.")
    numeric = [isinstance(v, numbers.Number) and not isinstance(v, bool) for v in present]
    if any(numeric):
        raise FormulaError(
            f"Term {name!r} has dtype {array.dtype} but holds numbers. Convert it, e.g. with "
            "pd.to_numeric, or write C(...) for a category."
        )
    levels = len(set(map(str, present)))
    if levels > max(_MANY_LEVELS, len(present) // 2):
        raise FormulaError(
            f"Term {name!r} is text with {levels} different values in {len(present)} rows, which "
            "is no category. If these are numbers, convert them with pd.to_numeric."
        )


def missing_rows(value: Any) -> NDArray[np.bool_]:
    """Mark the rows in which a factor's value is missing."""
    contents = value.data if isinstance(value, _CategoricalBox) else value
    if isinstance(contents, (pd.Series, pd.DataFrame)):
        missing = contents.isna().to_numpy()
    else:
        missing = np.asarray(pd.isna(np.asarray(contents)))
    return np.asarray(missing.any(axis=1) if missing.ndim > 1 else missing)


def training_value(value: Any, kept: NDArray[np.bool_]) -> Any:
    """Cut a factor's value to the kept rows, without categories that no kept row has."""
    return _with_contents(value, lambda contents: _used_levels(_rows(contents, kept)))


def new_value(value: Any) -> Any:
    """A factor's value on new data, with categories as plain values.

    New data may declare other categories than the training data used, which patsy refuses.
    """
    return _with_contents(value, _as_plain_values)


def _with_contents(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, _CategoricalBox):
        return C(change(value.data), value.contrast, value.levels)
    return change(value)


def _used_levels(contents: Any) -> Any:
    if isinstance(contents, pd.Series):
        if isinstance(contents.dtype, pd.CategoricalDtype):
            return contents.cat.remove_unused_categories()
        return plain_series(contents)
    if isinstance(contents, pd.Categorical):
        return contents.remove_unused_categories()
    return contents


def _as_plain_values(contents: Any) -> Any:
    if isinstance(getattr(contents, "dtype", None), pd.CategoricalDtype):
        return np.asarray(contents, dtype=object)
    return plain_series(contents) if isinstance(contents, pd.Series) else contents


def _rows(contents: Any, rows: NDArray[np.bool_]) -> Any:
    if isinstance(contents, (pd.Series, pd.DataFrame)):
        return contents.loc[rows]
    if isinstance(contents, pd.Categorical):
        return contents[rows]
    return np.asarray(contents)[rows]


def rows_of_each(args: tuple[Any, ...], rows: NDArray[np.bool_]) -> list[Any]:
    """Cut those arguments of a transform that have one entry for each row."""
    return [_rows(arg, rows) if _has_rows(arg, len(rows)) else arg for arg in args]


def missing_in_any(args: tuple[Any, ...]) -> NDArray[np.bool_]:
    """Mark the rows in which any argument of a transform is missing."""
    length = len(args[0])
    missing = np.zeros(length, dtype=bool)
    for arg in args:
        if _has_rows(arg, length):
            missing |= missing_rows(arg)
    return missing


def _has_rows(arg: Any, length: int) -> bool:
    return np.ndim(arg) > 0 and len(arg) == length


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and value != value)


def numeric_outcome(value: Any, name: str) -> NDArray[np.float64]:
    """The left side of a formula as one column of numbers; False and True become 0 and 1.

    Raises
    ------
    FormulaError
        If it is a category, text, or more than one column.
    """
    array = np.asarray(value.data if isinstance(value, _CategoricalBox) else value)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise FormulaError(f"The left side {name!r} must be a single column, not {array.shape[1]}.")
    dtype = getattr(value, "dtype", None)
    boxed = isinstance(value, _CategoricalBox) or isinstance(dtype, pd.CategoricalDtype)
    if boxed or not (array.dtype.kind in "biuf" or _holds_only_booleans(array)):
        raise FormulaError(
            f"The left side {name!r} is categorical. Make it a number first, as in "
            f"'I(1.0 * ({name} == \"level\")) ~ x'."
        )
    return np.asarray(array, dtype=np.float64)


def _holds_only_booleans(array: np.ndarray) -> bool:
    return array.dtype.kind == "O" and all(
        isinstance(value, (bool, np.bool_)) or _is_missing(value) for value in array.tolist()
    )
