"""Bad arrays and frames are refused, by every model class, with the column named."""

import numpy as np
import pandas as pd
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import QBEconometricsError


def put(block, row, column, value):
    """Change one entry of one block; `column` None is the outcome."""

    def change(given):
        if column is None:
            given[block].iloc[row] = value
        else:
            given[block].loc[given[block].index[row], column] = value

    return change


def column(block, name, make):
    """Replace or add a column made from its block."""

    def change(given):
        given[block][name] = make(given[block])

    return change


def both(name, make):
    """Add a column to regressors and instruments alike."""

    def change(given):
        for block in ("exog", "instrument"):
            given[block][name] = make(given[block])

    return change


def replace(block, make):
    def change(given):
        given[block] = make(given[block])

    return change


def every(make):
    def change(given):
        for name, block in given.items():
            given[name] = make(block)

    return change


def _unmoved(given):
    instrument = given["instrument"].drop(columns="quarter").to_numpy()
    residual = (
        given["exog"]["educ"]
        - instrument @ np.linalg.lstsq(instrument, given["exog"]["educ"], rcond=None)[0]
    )
    included = instrument[:, :3]
    given["exog"]["educ"] = residual + included @ [12.0, 1.0, 0.5]
    given["instrument"] = given["instrument"].drop(columns="quarter")


BAD_ARRAYS = {
    "nan endog": (put("endog", 3, None, np.nan), "InputError", "'wage'.*NaN.*'p3'"),
    "nan exog": (put("exog", 4, "educ", np.nan), "InputError", "'educ' of exog.*NaN.*'p4'"),
    "nan instrument": (put("instrument", 5, "near", np.nan), "InputError", "'near'.*NaN.*'p5'"),
    "inf endog": (put("endog", 3, None, np.inf), "InputError", "'wage'.*infinite.*'p3'"),
    "inf exog": (put("exog", 4, "educ", -np.inf), "InputError", "'educ'.*infinite.*'p4'"),
    "inf instrument": (put("instrument", 5, "near", np.inf), "InputError", "'near'.*infinite"),
    "huge": (put("exog", 4, "educ", 1e200), "InputError", "'educ'.*Rescale"),
    "tiny": (column("exog", "educ", lambda x: x["educ"] * 1e-200), "InputError", "'educ'.*Rescale"),
    "text column": (column("exog", "educ", lambda x: "a"), "InputError", "'educ'.*not numeric"),
    "object column": (
        column("exog", "educ", lambda x: x["educ"].astype(object)),
        "InputError",
        "'educ'.*dtype object",
    ),
    "complex column": (
        column("exog", "educ", lambda x: x["educ"] + 1j),
        "InputError",
        "'educ'.*compl",
    ),
    "dates": (
        column("exog", "educ", lambda x: pd.date_range("2020", periods=len(x))),
        "InputError",
        "'educ'.*datetime64",
    ),
    "category": (
        column("exog", "educ", lambda x: pd.Categorical(["a", "b"] * 30)),
        "InputError",
        "'educ'.*categorical",
    ),
    "text array": (replace("endog", lambda y: ["a"] * len(y)), "InputError", "endog.*not numeric"),
    "object array": (
        replace("endog", lambda y: [None, *y.to_numpy()[1:]]),
        "InputError",
        "endog.*row 0 holds None",
    ),
    "ragged list": (replace("exog", lambda x: [[1, 2], [1]]), "InputError", "exog"),
    "scalar": (replace("endog", lambda y: 1.0), "InputError", "endog has 0 dimensions"),
    "None": (replace("exog", lambda x: None), "InputError", "exog"),
    "3-d": (replace("exog", lambda x: x.to_numpy()[None]), "InputError", "exog has 3 dimensions"),
    "two outcomes": (replace("endog", lambda y: np.c_[y, y]), "InputError", "endog has 2 columns"),
    "zero rows": (every(lambda block: block.iloc[:0]), "InputError", "endog has zero rows"),
    "zero columns": (
        replace("exog", lambda x: x.iloc[:, :0]),
        "InputError",
        "exog has zero columns",
    ),
    "short endog": (
        replace("endog", lambda y: y.iloc[1:]),
        "InputError",
        "59 rows but exog has 60",
    ),
    "short instrument": (
        replace("instrument", lambda z: z.to_numpy()[:50]),
        "InputError",
        "60 rows but instrument has 50",
    ),
    "shuffled instrument": (
        replace("instrument", lambda z: z.iloc[::-1]),
        "InputError",
        "row 0.*'p0'.*'p59'.*another order",
    ),
    "other labels": (
        replace("exog", lambda x: x.rename(index={"p7": "q7"})),
        "InputError",
        "row 7.*'p7' in endog but 'q7' in exog",
    ),
    "duplicate names": (
        replace("exog", lambda x: x.rename(columns={"exper": "educ"})),
        "InputError",
        "2 columns named 'educ'",
    ),
    "same name, other numbers, of an instrument": (
        replace("instrument", lambda z: z.rename(columns={"near": "educ"})),
        "InputError",
        "'educ' of instrument holds other numbers",
    ),
    "duplicate columns": (
        both("copy", lambda x: x["exper"]),
        "RankError",
        "'copy'.*duplicate.*'exper'",
    ),
    "multiple": (both("twice", lambda x: 2 * x["exper"]), "RankError", "'twice'.*2 times.*'exper'"),
    "collinear": (
        both("sum", lambda x: x["exper"] + x["union"]),
        "RankError",
        "'sum' of exog.*combination of 'exper', 'union'",
    ),
    "dummy trap": (both("rest", lambda x: 1 - x["union"]), "RankError", "'rest'.*'one', 'union'"),
    "second constant": (both("three", lambda x: 3.0), "RankError", "'three'.*constant.*'one'"),
    "zero column": (both("zero", lambda x: 0.0), "RankError", "'zero'.*is zero in every row"),
    "collinear instruments": (
        column("instrument", "mix", lambda z: z["near"] - z["quarter"]),
        "RankError",
        "'mix' of instrument.*'near', 'quarter'",
    ),
    "constant endog": (
        replace("endog", lambda y: y * 0 + 3.0),
        "InputError",
        "'wage'.*3 in every row",
    ),
    "perfect fit": (
        lambda given: given.update(
            endog=(given["exog"]["educ"] - given["exog"]["exper"]).rename("wage")
        ),
        "RankError",
        "'wage' is an exact linear combination of 'exper', 'educ'",
    ),
    "endog in exog": (
        lambda given: given["exog"].insert(1, "pay", given["endog"]),
        "InputError",
        "'wage' is also in exog, as column 'pay'",
    ),
    "endog's name in exog": (
        lambda given: given["exog"].insert(1, "wage", given["endog"]),
        "InputError",
        "'wage' is also a column of exog",
    ),
    "endog in instrument": (
        lambda given: given["instrument"].insert(1, "pay", given["endog"]),
        "InputError",
        "'wage' is also in instrument, as column 'pay'",
    ),
    "too few instruments": (
        replace("instrument", lambda z: z[["one", "exper", "union"]]),
        "IdentificationError",
        "'educ'.*there are 0",
    ),
    "excluded instruments only": (
        replace("instrument", lambda z: z[["near", "quarter"]]),
        "IdentificationError",
        "'one'.*must also hold the exogenous",
    ),
    "instruments explain nothing": (_unmoved, "IdentificationError", "do not move.*'educ'"),
    "more columns than rows": (
        every(lambda block: block.iloc[:4]),
        "RankError",
        "4 rows but 4 col",
    ),
    "more instruments than rows": (
        every(lambda block: block.iloc[:5]),
        "RankError",
        "5 rows but 5 columns in instrument",
    ),
}


@pytest.mark.parametrize(("change", "error", "words"), BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_bad_arrays_are_refused_by_name(driver, clean, change, error, words, refused):
    given = clean.blocks()
    change(given)
    with refused(error, words):
        driver.construct(**given)


def test_array_columns_are_named_too(driver, clean, refused):
    given = clean.arrays()
    given["exog"] = np.column_stack([given["exog"], given["exog"][:, 1]])
    with refused("RankError", "'x4' of exog is a duplicate of column 'x1'"):
        driver.construct(**given)


@pytest.mark.parametrize("block", ["endog", "exog", "instrument"])
def test_infinite_values_are_refused_also_when_rows_are_dropped(driver, clean, block, refused):
    given = clean.blocks()
    given[block].iloc[[2]] = np.inf
    with refused("InputError", "is infinite in 1 row"):
        driver.construct(**given, missing="drop")


@pytest.mark.parametrize("missing", ["none", "raise"])
def test_missing_values_are_refused_unless_dropped(driver, clean, missing, refused):
    given = clean.blocks()
    given["exog"].iloc[4, 3] = np.nan
    with refused("InputError", "'educ' of exog is missing.*'p4'.*missing='drop'"):
        driver.construct(**given, missing=missing)
    driver.construct(**given, missing="drop")


def test_all_rows_missing_is_refused(driver, clean, refused):
    given = clean.blocks()
    given["exog"]["educ"] = np.nan
    with refused("InputError", "none is left.*'educ' of exog is missing in 60 of 60"):
        driver.construct(**given, missing="drop")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"missing": "omit"}, "OptionError", "missing='omit'"),
        ({"mising": "drop"}, "UnknownKeywordError", "'mising'.*Did you mean 'missing'"),
        ({"prior": {"edcu": qb.priors.Normal(0, 1)}}, "InputError", "edcu.*Did you mean 'educ'"),
        ({"prior": "flat"}, "OptionError", "prior"),
        ({"prior": 3}, "OptionError", "prior"),
    ],
)
def test_bad_options_of_the_model_are_refused(driver, clean, options, error, words, refused):
    with refused(error, words):
        driver.construct(**clean.blocks(), **options)
    with refused(error, words):
        driver.from_formula(driver.formula, clean.frame, **options)


@pytest.mark.parametrize(
    "make",
    [
        lambda: qb.priors.Normal(0, -1.0),
        lambda: qb.priors.Normal(0, 0.0),
        lambda: qb.priors.Normal(0, np.nan),
        lambda: qb.priors.Normal(np.inf, 1.0),
    ],
    ids=["negative sd", "zero sd", "nan sd", "infinite mean"],
)
def test_bad_priors_are_refused(driver, clean, make):
    with pytest.raises(QBEconometricsError, match=r"(?i)sd|mean|prior") as caught:
        driver.construct(**clean.blocks(), prior=make())
    assert isinstance(caught.value, ValueError)


def test_the_table_is_long_enough():
    assert len(BAD_ARRAYS) >= 40
