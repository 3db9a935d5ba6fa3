"""Lags in formulas: ``lag(x, 1, 4)`` stands for lag(x, 1) + lag(x, 2) + lag(x, 3) + lag(x, 4)."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pandas as pd

from qbeconometrics.exceptions import FormulaError

from .formula_text import end_of_quote

_NAME = "lag"
_USE = "Write lag(x), lag(x, 2) or lag(x, 1, 4)."


def lag(values: Any, periods: int = 1) -> Any:
    """Return the values of earlier rows; the first rows become NaN.

    Parameters
    ----------
    values : Series or array_like, shape (n,)
        Rows in order of time.
    periods : int
        At least 0.

    Examples
    --------
    >>> lag([1.0, 2.0, 4.0]).tolist()
    [nan, 1.0, 2.0]
    """
    if isinstance(values, pd.Series):
        return values.shift(periods)
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise FormulaError(f"lag() takes one column, not {array.shape[1]}. {_USE}")
    shifted = np.full(len(array), np.nan)
    shifted[periods:] = array[: max(len(array) - periods, 0)]
    return shifted


def has_lags(text: str) -> bool:
    """Whether a part of a formula holds a call of ``lag``.

    Examples
    --------
    >>> has_lags("lag(x, 1) + z"), has_lags("flag(x) + z")
    (True, False)
    """
    return bool(_calls(text))


def expand_lags(text: str) -> str:
    """Write out each ``lag(x, first, last)`` of a part of a formula as a sum.

    Raises
    ------
    FormulaError
        If a lag cannot be read, or a range of lags stands within another function.

    Examples
    --------
    >>> expand_lags("z + lag(x, 1, 3)")
    'z + (lag(x, 1) + lag(x, 2) + lag(x, 3))'
    >>> expand_lags("lag(np.log(x))")
    'lag(np.log(x), 1)'
    """
    for start, stop, nested in reversed(_calls(text)):
        variable, first, last = _arguments(text[start:stop])
        if nested and first != last:
            raise FormulaError(
                f"{text[start:stop]!r} gives {last - first + 1} columns and cannot stand within "
                "another function. Apply the function inside: lag(np.log(x), 1, 4)."
            )
        terms = [f"lag({variable}, {period})" for period in range(first, last + 1)]
        joined = " + ".join(terms)
        text = text[:start] + (joined if len(terms) == 1 else f"({joined})") + text[stop:]
    return text


def _calls(text: str) -> list[tuple[int, int, bool]]:
    """Start, end and whether within another call, of each outermost ``lag(...)``."""
    found: list[tuple[int, int, bool]] = []
    functions: list[bool] = []  # of each open parenthesis: does it belong to a call?
    place = 0
    while place < len(text):
        character = text[place]
        if character in "'\"":
            place = end_of_quote(text, place)
        elif character in "([{":
            before = text[:place].rstrip()
            functions.append(character != "(" or (bool(before) and _ends_name(before[-1])))
            if character == "(" and _is_lag(before) and not _inside(found, place):
                stop = _closing(text, place)
                found.append((len(before) - len(_NAME), stop, any(functions[:-1])))
        elif character in ")]}" and functions:
            functions.pop()
        place += 1
    return found


def _ends_name(character: str) -> bool:
    return character.isalnum() or character in "_)]"


def _is_lag(before: str) -> bool:
    rest = before[: -len(_NAME)]
    return before.endswith(_NAME) and not (rest and (_ends_name(rest[-1]) or rest[-1] == "."))


def _inside(found: list[tuple[int, int, bool]], place: int) -> bool:
    return bool(found) and place < found[-1][1]


def _closing(text: str, start: int) -> int:
    """Place after the parenthesis that closes the one at `start`."""
    depth, place = 0, start
    while place < len(text):
        if text[place] in "'\"":
            place = end_of_quote(text, place)
        depth += (text[place] in "([{") - (text[place] in ")]}")
        place += 1
        if depth == 0:
            return place
    raise FormulaError(f"{text[start:]!r} is never closed.")


def _arguments(call: str) -> tuple[str, int, int]:
    """Variable, first and last lag of one call."""
    try:
        tree = ast.parse(call, mode="eval").body
    except SyntaxError as error:
        raise FormulaError(f"{call!r} cannot be read: {error.msg}. {_USE}") from error
    assert isinstance(tree, ast.Call)
    if not 1 <= len(tree.args) <= 3 or tree.keywords:
        raise FormulaError(f"{call!r} has the wrong arguments. {_USE}")
    numbers = [_period(argument, call) for argument in tree.args[1:]] or [1]
    first, last = numbers[0], numbers[-1]
    if last < first:
        raise FormulaError(f"{call!r} ends before it begins. {_USE}")
    return ast.get_source_segment(call, tree.args[0]) or "", first, last


def _period(node: ast.expr, call: str) -> int:
    whole = isinstance(node, ast.Constant) and type(node.value) is int
    if not whole:
        hint = " A lag counts back; leads are no controls." if isinstance(node, ast.UnaryOp) else ""
        raise FormulaError(f"{call!r} needs lags that are whole numbers, 0 or more.{hint} {_USE}")
    assert isinstance(node, ast.Constant)
    return int(node.value)  # type: ignore[arg-type]
