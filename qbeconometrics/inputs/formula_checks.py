"""Checks of the data and the names that a formula uses."""

from __future__ import annotations

import builtins
import contextlib
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import patsy
import patsy.builtins

from qbeconometrics.exceptions import FormulaError, InputError, suggestion

from .formula_factors import names_in


def as_frame(data: Any) -> pd.DataFrame:
    """A DataFrame with rows, from a DataFrame or a mapping of names to columns."""
    if isinstance(data, Mapping):
        try:
            data = pd.DataFrame(dict(data))
        except (ValueError, TypeError) as error:
            raise InputError(
                f"data cannot be made a DataFrame ({error}). Give columns of equal length."
            ) from error
    if not isinstance(data, pd.DataFrame):
        raise InputError(
            f"data must be a DataFrame or a mapping of names to columns, not {type(data).__name__}."
        )
    if len(data) == 0:
        raise InputError("data has zero rows. Check how the sample was selected.")
    return data


@contextlib.contextmanager
def patsy_errors_named(formula: str) -> Iterator[None]:
    """Re-raise errors of patsy as `FormulaError`, with their text."""
    try:
        yield
    except (patsy.PatsyError, SyntaxError, tokenize.TokenError) as error:
        raise FormulaError(f"Formula {formula!r}: {error}") from error


def refuse_unknown_names(factors: Sequence[Any], frame: pd.DataFrame, env: Any) -> None:
    """Raise `FormulaError` for a name that is no column, function or variable."""
    for factor in factors:
        for name in sorted(names_in(factor.code)):
            known = (
                name in frame.columns
                or name in env.namespace
                or hasattr(patsy.builtins, name)
                or hasattr(builtins, name)
            )
            if not known and f"{name}(" in factor.code:
                raise FormulaError(
                    f"function {name!r} in {factor.code!r} is not known. Define or import it "
                    "where the formula is written."
                )
            if not known:
                raise FormulaError(
                    f"column {name!r} is not in data.{suggestion(name, map(str, frame.columns))}"
                )
