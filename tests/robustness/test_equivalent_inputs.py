"""Other forms of the same numbers work as clean data do, and nothing is modified."""

import numpy as np
import pandas as pd
import pytest


def _read_only(block):
    array = block.to_numpy().copy()
    array.flags.writeable = False
    return array


def _strided(block):
    wide = np.repeat(np.atleast_2d(block.to_numpy().T).T, 2, axis=1)
    return wide[:, ::2]


SAME_AS_CLEAN = {
    "arrays": lambda block: block.to_numpy(),
    "float32": lambda block: block.astype(np.float32),
    "float32 arrays": lambda block: block.to_numpy(dtype=np.float32),
    "longdouble": lambda block: block.to_numpy(dtype=np.longdouble),
    "Fortran order": lambda block: np.asfortranarray(block.to_numpy()),
    "read-only": _read_only,
    "strided": _strided,
    "lists": lambda block: block.to_numpy().tolist(),
    "nullable": lambda block: block.astype("Float64"),
    "masked array": lambda block: np.ma.masked_invalid(block.to_numpy()),
}


@pytest.mark.parametrize("change", SAME_AS_CLEAN.values(), ids=SAME_AS_CLEAN)
def test_other_forms_of_the_same_numbers_give_the_same_draws(driver, clean, change, short_fit):
    given = {name: change(block) for name, block in clean.blocks().items()}
    expected = short_fit(driver.construct(**clean.blocks()))
    result = short_fit(driver.construct(**given))
    np.testing.assert_array_equal(np.asarray(result.draws), np.asarray(expected.draws))


UNION_FORMS = {
    "bool": lambda column: column.astype(bool),
    "int8": lambda column: column.astype(np.int8),
    "uint64": lambda column: column.astype(np.uint64),
    "Int64": lambda column: column.astype("Int64"),
    "boolean": lambda column: column.astype(bool).astype("boolean"),
}


@pytest.mark.parametrize("change", UNION_FORMS.values(), ids=UNION_FORMS)
def test_whole_numbers_and_booleans_give_the_same_draws(driver, clean, change, short_fit):
    given = clean.blocks()
    for name in ("exog", "instrument"):
        given[name]["union"] = change(given[name]["union"])
    expected = short_fit(driver.construct(**clean.blocks()))
    result = short_fit(driver.construct(**given))
    np.testing.assert_array_equal(np.asarray(result.draws), np.asarray(expected.draws))


def test_equal_duplicate_labels_are_accepted(driver, clean):
    given = clean.blocks()
    for block in given.values():
        block.index = ["same"] * len(block)
    driver.construct(**given)


def test_inputs_are_never_modified(driver, clean, short_fit):
    given = clean.blocks()
    given["endog"].iloc[3] = np.nan
    before = {name: block.copy() for name, block in given.items()}
    raw = {name: block.to_numpy().copy() for name, block in given.items()}
    raw_before = {name: array.copy() for name, array in raw.items()}
    frame = clean.frame.copy()
    short_fit(driver.construct(**given, missing="drop"))
    short_fit(driver.construct(**raw, missing="drop"))
    short_fit(driver.from_formula(driver.formula, clean.frame))
    for name in given:
        assert before[name].equals(given[name])
        np.testing.assert_array_equal(raw[name], raw_before[name])
    pd.testing.assert_frame_equal(clean.frame, frame)
