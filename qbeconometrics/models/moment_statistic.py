"""The statistic of linear moments, added up from blocks of data of any size."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import patsy
from numpy.typing import ArrayLike

from qbeconometrics.exceptions import (
    InputError,
    OptionError,
    check_choice,
    refuse_unknown_keywords,
)
from qbeconometrics.inputs.compressed_rows import compressed_rows
from qbeconometrics.inputs.sources import block_length, blocks_of, can_be_read_again
from qbeconometrics.models.fit_options import whole_number
from qbeconometrics.models.moment_blocks import (
    ArrayReader,
    FormulaReader,
)
from qbeconometrics.models.moment_collecting import Collected, groups_of_block
from qbeconometrics.models.moment_facts import MomentFacts
from qbeconometrics.models.moment_rule import HC_TYPES, same_sums, streaming_rule
from qbeconometrics.models.moment_sources import BLOCK_ROWS, read_source
from qbeconometrics.models.stored_moments import StoredMoments
from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.moments.cells import CellMoments
from qbeconometrics.moments.running import RunningMoments, WaitingRows, move

MISSING_CHOICES = ("drop", "raise", "none")
KEYWORDS = (
    "formula",
    "cov_type",
    "cov_kwds",
    "missing",
    "eval_env",
    "endog_name",
    "exog_names",
    "instrument_names",
    "compress",
)


class LinearMoments(MomentFacts, StoredMoments):
    """Sums over rows that carry all that a quasi-posterior of linear moments needs.

    Blocks of rows are added one by one and forgotten; statistics of different rows are merged. The
    size does not depend on the number of rows: (k + 1)(k + 2)/2 times m (m + 1)/2 numbers for k
    coefficients and m instruments, and with clusters (k + 1) m for each cluster.

    Parameters
    ----------
    formula : str, optional
        As for `QuasiBayesIV.from_formula`; blocks are then DataFrames. Without it they are tuples
        (endog, exog) or (endog, exog, instrument) of arrays.
    cov_type : {"HC0", "HC1", "nonrobust", "HAC", "cluster"}
        What the sums are for. Those for "HC0" serve "HC1" and "nonrobust" too; those for
        "nonrobust" are fewer.
    cov_kwds : dict, optional
        "centered"; for "HAC" "kernel" ("bartlett" or "parzen") and "maxlags", a number; for
        "cluster" "groups", a column name (with a formula).
    missing : {"drop", "raise", "none"}, optional
        What to do with rows that have missing values; by default "drop" with a formula and "none",
        which raises, without.
    eval_env : patsy.EvalEnvironment or int
        Where functions in the formula are looked up; 0 is the caller.
    endog_name, exog_names, instrument_names : optional
        Names, for blocks that are arrays.
    compress : bool
        Whether rows that share the values of all instruments are added up first. For designs of
        dummies: the size is then that of the number of combinations that occur, and adding a row
        costs next to nothing. Needs a formula with brackets.

    Notes
    -----
    Columns of a formula are fixed by the first block, or by `learn`: a level of a category that
    comes later is an error, and so is a term that looks at other rows than its own. Sums are formed
    in coordinates that make the first rows orthonormal, chosen anew if later rows are unlike them,
    and keep the rounding of each addition: the statistic depends on the cuts between blocks, and on
    the order of merging, in the last digits only. For "HAC" blocks come in order of time.

    Examples
    --------
    >>> import qbeconometrics as qb
    >>> data = qb.datasets.load("card1995")
    >>> stat = qb.LinearMoments("lwage ~ exper + [educ ~ nearc4]")
    >>> for start in range(0, len(data), 1000):
    ...     stat = stat.update(data[start : start + 1000])
    >>> stat.nobs
    3010
    >>> model = qb.QuasiBayesIV.from_moments(stat)
    >>> model.exog_names
    ['Intercept', 'exper', 'educ']
    """

    def __init__(
        self,
        formula: str | None = None,
        cov_type: str = "HC0",
        cov_kwds: Mapping[str, Any] | None = None,
        missing: str | None = None,
        eval_env: patsy.EvalEnvironment | int = 0,
        endog_name: str | None = None,
        exog_names: Sequence[str] | None = None,
        instrument_names: Sequence[str] | None = None,
        compress: bool = False,
        **unknown: Any,
    ):
        refuse_unknown_keywords(unknown, KEYWORDS, "LinearMoments")
        self.rule = streaming_rule(cov_type, cov_kwds, by_name=formula is not None)
        if compress and (formula is None or self.rule.cov_type not in ("nonrobust", *HC_TYPES)):
            raise OptionError(
                "compress=True needs a formula, and rows that are independent: cov_type 'HC0', "
                "'HC1' or 'nonrobust'"
            )
        if missing is None:
            missing = "none" if formula is None else "drop"
        check_choice(missing, MISSING_CHOICES, "missing")
        if formula is None:
            self._reader = ArrayReader(
                missing,
                endog_name,
                None if exog_names is None else tuple(map(str, exog_names)),
                None if instrument_names is None else tuple(map(str, instrument_names)),
            )
        else:
            if not (endog_name is None and exog_names is None and instrument_names is None):
                raise OptionError("names are those of the formula; give one or the other")
            if not isinstance(eval_env, patsy.EvalEnvironment):
                eval_env = patsy.EvalEnvironment.capture(int(eval_env) + 1)
            self._reader = FormulaReader(formula, missing, eval_env, compress=compress)
        self._collected = Collected()

    @classmethod
    def from_arrays(
        cls,
        endog: ArrayLike,
        exog: ArrayLike,
        instrument: ArrayLike | None = None,
        cov_type: str = "HC0",
        cov_kwds: Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> LinearMoments:
        """Return the statistic of arrays, to which blocks of arrays can be added.

        Parameters
        ----------
        endog : array_like, shape (n,)
        exog : array_like, shape (n, k)
        instrument : array_like, shape (n, m), optional
        cov_type, cov_kwds
            As for the class; "groups" are those of these rows.
        **keywords
            "missing" and names.

        Examples
        --------
        >>> import numpy as np
        >>> import qbeconometrics as qb
        >>> rng = np.random.default_rng(0)
        >>> x = np.column_stack([np.ones(100), rng.standard_normal(100)])
        >>> qb.LinearMoments.from_arrays(x[:, 1] + rng.standard_normal(100), x).nobs
        100
        """
        options = dict(cov_kwds or {})
        groups = options.pop("groups", None)
        statistic = cls(None, cov_type, options or None, **keywords)
        return statistic.update((endog, exog, instrument), groups=groups)

    # -- what it holds ------------------------------------------------------------------------

    @property
    def moments(self) -> RunningMoments | CellMoments:
        """The sums; an error before the first block."""
        if self._collected.moments is None:
            raise InputError("No row was added yet. Call update, or merge another statistic.")
        moments = self._collected.moments
        return moments.started() if isinstance(moments, WaitingRows) else moments

    @property
    def centre(self) -> pd.Series:
        """Coefficients about whose residuals the sums are formed."""
        return pd.Series(self._running().basis.centre, index=list(self.names.exog))

    def _running(self) -> RunningMoments:
        moments = self.moments
        if isinstance(moments, CellMoments):
            raise OptionError("compress=True keeps sums that have no centre; any can be had later")
        return moments

    # -- adding -------------------------------------------------------------------------------

    def learn(self, source: Any, *, block_rows: int = BLOCK_ROWS) -> LinearMoments:
        """Fix the columns of the formula by a look at all blocks, adding none.

        Needed where categories have levels that the first block does not show, or where
        transformations learn from the data, such as ``center(x)``.

        Parameters
        ----------
        source
            As for `update_from`, but not an iterator, which can be read only once.
        block_rows : int
            Rows that are read at a time.

        Returns
        -------
        LinearMoments
            Itself.
        """
        if not isinstance(self._reader, FormulaReader):
            raise OptionError("arrays have nothing to learn; `learn` is for formulas")
        if self._reader.columns is not None:
            raise OptionError("the columns are fixed already; call `learn` before `update`")
        if not can_be_read_again(source):
            raise InputError(
                "an iterator can be read only once, and `learn` adds no row; give a callable that "
                "returns one, or a path"
            )
        wanted = self._reader.data_names()
        self._reader = self._reader.learnt(
            lambda: blocks_of(source, block_rows=block_rows, columns=wanted)
        )
        return self

    def update(self, block: Any, groups: Any = None) -> LinearMoments:
        """Add a block of rows; it counts wholly, or not at all if this is interrupted.

        Parameters
        ----------
        block : DataFrame, dict of columns, or tuple of arrays
        groups : array_like, optional
            Clusters of the rows, for blocks that are arrays.

        Returns
        -------
        LinearMoments
            Itself.

        Raises
        ------
        FormulaError, InputError
            If the block cannot be used; the statistic is then as before.
        """
        return self._update(block, groups, of_source=False)

    def _update(self, block: Any, groups: Any, *, of_source: bool) -> LinearMoments:
        length = block_length(block)
        reader, after = self._reader, replace(self._collected)
        if length:
            reader = reader.prepared(block)
            groups = groups_of_block(self.rule, groups)
            if isinstance(reader, FormulaReader) and reader.compress:
                assert reader.columns is not None
                cells = compressed_rows(reader.columns, block, reader.missing)
                after = after.with_cells(cells, length)
            else:
                after = after.with_block(reader.read(block, groups), length, self.rule)
        if of_source:
            after = replace(after, unfinished=after.unfinished + length)
        self._reader = reader
        self._collected = after
        return self

    def update_from(
        self,
        source: Any,
        *,
        block_rows: int = BLOCK_ROWS,
        groups: Any = None,
        resume: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        progressbar: bool | None = None,
    ) -> LinearMoments:
        """Add all rows of a source, block by block.

        Parameters
        ----------
        source
            A path (.csv, perhaps compressed, or .parquet, with pyarrow), a DataFrame, a tuple of
            arrays or memory maps, an iterable of blocks, a callable that returns one, or a Dask
            DataFrame, whose partitions are added up by its workers.
        block_rows : int
            Rows in memory at a time.
        groups : array, optional
            Clusters of the rows, for arrays.
        resume : bool
            Whether to leave out the rows that were added before an interruption.
        checkpoint : path, optional
            File to save to twice a minute, on interruption, and at the end.
        progressbar : bool, optional
            None shows a bar on terminals if it takes longer than a second.

        Returns
        -------
        LinearMoments
            Itself. After Ctrl-C it holds whole blocks, and `unfinished` says how many rows.

        Raises
        ------
        InputError
            If an earlier source was not read to the end and `resume` is false.

        Warns
        -----
        InterruptedWarning
        """
        if self.unfinished and not resume:
            raise InputError(
                f"an earlier source was left after {self.unfinished:,} rows. Give it again with "
                "resume=True, or accept what was read with close_source()."
            )
        return read_source(
            self,
            source,
            block_rows=whole_number(block_rows, "block_rows", minimum=1),
            groups=groups,
            checkpoint=checkpoint,
            progressbar=progressbar,
        )

    def close_source(self) -> LinearMoments:
        """Take what was read of an interrupted source as all of it."""
        self._collected = replace(self._collected, unfinished=0)
        return self

    def merge(self, other: LinearMoments) -> LinearMoments:
        """Add the rows of another statistic; for "HAC" they follow in time.

        Raises
        ------
        InputError, OptionError
            If its columns or its covariance are others.
        """
        if not isinstance(other, LinearMoments):
            raise InputError(f"merge takes a LinearMoments, not {type(other).__name__}")
        if other._reader.names is None:
            return self
        if self._reader.names is not None and self.names != other.names:
            raise InputError(
                f"cannot merge: the columns are others. Here: {self.names}; there: {other.names}."
            )
        mine, theirs = (getattr(one._reader, "compress", False) for one in (self, other))
        if mine != theirs or not same_sums(self.rule, other.rule):
            raise OptionError(
                f"cannot merge a statistic for cov_type={self.cov_type!r} with one for "
                f"{other.cov_type!r}, or of other cov_kwds or compress"
            )
        after = self._collected.merged(other._collected)
        if self._reader.names is None:
            self._reader = other._reader
        self._collected = after
        return self

    def shift(self, centre: ArrayLike) -> LinearMoments:
        """Form the sums about the residuals of other coefficients, exactly, without the rows.

        Parameters
        ----------
        centre : array_like, shape (k,)
            A Series is matched by label.
        """
        names = list(self.names.exog)
        if isinstance(centre, pd.Series):
            if set(centre.index) != set(names):
                raise InputError(f"centre must be labelled by the coefficients: {', '.join(names)}")
            centre = centre[names]
        values = np.asarray(centre, dtype=np.float64)
        if values.shape != (len(names),) or not np.isfinite(values).all():
            raise InputError(f"centre must be {len(names)} finite numbers, one a coefficient")
        moments = self._running()
        basis = moments.basis
        moved = MomentBasis(values, basis.regressor_map, basis.instrument_map)
        self._collected = replace(self._collected, moments=move(moments, moved))
        return self
