"""Clusters in every form that a user may give, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from qbeconometrics.exceptions import InputError
from qbeconometrics.inputs.groups import read_groups

KEPT = np.array([True, True, False, True, True, True])
LABELS = pd.Index(["a", "b", "d", "e", "f"])
FRAME = pd.DataFrame(
    {"state": ["NY", "LA", None, "NY", "TX", "LA"], "year": [1, 1, 1, 2, 2, 2]},
    index=list("abcdef"),
)
CODES = [0, 1, 0, 2, 1]


def read(groups, labels=LABELS, kept=KEPT, frame=FRAME):
    return read_groups(groups, labels=labels, kept=kept, n=5, frame=frame)


SAME = {
    "column": "state",
    "list of a column": ["state"],
    "series": FRAME["state"],
    "series of the kept rows": FRAME["state"][KEPT],
    "series in another order": FRAME["state"].iloc[::-1],
    "series with more rows": pd.concat([FRAME["state"], pd.Series(["?"], index=["z"])]),
    "categories": FRAME["state"].astype("category"),
    "frame": FRAME[["state"]],
    "array": FRAME["state"].to_numpy(),
    "column of an array": FRAME[["state"]].to_numpy(),
    "list": FRAME["state"].tolist(),
    "numbers": np.array([7.0, -1.0, np.nan, 7.0, 0.5, -1.0]),
    "masked": np.ma.array([7, 1, 9, 7, 5, 1], mask=[0, 0, 1, 0, 0, 0]),
}


@pytest.mark.parametrize("groups", SAME.values(), ids=SAME)
def test_every_form_gives_the_same_codes(groups):
    found = read(groups)
    assert len(found.codes) == 1
    assert found.codes[0].tolist() == CODES
    assert found.counts == (3,)


@pytest.mark.parametrize(
    "groups",
    [["state", "year"], ("state", "year"), FRAME, FRAME.to_numpy(), FRAME.to_numpy().tolist()],
)
def test_two_ways(groups):
    found = read(groups)
    assert [codes.tolist() for codes in found.codes] == [CODES, [0, 0, 1, 1, 1]]
    assert found.counts == (3, 2)


def test_names():
    assert read("state").name == "state"
    assert read(["state", "year"]).name == "state, year"
    assert read(FRAME["state"]).name == "state"
    assert read(FRAME["state"].rename(None)).name == "array"
    assert read(FRAME["state"].to_numpy()).name == "array"


def test_rows_without_labels_go_by_position():
    found = read(FRAME["state"], labels=None, frame=None)
    assert found.codes[0].tolist() == CODES


def test_repeated_labels_in_the_same_order():
    series = FRAME["state"].set_axis(list("aaabbb"))
    assert read(series, labels=pd.Index(list("aabbb"))).codes[0].tolist() == CODES


@pytest.mark.parametrize(
    ("groups", "options", "words"),
    [
        ("sate", {}, "'sate' is not a column.*Did you mean 'state'"),
        ("state", {"frame": None}, "'state' names a column"),
        (np.zeros(4), {"kept": None}, "4 rows but the data have 5[.]"),
        (FRAME["state"].to_numpy()[:4], {}, "4 rows but the data have 6, 1 of which"),
        (FRAME["state"].to_numpy()[KEPT], {}, "5 rows but the data have 6"),
        (FRAME["state"][:3], {"labels": None}, "3 rows but the data have 6"),
        (FRAME["state"][:3], {}, "does not have row label 'd'"),
        (["NY", "LA", "NY", None, "TX", "LA"], {}, "missing in 1 row.*'d'"),
        (["NY", "LA", "NY", None, "TX", "LA"], {"labels": None}, "missing in 1 row.*row 3"),
        (pd.Series(["NY", "LA"], index=["a", "b"]), {}, "does not have row label 'd'"),
        (FRAME["state"].set_axis(list("aabbcc")), {}, "more than once"),
        (np.zeros((6, 3)), {}, r"shape \(6, 3\)"),
        (np.zeros((6, 2, 2)), {}, r"shape \(6, 2, 2\)"),
        (7, {}, "must be a column name, a Series or an array, not int"),
        ([{}, {}, {}, {}, {}, {}], {}, "cannot be told apart"),
    ],
)
def test_refused(groups, options, words):
    with pytest.raises(InputError, match=f"(?s){words}"):
        read(groups, **options)


def test_a_name_that_stands_twice():
    frame = pd.concat([FRAME, FRAME[["state"]]], axis=1)
    with pytest.raises(InputError, match="names 2 columns"):
        read("state", frame=frame)
