"""Posteriors of losses against integration over a grid, on real data with two parameters."""

from functools import partial

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics import datasets, losses
from qbeconometrics.posterior.gibbs import build_gibbs_posterior

ESS = 800
# A wrong target must miss by more than twice what a right one may miss by.
CAUGHT = 2.0
FIRST = {"rwm": 4_000, "da": 4_000, "da-exact": 4_000, "hmc": 2_000}
ROWS = 120
# Sides of the cells near the middle of the grid are about a twentieth of a standard deviation, and
# a step function is known within a cell.
CELL = 0.05


def _sample(name, y, x):
    frame = datasets.load(name).iloc[:: len(datasets.load(name)) // ROWS][:ROWS]
    regressor = frame[x].to_numpy(dtype=float)
    centred = (regressor - regressor.mean()) / regressor.std()
    return frame[y].to_numpy(dtype=float), np.column_stack([np.ones(ROWS), centred])


WAGES = _sample("card1995", "lwage", "educ")
LABOUR = _sample("mroz1987", "inlf", "exper")
VISITS = _sample("docvisits", "docvis", "chronic")
LOG_COSH = losses.Custom(
    lambda y, index: np.log(np.cosh(y - index)), lambda y, index: np.tanh(index - y)
)
CASES = {
    "squared": (losses.Squared(), WAGES),
    "absolute": (losses.Absolute(), WAGES),
    "quantile": (losses.Quantile(0.75), WAGES),
    "Huber": (losses.Huber(0.3), WAGES),
    "expectile": (losses.Expectile(0.2), WAGES),
    "custom": (LOG_COSH, WAGES),
    "logistic": (losses.Logistic(), LABOUR),
    "hinge": (losses.Hinge(), LABOUR),
    "Poisson": (losses.Poisson(), VISITS),
}
PRIOR_MEAN, PRIOR_SD = np.array([0.5, 0.0]), np.array([5.0, 0.5])
PRIOR = qb.priors.Normal(PRIOR_MEAN, PRIOR_SD)
RATE = 0.8


def log_prior(theta):
    return -0.5 * np.sum(((theta - PRIOR_MEAN) / PRIOR_SD) ** 2, axis=1)


def gibbs_log_density(loss, y, x, theta, rate=RATE):
    return log_prior(theta) - rate * loss.value(y, theta @ x.T).sum(axis=1)


def q_log_density(loss, y, x, theta, kind, estimate):
    n = len(y)
    score = loss.score(y, theta @ x.T)
    g = score @ x / n
    at = score if kind != "two-step" else loss.score(y, estimate[None, :] @ x.T)
    products = x[:, :, None] * x[:, None, :]
    S = np.tensordot(at**2, products, 1) / n
    S = np.broadcast_to(S, (len(theta), 2, 2))
    quadratic = np.sum(g * np.linalg.solve(S, g[:, :, None])[:, :, 0], axis=1)
    value = log_prior(theta) - 0.5 * n * quadratic
    return value - 0.5 * np.linalg.slogdet(S)[1] if kind == "cue" else value


def model_of(name, posterior):
    loss, (y, x) = CASES[name]
    return qb.QuasiBayesM(y, x, loss=loss, posterior=posterior, prior=PRIOR)


def gibbs_posterior(model, rate=RATE, prior=None):
    """The target in Python, of the squared loss too, which `fit` has a better way for."""
    return build_gibbs_posterior(
        model.loss, model.design.endog, model.design.exog, prior=prior or model.prior,
        learning_rate=rate, basis=model._basis, starts=[model._estimate[0]],
    )  # fmt: skip


@pytest.fixture(scope="module")
def laws(integrate_over, law_of):
    """Laws by name, posterior and quasi-likelihood, each integrated once."""
    found = {}

    def law(name, posterior, kind="cue"):
        key = (name, posterior, kind)
        if key not in found:
            loss, (y, x) = CASES[name]
            model = model_of(name, posterior)
            if posterior == "gibbs":
                density = partial(gibbs_log_density, loss, y, x)
            else:
                density = partial(q_log_density, loss, y, x, kind=kind, estimate=model._estimate[0])
            law = integrate_over(density, model._estimate[0], PRIOR_SD / 50, 8 * PRIOR_SD)
            accuracy = CELL * law.sd if loss.jumps else 0.0
            found[key] = law_of(law.mean, law.sd, law.quantiles, accuracy)
        return found[key]

    return law


@pytest.mark.parametrize("sampler", ["rwm", "hmc"])
@pytest.mark.parametrize("name", CASES)
def test_gibbs_posterior_matches_the_grid(laws, run_until, agreement_with, name, sampler):
    posterior = gibbs_posterior(model_of(name, "gibbs"))
    draws_of = partial(run_until, posterior, sampler, ess=ESS, n_draws=FIRST[sampler])
    assert agreement_with(draws_of, laws(name, "gibbs")) < 1.0


Q_CASES = [
    ("logistic", "cue", "rwm"),
    ("logistic", "cue-nodet", "da"),
    ("logistic", "cue", "da-exact"),
    ("logistic", "cue", "hmc"),
    ("expectile", "two-step", "hmc"),
    ("Poisson", "cue", "da"),
    ("Poisson", "two-step", "rwm"),
    ("Huber", "cue", "da"),
    ("expectile", "cue", "rwm"),
    ("quantile", "cue", "rwm"),
    ("quantile", "cue", "da-exact"),
    ("hinge", "cue", "da"),
    ("custom", "cue", "rwm"),
]


@pytest.mark.parametrize(("name", "kind", "sampler"), Q_CASES)
def test_q_posterior_matches_the_grid(laws, run_until, agreement_with, name, kind, sampler):
    posterior = model_of(name, "q").quasi_posterior(quasi_likelihood=kind)
    draws_of = partial(run_until, posterior, sampler, ess=ESS, n_draws=FIRST[sampler])
    assert agreement_with(draws_of, laws(name, "q", kind)) < 1.0


def test_squared_loss_has_the_closed_form(run_until, agreement_with, law_of):
    y, x = WAGES
    precision = RATE * x.T @ x + np.diag(PRIOR_SD**-2)
    mean = np.linalg.solve(precision, RATE * x.T @ y + PRIOR_MEAN / PRIOR_SD**2)
    sd = np.sqrt(np.diag(np.linalg.inv(precision)))
    model = model_of("squared", "gibbs")
    res = model.fit(learning_rate=RATE, rng=0)
    assert res.record.sampler == "independent"
    assert "the squared loss" in res.summary().as_text()
    np.testing.assert_allclose(res.params, mean, rtol=1e-10)
    np.testing.assert_allclose(res.bse, sd, rtol=1e-10)
    law = law_of(mean, sd, {0.5: mean})
    draws_of = partial(run_until, gibbs_posterior(model), "rwm", ess=ESS, n_draws=FIRST["rwm"])
    assert agreement_with(draws_of, law) < 1.0


def test_log_densities_of_squared_loss_are_those_of_the_loss():
    model = model_of("squared", "gibbs")
    res = model.fit(learning_rate=RATE, rng=0, draws=5)
    y, x = WAGES
    pooled = res.draws.reshape(-1, 2)
    expected = gibbs_log_density(losses.Squared(), y, x, pooled)
    np.testing.assert_allclose(res.record.log_density.ravel(), expected, rtol=1e-9)


WRONG = {
    "learning rate": lambda model: gibbs_posterior(model, rate=0.5 * RATE),
    "prior": lambda model: gibbs_posterior(
        model,
        prior=qb.QuasiBayesM(
            model.endog, model.exog, loss=model.loss, prior=qb.priors.Normal(PRIOR_MEAN, [5, 0.1])
        ).prior,
    ),
    "quantile": lambda model: gibbs_posterior(
        qb.QuasiBayesM(
            model.endog, model.exog, loss=losses.Quantile(0.6), posterior="gibbs", prior=PRIOR
        )
    ),
}


@pytest.mark.parametrize("sampler", ["rwm", "hmc"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_gibbs_target_is_caught(laws, run_until, deviation_from, wrong, sampler):
    posterior = WRONG[wrong](model_of("quantile", "gibbs"))
    draws = run_until(posterior, sampler, ess=ESS, seed=3, n_draws=FIRST[sampler])
    assert deviation_from(draws, laws("quantile", "gibbs")) > CAUGHT


@pytest.mark.parametrize(
    ("name", "sampler"), [("quantile", "rwm"), ("quantile", "da"), ("logistic", "da-exact")]
)
def test_a_wrong_q_target_is_caught(laws, run_until, deviation_from, name, sampler):
    """A third of the learning rate."""
    posterior = model_of(name, "q").quasi_posterior(learning_rate=0.33)
    draws = run_until(posterior, sampler, ess=ESS, seed=3, n_draws=FIRST[sampler])
    assert deviation_from(draws, laws(name, "q")) > CAUGHT
