"""Blocks of files, arrays and iterators hold every row once, after those to be skipped."""

import numpy as np
import pandas as pd
import pytest

from qbeconometrics.exceptions import InputError, MissingExtraError
from qbeconometrics.inputs import sources
from qbeconometrics.inputs.sources import blocks_of, source_length

ROWS = 25


@pytest.fixture
def frame():
    return pd.DataFrame({"a": np.arange(ROWS), "b": np.arange(ROWS) / 2, "c": list("xyzxy") * 5})


@pytest.fixture(params=["csv", "csv.gz", "parquet", "frame", "iterator", "callable", "sequence"])
def source(request, frame, tmp_path):
    pieces = [frame.iloc[:3], frame.iloc[3:3], frame.iloc[3:17], frame.iloc[17:]]
    path = tmp_path / f"data.{request.param}"
    if request.param.startswith("csv"):
        frame.to_csv(path, index=False)
        return str(path)
    if request.param == "parquet":
        frame.to_parquet(path, row_group_size=7)
        return path
    made = {
        "frame": frame,
        "iterator": iter(pieces),
        "callable": lambda: iter(pieces),
        "sequence": pieces,
    }
    return made[request.param]


@pytest.mark.parametrize("skip", [0, 3, 11, ROWS])
def test_every_row_comes_once(source, frame, skip):
    blocks = list(blocks_of(source, block_rows=6, skip=skip))
    assert all(len(block) <= 6 for block in blocks)
    together = pd.concat([frame.iloc[:0], *blocks]).reset_index(drop=True)
    expected = frame.iloc[skip:].reset_index(drop=True)
    assert together.astype(object).equals(expected.astype(object))


def test_a_shorter_source_is_refused(source):
    with pytest.raises(InputError, match="not the source"):
        list(blocks_of(source, block_rows=6, skip=ROWS + 1))


def test_only_the_columns_that_are_asked_for_are_read(frame, tmp_path):
    frame.to_csv(tmp_path / "data.csv", index=False)
    frame.to_parquet(tmp_path / "data.parquet")
    for name in ("data.csv", "data.parquet"):
        block = next(blocks_of(tmp_path / name, block_rows=9, columns=frozenset({"a", "c", "z"})))
        assert list(block) == ["a", "c"]


def test_memory_maps_are_cut(tmp_path):
    values = np.memmap(tmp_path / "x", dtype=np.float64, mode="w+", shape=(ROWS, 2))
    values[:] = np.arange(2 * ROWS).reshape(ROWS, 2)
    source = (values[:, 0], values, None)
    blocks = list(blocks_of(source, block_rows=10, skip=4))
    assert [len(block[0]) for block in blocks] == [10, 10, 1]
    assert all(isinstance(block[1], np.memmap) and block[2] is None for block in blocks)
    assert np.array_equal(np.concatenate([block[1] for block in blocks]), values[4:])
    assert source_length(source) == ROWS


def test_lengths_that_are_known(frame, tmp_path):
    frame.to_parquet(tmp_path / "data.parquet")
    assert source_length(tmp_path / "data.parquet") == ROWS
    assert source_length(frame) == ROWS
    assert source_length(iter([frame])) is None


def test_what_is_no_source_is_refused(tmp_path):
    with pytest.raises(InputError, match="source of blocks"):
        list(blocks_of(3.0, block_rows=2))
    with pytest.raises(InputError, match="neither a CSV nor a Parquet"):
        list(blocks_of(tmp_path / "data.dta", block_rows=2))


def test_pyarrow_is_named_where_it_is_missing(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"qbeconometrics\[parquet\]"):
        sources._parquet_file(tmp_path / "data.parquet")
