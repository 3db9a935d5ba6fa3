"""Blocks of a formula whose exogenous columns are built once for rows that share them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError, OptionError

from .block_formula import BlockFormula, names_read
from .columns import Table
from .formula import side_terms, sides_of
from .formula_checks import as_frame, patsy_errors_named, refuse_unknown_names
from .formula_factors import PlainColumns, full_value, names_in
from .formula_text import split_formula
from .formula_values import numeric_outcome
from .missing_rows import refuse_infinite

_INTERCEPT = "Intercept"


@dataclass(frozen=True, slots=True, eq=False)
class CompressedRows:
    """Rows of one block, and the cells that they are in.

    Attributes
    ----------
    values : ndarray, shape (n, 1 + p)
        Outcome and endogenous regressors of the rows without missing values.
    codes : ndarray of int, shape (n,)
        Cell of each.
    exogenous : ndarray, shape (g, k - p)
    instrument : ndarray, shape (g, m)
        Of each cell.
    """

    values: NDArray[np.float64]
    codes: NDArray[np.int64]
    exogenous: NDArray[np.float64]
    instrument: NDArray[np.float64]


def cell_representatives(
    formula: str, data: Any
) -> tuple[pd.DataFrame, pd.DataFrame, NDArray[np.int64]]:
    """Return the data, one row for each combination of what exogenous columns read, and codes.

    Raises
    ------
    OptionError
        If the formula does not say in brackets which regressors are endogenous.
    """
    text = split_formula(formula)
    if text.endogenous is None:
        raise OptionError(
            f"compress=True needs brackets that name the endogenous regressors, as in "
            f"'y ~ x + [d ~ z]'; {formula!r} has none"
        )
    frame = as_frame(data)
    with patsy_errors_named(formula):
        first, _, excluded = (side_terms(side) for side in sides_of(text))
        factors = [factor for term in (*first, *excluded) for factor in term.factors]
        read = {name for factor in factors for name in names_in(factor.code)}
    names = [name for name in frame.columns if name in read]
    if not names:
        return frame, frame.iloc[:1], np.zeros(len(frame), dtype=np.int64)
    codes = frame.groupby(names, sort=False, dropna=False, observed=True).ngroup()
    codes = np.asarray(codes, dtype=np.int64)
    _, places = np.unique(codes, return_index=True)
    return frame, frame.iloc[places], codes


def levels_of_cells(formula: str, data: Any) -> pd.DataFrame:
    """Return one complete row of each cell, which show what the columns can be."""
    frame = as_frame(data)
    read = names_read(formula)
    complete = frame.dropna(subset=[name for name in frame.columns if name in read])
    return cell_representatives(formula, complete)[1] if len(complete) else complete


def compressed_rows(columns: BlockFormula, data: Any, missing: str) -> CompressedRows:
    """Build the columns of one block, those that are exogenous once for each cell.

    Raises
    ------
    FormulaError, InputError, OptionError
        As `BlockFormula.rows`, and if the formula has no brackets.
    """
    frame, cells, codes = cell_representatives(columns.formula, data)
    every, few = PlainColumns(frame), PlainColumns(cells)
    with patsy_errors_named(columns.formula), np.errstate(all="ignore"):
        refuse_unknown_names([columns.outcome], frame, columns.env)
        endog = numeric_outcome(full_value(columns.outcome, columns.env, every), columns.endog_name)
        first, second, third = columns.infos
        exogenous = columns.side(first, few)
        endogenous = columns.side(second, every).drop(columns=_INTERCEPT, errors="ignore")
        excluded = columns.side(third, few).drop(columns=_INTERCEPT, errors="ignore")
    values = np.column_stack([endog, endogenous.to_numpy()])
    instrument = np.column_stack([exogenous.to_numpy(), excluded.to_numpy()])
    kept = ~(np.isnan(values).any(axis=1) | np.isnan(instrument).any(axis=1)[codes])
    if missing != "drop" and not kept.all():
        label = frame.index[int(np.argmin(kept))]
        raise InputError(
            f"A term of {columns.formula!r} is missing (NaN) in {int((~kept).sum())} row(s) of a "
            f"block, first at row label {label!r}. Remove these rows, or pass missing='drop'."
        )
    used = np.unique(codes[kept])
    if len(used):
        labels = frame.index[kept]
        refuse_infinite(
            [
                Table("endog", values[kept, :1], (columns.endog_name,), labels),
                Table("exog", values[kept, 1:], tuple(endogenous.columns), labels),
            ],
            labels,
        )
        refuse_infinite(
            [Table("instrument", instrument[used], columns.instrument_names, cells.index[used])],
            cells.index[used],
        )
    return CompressedRows(values[kept], codes[kept], exogenous.to_numpy(), instrument)
