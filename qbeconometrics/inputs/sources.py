"""Data of any size as a stream of blocks: frames, arrays on disk, files, iterators."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from qbeconometrics.exceptions import InputError, MissingExtraError

CSV_ENDINGS = (".csv", ".csv.gz", ".csv.bz2", ".csv.xz", ".csv.zst", ".csv.zip")
PARQUET_ENDINGS = (".parquet", ".pq")


def blocks_of(
    source: Any, *, block_rows: int, skip: int = 0, columns: frozenset[str] | None = None
) -> Iterator[Any]:
    """Yield blocks of at most `block_rows` rows, after the first `skip` rows of a source.

    Parameters
    ----------
    source : path, DataFrame, tuple of arrays, callable, or iterable of blocks
        A path ends in .csv (perhaps compressed) or .parquet. A callable returns an iterable. Blocks
        of an iterable that are longer are cut.
    block_rows : int
    skip : int
    columns : frozenset of str, optional
        Columns of a file that are read; those that it does not have are left out.

    Raises
    ------
    InputError
        If the source is none of these, or has fewer rows than are to be skipped.
    MissingExtraError
        If a Parquet file is to be read without pyarrow.

    Examples
    --------
    >>> frame = pd.DataFrame({"x": range(5)})
    >>> [len(block) for block in blocks_of(frame, block_rows=2, skip=1)]
    [2, 2]
    """
    if isinstance(source, (str, os.PathLike)):
        yield from _after(_file_blocks(Path(source), block_rows, columns), skip)
    elif isinstance(source, pd.DataFrame) or _is_arrays(source):
        length = block_length(source)
        if skip > length:
            raise InputError(_too_short(skip, length))
        for start in range(skip, length, block_rows):
            yield part_of(source, slice(start, min(length, start + block_rows)))
    elif callable(source) or isinstance(source, Iterable):
        stream = source() if callable(source) else source
        for block in _after(iter(stream), skip):
            yield from blocks_of(block, block_rows=block_rows) if _is_block(block) else [block]
    else:
        raise InputError(
            f"a source of blocks is a path, a DataFrame, a tuple of arrays, a callable or an "
            f"iterable of blocks, not {type(source).__name__}"
        )


def source_length(source: Any) -> int | None:
    """Return the number of rows where it is known without reading."""
    if isinstance(source, pd.DataFrame) or _is_arrays(source):
        return block_length(source)
    if isinstance(source, (str, os.PathLike)) and str(source).endswith(PARQUET_ENDINGS):
        return int(_parquet_file(Path(source)).metadata.num_rows)
    return None


def can_be_read_again(source: Any) -> bool:
    """Whether a second pass over the source gives the same blocks."""
    return not isinstance(source, Iterator)


def block_length(block: Any) -> int:
    """Return the number of rows of a block; 1 for what is no block, which readers refuse."""
    if isinstance(block, pd.DataFrame):
        return len(block)
    if isinstance(block, dict):
        block = list(block.values())
    if isinstance(block, Sequence) and not isinstance(block, str) and len(block):
        return len(block[0]) if np.ndim(block[0]) else 1
    return 1


def part_of(block: Any, rows: slice) -> Any:
    """Return some rows of a block; arrays on disk are not read further than that."""
    if isinstance(block, pd.DataFrame):
        return block.iloc[rows]
    return tuple(None if part is None else _rows(part, rows) for part in block)


def _rows(part: Any, rows: slice) -> Any:
    return part.iloc[rows] if isinstance(part, (pd.Series, pd.DataFrame)) else part[rows]


def _is_arrays(source: Any) -> bool:
    kinds = (np.ndarray, pd.Series, pd.DataFrame, type(None))
    return (
        isinstance(source, tuple)
        and 2 <= len(source) <= 4
        and all(isinstance(part, kinds) for part in source)
        and isinstance(source[0], (np.ndarray, pd.Series))
    )


def _is_block(block: Any) -> bool:
    return isinstance(block, pd.DataFrame) or _is_arrays(block)


def _after(blocks: Iterator[Any], skip: int) -> Iterator[Any]:
    """Leave out the first `skip` rows."""
    passed = 0
    for block in blocks:
        length = block_length(block)
        if passed + length > skip:
            start = max(0, skip - passed)
            yield part_of(block, slice(start, None)) if start else block
        passed += length
    if passed < skip:
        raise InputError(_too_short(skip, passed))


def _too_short(skip: int, length: int) -> str:
    return (
        f"the source has {length} rows, but {skip} were read before the interruption: it is not "
        "the source that was being read"
    )


def _file_blocks(
    path: Path, block_rows: int, columns: frozenset[str] | None
) -> Iterator[pd.DataFrame]:
    name = path.name.lower()
    if name.endswith(CSV_ENDINGS):
        wanted: Callable[[str], bool] | None = None if columns is None else columns.__contains__
        with pd.read_csv(path, chunksize=block_rows, usecols=wanted) as chunks:
            yield from chunks
    elif name.endswith(PARQUET_ENDINGS):
        file = _parquet_file(path)
        names = None
        if columns is not None:
            names = [name for name in file.schema_arrow.names if name in columns]
        for batch in file.iter_batches(batch_size=block_rows, columns=names):
            yield batch.to_pandas()
    else:
        raise InputError(
            f"{path} is neither a CSV nor a Parquet file by its name ({', '.join(CSV_ENDINGS)}, "
            f"{', '.join(PARQUET_ENDINGS)}). Read it yourself, and give an iterator of DataFrames."
        )


def _parquet_file(path: Path) -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError(
            "Parquet files are read by pyarrow, which is not installed: "
            "pip install 'qbeconometrics[parquet]'"
        ) from error
    return parquet.ParquetFile(path)
