"""The printed summary: numbers, layout, notes, and the three formats."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from statsmodels.iolib.summary import Summary

from qbeconometrics.exceptions import NumericalError
from qbeconometrics.results import IVResults, PosteriorResults

WIDTH = 100


def make(record_factory, model_factory, *, kind=IVResults, effective_f=(14.3,), **changes):
    record = record_factory(**changes)
    return kind(model_factory(record.param_names, effective_f), record)


def row(text, name):
    """The cells of a parameter's (only) row."""
    (line,) = [line for line in text.splitlines() if line.startswith(name + " ")]
    return line[len(name) :].split()


def head(text):
    """Labels and values of the two columns at the top."""
    body = text.split("===\n")[1]
    found = (
        pair
        for line in body.splitlines()
        for pair in re.findall(r"(\S[^:]*):\s+(\S.*?)(?=\s{3,}|$)", line)
    )
    return dict(found)


def test_head(record_factory, model_factory):
    results = make(record_factory, model_factory, n_dropped=3, cov_kwds={"centered": True})
    summary = results.summary()
    text = summary.as_text()
    assert isinstance(summary, Summary)
    assert text.splitlines()[0].strip() == "Quasi-Bayesian IV Regression Results"
    found = head(text)
    expected = {
        "Dep. Variable": "lwage",
        "Model": "QuasiBayesIV",
        "Quasi-likelihood": "cue",
        "Covariance": "HC0 (centered)",
        "Learning rate": "1",
        "Prior": "default, weak",
        "Sampler": "da-exact",
        "Draws x chains": "1000 x 4",
        "No. Observations": "3010",
        "Dropped rows": "3",
        "Instruments": "5",
        "J (df 1)": "3.412 (p = 0.065)",
        "Effective F": "14.3",
        "Acceptance, stage 1": "0.912",
        "Acceptance, stage 2": "0.804",
        "mESS": f"{results.mess():.0f}",
        "mESS per second": f"{results.mess() / 0.25:.0f}",
        "Seconds": "0.25 (set-up 0.02)",
    }
    assert {key: found[key] for key in expected} == expected
    assert {"Date", "Time"} <= set(found)


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.32])
def test_parameter_rows_follow_alpha(record_factory, model_factory, alpha):
    results = make(record_factory, model_factory)
    text = str(results.summary(alpha=alpha))
    assert f"[{alpha / 2:g}" in text
    assert f"{1 - alpha / 2:g}]" in text
    draws = results.draws[..., 3].ravel()
    lower, upper = np.quantile(draws, [alpha / 2, 1 - alpha / 2])
    cells = row(text, "educ")
    expected = [draws.mean(), draws.std(ddof=1), np.median(draws), lower, upper]
    assert cells[:5] == [f"{value:.4f}" for value in expected]
    assert cells[5] == f"{np.mean(draws > 0):.3f}"
    assert float(cells[6]) == pytest.approx(results.mcse().loc["educ", "mean"], rel=0.05)
    assert cells[7:9] == [f"{value:.0f}" for value in results.ess().loc["educ"]]
    assert cells[9] == f"{results.rhat()['educ']:.3f}"


def test_small_coefficients_keep_their_digits(record_factory, model_factory):
    results = make(record_factory, model_factory)
    cells = row(str(results.summary()), "expersq")
    assert cells[0] == f"{results.params['expersq']:.6f}"
    assert cells[5] == "0.000"


def long_names(k):
    return tuple(f"C(industry)[T.{'manufacturing and trade ' * (1 + j % 2)}{j}]" for j in range(k))


@pytest.mark.parametrize("case", ["plain", "long names", "mixed scales", "one", "long head"])
def test_width(record_factory, model_factory, case):
    changes = {}
    if case == "long names":
        changes = {"names": long_names(6), "centre": np.ones(6), "spread": np.ones(6)}
    elif case == "mixed scales":
        changes = {"centre": np.array([-1e6, 1e-7, -1e5, 1e9]), "spread": [1e5, 1e-9, 0.1, 1e3]}
    elif case == "one":
        changes = {"names": ("x",), "centre": [0.0], "spread": [1.0]}
    elif case == "long head":
        changes = {"endog_name": "np.log(" + "wage" * 20 + ")", "prior": ("p" * 90,)}
    text = str(make(record_factory, model_factory, **changes).summary())
    lines = text.splitlines()
    assert max(map(len, lines)) <= WIDTH
    tables = text.split("\n\nNotes:")[0].splitlines()[1:]
    # Every rule and row of the tables has the same width.
    assert len({len(line) for line in tables}) == 1


def test_decimal_points_stand_under_each_other(record_factory, model_factory):
    text = str(make(record_factory, model_factory).summary())
    rows = [line for line in text.splitlines() if re.match(r"(exper|expersq|educ) ", line)]
    points = [[match.start() for match in re.finditer(r"\.", line)][:6] for line in rows]
    assert points[0] == points[1] == points[2]


def test_exact_draws(record_factory, model_factory):
    mean, covariance = np.array([1.0, 0.5]), np.diag([0.04, 0.09])
    results = make(
        record_factory,
        model_factory,
        names=("Intercept", "educ"),
        centre=mean,
        spread=[0.2, 0.3],
        exact_mean=mean,
        exact_cov=covariance,
        sampler="independent",
        sampler_stats={},
        instrument_names=("Intercept", "nearc4"),
    )
    text = str(results.summary())
    assert row(text, "educ")[:7] == [
        "0.500",
        "0.300",
        "0.500",
        "-0.088",
        "1.088",
        "0.952",
        "exact",
    ]
    found = head(text)
    assert found["J"] == "exactly identified"
    assert "Acceptance" not in text
    assert "Seconds" not in found


def test_median_leads_where_moments_do_not_exist(record_factory, model_factory):
    results = make(record_factory, model_factory, moments_exist=(False, False))
    text = str(results.summary())
    header = next(line for line in text.splitlines() if "Pr(>0)" in line)
    assert header.split()[:3] == ["median", "[0.025", "0.975]"]
    assert row(text, "educ")[0] == f"{results.median['educ']:.4f}"
    assert "mean does not exist" in text
    assert "nan" not in text.lower()
    text = str(make(record_factory, model_factory, moments_exist=(True, False)).summary())
    header = next(line for line in text.splitlines() if "Pr(>0)" in line)
    assert header.split()[:2] == ["median", "mean"]


def test_constant_parameter(record_factory, model_factory):
    results = make(record_factory, model_factory, spread=np.array([0.7, 0.01, 0.0, 0.05]))
    text = str(results.summary())
    assert row(text, "expersq")[-1] == "constant"
    assert "mESS is left out: a parameter is constant." in text


def test_regression_without_endogenous_regressors(record_factory, model_factory):
    results = make(
        record_factory,
        model_factory,
        endogenous_names=(),
        instrument_names=("Intercept", "exper", "expersq", "educ"),
    )
    text = str(results.summary())
    assert "Effective F" not in text
    assert not any(label.startswith("J") for label in head(text))
    assert "nan" not in text.lower()


def test_statistics_that_fail_are_noted(record_factory, model_factory):
    class Failing(model_factory):
        def j_stat(self, **keywords):
            raise NumericalError("the weight is singular")

        def first_stage(self, **keywords):
            raise NumericalError("the first-stage covariance is singular")

    record = record_factory()
    text = str(IVResults(Failing(record.param_names), record).summary())
    assert "J could not be computed: the weight is singular." in text
    assert "The first stage could not be computed: the first-stage covariance" in text


def test_several_endogenous_regressors(record_factory, model_factory):
    record = record_factory(endogenous_names=("educ", "exper"))
    model = model_factory(record.param_names, (31.0, 12.5), ("educ", "exper"))
    assert head(str(IVResults(model, record).summary()))["Effective F"] == "12.5"
    # The effective F is defined for one endogenous regressor only.
    model = model_factory(record.param_names, (np.nan, np.nan), ("educ", "exper"))
    summary = IVResults(model, record).summary()
    found = head(str(summary))
    assert found["Kleibergen-Paap F"] == "8.25"
    assert "Effective F" not in found
    assert "the Kleibergen-Paap F is 8.25 for 'educ', 'exper'" in summary.notes[-1]


def test_notes_name_everything(record_factory, model_factory):
    results = make(
        record_factory,
        model_factory,
        draws=60,
        draws_requested=2000,
        interrupted=True,
        n_dropped=1,
        effective_f=(3.1,),
        notes=("The tail of the prior holds 2 % of the mass",),
    )
    notes = results.summary().notes
    for part in (
        "Prior: default, weak: slopes",
        "Sampler 'da-exact': moments are linear",
        "1 row was dropped because of missing values.",
        "The tail of the prior holds 2 % of the mass.",
        "Warning: sampling was interrupted; 60 of 2000 draws a chain were kept.",
        "Warning: The bulk ESS is|Warning: The tail ESS is|Warning: R-hat is",
        "Warning: The instruments are weak: the effective F is 3.1 for 'educ'",
    ):
        assert any(note.startswith(tuple(part.split("|"))) for note in notes), part
    text = str(results.summary())
    for number in range(1, len(notes) + 1):
        assert f"\n[{number}] " in text


def test_dropped_rows_are_noted_once(record_factory, model_factory):
    note = "3 rows with missing values were dropped."
    results = make(record_factory, model_factory, n_dropped=3, notes=(note,))
    assert [text for text in results.summary().notes if "dropped" in text] == [note]


def test_plain_posterior_results(record_factory, model_factory):
    results = make(
        record_factory,
        model_factory,
        kind=PosteriorResults,
        instrument_names=(),
        prior=(),
        sampler_reason="",
        sampler_stats={"acceptance_rate": np.full(4, 0.3)},
        sampler="rwm",
    )
    found = head(str(results.summary()))
    assert found["Acceptance"] == "0.300"
    assert found["Prior"] == "flat"
    assert "Instruments" not in found
    assert "Notes" not in str(results.summary())
    assert "<ol>" not in results.summary().as_html()
    assert "enumerate" not in results.summary().as_latex()


ODD_NAMES = ("Intercept", "x<1 & z", "a_b%", "C(r)[T.#1]$^~\\{}")


def test_html_is_well_formed_and_escaped(record_factory, model_factory):
    results = make(record_factory, model_factory, names=ODD_NAMES, notes=("ESS < 400 & R-hat > 1",))
    markup = results._repr_html_()
    tree = ElementTree.fromstring(f"<div>{markup}</div>")
    tables = tree.findall("table")
    body = tables[-1].findall("tr")
    assert [tr.find("th").text for tr in body[2:]] == list(ODD_NAMES)
    widths = {len(list(tr)) for tr in body}
    assert widths == {11}
    items = [item.text for item in tree.find("ol")]
    assert "ESS < 400 & R-hat > 1." in items


def test_latex_is_escaped_and_balanced(record_factory, model_factory):
    results = make(record_factory, model_factory, names=ODD_NAMES, notes=("a 5 % tail & more_",))
    latex = results.summary().as_latex()
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 2
    assert r"a 5 \% tail \& more\_." in latex
    assert r"\textbf{C(r)[T.\#1]\$\textasciicircum{}\textasciitilde{}" in latex
    assert r"\textbf{x\textless{}1 \& z}" in latex
    assert "Pr(\\textgreater{}0)" in latex
    cells = [line.replace(r"\&", "").count("&") for line in latex.splitlines() if "\\\\" in line]
    assert set(cells) == {3, 10}
    # A row may not begin with a bracket: LaTeX would read it as a length.
    assert not any(line.lstrip().startswith("[") for line in latex.splitlines())


def test_csv(record_factory, model_factory):
    assert "educ" in make(record_factory, model_factory).summary().as_csv()
