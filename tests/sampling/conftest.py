"""Quasi-posteriors to sample from, and a shorthand for the options of a run."""

import threading

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.models.fit_options import sample_options
from qbeconometrics.posterior.mode import find_mode
from qbeconometrics.posterior.surrogate import normal_surrogate
from qbeconometrics.priors import StudentT


@pytest.fixture(scope="session")
def ajr_model():
    """Build a model of Acemoglu, Johnson and Robinson's base sample, weakly identified."""
    frame = qb.datasets.load("ajr2001").query("baseco == 1")

    def build(prior=None):
        return qb.QuasiBayesIV.from_formula("logpgp95 ~ [avexpr ~ logem4]", frame, prior=prior)

    return build


@pytest.fixture(scope="session")
def regression():
    """Outcome and four regressors, heteroskedastic, 300 rows."""
    rng = np.random.default_rng(21)
    x = np.column_stack([np.ones(300), rng.standard_normal((300, 3))])
    y = x @ [1.0, 0.5, 0.0, -0.5] + rng.standard_normal(300) * (0.5 + np.abs(x[:, 1]))
    return y, x


@pytest.fixture(scope="session")
def posterior(ajr_model):
    """The default quasi-posterior of the weakly identified problem."""
    return ajr_model().quasi_posterior()


@pytest.fixture(scope="session")
def normal_posterior(regression):
    """Exactly normal: a fixed weight."""
    return qb.QuasiBayesIV(*regression).quasi_posterior(quasi_likelihood="two-step")


@pytest.fixture(scope="session")
def student_posterior(regression):
    """A fixed weight under Student-t priors."""
    model = qb.QuasiBayesIV(*regression, prior=StudentT(3, scale=2))
    return model.quasi_posterior(quasi_likelihood="two-step")


@pytest.fixture(scope="session")
def surrogate_of():
    """The normal law at the mode of a quasi-posterior."""
    return lambda posterior: normal_surrogate(posterior.target, find_mode(posterior.target).point)


@pytest.fixture(scope="session")
def options():
    """Checked options of a run, short by default."""

    def build(**changes):
        given = {
            "sampler": "auto", "draws": 200, "tune": 200, "chains": 4, "cores": 2, "rng": 0,
            "sampler_kwds": None, "progressbar": False,
        }  # fmt: skip
        return sample_options(**{**given, **changes})

    return build


@pytest.fixture
def no_thread_left():
    """Fail if a sampling thread outlives the test."""
    yield
    alive = [t.name for t in threading.enumerate() if t.name.startswith("qbeconometrics")]
    assert not alive
