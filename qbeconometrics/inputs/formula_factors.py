"""patsy factors that are evaluated on all rows and learn from the kept rows only.

A lag such as ``x.shift(1)`` needs all rows, in order; the mean in ``center(x)`` and the levels
of a category must come from the rows that enter the regression. So every expression is
evaluated on the full data, and only its result, and what stateful transforms memorise, is cut
down to the kept rows.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import patsy
import patsy.builtins
from numpy.typing import NDArray

from qbeconometrics.exceptions import FormulaError

from .formula_values import (
    check_value,
    missing_in_any,
    new_value,
    plain_series,
    rows_of_each,
    training_value,
)


class PlainColumns(Mapping[str, Any]):
    """Columns of a frame by name, with nullable dtypes turned into NumPy's."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame

    def __getitem__(self, name: str) -> Any:
        column: Any = self.frame[name]
        if isinstance(column, pd.DataFrame):
            raise FormulaError(f"data has {column.shape[1]} columns named {name!r}. Keep one.")
        return plain_series(column)

    def __iter__(self) -> Iterator[str]:
        return iter(self.frame.columns)

    def __len__(self) -> int:
        return self.frame.shape[1]


class TrainingColumns(PlainColumns):
    """The data of the regression; factors evaluated on it return the kept rows only."""

    def __init__(self, frame: pd.DataFrame, kept: NDArray[np.bool_]) -> None:
        super().__init__(frame)
        self.kept = kept


class KeptRowsFactor:
    """A patsy factor whose value on `TrainingColumns` is cut to the kept rows."""

    def __init__(self, factor: Any) -> None:
        self.factor = factor
        self.origin = factor.origin

    def name(self) -> str:
        """Text of the expression."""
        return str(self.factor.name())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeptRowsFactor) and self.factor == other.factor

    def __hash__(self) -> int:
        return hash((KeptRowsFactor, self.factor))

    def memorize_passes_needed(self, state: dict[str, Any], eval_env: Any) -> int:
        """As patsy's factor protocol asks."""
        return int(self.factor.memorize_passes_needed(state, eval_env))

    def memorize_chunk(self, state: dict[str, Any], which_pass: int, data: Any) -> None:
        """As patsy's factor protocol asks."""
        self.factor.memorize_chunk(state, which_pass, data)

    def memorize_finish(self, state: dict[str, Any], which_pass: int) -> None:
        """As patsy's factor protocol asks."""
        self.factor.memorize_finish(state, which_pass)

    def eval(self, state: dict[str, Any], data: Any) -> Any:
        """Value of the expression, on the kept rows of training data or all rows of new data."""
        value = self.factor.eval(state, data)
        if isinstance(data, TrainingColumns):
            return training_value(value, data.kept)
        return new_value(value)


class Sample:
    """The rows of the training data that transforms may look at; None for every complete row."""

    def __init__(self, kept: NDArray[np.bool_] | None = None) -> None:
        self.kept = kept

    def forget(self) -> None:
        """From here on transforms see new data, of which every complete row counts."""
        self.kept = None

    def rows(self, args: tuple[Any, ...]) -> NDArray[np.bool_]:
        """Mark the rows of a transform's arguments that are in the sample and complete."""
        complete = ~missing_in_any(args)
        return complete if self.kept is None else complete & self.kept


class KeptRowsTransform:
    """A stateful transform that sees the rows of the sample only; the others become NaN."""

    def __init__(self, transform: Any, sample: Sample) -> None:
        self.transform_inside = transform
        self.sample = sample

    def memorize_chunk(self, *args: Any, **kwargs: Any) -> None:
        """Learn from the rows of the sample."""
        rows = rows_of_each(args, self.sample.rows(args))
        self.transform_inside.memorize_chunk(*rows, **kwargs)

    def memorize_finish(self) -> None:
        """Finish learning."""
        self.transform_inside.memorize_finish()

    def transform(self, *args: Any, **kwargs: Any) -> Any:
        """Transform the rows of the sample."""
        rows = self.sample.rows(args)
        if rows.all():
            return self.transform_inside.transform(*args, **kwargs)
        if not rows.any():
            return np.full(len(rows), np.nan)
        inside = np.asarray(self.transform_inside.transform(*rows_of_each(args, rows), **kwargs))
        result = np.full((len(rows), *inside.shape[1:]), np.nan)
        result[rows] = inside
        return result


def environment_for_kept_rows(factors: list[Any], eval_env: Any, sample: Sample) -> Any:
    """Environment in which stateful transforms see the rows of the sample only."""
    outer = vars(patsy.builtins)
    replaced = {}
    for name in {name for factor in factors for name in names_in(factor.code)}:
        function = eval_env.namespace.get(name, outer.get(name))
        make = getattr(function, "__patsy_stateful_transform__", None)
        if make is not None:
            replaced[name] = patsy.stateful_transform(_maker(make, sample))
    return patsy.EvalEnvironment([replaced, eval_env.namespace], eval_env.flags)


def _maker(make: Any, sample: Sample) -> Any:
    def kept_rows_transform() -> KeptRowsTransform:
        return KeptRowsTransform(make(), sample)

    return kept_rows_transform


def names_in(code: str) -> set[str]:
    """Names that an expression reads, with the literal names in calls of Q.

    Examples
    --------
    >>> sorted(names_in("np.log(Q('a b') + x)"))
    ['Q', 'a b', 'np', 'x']
    """
    try:
        tree = ast.parse(code, mode="eval")
    except SyntaxError as error:
        raise FormulaError(f"{code!r} is not a valid expression: {error.msg}.") from error
    read: set[str] = set()
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif _is_quoted_name(node):
            read.add(node.args[0].value)  # type: ignore[attr-defined]
    return read - bound


def _is_quoted_name(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Q"
        and len(node.args) == 1
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    )


def full_value(factor: Any, eval_env: Any, data: PlainColumns) -> Any:
    """Evaluate one factor on all rows, and check its length, index and kind."""
    state: dict[str, Any] = {}
    for which_pass in range(factor.memorize_passes_needed(state, eval_env)):
        factor.memorize_chunk(state, which_pass, data)
        factor.memorize_finish(state, which_pass)
    value = factor.eval(state, data)
    check_value(value, factor.name(), data.frame)
    return value
