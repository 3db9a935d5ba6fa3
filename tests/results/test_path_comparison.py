"""Responses of statsmodels' estimators beside local projections."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from statsmodels.tsa import api as tsa

import qbeconometrics as qb
from qbeconometrics.exceptions import InputError
from qbeconometrics.results.path_comparison import compared_paths

H = 6


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    n = 250
    news, *noise = rng.normal(size=(4, n))
    rate, gdp, hours = np.zeros((3, n))
    for t in range(1, n):
        rate[t] = 0.7 * rate[t - 1] + news[t] + 0.5 * noise[0][t]
        gdp[t] = 0.8 * gdp[t - 1] - 0.5 * rate[t] + noise[1][t]
        hours[t] = 0.5 * hours[t - 1] + 0.3 * gdp[t] + noise[2][t]
    return pd.DataFrame({"news": news, "rate": rate, "gdp": gdp, "hours": hours})


def least_squares(variables, shock=0, lags=2):
    """statsmodels' local projections; the same by hand where it has none yet."""
    if hasattr(tsa, "LocalProjections"):
        return tsa.LocalProjections(variables, shock_idx=shock, lags=lags, horizons=H).fit()
    past = [variables.shift(j) for j in range(1, lags + 1)]
    X = pd.concat([variables.iloc[:, shock], *past], axis=1).assign(const=1.0).to_numpy()
    rows = slice(lags, len(variables) - H)
    paths = [
        np.linalg.lstsq(X[rows], variables.shift(-h).to_numpy()[rows], rcond=None)[0][0]
        for h in range(H + 1)
    ]
    names = list(variables.columns)
    model = SimpleNamespace(endog_names=names, shock_names=[names[shock]])
    return SimpleNamespace(irfs=np.array(paths)[:, :, None], model=model)


@pytest.fixture(scope="module")
def results(data):
    """Least squares; hours before gdp, other than in the data."""
    model = qb.QuasiBayesLP(
        data[["hours", "gdp"]], data["rate"], horizon=H, lags=2, lag_augmentation=False,
        prior=qb.priors.Flat(),
    )  # fmt: skip
    return model.fit(rng=0, draws=2_500)


@pytest.fixture(scope="module")
def with_instrument(data):
    model = qb.QuasiBayesLP(
        data[["hours", "gdp"]], data["rate"], None, data["news"], horizon=range(1, H + 1), lags=1
    )
    return model.fit(rng=0, draws=2_500)


def test_local_projections_of_statsmodels_are_the_same(data, results):
    other = least_squares(data[["rate", "gdp", "hours"]])
    found = compared_paths(other, "least squares", results)
    np.testing.assert_allclose(found.T.ravel(), results.params, rtol=1e-8)


def test_vector_autoregression_by_its_definition(data, results):
    fitted = tsa.VAR(data[["rate", "gdp", "hours"]]).fit(2)
    found = compared_paths(fitted.irf(H), "VAR", results)
    # Impulse: the first column of the Cholesky factor, scaled to one for the rate.
    sigma = np.asarray(fitted.sigma_u)
    impulse = sigma[:, 0] / sigma[0, 0]
    path = fitted.ma_rep(H) @ impulse
    np.testing.assert_allclose(found, path[:, [2, 1]], rtol=1e-8)


def test_an_instrument_is_the_impulse(data, with_instrument):
    fitted = tsa.VAR(data[["news", "hours", "rate", "gdp"]]).fit(1)
    found = compared_paths(fitted.irf(H), "VAR", with_instrument)
    sigma = np.asarray(fitted.sigma_u)
    path = fitted.ma_rep(H) @ (sigma[:, 0] / sigma[2, 0])
    np.testing.assert_allclose(path[0, 2], 1.0)
    np.testing.assert_allclose(found, path[1:][:, [1, 3]], rtol=1e-8)


def test_both_in_one_figure(data, results):
    variables = data[["rate", "gdp", "hours"]]
    figure = results.plot(
        compare={
            "least squares": least_squares(variables),
            "VAR": tsa.VAR(variables).fit(2).irf(4),
        },
        figure=Figure(),
    )
    axes = figure.get_axes()
    assert [len(axis.get_lines()) for axis in axes] == [4, 4]
    assert len(axes[0].get_lines()[3].get_ydata()) == 5
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[-2:] == ["least squares", "VAR"]


def test_what_does_not_fit_is_named(data, results, with_instrument):
    short = tsa.VAR(data[["rate", "gdp"]]).fit(1)
    with pytest.raises(InputError, match=r"compare\['VAR'\] has no variable 'hours'"):
        compared_paths(short.irf(H), "VAR", results)
    with pytest.raises(InputError, match="has no variable 'news'"):
        compared_paths(short.irf(H), "VAR", with_instrument)
    other = least_squares(data[["rate", "gdp", "hours"]], shock=1)
    with pytest.raises(InputError, match="has no variable 'rate'; it has 'gdp'"):
        compared_paths(other, "LP", results)
    long = tsa.VAR(data[["rate", "gdp", "hours"]]).fit(1).irf(H + 3)
    assert compared_paths(long, "VAR", results).shape == (H + 1, 2)
    model = qb.QuasiBayesLP(
        data[["hours", "gdp"]], data["rate"], horizon=H, lags=1, response="cumulative"
    )
    with pytest.raises(InputError, match="responses of levels"):
        compared_paths(long, "VAR", model.fit(rng=0, draws=10))
    instruments = data[["news"]].assign(other=data["news"].shift(2))
    two = qb.QuasiBayesLP(data[["hours", "gdp"]], data["rate"], None, instruments, horizon=H)
    with pytest.raises(InputError, match="no one impulse"):
        compared_paths(long, "VAR", two.fit(rng=0, draws=10))
