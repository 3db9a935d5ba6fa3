"""Bad formulas, and bad columns behind good ones, are refused by every model class."""

import numpy as np
import pandas as pd
import pytest

BAD_FORMULAS = {
    "wage exper": "no ~",
    "wage ~": "nothing right of ~",
    "~ exper": "nothing left of ~",
    "wage ~ expr": "'expr' is not in data. Did you mean 'exper'",
    "wag ~ exper": "'wag' is not in data. Did you mean 'wage'",
    "wage ~ exper + [educ ~ nera]": "'nera' is not in data. Did you mean 'near'",
    "wage ~ [educ ~ near] + [union ~ quarter]": "more than one bracket group",
    "wage ~ exper + [educ ~ near] | near": "both brackets and a bar",
    "wage ~ exper | near | quarter": "more than one bar",
    "wage ~ exper * [educ ~ near]": "can only be added",
    "wage ~ exper - [educ ~ near]": "can only be added",
    "wage ~ exper + [educ ~ ]": "nothing right of ~ in the brackets",
    "wage ~ exper + [educ ~ near": "never closed",
    "wage ~ (exper + [educ ~ near])": "within parentheses",
    "wage + educ ~ exper": "single column",
    "C(union) ~ exper": "categorical",
    "wage ~ np.log(": "never closed",
    "wage ~ exper +* educ": "expected a noun",
    "wage ~ 0": "no column",
}


@pytest.mark.parametrize(("formula", "words"), BAD_FORMULAS.items(), ids=BAD_FORMULAS)
def test_bad_formulas_are_refused(driver, clean, formula, words, refused):
    with refused("FormulaError", words):
        driver.from_formula(formula, clean.frame)


def test_bad_columns_behind_a_formula_are_refused(driver, clean, refused):
    frame = clean.frame.assign(copy=clean.frame.exper, when=pd.Timestamp("2020"), bad=np.inf)
    with refused("RankError", "'copy' of exog is a duplicate of column 'exper'"):
        driver.from_formula("wage ~ exper + copy", frame)
    with refused("RankError", r"'bad2' of exog is constant, 2.*'Intercept'"):
        driver.from_formula("wage ~ exper + bad2", frame.assign(bad2=2.0))
    with refused("FormulaError", "'when' has dtype datetime64"):
        driver.from_formula("wage ~ when", frame)
    with refused("InputError", "'bad' of exog is infinite"):
        driver.from_formula("wage ~ bad", frame)


def test_instruments_of_a_formula_must_suffice(driver, clean, refused):
    with refused("IdentificationError", "'educ'.*there are 1"):
        driver.from_formula("wage ~ [educ + union ~ near]", clean.frame)
    with refused("IdentificationError", "'Intercept'.*must also hold"):
        driver.from_formula("wage ~ exper + educ | exper + near + quarter - 1", clean.frame)


@pytest.mark.parametrize("data", [[[1, 2]], np.eye(3), "frame", None], ids=str)
def test_data_that_are_no_frame_are_refused(driver, data, refused):
    with refused("InputError", "data must be a DataFrame"):
        driver.from_formula(driver.formula, data)


def test_frames_without_rows_are_refused(driver, clean, refused):
    with refused("InputError", "zero rows"):
        driver.from_formula(driver.formula, clean.frame.iloc[:0])
    with refused("InputError", "none is left.*'educ'"):
        driver.from_formula(driver.formula, clean.frame.assign(educ=np.nan))
    missing = clean.frame.copy()
    missing.loc["p3", "union"] = np.nan
    with refused("InputError", "'union' is missing.*'p3'"):
        driver.from_formula(driver.formula, missing, missing="raise")


def test_formula_with_missing_rows_equals_the_frame_without_them(driver, clean, short_fit):
    holes = clean.frame.copy()
    holes.loc["p3", "union"] = np.nan
    holes.loc["p9", "wage"] = np.nan
    dropped = short_fit(driver.from_formula(driver.formula, holes))
    expected = short_fit(driver.from_formula(driver.formula, clean.frame.drop(index=["p3", "p9"])))
    np.testing.assert_array_equal(np.asarray(dropped.draws), np.asarray(expected.draws))
