"""What a statistic holds of the data, block after block."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError, OptionError
from qbeconometrics.inputs.compressed_rows import CompressedRows
from qbeconometrics.inputs.time_order import check_time_order
from qbeconometrics.models.moment_blocks import ReadBlock
from qbeconometrics.models.moment_rule import HC_TYPES, dates_of
from qbeconometrics.moments.cells import CellMoments, cells_of_rows, merge_cells
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.lag_windows import bandwidth_of_lags, lag_weights
from qbeconometrics.moments.running import (
    Sums,
    SumsWanted,
    add_rows,
    merge_moments,
    start_moments,
)


@dataclass(frozen=True, slots=True, eq=False)
class Collected:
    """Sums and counts; replaced as a whole, so that no block counts by half.

    Attributes
    ----------
    moments : RunningMoments, WaitingRows, CellMoments or None
        None before the first row.
    n_read : int
        Rows that were looked at, those with missing values among them.
    unfinished : int
        Rows of the source that is being read; 0 between sources.
    dates : tuple of str, or None
        Of the first and the last row, where blocks have to be in order of time and have dates.
    """

    moments: Sums | CellMoments | None = None
    n_read: int = 0
    unfinished: int = 0
    dates: tuple[str, str] | None = None

    @property
    def n(self) -> int:
        """Rows that were added up."""
        return 0 if self.moments is None else self.moments.n

    def with_block(self, read: ReadBlock, length: int, rule: CovarianceRule) -> Collected:
        """Return what is held after a block of so many rows."""
        dates = self.dates
        if rule.cov_type == "HAC":
            check_time_order(read.labels, read.kept)
            dates = _followed(dates, dates_of(read.labels))
            if read.kept is not None and not (read.kept[0] and read.kept[-1]):
                raise InputError(
                    "cov_type='HAC' needs rows without gaps, but a block begins or ends with rows "
                    "that have missing values. Drop them from the data first."
                )
        moments = self.moments
        assert not isinstance(moments, CellMoments)
        if len(read.rows.endog):
            moments = (
                start_moments(read.rows, self.n_read, _wanted(rule))
                if moments is None
                else add_rows(moments, read.rows, self.n_read)
            )
        return replace(self, moments=moments, n_read=self.n_read + length, dates=dates)

    def with_cells(self, read: CompressedRows, length: int) -> Collected:
        """Return what is held after a block whose rows were added up by cell."""
        cells = self.moments
        assert cells is None or isinstance(cells, CellMoments)
        if len(read.codes):
            more = cells_of_rows(
                read.codes,
                read.exogenous,
                read.instrument,
                read.values,
                self.n_read,
                None if cells is None else cells.offset,
            )
            cells = more if cells is None else merge_cells(cells, more, later=0)
        return replace(self, moments=cells, n_read=self.n_read + length)

    def merged(self, other: Collected) -> Collected:
        """Return what is held of the rows of both; those of `other` follow in time."""
        moments = other.moments if self.moments is None else self.moments
        mine, theirs = self.moments, other.moments
        if isinstance(mine, CellMoments) and isinstance(theirs, CellMoments):
            moments = merge_cells(mine, theirs, later=self.n_read)
        elif not (isinstance(mine, CellMoments | None) or isinstance(theirs, CellMoments | None)):
            moments = merge_moments(mine, theirs, offset=self.n_read)
        return replace(
            self,
            moments=moments,
            n_read=self.n_read + other.n_read,
            dates=_followed(self.dates, other.dates),
        )


def _wanted(rule: CovarianceRule) -> SumsWanted:
    lags: NDArray[np.float64] | None = None
    if rule.cov_type == "HAC":
        assert rule.kernel is not None
        assert isinstance(rule.maxlags, int)
        lags = lag_weights(
            rule.kernel, bandwidth_of_lags(rule.kernel, rule.maxlags), rule.maxlags + 1
        )
    return SumsWanted(rule.cov_type in HC_TYPES, lags, rule.cov_type == "cluster")


def _followed(
    before: tuple[str, str] | None, after: tuple[str, str] | None
) -> tuple[str, str] | None:
    if before is None or after is None:
        return before or after
    if after[0] <= before[1]:
        raise InputError(
            f"cov_type='HAC' needs blocks in order of time, but one that begins with the label "
            f"'{after[0]}' comes after one that ends with '{before[1]}'."
        )
    return before[0], after[1]


def groups_of_block(rule: CovarianceRule, groups: Any) -> Any:
    """Return the groups that a block is read with: those given, or the column of the rule."""
    if rule.cov_type != "cluster":
        if groups is not None:
            raise OptionError(f"groups do not go with cov_type={rule.cov_type!r}")
        return None
    groups = rule.groups if groups is None else groups
    if groups is None:
        raise OptionError("cov_type='cluster' needs the groups of each block of arrays")
    return groups
