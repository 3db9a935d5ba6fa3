"""Are the rows one series in order of time, without gaps?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError

_DAY = 86_400.0

# Months differ in length: dates this far apart are compared by calendar months.
_SHORTEST_MONTH = 27 * _DAY

_REMEDY = (
    "Insert the missing periods and fill their values, or, if rows that follow each other are to "
    "count as one period apart, drop the labels first with .reset_index(drop=True)."
)


_HAC = "cov_type='HAC'"


def check_time_order(
    labels: pd.Index | None,
    kept: NDArray[np.bool_] | None,
    *,
    needed_by: str = _HAC,
    whole_numbers: bool = False,
) -> None:
    """Refuse rows whose serial correlation, or lags, would be taken over the wrong distances.

    Parameters
    ----------
    labels : pandas.Index or None
        Labels of the rows kept. Dates and numbers must increase from row to row, and dates be
        evenly spaced; other labels are taken as they come.
    kept : ndarray of bool or None
        Marks the rows kept among the original ones; None if no row was dropped.
    needed_by : str
        What needs the order, for the messages.
    whole_numbers : bool
        Whether integers are dates too, such as years, and must be evenly spaced.

    Raises
    ------
    InputError
        Naming the first label that is out of order or follows a gap.

    Examples
    --------
    >>> check_time_order(pd.period_range("2000Q1", periods=8, freq="Q"), None)
    """
    if isinstance(labels, pd.MultiIndex):
        panel = " For a panel use cov_type='cluster';" if needed_by == _HAC else ""
        raise InputError(
            f"{needed_by} needs the rows of one series in order of time, but the index has "
            f"{labels.nlevels} levels.{panel} For one series drop the labels first with "
            ".reset_index(drop=True)."
        )
    if kept is not None:
        _refuse_rows_dropped_between(labels, kept, needed_by)
    if labels is None or len(labels) < 2:
        return
    labels = _as_dates(labels)
    dated = isinstance(labels, (pd.DatetimeIndex, pd.PeriodIndex, pd.TimedeltaIndex))
    numeric = pd.api.types.is_numeric_dtype(labels.dtype) and labels.dtype != bool
    if not (dated or numeric):
        return
    _refuse_disorder(labels, needed_by)
    if dated or (whole_numbers and labels.dtype.kind in "iu"):
        _refuse_gaps(labels, needed_by)


def _refuse_rows_dropped_between(
    labels: pd.Index | None, kept: NDArray[np.bool_], needed_by: str
) -> None:
    places = np.flatnonzero(kept)
    steps = np.diff(places)
    if not (steps > 1).any():
        return
    before = int(np.argmax(steps > 1))
    shown = places if labels is None else labels
    raise InputError(
        f"{needed_by} needs rows without gaps, but {int(steps[before]) - 1} row(s) with missing "
        f"values were dropped between the rows labelled {_shown(shown[before])} and "
        f"{_shown(shown[before + 1])}. Fill the missing values, or drop these rows from the data "
        "first and reset its index, if the rows that are left are to count as one period apart."
    )


def _as_dates(labels: pd.Index) -> pd.Index:
    """Dates that pandas holds as objects."""
    if labels.dtype == object and labels.inferred_type in ("date", "datetime", "datetime64"):
        return pd.DatetimeIndex(pd.to_datetime(labels))
    return labels


def _refuse_disorder(labels: pd.Index, needed_by: str) -> None:
    increasing = np.asarray(labels[1:] > labels[:-1], dtype=bool)
    if increasing.all():
        return
    row = int(np.argmin(increasing)) + 1
    panel = "; for a panel use cov_type='cluster'" if needed_by == _HAC else ""
    raise InputError(
        f"{needed_by} needs rows in order of time, each label once, but the row labelled "
        f"{_shown(labels[row])} comes after {_shown(labels[row - 1])}. Sort the data by time with "
        f".sort_index(){panel}."
    )


def _refuse_gaps(labels: pd.Index, needed_by: str) -> None:
    steps = np.diff(_positions(labels))
    lengths, counts = np.unique(steps, return_counts=True)
    usual = lengths[counts.argmax()]
    odd = steps != usual
    if not odd.any():
        return
    # A step that is too long is a gap; only if there is none is one that is too short named.
    row = int(np.argmax(steps > usual if (steps > usual).any() else odd))
    raise InputError(
        f"{needed_by} needs evenly spaced dates, but from the row labelled "
        f"{_shown(labels[row])} to {_shown(labels[row + 1])} the step is another than elsewhere. "
        f"{_REMEDY}"
    )


def _positions(labels: Any) -> NDArray[np.int64]:
    """Whole numbers that grow by the same step from period to period."""
    if labels.dtype.kind in "iu":
        return np.asarray(labels, dtype=np.int64)
    if isinstance(labels, pd.DatetimeIndex):
        dates = labels.tz_localize(None)
        step = float(np.median(np.diff(dates.to_numpy()) / np.timedelta64(1, "s")))
        if step >= _SHORTEST_MONTH:
            return np.asarray(dates.to_period("M").asi8)
        days = dates.to_numpy().astype("datetime64[D]")
        if step == _DAY and (dates.day_of_week < 5).all() and (days == dates.to_numpy()).all():
            return np.asarray(np.busday_count(days[0], days))
        return np.asarray(dates.asi8)
    return np.asarray(labels.asi8)


def _shown(label: object) -> str:
    if isinstance(label, (pd.Timestamp, pd.Period)):
        return repr(str(label))
    return repr(label.item() if isinstance(label, np.generic) else label)
