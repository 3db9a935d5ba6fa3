"""Instruments with effects of their own: closed forms, a grid, the plot, bad input."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

import qbeconometrics as qb
from qbeconometrics.exceptions import InputError, OptionError

ROUNDING = 1e-8
TAU = [0.0, 0.1, 0.4]


def simulated(n=150, excluded=3, seed=0):
    rng = np.random.default_rng(seed)
    controls = np.column_stack([np.ones(n), rng.normal(size=n)])
    z = rng.normal(size=(n, excluded)) * [1.0, 3.0, 0.5][:excluded] + controls[:, 1:]
    common = rng.normal(size=n)
    d = z @ np.array([1.0, 0.3, 0.5])[:excluded] + common + rng.normal(size=n)
    y = 1.0 + d - common + rng.normal(size=n) * (0.5 + np.abs(z[:, 0]))
    return y, np.column_stack([controls, d]), np.column_stack([controls, z])


def first_step_covariance(y, x, z, cov_type):
    fitted = z @ np.linalg.lstsq(z, x)[0]
    error = y - x @ np.linalg.lstsq(fitted, y)[0]
    if cov_type == "nonrobust":
        return error @ error / len(y) * (z.T @ z) / len(y)
    return (z * error[:, None] ** 2).T @ z / len(y)


@pytest.mark.parametrize("learning_rate", [1.0, 0.5])
@pytest.mark.parametrize("cov_type", ["HC0", "nonrobust"])
def test_effects_as_parameters_give_the_same_law(cov_type, learning_rate):
    """The joint normal law of coefficients and effects, the effects then left out."""
    y, x, z = simulated()
    n = len(y)
    prior = qb.priors.Normal([0.0, 0.0, 0.5], [3.0, 2.0, 1.5])
    model = qb.QuasiBayesIV(y, x, z, prior=prior)
    found = model.plausibly_exogenous(
        "x2", TAU[1:], cov_type=cov_type, learning_rate=learning_rate
    ).to_frame()
    weight = np.linalg.inv(first_step_covariance(y, x, z, cov_type)) * learning_rate / n
    for tau, row in found.iterrows():
        both = z.T @ np.column_stack([x, z[:, 2:]])
        precision = both.T @ weight @ both
        precision += np.diag(np.array([3.0, 2.0, 1.5, tau, tau, tau]) ** -2.0)
        pull = both.T @ weight @ (z.T @ y) + np.array([0.0, 0.0, 0.5 / 1.5**2, 0.0, 0.0, 0.0])
        covariance = np.linalg.inv(precision)
        mean, sd = (covariance @ pull)[2], np.sqrt(covariance[2, 2])
        np.testing.assert_allclose(row[["mean", "sd"]].astype(float), [mean, sd], rtol=1e-6)
        np.testing.assert_allclose(
            [row["lower"], row["upper"]], stats.norm.interval(0.95, mean, sd)
        )
        assert row["ess"] == np.inf


def test_one_instrument_adds_variance_to_two_stage_least_squares():
    """V + tau^2 A A', as in the local approximation for a mean-zero normal prior."""
    y, x, z = simulated(excluded=1)
    model = qb.QuasiBayesIV(y, x, z, prior=qb.priors.Flat())
    found = model.plausibly_exogenous("x2", TAU, alpha=0.1).to_frame()
    inverse = np.linalg.inv(z.T @ x)
    own = len(y) * inverse @ first_step_covariance(y, x, z, "HC0") @ inverse.T
    loading = (inverse @ z.T @ z[:, 2])[2]
    expected = np.sqrt(own[2, 2] + np.array(TAU) ** 2 * loading**2)
    np.testing.assert_allclose(found["sd"], expected, rtol=ROUNDING)
    np.testing.assert_allclose(found["mean"], (inverse @ z.T @ y)[2], rtol=ROUNDING)
    np.testing.assert_allclose(
        found["upper"] - found["lower"], 2 * stats.norm.ppf(0.95) * expected, rtol=1e-7
    )


def test_clusters_and_centring():
    """The same formula with S of sums over clusters, their mean taken off or not."""
    y, x, z = simulated(excluded=1)
    groups = np.arange(len(y)) % 30
    model = qb.QuasiBayesIV(y, x, z, prior=qb.priors.Flat())
    inverse = np.linalg.inv(z.T @ x)
    scores = z * (y - x @ (inverse @ z.T @ y))[:, None]
    sums = np.array([scores[groups == one].sum(axis=0) for one in range(30)])
    own = inverse @ sums.T @ sums @ inverse.T
    loading = (inverse @ z.T @ z[:, 2])[2]
    for centered in (False, True):
        # Exactly identified moments have mean zero, so that both are the same.
        found = model.plausibly_exogenous(
            "x2", TAU, cov_type="cluster", cov_kwds={"groups": groups, "centered": centered}
        ).to_frame()
        expected = np.sqrt(own[2, 2] + np.array(TAU) ** 2 * loading**2)
        np.testing.assert_allclose(found["sd"], expected, rtol=ROUNDING)
    scaled = model.plausibly_exogenous("x2", TAU, cov_type="HC1").to_frame()
    meat = inverse @ scores.T @ scores @ inverse.T * len(y) / (len(y) - 3)
    expected = np.sqrt(meat[2, 2] + np.array(TAU) ** 2 * loading**2)
    np.testing.assert_allclose(scaled["sd"], expected, rtol=ROUNDING)


def test_without_effects_it_is_the_fit_and_some_instruments_may_be_left_alone():
    y, x, z = simulated()
    model = qb.QuasiBayesIV(y, x, z)
    fit = model.fit(quasi_likelihood="two-step", draws=20, rng=0)
    found = model.plausibly_exogenous("x2", TAU).to_frame()
    assert found.loc[0.0, "mean"] == pytest.approx(fit.params["x2"], rel=ROUNDING)
    assert found.loc[0.0, "sd"] == pytest.approx(fit.bse["x2"], rel=ROUNDING)
    one = model.plausibly_exogenous("x2", TAU, instruments="z2")
    assert one.instruments == ("z2",)
    assert (one.to_frame()["sd"] <= found["sd"]).all()
    # With one instrument in doubt and tau large, it is as if that one were not used.
    alone = model.plausibly_exogenous("x2", [1e4], instruments=["z1"]).to_frame()
    freed = qb.QuasiBayesIV(
        y, np.column_stack([x, z[:, 2]]), z, prior={"x3": qb.priors.Normal(0, 1e4)}
    ).fit(quasi_likelihood="two-step", weight_matrix=None, draws=20, rng=0)
    assert alone["sd"].iloc[0] == pytest.approx(freed.bse["x2"], rel=0.2)


@pytest.mark.parametrize("cov_type", ["HC0", "nonrobust"])
def test_the_continuously_updated_law_against_a_grid(cov_type):
    rng = np.random.default_rng(0)
    n, tau = 60, 0.2
    z = rng.normal(size=(n, 2))
    common = rng.normal(size=n)
    d = z @ [1.0, 0.5] + common + rng.normal(size=n)
    y = d - common + rng.normal(size=n)
    grid = np.linspace(-12.0, 12.0, 9601)
    spread = n * tau**2 * (z.T @ z / n) @ (z.T @ z / n)
    logs = []
    for slope in grid:
        error = y - slope * d
        g = z.T @ error / n
        S = (z * error[:, None] ** 2).T @ z / n
        if cov_type == "nonrobust":
            S = error @ error / n * (z.T @ z) / n
        S = S + spread
        value = -0.5 * np.linalg.slogdet(S)[1] - n / 2 * g @ np.linalg.solve(S, g)
        logs.append(value + stats.norm.logpdf(slope, 0, 2))
    weight = np.exp(np.array(logs) - max(logs))
    weight /= weight.sum()
    below = np.cumsum(weight)
    model = qb.QuasiBayesIV(y, d[:, None], z, prior=qb.priors.Normal(0, 2))
    row = (
        model.plausibly_exogenous(
            "x1", [tau], quasi_likelihood="cue", cov_type=cov_type, draws=8000, rng=0
        )
        .to_frame()
        .loc[tau]
    )
    # Quantiles, since the tails are heavy: how much of the grid lies below each.
    for name, level in (("lower", 0.025), ("median", 0.5), ("upper", 0.975)):
        error = np.sqrt(level * (1 - level) / (0.5 * row["ess"]))
        assert abs(np.interp(row[name], grid, below) - level) < 4 * error


def test_the_plot_draws_into_the_axes_and_changes_no_global_state():
    y, x, z = simulated()
    found = qb.QuasiBayesIV(y, x, z).plausibly_exogenous("x2", [0.4, 0.0, 0.1])
    before = dict(mpl.rcParams)
    ax = Figure().add_subplot()
    assert found.plot(ax=ax) is ax
    assert dict(mpl.rcParams) == before
    [line] = [one for one in ax.lines if one.get_label() == "median"]
    table = found.to_frame().sort_index()
    np.testing.assert_array_equal(line.get_xdata(), table.index)
    np.testing.assert_array_equal(line.get_ydata(), table["median"])
    [band] = ax.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx(table["lower"].min())
    assert heights.max() == pytest.approx(table["upper"].max())
    assert ax.get_ylabel() == "x2"
    assert ax.get_xlabel() == "prior sd of the direct effect of z1, z2, z3"


def test_refusals():
    y, x, z = simulated()
    model = qb.QuasiBayesIV(y, x, z)
    for tau in ([], 0.1, ["a"], [-0.1], [np.nan]):
        with pytest.raises(OptionError, match="tau="):
            model.plausibly_exogenous("x2", tau)
    with pytest.raises(InputError, match="'x9' is not a coefficient"):
        model.plausibly_exogenous("x9", TAU)
    with pytest.raises(InputError, match="'const' is not an excluded instrument"):
        model.plausibly_exogenous("x2", TAU, instruments=["const"])
    with pytest.raises(OptionError, match="instruments is empty"):
        model.plausibly_exogenous("x2", TAU, instruments=[])
    with pytest.raises(OptionError, match="quasi_likelihood='cue-nodet'"):
        model.plausibly_exogenous("x2", TAU, quasi_likelihood="cue-nodet")
    with pytest.raises(InputError, match="no regressor is endogenous"):
        qb.QuasiBayesIV(y, x).plausibly_exogenous("x2", TAU)
