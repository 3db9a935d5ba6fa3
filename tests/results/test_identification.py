"""Robust sets and tests at the results, from what a fit kept or through the model."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import OptionError
from qbeconometrics.results.iv_results import IVResults

# Short chains: what is tested does not depend on the draws.
pytestmark = [
    pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.TailWarning"),
]
FORMULA = "lwage ~ exper + expersq + [educ ~ motheduc + fatheduc]"
FIT = {"draws": 500, "tune": 500, "rng": 0}
# The same sums, from rows and from the statistic.
ROUNDING = 1e-8


@pytest.fixture(scope="module")
def data():
    return qb.datasets.load("mroz1987").query("inlf == 1")


@pytest.fixture(scope="module")
def model(data):
    return qb.QuasiBayesIV.from_formula(FORMULA, data)


RULES = {
    "nonrobust": {},
    "HC0": {},
    "HC1": {"centered": True},
    "HAC": {"maxlags": 3, "kernel": "parzen"},
    "cluster": {"groups": "age", "centered": True},
}


@pytest.mark.parametrize("cov_type", RULES)
@pytest.mark.parametrize("quasi_likelihood", ["cue", "two-step"])
def test_sets_and_p_values_are_those_of_the_model(data, cov_type, quasi_likelihood):
    data = data.reset_index(drop=True)
    model = qb.QuasiBayesIV.from_formula(FORMULA, data)
    options = {"cov_type": cov_type, "cov_kwds": RULES[cov_type]}
    fit = model.fit(quasi_likelihood=quasi_likelihood, **options, **FIT)
    expected = model.robust_set("educ", **options)
    given = options if cov_type == "cluster" and quasi_likelihood == "two-step" else {}
    np.testing.assert_allclose(fit.robust_set("educ", **given), expected, rtol=ROUNDING)
    p_value = fit.robust_pvalue(0.1, **given)
    assert p_value == pytest.approx(model.robust_pvalue({"educ": 0.1}, **options), rel=ROUNDING)
    for one in ("nonrobust", "HC1"):
        np.testing.assert_allclose(
            fit.robust_set("educ", alpha=0.2, cov_type=one),
            model.robust_set("educ", alpha=0.2, cov_type=one),
            rtol=ROUNDING,
        )


def test_sets_are_had_without_the_model(model):
    """From the sums in the record, as of a fit that was stored."""
    fit = model.fit(cov_type="HAC", cov_kwds={"maxlags": 2}, **FIT)
    alone = IVResults(None, fit.record)
    assert alone.robust_set("educ") == fit.robust_set("educ")
    assert alone.robust_set("educ", cov_type="HAC") == fit.robust_set("educ")
    clr = {"cov_type": "nonrobust", "statistic": "clr"}
    assert alone.robust_set("educ", **clr) == fit.robust_set("educ", **clr)
    plain = model.fit(**FIT)
    alone = IVResults(None, replace(plain.record, moments=model._fourth_order))
    np.testing.assert_allclose(alone.robust_set("educ"), plain.robust_set("educ"), rtol=ROUNDING)


def test_tests_are_those_of_the_model(model):
    fit = model.fit(cov_type="HC1", **FIT)
    pd.testing.assert_frame_equal(fit.overid_tests(), model.overid_tests("HC1"))
    pd.testing.assert_frame_equal(fit.endogeneity_test(), model.endogeneity_test("HC1"))
    assert fit.c_stat("motheduc") == model.c_stat("motheduc", "HC1")
    assert fit.c_stat("motheduc", centered=True).centered


def test_refusals(data):
    model = qb.QuasiBayesIV.from_formula(FORMULA, data.reset_index(drop=True))
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": "age"}, **FIT)
    with pytest.raises(OptionError, match="results hold no rows, hence no clusters"):
        fit.endogeneity_test()
    with pytest.raises(OptionError, match="cov_kwds is given without cov_type"):
        fit.robust_set("educ", cov_kwds={"maxlags": 2})
    with pytest.raises(OptionError, match="cov_type='HC9' is not known"):
        fit.robust_set("educ", cov_type="HC9")


def test_first_stage_is_a_frame_that_can_be_printed(model):
    fit = model.fit(cov_type="HC1", **FIT)
    report = fit.first_stage()
    pd.testing.assert_frame_equal(report, model.first_stage("HC1"))
    assert isinstance(report, pd.DataFrame)
    assert type(report.to_frame()) is pd.DataFrame
    assert type(report[["f"]]) is pd.DataFrame
    text = report.summary().as_text()
    for words in ("educ", "F (HC1)", "Effective F", "bias 30%", "Kleibergen-Paap F"):
        assert words in text
    row = next(line for line in text.splitlines() if line.startswith("Cragg-Donald F"))
    assert float(row.split()[-1]) == pytest.approx(report["cragg_donald_f"].iloc[0], rel=1e-3)
    assert "tabular" in report.summary().as_latex()
    # Callers may change what they were given.
    report.loc["educ", "f"] = 0.0
    assert fit.first_stage().loc["educ", "f"] > 50.0


def test_statistics_that_do_not_exist_are_left_out_of_print():
    entry = qb.datasets.load("griliches1976")
    model = qb.QuasiBayesIV.from_formula("lw ~ expr + [s + iq ~ med + kww + age + mrt]", entry)
    text = model.first_stage().summary().as_text()
    assert "Effective F" not in text
    assert "Shea R2" in text


def test_critical_values_fall_with_the_bias_that_is_tolerated(model):
    table = model.first_stage()
    names = ["_05", "", "_20", "_30"]
    values = table[[f"effective_f_critical_value{name}" for name in names]].iloc[0]
    assert (values.diff().dropna() < 0).all()
