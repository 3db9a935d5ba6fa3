"""What a model of added-up rows refuses in words of its own, whatever the cuts into blocks."""

import numpy as np
import pytest

import qbeconometrics as qb

BAD_DESIGNS = {
    "duplicate": ("wage ~ exper + I(1.0 * exper)", "RankError", "'I(1.0.*combination of 'exper'"),
    "multiple": ("wage ~ exper + I(2.0 * exper)", "RankError", "'I(2.0.*combination of 'exper'"),
    "second constant": ("wage ~ exper + I(0 * exper + 3)", "RankError", "of 'Intercept'"),
    "constant outcome": ("I(0 * wage + 3) ~ exper", "InputError", "same value in every row"),
    "outcome in exog": ("wage ~ I(1.0 * wage) + exper", "InputError", "also in exog, as column"),
    "outcome in instrument": (
        "wage ~ exper + [educ ~ near + I(1.0 * wage)]",
        "InputError",
        "also in instrument, as column",
    ),
}


@pytest.mark.parametrize("rows", [60, 7])
@pytest.mark.parametrize(("formula", "error", "words"), BAD_DESIGNS.values(), ids=BAD_DESIGNS)
def test_bad_designs_are_named(clean, refused, formula, error, words, rows):
    words = words.replace("(", "[(]")
    stat = qb.LinearMoments(formula)
    for start in range(0, 60, rows):
        stat.update(clean.frame.iloc[start : start + rows])
    with refused(error, words):
        qb.QuasiBayesIV.from_moments(stat)


def test_other_covariances_are_refused(clean, refused, short_fit):
    model = qb.QuasiBayesIV.from_moments(
        qb.LinearMoments("wage ~ exper + [educ ~ near + quarter]").update(clean.frame)
    )
    for options in (
        {"cov_type": "HAC", "cov_kwds": {"maxlags": 60}},
        {"cov_type": "cluster", "cov_kwds": {"groups": "state"}},
        {"cov_type": "cluster", "cov_kwds": {"groups": [0, 1] * 30}},
    ):
        with refused("OptionError", "added up for cov_type='HC0'"):
            short_fit(model, **options)
    assert short_fit(model, cov_type=None).nobs == 60


@pytest.mark.parametrize("rows", [slice(0), slice(None)])
def test_no_rows_are_no_model(clean, refused, rows):
    """A block without rows adds nothing, as an empty partition; a model needs some."""
    empty = clean.frame.assign(educ=np.nan)[rows]
    with refused("InputError", "Call update|nothing to learn from"):
        qb.QuasiBayesIV.from_moments(
            qb.LinearMoments("wage ~ exper + [educ ~ near + quarter]").update(empty)
        )
    arrays = {name: block[rows] for name, block in clean.arrays().items()}
    arrays["endog"] = np.full(len(arrays["endog"]), np.nan)
    with refused("InputError", "Call update"):
        qb.QuasiBayesIV.from_moments(
            qb.LinearMoments(missing="drop").update(tuple(arrays.values()))
        )


@pytest.mark.parametrize("block", ["exog", "instrument"])
def test_a_value_missing_in_one_of_two_tables_drops_its_row(clean, block):
    """A regressor that is an instrument too may lack a value in one of the tables."""
    given = clean.blocks()
    given[block].loc["p4", "exper"] = np.nan
    found = qb.LinearMoments(missing="drop").update(tuple(given.values()))
    whole = tuple(table.drop(index="p4") for table in clean.blocks().values())
    expected = qb.LinearMoments().update(whole)
    one, two = (
        qb.QuasiBayesIV.from_moments(stat).quasi_posterior().target.arrays
        for stat in (found, expected)
    )
    assert all(np.array_equal(one[key], two[key]) for key in one)
    assert found.nobs == 59
