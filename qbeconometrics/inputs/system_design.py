"""Checked arrays of several regressions on the same regressors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError, RankError, check_choice

from .columns import Table, read_table
from .design import MISSING_CHOICES
from .labels import check_rows_belong_together, exog_labels, names_known
from .missing_rows import (
    complete_rows,
    keep_rows,
    refuse_infinite,
    refuse_missing,
    refuse_no_rows_left,
)
from .rank import dependent_columns, triangular_factor
from .refusals import refuse_dependent_columns

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SystemDesign:
    """Data of endog = exog C' + controls D' + error, one row an observation.

    Attributes
    ----------
    endog : ndarray, shape (n, m)
    exog : ndarray, shape (n, q)
    controls : ndarray, shape (n, k)
        With the constant, if there is one, which comes first; k may be zero.
    endog_names, exog_names, control_names : tuple of str
    has_constant : bool
        Whether the first of the controls is a constant.
    row_labels : pandas.Index or None
        Of the rows kept; None if no argument had labels.
    n_dropped : int
        Rows dropped because a value was missing.
    kept : ndarray of bool, shape (n + n_dropped,), or None
        Marks the rows kept; None if none was dropped.
    """

    endog: FloatArray
    exog: FloatArray
    controls: FloatArray
    endog_names: tuple[str, ...]
    exog_names: tuple[str, ...]
    control_names: tuple[str, ...]
    has_constant: bool
    row_labels: pd.Index | None
    n_dropped: int
    kept: NDArray[np.bool_] | None

    @property
    def nobs(self) -> int:
        """Number of observations."""
        return len(self.endog)


def check_system_design(
    endog: object, exog: object, controls: object = None, *, missing: str = "none"
) -> SystemDesign:
    """Check and copy the data of several regressions on the same regressors.

    Parameters
    ----------
    endog : array_like, shape (n, m)
        The outcomes.
    exog : array_like, shape (n, q)
        The regressors; a constant among them is taken to the controls.
    controls : array_like, shape (n, k), optional
    missing : {"none", "drop", "raise"}

    Raises
    ------
    InputError
        If the data are not finite numbers, not aligned, or cannot be told apart; `RankError` for
        columns that are combinations of others.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((20, 2))
    >>> design = check_system_design(rng.standard_normal((20, 2)), np.c_[np.ones(20), x])
    >>> design.endog_names, design.exog_names, design.control_names
    (('y1', 'y2'), ('x1', 'x2'), ('const',))
    """
    check_choice(missing, MISSING_CHOICES, "missing")
    tables = [read_table(endog, "endog"), read_table(exog, "exog")]
    if controls is not None:
        tables.append(read_table(controls, "controls"))
    labels = check_rows_belong_together(tables)
    refuse_infinite(tables, labels)
    kept, n_dropped = None, 0
    if missing == "drop":
        kept = complete_rows(tables)
    else:
        refuse_missing(tables, labels)
    if kept is not None:
        refuse_no_rows_left(tables, kept)
        tables = [replace(table, values=keep_rows(table.values, kept)) for table in tables]
        n_dropped = int(len(kept) - kept.sum())
        labels = None if labels is None else labels[kept]
    outcomes, regressors, others = _named(tables)
    remark = f" (after dropping {n_dropped} rows with missing values)" if n_dropped else ""
    _refuse_shared_names([outcomes, regressors, others])
    _refuse_dependent(outcomes, regressors, others, remark)
    assert outcomes.names is not None
    assert regressors.names is not None
    assert others.names is not None
    for table in (outcomes, regressors, others):
        table.values.flags.writeable = False
    return SystemDesign(
        endog=outcomes.values,
        exog=regressors.values,
        controls=others.values,
        endog_names=outcomes.names,
        exog_names=regressors.names,
        control_names=others.names,
        has_constant=others.values.shape[1] > 0 and _is_constant(others.values[:, 0]),
        row_labels=labels,
        n_dropped=n_dropped,
        kept=kept,
    )


def _named(tables: Sequence[Table]) -> tuple[Table, Table, Table]:
    """Name the columns, and put constants first among the controls."""
    endog, exog = tables[:2]
    names = endog.names or tuple(f"y{j + 1}" for j in range(endog.values.shape[1]))
    outcomes = replace(endog, names=names_known(endog, names))
    exog = replace(exog, names=exog_labels(exog))
    constant = np.array([_is_constant(column) for column in exog.values.T])
    if constant.all():
        raise InputError("exog holds nothing but constants. Give regressors that vary.")
    parts = [_columns(exog, constant)]
    if len(tables) == 3:
        given = tables[2].names or tuple(f"w{j + 1}" for j in range(tables[2].values.shape[1]))
        others = replace(tables[2], names=names_known(tables[2], given))
        first = np.array([_is_constant(column) for column in others.values.T])
        parts += [_columns(others, first), _columns(others, ~first)]
    values = np.ascontiguousarray(np.hstack([part.values for part in parts]))
    control_names = tuple(name for part in parts for name in part.names or ())
    controls = Table("controls", values, control_names, exog.index)
    return outcomes, _columns(exog, ~constant), controls


def _columns(table: Table, chosen: NDArray[np.bool_]) -> Table:
    assert table.names is not None
    names = tuple(name for name, one in zip(table.names, chosen, strict=True) if one)
    return replace(table, values=np.ascontiguousarray(table.values[:, chosen]), names=names)


def _refuse_shared_names(tables: Sequence[Table]) -> None:
    roles: dict[str, str] = {}
    for table in tables:
        for name in table.names or ():
            if name in roles:
                raise InputError(
                    f"Column {name!r} is in {roles[name]} and in {table.role}. Remove it from one "
                    "of them, or rename it if it holds something else."
                )
            roles[name] = table.role


def _refuse_dependent(outcomes: Table, exog: Table, controls: Table, remark: str) -> None:
    """Raise `RankError` unless all columns together have full rank."""
    n, k, q = len(exog.values), controls.values.shape[1], exog.values.shape[1]
    m = outcomes.values.shape[1]
    if n <= k + q + m:
        raise RankError(
            f"There are {n} rows but {m} outcomes, {q} regressors and {k} controls{remark}. Use "
            "more data or fewer columns."
        )
    for position, column in enumerate(outcomes.values.T):
        if column.min() == column.max():
            raise InputError(
                f"{outcomes.describe(position)} has the value {column[0]:g} in every row{remark}, "
                "so there is nothing to explain. Check which column was meant."
            )
    triangle = triangular_factor([controls.values, exog.values, outcomes.values])
    refuse_dependent_columns(controls, triangle[:, :k], remark)
    refuse_dependent_columns(exog, triangle[:, k : k + q], remark)
    names = [*(controls.names or ()), *(exog.names or ()), *(outcomes.names or ())]
    for found in dependent_columns(triangle, names):
        others = ", ".join(map(repr, found.source_names))
        role = "exog" if found.column < k + q else "endog"
        remedy = (
            f"Remove {found.name!r} from exog."
            if role == "exog"
            else "Leave one of these outcomes out, or the regressor that was computed from it."
        )
        raise RankError(
            f"{role} {found.name!r} is an exact linear combination of {others}{remark}. {remedy}"
        )


def _is_constant(column: FloatArray) -> bool:
    return bool(column.min() == column.max() and column[0] != 0.0)
