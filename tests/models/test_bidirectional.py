"""`OnlineBidirectional` against NumPy, and against itself in other units and orders."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.special import digamma

import qbeconometrics as qb
from qbeconometrics.exceptions import WeakIdentificationWarning

N = 4_000
QUADRATIC = {"features": "polynomial", "degree": 2}


@pytest.fixture(scope="module")
def data():
    return qb.simulate.bidirectional(N)


def rows_of(data):
    return data["y1"].to_numpy(), data["y2"].to_numpy(), data[["x1", "x2"]].to_numpy()


def estimator(**changes):
    return qb.OnlineBidirectional(**{"n_features": 20, "rng": 0, **changes})


def results_in_two_ways(rows, **options):
    """A fit and a stream of the same rows, with features that do not depend on their order."""
    y1, y2, x = rows
    first = estimator(**options).fit(y1, y2, x)
    return first, estimator(**options).partial_fit(y1, y2, x).result()


# -- an independent computation -----------------------------------------------------------------


def quadratic_features(x):
    x1, x2 = x.T
    phi = np.column_stack([np.ones(len(x)), x1, x2, x1 * x1, x1 * x2, x2 * x2])
    return phi / np.sqrt(np.mean(phi**2, axis=0))


def solution(u1, u2, w):
    """Effects from (1 + P) A = b12 C + b21 B, through beta = b / (1 + P)."""
    A, B, C = (np.mean(w * q[:, None], axis=0) for q in (u1 * u2, u1 * u1, u2 * u2))
    beta = np.linalg.solve(np.column_stack([C, B]), A)
    c = beta[0] * beta[1]
    P = 2.0 * c / (1.0 - 2.0 * c + np.sqrt(1.0 - 4.0 * c))
    return beta * (1.0 + P)


def heads(y, phi, seen):
    """Residuals and inverse error variances of all rows, by heads fitted to the rows seen."""
    products = phi[seen].T @ phi[seen]
    products += 1e-6 * np.trace(products) / len(products) * np.eye(len(products))

    def regress(target):
        return np.linalg.solve(products, phi[seen].T @ target[seen])

    def bounded(logs):
        return np.clip(logs, np.median(logs, axis=0) - 8.0, np.median(logs, axis=0) + 8.0)

    def log_squares(errors):
        floor = 1e-3 * np.mean(errors[seen] ** 2, axis=0)
        return regress(np.log(errors**2 + floor) - np.log(2.0) - digamma(0.5))

    u = y - phi @ regress(y)
    w = np.exp(-bounded(phi @ log_squares(u)))
    b12, b21 = solution(*u[seen].T, w[seen])
    errors = np.column_stack([u[:, 0] - b12 * u[:, 1], u[:, 1] - b21 * u[:, 0]])
    weights = log_squares(errors)
    for _ in range(3):
        squares = errors**2 * np.exp(-bounded(phi @ weights))
        weights = weights + regress(np.minimum(squares, 25.0) - 1.0)
    return u, np.exp(-bounded(phi @ weights))


def sandwich(params, u, w):
    """Standard errors from the scores e1 e2 w of the rows."""
    b12, b21 = params
    e1, e2 = u[:, 0] - b12 * u[:, 1], u[:, 1] - b21 * u[:, 0]
    score = (e1 * e2)[:, None] * w
    slopes = np.column_stack(
        [
            np.mean(-u[:, [1]] * e2[:, None] * w, axis=0),
            np.mean(-u[:, [0]] * e1[:, None] * w, axis=0),
        ]
    )
    inverse = np.linalg.inv(slopes)
    return np.sqrt(np.diag(inverse @ np.cov(score.T, bias=True) @ inverse.T) / len(u))


@pytest.mark.parametrize("method", ["two-pass", "cross-fitted"])
def test_fit_against_numpy(method, data):
    y1, y2, x = rows_of(data)
    y = np.column_stack([y1, y2])
    spread = y.std(axis=0)
    scaled = (y - y.mean(axis=0)) / spread
    phi = quadratic_features((x - x.mean(axis=0)) / x.std(axis=0))
    fold = np.random.default_rng(np.random.SeedSequence(0).spawn(1)[0]).permutation(
        np.arange(N) % 2
    )
    if method == "two-pass":
        u, w = heads(scaled, phi, np.ones(N, dtype=bool))
    else:
        own = [heads(scaled, phi, fold != part) for part in (0, 1)]
        u, w = (np.where(fold[:, None] == 0, own[0][k], own[1][k]) for k in (0, 1))
    u, w = u * spread, w / spread**2
    params = solution(*u.T, w)

    res = estimator(**QUADRATIC).fit(y1, y2, x, method=method)
    np.testing.assert_allclose(res.params, params, rtol=1e-8)
    np.testing.assert_allclose(res.bse, sandwich(params, u, w), rtol=1e-8)
    ratio = w[:, 1] / w[:, 0]
    kappa = np.mean(ratio) * np.mean(1.0 / ratio) - 1.0
    assert res.kappa == pytest.approx(kappa, rel=1e-8)
    # Inverse information, for squares of errors that are uncorrelated given x.
    plain = estimator(**QUADRATIC).fit(y1, y2, x, method=method, cov_type="nonrobust")
    scale = (1.0 - params[0] * params[1]) / np.sqrt(N * kappa)
    expected = scale * np.sqrt([np.mean(ratio), np.mean(1.0 / ratio)])
    np.testing.assert_allclose(plain.bse, expected, rtol=1e-8)
    # The test that holds under weak identification uses heads of the first fold on the second.
    u, w = heads(scaled, phi, fold == 0)
    u, w = (u * spread)[fold == 1], (w / spread**2)[fold == 1]
    score = ((u[:, 0] - 0.45 * u[:, 1]) * (u[:, 1] + 0.35 * u[:, 0]))[:, None] * w
    mean = score.mean(axis=0)
    statistic = len(u) * mean @ np.linalg.solve(np.cov(score.T, bias=True), mean)
    assert res.robust_pvalue(0.45, -0.35) == pytest.approx(np.exp(-statistic / 2.0), rel=1e-7)


def test_fit_is_near_the_truth_and_baselines_are_not(data):
    res = estimator().fit(*rows_of(data), splits=3)
    assert np.all(np.abs(res.params - [0.5, -0.4]) < 4.0 * res.bse)
    assert abs(res.baselines.loc["single-equation OLS", "b12"] - 0.5) > 10.0 * res.bse["b12"]
    assert not res.weakly_identified
    assert res.record.estimate.status == "ok"
    again = estimator().fit(*rows_of(data), splits=3, baselines=False)
    np.testing.assert_array_equal(again.params, res.params)
    assert again.baselines.index.tolist() == ["this estimate"]


# -- the same rows in other units and orders -------------------------------------------------------


def test_units(data):
    y1, y2, x = rows_of(data)
    units = np.array([250.0, 0.003])
    scaled = (y1 * units[0] + 7.0, y2 * units[1] - 2.0, x * [1e5, 0.02] - 30.0)
    ratio = np.array([units[0] / units[1], units[1] / units[0]])
    for one, other in zip(
        results_in_two_ways((y1, y2, x)), results_in_two_ways(scaled), strict=True
    ):
        np.testing.assert_allclose(other.params, one.params * ratio, rtol=1e-8)
        np.testing.assert_allclose(other.bse, one.bse * ratio, rtol=1e-8)
        assert other.kappa == pytest.approx(one.kappa, rel=1e-8)
        assert other.rank_test.value == pytest.approx(one.rank_test.value, rel=1e-7)
        shift = one.nobs * np.log(units).sum()
        assert other.llf == pytest.approx(one.llf - shift, rel=1e-8)
        np.testing.assert_allclose(
            other.predict(scaled[2]), one.predict(x) * units + [7.0, -2.0], rtol=1e-7
        )
        np.testing.assert_allclose(
            other.conditional_variance(scaled[2]), one.conditional_variance(x) * units**2, rtol=1e-7
        )
        assert other.robust_pvalue(*other.params * 1.1) == pytest.approx(
            one.robust_pvalue(*one.params * 1.1), rel=1e-6
        )
        signs = np.array([[1.0, ratio[0]], [ratio[1], 1.0]]).ravel()
        effects = [part.total_effects()["effect"].to_numpy() for part in (one, other)]
        np.testing.assert_allclose(effects[1], effects[0] * signs, rtol=1e-8)


def test_exchange_of_the_outcomes(data):
    y1, y2, x = rows_of(data)
    for one, other in zip(
        results_in_two_ways((y1, y2, x)), results_in_two_ways((y2, y1, x)), strict=True
    ):
        np.testing.assert_allclose(other.params, one.params[::-1], rtol=1e-8)
        np.testing.assert_allclose(other.bse, one.bse[::-1], rtol=1e-8)
        np.testing.assert_allclose(other.predict(x), one.predict(x).to_numpy()[:, ::-1], rtol=1e-7)
        if one.record.method == "cross-fitted":
            names = ["b21", "bse_b21", "b12", "bse_b12"]
            np.testing.assert_allclose(other.baselines, one.baselines[names], rtol=1e-6)
            assert other.j_stat().value == pytest.approx(one.j_stat().value, rel=1e-6)


def test_order_of_regressors(data):
    y1, y2, x = rows_of(data)
    pairs = zip(
        results_in_two_ways((y1, y2, x), **QUADRATIC),
        results_in_two_ways((y1, y2, x[:, ::-1]), **QUADRATIC),
        strict=True,
    )
    for one, other in pairs:
        np.testing.assert_allclose(other.params, one.params, rtol=1e-8)
        np.testing.assert_allclose(other.bse, one.bse, rtol=1e-8)
        np.testing.assert_allclose(other.predict(x[:, ::-1]), one.predict(x), rtol=1e-7)


def test_second_pass_is_a_direct_average(data):
    model = estimator().partial_fit(*rows_of(data))
    y1, y2, x = rows_of(data)
    res = model.second_pass(rows_of(data[s : s + 777]) for s in range(0, N, 777))
    u = np.column_stack([y1, y2]) - res.predict(x)
    w = 1.0 / res.conditional_variance(x).to_numpy()
    params = solution(*u.to_numpy().T, w)
    np.testing.assert_allclose(res.params, params, rtol=1e-7)
    np.testing.assert_allclose(res.bse, sandwich(params, u.to_numpy(), w), rtol=1e-6)
    assert (res.nobs, res.record.method) == (N, "two-pass")
    assert res.rank_test.value == pytest.approx(model.result().rank_test.value)


# -- what is not identified -----------------------------------------------------------------------


def test_labels_that_cannot_be_told_apart():
    near = qb.simulate.bidirectional(N, effects=(2.0, -0.45))
    with pytest.warns(WeakIdentificationWarning, match="within three standard errors of -1"):
        res = estimator().fit(*rows_of(near), baselines=False)
    assert res.label_ambiguous
    assert not res.weakly_identified
    assert not res.trusted
    assert abs(res.b12 * res.b21) < 1.0
    np.testing.assert_allclose(res.other_label, [1.0 / res.b21, 1.0 / res.b12])
    # One of the two labels is the truth; both are printed.
    distance = [np.abs(label - [2.0, -0.45]).max() for label in (res.params, res.other_label)]
    assert min(distance) < 0.2
    text = res.reasons()[0]
    assert f"b12 = {res.other_label['b12']:.4g}, b21 = {res.other_label['b21']:.4g}" in text
    assert res.bse.isna().all()
    assert res.conf_int().isna().all(axis=None)
    assert res.total_effects()["bse"].isna().all()


@pytest.mark.parametrize("way", ["fit", "partial_fit"])
def test_variances_that_move_together(way):
    weak = qb.simulate.bidirectional(N, variances="common")
    with pytest.warns(WeakIdentificationWarning, match="rank statistic .* needed is more than 20"):
        res = (
            estimator().fit(*rows_of(weak), baselines=False)
            if way == "fit"
            else estimator(n_features=100).partial_fit(*rows_of(weak)).result()
        )
    assert res.weakly_identified
    assert res.rank_test.pvalue > 0.001
    for part in (
        res.bse,
        res.pvalues,
        res.conf_int(),
        res.cov_params(),
        res.total_effects()["bse"],
    ):
        assert np.isnan(part.to_numpy()).all()
    if way == "fit":
        pieces = res.robust_set()
        assert sum(high - low for low, high in pieces.b12) > 1.0
        assert any(low < 0.5 < high for low, high in pieces.b12)
        assert any(low < -0.4 < high for low, high in pieces.b21)


# -- what results compute -------------------------------------------------------------------------


def test_total_effects(data):
    res = estimator().fit(*rows_of(data), baselines=False)

    def inverse(params):
        return np.linalg.inv([[1.0, -params[0]], [-params[1], 1.0]]).ravel()

    found = res.total_effects()
    np.testing.assert_allclose(found["effect"], inverse(res.params.to_numpy()), rtol=1e-12)
    step = 1e-6 * np.eye(2)
    center = res.params.to_numpy()
    slopes = np.column_stack([(inverse(center + h) - inverse(center - h)) / 2e-6 for h in step])
    variance = slopes @ res.cov_params().to_numpy() @ slopes.T
    np.testing.assert_allclose(found["bse"], np.sqrt(np.diag(variance)), rtol=1e-6)
    assert found.index.tolist()[1] == ("y1", "e(y2)")


@pytest.mark.parametrize("way", ["fit", "stream"])
def test_partial_dependence_is_an_average(way, data):
    x = data[["x1", "x2"]]
    if way == "fit":
        res = estimator().fit(data["y1"], data["y2"], x, baselines=False)
        seen = x[:: N // 500]
    else:
        res, seen = estimator().partial_fit(data["y1"], data["y2"], x).result(), x[:500]
    grid = [-1.0, 0.25, 1.5]
    means = res.partial_dependence("x2", grid=grid)
    variances = res.partial_dependence("x2", kind="variance", grid=grid)
    for point in grid:
        held = seen.assign(x2=point)
        np.testing.assert_allclose(means.loc[point], res.predict(held).mean(), rtol=1e-9)
        direct = np.exp(np.log(res.conditional_variance(held)).mean())
        np.testing.assert_allclose(variances.loc[point], direct, rtol=1e-9)
    assert res.partial_dependence("x1").index.min() == pytest.approx(seen["x1"].quantile(0.02))
    # The log variances of y2's error rise and fall with x2 as they do in the design.
    shape = res.partial_dependence("x2", kind="variance", grid=[-2.0, 0.0, 2.0])["y2"]
    assert shape[0.0] > 1.5 * max(shape[-2.0], shape[2.0])


class TestQuasiPosterior:
    def grid(self, res, prior_sd, center=0.0):
        """Weights of the quasi-posterior on a grid, from rows rather than from sums."""
        width = 9.0 * res.record.estimate.bse
        b12, b21 = (
            np.linspace(value - w, value + w, 241)
            for value, w in zip(res.record.estimate.params, width, strict=True)
        )
        first, second = (part.ravel() for part in np.meshgrid(b12, b21, indexing="ij"))
        v = np.column_stack([1.0 + first * second, -second, -first])
        moments = res.record.moments
        g = v @ moments.mean.T
        S = np.einsum("pa,pb,abij->pij", v, v, moments.covariance) + g[:, :, None] * g[:, None, :]
        half = np.linalg.solve(S, g[:, :, None])[:, :, 0]
        logs = -0.5 * moments.n * np.sum(g * half, axis=1) - 0.5 * np.linalg.slogdet(S)[1]
        logs -= 0.5 * ((first - center) / prior_sd[0]) ** 2 + 0.5 * (second / prior_sd[1]) ** 2
        logs[np.abs(first * second) >= 1.0] = -np.inf
        weight = np.exp(logs - logs.max())
        return np.column_stack([first, second]), weight / weight.sum()

    def check(self, posterior, points, weight):
        mean = weight @ points
        sd = np.sqrt(weight @ (points - mean) ** 2)
        draws = posterior.draws.reshape(-1, 2)
        ess = posterior.ess()["bulk"].to_numpy()
        np.testing.assert_array_less(np.abs(draws.mean(axis=0) - mean), 4.0 * sd / np.sqrt(ess))
        np.testing.assert_array_less(
            np.abs(np.log(draws.std(axis=0) / sd)), 4.0 / np.sqrt(2.0 * ess)
        )

    def test_against_a_grid(self, data):
        res = estimator().fit(*rows_of(data[:1_000]), baselines=False)
        _, B, C = res.record.moments.mean.mean(axis=0)
        ratio = np.sqrt(B / C)
        posterior = res.quasi_posterior(draws=1_500, tune=500, chains=2, rng=1, progressbar=False)
        self.check(posterior, *self.grid(res, (2.5 * ratio, 2.5 / ratio)))
        prior = {"b12": qb.priors.Normal(0.45, 0.02)}
        posterior = res.quasi_posterior(
            prior=prior, draws=1_500, tune=500, chains=2, rng=1, progressbar=False
        )
        self.check(posterior, *self.grid(res, (0.02, 2.5 / ratio), center=0.45))
        assert posterior.bse["b12"] < 0.8 * res.bse["b12"]

    def test_stays_within_one_label(self):
        weak = qb.simulate.bidirectional(N, variances="common")
        with pytest.warns(WeakIdentificationWarning):
            res = estimator().fit(*rows_of(weak), baselines=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            posterior = res.quasi_posterior(draws=500, tune=500, chains=2, rng=0, progressbar=False)
        product = np.abs(posterior.draws.prod(axis=-1))
        assert product.max() < 1.0
        assert product.max() > 0.5
        assert "|b12 b21| < 1" in " ".join(str(posterior.summary()).split())


def test_parameters_as_in_scikit_learn(data):
    model = estimator(update="score", bandwidth=0.8)
    other = type(model)(**model.get_params())
    assert other.get_params() == model.get_params()
    assert other.get_params()["bandwidth"] == 0.8
    assert eval(repr(model), {"OnlineBidirectional": qb.OnlineBidirectional}).get_params() == (
        model.get_params()
    )
    assert model.set_params(n_features=12, update="closed-form") is model
    assert not hasattr(model, "n_features_in_")
    y1, y2, x = rows_of(data)
    assert model.fit(y1, y2, x[:, 0], baselines=False).record.exog_names == ("x1",)
    assert model.n_features_in_ == 1
    assert model.fit(y1, y2, x, baselines=False).record.exog_names == ("x1", "x2")
    assert model.feature_names_in_.tolist() == ["x1", "x2"]
    res = model.fit(y1, y2, x, baselines=False)
    again = pickle.loads(pickle.dumps(res))
    pd.testing.assert_series_equal(again.params, res.params)
    assert str(again.summary()) == str(res.summary())
