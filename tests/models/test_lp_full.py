"""Local projections with the controls' coefficients sampled too, against full regressions."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import qbeconometrics as qb
from qbeconometrics.exceptions import NumericalError, OptionError

H = 3
FLAT = qb.priors.Flat()


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    n = 250
    shock, noise, w = rng.normal(size=(3, n))
    y = np.convolve(shock, 0.8 ** np.arange(30))[:n] + noise
    return pd.DataFrame({"y": y, "shock": shock, "w": w})


@pytest.fixture(scope="module")
def model_of(data):
    def build(prior=FLAT, horizon=H, partial_out=False, **options):
        return qb.QuasiBayesLP(
            data["y"], data["shock"], data["w"], horizon=horizon, lags=1, prior=prior,
            partial_out=partial_out, **options,
        )  # fmt: skip

    return build


def regressions(model):
    """Least squares of each horizon in full."""
    design = model.design
    rows = design.used
    X = np.column_stack([design.regressors[rows, 0], design.controls[rows]])
    return [sm.OLS(design.leads[rows, 0, h], X) for h in range(H + 1)], X


def test_flat_prior_and_kronecker_structure_are_seemingly_unrelated_regressions(model_of):
    model = model_of()
    res = model.fit(rng=0, draws=500, cov_type="HC0")
    fits, X = regressions(model)
    k = X.shape[1]
    full = [regression.fit() for regression in fits]
    params = np.array([one.params for one in full])
    assert len(res.params) == (H + 1) * k
    np.testing.assert_allclose(res.params[: H + 1], params[:, 0], rtol=1e-8)
    np.testing.assert_allclose(res.params[H + 1 :], params[:, 1:].ravel(), rtol=1e-8)
    errors = np.column_stack([one.resid for one in full])
    covariance = np.kron(errors.T @ errors / len(X), np.linalg.inv(X.T @ X))
    order = np.concatenate([np.arange(H + 1) * k, *(np.arange(1, k) + h * k for h in range(H + 1))])
    np.testing.assert_allclose(
        res.cov_params(), covariance[np.ix_(order, order)], rtol=1e-7, atol=1e-12
    )
    assert res.record.param_names[H + 1] == "y[0] const"
    draws = res.draws.reshape(-1, len(order))
    gap = (draws.mean(axis=0) - res.params) / (res.bse / np.sqrt(len(draws)))
    assert np.abs(gap).max() < 4.5
    correlation = np.corrcoef(draws, rowvar=False)
    exact = res.cov_params().to_numpy() / np.outer(res.bse, res.bse)
    assert np.abs(correlation - exact).max() < 5.0 / np.sqrt(len(draws))


def test_blocks_have_the_robust_standard_errors_of_their_regressions(model_of):
    model = model_of()
    res = model.fit(rng=0, draws=10, chains=1, structure="block-diagonal", cov_type="HC1")
    for h, regression in enumerate(regressions(model)[0]):
        robust = regression.fit(cov_type="HC1")
        own = [res.bse.iloc[h], *res.bse[[name for name in res.bse.index if f"[{h}] " in name]]]
        np.testing.assert_allclose(own, robust.bse, rtol=1e-7)
    # Blocks by themselves say nothing of the correlation of horizons.
    np.testing.assert_allclose(np.triu(res.cov_params().iloc[:4, :4], 1), 0.0, atol=1e-12)


def test_a_share_of_structure_lies_between(model_of):
    model = model_of()
    kronecker, little, much = (
        model.fit(rng=0, draws=10, chains=1, structure=structure, cov_type="HC0").bse.iloc[:4]
        for structure in ("kronecker", 0.01, 0.99)
    )
    robust = model_of(partial_out=True).fit(rng=0, draws=10, chains=1, cov_type="HC0").bse
    np.testing.assert_allclose(much, kronecker, rtol=0.01)
    np.testing.assert_allclose(little, robust, rtol=0.02)


@pytest.mark.parametrize("prior", [None, qb.priors.Smoothness(2, 30.0)])
def test_responses_with_a_prior_are_those_of_their_marginal_law(model_of, prior):
    res = model_of(prior).fit(rng=0, draws=5_000)
    names = list(res.paths_only.record.param_names)
    flat = model_of().fit(rng=0, draws=10, chains=1)
    V, mean = flat.cov_params().loc[names, names], flat.params[names]
    posterior = res.cov_params().loc[names, names]
    # What the prior adds to the precision pulls towards zero.
    added = np.linalg.inv(posterior) - np.linalg.inv(V)
    np.testing.assert_allclose(
        res.params[names], np.linalg.solve(np.linalg.inv(V) + added, np.linalg.solve(V, mean)),
        atol=1e-8,
    )  # fmt: skip
    assert np.linalg.eigvalsh(added)[-1] > 0.0
    draws = res.draws.reshape(-1, len(res.params))
    np.testing.assert_allclose(np.std(draws, axis=0), res.bse, rtol=0.04)


def test_sampled_smoothing_and_what_is_shown(model_of):
    res = model_of(qb.priors.Smoothness(2), horizon=8).fit(rng=0, draws=2_500)
    assert res.smoothing.shape == (4, 2500, 1)
    assert len(res.irf) == 9
    assert float(res.rhat().max()) < 1.01
    text = str(res.summary())
    assert "y[8]" in text
    assert "y[8] const" not in text
    assert res.prob("y[0] w > -10") == 1.0
    np.testing.assert_allclose(res.cumulative()["mean"].iloc[-1], res.params.iloc[:9].sum())


def test_dependent_rows_need_another_structure(model_of):
    model = model_of(lag_augmentation=False)
    with pytest.raises(OptionError, match="block-diagonal"):
        model.fit()
    res = model.fit(structure="block-diagonal", rng=0, draws=10, chains=1)
    robust = model_of(partial_out=True, lag_augmentation=False).fit(rng=0, draws=10, chains=1)
    np.testing.assert_allclose(res.bse.iloc[:4], robust.bse, rtol=1e-6)


@pytest.mark.parametrize(
    ("fit", "words"),
    [
        ({"structure": "full"}, "structure='full'"),
        ({"structure": 1.5}, "structure=1.5"),
        ({"quasi_likelihood": "cue"}, "two-step"),
        ({"weight_iterations": 2}, "weight_iterations=1"),
    ],
)
def test_options_that_are_refused(model_of, fit, words):
    with pytest.raises(OptionError, match=words):
        model_of().fit(**fit)


def test_structure_is_for_full_regressions_only(model_of):
    with pytest.raises(OptionError, match="partial_out=False"):
        model_of(partial_out=True).fit(structure="kronecker")
    with pytest.raises(OptionError, match="sample='common'"):
        model_of(sample="horizon").fit()


def test_a_singular_covariance_is_refused_in_words(data):
    model = qb.QuasiBayesLP(
        data["y"][:60], data["shock"][:60], data["w"][:60], horizon=9, lags=2, partial_out=False
    )
    with pytest.raises(NumericalError, match=r"singular.*structure='kronecker'"):
        model.fit(structure=1e-14)
    assert len(model.fit(rng=0, draws=10, chains=1).params) == 120
