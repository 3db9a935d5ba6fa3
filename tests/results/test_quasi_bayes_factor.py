"""Quasi-marginal likelihoods against closed forms and grid integration."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import qbeconometrics as qb
from qbeconometrics.exceptions import OptionError

# Forty rows are few: that is their point.
pytestmark = pytest.mark.filterwarnings(
    "ignore::qbeconometrics.exceptions.WeakInstrumentWarning",
    "ignore::qbeconometrics.exceptions.TailWarning",
)
FIT = {"draws": 4000, "tune": 500, "chains": 2, "rng": 0}
# Closed forms go through two factorisations of the same matrices.
ROUNDING = 1e-7
ERRORS = 4.0


def simulated(n=200, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 3))
    common = rng.normal(size=n)
    d = z @ [1.2, 0.8, 0.0] + common + rng.normal(size=n)
    y = 1.0 + 0.5 * d - common + rng.normal(size=n) * (1.0 + 0.3 * np.abs(z[:, 0]))
    ones = np.ones(n)
    return y, np.column_stack([ones, d]), np.column_stack([ones, z])


def first_step_covariance(y, x, z):
    fitted = z @ np.linalg.lstsq(z, x)[0]
    scores = z * (y - x @ np.linalg.lstsq(fitted, y)[0])[:, None]
    return scores.T @ scores / len(y)


def closed_form(y, x, z, prior_mean, prior_cov, learning_rate=1.0):
    """Normal density of root n times the mean of z y, the coefficients integrated out."""
    n = len(y)
    a, b = z.T @ y / np.sqrt(n), z.T @ x / np.sqrt(n)
    covariance = first_step_covariance(y, x, z) / learning_rate + b @ prior_cov @ b.T
    return stats.multivariate_normal.logpdf(a, b @ prior_mean, covariance)


@pytest.mark.parametrize("learning_rate", [1.0, 0.4])
def test_a_normal_quasi_posterior_is_integrated_exactly(learning_rate):
    y, x, z = simulated()
    mean, sd = np.array([0.5, -0.2]), np.array([2.0, 0.7])
    model = qb.QuasiBayesIV(y, x, z, prior=qb.priors.Normal(mean, sd))
    fit = model.fit(quasi_likelihood="two-step", learning_rate=learning_rate, draws=50, rng=0)
    found = fit.quasi_marginal_likelihood()
    expected = closed_form(y, x, z, mean, np.diag(sd**2), learning_rate)
    assert (found.method, found.se) == ("exact", 0.0)
    assert found.log_value == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize("method", ["importance", "bridge"])
def test_sampling_agrees_with_the_closed_form(method):
    y, x, z = simulated()
    # As good as normal, but not treated as such.
    prior = qb.priors.StudentT(1e9, [0.5, -0.2], [2.0, 0.7])
    fit = qb.QuasiBayesIV(y, x, z, prior=prior).fit(quasi_likelihood="two-step", **FIT)
    found = fit.quasi_marginal_likelihood(method=method)
    expected = closed_form(y, x, z, [0.5, -0.2], np.diag([4.0, 0.49]))
    assert found.method == method
    assert 0.0 < found.se < 0.02
    assert abs(found.log_value - expected) < ERRORS * found.se


def grid_integral(y, x, z, sd, points=401):
    """Continuously updated quasi-likelihood times N(0, sd^2) on a fine grid of two coefficients."""
    n, m = z.shape
    first, second = (np.linspace(-6 * one, 6 * one, points) for one in sd)
    total = []
    for slope in second:
        errors = y[:, None] - x[:, [0]] * first - slope * x[:, [1]]
        scores = z[:, None, :] * errors[:, :, None]
        g = scores.mean(axis=0)
        S = np.einsum("ipj,ipl->pjl", scores, scores, optimize=True) / n
        quadratic = np.einsum("pj,pj->p", g, np.linalg.solve(S, g[..., None])[..., 0])
        value = -0.5 * (m * np.log(2 * np.pi) + np.linalg.slogdet(S)[1] + n * quadratic)
        prior = stats.norm.logpdf(first, 0, sd[0]) + stats.norm.logpdf(slope, 0, sd[1])
        total.append(value + prior)
    cell = np.log(first[1] - first[0]) + np.log(second[1] - second[0])
    return float(np.logaddexp.reduce(np.ravel(total))) + cell


@pytest.mark.parametrize("method", ["importance", "bridge"])
def test_the_continuously_updated_one_agrees_with_a_grid(method):
    # Few rows: far from normal, and with tails that the prior ends.
    y, x, z = simulated(n=40)
    sd = np.array([3.0, 3.0])
    fit = qb.QuasiBayesIV(y, x, z, prior=qb.priors.Normal(0, sd)).fit(**FIT)
    found = fit.quasi_marginal_likelihood(method=method, proposals=40_000)
    assert found.se < 0.02
    assert abs(found.log_value - grid_integral(y, x, z, sd)) < ERRORS * found.se + 1e-4


def test_an_invalid_instrument_is_found_out_and_units_do_not_matter():
    y, x, z = simulated(n=400)
    invalid = y + 0.8 * z[:, 2]

    def factor(outcome, scale=1.0):
        names = ["const", "z1", "z2", "z3"]
        instruments = pd.DataFrame(z * np.array([1.0, 1.0, scale, 1.0]), columns=names)
        regressors = pd.DataFrame(x, columns=["const", "d"])
        fits = [
            qb.QuasiBayesIV(outcome, exog, instruments, prior=qb.priors.Normal(0, sd)).fit(
                quasi_likelihood="two-step", draws=50, rng=0
            )
            for exog, sd in (
                (regressors, [5.0, 5.0]),
                (regressors.assign(z2=instruments["z2"]), [5.0, 5.0, 1.0 / scale]),
            )
        ]
        return fits[0].quasi_bayes_factor(fits[1])

    valid = factor(y)
    assert valid.log_value > 0.0 > factor(invalid).log_value
    assert factor(y, 1e3).log_value == pytest.approx(valid.log_value, abs=ROUNDING)
    assert valid.probability == pytest.approx(1 / (1 + np.exp(-valid.log_value)))


def test_se_is_that_of_repeated_runs():
    y, x, z = simulated(n=40)
    fit = qb.QuasiBayesIV(y, x, z, prior=qb.priors.Normal(0, 3)).fit(**FIT)
    runs = [fit.quasi_marginal_likelihood(proposals=2000, rng=seed) for seed in range(40)]
    spread = np.std([run.log_value for run in runs], ddof=1)
    # The sd of 40 values has a relative error of about 0.11.
    assert abs(np.mean([run.se for run in runs]) / spread - 1.0) < 0.45


def test_refusals():
    y, x, z = simulated()
    options = {"quasi_likelihood": "two-step", "draws": 50, "rng": 0}
    fit = qb.QuasiBayesIV(y, x, z).fit(**options)
    with pytest.raises(OptionError, match="proposals=10 must be"):
        fit.quasi_marginal_likelihood(proposals=10)
    with pytest.raises(OptionError, match="method='grid' is not known"):
        fit.quasi_marginal_likelihood(method="grid")
    flat = qb.QuasiBayesIV(y, x, z, prior=qb.priors.Flat()).fit(**options)
    with pytest.raises(
        OptionError, match="proper prior of every coefficient, but that of const, x1"
    ):
        flat.quasi_marginal_likelihood()
    weighted = qb.QuasiBayesIV(y, x, z).fit(weight_matrix="identity", **options)
    with pytest.raises(OptionError, match="had a weight_matrix"):
        weighted.quasi_marginal_likelihood()
    fewer = qb.QuasiBayesIV(y, x, z[:, :3]).fit(**options)
    with pytest.raises(OptionError, match="only one of the fits has the instruments z3"):
        fit.quasi_bayes_factor(fewer)
    other = qb.QuasiBayesIV(y, x, z).fit(**options, cov_type="HC1")
    with pytest.raises(OptionError, match="differ in cov_type: 'HC0' and 'HC1'"):
        fit.quasi_bayes_factor(other)
    with pytest.raises(OptionError, match="differ in nobs"):
        fit.quasi_bayes_factor(qb.QuasiBayesIV(y[1:], x[1:], z[1:]).fit(**options))
