"""Two outcomes and the regressors of both, from arrays or through a formula, block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import patsy
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.exceptions import FormulaError, InputError

from .block_formula import refuse_terms_across_rows
from .columns import Table, read_table
from .formula import RegressorRecipe, exog_for_prediction
from .formula_checks import as_frame, patsy_errors_named
from .formula_storage import PLAIN_ENVIRONMENT, describe_formula, rebuild_sides
from .labels import check_rows_belong_together, names_known
from .missing_rows import complete_rows, keep_rows, refuse_infinite, refuse_missing
from .system_formula import INTERCEPT, build_system

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PairNames:
    """Names of the columns.

    Attributes
    ----------
    endog : tuple of str, length 2
    exog : tuple of str
    """

    endog: tuple[str, ...]
    exog: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Of (y1, y2, x)."""
        return (*self.endog, *self.exog)


@dataclass(frozen=True, slots=True, eq=False)
class PairRows:
    """Rows of one block.

    Attributes
    ----------
    values : ndarray, shape (n, 2 + k)
        Columns (y1, y2, x), all finite.
    names : PairNames
    n_dropped : int
    """

    values: FloatArray
    names: PairNames
    n_dropped: int


def read_pair(
    y1: ArrayLike,
    y2: ArrayLike,
    x: ArrayLike,
    *,
    missing: str = "none",
    known: PairNames | None = None,
) -> PairRows:
    """Check arrays.

    Parameters
    ----------
    y1, y2 : array_like, shape (n,)
    x : array_like, shape (n, k) or (n,)
    missing : {"none", "raise", "drop"}
        What to do with rows that have missing values; the first two refuse them.
    known : PairNames, optional
        Of blocks before, which this one must repeat.

    Raises
    ------
    InputError
        If the rows are not the same, columns are not those of the blocks before, or values are not
        numbers, infinite or missing.

    Examples
    --------
    >>> rows = read_pair([1.0], [2.0], [[3.0, 4.0]])
    >>> rows.values, rows.names.all
    (array([[1., 2., 3., 4.]]), ('y1', 'y2', 'x1', 'x2'))
    """
    tables = [read_table(data, role, copy=False) for data, role in ((y1, "y1"), (y2, "y2"))]
    for table in tables:
        if table.values.shape[1] != 1:
            raise InputError(
                f"{table.role} has {table.values.shape[1]} columns. Give one; regressors go to x."
            )
    tables.append(read_table(x, "x", copy=False))
    labels = check_rows_belong_together(tables)
    names = _names(tables, known)
    refuse_infinite(tables, labels)
    kept = None
    if missing == "drop":
        kept = complete_rows(tables)
    else:
        refuse_missing(
            tables, labels, "Remove these rows, or use from_formula, which can drop them."
        )
    values = np.column_stack([table.values for table in tables])
    if kept is None:
        return PairRows(values, names, 0)
    return PairRows(keep_rows(values, kept), names, int(len(kept) - kept.sum()))


def _names(tables: list[Table], known: PairNames | None) -> PairNames:
    x = tables[2]
    width = x.values.shape[1]
    if known is not None and width != len(known.exog):
        raise InputError(
            f"x has {width} columns in this block but {len(known.exog)} before "
            f"({', '.join(known.exog)}). Give the same columns in each."
        )
    exog = names_known(x, None)
    if known is not None and exog is not None and exog != known.exog:
        raise InputError(
            f"x has the columns {', '.join(exog)} in this block but {', '.join(known.exog)} "
            "before. Give the same columns in the same order."
        )
    endog = tuple(table.names[0] if table.names else table.role for table in tables[:2])
    if known is not None:
        for table, name, before in zip(tables, endog, known.endog, strict=False):
            if table.names is not None and name != before:
                raise InputError(
                    f"{table.role} is {name!r} in this block but {before!r} before. Give the same "
                    "outcomes in the same order, or values without a name."
                )
        return known
    if exog is None:
        exog = tuple(f"x{j + 1}" for j in range(width))
    if endog[0] == endog[1]:
        raise InputError(f"y1 and y2 are both named {endog[0]!r}. Rename one.")
    for name in endog:
        if name in exog:
            raise InputError(f"{name!r} is an outcome and a column of x. Remove it from x.")
    return PairNames(endog, exog)


@dataclass(frozen=True, slots=True, eq=False)
class PairFormula:
    """A formula "y1 + y2 ~ x1 + x2" with fixed columns.

    Attributes
    ----------
    formula : str
    outcomes, regressors : RegressorRecipe
    names : PairNames
    env : patsy.EvalEnvironment
    """

    formula: str
    outcomes: RegressorRecipe
    regressors: RegressorRecipe
    names: PairNames
    env: Any

    @property
    def infos(self) -> tuple[Any, ...]:
        """Of outcomes and regressors, as patsy describes them."""
        return (*self.outcomes.infos, *self.regressors.infos)

    @property
    def data_columns(self) -> tuple[str, ...]:
        """Columns of the data that are read."""
        return (*self.outcomes.data_columns, *self.regressors.data_columns)

    def rows(self, data: Any, missing: str) -> PairRows:
        """Build the columns of one block.

        Raises
        ------
        FormulaError
            If a column is missing, or a category has a level that the first block did not show.
        InputError
            If a value is infinite, or is missing and `missing` is not "drop".
        """
        frame = as_frame(data)
        y = exog_for_prediction(self.outcomes, frame)
        y1, y2 = (y.iloc[:, place] for place in range(2))
        x = self.exog(frame)
        return read_pair(y1, y2, x, missing=missing, known=self.names)

    def exog(self, data: Any) -> pd.DataFrame:
        """Build the regressors from data that need not have the outcomes."""
        try:
            x = exog_for_prediction(self.regressors, as_frame(data))
        except FormulaError as error:
            if "expected levels" not in str(error):
                raise
            raise FormulaError(
                f"{error}\nThe levels of a category are those of the first rows that were seen. "
                "Give data to from_formula that shows all of them, declare them in "
                "C(x, levels=[...]), or make the column a pandas Categorical."
            ) from error
        return x.drop(columns=INTERCEPT, errors="ignore")

    def describe(self) -> dict[str, Any]:
        """Return what fixes the columns, for JSON.

        Raises
        ------
        OptionError
            If a term has learnt from the data.
        """
        names = {"endog": list(self.names.endog), "exog": list(self.names.exog)}
        return {**describe_formula(self), "names": names}


def learn_pair(formula: str, data: Any, env: Any, missing: str) -> PairFormula:
    """Fix the columns of a formula from the first block of data.

    Raises
    ------
    FormulaError
        If the formula cannot be read, has not two outcomes, or a term looks at other rows than its
        own.
    InputError
        If no row is without missing values.

    Examples
    --------
    >>> frame = pd.DataFrame({"a": [1.0, 2.0], "b": [0.0, 1.0], "x": [1.0, 3.0]})
    >>> learn_pair("a + b ~ x", frame, patsy.EvalEnvironment([{}]), "drop").names.all
    ('a', 'b', 'x')
    """
    frame = as_frame(data)
    blocks = build_system(formula, frame, missing=missing, eval_env=env)
    if "|" in formula and blocks.controls is not None and blocks.controls.shape[1] > 1:
        raise FormulaError(f"{formula!r} has a bar; write all regressors in 'y1 + y2 ~ x1 + x2'.")
    if blocks.endog.shape[1] != 2:
        raise FormulaError(
            f"{formula!r} has {blocks.endog.shape[1]} outcomes on the left, "
            f"{', '.join(map(str, blocks.endog.columns))}; two that move each other are needed: "
            "'y1 + y2 ~ x1 + x2'."
        )
    with patsy_errors_named(formula), np.errstate(all="ignore"):
        refuse_terms_across_rows(list(blocks.factors), frame, env)
    names = PairNames(tuple(map(str, blocks.endog.columns)), tuple(map(str, blocks.exog.columns)))
    return PairFormula(formula, blocks.outcomes, blocks.recipe, names, env)


def rebuild_pair(description: dict[str, Any], env: Any = None) -> PairFormula:
    """Return the formula of a description.

    Parameters
    ----------
    description : dict
        From ``PairFormula.describe``.
    env : patsy.EvalEnvironment, optional
        Where functions are looked up; by default patsy's own and ``np`` only.
    """
    env = patsy.EvalEnvironment([PLAIN_ENVIRONMENT]) if env is None else env
    formula = str(description["formula"])
    with patsy_errors_named(formula):
        first, *others = rebuild_sides(description, env)
    columns = tuple(map(str, description["data_columns"]))
    names = description["names"]
    return PairFormula(
        formula,
        RegressorRecipe((first,), columns[:0], formula),
        RegressorRecipe(tuple(others), columns, formula),
        PairNames(tuple(names["endog"]), tuple(names["exog"])),
        env,
    )
