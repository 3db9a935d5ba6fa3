"""A formula whose columns are fixed once and then built for block after block of a data set.

Levels of categories, and what transformations such as ``center(x)`` learn, come from a first look
at the data by patsy's incremental design; a level that was not seen then is an error, never a new
column.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import patsy
from numpy.typing import NDArray

from qbeconometrics.exceptions import FormulaError, InputError

from .formula import (
    RegressorRecipe,
    assemble_blocks,
    data_columns_of,
    new_matrix,
    outcome_factor,
    pass_all,
    rows_to_keep,
    side_terms,
    sides_of,
    unique_factors,
)
from .formula_checks import as_frame, patsy_errors_named, refuse_unknown_names
from .formula_factors import (
    KeptRowsFactor,
    PlainColumns,
    Sample,
    TrainingColumns,
    environment_for_kept_rows,
    full_value,
    names_in,
)
from .formula_text import FormulaText, split_formula
from .formula_values import missing_rows, numeric_outcome

# Rows of the first block that are evaluated twice, to see whether terms look across rows.
LOOKED_AT_TWICE = 2_000

Frames = Callable[[], Iterator[pd.DataFrame]]


@dataclass(frozen=True, slots=True, eq=False)
class BlockRows:
    """Rows of one block without missing values.

    Attributes
    ----------
    endog : ndarray, shape (n,)
    exog : ndarray, shape (n, k)
    instrument : ndarray, shape (n, m)
    kept : ndarray of bool
        Marks them among the rows of the block.
    """

    endog: NDArray[np.float64]
    exog: NDArray[np.float64]
    instrument: NDArray[np.float64]
    kept: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class BlockFormula:
    """A formula with fixed columns.

    Attributes
    ----------
    formula : str
    text : FormulaText
    outcome : patsy factor
    infos : tuple of patsy.DesignInfo
        Of the right-hand sides, those of the regressors first.
    env : patsy.EvalEnvironment
    exog_names, instrument_names : tuple of str
    n_exogenous : int
        So many of the first regressors are the first instruments too.
    data_columns : tuple of str
        Columns of the data that the regressors read.
    """

    formula: str
    text: FormulaText
    outcome: Any
    infos: tuple[Any, ...]
    env: Any
    exog_names: tuple[str, ...]
    instrument_names: tuple[str, ...]
    data_columns: tuple[str, ...]

    @property
    def endog_name(self) -> str:
        """Name of the outcome."""
        return str(self.outcome.name())

    @property
    def regressor_recipe(self) -> RegressorRecipe:
        """How to build the regressors from new data."""
        n_sides = 2 if self.text.endogenous is not None else 1
        return RegressorRecipe(self.infos[:n_sides], self.data_columns, self.formula)

    def rows(self, data: Any, missing: str) -> BlockRows:
        """Build the columns of one block.

        Raises
        ------
        FormulaError
            If a column is missing, or a category has a level that was not there before.
        InputError
            If a value is missing and `missing` is not "drop".
        """
        frame = as_frame(data)
        columns = PlainColumns(frame)
        with patsy_errors_named(self.formula), np.errstate(all="ignore"):
            refuse_unknown_names([self.outcome], frame, self.env)
            endog = numeric_outcome(full_value(self.outcome, self.env, columns), self.endog_name)
            parts = [self.side(info, columns) for info in self.infos]
        exog, instrument = assemble_blocks(self.text, parts)
        exog_values, instrument_values = exog.to_numpy(), instrument.to_numpy()
        with np.errstate(invalid="ignore"):
            sums = endog + exog_values.sum(axis=1) + instrument_values.sum(axis=1)
        kept = ~np.isnan(sums)
        # Infinite values of both signs add up to NaN, and are not missing.
        for row in np.flatnonzero(~kept):
            values = np.concatenate(
                [endog[row : row + 1], exog_values[row], instrument_values[row]]
            )
            kept[row] = not np.isnan(values).any()
        if missing != "drop" and not kept.all():
            label = frame.index[int(np.argmin(kept))]
            raise InputError(
                f"A term of {self.formula!r} is missing (NaN) in {int((~kept).sum())} row(s) of a "
                f"block, first at row label {label!r}. Remove these rows, or pass missing='drop'."
            )
        if kept.all():
            return BlockRows(endog, exog_values, instrument_values, kept)
        return BlockRows(endog[kept], exog_values[kept], instrument_values[kept], kept)

    def side(self, info: Any, columns: PlainColumns) -> pd.DataFrame:
        """Build one right-hand side; a row with a missing value is NaN throughout."""
        factors = [factor.factor for factor in info.factor_infos]
        refuse_unknown_names(factors, columns.frame, self.env)
        try:
            return new_matrix(info, columns)
        except patsy.PatsyError as error:
            if "expected levels" not in str(error):
                raise
            raise FormulaError(
                f"Formula {self.formula!r}: {error.message}. The levels of a category are those of "
                "the first rows that were seen. Show all of the data to `learn` first, declare the "
                "levels in C(x, levels=[...]), or make the column a pandas Categorical."
            ) from error


def learn_formula(formula: str, frames: Frames, env: Any, missing: str) -> BlockFormula:
    """Fix the columns of a formula from a look at blocks of data.

    Parameters
    ----------
    formula : str
    frames : callable
        Returns an iterator of DataFrames; called once for each pass over the data.
    env : patsy.EvalEnvironment
        Where functions are looked up.
    missing : {"drop", "raise", "none"}

    Raises
    ------
    FormulaError
        If the formula cannot be read, or a term looks at other rows than its own.
    InputError
        If no row is without missing values.
    """
    text = split_formula(formula)
    with patsy_errors_named(formula), np.errstate(all="ignore"):
        outcome = outcome_factor(text)
        sides = [side_terms(side) for side in sides_of(text)]
        factors = unique_factors(outcome, sides)
        sample = Sample()
        kept_env = environment_for_kept_rows(factors, env, sample)
        blocks = list(itertools.islice(frames(), 1))
        if not blocks:
            raise InputError("There is no block of data to learn the columns of the formula from.")
        first = as_frame(blocks[0])
        refuse_unknown_names(factors, first, env)
        refuse_terms_across_rows(factors, first, env)
        infos = _designs(sides, factors, frames, env, kept_env, sample, missing)
        outcome.memorize_passes_needed({}, kept_env)
        parts = [
            pd.DataFrame(np.empty((0, len(info.column_names))), columns=info.column_names)
            for info in infos
        ]
    sample.forget()
    exog, instrument = assemble_blocks(text, parts)
    n_sides = 2 if text.endogenous is not None else 1
    return BlockFormula(
        formula,
        text,
        outcome,
        tuple(infos),
        kept_env,
        tuple(exog.columns),
        tuple(instrument.columns),
        data_columns_of(sides[:n_sides], first),
    )


def names_read(formula: str) -> frozenset[str]:
    """Return all names in a formula, those of functions among them."""
    text = split_formula(formula)
    with patsy_errors_named(formula):
        factors = unique_factors(
            outcome_factor(text), [side_terms(side) for side in sides_of(text)]
        )
        return frozenset(name for factor in factors for name in names_in(factor.code))


def _designs(
    sides: list[list[Any]],
    factors: list[Any],
    frames: Frames,
    env: Any,
    kept_env: Any,
    sample: Sample,
    missing: str,
) -> list[Any]:
    wrapped = [
        [patsy.Term([KeptRowsFactor(factor) for factor in term.factors]) for term in terms]
        for terms in sides
    ]

    def blocks() -> Iterator[TrainingColumns]:
        for frame in frames():
            if not len(frame):
                continue
            columns = PlainColumns(as_frame(frame))
            kept = rows_to_keep(factors, columns, env, missing, some=False)
            if kept.any():
                sample.kept = kept
                yield TrainingColumns(columns.frame, kept)
                sample.kept = None

    if next(blocks(), None) is None:
        raise InputError("Every row has a missing value, so there is nothing to learn from.")
    return list(patsy.design_matrix_builders(wrapped, blocks, kept_env, NA_action=pass_all()))


def has_categories_or_states(formula: BlockFormula) -> bool:
    """Whether the columns depend on the data that they were learnt from."""
    return any_stateful(formula) or any(
        described.type == "categorical"
        for info in formula.infos
        for described in info.factor_infos.values()
    )


def any_stateful(formula: BlockFormula) -> bool:
    """Whether some term learns from the data, as ``center(x)`` does."""
    return any(
        is_stateful(factor.factor, formula.env)
        for info in formula.infos
        for factor in info.factor_infos
    )


def representative_rows(formula: str, frame: pd.DataFrame, missing: str) -> pd.DataFrame:
    """Return rows of a block that show every level of every category, and at least one row.

    Rows with missing values are left out, as they are when levels are learnt.
    """
    if not len(frame):
        return frame
    env = patsy.EvalEnvironment([{"np": np}])
    text = split_formula(formula)
    with patsy_errors_named(formula), np.errstate(all="ignore"):
        factors = unique_factors(
            outcome_factor(text), [side_terms(side) for side in sides_of(text)]
        )
        columns = PlainColumns(as_frame(frame))
        refuse_unknown_names(factors, frame, env)
        kept = rows_to_keep(factors, columns, env, missing, some=False)
        wanted = np.zeros(len(frame), dtype=bool)
        wanted[:1] = True
        complete = frame[kept]
        if not len(complete):
            return complete
        wanted = np.zeros(len(complete), dtype=bool)
        wanted[0] = True
        for factor in factors:
            value = _plain(full_value(factor, env, PlainColumns(complete)))
            if value.ndim == 1 and not all(isinstance(one, float) for one in value[:1]):
                wanted |= ~pd.Series(value).duplicated().to_numpy()
    return complete[wanted]


def is_stateful(factor: Any, env: Any) -> bool:
    """Whether an expression learns from the data, as ``center(x)`` does."""
    return int(factor.memorize_passes_needed({}, env)) > 0


def refuse_terms_across_rows(factors: list[Any], frame: pd.DataFrame, env: Any) -> None:
    """Refuse expressions whose value in a row depends on other rows: blocks would cut them off."""
    head = frame.iloc[:LOOKED_AT_TWICE]
    middle = len(head) // 2
    if middle < 2:
        return
    for factor in factors:
        if is_stateful(factor, env) or not names_in(factor.code) & set(map(str, frame.columns)):
            continue
        whole = _plain(full_value(factor, env, PlainColumns(head)))
        part = _plain(full_value(factor, env, PlainColumns(head.iloc[middle:])))
        if not pd.DataFrame(whole).iloc[middle:].reset_index(drop=True).equals(pd.DataFrame(part)):
            raise FormulaError(
                f"Term {factor.name()!r} depends on other rows than its own, which may be in "
                "another block. Compute it before the data are cut into blocks; for means and "
                "standard deviations use center(x) and standardize(x)."
            )


def _plain(value: Any) -> NDArray[Any]:
    contents = getattr(value, "data", value) if hasattr(value, "contrast") else value
    missing = missing_rows(value)
    plain = np.asarray(contents, dtype=object)
    plain[missing] = None
    return plain
