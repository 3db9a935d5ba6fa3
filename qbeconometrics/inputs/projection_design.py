"""Series -> leads, lags, trend, states and the rows that enter local projections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError, OptionError, RankError, check_choice

from .lags import lag
from .projection_series import ProjectionSeries
from .rank import dependent_columns, triangular_factor

FloatArray = NDArray[np.float64]

RESPONSES = ("level", "long-difference", "cumulative")
SAMPLES = ("common", "horizon")
TRENDS = {"n": 0, "c": 1, "ct": 2, "ctt": 3}


@dataclass(frozen=True, slots=True, eq=False)
class ProjectionDesign:
    """Regressions y_{t+h} on x_t and w_t, one for each response and horizon.

    Attributes
    ----------
    horizons : tuple of int
    leads : ndarray, shape (n, responses, horizons)
        Left-hand sides; NaN where they reach beyond the data.
    regressors : ndarray, shape (n, horizons or 1, p)
        The shock, or its product with each state; one layer if it is the same at all horizons.
    instrument : ndarray, shape (n, L)
        The regressors themselves if there is no instrument.
    controls : ndarray, shape (n, k)
        Trend, controls and lags.
    kept : ndarray of bool, shape (n, responses, horizons)
        Rows of each regression.
    response_names, state_names, instrument_names, control_names : tuple of str
        `state_names` is ("",) without states.
    shock_name : str
    labels : pandas.Index or None
    has_instrument, cumulated_regressor, has_lags : bool
    sample : str
        "common" or "horizon".
    """

    horizons: tuple[int, ...]
    leads: FloatArray
    regressors: FloatArray
    instrument: FloatArray
    controls: FloatArray
    kept: NDArray[np.bool_]
    response_names: tuple[str, ...]
    state_names: tuple[str, ...]
    instrument_names: tuple[str, ...]
    control_names: tuple[str, ...]
    shock_name: str
    labels: pd.Index | None
    has_instrument: bool
    cumulated_regressor: bool
    has_lags: bool
    sample: str

    @property
    def used(self) -> NDArray[np.bool_]:
        """Rows (n,) that enter any regression."""
        return np.asarray(self.kept.any(axis=(1, 2)), dtype=bool)

    @property
    def n_regressors(self) -> int:
        """Coefficients of each regression, the controls' among them."""
        return self.controls.shape[1] + self.regressors.shape[2]


def parse_horizons(horizon: object) -> tuple[int, ...]:
    """Return horizons from a last one, or from a range.

    Raises
    ------
    OptionError

    Examples
    --------
    >>> parse_horizons(3), parse_horizons(range(1, 4))
    ((0, 1, 2, 3), (1, 2, 3))
    """
    horizons: tuple[object, ...] = ()
    if isinstance(horizon, (int, np.integer)) and not isinstance(horizon, (bool, np.bool_)):
        horizons = tuple(range(int(horizon) + 1))
    elif isinstance(horizon, (range, list, tuple)):
        horizons = tuple(horizon)
    whole = all(isinstance(h, (int, np.integer)) and not isinstance(h, bool) for h in horizons)
    numbers = [int(h) for h in horizons] if whole else []  # type: ignore[call-overload]
    if not numbers or numbers[0] < 0 or any(np.diff(numbers) != 1):
        raise OptionError(
            f"horizon={horizon!r} must be the last horizon, such as 20, or consecutive horizons "
            "from 0 or later, such as range(1, 21)"
        )
    return tuple(numbers)


def build_projection_design(
    series: ProjectionSeries,
    *,
    horizon: object,
    lags: int = 0,
    response: str = "level",
    multiplier: bool = False,
    trend: str = "c",
    sample: str = "common",
) -> ProjectionDesign:
    """Take leads and lags, and mark the rows without missing values.

    Parameters
    ----------
    series : ProjectionSeries
    horizon : int or range
    lags : int
        Lags of outcomes, shock, instruments and controls to add to the controls.
    response : {"level", "long-difference", "cumulative"}
        y_{t+h}, y_{t+h} - y_{t-1}, or y_t + ... + y_{t+h}.
    multiplier : bool
        Whether the shock is cumulated too.
    trend : {"n", "c", "ct", "ctt"}
    sample : {"common", "horizon"}
        Whether all regressions have the same rows, or each all that it can have.

    Returns
    -------
    ProjectionDesign

    Raises
    ------
    InputError, OptionError
        If too few rows are left, or columns are dependent.

    Examples
    --------
    >>> from qbeconometrics.inputs.projection_series import check_projection_series
    >>> rng = np.random.default_rng(0)
    >>> series = check_projection_series(rng.normal(size=50), rng.normal(size=50))
    >>> build_projection_design(series, horizon=4, lags=1).leads.shape
    (50, 1, 5)
    """
    horizons = parse_horizons(horizon)
    check_choice(response, RESPONSES, "response")
    check_choice(trend, tuple(TRENDS), "trend")
    check_choice(sample, SAMPLES, "sample")
    state = None if series.state is None else lag(series.state)
    leads = _leads(series.outcomes, horizons, "cumulative" if multiplier else response)
    regressors = series.shock[:, None]
    if multiplier:
        regressors = _leads(regressors, horizons, "cumulative")[:, 0]
    regressors = _by_state(regressors[:, :, None], state)
    instrument = regressors[:, 0] if series.instrument is None else series.instrument
    if series.instrument is not None:
        instrument = _by_state(instrument, state)
    controls, names = _controls(series, lags, trend, state)
    incomplete = np.isnan(np.hstack([controls, instrument])).any(axis=1, keepdims=True)
    complete = np.logical_not(incomplete | np.isnan(regressors).any(axis=2))
    kept = np.asarray(np.expand_dims(complete, 1) & ~np.isnan(leads), dtype=bool)
    if sample == "common":
        everywhere = np.asarray(kept.all(axis=(1, 2)), dtype=bool)
        kept = np.broadcast_to(everywhere[:, None, None], leads.shape)
    state_names: tuple[str, ...] = ("",)
    if state is not None:
        state_names = (f"{series.state_name}=1", f"{series.state_name}=0")
    instrument_names = series.instrument_names or (series.shock_name,)
    design = ProjectionDesign(
        horizons=horizons,
        leads=leads,
        regressors=regressors,
        instrument=instrument,
        controls=controls,
        kept=kept,
        response_names=series.outcome_names,
        state_names=state_names,
        instrument_names=_with_states(instrument_names, state_names),
        control_names=names,
        shock_name=series.shock_name,
        labels=series.labels,
        has_instrument=series.instrument is not None,
        cumulated_regressor=multiplier,
        has_lags=series.has_lags or lags > 0,
        sample=sample,
    )
    _refuse_too_few_rows(design)
    _refuse_dependent_columns(design)
    return design


def _leads(columns: FloatArray, horizons: Sequence[int], response: str) -> FloatArray:
    """Left-hand sides (n, columns, horizons)."""
    n = len(columns)
    last = horizons[-1]
    ahead = np.full((n, columns.shape[1], last + 1), np.nan)
    for h in range(min(last + 1, n)):
        ahead[: n - h, :, h] = columns[h:]
    if response == "cumulative":
        ahead = np.cumsum(ahead, axis=2)
    elif response == "long-difference":
        before = np.full(columns.shape, np.nan)
        before[1:] = columns[:-1]
        ahead -= before[:, :, None]
    return np.ascontiguousarray(ahead[:, :, horizons[0] :])


def _by_state(columns: FloatArray, state: FloatArray | None) -> FloatArray:
    """Columns in the last axis, times the state and times its complement."""
    if state is None:
        return columns
    weight = state.reshape(-1, *([1] * (columns.ndim - 1)))
    return np.concatenate([weight * columns, (1.0 - weight) * columns], axis=-1)


def _with_states(names: Sequence[str], state_names: Sequence[str]) -> tuple[str, ...]:
    if len(state_names) == 1:
        return tuple(names)
    return tuple(f"{name} ({state})" for state in state_names for name in names)


def _controls(
    series: ProjectionSeries, lags: int, trend: str, state: FloatArray | None
) -> tuple[FloatArray, tuple[str, ...]]:
    """Trend, state, controls, and lags of everything; names."""
    columns = [*series.controls.T]
    names = [*series.control_names]
    once = lagged_variables(series)
    for period in range(1, lags + 1):
        columns += [lag(column, period) for column in once.values()]
        names += [f"lag({name}, {period})" for name in once]
    n = len(series.shock)
    powers = trend_columns(n, trend)
    trend_names = ["const", "trend", "trend squared"][: len(powers)]
    if state is None:
        parts, part_names = columns, names
    else:
        high = [state * column for column in columns]
        low = [(1.0 - state) * column for column in columns]
        parts = [state, *high, *low]
        part_names = [
            f"lag({series.state_name}, 1)",
            *(f"{name} ({series.state_name}={value})" for value in (1, 0) for name in names),
        ]
    every = [*powers, *parts]
    matrix = np.column_stack(every) if every else np.empty((n, 0))
    return matrix, (*trend_names, *part_names)


def lagged_variables(series: ProjectionSeries) -> dict[str, FloatArray]:
    """Outcomes, shock, instruments and controls by name, equal columns once."""
    sources = [
        (series.outcomes, series.outcome_names),
        (series.shock[:, None], (series.shock_name,)),
        (series.controls, series.control_names),
    ]
    if series.instrument is not None:
        sources.insert(2, (series.instrument, series.instrument_names))
    once: dict[str, FloatArray] = {}
    for values, own in sources:
        for name, column in zip(own, values.T, strict=True):
            if not any(np.array_equal(column, other, equal_nan=True) for other in once.values()):
                once[name] = column
    return once


def trend_columns(n: int, trend: str) -> list[FloatArray]:
    """Powers of time, which runs from about -1/2 to 1/2."""
    time = (np.arange(n) - (n - 1) / 2.0) / n
    return [time**power for power in range(TRENDS[trend])]


def _refuse_too_few_rows(design: ProjectionDesign) -> None:
    rows = design.kept.sum(axis=0)
    # The longest horizon is the one to blame.
    response, place = (int(where[-1]) for where in np.nonzero(rows == rows.min()))
    least = int(rows[response, place])
    if least > design.n_regressors + 1:
        return
    longest = f"horizon {design.horizons[place]} of {design.response_names[response]!r}"
    raise InputError(
        f"There are too few rows: {least} of {len(design.controls)} are complete for {longest}, "
        f"and each regression has {design.n_regressors} coefficients. Leads and lags take rows "
        "away at both ends: use shorter horizons, fewer lags or fewer controls."
    )


def _refuse_dependent_columns(design: ProjectionDesign) -> None:
    """Raise for the first control, instrument or shock that is a combination of others."""
    rows = design.kept.all(axis=(1, 2))
    if not rows.any():
        rows = design.kept[:, 0, 0]
    remark = f" in the {int(rows.sum())} rows that are used"
    names = [*design.control_names, *_with_states([design.shock_name], design.state_names)]
    pieces = [design.controls[rows], design.regressors[rows, 0]]
    blocks = [("regressor", names, pieces)]
    if design.has_instrument:
        names = [*design.control_names, *design.instrument_names]
        blocks.append(("instrument", names, [design.controls[rows], design.instrument[rows]]))
    for what, names, pieces in blocks:
        found = dependent_columns(triangular_factor(pieces), names)
        if not found:
            continue
        name = found[0].name
        role = "Control" if found[0].column < len(design.control_names) else what.capitalize()
        if not found[0].sources:
            raise RankError(f"{role} {name!r} is zero{remark}. Remove it.")
        others = ", ".join(map(repr, found[0].source_names))
        raise RankError(f"{role} {name!r} is a linear combination of {others}{remark}. Remove one.")
    if design.has_instrument:
        names = [*design.control_names, *design.instrument_names, design.shock_name]
        pieces = [design.controls[rows], design.instrument[rows], design.regressors[rows, 0, :1]]
        if dependent_columns(triangular_factor(pieces), names):
            raise RankError(
                f"Shock {design.shock_name!r} is a linear combination of controls and instruments"
                f"{remark}, so it needs no instrument. Leave instrument out."
            )


def first_and_last(design: ProjectionDesign) -> tuple[str, str]:
    """Labels of the first and the last row that enters any regression."""
    rows = np.flatnonzero(design.used)
    if design.labels is None:
        return f"row {rows[0]}", f"row {rows[-1]}"
    first, last = (design.labels[row] for row in (rows[0], rows[-1]))
    if isinstance(design.labels, pd.DatetimeIndex) and design.labels.is_normalized:
        return str(first.date()), str(last.date())
    return str(first), str(last)
