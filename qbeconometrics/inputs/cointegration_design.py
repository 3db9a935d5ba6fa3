"""Series in levels -> the three blocks of a vector error-correction model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError, RankError

from .columns import Table, read_table
from .labels import check_rows_belong_together
from .missing_rows import refuse_infinite, row_label
from .rank import dependent_columns, triangular_factor
from .time_order import check_time_order

FloatArray = NDArray[np.float64]

# As in statsmodels, which also has two other words for "n".
DETERMINISTIC = ("n", "co", "ci", "lo", "li", "coli", "cili", "colo", "cilo", "", "nc")


@dataclass(frozen=True, slots=True, eq=False)
class CointegrationDesign:
    """Rows t = k_ar_diff + 2, ..., of dy_t = alpha beta' y_{t-1} + Gamma w_t + u_t.

    Attributes
    ----------
    endog : DataFrame, shape (nobs, m)
        The series.
    exog : ndarray, shape (nobs, k), or None
    differences : ndarray, shape (T, m)
        dy_t.
    levels : ndarray, shape (T, n)
        y_{t-1} and the deterministic terms within the cointegration relation.
    short_run : ndarray, shape (T, q)
        w_t: lagged differences, then deterministic terms outside of the relation, then exog.
    endog_names, restricted_names, short_run_names : tuple of str
        Of the m series, of the last n - m columns of `levels`, of the columns of `short_run`.
    has_constant : bool
        Whether there is a constant, within or outside of the relation.
    lagged : int
        Columns of `short_run` that are lagged differences.
    first_row, last_row : str
        Labels of the first and last row t.
    """

    endog: pd.DataFrame
    exog: FloatArray | None
    differences: FloatArray
    levels: FloatArray
    short_run: FloatArray
    endog_names: tuple[str, ...]
    restricted_names: tuple[str, ...]
    short_run_names: tuple[str, ...]
    has_constant: bool
    lagged: int
    first_row: str
    last_row: str

    @property
    def nobs(self) -> int:
        """Rows T, those before the first not counted."""
        return len(self.differences)


def cointegration_design(
    endog: Any,
    exog: Any,
    *,
    k_ar_diff: int,
    deterministic: str,
    seasons: int = 0,
    first_season: int = 0,
) -> CointegrationDesign:
    """Check series and build the blocks of an error-correction model.

    Parameters
    ----------
    endog : array_like, shape (nobs, m)
        Series in levels, in order of time, m at least 2.
    exog : array_like, shape (nobs, k), or None
        Terms outside of the cointegration relation; row t goes with dy_t.
    k_ar_diff : int
        Lagged differences.
    deterministic : str
        One of `DETERMINISTIC`.
    seasons, first_season : int
        Seasons of a year, 0 for no dummies; season of the first row, counted from 0.

    Returns
    -------
    CointegrationDesign

    Raises
    ------
    InputError
        If a value is missing or not finite, rows are not in order of time, or a series is constant.
    RankError
        If there are too few rows, or columns depend linearly on each other.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.random.default_rng(0).standard_normal((30, 2)).cumsum(axis=0)
    >>> design = cointegration_design(y, None, k_ar_diff=1, deterministic="ci")
    >>> design.levels.shape, design.short_run_names
    ((28, 3), ('L1.y1', 'L1.y2'))
    """
    series = _read(endog, "endog", "y")
    tables = [series] if exog is None else [series, _read(exog, "exog", "exog")]
    assert series.names is not None
    if len(series.names) < 2:
        raise InputError("endog has one column; cointegration needs two series or more")
    index = check_rows_belong_together(tables)
    refuse_infinite(tables, index)
    _refuse_missing(tables, index)
    check_time_order(index, None, needed_by="QuasiBayesVECM", whole_numbers=True)
    m, lags = len(series.names), k_ar_diff + 1
    nobs = len(series.values) - lags
    fixed = _deterministic_terms(deterministic, max(nobs, 0), lags)
    q = m * k_ar_diff + len(fixed["outside"]) + max(seasons - 1, 0)
    q += tables[1].values.shape[1] if exog is not None else 0
    needed = q + 2 * m + len(fixed["inside"]) + 1
    if nobs < needed:
        raise RankError(
            f"endog has {len(series.values)} rows, of which {lags} go to lags and differences with "
            f"k_ar_diff={k_ar_diff}; the {nobs} that are left are too few for {m} series: an "
            f"equation has {q + m + len(fixed['inside'])} coefficients, so at least "
            f"{needed} rows must be left. Use more data, fewer lags or fewer series."
        )
    _refuse_constant(series)
    change = np.diff(series.values, axis=0)
    lagged = [change[k_ar_diff - lag : len(change) - lag] for lag in range(1, k_ar_diff + 1)]
    names = [f"L{lag}.{name}" for lag in range(1, k_ar_diff + 1) for name in series.names]
    outside = [*fixed["outside"].values()]
    dummies = _seasonal_dummies(seasons, nobs, first_season + lags)
    exogenous = [] if exog is None else [tables[1].values[lags:]]
    terms = [*fixed["outside"]]
    # As in statsmodels: constant, seasons, trend, exog.
    place = int("const" in terms)
    outside.insert(place, dummies)
    terms[place:place] = [f"season{number}" for number in range(1, dummies.shape[1] + 1)]
    if exog is not None:
        terms += [*(tables[1].names or ())]
    design = CointegrationDesign(
        endog=pd.DataFrame(series.values, index=series.index, columns=list(series.names)),
        exog=None if exog is None else tables[1].values,
        differences=np.ascontiguousarray(change[k_ar_diff:]),
        levels=np.column_stack([series.values[k_ar_diff:-1], *fixed["inside"].values()]),
        short_run=np.column_stack([*lagged, *outside, *exogenous]),
        endog_names=series.names,
        restricted_names=tuple(fixed["inside"]),
        short_run_names=(*names, *terms),
        has_constant="c" in deterministic.replace("nc", ""),
        lagged=len(names),
        first_row=row_label(lags, index),
        last_row=row_label(len(series.values) - 1, index),
    )
    _refuse_dependent(design)
    return design


def _read(data: Any, role: str, prefix: str) -> Table:
    table = read_table(data, role)
    names = table.names or tuple(f"{prefix}{i + 1}" for i in range(table.values.shape[1]))
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(
                f"{role} has {count} columns named {name!r}. Keep one, or rename them if they "
                "differ."
            )
    return Table(role, table.values, names, table.index)


def _refuse_missing(tables: Sequence[Table], index: pd.Index | None) -> None:
    for table in tables:
        for position, column in enumerate(table.values.T):
            rows = np.flatnonzero(np.isnan(column))
            if len(rows):
                raise InputError(
                    f"{table.describe(position, start=True)} is missing (NaN) in {len(rows)} "
                    f"row(s), first at {row_label(int(rows[0]), index)}. Series in time cannot "
                    "have gaps: fill the values, or select rows without them."
                )


def _refuse_constant(series: Table) -> None:
    for position, column in enumerate(series.values.T):
        if column.min() == column.max():
            raise InputError(
                f"{series.describe(position, start=True)} has the value {column[0]:g} in every "
                "row. For a constant within the relation use deterministic='ci'."
            )


def _deterministic_terms(deterministic: str, nobs: int, lags: int) -> dict[str, Any]:
    """Columns inside and outside of the relation, by name; the trend counts rows as statsmodels."""
    steps = np.arange(nobs, dtype=np.float64) + lags
    inside = {"const": np.ones(nobs)} if "ci" in deterministic else {}
    outside = {"const": np.ones(nobs)} if "co" in deterministic else {}
    if "li" in deterministic:
        inside["lin_trend"] = steps
    if "lo" in deterministic:
        outside["lin_trend"] = steps + 1.0
    return {"inside": inside, "outside": outside}


def _seasonal_dummies(seasons: int, nobs: int, first: int) -> FloatArray:
    """Centred dummies of all seasons but the last, shape (nobs, seasons - 1)."""
    if seasons < 2:
        return np.empty((nobs, 0))
    season = (np.arange(nobs) + first) % seasons
    return np.asarray((season[:, None] == np.arange(seasons - 1)) - 1.0 / seasons)


def _refuse_dependent(design: CointegrationDesign) -> None:
    """Regressors must be independent, and no change an exact combination of them."""
    regressors = [
        *design.short_run_names,
        *(f"{name} (level)" for name in design.endog_names),
        *(f"{name} (in the relation)" for name in design.restricted_names),
    ]
    triangle = triangular_factor([design.short_run, design.levels, design.differences])
    k = len(regressors)
    found = dependent_columns(triangle[:, :k], regressors)
    if found:
        first = found[0]
        others = ", ".join(map(repr, first.source_names))
        what = f"a linear combination of {others}" if others else "zero in every row"
        raise RankError(
            f"The regressor {first.name!r} is {what}, so its coefficient cannot be told from "
            "theirs. Remove one of these series, or change deterministic or exog."
        )
    for position, name in enumerate(design.endog_names):
        columns = np.column_stack([triangle[:, :k], triangle[:, k + position]])
        if dependent_columns(columns, [*regressors, name]):
            raise RankError(
                f"The change of {name!r} is an exact linear combination of its regressors: every "
                "residual of its equation is zero. Remove this series, or what it was computed "
                "from."
            )
    independent = dependent_columns(triangle, [*regressors, *design.endog_names])
    if independent:
        raise RankError(
            f"The residuals of the equation of {independent[0].name!r} are a linear combination of "
            "those of other equations: the series are bound by an identity. Remove one of them."
        )
