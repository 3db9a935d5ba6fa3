"""Frames of the reference specifications, prepared as their script prepares them."""

import json
from pathlib import Path

import numpy as np
import pytest

from qbeconometrics import QuasiBayesGMM, datasets
from qbeconometrics.priors import Uniform

PATH = Path(__file__).parent.parent / "reference_values" / "reference_iv.json"


def _cigarettes():
    d = datasets.load("cigarettes_sw")
    d["lpacks"], d["lrprice"] = np.log(d.packs), np.log(d.price / d.cpi)
    d["lrincome"] = np.log(d.income / d.population / d.cpi)
    d["tdiff"], d["rtax"] = (d.taxs - d.tax) / d.cpi, d.tax / d.cpi
    columns = ["lpacks", "lrprice", "lrincome", "tdiff", "rtax"]
    first, last = (d[d.year == year].set_index("state")[columns] for year in (1985, 1995))
    return last - first


def _quarters():
    d = datasets.load("ak1991_sub20000")
    for quarter in (1, 2, 3):
        d[f"q{quarter}"] = (d.qob == quarter) * 1
        for year in range(1930, 1940):
            d[f"q{quarter}_y{year}"] = ((d.qob == quarter) & (d.yob == year)) * 1
    return d


FRAMES = {
    "card1995.csv": lambda: datasets.load("card1995"),
    "mroz1987.csv": lambda: datasets.load("mroz1987").query("inlf == 1"),
    "meps.csv": lambda: datasets.load("meps"),
    "wage_bn1992.csv": lambda: datasets.load("wage_bn1992"),
    "griliches1976.csv": lambda: datasets.load("griliches1976"),
    "ajr2001_table5.csv": lambda: datasets.load("ajr2001").query("baseco == 1"),
    "cigarettes_sw.csv": _cigarettes,
    "hsng1980.csv": lambda: datasets.load("hsng1980"),
    "consump_annual.csv": lambda: datasets.load("consump_annual"),
    "ak1991_sub20000.csv": _quarters,
}


@pytest.fixture(scope="session")
def reference():
    """Specifications by name, those whose data are embedded."""
    stored = json.loads(PATH.read_text(encoding="utf-8"))["linear"]
    return {name: entry for name, entry in stored.items() if entry["data"] in FRAMES}


@pytest.fixture(scope="session")
def frame_of():
    """The data frame of a specification."""
    return lambda entry: FRAMES[entry["data"]]()


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
