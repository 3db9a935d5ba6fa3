"""Reading a source to its end, or until it is interrupted."""

from __future__ import annotations

import os
import time
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qbeconometrics.exceptions import InterruptedWarning, OptionError
from qbeconometrics.inputs.sources import blocks_of, source_length
from qbeconometrics.models.moment_blocks import FormulaReader
from qbeconometrics.sampling.progress import ProgressDisplay

if TYPE_CHECKING:
    from qbeconometrics.models.moment_statistic import LinearMoments

BLOCK_ROWS = 100_000
CHECKPOINT_SECONDS = 30.0


def is_dask_frame(data: Any) -> bool:
    """Whether `data` is a Dask DataFrame, without importing Dask."""
    return type(data).__module__.split(".")[0].startswith("dask") and hasattr(data, "to_delayed")


def read_source(
    statistic: LinearMoments,
    source: Any,
    *,
    block_rows: int,
    groups: Any,
    checkpoint: str | os.PathLike[str] | None,
    progressbar: bool | None,
) -> LinearMoments:
    """Add the blocks of a source after those that are in already; see `update_from`."""
    if is_dask_frame(source):
        from qbeconometrics.models.dask_moments import add_partitions

        if groups is not None:
            raise OptionError("groups of a Dask DataFrame are named in cov_kwds")
        return add_partitions(statistic, source, checkpoint=checkpoint, progressbar=progressbar)
    reader = statistic._reader
    columns = None
    if isinstance(reader, FormulaReader):
        columns = reader.data_names()
        if isinstance(statistic.rule.groups, str):
            columns |= {statistic.rule.groups}
    start = statistic.unfinished
    if groups is not None:
        source = (*source, groups) if isinstance(source, tuple) else source
    total = source_length(source)
    saved = time.monotonic()
    try:
        with ProgressDisplay(total, progressbar, "moments", unit="row") as progress:
            progress.update(start)
            for block in blocks_of(source, block_rows=block_rows, skip=start, columns=columns):
                before = statistic.unfinished
                if groups is None:
                    statistic._update(block, None, of_source=True)
                else:
                    statistic._update(block[:-1], block[-1], of_source=True)
                progress.update(statistic.unfinished - before)
                if checkpoint is not None and time.monotonic() - saved > CHECKPOINT_SECONDS:
                    statistic.save(checkpoint)
                    saved = time.monotonic()
    except KeyboardInterrupt:
        if checkpoint is not None:
            statistic.save(checkpoint)
        warnings.warn(
            f"interrupted: the statistic holds the first {statistic.unfinished:,} rows of the "
            "source; give it again with resume=True",
            InterruptedWarning,
            stacklevel=3,
        )
        return statistic
    statistic._collected = replace(statistic._collected, unfinished=0)
    if checkpoint is not None:
        statistic.save(checkpoint)
    return statistic
