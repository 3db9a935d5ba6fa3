"""Fits beside other estimates, against least squares and GMM written out here."""

import sys
import warnings
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.iolib.summary2 import summary_col

import qbeconometrics as qb
from qbeconometrics.exceptions import (
    InputError,
    MissingExtraError,
    OptionError,
    WeakInstrumentWarning,
)

FORMULA = "rent ~ pcturban + [hsngval ~ faminc + reg2 + reg3 + reg4]"
EXACT = {"quasi_likelihood": "two-step", "draws": 10, "chains": 1, "rng": 0}


@pytest.fixture(scope="module")
def rents():
    return qb.datasets.load("hsng1980")


def model_of(rents, **options):
    return qb.QuasiBayesIV.from_formula(FORMULA, rents, prior=qb.priors.Flat(), **options)


@pytest.fixture(scope="module")
def fits(rents):
    model = model_of(rents)
    default = qb.QuasiBayesIV.from_formula(FORMULA, rents)
    with warnings.catch_warnings():
        # A short chain.
        warnings.simplefilter("ignore")
        return model.fit(**EXACT), default.fit("rwm", draws=200, rng=0)


def written_out(design):
    """Two-stage least squares, two-step and iterated GMM and CUE, by their definitions."""
    y, X, Z = design.endog, design.exog, design.instrument
    n = len(y)

    def covariance(b):
        scores = Z * (y - X @ b)[:, None]
        return scores.T @ scores / n

    def minimiser(weight):
        A = X.T @ Z @ weight
        return np.linalg.solve(A @ Z.T @ X, A @ Z.T @ y)

    def criterion(b):
        g = Z.T @ (y - X @ b) / n
        return n * g @ np.linalg.solve(covariance(b), g)

    two_stage = minimiser(np.linalg.inv(Z.T @ Z))
    found = {"2SLS": two_stage, "two-step": minimiser(np.linalg.inv(covariance(two_stage)))}
    iterated = found["two-step"]
    for _ in range(500):
        iterated = minimiser(np.linalg.inv(covariance(iterated)))
    return {**found, "iterated": iterated}, criterion, covariance


def test_estimates_are_those_of_their_definitions(fits):
    exact, sampled = fits
    comparison = qb.compare(exact, sampled, names=["exact", "sampled"])
    table = comparison.to_frame()
    found, criterion, covariance = written_out(exact.model.design)
    for name, expected in found.items():
        np.testing.assert_allclose(table[name]["estimate"], expected, rtol=1e-6)
    cue = table["CUE"]["estimate"].to_numpy()
    assert criterion(cue) < min(criterion(b) for b in found.values())
    # The flat prior's posterior mean under a fixed weight is two-step GMM.
    np.testing.assert_allclose(table["exact"]["estimate"], table["two-step"]["estimate"], rtol=1e-8)
    np.testing.assert_allclose(table["sampled"]["estimate"], sampled.params)
    np.testing.assert_allclose(table["sampled"][["lower", "upper"]], sampled.conf_int())
    statistics = {column.name: column.statistics for column in comparison.columns}
    assert float(statistics["CUE"]["J (df 3)"]) == pytest.approx(criterion(cue), rel=1e-3)
    two_step = found["two-step"]
    design = exact.model.design
    g = design.instrument.T @ (design.endog - design.exog @ two_step) / 50
    j = 50 * g @ np.linalg.solve(covariance(found["2SLS"]), g)
    for name in ("two-step", "exact"):
        assert float(statistics[name]["J (df 3)"]) == pytest.approx(j, rel=1e-3)
        assert float(statistics[name]["p-value of J"]) == pytest.approx(
            stats.chi2.sf(j, 3), abs=1e-3
        )


def test_ordinary_least_squares_are_statsmodels(fits):
    design = fits[0].model.design
    table = qb.compare(fits[0], methods=["OLS"], alpha=0.1).to_frame()["OLS"]
    expected = sm.OLS(design.endog, design.exog).fit(cov_type="HC0")
    np.testing.assert_allclose(table["estimate"], expected.params, rtol=1e-8)
    np.testing.assert_allclose(table["spread"], expected.bse, rtol=1e-8)
    np.testing.assert_allclose(table[["lower", "upper"]], expected.conf_int(0.1), rtol=1e-8)


@pytest.mark.parametrize(
    "options",
    [
        {"cov_type": "HC1"},
        {"cov_type": "nonrobust"},
        {"cov_type": "HAC", "cov_kwds": {"maxlags": 3}},
        {"cov_type": "HAC", "cov_kwds": {"maxlags": 3, "kernel": "parzen"}},
        {"cov_type": "HAC", "cov_kwds": {"maxlags": 3, "kernel": "quadratic-spectral"}},
        {"cov_type": "HAC", "cov_kwds": {"maxlags": "andrews", "kernel": "quadratic-spectral"}},
        {"cov_type": "cluster", "cov_kwds": {"groups": "block"}},
        {"cov_type": "HC0", "cov_kwds": {"centered": True}},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_the_covariance_is_that_of_the_fit(rents, options):
    # Just identified: all estimates are the same, and so are the standard errors. Centred moments
    # have mean zero there.
    data = rents.assign(block=np.arange(50) % 13)
    formula = "rent ~ pcturban + [hsngval ~ faminc]"
    model = qb.QuasiBayesIV.from_formula(formula, data, prior=qb.priors.Flat())
    fit = model.fit(**EXACT, **options)
    table = qb.compare(fit).to_frame()
    assert set(table.columns.levels[0]) == {"2SLS", "OLS", "QB two-step"}
    np.testing.assert_allclose(table["2SLS"]["estimate"], fit.params, rtol=1e-8)
    np.testing.assert_allclose(table["2SLS"]["spread"], fit.bse, rtol=1e-8)


def test_weights_and_fixed_effects_go_along(rents):
    data = rents.assign(w=np.linspace(1, 3, 50), block=np.arange(50) % 4)
    model = qb.QuasiBayesIV.from_formula(
        "rent ~ pcturban + [hsngval ~ faminc]", data, prior=qb.priors.Flat(),
        weights="w", weight_type="analytic", absorb="block",
    )  # fmt: skip
    fit = model.fit(**EXACT, cov_type="HC1")
    table = qb.compare(fit).to_frame()
    np.testing.assert_allclose(table["2SLS"]["spread"], fit.bse, rtol=1e-8)


def test_formats(fits):
    comparison = qb.compare(*fits, names=["a & b", "x|y"])
    text, rows = str(comparison), comparison.to_markdown().splitlines()
    assert comparison.names == [
        "a & b", "x|y", "OLS", "2SLS", "LIML", "two-step", "iterated", "CUE",
    ]  # fmt: skip
    for words in ("hsngval", "J (df 3)", "Observations", "posterior mean (sd)"):
        assert words in text
        assert words in comparison.to_markdown()
    assert r"x\|y" in rows[0]
    assert {row.replace(r"\|", "").count("|") for row in rows[:5]} == {10}
    assert r"a \& b" in comparison.to_latex()
    html = comparison._repr_html_()
    assert "a &amp; b" in html
    tables = ElementTree.fromstring(f"<html>{html}</html>").findall(".//table")
    assert len(tables) == 1


def test_without_linearmodels(fits, monkeypatch):
    monkeypatch.setitem(sys.modules, "linearmodels.iv", None)
    comparison = qb.compare(fits[0])
    assert comparison.names == ["QB two-step"]
    assert "[compare]" in str(comparison)
    assert "[compare]" not in str(qb.compare(fits[0], methods=()))
    with pytest.raises(MissingExtraError, match=r"\[compare\]"):
        qb.compare(fits[0], methods=["2SLS"])


def test_loaded_and_foreign_results(fits, rents, tmp_path):
    fits[1].save(tmp_path / "fit.npz")
    loaded = qb.load(tmp_path / "fit.npz")
    outside = sm.OLS.from_formula("rent ~ hsngval", rents).fit()
    comparison = qb.compare(loaded, outside)
    assert comparison.names == ["QB cue", "OLS (2)"]
    table = comparison.to_frame()
    assert np.isnan(table.loc["pcturban", ("OLS (2)", "estimate")])
    assert table.loc["hsngval", ("OLS (2)", "spread")] == outside.bse["hsngval"]
    with pytest.raises(InputError, match="not loaded from a file"):
        qb.compare(loaded, methods=["OLS"])


def test_clusters_as_arrays_are_a_note(rents):
    groups = {"groups": np.arange(50) % 13}
    with pytest.warns(WeakInstrumentWarning, match="do not bound the coefficient of 'hsngval'"):
        fit = model_of(rents).fit(**EXACT, cov_type="cluster", cov_kwds=groups)
    comparison = qb.compare(fit)
    assert comparison.names == ["QB two-step"]
    assert "clusters that were given as an array" in str(comparison)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"methods": ["TSLS"]}, OptionError, "methods='TSLS' is not known.*'2SLS'"),
        ({"names": ["a", "b"]}, OptionError, "names must hold 1 names"),
        ({"names": "a"}, OptionError, "names must hold 1 names"),
        ({"alpha": 2}, OptionError, "alpha"),
    ],
)
def test_bad_arguments(fits, arguments, error, message):
    with pytest.raises(error, match=message):
        qb.compare(fits[0], **arguments)


def test_nothing_to_compare(fits):
    with pytest.raises(InputError, match="at least one fit"):
        qb.compare()
    with pytest.raises(InputError, match="int has no params"):
        qb.compare(fits[0], 3)


def test_summary_col(fits, rents, tmp_path):
    fits[1].save(tmp_path / "fit.npz")
    outside = sm.OLS.from_formula("rent ~ hsngval + pcturban", rents).fit()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = summary_col([*fits, qb.load(tmp_path / "fit.npz"), outside]).tables[0]
    assert table.shape[1] == 4
    assert {"hsngval", "pcturban", "Intercept"} <= set(table.index)
    assert isinstance(table, pd.DataFrame)
