"""Fixed effects taken out of the columns of a regression, with what that leaves of each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError, RankError

from .absorption import FixedEffects, absorb, fixed_effects
from .columns import Table

FloatArray = NDArray[np.float64]

# Share of a column's deviations from its mean that must be left.
LEAST_LEFT = 1e-9


def absorb_tables(
    tables: list[Table], levels: Table, weights: FloatArray | None
) -> tuple[list[Table], FixedEffects]:
    """Return outcome, regressors and instruments without their constants and fixed effects.

    Parameters
    ----------
    tables : list of Table
        Outcome, regressors and, if they are others, instruments.
    levels : Table
        Numbers of the levels, one column a way.
    weights : ndarray, shape (n,), or None

    Raises
    ------
    RankError
        If a column does not vary within the levels; the message names it.
    InputError
        If nothing but a constant is left.
    """
    assert levels.names is not None
    effects = fixed_effects(levels.values, levels.names)
    left = [tables[0], *(_without_constants(table, effects) for table in tables[1:])]
    widths = [table.values.shape[1] for table in left]
    residuals = absorb(np.hstack([table.values for table in left]), effects, weights)
    parts = np.split(residuals, np.cumsum(widths)[:-1], axis=1)
    for table, part in zip(left, parts, strict=True):
        _refuse_absorbed(table, part, effects)
    # Later code asks for arrays of their own, in C order.
    return [
        replace(table, values=np.array(part, order="C"))
        for table, part in zip(left, parts, strict=True)
    ], effects


def _without_constants(table: Table, effects: FixedEffects) -> Table:
    """Leave out constant columns, which the fixed effects hold."""
    varies = np.ptp(table.values, axis=0) > 0.0
    if varies.all():
        return table
    if not varies.any():
        raise InputError(
            f"{table.role} holds constants only, which the fixed effects "
            f"{effects.description} take up. Give a column that varies."
        )
    assert table.names is not None
    names = tuple(name for name, kept in zip(table.names, varies, strict=True) if kept)
    return replace(table, values=table.values[:, varies], names=names)


def _refuse_absorbed(table: Table, residuals: FloatArray, effects: FixedEffects) -> None:
    deviations = np.linalg.norm(table.values - table.values.mean(axis=0), axis=0)
    gone = np.linalg.norm(residuals, axis=0) <= LEAST_LEFT * deviations
    if gone.any():
        column = table.describe(int(np.argmax(gone)), start=True)
        raise RankError(
            f"{column} does not vary within the fixed effects {effects.description}. "
            + ("Choose another outcome." if table.role == "endog" else "Remove it.")
        )
