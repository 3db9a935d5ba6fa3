"""QuasiBayesLP on Gertler and Karadi's data against stored local projections, and its arguments."""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import qbeconometrics as qb
from qbeconometrics.exceptions import (
    FormulaError,
    InputError,
    OptionError,
    PriorWarning,
    UnknownKeywordError,
    WeakInstrumentWarning,
)

STORED = json.loads(
    (Path(__file__).parent.parent / "reference_values" / "reference_lp.json").read_text("utf-8")
)["specs"]["gk2015_monetary"]
CASES = [
    (response, method)
    for response in ("logip", "gs1")
    for method in ("ols_nw", "ols_la_hc", "iv_nw", "iv_la_hc")
]
FLAT = qb.priors.Flat()


@pytest.fixture(scope="module")
def gertler_karadi():
    data = qb.datasets.load("gertler_karadi_2015")
    data.index = pd.PeriodIndex(data.pop("date"), freq="M")
    return data.loc["1990-01":"2012-06"]


@pytest.fixture(scope="module")
def model_of(gertler_karadi):
    """Model of a stored block."""

    def build(response, method, **options):
        spec = STORED["spec"]
        augmented = "la" in method
        p = spec["lags_la"] if augmented else spec["lags_nw"]
        shock = "ff4_tc" if method.startswith("ols") else "[gs1 ~ ff4_tc]"
        lags = " + ".join(f"lag({name}, 1, {p})" for name in spec["lag_vars"])
        return qb.QuasiBayesLP.from_formula(
            f"{response} ~ {shock} | {lags}",
            gertler_karadi,
            **{"horizon": 36, "prior": FLAT, "lag_augmentation": augmented, **options},
        )

    return build


@pytest.mark.parametrize(("response", "method"), CASES)
def test_flat_prior_and_fixed_weight_are_the_frequentist_numbers(model_of, response, method):
    block = STORED[response][method]
    augmented = "la" in method
    model = model_of(response, method)
    res = model.fit(draws=25_000, rng=0, cov_type="HC0" if augmented else None)
    assert (res.record.sampler, res.record.exact, res.nobs) == ("independent", True, block["nobs"])
    irf = res.irf
    moving = res.paths.active
    known = [int(h) for h in np.flatnonzero(~moving)]
    assert known == block.get("degenerate_horizons", [])
    np.testing.assert_allclose(irf["mean"], block["beta"], rtol=1e-6)
    sd = np.array(block["se_hc0" if augmented else "se_nw_H"])
    np.testing.assert_allclose(irf["sd"][moving], sd[moving], rtol=1e-5)
    critical = res.simultaneous_band().attrs["critical_values"][0]
    assert abs(critical - block["supt90_crit"]) < 0.02
    if "joint_cov_matrix" in block:
        stored = np.array(block["joint_cov_matrix"])
        np.testing.assert_allclose(res.cov_params(), stored, atol=1e-5 * np.abs(stored).max())
    if augmented:
        hc1 = model.fit(draws=10, chains=1, rng=0)
        np.testing.assert_allclose(
            hc1.irf["sd"][moving], np.array(block["se_hc1"])[moving], rtol=1e-5
        )


@pytest.mark.parametrize(("response", "method"), CASES)
def test_own_samples_by_horizon(model_of, response, method):
    block = STORED[response][method]["horizon_sample"]
    augmented = "la" in method
    model = model_of(response, method, sample="horizon")
    res = model.fit(draws=10, chains=1, rng=0, cov_type="HC1" if augmented else None)
    np.testing.assert_allclose(res.params, block["beta"], rtol=1e-6)
    assert res.paths.rows == (min(block["nobs"]), max(block["nobs"]))
    if augmented:
        moving = res.paths.active
        np.testing.assert_allclose(res.bse[moving], np.array(block["se_hc1"])[moving], rtol=1e-5)


@pytest.mark.parametrize("method", ["iv_nw", "iv_la_hc"])
def test_first_stage_by_horizon(model_of, method):
    stored = np.array(STORED["logip"][method]["first_stage_F"])
    table = model_of("logip", method).first_stage("HC1")
    assert list(table.index) == list(range(37))
    np.testing.assert_allclose(table["f_robust"], stored[:, 0], atol=1e-4)
    np.testing.assert_allclose(table["effective_f"], table["f_robust"], rtol=1e-10)
    for h in (1, 12):
        hac = model_of("logip", method).first_stage("HAC", {"maxlags": h})
        np.testing.assert_allclose(hac["f_robust"].iloc[0], stored[h, 1], atol=1e-4)


@pytest.mark.parametrize("response", ["logip", "gs1"])
@pytest.mark.parametrize("method", ["iv_nw", "iv_la_hc"])
def test_anderson_rubin_sets(model_of, response, method):
    model = model_of(response, method)
    for h, (kind, *ends) in enumerate(STORED[response][method]["anderson_rubin90"]):
        if f"{response}[{h}]" == "gs1[0]":
            continue  # known without error
        kwds = ("HC0", None) if "la" in method else ("HAC", {"maxlags": h})
        found = model.robust_set(f"{response}[{h}]", 0.10, *kwds)
        assert kind == "interval"
        np.testing.assert_allclose(found, [ends], rtol=1e-6)


def test_a_variables_response_to_itself_is_known_at_once(model_of):
    res = model_of("gs1", "iv_la_hc").fit(rng=0, draws=2000)
    assert res.irf.loc[0, ["mean", "lower", "upper", "band_lower"]].tolist() == [1, 1, 1, 1]
    assert res.irf.loc[0, "sd"] == 0.0
    text = str(res.summary())
    assert "Known without error" in text
    assert "'gs1[0]'" in text
    assert "constant" in text
    assert res.robust_set("gs1[0]") == [(1.0, 1.0)]


def test_recursive_zeros_are_zero(gertler_karadi):
    """Outcomes among the controls do not move at once."""
    slow = gertler_karadi[["logip", "logcpi"]]
    model = qb.QuasiBayesLP(slow, gertler_karadi["gs1"], slow, horizon=2, lags=2)
    res = model.fit(rng=0, draws=2_500)
    assert res.params[["logip[0]", "logcpi[0]"]].tolist() == [0.0, 0.0]
    assert res.prob("logip[0] > 0") == 0.0
    assert (res.bse[["logip[1]", "logcpi[2]"]] > 0.0).all()
    assert "'logip[0]', 'logcpi[0]'" in " ".join(str(res.summary()).split())


def test_arrays_and_formula_agree(gertler_karadi):
    names = ["logip", "logcpi", "ebp"]
    lags = " + ".join(f"lag({name}, 1, 3)" for name in [*names, "gs1", "ff4_tc"])
    left = qb.QuasiBayesLP.from_formula(
        f"logip + logcpi ~ [gs1 ~ ff4_tc] | ebp + {lags}", gertler_karadi, horizon=range(1, 13)
    )
    right = qb.QuasiBayesLP(
        gertler_karadi[["logip", "logcpi"]], gertler_karadi["gs1"], gertler_karadi[["ebp"]],
        gertler_karadi["ff4_tc"], horizon=range(1, 13), lags=2,
    )  # fmt: skip
    first, second = (model.fit(rng=1, draws=50) for model in (left, right))
    np.testing.assert_allclose(first.params, second.params, rtol=1e-8)
    np.testing.assert_allclose(first.draws, second.draws, rtol=1e-6, atol=1e-8)
    assert list(first.irf.index.names) == ["response", "horizon"]
    bare = qb.QuasiBayesLP(
        gertler_karadi[["logip"]].to_numpy(), gertler_karadi["gs1"].to_numpy(), horizon=3
    )
    assert bare.exog_names == ["y[0]", "y[1]", "y[2]", "y[3]"]


def simulated(n=300, seed=0):
    rng = np.random.default_rng(seed)
    shock, noise, other = rng.normal(size=(3, n))
    y = np.convolve(shock, 0.7 ** np.arange(25))[:n] + noise
    g = np.convolve(shock, 0.5 ** np.arange(25))[:n] + other
    state = (np.convolve(other, np.ones(5))[:n] > 0).astype(float)
    return pd.DataFrame({"y": y, "g": g, "shock": shock, "state": state})


def test_other_responses_matter_only_through_lags():
    """Adding a response adds its lags to the controls of `lags=`; a formula has what is written."""
    data = simulated()

    def both(response):
        arrays = qb.QuasiBayesLP(data[response], data["shock"], horizon=3, lags=1, prior=FLAT)
        formula = qb.QuasiBayesLP.from_formula(
            f"{' + '.join(response)} ~ shock | lag(y, 1, 2)", data, horizon=3, prior=FLAT
        )
        return [model.moments.estimate[:4, 0] for model in (arrays, formula)]

    alone, together = both(["y"]), both(["y", "g"])
    assert np.abs(alone[0] - together[0]).max() > 1e-4
    np.testing.assert_allclose(alone[1], together[1], rtol=1e-12)


def test_one_step_multiplier_by_its_definition():
    data = simulated()
    model = qb.QuasiBayesLP(
        data["y"], data["g"], None, data["shock"], horizon=6, lags=2, lag_augmentation=False,
        multiplier=True, prior=FLAT,
    )  # fmt: skip
    res = model.fit(rng=0, draws=100)
    assert (res.record.cov_type, res.record.cov_kwds["maxlags"]) == ("HAC", 6)
    h, T = 4, len(data)
    sums = data[["y", "g"]].rolling(h + 1).sum().shift(-h)
    lags = [data[name].shift(j) for name in ("y", "g", "shock") for j in (1, 2)]
    frame = pd.concat([sums, data["shock"], *lags], axis=1).iloc[2 : T - 6].to_numpy()
    W = np.column_stack([np.ones(len(frame)), frame[:, 3:]])
    y, g, z = frame[:, :3].T - (W @ np.linalg.lstsq(W, frame[:, :3])[0]).T
    np.testing.assert_allclose(res.params.iloc[h], (z @ y) / (z @ g), rtol=1e-8)
    with pytest.raises(OptionError, match="multiplier already"):
        res.cumulative()


def test_states_are_those_of_the_period_before():
    data = simulated()
    model = qb.QuasiBayesLP.from_formula(
        "y ~ shock | lag(y, 1, 2) + lag(shock, 1, 2)", data, horizon=3, state="state", prior=FLAT
    )
    res = model.fit(rng=0, draws=500)
    assert model.exog_names[:2] == ["y[0, state=1]", "y[1, state=1]"]
    assert list(res.irf.index.names) == ["state", "horizon"]
    s = data["state"].shift(1)
    lags = [data[name].shift(j) for name in ("y", "shock") for j in (1, 2)]
    parts = [s * data["shock"], (1 - s) * data["shock"], pd.Series(1.0, data.index), s]
    parts += [s * lag for lag in lags] + [(1 - s) * lag for lag in lags]
    frame = pd.concat([data["y"].shift(-2), *parts], axis=1).iloc[2:-3]
    full = sm.OLS(frame.iloc[:, 0], frame.iloc[:, 1:]).fit(cov_type="HC1")
    np.testing.assert_allclose(
        res.params[["y[2, state=1]", "y[2, state=0]"]], full.params[:2], rtol=1e-8
    )
    np.testing.assert_allclose(res.bse[["y[2, state=1]", "y[2, state=0]"]], full.bse[:2], rtol=1e-8)
    statement = "y[0, state=1] > 0.5 and y[0, state=0] > 0.5"
    assert res.prob(statement) > 0.9
    assert res.prob_path(">", 0.5, horizons=[0], state="state=1") > 0.9
    with pytest.raises(OptionError, match="name the state"):
        res.prob_path(">")


def test_default_covariance_follows_the_controls():
    data = simulated()
    fits = {
        "augmented": qb.QuasiBayesLP(data["y"], data["shock"], horizon=4),
        "not augmented": qb.QuasiBayesLP(
            data["y"], data["shock"], horizon=4, lags=2, lag_augmentation=False
        ),
        "formula": qb.QuasiBayesLP.from_formula("y ~ shock | lag(y) + lag(shock)", data, horizon=4),
        "no lags": qb.QuasiBayesLP.from_formula("y ~ shock", data, horizon=4),
    }
    found = {name: model.fit(rng=0, draws=10).record.cov_type for name, model in fits.items()}
    assert found == {
        "augmented": "HC1", "not augmented": "HAC", "formula": "HC1", "no lags": "HAC",
    }  # fmt: skip
    assert fits["augmented"].design.control_names == ("const", "lag(y, 1)", "lag(shock, 1)")


def test_weight_iterations_converge():
    data = simulated(200)
    rng = np.random.default_rng(1)
    instruments = data["shock"].to_numpy()[:, None] + rng.normal(size=(200, 2))
    model = qb.QuasiBayesLP(
        data["y"], data["g"], None, instruments, horizon=6, lags=1,
        prior=qb.priors.Smoothness(2, 20.0),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PriorWarning)
        means = [
            model.fit(rng=0, draws=10, chains=1, weight_iterations=n).params for n in (1, 2, 8, 9)
        ]
    assert np.abs(means[1] - means[0]).max() > 1e-3
    np.testing.assert_allclose(means[2], means[3], rtol=1e-4)


def test_prior_that_decides_is_said():
    data = simulated()
    model = qb.QuasiBayesLP(data["y"], data["shock"], horizon=6, prior=qb.priors.Normal(0, 0.01))
    with pytest.warns(PriorWarning, match=r"'y\[0\]', 'y\[1\]', 'y\[2\]', ..., 'y\[6\]'"):
        res = model.fit(rng=0, draws=200)
    assert "The data say little" in str(res.summary())


def test_long_horizons_that_the_prior_extrapolates_are_said(model_of):
    model = model_of("logip", "iv_la_hc", prior=qb.priors.Smoothness(1))
    with pytest.warns(PriorWarning, match=r"'logip\[36\]': data at these and longer horizons"):
        model.fit(rng=0, draws=2000)
    data = simulated()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        qb.QuasiBayesLP(
            data["y"], data["shock"], horizon=6, prior=qb.priors.Smoothness(2, 1.0)
        ).fit(rng=0)


def test_weak_instruments_are_said():
    data = simulated()
    data["noise"] = np.random.default_rng(9).normal(size=len(data))
    model = qb.QuasiBayesLP(data["y"], data["g"], None, data["noise"], horizon=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        res = model.fit(rng=0, draws=200)
    assert WeakInstrumentWarning in {one.category for one in caught}
    assert "instruments are weak" in str(res.summary())
    assert "for 'g'" in next(str(one.message) for one in caught if "weak" in str(one.message))
    ends = [end for interval in res.robust_set("y[0]") for end in interval]
    assert not np.all(np.isfinite(ends))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"multiplier": True}, OptionError, "needs an instrument"),
        ({"multiplier": True, "instrument": "z"}, OptionError, "excludes lag augmentation"),
        ({"lags": -1}, OptionError, "lags=-1"),
        ({"lags": 1.5}, OptionError, "lags=1.5"),
        ({"lag_augmentation": 1}, OptionError, "True or False"),
        ({"partial_out": None}, OptionError, "partial_out"),
        ({"horizons": 5}, UnknownKeywordError, "Did you mean 'horizon'"),
        ({"prior": qb.priors.StudentT(3, 0, 1)}, OptionError, "Student-t"),
        ({"state": np.full(300, 2.0)}, InputError, "between 0 and 1"),
    ],
)
def test_models_that_are_refused(change, error, words):
    data = simulated()
    options = {"horizon": 4, **change}
    if "instrument" in options:
        options["instrument"] = data["shock"]
    with pytest.raises(error, match=words):
        qb.QuasiBayesLP(data["y"], data["g"], **options)


def test_multiplier_takes_levels_only():
    data = simulated()
    with pytest.raises(OptionError, match="cumulates levels"):
        qb.QuasiBayesLP(
            data["y"], data["g"], None, data["shock"], multiplier=True, lag_augmentation=False,
            response="long-difference",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"sampler": "rwm"}, OptionError, "sampler='rwm'"),
        ({"sampler": "gibbs"}, OptionError, "exactly normal.*use 'auto' or 'independent'"),
        ({"sampler": "hmc"}, OptionError, "exactly normal.*use 'auto' or 'independent'"),
        (
            {"sampler": "independent", "quasi_likelihood": "cue"},
            OptionError,
            "re-evaluates S at every path; use 'auto' or 'da' or 'hmc'",
        ),
        ({"sampler": "da", "sampler_kwds": {"length": 2}}, OptionError, "for sampler='hmc'"),
        ({"sampler": "hmc", "sampler_kwds": {"lenght": 2}}, UnknownKeywordError, "'length'"),
        ({"sampler": "hmc", "sampler_kwds": {"length": -1}}, OptionError, "positive number"),
        ({"quasi_likelihood": "cue-nodet"}, OptionError, "quasi_likelihood"),
        ({"cov_type": "nonrobust"}, OptionError, "cov_type='nonrobust'"),
        ({"cov_type": "HAC", "cov_kwds": {"lags": 3}}, UnknownKeywordError, "maxlags"),
        ({"weight_iterations": 0}, OptionError, "weight_iterations"),
        ({"learning_rate": -1}, OptionError, "learning_rate"),
        ({"draws": 0}, OptionError, "draws=0"),
        ({"seed": 1}, UnknownKeywordError, "Did you mean 'rng'"),
    ],
)
def test_fits_that_are_refused(change, error, words):
    data = simulated()
    with pytest.raises(error, match=words):
        qb.QuasiBayesLP(data["y"], data["shock"], horizon=4).fit(**change)


def test_hac_needs_rows_without_gaps_between():
    data = simulated()
    data.loc[100, "shock"] = np.nan
    model = qb.QuasiBayesLP(data["y"], data["shock"], horizon=4)
    model.fit(rng=0, draws=10)
    with pytest.raises(InputError, match="rows without gaps"):
        model.fit(cov_type="HAC")


def test_multiplier_refuses_the_outer_product():
    data = simulated()
    model = qb.QuasiBayesLP(
        data["y"], data["g"], None, data["shock"], multiplier=True, lag_augmentation=False
    )
    with pytest.raises(OptionError, match="future shocks"):
        model.fit(cov_type="HC1")


def test_formula_refuses_what_arrays_take():
    data = simulated()
    with pytest.raises(UnknownKeywordError, match="lags"):
        qb.QuasiBayesLP.from_formula("y ~ shock", data, lags=4)
    with pytest.raises(FormulaError, match="Did you mean 'state'"):
        qb.QuasiBayesLP.from_formula("y ~ shock", data, state="sate")


def test_same_rng_same_draws_and_the_model_is_unchanged():
    data = simulated()
    model = qb.QuasiBayesLP(data["y"], data["shock"], horizon=4, prior=qb.priors.Smoothness())
    first, second = (model.fit(rng=3, draws=2000, cores=c) for c in (1, 2))
    np.testing.assert_array_equal(first.draws, second.draws)
    np.testing.assert_array_equal(first.smoothing, second.smoothing)
    assert not np.array_equal(first.draws, model.fit(rng=4, draws=2000).draws)
