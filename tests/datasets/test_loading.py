"""Embedded data sets: shapes, known cells, provenance, storage."""

import csv
import gzip
import io
import math
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

import qbeconometrics.datasets as datasets
from qbeconometrics.exceptions import OptionError

SHAPES = {
    "ajr2001": (163, 12),
    "ak1991_sub20000": (20000, 10),
    "card1995": (3010, 29),
    "ccapm_euler": (671, 7),
    "cigarettes_sw": (96, 9),
    "consump_annual": (37, 24),
    "docvisits": (4412, 10),
    "gertler_karadi_2015": (396, 18),
    "griliches1976": (758, 20),
    "hsng1980": (50, 16),
    "meps": (10391, 29),
    "mroz1987": (753, 22),
    "wage_bn1992": (934, 17),
}
TEXT_COLUMNS = {
    ("ajr2001", "shortnam"),
    ("ak1991_sub20000", "division"),
    ("ak1991_sub20000", "sob"),
    ("ccapm_euler", "date"),
    ("cigarettes_sw", "state"),
    ("gertler_karadi_2015", "date"),
    ("hsng1980", "division"),
    ("hsng1980", "region"),
    ("hsng1980", "state"),
}
# First and last rows of the published files, exact decimals.
CELLS = [
    ("card1995", 0, "lwage", 6.306275),
    ("card1995", 1, "IQ", 93.0),
    ("mroz1987", 0, "wage", 3.354),
    ("meps", 0, "ssiratio", 0.1498765349),
    ("wage_bn1992", 0, "lwage", 6.694562),
    ("griliches1976", 1, "lw", 5.438000202),
    ("ak1991_sub20000", 1, "age", 42.25),
    ("ajr2001", 1, "logem4", 5.634789467),
    ("cigarettes_sw", 0, "packs", 116.4862823),
    ("hsng1980", 1, "pcturban", 64.344),
    ("consump_annual", 1, "gy", 0.006958961487),
    ("docvisits", 1, "income", 10),
    ("ccapm_euler", 0, "rb", 1.003609888),
    ("gertler_karadi_2015", 0, "logcpi", 429.0459),
    ("gertler_karadi_2015", 395, "gs1", 0.19),
]
# Averages of the published files, to nine digits.
MEAN_TOLERANCE = 1e-8
MEANS = [
    ("card1995", "educ", 13.2634551),
    ("card1995", "nearc4", 0.682059801),
    ("mroz1987", "lwage", 1.19017332),
    ("meps", "linc", 2.74327511),
    ("ajr2001", "logem4", 4.59598383),
    ("consump_annual", "gc", 0.0204738246),
]
# The wheel limit is 3 MB; the data may take at most a third.
STORED_BYTES = 1_000_000


def data_file(name):
    return files("qbeconometrics.datasets") / f"{name}.csv.gz"


def stored_rows(name):
    text = gzip.decompress(data_file(name).read_bytes()).decode("utf-8")
    return list(csv.reader(io.StringIO(text)))


def test_names_are_sorted_and_complete():
    assert datasets.names() == tuple(sorted(SHAPES))


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_shape_and_provenance(name):
    frame = datasets.load(name)
    assert frame.shape == SHAPES[name]
    attributes = frame.attrs
    assert attributes["name"] == name
    assert attributes["n"] == len(frame)
    assert list(attributes["columns"]) == list(frame.columns)
    for key in ("title", "citation", "obtained_from", "terms", "note"):
        assert attributes[key].strip() == attributes[key] != ""
    assert all(attributes["columns"].values())


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_every_cell_equals_the_stored_text(name):
    header, *rows = stored_rows(name)
    frame = datasets.load(name)
    assert list(frame.columns) == header
    for column, cells in zip(header, zip(*rows, strict=True), strict=True):
        values = frame[column].tolist()
        if (name, column) in TEXT_COLUMNS:
            assert values == list(cells)
        else:
            for value, cell in zip(values, cells, strict=True):
                assert math.isnan(value) if cell == "" else value == float(cell)


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_types_are_integer_where_nothing_is_missing_or_fractional(name):
    frame = datasets.load(name)
    for column in frame.columns:
        if (name, column) in TEXT_COLUMNS:
            assert not pd.api.types.is_numeric_dtype(frame[column])
            assert (frame[column] != "").all()
        elif frame[column].dtype != np.int64:
            assert frame[column].dtype == np.float64
            values = frame[column]
            assert values.isna().any() or (values % 1 != 0).any()


@pytest.mark.parametrize(("name", "row", "column", "value"), CELLS)
def test_known_cells(name, row, column, value):
    assert datasets.load(name)[column].iloc[row] == value


@pytest.mark.parametrize(("name", "column", "mean"), MEANS)
def test_known_means(name, column, mean):
    np.testing.assert_allclose(datasets.load(name)[column].mean(), mean, rtol=MEAN_TOLERANCE)


def test_subsets_used_in_the_papers():
    assert (datasets.load("mroz1987")["inlf"] == 1).sum() == 428
    assert (datasets.load("ajr2001")["baseco"] == 1).sum() == 64
    assert datasets.load("meps")["linc"].isna().sum() == 302
    assert datasets.load("cigarettes_sw").groupby("year").size().tolist() == [48, 48]


def test_each_call_gives_a_fresh_frame():
    first = datasets.load("hsng1980")
    first.loc[0, "rent"] = -1
    first.attrs["columns"]["rent"] = "spoiled"
    second = datasets.load("hsng1980")
    assert second.loc[0, "rent"] == 188
    assert second.attrs["columns"]["rent"] == "median gross rent (outcome)"


@pytest.mark.parametrize("name", ["card", "Card1995", "", 3, None])
def test_unknown_names_are_refused(name):
    with pytest.raises(OptionError, match="Choose one of"):
        datasets.load(name)


def test_a_near_name_is_suggested():
    with pytest.raises(OptionError, match="Did you mean 'card1995'"):
        datasets.load("card1994")


def test_storage_is_small_and_reproducible():
    total = 0
    for name in SHAPES:
        stored = data_file(name).read_bytes()
        total += len(stored)
        # Gzip header: no name or comment in the flags, modification time zero.
        assert stored[3:8] == bytes(5)
    assert total < STORED_BYTES
