"""Bad options of `fit` are refused by every model class, with the argument named."""

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import QBEconometricsError

BAD_FITS = {
    "chains=0": ({"chains": 0}, "chains"),
    "chains=True": ({"chains": True}, "chains"),
    "draws=0": ({"draws": 0}, "draws"),
    "draws=1.5": ({"draws": 1.5}, "draws"),
    "draws='many'": ({"draws": "many"}, "draws"),
    "tune=-1": ({"tune": -1}, "tune"),
    "cores=0": ({"cores": 0}, "cores"),
    "unknown keyword": ({"chain": 4}, "'chain'.*Did you mean 'chains'"),
    "seed": ({"seed": 4}, "'seed'"),
    "cov_type": ({"cov_type": "HC9"}, "cov_type='HC9'"),
    "cov_type None": ({"cov_type": None}, "cov_type"),
    "cov_kwds key": ({"cov_kwds": {"center": True}}, "'center'.*Did you mean 'centered'"),
    "cov_kwds type": ({"cov_kwds": "centered"}, "cov_kwds"),
    "HAC key": ({"cov_type": "HAC", "cov_kwds": {"bandwidth": 3}}, "'bandwidth'.*maxlags"),
    "HAC kernel": ({"cov_type": "HAC", "cov_kwds": {"kernel": "flat"}}, "kernel.*'flat'"),
    "HAC lags": (
        {"cov_type": "HAC", "cov_kwds": {"maxlags": 60}},
        r"maxlags.*\d+ rows|the squared loss",
    ),
    "cluster without groups": ({"cov_type": "cluster"}, "groups"),
    "cluster column of arrays": (
        {"cov_type": "cluster", "cov_kwds": {"groups": "state"}},
        "'state' names a column|the squared loss",
    ),
    "two clusters": (
        {"cov_type": "cluster", "cov_kwds": {"groups": [0, 1] * 30}},
        r"2 clusters.*\d moments|the squared loss",
    ),
    "learning_rate<0": ({"learning_rate": -1.0}, "learning_rate"),
    "learning_rate=0": ({"learning_rate": 0.0}, "learning_rate"),
    "learning_rate=nan": ({"learning_rate": np.nan}, "learning_rate"),
    "learning_rate=inf": ({"learning_rate": np.inf}, "learning_rate"),
    "learning_rate text": ({"learning_rate": "fast"}, "learning_rate"),
    "sampler": ({"sampler": "nuts"}, "sampler='nuts'"),
    "sampler_kwds key": ({"sampler": "rwm", "sampler_kwds": {"stepsize": 1}}, "'stepsize'"),
    "rng RandomState": ({"rng": np.random.RandomState(0)}, "rng"),
    "rng text": ({"rng": "a"}, "rng"),
    "rng negative": ({"rng": -1}, "rng"),
    "rng fraction": ({"rng": 1.5}, "rng"),
    "quasi_likelihood": ({"quasi_likelihood": "cew"}, "quasi_likelihood='cew'"),
    "weight with cue": ({"weight_matrix": np.eye(5)}, "weight_matrix"),
    "weight shape": (
        {"quasi_likelihood": "two-step", "weight_matrix": np.eye(3)},
        "weight_matrix",
    ),
    "weight not positive": (
        {"quasi_likelihood": "two-step", "weight_matrix": -np.eye(5)},
        "weight_matrix",
    ),
    "weight not symmetric": (
        {"quasi_likelihood": "two-step", "weight_matrix": np.triu(np.ones((5, 5)))},
        "weight_matrix",
    ),
    "weight nan": (
        {"quasi_likelihood": "two-step", "weight_matrix": np.full((5, 5), np.nan)},
        "weight_matrix",
    ),
    "weight word": ({"quasi_likelihood": "two-step", "weight_matrix": "optimal"}, "weight_matrix"),
    "progressbar": ({"progressbar": "yes"}, "progressbar"),
}


@pytest.mark.parametrize(("options", "words"), BAD_FITS.values(), ids=BAD_FITS)
def test_bad_options_of_fit_are_refused(driver, clean, options, words, short_fit):
    model = driver.construct(**clean.blocks())
    with pytest.raises(QBEconometricsError, match=f"(?s){words}") as caught:
        short_fit(model, **options)
    assert isinstance(caught.value, ValueError)


def test_flat_prior_is_refused_where_the_posterior_is_improper(driver, clean, refused, short_fit):
    model = driver.construct(**clean.blocks(), prior=qb.priors.Flat())
    with refused("ImproperPosteriorError", "(?i)prior"):
        short_fit(model, quasi_likelihood="cue")
