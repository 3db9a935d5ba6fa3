"""The statistic of linear moments while rows still come in: blocks are added, statistics merged.

The sums are those of `linear`, in coordinates chosen from the first rows (`pilot`), for [1, z] and
[1, w]. Nothing here is changed in place: an addition that is interrupted leaves what there was.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from qbeconometrics.exceptions import InputError
from qbeconometrics.inputs.spans import Coordinates
from qbeconometrics.moments.basis import MomentBasis, basis_change, inverse_map
from qbeconometrics.moments.block_sums import BlockSums, Rows, block_sums
from qbeconometrics.moments.compensated import CompensatedSum
from qbeconometrics.moments.linear import (
    LinearMomentStatistic,
    change_basis,
    change_fourth,
    unpack_symmetric,
)
from qbeconometrics.moments.pair_sums import ClusterSums, PairSums, SerialSums
from qbeconometrics.moments.pilot import (
    PILOT_ROWS,
    PILOT_ROWS_PER_COLUMN,
    basis_of_products,
    compose,
    is_ill_conditioned,
    pilot_basis,
    semidefinite_factor,
)
from qbeconometrics.moments.suspects import Suspects

FloatArray = NDArray[np.float64]


# Share of the residuals' variance that the regressors may explain before they are taken anew.
LARGEST_R2 = 0.5


@dataclass(frozen=True, slots=True)
class RunningMoments:
    """Sums over the rows so far, in the coordinates of `basis`.

    Attributes
    ----------
    basis : MomentBasis
    n : int
    cross : CompensatedSum, shape (m + 1, k + 2)
        Sum of [1, z] [1, w]'.
    instrument_product : CompensatedSum, shape (m (m + 1)/2,)
        Sum of z z', packed by rows of the lower triangle.
    row_product : CompensatedSum, shape ((k + 1)(k + 2)/2,)
        Sum of w w', packed.
    fourth : CompensatedSum or None
        As in `LinearMomentStatistic`, for rows that are independent.
    pairs : PairSums or None
        Sums over pairs of rows that may be correlated.
    suspects : Suspects
        Rows that may have leverage 1.
    next_check : int
        Rows at which the coordinates are looked at again.
    """

    basis: MomentBasis
    n: int
    cross: CompensatedSum
    instrument_product: CompensatedSum
    row_product: CompensatedSum
    fourth: CompensatedSum | None
    pairs: PairSums | None
    suspects: Suspects
    next_check: int = field(default=0)

    @property
    def k(self) -> int:
        """Number of coefficients."""
        return len(self.basis.centre)

    @property
    def m(self) -> int:
        """Number of moments."""
        return len(self.basis.instrument_map)


@dataclass(frozen=True, slots=True)
class SumsWanted:
    """Which sums are formed.

    Attributes
    ----------
    with_fourth : bool
        Whether S is to be formed as for independent rows away from the first-step estimate.
    lags : ndarray, shape (L + 1,), or None
        Weights of pairs of rows by their distance in time.
    clustered : bool
        Whether rows come with clusters.
    """

    with_fourth: bool
    lags: FloatArray | None = None
    clustered: bool = False


@dataclass(frozen=True, slots=True)
class WaitingRows:
    """The first rows, while they are too few to choose coordinates from.

    Attributes
    ----------
    wanted : SumsWanted
    rows : Rows
    positions : ndarray of int, shape (n,)
    """

    wanted: SumsWanted
    rows: Rows
    positions: NDArray[np.int64]

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.positions)

    def with_rows(self, rows: Rows, positions: NDArray[np.int64]) -> Sums:
        """Return the rows with more rows, or their sums once they are enough."""
        together = WaitingRows(
            self.wanted,
            self.rows.followed_by(rows),
            np.concatenate([self.positions, positions]),
        )
        columns = rows.exog.shape[1] + rows.instrument.shape[1] + 2
        return together.started() if together.n >= PILOT_ROWS_PER_COLUMN * columns else together

    def started(self, basis: MomentBasis | None = None) -> RunningMoments:
        """Return the sums of the rows, in coordinates that they choose if none are given."""
        if basis is None:
            some = self.rows.part(slice(None, None, 1 + (self.n - 1) // PILOT_ROWS))
            basis = pilot_basis(some.endog, some.exog, some.instrument)
        k, m = self.rows.exog.shape[1], self.rows.instrument.shape[1]
        pairs, packed = (k + 1) * (k + 2) // 2, m * (m + 1) // 2
        sums: PairSums | None = None
        if self.wanted.lags is not None:
            sums = SerialSums.nothing(self.wanted.lags, k, m)
        elif self.wanted.clustered:
            sums = ClusterSums.nothing(k, m)
        nothing = RunningMoments(
            basis,
            0,
            CompensatedSum.zeros((m + 1, k + 2)),
            CompensatedSum.zeros(packed),
            CompensatedSum.zeros(pairs),
            CompensatedSum.zeros((pairs, packed)) if self.wanted.with_fourth else None,
            sums,
            Suspects.nobody(k, m),
        )
        return _added(replace(nothing, next_check=2 * self.n), self.rows, self.positions)


Sums = RunningMoments | WaitingRows


def start_moments(rows: Rows, position: int, wanted: SumsWanted) -> Sums:
    """Return the sums of a first block."""
    none = rows.part(slice(0, 0))
    return WaitingRows(wanted, none, np.empty(0, dtype=np.int64)).with_rows(
        rows, np.arange(position, position + len(rows.endog))
    )


def add_rows(sums: Sums, rows: Rows, position: int) -> Sums:
    """Return the sums with a block of rows, of which the first is at `position` in the data."""
    n = len(rows.endog)
    if n == 0:
        return sums
    if isinstance(sums, WaitingRows):
        return sums.with_rows(rows, np.arange(position, position + n))
    return _added(sums, rows, position)


def _added(
    moments: RunningMoments, rows: Rows, positions: NDArray[np.int64] | int
) -> RunningMoments:
    moments = settle(moments, rows)
    total = block_sums(rows, moments.basis, with_fourth=moments.fourth is not None)
    added = _with_sums(moments, total, len(rows.endog))
    if moments.pairs is not None:
        added = replace(added, pairs=moments.pairs.add(rows, moments.basis))
    product = unpack_symmetric(added.instrument_product.value, added.m)
    suspects = added.suspects.add(
        rows, total.lengths, positions, basis=added.basis, instrument_product=product
    )
    return replace(added, suspects=suspects)


def _with_sums(moments: RunningMoments, total: BlockSums, n: int) -> RunningMoments:
    fourth = moments.fourth
    if fourth is not None and total.fourth is not None:
        fourth = fourth.merge(total.fourth)
    return replace(
        moments,
        n=moments.n + n,
        cross=moments.cross.merge(total.cross),
        instrument_product=moments.instrument_product.merge(total.instrument_product),
        row_product=moments.row_product.merge(total.row_product),
        fourth=fourth,
    )


def merge_moments(first: Sums, second: Sums, offset: int) -> Sums:
    """Return the sums over the rows of both.

    Rows of `second` come later in time, and `offset` rows after those of `first` in the data.

    Raises
    ------
    InputError
        If the numbers of columns differ.
    """
    shapes = [_columns(sums) for sums in (first, second)]
    if shapes[0] != shapes[1]:
        raise InputError(
            f"cannot merge a statistic of {shapes[0][0]} regressors and {shapes[0][1]} instruments "
            f"with one of {shapes[1][0]} and {shapes[1][1]}"
        )
    if isinstance(second, WaitingRows):
        positions = second.positions + offset
        if isinstance(first, WaitingRows):
            return first.with_rows(second.rows, positions)
        return _added(first, second.rows, positions)
    if isinstance(first, WaitingRows):
        first = first.started(second.basis)
    return _merged(first, second, offset)


def _columns(sums: Sums) -> tuple[int, int]:
    if isinstance(sums, WaitingRows):
        return sums.rows.exog.shape[1], sums.rows.instrument.shape[1]
    return sums.k, sums.m


def _merged(first: RunningMoments, second: RunningMoments, offset: int) -> RunningMoments:
    if first.n < second.n:
        # The coordinates of more rows are the better ones.
        first = move(first, second.basis)
    else:
        second = move(second, first.basis)
    fourth = first.fourth
    if fourth is not None and second.fourth is not None:
        fourth = fourth.merge(second.fourth)
    pairs = first.pairs
    if isinstance(pairs, SerialSums) and isinstance(second.pairs, SerialSums):
        pairs = pairs.merge(second.pairs, first.basis)
    elif isinstance(pairs, ClusterSums) and isinstance(second.pairs, ClusterSums):
        pairs = pairs.merge(second.pairs)
    merged = replace(
        first,
        n=first.n + second.n,
        cross=first.cross.merge(second.cross),
        instrument_product=first.instrument_product.merge(second.instrument_product),
        row_product=first.row_product.merge(second.row_product),
        fourth=fourth,
        pairs=pairs,
        next_check=max(first.next_check, second.next_check),
    )
    product = unpack_symmetric(merged.instrument_product.value, merged.m)
    others = second.suspects.later(offset)
    suspects = first.suspects.merge(others, basis=merged.basis, instrument_product=product)
    return settle(replace(merged, suspects=suspects))


def settle(moments: RunningMoments, coming: Rows | None = None) -> RunningMoments:
    """Choose the coordinates again if they do not suit the rows so far and those that are coming.

    Looked at before the rows double, and at the end.
    """
    n, ahead = moments.n, 0 if coming is None else len(coming.endog)
    if coming is not None and n + ahead < moments.next_check:
        return moments
    row_product = unpack_symmetric(moments.row_product.value, moments.k + 1)
    product = unpack_symmetric(moments.instrument_product.value, moments.m)
    if coming is not None:
        moments = replace(moments, next_check=2 * (n + ahead))
        # A few rows of the block, far apart, stand for all of it.
        step = 1 + (ahead - 1) // PILOT_ROWS
        some = block_sums(coming.part(slice(None, None, step)), moments.basis, with_fourth=False)
        row_product = row_product + step * unpack_symmetric(some.row_product.value, moments.k + 1)
        product = product + step * unpack_symmetric(some.instrument_product.value, moments.m)
    if not (is_ill_conditioned(row_product[1:, 1:]) or is_ill_conditioned(product)):
        spread = row_product[0, 0] * np.trace(row_product[1:, 1:]) / moments.k
        if row_product[0, 1:] @ row_product[0, 1:] <= LARGEST_R2 * spread:
            return moments
    further = basis_of_products(row_product, product, n + ahead)
    return move(moments, compose(moments.basis, further))


def move(moments: RunningMoments, basis: MomentBasis) -> RunningMoments:
    """Return the same sums in another basis: an exact linear map, without the rows."""
    if basis is moments.basis:
        return moments
    rows, columns = basis_change(moments.basis, basis)
    k, m = moments.k, moments.m
    wide, tall = block_diag(1.0, rows), block_diag(1.0, columns)
    return replace(
        moments,
        basis=basis,
        cross=moments.cross.map(lambda sums: tall.T @ sums @ wide),
        instrument_product=moments.instrument_product.map(
            lambda packed: _congruence(packed, columns, m)
        ),
        row_product=moments.row_product.map(lambda packed: _congruence(packed, rows, k + 1)),
        fourth=None
        if moments.fourth is None
        else moments.fourth.map(lambda fourth: change_fourth(fourth, rows, columns)),
        pairs=None if moments.pairs is None else moments.pairs.move(rows, columns),
    )


def _congruence(packed: FloatArray, change: FloatArray, order: int) -> FloatArray:
    moved = change.T @ unpack_symmetric(packed, order) @ change
    row, column = np.tril_indices(order)
    return np.ascontiguousarray(moved[row, column])


def column_coordinates(moments: RunningMoments) -> Coordinates:
    """Return the columns of the data in orthonormal coordinates, the ones first."""
    k, m = moments.k, moments.m
    basis, cross = moments.basis, moments.cross.value
    product = np.empty((m + k + 2, m + k + 2))
    product[: m + 1, m + 1 :] = cross[:, 1:]
    product[m + 1 :, : m + 1] = cross[:, 1:].T
    product[0, : m + 1] = product[: m + 1, 0] = cross[:, 0]
    product[1 : m + 1, 1 : m + 1] = unpack_symmetric(moments.instrument_product.value, m)
    product[m + 1 :, m + 1 :] = unpack_symmetric(moments.row_product.value, k + 1)
    # The residuals come last, since they are what the regressors leave over.
    order = [*range(m + 1), *range(m + 2, m + k + 2), m + 1]
    factor = semidefinite_factor(product[np.ix_(order, order)])
    exog = factor[:, m + 1 : -1] @ inverse_map(basis.regressor_map)
    return Coordinates(
        ones=factor[:, 0],
        instrument=factor[:, 1 : m + 1] @ inverse_map(basis.instrument_map),
        exog=exog,
        endog=factor[:, -1] + exog @ basis.centre,
    )


def finished_statistic(moments: RunningMoments, basis: MomentBasis) -> LinearMomentStatistic:
    """Return the statistic of all rows in the basis that a fit works in."""
    k, m = moments.k, moments.m
    cross = moments.cross.value
    fourth = None if moments.fourth is None else moments.fourth.value
    dependence, weighted_cross, weight_total = None, None, None
    if moments.pairs is not None:
        fourth, weighted_cross, weight_total = moments.pairs.totals(k, m)
        dependence = moments.pairs.cov_type
    statistic = LinearMomentStatistic(
        moments.basis,
        moments.n,
        cross[1:, 1:],
        unpack_symmetric(moments.instrument_product.value, m),
        unpack_symmetric(moments.row_product.value, k + 1),
        cross[0, 1:],
        None,
        fourth,
        dependence,
        weighted_cross,
        weight_total,
    )
    return change_basis(statistic, basis)
