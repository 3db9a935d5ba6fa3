"""A formula and a data frame -> the series of local projections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import patsy
from numpy.typing import NDArray

from qbeconometrics.exceptions import FormulaError, suggestion

from .columns import Table
from .formula import factors_of, rows_to_keep, side_matrices, side_terms
from .formula_checks import as_frame, patsy_errors_named, refuse_unknown_names
from .formula_factors import PlainColumns, Sample, environment_for_kept_rows, full_value
from .formula_values import numeric_outcome
from .lags import expand_lags, has_lags, lag
from .missing_rows import refuse_infinite
from .projection_series import ProjectionSeries, check_order, check_values
from .projection_text import split_projection_formula

FloatArray = NDArray[np.float64]
_INTERCEPT = "Intercept"


def read_projection_formula(
    formula: str,
    data: pd.DataFrame | Mapping[str, Any],
    *,
    state: str | None = None,
    eval_env: patsy.EvalEnvironment | None = None,
) -> ProjectionSeries:
    """Evaluate a formula of local projections.

    Parameters
    ----------
    formula : str
        ``"y1 + y2 ~ shock | controls"`` or ``"y ~ [x ~ z1 + z2] | controls"``; in the controls
        ``lag(x, 1, 4)`` stands for four lags. The constant comes from the trend of the model.
    data : DataFrame or mapping of str to array_like
        Rows in order of time.
    state : str, optional
        Name of the column that holds the state.
    eval_env : patsy.EvalEnvironment, optional
        Where functions are looked up.

    Returns
    -------
    ProjectionSeries
        Lags are taken on all rows, so that they reach beyond missing values.

    Raises
    ------
    FormulaError, InputError

    Examples
    --------
    >>> frame = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0], "x": [0.0, 1.0, 0.5, 2.0]})
    >>> series = read_projection_formula("y ~ x | lag(y, 1, 2)", frame)
    >>> series.control_names
    ('lag(y, 1)', 'lag(y, 2)')
    """
    text = split_projection_formula(formula)
    columns = PlainColumns(as_frame(data))
    frame = columns.frame
    check_order(frame.index)
    env = eval_env if eval_env is not None else patsy.EvalEnvironment([{"np": np}])
    if _INTERCEPT not in [term.name() for term in _terms(text.controls, formula)]:
        raise FormulaError(f"Formula {formula!r} takes the intercept away. Pass trend='n' instead.")
    if any(has_lags(part) for part in (text.controls, text.shock, text.outcomes)):
        if "lag" in frame.columns:
            raise FormulaError("data has a column named 'lag', as the function. Rename it.")
        env = patsy.EvalEnvironment([{"lag": lag}, env.namespace], env.flags)
    with patsy_errors_named(formula), np.errstate(all="ignore"):
        outcomes, outcome_names = _plain(text.outcomes, "left side", columns, env)
        shock, shock_names = _plain(text.shock, "shock", columns, env)
        if len(shock_names) != 1:
            raise FormulaError(
                f"Formula {formula!r} has {len(shock_names)} shocks ({', '.join(shock_names)}). "
                "Trace one at a time, with the others as controls right of the bar."
            )
        instrument: FloatArray | None = None
        instrument_names: tuple[str, ...] = ()
        if text.instruments is not None:
            instrument, instrument_names = _plain(text.instruments, "instruments", columns, env)
        controls = _controls(text.controls, formula, columns, env)
    series = ProjectionSeries(
        outcomes=outcomes,
        shock=shock[:, 0].copy(),
        instrument=instrument,
        controls=controls.to_numpy(dtype=np.float64),
        state=_state(state, columns),
        outcome_names=outcome_names,
        shock_name=shock_names[0],
        instrument_names=instrument_names,
        control_names=tuple(map(str, controls.columns)),
        state_name=state or "",
        labels=frame.index,
        has_lags=has_lags(text.controls),
    )
    tables = [
        Table("endog", series.outcomes, outcome_names, frame.index),
        Table("shock", shock, shock_names, frame.index),
        Table("controls", series.controls, series.control_names, frame.index),
    ]
    if instrument is not None:
        tables.append(Table("instrument", instrument, instrument_names, frame.index))
    refuse_infinite([table for table in tables if table.values.shape[1]], frame.index)
    return check_values(series)


def _terms(side: str, formula: str) -> Sequence[Any]:
    with patsy_errors_named(formula):
        return side_terms(expand_lags(side))


def _plain(
    side: str, what: str, columns: PlainColumns, env: Any
) -> tuple[FloatArray, tuple[str, ...]]:
    """Numeric columns that are joined by + and nothing else."""
    terms = patsy.ModelDesc.from_formula(f"0 + {expand_lags(side)}").rhs_termlist
    if not terms or any(len(term.factors) != 1 for term in terms):
        raise FormulaError(
            f"The {what} {side!r} must be single columns joined by +. Write arithmetic in I()."
        )
    factors = factors_of(terms)
    refuse_unknown_names(factors, columns.frame, env)
    values = [_number(factor, what, columns, env) for factor in factors]
    return np.column_stack(values), tuple(factor.name() for factor in factors)


def _number(factor: Any, what: str, columns: PlainColumns, env: Any) -> FloatArray:
    value = full_value(factor, env, columns)
    try:
        return numeric_outcome(value, factor.name())
    except FormulaError as error:
        message = str(error).split(". ")[0].replace("The left side", f"In the {what},")
        raise FormulaError(f"{message}. Make it a number first.") from error


def _controls(side: str, formula: str, columns: PlainColumns, env: Any) -> pd.DataFrame:
    """Columns of the controls on all rows, NaN where one of them is missing."""
    terms = _terms(side, formula)
    factors = list(dict.fromkeys(factors_of(terms)))
    index = columns.frame.index
    if not factors:
        return pd.DataFrame(index=index)
    refuse_unknown_names(factors, columns.frame, env)
    kept = rows_to_keep(factors, columns, env, "drop")
    sample = Sample(kept)
    kept_env = environment_for_kept_rows(factors, env, sample)
    matrices, _ = side_matrices([terms], columns, kept_env, kept)
    matrix = matrices[0].drop(columns=_INTERCEPT)
    values = np.full((len(index), matrix.shape[1]), np.nan)
    values[kept] = matrix.to_numpy(dtype=np.float64)
    return pd.DataFrame(values, columns=matrix.columns, index=index)


def _state(state: str | None, columns: PlainColumns) -> FloatArray | None:
    if state is None:
        return None
    if not isinstance(state, str) or state not in columns.frame.columns:
        raise FormulaError(
            f"state={state!r} is not a column of data."
            f"{suggestion(str(state), map(str, columns.frame.columns))}"
        )
    return numeric_outcome(columns[state], state)
