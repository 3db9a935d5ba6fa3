"""A formula with several outcomes -> labelled blocks of outcomes, regressors and controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import patsy
from numpy.typing import NDArray

from qbeconometrics.exceptions import FormulaError, check_choice

from .formula import (
    MISSING_CHOICES,
    RegressorRecipe,
    data_columns_of,
    evaluate_sides,
    rows_to_keep,
    side_terms,
    unique_factors,
)
from .formula_checks import as_frame, patsy_errors_named, refuse_unknown_names
from .formula_factors import PlainColumns
from .formula_text import split_formula

INTERCEPT = "Intercept"


@dataclass(frozen=True, slots=True, eq=False)
class SystemBlocks:
    """Blocks of a formula on the rows without missing values.

    Attributes
    ----------
    endog, exog : DataFrame, shapes (n, m) and (n, q)
    controls : DataFrame, shape (n, k), or None
        Begins with the intercept, if there is one.
    kept : ndarray of bool
        Marks the rows of the data that are kept.
    n_dropped : int
    recipe : RegressorRecipe
        Builds the columns of `controls` and `exog` from new data.
    outcomes : RegressorRecipe
        Builds the columns of `endog`.
    factors : tuple of patsy factors
        All that the formula reads.
    """

    endog: pd.DataFrame
    exog: pd.DataFrame
    controls: pd.DataFrame | None
    kept: NDArray[np.bool_]
    n_dropped: int
    recipe: RegressorRecipe
    outcomes: RegressorRecipe
    factors: tuple[Any, ...]


def build_system(
    formula: str,
    data: pd.DataFrame | Mapping[str, Any],
    *,
    missing: str = "drop",
    eval_env: patsy.EvalEnvironment | None = None,
) -> SystemBlocks:
    """Evaluate a formula with several outcomes on a data frame.

    Parameters
    ----------
    formula : str
        ``"y1 + y2 ~ x1 + x2"``, or ``"y1 + y2 ~ x1 + x2 | w"`` with controls right of the bar; each
        part is read by patsy. An intercept is implied, and is a control.
    data : DataFrame or mapping of str to array_like
    missing : {"drop", "raise", "none"}
    eval_env : patsy.EvalEnvironment, optional

    Raises
    ------
    FormulaError
        If the formula cannot be read or evaluated.
    InputError
        If the data have no rows, or missing values that are not to be dropped.

    Examples
    --------
    >>> frame = pd.DataFrame({"a": [1.0, 2.0], "b": [0.0, 1.0], "x": [1.0, 3.0], "w": [2.0, 2.5]})
    >>> blocks = build_system("a + b ~ x | w", frame)
    >>> list(blocks.endog), list(blocks.exog), list(blocks.controls)
    (['a', 'b'], ['x'], ['Intercept', 'w'])
    """
    check_choice(missing, MISSING_CHOICES, "missing")
    text = split_formula(formula)
    if text.endogenous is not None:
        raise FormulaError(
            f"{formula!r} has brackets, which stand for instruments; write 'y1 + y2 ~ x1 + x2', "
            "with controls right of a bar."
        )
    columns = PlainColumns(as_frame(data))
    env = eval_env if eval_env is not None else patsy.EvalEnvironment([{"np": np}])
    with patsy_errors_named(formula):
        outcomes = [term for term in side_terms(f"0 + {text.outcome}") if term.factors]
        if any(len(term.factors) != 1 for term in outcomes) or not outcomes:
            raise FormulaError(
                f"The left side {text.outcome!r} must be columns joined by +. Write arithmetic in "
                "I(), as in 'y1 + I(y2 - y3) ~ x'."
            )
        sides = [side_terms(text.regressors)]
        if text.instruments is not None:
            sides.insert(0, side_terms(text.instruments))
        first = outcomes[0].factors[0]
        factors = unique_factors(first, [outcomes, *sides])
        refuse_unknown_names(factors, columns.frame, env)
        kept = rows_to_keep(factors, columns, env, missing)
        with np.errstate(all="ignore"):
            _, matrices, infos = evaluate_sides(first, [outcomes, *sides], columns, env, kept)
    _refuse_categories(infos[0])
    endog, *others = matrices
    exog = others[-1].drop(columns=INTERCEPT, errors="ignore")
    if exog.shape[1] == 0:
        raise FormulaError(
            f"{text.regressors!r} in the formula gives no column. Name at least one."
        )
    # Without a bar the intercept is that of the regressors.
    controls = others[0] if len(others) == 2 else others[0].filter(items=[INTERCEPT])
    return SystemBlocks(
        endog=endog,
        exog=exog,
        controls=controls if controls.shape[1] else None,
        kept=kept,
        n_dropped=int(len(kept) - kept.sum()),
        recipe=RegressorRecipe(tuple(infos[1:]), data_columns_of(sides, columns.frame), formula),
        outcomes=RegressorRecipe((infos[0],), data_columns_of([outcomes], columns.frame), formula),
        factors=tuple(factors),
    )


def _refuse_categories(info: Any) -> None:
    for factor in info.factor_infos.values():
        if factor.type == "categorical":
            raise FormulaError(
                f"outcome {factor.factor.name()!r} is a category. Outcomes must be numbers."
            )
