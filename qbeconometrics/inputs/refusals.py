"""Sentences for what makes a linear design unusable: rank, identification, a perfect fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import IdentificationError, InputError, RankError

from .columns import Table
from .rank import DEPENDENCE_TOLERANCE, Dependence, dependent_columns
from .spans import Coordinates, unmoved_regressors

_HOLDS_EXOGENOUS = (
    "instrument must also hold the exogenous regressors, including the constant, not the "
    "excluded instruments alone"
)


@dataclass(frozen=True, slots=True, eq=False)
class NamedDesign:
    """Tables, coordinates and names, with a remark on rows dropped, for the messages."""

    endog: Table
    exog: Table
    instrument: Table
    coordinates: Coordinates
    remark: str

    @property
    def exog_names(self) -> tuple[str, ...]:
        """Names of the regressors."""
        assert self.exog.names is not None
        return self.exog.names

    @property
    def instrument_names(self) -> tuple[str, ...]:
        """Names of the instruments."""
        assert self.instrument.names is not None
        return self.instrument.names


def refuse_too_few_rows(tables: Sequence[Table], remark: str) -> None:
    """Raise `RankError` unless there are more rows than columns in each table."""
    for table in tables:
        rows, columns = table.values.shape
        if rows <= columns:
            raise RankError(
                f"There are {rows} rows but {columns} columns in {table.role}{remark}. More rows "
                f"than columns are needed: use more data or fewer columns of {table.role}."
            )


def refuse_constant_endog(design: NamedDesign) -> None:
    """Raise `InputError` if the outcome never changes."""
    outcome = design.endog.values[:, 0]
    if outcome.min() == outcome.max():
        raise InputError(
            f"endog {_name(design)!r} has the value {outcome[0]:g} in every row{design.remark}, "
            "so there is nothing to explain. Check which column was meant."
        )


def refuse_endog_among_columns(design: NamedDesign) -> None:
    """Raise `InputError` if the outcome is also a regressor or an instrument."""
    outcome = design.endog.values[:, 0]
    for table in (design.exog, design.instrument):
        assert table.names is not None
        for name, column in zip(table.names, table.values.T, strict=True):
            if outcome[0] == column[0] and np.array_equal(outcome, column):
                raise InputError(
                    f"endog {_name(design)!r} is also in {table.role}, as column {name!r}. "
                    f"Remove it from {table.role}."
                )


def refuse_dependent_columns(table: Table, columns: NDArray[np.float64], remark: str) -> None:
    """Raise `RankError` for the first column that is a combination of earlier ones.

    Parameters
    ----------
    table : Table
        The data, for the words.
    columns : ndarray, shape (p, k)
        The same columns in short coordinates.
    """
    assert table.names is not None
    found = dependent_columns(columns, table.names)
    if found:
        raise RankError(_rank_sentence(found[0], table, remark))


def _rank_sentence(found: Dependence, table: Table, remark: str) -> str:
    what = table.describe(found.column, start=True)
    column = table.values[:, found.column]
    remedy = f"Remove {found.name!r} from {table.role}."
    if not found.sources:
        return f"{what} is zero in every row{remark}. {remedy}"
    others = ", ".join(map(repr, found.source_names))
    if column.min() == column.max():
        return (
            f"{what} is constant, {column[0]:g} in every row{remark}, and {table.role} already "
            f"has a constant in {others}. {remedy}"
        )
    if len(found.sources) == 1:
        factor = found.coefficients[0]
        if np.array_equal(column, table.values[:, found.sources[0]]):
            return f"{what} is a duplicate of column {others}{remark}. {remedy}"
        return f"{what} equals {factor:.6g} times column {others}{remark}. {remedy}"
    return (
        f"{what} is a linear combination of {others}{remark}, so {table.role} does not have full "
        f"column rank. Remove one of these columns; of a full set of dummies next to a "
        "constant, leave one category out."
    )


def refuse_constant_outside_instruments(
    design: NamedDesign, constant: NDArray[np.float64] | None, endogenous: Sequence[int]
) -> None:
    """Raise `IdentificationError` if the constant of `exog` is not among the instruments."""
    if constant is None:
        return
    holders = [position for position in np.flatnonzero(constant) if position in endogenous]
    if not holders:
        return
    names = ", ".join(repr(design.exog_names[position]) for position in holders)
    raise IdentificationError(
        f"exog has a constant ({names}) that the columns of instrument do not span: "
        f"{_HOLDS_EXOGENOUS}. Add these columns of exog to instrument: "
        f"{names}, and every other exogenous regressor."
    )


def refuse_too_few_instruments(
    design: NamedDesign, endogenous: Sequence[int], n_excluded: int
) -> None:
    """Raise `IdentificationError` if instruments are fewer than regressors."""
    missing = len(endogenous) - n_excluded
    if missing <= 0:
        return
    names = ", ".join(repr(design.exog_names[position]) for position in endogenous)
    raise IdentificationError(
        f"There are too few instruments: {len(endogenous)} endogenous regressor(s) ({names}), "
        f"the columns of exog outside the span of instrument, need at least {len(endogenous)} "
        f"excluded instrument(s), and there are {n_excluded}{design.remark}. Add {missing} more; "
        f"if some of these regressors are exogenous, note that {_HOLDS_EXOGENOUS}."
    )


def refuse_unmoved_regressors(
    design: NamedDesign, exogenous: tuple[int, ...], endogenous: tuple[int, ...]
) -> None:
    """Raise `IdentificationError` if ``Z'X`` is short of rank."""
    if not endogenous:
        return
    found = unmoved_regressors(design.coordinates, exogenous, endogenous, design.exog_names)
    if not found:
        return
    first = found[0]
    beyond = " beyond the exogenous regressors" if exogenous else ""
    if not first.sources:
        raise IdentificationError(
            f"The instruments do not move the endogenous regressor {first.name!r}: they explain "
            f"nothing of it{beyond}{design.remark}, so its coefficient is not identified. Use "
            "other instruments for it."
        )
    others = ", ".join(map(repr, first.source_names))
    raise IdentificationError(
        f"The instruments move the endogenous regressor {first.name!r} only together with "
        f"{others}{beyond}{design.remark}, so their coefficients are not identified. Add an "
        "instrument that moves it separately."
    )


def refuse_perfect_fit(design: NamedDesign) -> None:
    """Raise `RankError` if the outcome is an exact combination of the regressors."""
    stacked = np.column_stack([design.coordinates.exog, design.coordinates.endog])
    k = len(design.exog_names)
    name = _name(design)
    found = dependent_columns(stacked, [*design.exog_names, name], DEPENDENCE_TOLERANCE)
    if found and found[-1].column == k:
        others = ", ".join(map(repr, found[-1].source_names))
        raise RankError(
            f"endog {name!r} is an exact linear combination of {others}{design.remark}, so every "
            "residual is zero. Remove the regressor that was computed from the outcome."
        )


def _name(design: NamedDesign) -> str:
    assert design.endog.names is not None
    return design.endog.names[0]
