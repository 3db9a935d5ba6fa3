"""A formula and a data frame -> labelled blocks of outcome, regressors and instruments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import patsy
from numpy.typing import NDArray

from qbeconometrics.exceptions import FormulaError, InputError, check_choice, suggestion

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

MISSING_CHOICES = ("drop", "raise", "none")
_INTERCEPT = "Intercept"


@dataclass(frozen=True, slots=True, eq=False)
class RegressorRecipe:
    """How to build the regressors from new data; holds no rows.

    Attributes
    ----------
    infos : tuple of patsy.DesignInfo
        Of all but the first the intercept is left out.
    data_columns : tuple of str
        Columns of the data that are read.
    formula : str
    """

    infos: tuple[Any, ...]
    data_columns: tuple[str, ...]
    formula: str


@dataclass(frozen=True, slots=True, eq=False)
class FormulaBlocks:
    """Blocks of a formula on the rows without missing values.

    Attributes
    ----------
    endog : pandas.Series, length n
    exog : pandas.DataFrame, shape (n, k)
        Exogenous regressors first, then endogenous ones.
    instrument : pandas.DataFrame, shape (n, m)
        Exogenous regressors and excluded instruments; the same object as `exog` if the formula
        names no instruments.
    kept : ndarray of bool, shape (n + n_dropped,)
        Marks the rows of the data that are kept.
    n_dropped : int
    formula : str
    recipe : RegressorRecipe
        Builds the columns of `exog` from new data.
    """

    endog: pd.Series
    exog: pd.DataFrame
    instrument: pd.DataFrame
    kept: NDArray[np.bool_]
    n_dropped: int
    formula: str
    recipe: RegressorRecipe


def build_blocks(
    formula: str,
    data: pd.DataFrame | Mapping[str, Any],
    *,
    missing: str = "drop",
    eval_env: patsy.EvalEnvironment | None = None,
    usable: NDArray[np.bool_] | None = None,
) -> FormulaBlocks:
    """Evaluate a formula on a data frame.

    Parameters
    ----------
    formula : str
        ``"y ~ x + [d ~ z]"``, ``"y ~ x + d | x + z"`` or ``"y ~ x"``; each part is read by
        patsy. An intercept is implied in the regressors and right of the bar; within the
        brackets each side is coded as if next to an intercept.
    data : DataFrame or mapping of str to array_like
        Columns by name.
    missing : {"drop", "raise", "none"}, optional
        "drop" leaves out the rows in which any part of the formula is missing; otherwise a
        missing value is an error.
    eval_env : patsy.EvalEnvironment, optional
        Where functions and variables that are not columns are looked up. None: patsy's own
        functions and ``np`` only.
    usable : ndarray of bool, optional
        Marks the rows of the data that may be kept.

    Raises
    ------
    FormulaError
        If the formula cannot be read or evaluated.
    InputError
        If the data have no rows, or missing values that are not to be dropped.

    Notes
    -----
    Expressions are evaluated on all rows, so that a lag reaches the row before; means, knots
    and category levels are learned from the kept rows.

    Examples
    --------
    >>> frame = pd.DataFrame({"y": [1.0, 2.0, 4.0], "d": [1.0, 0.0, None], "z": [0, 1, 1]})
    >>> blocks = build_blocks("y ~ [d ~ z]", frame)
    >>> list(blocks.exog), list(blocks.instrument), blocks.n_dropped
    (['Intercept', 'd'], ['Intercept', 'z'], 1)
    """
    check_choice(missing, MISSING_CHOICES, "missing")
    text = split_formula(formula)
    columns = PlainColumns(as_frame(data))
    env = eval_env if eval_env is not None else patsy.EvalEnvironment([{"np": np}])
    with patsy_errors_named(formula):
        outcome = outcome_factor(text)
        sides = [side_terms(side) for side in sides_of(text)]
        factors = unique_factors(outcome, sides)
        refuse_unknown_names(factors, columns.frame, env)
        kept = rows_to_keep(factors, columns, env, missing, usable)
        with np.errstate(all="ignore"):
            endog, matrices, infos = evaluate_sides(outcome, sides, columns, env, kept)
    exog, instrument = assemble_blocks(text, matrices)
    n_sides = 2 if text.endogenous is not None else 1
    read = data_columns_of(sides[:n_sides], columns.frame)
    return FormulaBlocks(
        endog=endog,
        exog=exog,
        instrument=instrument,
        kept=kept,
        n_dropped=int(len(kept) - kept.sum()),
        formula=formula,
        recipe=RegressorRecipe(tuple(infos[:n_sides]), read, formula),
    )


def exog_for_prediction(
    recipe: RegressorRecipe | FormulaBlocks, data: pd.DataFrame | Mapping[str, Any]
) -> pd.DataFrame:
    """Build the regressors of a formula from new data.

    Parameters
    ----------
    recipe : RegressorRecipe or FormulaBlocks
        Of the formula that was fitted.
    data : DataFrame or mapping of str to array_like
        New data with the columns of the regressors; the outcome and the instruments are not
        needed.

    Returns
    -------
    DataFrame, shape (n_new, k)
        A row with a missing value is NaN throughout.

    Raises
    ------
    FormulaError
        If a column is missing or a category has a new level.
    """
    if isinstance(recipe, FormulaBlocks):
        recipe = recipe.recipe
    frame = as_frame(data)
    for name in recipe.data_columns:
        if name not in frame.columns:
            raise FormulaError(
                f"column {name!r} of the regressors is not in the new data."
                f"{suggestion(name, map(str, frame.columns))} Add it."
            )
    columns = PlainColumns(frame)
    with patsy_errors_named(recipe.formula), np.errstate(all="ignore"):
        parts = [new_matrix(info, columns) for info in recipe.infos]
    later = [part.drop(columns=_INTERCEPT, errors="ignore") for part in parts[1:]]
    joined = pd.concat([parts[0], *later], axis=1)
    joined[joined.isna().any(axis=1)] = np.nan
    return joined


def new_matrix(info: Any, columns: PlainColumns) -> pd.DataFrame:
    """Design matrix of new rows; one with a missing value is NaN throughout."""
    rows = len(columns.frame)
    recorder = _RecordMissing()
    if info.factor_infos:
        complete = patsy.build_design_matrices([info], columns, NA_action=recorder)[0]
    else:
        complete = np.ones((rows, len(info.column_names)))
    kept = recorder.complete if recorder.complete is not None else np.ones(rows, dtype=bool)
    if len(kept) != rows:
        raise FormulaError(
            f"The regressors have {len(kept)} values but the new data have {rows} rows. Use "
            "columns of the data, not other variables, in the formula."
        )
    values = np.full((rows, len(info.column_names)), np.nan)
    values[kept] = complete
    return pd.DataFrame(values, columns=info.column_names, index=columns.frame.index)


class _RecordMissing(patsy.NAAction):  # type: ignore[misc]
    """Drops missing rows as patsy does, and remembers which were complete."""

    def __init__(self) -> None:
        super().__init__(on_NA="drop")
        self.complete: NDArray[np.bool_] | None = None

    def handle_NA(self, values: Any, is_NAs: Any, origins: Any) -> Any:  # noqa: N802
        if is_NAs:
            self.complete = ~np.logical_or.reduce(is_NAs)
        return super().handle_NA(values, is_NAs, origins)


def sides_of(text: FormulaText) -> list[str]:
    """Right-hand sides, those of the regressors first."""
    candidates = [text.regressors, text.endogenous, text.excluded, text.instruments]
    return [side for side in candidates if side is not None]


def side_terms(side: str) -> list[Any]:
    """Terms of one right-hand side."""
    return list(patsy.ModelDesc.from_formula(f"~ {side}").rhs_termlist)


def factors_of(terms: Sequence[Any]) -> list[Any]:
    """All factors of some terms."""
    return [factor for term in terms for factor in term.factors]


def data_columns_of(sides: Sequence[Sequence[Any]], frame: pd.DataFrame) -> tuple[str, ...]:
    """Columns of the data that these terms read."""
    read = {
        name for terms in sides for factor in factors_of(terms) for name in names_in(factor.code)
    }
    return tuple(sorted(name for name in read if name in frame.columns))


def unique_factors(outcome: Any, sides: Sequence[Sequence[Any]]) -> list[Any]:
    """All factors of a formula, each once."""
    return list(dict.fromkeys([outcome, *(f for terms in sides for f in factors_of(terms))]))


def outcome_factor(text: FormulaText) -> Any:
    """The one factor left of the tilde."""
    terms = patsy.ModelDesc.from_formula(f"{text.outcome} ~ 0").lhs_termlist
    if len(terms) != 1 or len(terms[0].factors) != 1:
        raise FormulaError(
            f"The left side {text.outcome!r} must be a single column. Write arithmetic in I(), "
            "as in 'I(y1 + y2) ~ x'."
        )
    return terms[0].factors[0]


def rows_to_keep(
    factors: Sequence[Any],
    columns: PlainColumns,
    env: Any,
    missing: str,
    usable: NDArray[np.bool_] | None = None,
    *,
    some: bool = True,
) -> NDArray[np.bool_]:
    """Mark the rows in which every factor of the formula has a value.

    With `some`, it is an error if there is none.
    """
    complete_env = environment_for_kept_rows(list(factors), env, Sample())
    kept = np.ones(len(columns.frame), dtype=bool) if usable is None else usable.copy()
    emptiest, most = "", -1
    for factor in factors:
        absent = missing_rows(full_value(factor, complete_env, columns))
        count = int(absent.sum())
        if count and missing != "drop":
            label = columns.frame.index[int(absent.argmax())]
            raise InputError(
                f"Term {factor.name()!r} is missing (NaN) in {count} row(s), first at row label "
                f"{label!r}. Remove these rows, or pass missing='drop'."
            )
        if count > most:
            emptiest, most = factor.name(), count
        kept &= ~absent
    if some and not kept.any():
        raise InputError(
            f"Every row has a missing value, so none is left: term {emptiest!r} is missing in "
            f"{most} of {len(kept)} rows. Remove that term, or fill its values."
        )
    return kept


def evaluate_sides(
    outcome: Any,
    sides: Sequence[Sequence[Any]],
    columns: PlainColumns,
    env: Any,
    kept: NDArray[np.bool_],
) -> tuple[pd.Series, list[pd.DataFrame], list[Any]]:
    """Evaluate all parts, with means and levels learned from the kept rows."""
    labels = columns.frame.index[kept]
    sample = Sample(kept)
    kept_env = environment_for_kept_rows(unique_factors(outcome, sides), env, sample)
    values = numeric_outcome(full_value(outcome, kept_env, columns), outcome.name())
    endog = pd.Series(values[kept], index=labels, name=outcome.name())
    matrices, infos = side_matrices(sides, columns, kept_env, kept)
    sample.forget()
    return endog, matrices, infos


def side_matrices(
    sides: Sequence[Sequence[Any]], columns: PlainColumns, kept_env: Any, kept: NDArray[np.bool_]
) -> tuple[list[pd.DataFrame], list[Any]]:
    """Design matrices of right-hand sides on the kept rows, and how to build them anew."""
    training = TrainingColumns(columns.frame, kept)
    wrapped = [
        [patsy.Term([KeptRowsFactor(factor) for factor in term.factors]) for term in terms]
        for terms in sides
    ]
    # No row is missing any more, so nothing is left for patsy to drop.
    infos = patsy.design_matrix_builders(
        wrapped, lambda: iter([training]), kept_env, NA_action=pass_all()
    )
    labels = columns.frame.index[kept]
    return [_kept_matrix(info, training, labels) for info in infos], list(infos)


def _kept_matrix(info: Any, training: TrainingColumns, labels: pd.Index) -> pd.DataFrame:
    if info.factor_infos:
        values = patsy.build_design_matrices([info], training, NA_action=pass_all())[0]
    else:
        values = np.ones((len(labels), len(info.column_names)))
    return pd.DataFrame(np.asarray(values), columns=info.column_names, index=labels, copy=False)


def pass_all() -> patsy.NAAction:
    """Leave missing values to us."""
    return patsy.NAAction(on_NA="raise", NA_types=[])


def assemble_blocks(
    text: FormulaText, matrices: Sequence[pd.DataFrame]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Put the parts together as regressors and instruments."""
    first = matrices[0]
    if text.endogenous is None:
        _refuse_empty(first, text.regressors)
        if text.instruments is None:
            return first, first
        _refuse_empty(matrices[1], text.instruments)
        return first, matrices[1]
    assert text.excluded is not None
    endogenous, excluded = (
        matrix.drop(columns=_INTERCEPT, errors="ignore") for matrix in matrices[1:]
    )
    _refuse_empty(endogenous, text.endogenous)
    _refuse_empty(excluded, text.excluded)
    for left, right, places in (
        (first, endogenous, "outside the brackets and left of ~ within them"),
        (first, excluded, "outside the brackets and right of ~ within them"),
        (endogenous, excluded, "on both sides of ~ within the brackets"),
    ):
        for name in left.columns.intersection(right.columns):
            raise FormulaError(f"Term {name!r} stands {places}. Remove one of the two.")
    return pd.concat([first, endogenous], axis=1), pd.concat([first, excluded], axis=1)


def _refuse_empty(matrix: pd.DataFrame, side: str) -> None:
    if matrix.shape[1] == 0:
        raise FormulaError(f"{side!r} in the formula gives no column. Name at least one.")
