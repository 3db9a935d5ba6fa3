"""Checked arrays of a linear regression with instruments, and what their span says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError, check_choice

from .absorbed_design import absorb_tables
from .absorption import FixedEffects, level_codes
from .columns import Table, read_table
from .labels import (
    check_rows_belong_together,
    check_shared_names,
    endog_label,
    exog_labels,
    instrument_labels,
)
from .missing_rows import (
    complete_rows,
    keep_rows,
    refuse_infinite,
    refuse_missing,
    refuse_no_rows_left,
)
from .refusals import (
    NamedDesign,
    refuse_constant_endog,
    refuse_constant_outside_instruments,
    refuse_dependent_columns,
    refuse_endog_among_columns,
    refuse_perfect_fit,
    refuse_too_few_instruments,
    refuse_too_few_rows,
    refuse_unmoved_regressors,
)
from .spans import (
    Coordinates,
    constant_combination,
    coordinates_of,
    excluded_instruments,
    means_and_sds,
    outside_span,
    triangle_of,
)
from .weights import RowWeighting, repeat_rows, resolve_weighting

FloatArray = NDArray[np.float64]

MISSING_CHOICES = ("none", "drop", "raise")


@dataclass(frozen=True, slots=True, eq=False)
class LinearDesign:
    """Data of ``endog = exog @ theta + error`` with moments ``instrument * error``.

    The arrays are the design's own copies: C-ordered, float64, writable (compiled code asks for
    that) and never written to.

    With weights or fixed effects the rows are transformed, as `weights` and `absorption` say.

    Attributes
    ----------
    endog : ndarray, shape (n,)
    exog : ndarray, shape (n, k)
    instrument : ndarray, shape (n, m)
        Holds the exogenous regressors too. The same object as `exog` if the regressors are
        their own instruments.
    endog_name : str
    exog_names, instrument_names : tuple of str
    triangle : ndarray, shape (m + k + 1, m + k + 1)
        R of the QR factorisation of ``[instrument, exog, endog]``.
    endogenous : tuple of int
        Positions in `exog` of the regressors outside the span of `instrument`.
    excluded : tuple of int
        Positions in `instrument` of a smallest set that, with the exogenous regressors, spans
        `instrument`.
    constant : ndarray, shape (k,), or None
        ``exog @ constant`` is one in every row (before any weighting); None if no combination is.
    column_means, column_sds : ndarray, shape (k,)
        Of the columns of `exog`, weighted; standard deviations with ddof 0.
    endog_mean, endog_sd : float
    row_labels : pandas.Index or None
        Labels of the rows kept; None if no argument had labels.
    n_dropped : int
        Rows dropped because a value was missing.
    kept : ndarray of bool, shape (n + n_dropped,), or None
        Marks the rows kept; None if none was dropped.
    weighting : RowWeighting or None
    effects : FixedEffects or None
        What was absorbed.
    n_rows : int or None
        Rows that a statistic was formed from, where the arrays hold none.
    constant_in_instruments : bool
        Whether the instruments hold a constant; known only where there are no rows.
    """

    endog: NDArray[np.float64]
    exog: NDArray[np.float64]
    instrument: NDArray[np.float64]
    endog_name: str
    exog_names: tuple[str, ...]
    instrument_names: tuple[str, ...]
    triangle: NDArray[np.float64]
    endogenous: tuple[int, ...]
    excluded: tuple[int, ...]
    constant: NDArray[np.float64] | None
    column_means: NDArray[np.float64]
    column_sds: NDArray[np.float64]
    endog_mean: float
    endog_sd: float
    row_labels: pd.Index | None
    n_dropped: int
    kept: NDArray[np.bool_] | None
    weighting: RowWeighting | None = None
    effects: FixedEffects | None = None

    @property
    def df_absorbed(self) -> int:
        """Coefficients that were absorbed."""
        return self.effects.df if self.effects is not None else 0

    n_rows: int | None = None
    constant_in_instruments: bool = False

    @property
    def nobs(self) -> int:
        """Number of observations."""
        return len(self.endog) if self.n_rows is None else self.n_rows

    @property
    def has_constant_instrument(self) -> bool:
        """Whether the instruments hold a constant."""
        if self.n_rows is not None:
            return self.constant_in_instruments
        return bool(np.all(self.instrument == self.instrument[0], axis=0).any())


def check_linear_design(
    endog: object,
    exog: object,
    instrument: object = None,
    *,
    missing: str = "none",
    endog_name: str | None = None,
    exog_names: Sequence[str] | None = None,
    instrument_names: Sequence[str] | None = None,
    weights: object = None,
    weight_type: str = "",
    absorb: object = None,
) -> LinearDesign:
    """Check and copy the data of a linear regression with instruments.

    Parameters
    ----------
    endog : array_like, shape (n,)
        The outcome.
    exog : array_like, shape (n, k)
        All regressors, exogenous and endogenous, with the constant if there is to be one.
    instrument : array_like, shape (n, m), optional
        All instruments, that is the exogenous regressors (with the constant) and the excluded
        instruments. None: the regressors are their own instruments.
    missing : {"none", "drop", "raise"}, optional
        "drop" leaves out rows with NaN in any argument; otherwise NaN is an error.
    endog_name : str, optional
    exog_names, instrument_names : sequence of str, optional
        Names in place of those from pandas. Columns of arrays are named as in statsmodels:
        "y", "x1", "const"; instruments "z1", or as the regressor that they equal.
    weights : array_like, shape (n,), optional
    weight_type : str
        One of `qbeconometrics.inputs.weights.WEIGHT_TYPES` where there are weights.
    absorb : array_like, shape (n,) or (n, 2), optional
        Levels of fixed effects; constant columns of `exog` and `instrument` go with them.

    Returns
    -------
    LinearDesign

    Raises
    ------
    InputError
        The data are not finite numbers, not aligned, or cannot be told apart. The subclasses
        are `RankError` for columns that are constant, duplicated or combinations of others and
        `IdentificationError` for instruments that are too few or do not move a regressor.

    Notes
    -----
    The order and rank conditions are those of Wooldridge (2010, *Econometric Analysis of Cross
    Section and Panel Data*, section 5.1).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> z = rng.normal(size=(50, 2))
    >>> x = z.sum(axis=1) + rng.normal(size=50)
    >>> y = 1 + x + rng.normal(size=50)
    >>> ones = np.ones(50)
    >>> design = check_linear_design(y, np.c_[ones, x], np.c_[ones, z])
    >>> design.exog_names, design.instrument_names
    (('const', 'x1'), ('const', 'z1', 'z2'))
    >>> design.endogenous, design.excluded
    ((1,), (1, 2))
    """
    check_choice(missing, MISSING_CHOICES, "missing")
    outcome, regressors, instruments = _read(
        endog, exog, instrument, endog_name, exog_names, instrument_names
    )
    # One object where the regressors are their own instruments.
    tables = (
        [outcome, regressors] if instruments is regressors else [outcome, regressors, instruments]
    )
    data = len(tables)
    if weights is not None:
        tables.append(read_table(weights, "weights"))
    if absorb is not None:
        tables.append(level_codes(absorb))
    labels = check_rows_belong_together(tables)
    refuse_infinite(tables, labels)
    kept = None
    if missing == "drop":
        kept = complete_rows(tables)
    else:
        refuse_missing(tables, labels)
    if kept is not None:
        refuse_no_rows_left(tables, kept)
        tables = [replace(table, values=keep_rows(table.values, kept)) for table in tables]
        labels = labels[kept] if labels is not None else None
    weighting = None
    if weights is not None:
        weighting = resolve_weighting(tables[data], weight_type, labels)
        if weighting.repeats is not None:
            tables = repeat_rows(tables, weighting)
            labels = labels.repeat(weighting.repeats) if labels is not None else None
    effects = None
    if absorb is not None:
        scale = weighting.values if weighting and weighting.repeats is None else None
        tables[:data], effects = absorb_tables(tables[:data], tables[-1], scale)
    return _checked_design(tables[0], tables[1], tables[data - 1], labels, kept, weighting, effects)


def _read(
    endog: object,
    exog: object,
    instrument: object,
    endog_name: str | None,
    exog_names: Sequence[str] | None,
    instrument_names: Sequence[str] | None,
) -> tuple[Table, Table, Table]:
    """Copy and name the three arguments."""
    outcome = read_table(endog, "endog")
    if outcome.values.shape[1] != 1:
        raise InputError(
            f"endog has {outcome.values.shape[1]} columns. Give one outcome; regressors go to exog."
        )
    regressors = read_table(exog, "exog")
    own = instrument is None or instrument is exog
    instruments = regressors if own else read_table(instrument, "instrument")
    check_rows_belong_together([outcome, regressors, instruments])
    names = exog_labels(regressors, exog_names)
    outcome = replace(outcome, names=(endog_label(outcome, names, endog_name),))
    regressors = replace(regressors, names=names)
    if own:
        return outcome, regressors, regressors
    names = instrument_labels(instruments, regressors, names, instrument_names)
    return outcome, regressors, replace(instruments, names=names)


def _checked_design(
    endog: Table,
    exog: Table,
    instrument: Table,
    labels: pd.Index | None,
    kept: NDArray[np.bool_] | None,
    weighting: RowWeighting | None,
    effects: FixedEffects | None,
) -> LinearDesign:
    """Check rank and identification of finite, aligned tables, and weight their rows."""
    n_dropped = int((~kept).sum()) if kept is not None else 0
    remark = f" (after dropping {n_dropped} rows with missing values)" if n_dropped else ""
    refuse_too_few_rows([exog] if instrument is exog else [exog, instrument], remark)
    if instrument is not exog:
        check_shared_names(instrument, exog)
    outcome = endog.values[:, 0]
    coordinates = coordinates_of(outcome, exog.values, instrument.values)
    design = NamedDesign(endog, exog, instrument, coordinates, remark)
    refuse_constant_endog(design)
    refuse_endog_among_columns(design)
    refuse_dependent_columns(exog, coordinates.exog, remark)
    if instrument is not exog:
        refuse_dependent_columns(instrument, coordinates.instrument, remark)
    constant = constant_combination(coordinates)
    endogenous, excluded = classify_regressors(design, constant)
    refuse_perfect_fit(design)
    rows = _weighted(outcome, exog.values, instrument.values, coordinates, weighting)
    outcome, regressors, instruments, coordinates = rows
    means, sds = means_and_sds(coordinates, coordinates.exog, len(outcome))
    endog_mean, endog_sd = means_and_sds(coordinates, coordinates.endog[:, None], len(outcome))
    return LinearDesign(
        endog=outcome,
        exog=regressors,
        instrument=instruments,
        endog_name=endog.names[0] if endog.names else "y",
        exog_names=design.exog_names,
        instrument_names=design.instrument_names,
        triangle=triangle_of(coordinates),
        endogenous=endogenous,
        excluded=excluded,
        constant=constant,
        column_means=means,
        column_sds=sds,
        endog_mean=float(endog_mean[0]),
        endog_sd=float(endog_sd[0]),
        row_labels=labels,
        n_dropped=n_dropped,
        kept=kept,
        weighting=weighting,
        effects=effects,
    )


def _weighted(
    endog: FloatArray,
    exog: FloatArray,
    instrument: FloatArray,
    coordinates: Coordinates,
    weighting: RowWeighting | None,
) -> tuple[FloatArray, FloatArray, FloatArray, Coordinates]:
    """Rows times the root of their weights, where they are not repeated instead."""
    if weighting is None or weighting.repeats is not None:
        return endog, exog, instrument, coordinates
    root = np.sqrt(weighting.values)
    endog, own = endog * root, instrument is exog
    exog = exog * root[:, None]
    instrument = exog if own else instrument * root[:, None]
    return endog, exog, instrument, coordinates_of(endog, exog, instrument, ones=root)


def classify_regressors(
    design: NamedDesign, constant: NDArray[np.float64] | None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Tell endogenous from exogenous regressors, and check that they are identified."""
    if design.instrument is design.exog:
        return (), ()
    coordinates = design.coordinates
    endogenous = outside_span(coordinates.exog, coordinates.instrument)
    exogenous = tuple(j for j in range(len(design.exog_names)) if j not in endogenous)
    refuse_constant_outside_instruments(design, constant, endogenous)
    excluded = excluded_instruments(coordinates, exogenous)
    refuse_too_few_instruments(design, endogenous, len(excluded))
    refuse_unmoved_regressors(design, exogenous, endogenous)
    return endogenous, excluded
