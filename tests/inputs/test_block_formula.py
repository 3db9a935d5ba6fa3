"""Formulas across blocks: columns are those of the whole data, and can be stored."""

import json

import numpy as np
import pandas as pd
import patsy
import pytest

from qbeconometrics import datasets
from qbeconometrics.exceptions import FormulaError, InputError, OptionError
from qbeconometrics.inputs.block_formula import learn_formula, representative_rows
from qbeconometrics.inputs.formula import build_blocks
from qbeconometrics.inputs.formula_storage import describe_formula, rebuild_formula

ENV = patsy.EvalEnvironment([{"np": np}])


@pytest.fixture
def data():
    frame = datasets.load("card1995")
    frame["place"] = np.where(frame.south == 1, "south", np.where(frame.smsa == 1, "city", "rest"))
    frame.loc[frame.index[5:9], "lwage"] = np.nan
    return frame.sort_values("place")


@pytest.fixture
def blocks(data):
    return [data.iloc[start : start + 700] for start in range(0, len(data), 700)]


FORMULAS = [
    "lwage ~ exper + np.log(age) + C(place)*black + [educ ~ nearc4*C(place, Sum) + nearc2]",
    "lwage ~ 0 + place + I(exper**2) | 0 + place + I(exper**2)",
    "lwage ~ C(place, levels=['rest', 'city', 'south']) + educ",
    "lwage ~ center(exper) + standardize(age) + bs(educ, df=4) + place",
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_columns_are_those_of_the_whole_data(data, blocks, formula):
    learnt = learn_formula(formula, lambda: iter(blocks), ENV, "drop")
    whole = build_blocks(formula, data)
    parts = [learnt.rows(block, "drop") for block in blocks]
    assert learnt.exog_names == tuple(whole.exog)
    assert learnt.instrument_names == tuple(whole.instrument)
    for name in ("endog", "exog", "instrument", "kept"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        expected = np.asarray(getattr(whole, name))
        assert np.allclose(joined, expected, rtol=1e-12, atol=1e-12), name


@pytest.mark.parametrize("formula", FORMULAS[:3])
def test_columns_are_stored_as_json(data, blocks, formula):
    learnt = learn_formula(formula, lambda: iter(blocks), ENV, "drop")
    again = rebuild_formula(json.loads(json.dumps(describe_formula(learnt))))
    assert again.exog_names == learnt.exog_names
    assert again.instrument_names == learnt.instrument_names
    for block in blocks:
        one, two = learnt.rows(block, "drop"), again.rows(block, "drop")
        assert np.array_equal(one.exog, two.exog)
        assert np.array_equal(one.instrument, two.instrument)
        assert np.array_equal(one.endog, two.endog)


def test_what_was_learnt_cannot_be_stored(blocks):
    learnt = learn_formula(FORMULAS[3], lambda: iter(blocks), ENV, "drop")
    with pytest.raises(OptionError, match=r"center\(exper\).*has learnt from the data"):
        describe_formula(learnt)


def test_a_torn_description_is_refused(blocks):
    described = describe_formula(learn_formula(FORMULAS[0], lambda: iter(blocks), ENV, "drop"))
    del described["sides"][0]["factors"][0]
    with pytest.raises(FormulaError, match="cannot be read"):
        rebuild_formula(described)


def test_a_later_level_is_an_error(blocks):
    learnt = learn_formula("lwage ~ place", lambda: iter(blocks[:1]), ENV, "drop")
    with pytest.raises(FormulaError, match=r"'south'.*`learn`.*levels="):
        learnt.rows(blocks[-1], "drop")


@pytest.mark.parametrize("term", ["educ.shift(1)", "I(educ - educ.mean())", "np.cumsum(age)"])
def test_a_term_across_rows_is_an_error(blocks, term):
    with pytest.raises(FormulaError, match="depends on other rows than its own"):
        learn_formula(f"lwage ~ {term}", lambda: iter(blocks), ENV, "drop")


def test_missing_values_are_refused_on_request(blocks, data):
    learnt = learn_formula("lwage ~ educ", lambda: iter(blocks), ENV, "drop")
    with pytest.raises(InputError, match="row label"):
        learnt.rows(data, "raise")


def test_infinite_values_are_not_missing(blocks):
    learnt = learn_formula("lwage ~ educ + exper", lambda: iter(blocks), ENV, "drop")
    block = blocks[1].astype({"educ": float, "exper": float})
    block.iloc[3, block.columns.get_loc("educ")] = np.inf
    block.iloc[3, block.columns.get_loc("exper")] = -np.inf
    assert learnt.rows(block, "drop").kept[3]


def test_representative_rows_show_every_level(data):
    formula = "lwage ~ place + C(age) + exper"
    few = representative_rows(formula, data, "drop")
    assert len(few) < 40
    kept = data.dropna(subset=["lwage"])
    for column in ("place", "age"):
        assert set(few[column]) == set(kept[column])
    assert not few["lwage"].isna().any()


def test_no_block_is_an_error():
    with pytest.raises(InputError, match="no block"):
        learn_formula("y ~ x", lambda: iter([]), ENV, "drop")
    empty = pd.DataFrame({"y": [np.nan, np.nan], "x": [1.0, 2.0]})
    with pytest.raises(InputError, match="Every row"):
        learn_formula("y ~ x", lambda: iter([empty]), ENV, "drop")
