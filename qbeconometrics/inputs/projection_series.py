"""The time series of local projections, checked: finite or missing, in order, without gaps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError

from .columns import Table, read_table
from .labels import check_rows_belong_together
from .missing_rows import refuse_infinite
from .time_order import check_time_order

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ProjectionSeries:
    """Series on one time axis; missing values are NaN and are never filled.

    Attributes
    ----------
    outcomes : ndarray, shape (n, responses)
    shock : ndarray, shape (n,)
    instrument : ndarray, shape (n, instruments), or None
    controls : ndarray, shape (n, controls)
        As given: no lags are added here.
    state : ndarray, shape (n,), or None
        Dated t; projections use its value at t - 1.
    outcome_names, instrument_names, control_names : tuple of str
    shock_name, state_name : str
    labels : pandas.Index or None
    has_lags : bool
        Whether lags are known to be among the controls.
    """

    outcomes: FloatArray
    shock: FloatArray
    instrument: FloatArray | None
    controls: FloatArray
    state: FloatArray | None
    outcome_names: tuple[str, ...]
    shock_name: str
    instrument_names: tuple[str, ...]
    control_names: tuple[str, ...]
    state_name: str
    labels: pd.Index | None
    has_lags: bool


def check_projection_series(
    endog: object,
    shock: object,
    controls: object = None,
    instrument: object = None,
    state: object = None,
) -> ProjectionSeries:
    """Check and copy the series of local projections.

    Parameters
    ----------
    endog : array_like, shape (n,) or (n, responses)
    shock : array_like, shape (n,)
    controls : array_like, shape (n,) or (n, controls), optional
    instrument : array_like, shape (n,) or (n, instruments), optional
    state : array_like, shape (n,), optional
        Between 0 and 1.

    Returns
    -------
    ProjectionSeries

    Raises
    ------
    InputError
        If a value is infinite, rows do not belong together, dates are out of order or have gaps,
        or names are not distinct.

    Examples
    --------
    >>> y = pd.Series([1.0, 2.0, 4.0], index=pd.period_range("2000Q1", periods=3, freq="Q"))
    >>> check_projection_series(y.rename("gdp"), [0.0, 1.0, 0.0]).outcome_names
    ('gdp',)
    """
    outcome = _table(endog, "endog", "y")
    given = {"shock": shock, "controls": controls, "instrument": instrument, "state": state}
    prefix = {"shock": "shock", "controls": "w", "instrument": "z", "state": "state"}
    tables = {
        role: _table(values, role, prefix[role])
        for role, values in given.items()
        if values is not None or role == "shock"
    }
    for role in ("shock", "state"):
        if role in tables and tables[role].values.shape[1] != 1:
            raise InputError(f"{role} has {tables[role].values.shape[1]} columns. Give one.")
    every = [outcome, *tables.values()]
    labels = check_rows_belong_together(every)
    refuse_infinite(every, labels)
    check_order(labels)
    n = len(outcome.values)
    series = ProjectionSeries(
        outcomes=outcome.values,
        shock=tables["shock"].values[:, 0].copy(),
        instrument=tables["instrument"].values if "instrument" in tables else None,
        controls=tables["controls"].values if "controls" in tables else np.empty((n, 0)),
        state=tables["state"].values[:, 0].copy() if "state" in tables else None,
        outcome_names=_names(outcome),
        shock_name=_names(tables["shock"])[0],
        instrument_names=_names(tables["instrument"]) if "instrument" in tables else (),
        control_names=_names(tables["controls"]) if "controls" in tables else (),
        state_name=_names(tables["state"])[0] if "state" in tables else "",
        labels=labels,
        has_lags=False,
    )
    return check_values(series)


def check_order(labels: pd.Index | None) -> None:
    """Refuse labels that are dates or whole numbers out of order or with gaps."""
    if labels is not None and labels.dtype != bool and labels.inferred_type == "string":
        try:
            labels = pd.DatetimeIndex(pd.to_datetime(labels, format="ISO8601"))
        except (ValueError, TypeError):
            return  # text that is no date is taken as it comes
    check_time_order(labels, None, needed_by="A local projection", whole_numbers=True)


def check_values(series: ProjectionSeries) -> ProjectionSeries:
    """Refuse states outside [0, 1], constant series, and names that are not distinct."""
    names = [*series.outcome_names]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"endog has two columns named {repeated[0]!r}. Rename one.")
    _refuse_equal_outcomes(series)
    _refuse_shared_names(series)
    for values, name, role in (
        *((column, name, "endog") for column, name in zip(series.outcomes.T, names, strict=True)),
        (series.shock, series.shock_name, "shock"),
    ):
        known = values[~np.isnan(values)]
        if len(known) == 0:
            raise InputError(f"{role} {name!r} is missing (NaN) in every row.")
        if known.min() == known.max():
            raise InputError(f"{role} {name!r} has the value {known[0]:g} in every row.")
    if series.state is not None:
        known = series.state[~np.isnan(series.state)]
        if len(known) == 0 or known.min() < 0.0 or known.max() > 1.0:
            raise InputError(
                f"state {series.state_name!r} must lie between 0 and 1: a dummy or the probability "
                "of a state."
            )
        if known.min() == known.max():
            raise InputError(
                f"state {series.state_name!r} has the value {known[0]:g} in every row, so there is "
                "one state only. Leave state out."
            )
    return series


def _refuse_equal_outcomes(series: ProjectionSeries) -> None:
    names, columns = series.outcome_names, series.outcomes.T
    for j, column in enumerate(columns):
        for i in range(j):
            if np.array_equal(column, columns[i], equal_nan=True):
                raise InputError(
                    f"Column {names[j]!r} of endog is a duplicate of column {names[i]!r}: their "
                    "responses are the same. Remove one."
                )


def _refuse_shared_names(series: ProjectionSeries) -> None:
    """Refuse two variables of one name; one variable may play two parts.

    Rows that a formula left out are missing in its controls only, and are not compared.
    """
    known: dict[str, tuple[str, FloatArray]] = {}
    instrument = series.instrument
    if instrument is None:
        instrument = np.empty((len(series.shock), 0))
    for role, names, values in (
        ("endog", series.outcome_names, series.outcomes),
        ("shock", (series.shock_name,), series.shock[:, None]),
        ("controls", series.control_names, series.controls),
        ("instrument", series.instrument_names, instrument),
    ):
        for name, column in zip(names, values.T, strict=True):
            first, other = known.setdefault(name, (role, column))
            if np.any(~np.isnan(column) & ~np.isnan(other) & (column != other)):
                raise InputError(
                    f"Column {name!r} of {role} holds other numbers than {name!r} of {first}. "
                    "Rename one."
                )


def _table(data: object, role: str, prefix: str) -> Table:
    """Read one argument; unnamed columns are named after it, a single one without a number."""
    table = read_table(data, role)
    if table.names is not None:
        return table
    columns = table.values.shape[1]
    one = columns == 1 and role in ("endog", "shock", "state")
    names = (prefix,) if one else tuple(f"{prefix}{j + 1}" for j in range(columns))
    return replace(table, names=names)


def _names(table: Table) -> tuple[str, ...]:
    assert table.names is not None
    return table.names
