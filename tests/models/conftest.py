"""Models with user-written moments, on real data."""

import numpy as np
import pytest

from qbeconometrics import QuasiBayesGMM, datasets
from qbeconometrics.priors import Uniform


def exponential_mean(params, endog, exog, instrument):
    """Moments of an additive error about an exponential mean."""
    return instrument * (endog - np.exp(exog @ params))[:, None]


@pytest.fixture(scope="session")
def doctor_visits():
    """Build the model of the stored estimates of the exponential mean."""
    frame = datasets.load("docvisits").assign(const=1.0)
    exog = frame[["private", "chronic", "female", "income", "const"]]
    instrument = frame[["private", "chronic", "female", "age", "black", "hispanic", "const"]]

    def build(**options):
        return QuasiBayesGMM(frame["docvis"], exog, instrument, momcond=exponential_mean, **options)

    return build


@pytest.fixture(scope="session")
def euler():
    """Build the model of the consumption Euler equation for some returns and box of gamma."""
    frame = datasets.load("ccapm_euler").assign(const=1.0)

    def moments(params, endog, exog, instrument):
        error = params[0] * np.exp(-params[1] * endog)[:, None] * exog - 1.0
        return (error[:, :, None] * instrument[:, None, :]).reshape(len(endog), -1)

    def build(returns, low, high, **options):
        return QuasiBayesGMM(
            np.log(frame["rc"]),
            frame[returns],
            frame[["const", "rc_lag", "rb_lag", "rm_lag"]],
            momcond=moments,
            param_names=["beta", "gamma"],
            start_params=[0.999, 1.0],
            prior=Uniform([0.5, low], [1.5, high]),
            **options,
        )

    return build
