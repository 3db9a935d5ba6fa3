"""Weights of rows: what the user gave, and what each kind does to the rows.

Analytic and probability weights multiply each row by the root of its weight, scaled to mean one;
then sums over rows are weighted sums, and products of moments carry the square of the weight.
Frequency weights stand for repeated rows, so that the rows are repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError, OptionError, check_choice

from .columns import Table
from .missing_rows import row_label

FloatArray = NDArray[np.float64]

WEIGHT_TYPES = ("analytic", "frequency", "probability")
# Words of Stata.
SYNONYMS = {
    "aweight": "analytic", "fweight": "frequency", "pweight": "probability",
}  # fmt: skip
# Repeated rows are held in memory.
MOST_REPEATED_NUMBERS = 2**29


@dataclass(frozen=True, slots=True, eq=False)
class RowWeighting:
    """Weights of the rows that are kept.

    Attributes
    ----------
    kind : str
        "analytic", "frequency" or "probability".
    values : ndarray, shape (rows,)
        Frequencies, or weights of mean one; one for each row before any is repeated.
    name : str
        For summaries: the column, or "array".
    labels : pandas.Index or None
        Of these rows.
    """

    kind: str
    values: FloatArray
    name: str
    labels: pd.Index | None

    @property
    def repeats(self) -> NDArray[np.intp] | None:
        """How often each row is repeated; None unless the weights are frequencies."""
        return self.values.astype(np.intp) if self.kind == "frequency" else None


def check_weight_type(weights: Any, weight_type: str | None) -> str:
    """Return the kind of the weights; without weights it is not looked at.

    Raises
    ------
    OptionError
        If it is missing or unknown, or given without weights.
    """
    if weights is None:
        if weight_type is not None:
            raise OptionError(f"weight_type={weight_type!r} is given without weights")
        return ""
    if weight_type is None:
        raise OptionError(
            "say what the weights are, weight_type='analytic', 'frequency' or 'probability': "
            "standard errors depend on it"
        )
    name = SYNONYMS.get(weight_type, weight_type) if isinstance(weight_type, str) else weight_type
    return check_choice(name, WEIGHT_TYPES, "weight_type")


def refuse_rule(cov_type: str, kind: str) -> None:
    """Refuse a covariance that does not go with weights of a kind.

    Raises
    ------
    OptionError
    """
    if kind == "probability" and cov_type == "nonrobust":
        raise OptionError(
            "cov_type='nonrobust' takes weighted errors to be alike, which probability weights do "
            "not make them: use 'HC0', or weight_type='analytic' if error variances are inverse to "
            "the weights."
        )
    if kind == "frequency" and cov_type == "HAC":
        raise OptionError(
            "cov_type='HAC' needs one row a period, but frequency weights repeat rows: use 'HC0' "
            "or 'cluster', or write out the periods."
        )


def resolve_weighting(table: Table, kind: str, labels: pd.Index | None) -> RowWeighting:
    """Check the weights of the rows kept.

    Parameters
    ----------
    table : Table
        One column without missing values.
    kind : str
        One of `WEIGHT_TYPES`.
    labels : pandas.Index or None

    Raises
    ------
    InputError
        Naming the first row whose weight is not positive or, for frequencies, not whole.
    """
    if table.values.shape[1] != 1:
        raise InputError(f"weights has {table.values.shape[1]} columns. Give one.")
    values = table.values[:, 0].copy()
    name = table.names[0] if table.names is not None else "array"
    _refuse(values <= 0.0, values, f"weights {name!r} must be positive", labels)
    if kind == "frequency":
        whole = values == np.floor(values)
        _refuse(~whole, values, f"frequency weights {name!r} must be whole numbers", labels)
    else:
        values = values / values.mean()
    return RowWeighting(kind, values, name, labels)


def _refuse(
    wrong: NDArray[np.bool_], values: FloatArray, words: str, labels: pd.Index | None
) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"{words}, but {wrong.sum()} are not, first {values[row]:g} at "
            f"{row_label(row, labels)}. Correct them, or leave these rows out of the data."
        )


def repeat_rows(tables: list[Table], weighting: RowWeighting) -> list[Table]:
    """Repeat the rows of tables as often as the frequencies say; one object stays one.

    Raises
    ------
    InputError
        If there is no room for them.
    """
    repeats = weighting.repeats
    assert repeats is not None
    total = weighting.values.sum()
    distinct = {id(table): table for table in tables}
    numbers = total * sum(table.values.shape[1] for table in distinct.values())
    if numbers > MOST_REPEATED_NUMBERS:
        raise InputError(
            f"the frequency weights {weighting.name!r} stand for {total:.4g} rows, more than fit "
            "into memory. If only ratios matter, use weight_type='analytic'."
        )
    repeated = {
        key: replace(
            table,
            values=np.repeat(table.values, repeats, axis=0),
            index=None if table.index is None else table.index.repeat(repeats),
        )
        for key, table in distinct.items()
    }
    return [repeated[id(table)] for table in tables]
