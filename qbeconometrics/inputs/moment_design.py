"""A design whose rows are gone: checked from the sums that they left."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qbeconometrics.exceptions import InputError, RankError

from .columns import Table
from .design import LinearDesign, classify_regressors
from .rank import dependent_columns
from .refusals import NamedDesign, refuse_perfect_fit
from .spans import Coordinates, constant_combination, means_and_sds, outside_span, triangle_of

# An outcome of which less than this share of its length varies is a constant, and one that is
# no further from a column is that column.
CONSTANT_SHARE = 1e-9


def design_without_rows(
    coordinates: Coordinates,
    *,
    n: int,
    n_dropped: int,
    endog_name: str,
    exog_names: Sequence[str],
    instrument_names: Sequence[str],
) -> LinearDesign:
    """Check rank and identification as `check_linear_design` does, without the rows.

    Parameters
    ----------
    coordinates : Coordinates
        Of the columns, with the ones first.
    n, n_dropped : int
    endog_name : str
    exog_names, instrument_names : sequence of str

    Raises
    ------
    InputError
        As `check_linear_design`.
    """
    k, m = len(exog_names), len(instrument_names)
    remark = f" (after dropping {n_dropped} rows with missing values)" if n_dropped else ""
    endog = _table("endog", (endog_name,))
    exog = _table("exog", exog_names)
    own = tuple(exog_names) == tuple(instrument_names)
    instrument = exog if own else _table("instrument", instrument_names)
    design = NamedDesign(endog, exog, instrument, coordinates, remark)
    columns = [(exog, coordinates.exog)]
    if not own:
        columns.append((instrument, coordinates.instrument))
    for table, _ in columns:
        if n <= table.values.shape[1]:
            raise RankError(
                f"There are {n} rows but {table.values.shape[1]} columns in {table.role}{remark}. "
                f"More rows than columns are needed: add blocks, or use fewer columns of "
                f"{table.role}."
            )
    length = float(np.linalg.norm(coordinates.endog))
    if np.linalg.norm(coordinates.endog[1:]) <= CONSTANT_SHARE * length:
        raise InputError(
            f"endog {endog_name!r} has the same value in every row{remark}, so there is nothing to "
            "explain. Check which column was meant."
        )
    for table, values in columns:
        _refuse_endog(design, table, values)
    for table, values in columns:
        _refuse_dependent(table, values, remark)
    constant = constant_combination(coordinates)
    endogenous, excluded = classify_regressors(design, constant)
    refuse_perfect_fit(design)
    means, sds = means_and_sds(coordinates, coordinates.exog, n)
    endog_mean, endog_sd = means_and_sds(coordinates, coordinates.endog[:, None], n)
    return LinearDesign(
        endog=np.empty(0),
        exog=np.empty((0, k)),
        instrument=np.empty((0, m)),
        endog_name=endog_name,
        exog_names=tuple(exog_names),
        instrument_names=tuple(instrument_names),
        triangle=triangle_of(coordinates),
        endogenous=endogenous,
        excluded=excluded,
        constant=constant,
        column_means=means,
        column_sds=sds,
        endog_mean=float(endog_mean[0]),
        endog_sd=float(endog_sd[0]),
        row_labels=None,
        n_dropped=n_dropped,
        kept=None,
        n_rows=n,
        constant_in_instruments=not outside_span(coordinates.ones[:, None], coordinates.instrument),
    )


def _table(role: str, names: Sequence[str]) -> Table:
    return Table(role, np.empty((0, len(names))), tuple(names), None)


def _refuse_endog(design: NamedDesign, table: Table, values: np.ndarray) -> None:
    assert table.names is not None
    outcome = design.coordinates.endog
    apart = np.linalg.norm(values - outcome[:, None], axis=0)
    for position in np.flatnonzero(apart <= CONSTANT_SHARE * np.linalg.norm(outcome)):
        raise InputError(
            f"{design.endog.describe(0)} is also in {table.role}, as column "
            f"{table.names[position]!r}. Remove it from {table.role}."
        )


def _refuse_dependent(table: Table, values: np.ndarray, remark: str) -> None:
    assert table.names is not None
    found = dependent_columns(values, table.names)
    if not found:
        return
    first = found[0]
    what = table.describe(first.column, start=True)
    if not first.sources:
        raise RankError(
            f"{what} is zero in every row{remark}. Remove {first.name!r} from {table.role}."
        )
    raise RankError(
        f"{what} is a linear combination of {', '.join(map(repr, first.source_names))}{remark}, so "
        f"{table.role} does not have full column rank. Remove one of these columns; of a full set "
        "of dummies next to a constant, leave one category out."
    )
