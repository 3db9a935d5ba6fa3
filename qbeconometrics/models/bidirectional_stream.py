"""Streams of two variables that move each other: rows in, estimates out, saved and resumed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import patsy
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.exceptions import InputError, InterruptedWarning, OptionError, StorageError
from qbeconometrics.inputs.outcome_pair import (
    PairFormula,
    PairNames,
    PairRows,
    learn_pair,
    read_pair,
    rebuild_pair,
)
from qbeconometrics.inputs.sources import blocks_of, source_length
from qbeconometrics.models.bidirectional_record import check_cov_type, stream_record
from qbeconometrics.models.fit_options import whole_number
from qbeconometrics.online.stream import push
from qbeconometrics.online.stream_state import (
    StreamOptions,
    StreamState,
    copied_state,
    new_state,
    restored_state,
    state_arrays,
)
from qbeconometrics.results.array_file import read_arrays, write_arrays
from qbeconometrics.results.bidirectional_results import OnlineBidirectionalResults
from qbeconometrics.sampling.progress import ProgressDisplay

FloatArray = NDArray[np.float64]

BLOCK_ROWS = 50_000
KIND, VERSION = "OnlineBidirectional", 1


class BidirectionalStream:
    """A part of `OnlineBidirectional`; not used directly."""

    rng: Any
    _formula: str | None
    _columns: PairFormula | None
    _state: StreamState | None
    _names: PairNames | None
    _begun: StreamOptions | None

    def _begin(self, missing: str, env: Any) -> None:
        """Wait for the first row."""
        self._missing, self._env = missing, env
        self._columns = self._begun = None
        self._forget()

    def _forget(self) -> None:
        """Be a stream without rows."""
        self._state = self._names = None
        self._n_dropped = 0

    def _options(self) -> StreamOptions:
        raise NotImplementedError

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments."""
        raise NotImplementedError

    @property
    def n_rows_(self) -> int:
        """Rows that `partial_fit` has taken, without those that were dropped."""
        return 0 if self._state is None else self._state.rows_read

    def partial_fit(self, y1: Any, y2: ArrayLike | None = None, x: ArrayLike | None = None) -> Self:
        """Learn from the next rows of a stream.

        Parameters
        ----------
        y1, y2 : array_like, shape (n,)
            Of any length. With a formula `y1` is a data frame, and `y2` and `x` are left out.
        x : array_like, shape (n, k)

        Returns
        -------
        OnlineBidirectional
            Itself.

        Raises
        ------
        InputError, FormulaError
            If the rows cannot be used; the stream is then as before. If a column does not vary over
            the first 1,000 rows, or an outcome is computed from another, these are forgotten.
        OptionError
            If an argument of the estimator was changed after the first row.
        """
        options = self._stream_options()
        rows = self._read(y1, y2, x, known=self._names)
        # Rows count as a whole or not at all, whatever interrupts.
        if self._state is None:
            state = new_state(options, len(rows.names.exog), rng=self.rng)
        else:
            state = copied_state(self._state)
        try:
            push(state, options, rows.values, names=rows.names.all)
        except InputError:
            self._forget()
            raise
        self._state, self._n_dropped = state, self._n_dropped + rows.n_dropped
        self._begun, self._names = options, rows.names
        self._show_names(rows.names)
        return self

    def partial_fit_from(
        self,
        source: Any,
        *,
        block_rows: int = BLOCK_ROWS,
        skip: int = 0,
        progressbar: bool | None = None,
    ) -> Self:
        """Learn from all rows of a source, block by block.

        Parameters
        ----------
        source
            A path (.csv, perhaps compressed, or .parquet, with pyarrow), a DataFrame, an iterable
            of blocks, or a callable that returns one; without a formula blocks are tuples
            (y1, y2, x).
        block_rows : int
            Rows in memory at a time.
        skip : int
            Rows of the source that are left out, such as those read before an interruption.
        progressbar : bool, optional
            None shows a bar on terminals if it takes longer than a second.

        Returns
        -------
        OnlineBidirectional
            Itself. After Ctrl-C it holds whole blocks, and the warning says how many rows.

        Raises
        ------
        InputError, FormulaError

        Warns
        -----
        InterruptedWarning
        """
        first = whole_number(skip, "skip", minimum=0)
        before = self.n_rows_ + self._n_dropped
        try:
            with ProgressDisplay(source_length(source), progressbar, "stream", unit="row") as shown:
                shown.update(first)
                for block in self._blocks(source, block_rows, first):
                    held = self.n_rows_ + self._n_dropped
                    self.partial_fit(*block)
                    shown.update(self.n_rows_ + self._n_dropped - held)
        except KeyboardInterrupt:
            taken = first + self.n_rows_ + self._n_dropped - before
            warnings.warn(
                f"interrupted after {taken:,} rows of the source; give it again with skip={taken}",
                InterruptedWarning,
                stacklevel=2,
            )
        return self

    def result(self, cov_type: str = "HC0") -> OnlineBidirectionalResults:
        """Return what the stream says so far; it can go on afterwards.

        Parameters
        ----------
        cov_type : {"HC0", "nonrobust", "random-scaling"}
            Sandwich; the inverse information, which holds if squares of the two errors are
            uncorrelated given x; or random scaling (Lee, Liao, Seo and Shin 2022), for
            optimiser="sgd" with update="score" or "gradient".

        Returns
        -------
        OnlineBidirectionalResults

        Raises
        ------
        InputError
            If fewer than 1,000 rows have come.
        NumericalError
            If the heads have diverged, which a smaller learning rate prevents.
        OptionError

        Warns
        -----
        WeakIdentificationWarning
        """
        return self._stream_result(check_cov_type(cov_type, self._stream_options()), None)

    def second_pass(
        self, source: Any, *, cov_type: str = "HC0", block_rows: int = BLOCK_ROWS
    ) -> OnlineBidirectionalResults:
        """Return the estimate of a second pass over rows, with the stream's heads frozen.

        Parameters
        ----------
        source
            As for `partial_fit_from`; the rows that were learned from.
        cov_type : {"HC0", "nonrobust"}
        block_rows : int

        Returns
        -------
        OnlineBidirectionalResults
            Its moments average over all rows of the source. The heads have seen them, which is not
            negligible below some 100,000 rows; use `fit` there. The tests of identification are
            those of the stream.

        Raises
        ------
        InputError, FormulaError, OptionError

        Warns
        -----
        WeakIdentificationWarning
        """
        check_cov_type(cov_type, None)
        blocks = self._blocks(source, block_rows, 0)
        return self._stream_result(
            cov_type, (self._read(*block, known=self._names) for block in blocks)
        )

    def _stream_result(
        self, cov_type: str, second: Iterator[PairRows] | None
    ) -> OnlineBidirectionalResults:
        if self._state is None or self._names is None:
            raise InputError("no row has come; call partial_fit first")
        record = stream_record(
            self._state,
            self._stream_options(),
            names=self._names,
            formula=self._formula,
            cov_type=cov_type,
            n_dropped=self._n_dropped,
            second_pass=second,
        )
        results = OnlineBidirectionalResults(self, record)
        results.warn_if_unreliable()
        return results

    # -- rows ---------------------------------------------------------------------------------

    def _blocks(self, source: Any, block_rows: int, skip: int) -> Iterator[tuple[Any, ...]]:
        """Blocks of a source as arguments of `partial_fit`."""
        length = whole_number(block_rows, "block_rows", minimum=1)
        for block in blocks_of(source, block_rows=length, skip=skip):
            if self._formula is not None:
                yield (block,)
            elif isinstance(block, tuple) and len(block) == 3:
                yield block
            else:
                raise InputError(
                    f"blocks must be tuples (y1, y2, x), not {type(block).__name__}; build the "
                    "estimator with from_formula to read data frames and files"
                )

    def _read(
        self, y1: Any, y2: Any = None, x: Any = None, *, known: PairNames | None = None
    ) -> PairRows:
        """Check rows, which are a data frame if there is a formula."""
        if self._formula is None:
            if y1 is None or y2 is None or x is None:
                raise InputError("give y1, y2 and x, or build the estimator with from_formula")
            return read_pair(y1, y2, x, missing=self._missing, known=known)
        if y2 is not None or x is not None:
            raise InputError(f"give one data frame, which {self._formula!r} is read from")
        if self._columns is None:
            self._columns = learn_pair(self._formula, y1, self._env, self._missing)
        return self._columns.rows(y1, self._missing)

    def _stream_options(self) -> StreamOptions:
        """Options of the stream, which stay as they were at its first row.

        Raises
        ------
        OptionError
            If an attribute was changed since.
        """
        options = self._options()
        if self._state is not None and self._begun is not None and options != self._begun:
            raise OptionError(
                "the arguments of the estimator were changed after its stream had begun; set them "
                "back, or make a new estimator"
            )
        return options

    def _show_names(self, names: PairNames) -> None:
        self.n_features_in_ = len(names.exog)
        self.feature_names_in_ = np.array(names.exog, dtype=object)

    # -- files --------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the stream to a file, from which it goes on bit by bit.

        Parameters
        ----------
        path : str or path-like
            Replaced at once if it exists; numbers and JSON, no pickle.

        Raises
        ------
        InputError
            If no row has come.
        OptionError
            If the formula holds what it learnt from the data, such as the mean in ``center(x)``, or
            an argument of the estimator was changed after the first row.
        """
        if self._state is None or self._names is None:
            raise InputError("no row has come, so there is no stream to save")
        self._stream_options()
        parameters = {name: value for name, value in self.get_params().items() if name != "rng"}
        content = {
            "kind": KIND,
            "version": VERSION,
            "parameters": parameters,
            "names": [list(self._names.endog), list(self._names.exog)],
            "formula": None if self._columns is None else self._columns.describe(),
            "missing": self._missing,
            "n_dropped": self._n_dropped,
        }
        write_arrays(path, content, state_arrays(self._state))

    @classmethod
    def load(cls, path: str | os.PathLike[str], eval_env: patsy.EvalEnvironment | int = 0) -> Self:
        """Return the estimator whose stream was saved; it can go on.

        Parameters
        ----------
        path : str or path-like
        eval_env : patsy.EvalEnvironment or int
            Where functions in the formula are looked up; 0 is the caller.

        Raises
        ------
        StorageError
            If the file is torn, was changed, is another's, or was written by a later version.

        Notes
        -----
        Features are in the file; `rng`, which drew them, is not, and is None afterwards.
        """
        if not isinstance(eval_env, patsy.EvalEnvironment):
            eval_env = patsy.EvalEnvironment.capture(int(eval_env) + 1)
        content, arrays = read_arrays(path)
        try:
            if content.get("kind") != KIND:
                raise StorageError(f"{path} was not written by {KIND}.save; try qb.load")
            if content["version"] > VERSION:
                raise StorageError(f"{path} was written by a later version; update the package")
            found = cls(**content["parameters"])
            described = content["formula"]
            if described is not None:
                found._formula = str(described["formula"])
            found._begin(str(content["missing"]), eval_env)
            if described is not None:
                found._columns = rebuild_pair(described, eval_env)
            endog, exog = (tuple(map(str, names)) for names in content["names"])
            found._names = PairNames(endog, exog)
            found._show_names(found._names)
            found._begun = found._options()
            found._state = restored_state(found._begun, len(exog), arrays)
            found._n_dropped = int(content["n_dropped"])
        except StorageError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StorageError(f"{path} does not hold what a stream needs: {error!r}") from error
        return found
