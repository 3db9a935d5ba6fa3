"""Synthetic fits and a small stand-in for the model."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from qbeconometrics.results import FitRecord


@dataclass(frozen=True)
class Statistic:
    value: float
    df: int
    pvalue: float


class FakeModel:
    """What results ask of a model: names, first stage, J and the formula's regressors."""

    k_constant = 1
    endog_names = "lwage"

    def __init__(self, names, effective_f=(14.3,), endogenous=("educ",)):
        self.exog_names = list(names)
        self.formula = None
        self.effective_f = effective_f
        self.endogenous = list(endogenous)
        self.calls = []

    def first_stage(self, *, cov_type, cov_kwds):
        self.calls.append(("first_stage", cov_type, cov_kwds))
        return pd.DataFrame(
            {
                "f": np.ones(len(self.endogenous)),
                "effective_f": self.effective_f,
                "kleibergen_paap_f": 8.25,
            },
            index=self.endogenous,
        )

    def j_stat(self, *, weight, cov_type, cov_kwds, centered):
        self.calls.append(("j_stat", weight, cov_type, cov_kwds, centered))
        return Statistic(3.412, 1, 0.0647)

    def _prediction_matrix(self, frame):
        frame = pd.DataFrame(frame).dropna()
        columns = {"Intercept": 1.0, "exper": frame["exper"], "np.log(educ)": np.log(frame["educ"])}
        return pd.DataFrame(columns, index=frame.index)


NAMES = ("Intercept", "exper", "expersq", "educ")
CENTRE = np.array([4.7363, 0.0842, -0.00235, 0.1323])
SPREAD = np.array([0.70, 0.0069, 0.00032, 0.0551])


def make_record(seed=0, chains=4, draws=1000, names=NAMES, centre=CENTRE, spread=SPREAD, **changes):
    rng = np.random.default_rng(seed)
    k = len(names)
    values = np.asarray(centre) + np.asarray(spread) * rng.standard_normal((chains, draws, k))
    fields = {
        "draws": values,
        "log_density": -0.5 * (values**2).sum(axis=2),
        "param_names": tuple(names),
        "endog_name": "lwage",
        "model_name": "QuasiBayesIV",
        "formula": None,
        "nobs": 3010,
        "n_dropped": 0,
        "instrument_names": ("Intercept", "exper", "expersq", "nearc2", "nearc4"),
        "endogenous_names": ("educ",),
        "mode": np.asarray(centre, dtype=float),
        "exact_mean": None,
        "exact_cov": None,
        "moments_exist": (True, True),
        "quasi_likelihood": "cue",
        "cov_type": "HC0",
        "cov_kwds": {},
        "learning_rate": 1.0,
        "prior": (
            "default, weak: slopes Normal(0, (2.5 sd(y)/sd(x))^2)",
            "intercept of the centred regression Normal(6.26, 1.11^2)",
        ),
        "sampler": "da-exact",
        "sampler_reason": "moments are linear and 4 coefficients are few",
        "sampler_settings": {},
        "sampler_stats": {
            "acceptance_stage_1": np.full(chains, 0.912),
            "acceptance_stage_2": np.full(chains, 0.804),
            "acceptance_rate": np.full(chains, 0.733),
            "seconds": 0.25,
            "setup_seconds": 0.02,
            "evaluations": 12_000,
            "nonfinite": 0,
        },
        "draws_requested": draws,
        "tune": 1000,
        "interrupted": False,
        "notes": (),
    }
    return FitRecord(**{**fields, **changes})


@pytest.fixture
def record_factory():
    return make_record


@pytest.fixture
def model_factory():
    return FakeModel
