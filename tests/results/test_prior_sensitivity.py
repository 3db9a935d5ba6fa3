"""Reweighted, exact and refitted posteriors against fits with the prior asked for."""

import numpy as np
import pandas as pd
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import OptionError

FIT = {"draws": 4000, "tune": 1000, "chains": 4, "rng": 0}
# Two normal laws from two sets of arrays.
ROUNDING = 1e-8
ERRORS = 4.0


@pytest.fixture(scope="module")
def mroz():
    return qb.datasets.load("mroz1987").query("inlf == 1")


@pytest.fixture(scope="module")
def ajr():
    return qb.datasets.load("ajr2001").query("baseco == 1")


def strong(mroz, prior, **options):
    formula = "lwage ~ exper + [educ ~ motheduc + fatheduc + huseduc]"
    model = qb.QuasiBayesIV.from_formula(formula, mroz, prior=prior)
    return model.fit(**{**FIT, **options})


def assert_same_law(table, fit):
    """Means and quantiles agree within their Monte Carlo errors; sds within 5 per cent."""
    error = fit.mcse()
    own = fit.bse / np.sqrt(table["ess"])
    assert (abs(table["mean"] - fit.params) < ERRORS * np.hypot(error["mean"], own)).all()
    np.testing.assert_allclose(table["sd"], fit.bse, rtol=0.05)
    ends = fit.conf_int().to_numpy()
    np.testing.assert_allclose(table[["lower", "upper"]], ends, atol=0.15 * fit.bse.max())


def test_normal_posteriors_are_moved_exactly(mroz):
    mean, sd = [1.0, 0.1, 0.2], np.array([0.5, 0.02, 0.03])
    options = {"quasi_likelihood": "two-step", "draws": 20, "chains": 1, "tune": 0}
    table = strong(mroz, qb.priors.Normal(mean, sd), **options).prior_sensitivity([0.3, 1, 3])
    assert set(table["method"]) == {"exact"}
    for scale in (0.3, 1.0, 3.0):
        fit = strong(mroz, qb.priors.Normal(mean, scale * sd), **options)
        np.testing.assert_allclose(table.loc[scale, "mean"], fit.params, rtol=ROUNDING)
        np.testing.assert_allclose(table.loc[scale, "sd"], fit.bse, rtol=ROUNDING)
        ends = fit.conf_int().to_numpy()
        np.testing.assert_allclose(table.loc[scale, ["lower", "upper"]], ends, rtol=1e-6)


@pytest.mark.parametrize("kind", ["normal", "student"])
def test_strong_instruments_are_reweighted(mroz, kind):
    def prior(scale):
        sd = scale * np.array([1.0, 0.1, 0.1])
        if kind == "normal":
            return qb.priors.Normal([0.0, 0.0, 0.1], sd)
        return qb.priors.StudentT(4, [0.0, 0.0, 0.1], sd)

    base = strong(mroz, prior(1.0))
    table = base.prior_sensitivity([0.5, 1.0, 2.0])
    assert table["method"].groupby("scale").first().to_dict() == {
        0.5: "reweighted",
        1.0: "fit",
        2.0: "reweighted",
    }
    for scale in (0.5, 2.0):
        assert_same_law(table.loc[scale], strong(mroz, prior(scale), rng=1))
    unchanged = table.loc[1.0]
    np.testing.assert_allclose(unchanged["mean"], base.params)
    np.testing.assert_allclose(unchanged[["lower", "upper"]], base.conf_int())


@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.TailWarning")
def test_heavy_tails_are_sampled_anew(ajr):
    def fit(scale):
        prior = qb.priors.Normal([0.0, 0.0], scale * np.array([10.0, 1.5]))
        model = qb.QuasiBayesIV.from_formula("logpgp95 ~ [avexpr ~ logem4]", ajr, prior=prior)
        return model.fit(**FIT)

    base = fit(1.0)
    table = base.prior_sensitivity([3.0]).loc[3.0]
    assert set(table["method"]) == {"refitted"}
    assert (table["pareto_k"] > 0.5).all()
    wide = fit(3.0)
    assert (wide.bse > 1.3 * base.bse).all()
    assert (abs(table["median"] - wide.median) < 0.1 * wide.bse).all()
    np.testing.assert_allclose(table["sd"], wide.bse, rtol=0.15)
    # What reweighting would have said: there are no draws where the wider prior reaches.
    asked = base.prior_sensitivity([3.0], method="reweight").loc[3.0]
    assert set(asked["method"]) == {"reweighted"}
    assert (asked["sd"] < table["sd"]).all()


def test_clusters_are_not_needed_again(mroz):
    prior = qb.priors.Normal(0.0, 2.0)
    groups = pd.Series(np.arange(len(mroz)) % 60, index=mroz.index)
    options = {"cov_type": "cluster", "cov_kwds": {"groups": groups}}
    table = strong(mroz, prior, **options).prior_sensitivity([0.2], method="refit", rng=3)
    assert_same_law(table.loc[0.2], strong(mroz, qb.priors.Normal(0.0, 0.4), **options))


def test_the_same_rng_gives_the_same_table(mroz):
    fit = strong(mroz, None, draws=600)
    tables = [fit.prior_sensitivity([2.0], method="refit", rng=5) for _ in range(2)]
    pd.testing.assert_frame_equal(*tables)


def test_refusals(mroz):
    options = {"quasi_likelihood": "two-step", "draws": 20, "chains": 1, "tune": 0}
    fit = strong(mroz, None, **options)
    for scales, match in (
        ([], "must be a list of numbers"),
        (2.0, "must be a list of numbers"),
        (["a"], "must be a list of numbers"),
        ([0.0, 1.0], "positive and finite"),
        ([1.0, np.inf], "positive and finite"),
        ([2.0, 2.0], "names a factor twice"),
    ):
        with pytest.raises(OptionError, match=match):
            fit.prior_sensitivity(scales)
    with pytest.raises(OptionError, match="method='mcmc' is not known"):
        fit.prior_sensitivity(method="mcmc")
    with pytest.raises(OptionError, match="alpha"):
        fit.prior_sensitivity(alpha=2)
    with pytest.raises(OptionError, match="the prior is flat"):
        strong(mroz, qb.priors.Flat(), **options).prior_sensitivity()
    fit.model.prior = None
    with pytest.raises(OptionError, match="do not know their prior"):
        fit.prior_sensitivity()
