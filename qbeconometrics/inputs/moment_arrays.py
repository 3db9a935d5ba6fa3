"""The data of user-written moments: aligned arrays without missing values."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import check_choice
from qbeconometrics.inputs.columns import Table, read_table
from qbeconometrics.inputs.design import MISSING_CHOICES
from qbeconometrics.inputs.labels import check_rows_belong_together
from qbeconometrics.inputs.missing_rows import (
    complete_rows,
    keep_rows,
    refuse_infinite,
    refuse_missing,
    refuse_no_rows_left,
)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MomentArrays:
    """What a moment function is given.

    Attributes
    ----------
    endog : ndarray, shape (n,) or (n, columns)
        Read-only, as are the others.
    exog, instrument : ndarray, shape (n, columns), or None
    endog_name : str
    exog_names : tuple of str or None
        None for arrays.
    n, n_dropped : int
        Rows used; rows left out because of missing values.
    row_labels : pandas.Index or None
        Of the rows used.
    kept : ndarray of bool or None
        Marks the rows used among the original ones; None if no row was dropped.
    """

    endog: FloatArray
    exog: FloatArray | None
    instrument: FloatArray | None
    endog_name: str
    exog_names: tuple[str, ...] | None
    n: int
    n_dropped: int
    row_labels: pd.Index | None
    kept: NDArray[np.bool_] | None


def check_moment_arrays(
    endog: object, exog: object, instrument: object, *, missing: str
) -> MomentArrays:
    """Copy, align and check the arrays; no rank is asked of them.

    Parameters
    ----------
    endog : array_like
    exog, instrument : array_like or None
    missing : {"none", "drop", "raise"}

    Returns
    -------
    MomentArrays

    Raises
    ------
    InputError
        If the data are not finite numbers, or not aligned.
    """
    check_choice(missing, MISSING_CHOICES, "missing")
    given = {"endog": endog, "exog": exog, "instrument": instrument}
    tables = [read_table(data, role) for role, data in given.items() if data is not None]
    labels = check_rows_belong_together(tables)
    refuse_infinite(tables, labels)
    n_dropped, kept = 0, None
    if missing == "drop":
        kept = complete_rows(tables)
        if kept is not None:
            refuse_no_rows_left(tables, kept)
            tables = [replace(table, values=keep_rows(table.values, kept)) for table in tables]
            n_dropped = int(len(kept) - kept.sum())
            labels = None if labels is None else labels[kept]
    else:
        refuse_missing(tables, labels)
    by_role = {table.role: table for table in tables}
    outcome, regressors = by_role["endog"], by_role.get("exog")
    values = _read_only(outcome)
    assert values is not None
    return MomentArrays(
        endog=values[:, 0] if values.shape[1] == 1 else values,
        exog=_read_only(regressors),
        instrument=_read_only(by_role.get("instrument")),
        endog_name=", ".join(outcome.names) if outcome.names else "y",
        exog_names=regressors.names if regressors else None,
        n=len(values),
        n_dropped=n_dropped,
        row_labels=labels,
        kept=kept,
    )


def _read_only(table: Table | None) -> FloatArray | None:
    if table is None:
        return None
    table.values.flags.writeable = False
    return table.values
