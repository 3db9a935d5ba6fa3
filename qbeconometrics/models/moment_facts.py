"""What a statistic says of itself."""

from __future__ import annotations

from qbeconometrics.exceptions import InputError
from qbeconometrics.models.moment_blocks import BlockReader, FormulaReader, Names
from qbeconometrics.models.moment_collecting import Collected
from qbeconometrics.moments.covariance import CovarianceRule


class MomentFacts:
    """A part of `LinearMoments`; not used directly."""

    rule: CovarianceRule
    _reader: BlockReader
    _collected: Collected

    @property
    def nobs(self) -> int:
        """Rows that were added up."""
        return self._collected.n

    @property
    def n_dropped(self) -> int:
        """Rows left out because of missing values."""
        return self._collected.n_read - self.nobs

    @property
    def unfinished(self) -> int:
        """Rows of the source that was being read when it was interrupted; 0 if none was."""
        return self._collected.unfinished

    @property
    def cov_type(self) -> str:
        """What the sums are for."""
        return self.rule.cov_type

    @property
    def formula(self) -> str | None:
        """The formula, if there is one."""
        return self._reader.formula if isinstance(self._reader, FormulaReader) else None

    @property
    def names(self) -> Names:
        """Names of the columns; an error before the first block."""
        if self._reader.names is None:
            raise InputError("No block was seen yet, so the columns are not known. Call update.")
        return self._reader.names

    def __repr__(self) -> str:
        what = self.formula or "arrays"
        return f"<LinearMoments: {what!r}, cov_type={self.cov_type!r}, {self.nobs:,} rows>"
