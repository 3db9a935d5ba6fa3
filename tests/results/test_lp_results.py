"""What local projections hand out: tables, bands from drawn paths, functionals, summary, figure."""

import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import qbeconometrics as qb
from qbeconometrics.exceptions import (
    InputError,
    MissingExtraError,
    OptionError,
    WeakInstrumentWarning,
)

COLUMNS = ["mean", "sd", "median", "lower", "upper", "band_lower", "band_upper"]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    n = 300
    shock, *noise = rng.normal(size=(4, n))
    index = pd.period_range("1950Q1", periods=n, freq="Q")
    columns = {
        name: np.convolve(shock, rho ** np.arange(30))[:n] + error
        for name, rho, error in (("gdp", 0.8, noise[0]), ("hours", 0.5, noise[1]))
    }
    return pd.DataFrame({**columns, "shock": shock, "other": noise[2]}, index=index)


@pytest.fixture(scope="module", params=["normal", "smooth"])
def res(request, data):
    prior = None if request.param == "normal" else qb.priors.Smoothness(2)
    model = qb.QuasiBayesLP(data[["gdp", "hours"]], data["shock"], horizon=8, lags=1, prior=prior)
    return model.fit(rng=0)


@pytest.fixture(scope="module")
def single(data):
    return qb.QuasiBayesLP(data["gdp"], data["shock"], horizon=8, lags=1).fit(rng=0)


def test_irf_has_what_the_plot_shows(res, single):
    assert list(res.irf.columns) == COLUMNS
    assert res.irf.index.names == ["response", "horizon"]
    assert single.irf.index.name == "horizon"
    table = res.irf_table(alpha=0.32, method="quantile")
    pooled = res.draws.reshape(-1, 18)
    ends = res.conf_int(0.32).to_numpy()
    np.testing.assert_allclose(table[["lower", "upper"]], ends)
    np.testing.assert_allclose(table["mean"], res.params)
    np.testing.assert_allclose(table["sd"], res.bse)
    for response in range(2):
        own = slice(9 * response, 9 * response + 9)
        inside = (pooled[:, own] >= table["band_lower"].to_numpy()[own]) & (
            pooled[:, own] <= table["band_upper"].to_numpy()[own]
        )
        assert inside.all(axis=1).mean() >= 0.68


@pytest.mark.parametrize("method", ["sup-t", "quantile", "bonferroni", "sidak"])
@pytest.mark.parametrize("alpha", [0.05, 0.32])
def test_bands_contain_pointwise_intervals(res, method, alpha):
    table = res.irf_table(alpha, method)
    slack = 0.05 * table["sd"]  # exact intervals beside those of draws
    assert (table["band_lower"] <= table["lower"] + slack).all()
    assert (table["band_upper"] >= table["upper"] - slack).all()


def test_a_band_for_all_responses_is_wider(res):
    one, all_of_them = (res.simultaneous_band(family=family) for family in ("path", "all"))
    assert (all_of_them[1] > one[1]).all()
    assert len(one.attrs["critical_values"]) == 2
    assert len(all_of_them.attrs["critical_values"]) == 1


def test_cumulated_responses_come_from_cumulated_draws(res):
    table = res.cumulative()
    paths = np.cumsum(res.draws.reshape(-1, 2, 9), axis=2).reshape(-1, 18)
    np.testing.assert_allclose(
        table["mean"], np.cumsum(res.params.to_numpy().reshape(2, 9), 1).ravel()
    )
    np.testing.assert_allclose(table["sd"], paths.std(axis=0), rtol=0.03)
    np.testing.assert_allclose(table["lower"], np.quantile(paths, 0.05, axis=0), atol=0.05)
    # Sums of quantiles would be another, wider interval.
    added = np.cumsum(res.irf["lower"].to_numpy().reshape(2, 9), axis=1).ravel()
    assert table["lower"].iloc[8] > added[8] + 0.1


def test_functionals_are_taken_draw_by_draw(res):
    cube = res.draws.reshape(-1, 2, 9)
    peak = res.peak(0.2, "max")
    np.testing.assert_allclose(peak["value", "median"], np.median(cube.max(axis=2), axis=0))
    np.testing.assert_allclose(
        peak["horizon", "upper"], np.quantile(cube.argmax(axis=2), 0.9, axis=0)
    )
    area = res.area(0.2, first=2, last=5)
    np.testing.assert_allclose(area["lower"], np.quantile(cube[:, :, 2:6].sum(axis=2), 0.1, axis=0))
    assert area.index.tolist() == ["gdp", "hours"]
    life = res.half_life()
    assert life.loc["gdp", "median"] > life.loc["hours", "median"]
    assert life["share_reached"].between(0.9, 1.0).all()
    ratio = res.ratio("gdp", "hours")
    by_hand = np.median(np.cumsum(cube[:, 0], 1) / np.cumsum(cube[:, 1], 1), axis=0)
    np.testing.assert_allclose(ratio["median"], by_hand)
    assert (ratio["band_lower"] <= ratio["lower"]).all()


def test_joint_probabilities(res, single):
    cube = res.draws.reshape(-1, 2, 9)
    expected = (cube[:, 0, 2:5] > 0.3).all(axis=1).mean()
    found = res.prob_path(">", 0.3, horizons=range(2, 5), response="gdp")
    assert found == expected
    assert res.prob("gdp[2] > 0.3 and gdp[3] > 0.3 and gdp[4] > 0.3") == pytest.approx(expected)
    assert res.prob_path("<=", 100.0, response="hours") == 1.0
    assert single.prob_path("<", -100.0) == 0.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda res: res.prob_path(">"), "name the response"),
        (lambda res: res.prob_path(">", response="gdpp"), "Did you mean 'gdp'"),
        (lambda res: res.prob_path("=", response="gdp"), "relation"),
        (lambda res: res.prob_path(">", response="gdp", horizons=[9]), "horizon 9"),
        (lambda res: res.prob_path(">", response="gdp", state="low"), "not a state"),
        (lambda res: res.area(first=20), "no horizon"),
        (lambda res: res.irf_table(family="both"), "family"),
        (lambda res: res.irf_table(1.5), "alpha"),
        (lambda res: res.ratio("gdp", "gpd"), "not a response"),
        (lambda res: res.predict(), "do not predict"),
        (lambda res: res.robust_set("gdp[99]"), "not a coefficient"),
    ],
)
def test_refusals(res, call, words):
    with pytest.raises(OptionError, match=words):
        call(res)


def test_no_first_stage_without_instruments(res):
    with pytest.raises(InputError, match="own instrument"):
        res.first_stage()


def test_robust_sets_beside_credible_intervals(data):
    rng = np.random.default_rng(5)
    weak = 0.1 * data["shock"] + rng.normal(size=len(data))
    for instrument, bounded in ((data["shock"] + data["other"], True), (weak, False)):
        model = qb.QuasiBayesLP(
            data[["gdp", "hours"]], data["shock"] + rng.normal(size=len(data)), None,
            instrument.rename("z"), horizon=2, lags=1,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", WeakInstrumentWarning)
            res = model.fit(rng=0, draws=2_500)
        table = res.robust_sets(0.2)
        assert table.index.equals(res.irf.index)
        for name, (_, row) in zip(res.params.index, table.iterrows(), strict=True):
            assert row["robust_set"] == model.robust_set(name, 0.2)
            assert (row["robust_lower"], row["robust_upper"]) == (
                row["robust_set"][0][0], row["robust_set"][-1][1],
            )  # fmt: skip
        ends = res.irf_table(0.2)[["lower", "upper"]]
        np.testing.assert_array_equal(table[["lower", "upper"]], ends)
        assert np.isfinite(table[["robust_lower", "robust_upper"]]).all(axis=None) == bounded


def test_summary_by_horizon(res):
    text = str(res.summary(alpha=0.2))
    for words in (
        "Quasi-Bayesian Local Projections", "0 to 8", "common", "[0.1", "0.9]", "gdp[0]",
        "hours[8]", "Rows from 1950Q3 to 2022Q4, the same 290", "sup-t bands hold 80%",
        "outer product",
    ):  # fmt: skip
        assert words in text.replace("\n    ", " "), words
    row = next(line.split() for line in text.splitlines() if line.startswith("gdp[3]"))
    table = res.irf_table(0.2).loc[("gdp", 3)]
    shown = [float(word) for word in row[1:6]]
    np.testing.assert_allclose(shown, table[["mean", "sd", "median", "lower", "upper"]], atol=6e-4)
    assert float(row[7]) == pytest.approx(table["band_lower"], abs=6e-4)
    assert "gdp[0]" in res.summary().as_latex()
    assert "<table" in res._repr_html_()


def test_figure_shows_the_table(res):
    figure = Figure(figsize=(7, 3), layout="constrained")
    other = pd.DataFrame({"hours": np.zeros(5), "gdp": np.ones(5)})
    drawn = res.plot(
        0.1, "quantile", compare={"model": other}, titles={"gdp": "Output"}, figure=figure
    )
    assert drawn is figure
    axes = figure.get_axes()
    assert [axis.get_title() for axis in axes] == ["Output", "hours"]
    assert axes[0].get_xlabel() == "Quarters after the shock"
    table = res.irf_table(0.1, "quantile")
    zero, centre, compared = axes[0].get_lines()
    np.testing.assert_array_equal(zero.get_ydata(), [0.0, 0.0])
    np.testing.assert_array_equal(centre.get_ydata(), table.loc["gdp", "median"])
    np.testing.assert_array_equal(compared.get_ydata(), np.ones(5))
    band, interval = axes[1].collections
    for area, columns in ((band, ["band_lower", "band_upper"]), (interval, ["lower", "upper"])):
        heights = area.get_paths()[0].vertices[:, 1]
        own = table.loc["hours", columns].to_numpy()
        np.testing.assert_allclose([heights.min(), heights.max()], [own.min(), own.max()])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["90 % quantile band", "90 % pointwise", "posterior median", "model"]


def test_paths_to_compare_must_fit(res):
    with pytest.raises(InputError, match="compare\\['VAR'\\]"):
        res.plot(compare={"VAR": np.zeros((9, 3))})


def test_matplotlib_is_named_where_it_is_missing(single, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingExtraError, match=r"qbeconometrics\[plots\]"):
        single.plot()


def test_draws_for_other_programs(res):
    tree = res.to_datatree()
    assert tree["posterior"]["gdp[3]"].shape == (4, 5000)
