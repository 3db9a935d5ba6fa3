"""M-estimation against statsmodels, and against the linear model that the squared loss is."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

import qbeconometrics as qb
from qbeconometrics import datasets, losses
from qbeconometrics.posterior.score_slope import default_window
from qbeconometrics.priors import Normal

# In standard errors, and as a share of them; both sides are solved to about 1e-12.
ESTIMATE, STANDARD_ERROR = 1e-8, 1e-8
WEAK = Normal(0, 1e6)
WAGES = "lwage ~ educ + exper + black"


def huber_reference(frame, delta):
    """Huber's estimate by iterated weights, and its sandwich."""
    x = np.column_stack([np.ones(len(frame)), frame[["educ", "exper", "black"]]])
    y = frame["lwage"].to_numpy()
    norm = sm.robust.norms.HuberT(t=delta)
    theta = np.linalg.lstsq(x, y, rcond=None)[0]
    for _ in range(300):
        weight = norm.weights(y - x @ theta)
        theta = np.linalg.solve((x.T * weight) @ x, (x.T * weight) @ y)
    bread = np.linalg.inv((x.T * norm.psi_deriv(y - x @ theta)) @ x)
    meat = (x.T * norm.psi(y - x @ theta) ** 2) @ x
    return theta, np.sqrt(np.diag(bread @ meat @ bread))


def reference_of(name):
    if name == "Huber":
        return huber_reference(datasets.load("card1995"), 0.5)
    fit = {
        "Poisson": lambda: smf.glm(
            "docvis ~ private + chronic + female + income",
            datasets.load("docvisits"),
            family=sm.families.Poisson(),
        ).fit(tol=1e-14, cov_type="HC0"),
        "logistic": lambda: smf.logit(
            "inlf ~ educ + exper + kidslt6", datasets.load("mroz1987")
        ).fit(disp=0, tol=1e-14, cov_type="HC0"),
        "expectile": lambda: smf.ols(WAGES, datasets.load("card1995")).fit(cov_type="HC0"),
        "squared": lambda: smf.ols(WAGES, datasets.load("card1995")).fit(cov_type="HC0"),
    }[name]()
    return fit.params.to_numpy(), fit.bse.to_numpy()


MODELS = {
    "Poisson": ("docvis ~ private + chronic + female + income", "docvisits", losses.Poisson()),
    "logistic": ("inlf ~ educ + exper + kidslt6", "mroz1987", losses.Logistic()),
    "Huber": (WAGES, "card1995", losses.Huber(0.5)),
    "expectile": (WAGES, "card1995", losses.Expectile(0.5)),
    "squared": (WAGES, "card1995", losses.Squared()),
}


@pytest.mark.parametrize("name", MODELS)
def test_two_step_has_the_estimate_and_the_sandwich_of_statsmodels(name):
    formula, data, loss = MODELS[name]
    model = qb.QuasiBayesM.from_formula(formula, datasets.load(data), loss=loss, prior=WEAK)
    posterior = model.quasi_posterior(quasi_likelihood="two-step")
    mode = posterior.find_mode().point
    root = posterior.basis.regressor_map @ posterior.surrogate_at(mode).root
    estimate, standard_error = reference_of(name)
    difference = (posterior.basis.to_params(mode) - estimate) / standard_error
    assert np.max(np.abs(difference)) < ESTIMATE
    ours = np.sqrt(np.diag(root @ root.T))
    np.testing.assert_allclose(ours, standard_error, rtol=STANDARD_ERROR)


@pytest.mark.parametrize("name", ["Poisson", "logistic"])
def test_gibbs_mode_and_curvature_are_maximum_likelihood(name):
    formula, data, loss = MODELS[name]
    model = qb.QuasiBayesM.from_formula(
        formula, datasets.load(data), loss=loss, posterior="gibbs", prior=qb.priors.Flat()
    )
    posterior = model.quasi_posterior()
    frame = datasets.load(data)
    family = sm.families.Poisson() if name == "Poisson" else sm.families.Binomial()
    fit = smf.glm(formula, frame, family=family).fit(tol=1e-14)
    root = posterior.basis.regressor_map @ posterior.at_mode.root
    np.testing.assert_allclose(posterior.basis.centre, fit.params, rtol=1e-8)
    np.testing.assert_allclose(np.sqrt(np.diag(root @ root.T)), fit.bse, rtol=1e-8)


@pytest.mark.parametrize("tau", [0.25, 0.5])
@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.ConvergenceWarning")
def test_the_median_is_quantile_regression(tau):
    frame = datasets.load("card1995")
    model = qb.QuasiBayesM.from_formula(WAGES, frame, loss=losses.Quantile(tau), prior=WEAK)
    res = model.fit("rwm", draws=100, tune=100, rng=0, quasi_likelihood="cue-nodet")
    fit = smf.quantreg(WAGES, frame).fit(q=tau, max_iter=20_000)
    assert np.max(np.abs(res.mode - fit.params) / fit.bse) < 0.5
    # Theirs has the Epanechnikov kernel, which gives 5 to 12 % more here.
    np.testing.assert_allclose(res.mode_bse, fit.bse, rtol=0.15)
    x = np.column_stack([np.ones(len(frame)), frame[["educ", "exper", "black"]]])
    y = frame["lwage"].to_numpy()
    window = default_window(model.loss, y, x @ model._estimate[0])
    residual = y - x @ res.mode.to_numpy()
    bread = np.linalg.inv((x.T * (np.abs(residual) <= window)) @ x / (2 * window))
    meat = (x.T * np.where(residual < 0, 1 - tau, tau) ** 2) @ x
    by_hand = np.sqrt(np.diag(bread @ meat @ bread))
    np.testing.assert_allclose(res.mode_bse, by_hand, rtol=1e-6)


@pytest.fixture(scope="module")
def regression():
    frame = datasets.load("card1995")
    x = frame[["educ", "exper", "black"]].assign(const=1.0)
    return frame["lwage"], x


FITS = [
    {"sampler": "rwm"},
    {"sampler": "da"},
    {"sampler": "da-exact"},
    {"sampler": "da-approx", "cov_type": "HC1"},
    {"sampler": "independent", "quasi_likelihood": "two-step"},
    {"cov_type": "nonrobust"},
]


@pytest.mark.parametrize("options", FITS, ids=str)
@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.ConvergenceWarning")
def test_squared_loss_draws_what_the_linear_model_draws(regression, options):
    y, x = regression
    options = {"draws": 200, "tune": 200, "rng": 5, "progressbar": False, **options}
    one = qb.QuasiBayesM(y, x, loss=losses.Squared()).fit(**options)
    two = qb.QuasiBayesIV(y, x, x).fit(**options)
    np.testing.assert_array_equal(one.draws, two.draws)
    pd.testing.assert_series_equal(one.params, two.params)
    assert one.record.loss == "squared"


@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.ConvergenceWarning")
def test_learning_rates_refer_to_the_scale_of_the_loss(regression):
    """|r| is twice the check loss of the median."""
    y, x = regression
    options = {"draws": 300, "tune": 200, "rng": 5, "progressbar": False}
    one = qb.QuasiBayesM(y, x, loss=losses.Absolute(), posterior="gibbs")
    two = qb.QuasiBayesM(y, x, loss=losses.Quantile(0.5), posterior="gibbs")
    half = one.fit(learning_rate=0.5, **options)
    whole = two.fit(learning_rate=1.0, **options)
    np.testing.assert_allclose(half.draws, whole.draws, rtol=1e-9)


@pytest.mark.parametrize("factor", [1e-3, 7.0])
def test_the_q_posterior_does_not_depend_on_the_scale_of_the_loss(regression, factor):
    y, x = regression
    loss = losses.Huber(0.5)
    scaled = losses.Custom(
        lambda y, i: factor * loss.value(y, i),
        lambda y, i: factor * loss.score(y, i),
        lambda y, i: factor * loss.curvature(y, i),
    )
    posteriors = [qb.QuasiBayesM(y, x, loss=one).quasi_posterior() for one in (loss, scaled)]
    points = posteriors[0].basis.to_params(np.random.default_rng(0).normal(size=(10, 4)))
    values = [np.sum(p.target.evaluate(p.basis.to_scaled(points)), axis=0) for p in posteriors]
    np.testing.assert_allclose(np.diff(values[0]), np.diff(values[1]), rtol=1e-6, atol=1e-8)
