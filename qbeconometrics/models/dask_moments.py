"""The statistic of a Dask DataFrame: one for each partition, merged in a tree on the workers."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd

from qbeconometrics.exceptions import InputError, MissingExtraError
from qbeconometrics.inputs.block_formula import has_categories_or_states, representative_rows
from qbeconometrics.models.moment_blocks import FormulaReader
from qbeconometrics.sampling.progress import ProgressDisplay

if TYPE_CHECKING:
    from qbeconometrics.models.moment_statistic import LinearMoments


def add_partitions(
    statistic: LinearMoments,
    frame: Any,
    *,
    checkpoint: str | os.PathLike[str] | None,
    progressbar: bool | None,
) -> LinearMoments:
    """Add all rows of a Dask DataFrame, on its scheduler; see `LinearMoments.update_from`.

    A partition that is lost with a worker is computed again, and the tree is fixed, so that the
    result has the same bits whichever worker does what.
    """
    reader = statistic._reader
    if not isinstance(reader, FormulaReader):
        raise InputError("a Dask DataFrame needs a formula: LinearMoments('y ~ x + [d ~ z]')")
    wanted = set(reader.data_names())
    if isinstance(statistic.rule.groups, str):
        wanted.add(statistic.rule.groups)
    columns = [name for name in frame.columns if name in wanted]
    partitions = frame[columns].to_delayed()
    if reader.columns is None:
        statistic._reader = _learnt(reader, partitions)
    blank = copy.copy(statistic)
    blank._collected = type(statistic._collected)()
    total = _tree(
        lambda block: _added(blank, block),
        _merged,
        partitions,
        progressbar=progressbar,
        description="moments",
    )
    statistic.merge(total)
    if checkpoint is not None:
        statistic.save(checkpoint)
    return statistic


def _added(blank: LinearMoments, block: pd.DataFrame) -> LinearMoments:
    return copy.copy(blank).update(block)


def _merged(first: LinearMoments, second: LinearMoments) -> LinearMoments:
    # The state is replaced, never changed, so that a shallow copy protects the first.
    return copy.copy(first).merge(second)


def _learnt(reader: FormulaReader, partitions: list[Any]) -> FormulaReader:
    """Fix the columns from the first partition or, where levels matter, from all of them."""
    dask = _dask()
    first = next((f for f in (dask.compute(part)[0] for part in partitions) if len(f)), None)
    if first is None:
        raise InputError("The Dask DataFrame has no rows.")
    learnt = reader.prepared(first)
    assert learnt.columns is not None
    if not has_categories_or_states(learnt.columns):
        return learnt
    learnt.describe()  # refuses what cannot be sent to workers
    formula, missing = reader.formula, reader.missing
    rows = _tree(
        lambda block: representative_rows(formula, block, missing),
        lambda one, two: representative_rows(formula, pd.concat([one, two]), missing),
        partitions,
        progressbar=False,
        description="levels",
    )
    return reader.learnt(lambda: iter([rows]))


def _tree(
    leaf: Callable[[Any], Any],
    join: Callable[[Any, Any], Any],
    partitions: list[Any],
    *,
    progressbar: bool | None,
    description: str,
) -> Any:
    """Apply `leaf` to each partition and `join` to neighbours until one is left."""
    client = _client()
    with ProgressDisplay(len(partitions), progressbar, description, unit="partition") as progress:
        if client is None:
            return _tree_of_delayed(leaf, join, partitions, progress)
        from distributed import as_completed

        delayed = _dask().delayed(leaf, pure=False)
        level = client.compute([delayed(part) for part in partitions])
        try:
            for _ in as_completed(level):
                progress.update(1)
            while len(level) > 1:
                pairs = zip(level[::2], level[1::2], strict=False)
                joined = [client.submit(join, one, two, pure=False) for one, two in pairs]
                level = joined + level[len(level) - len(level) % 2 :]
            return level[0].result()
        except KeyboardInterrupt:
            client.cancel(level)
            raise


def _tree_of_delayed(
    leaf: Callable[[Any], Any],
    join: Callable[[Any, Any], Any],
    partitions: list[Any],
    progress: ProgressDisplay,
) -> Any:
    dask = _dask()

    def counted(block: Any) -> Any:
        found = leaf(block)
        progress.update(1)
        return found

    level = [dask.delayed(counted, pure=False)(part) for part in partitions]
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        joined = [dask.delayed(join, pure=False)(one, two) for one, two in pairs]
        level = joined + level[len(level) - len(level) % 2 :]
    # Threads of this process, unless the user has chosen another scheduler.
    return dask.compute(level[0])[0]


def _dask() -> Any:
    try:
        import dask
    except ImportError as error:
        raise MissingExtraError(
            "Dask is not installed: pip install 'qbeconometrics[dask]'"
        ) from error
    return dask


def _client() -> Any:
    """Return the user's distributed client, if there is one."""
    try:
        from distributed import get_client
    except ImportError:
        return None
    try:
        return get_client()
    except ValueError:
        return None
