"""How outcome, regressors and instruments lie to each other, from one triangular factor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .rank import DEPENDENCE_TOLERANCE, Dependence, dependent_columns, triangular_factor

# Share of a column's length that rounding can leave where the exact value is zero, after the
# errors of a million rows have added up.
ROUNDING_SHARE = 1e-13


@dataclass(frozen=True, slots=True, eq=False)
class Coordinates:
    """The columns of the data in one set of orthonormal coordinates.

    Inner products of these short columns are those of the data, so every question of rank is
    answered here, whatever the number of rows.

    Attributes
    ----------
    ones : ndarray, shape (p,)
        The column of ones; p = m + k + 2.
    instrument : ndarray, shape (p, m)
    exog : ndarray, shape (p, k)
    endog : ndarray, shape (p,)
    """

    ones: NDArray[np.float64]
    instrument: NDArray[np.float64]
    exog: NDArray[np.float64]
    endog: NDArray[np.float64]


def coordinates_of(
    endog: NDArray[np.float64],
    exog: NDArray[np.float64],
    instrument: NDArray[np.float64],
    ones: NDArray[np.float64] | None = None,
) -> Coordinates:
    """Factor ``[1, instrument, exog, endog]`` in one pass over the rows.

    Parameters
    ----------
    endog : ndarray, shape (n,)
    exog : ndarray, shape (n, k)
    instrument : ndarray, shape (n, m)
    ones : ndarray, shape (n,), optional
        What stands for the column of ones in weighted rows: the roots of the weights.
    """
    if ones is None:
        ones = np.broadcast_to(1.0, endog.shape)
    triangle = triangular_factor([ones, instrument, exog, endog])
    m = instrument.shape[1]
    return Coordinates(
        triangle[:, 0], triangle[:, 1 : m + 1], triangle[:, m + 1 : -1], triangle[:, -1]
    )


def triangle_of(coordinates: Coordinates) -> NDArray[np.float64]:
    """R of ``[instrument, exog, endog]``, shape (m + k + 1, m + k + 1)."""
    return triangular_factor([coordinates.instrument, coordinates.exog, coordinates.endog])


def means_and_sds(
    coordinates: Coordinates, columns: NDArray[np.float64], n_rows: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means and standard deviations (ddof 0) of columns given in these coordinates.

    The first coordinate lies along the column of ones, so the others are deviations from means.
    """
    means = columns[0] / coordinates.ones[0]
    sds = np.linalg.norm(columns[1:], axis=0) / np.sqrt(n_rows)
    return means, sds


def constant_combination(coordinates: Coordinates) -> NDArray[np.float64] | None:
    """Return a, shape (k,), with ``exog @ a == 1``, or None if there is none.

    `exog` must have full column rank.
    """
    k = coordinates.exog.shape[1]
    found = _combination_of(coordinates.ones, coordinates.exog)
    if found is None:
        return None
    combination = np.zeros(k)
    combination[list(found.sources)] = found.coefficients
    whole = np.round(combination)
    return np.where(np.abs(combination - whole) < 1e-12, whole, combination)


def _combination_of(column: NDArray[np.float64], columns: NDArray[np.float64]) -> Dependence | None:
    k = columns.shape[1]
    stacked = np.column_stack([columns, column])
    found = dependent_columns(stacked, [""] * (k + 1))
    return found[-1] if found and found[-1].column == k else None


def outside_span(
    columns: NDArray[np.float64],
    span: NDArray[np.float64],
    tolerance: float = DEPENDENCE_TOLERANCE,
) -> tuple[int, ...]:
    """Positions of the columns that are not combinations of the columns of `span`."""
    basis = orthonormal_basis(span)
    left_over = columns - basis @ (basis.T @ columns)
    left_over -= basis @ (basis.T @ left_over)
    lengths = np.linalg.norm(columns, axis=0)
    outside = np.linalg.norm(left_over, axis=0) > tolerance * lengths
    return tuple(int(position) for position in np.flatnonzero(outside))


def orthonormal_basis(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthonormal basis of columns of full rank; they may differ in scale."""
    lengths = np.linalg.norm(columns, axis=0)
    return np.linalg.qr(columns / np.where(lengths > 0, lengths, 1.0))[0]


def excluded_instruments(coordinates: Coordinates, exogenous: tuple[int, ...]) -> tuple[int, ...]:
    """Positions of the instruments that add to the span of the exogenous regressors.

    The earliest are taken first; with the exogenous regressors they span `instrument`.
    """
    k = len(exogenous)
    m = coordinates.instrument.shape[1]
    stacked = np.hstack([coordinates.exog[:, list(exogenous)], coordinates.instrument])
    inside = {found.column - k for found in dependent_columns(stacked, [""] * (k + m))}
    return tuple(position for position in range(m) if position not in inside)


def unmoved_regressors(
    coordinates: Coordinates,
    exogenous: tuple[int, ...],
    endogenous: tuple[int, ...],
    names: tuple[str, ...],
) -> list[Dependence]:
    """Endogenous regressors that the instruments do not move on their own.

    What the instruments explain of each, beyond the exogenous regressors, must not be zero nor
    a combination of what they explain of earlier ones; otherwise ``Z'X`` is short of rank.

    Returns
    -------
    list of Dependence
        Positions count within `endogenous`; empty sources mean that nothing is explained.
    """
    basis = orthonormal_basis(coordinates.instrument)
    columns = coordinates.exog[:, list(endogenous)]
    lengths = np.linalg.norm(columns, axis=0)
    if exogenous:
        included = orthonormal_basis(coordinates.exog[:, list(exogenous)])
        columns = columns - included @ (included.T @ columns)
        columns -= included @ (included.T @ columns)
    moved = basis.T @ columns
    # A remainder within the rounding of the whole column is no movement at all.
    floor = np.maximum(
        ROUNDING_SHARE * lengths, DEPENDENCE_TOLERANCE * np.linalg.norm(columns, axis=0)
    )
    moved[:, np.linalg.norm(moved, axis=0) <= floor] = 0.0
    return dependent_columns(moved, [names[position] for position in endogenous])
