"""What every model class is put through: drivers, clean data.

A new model class costs one line in `DRIVERS`.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import pytest

import qbeconometrics as qb
from qbeconometrics import exceptions
from qbeconometrics.exceptions import QBEconometricsError, QBEconometricsWarning


@dataclass(frozen=True)
class Driver:
    """How the suite makes a model of one class."""

    name: str
    construct: Callable
    from_formula: Callable
    instruments: bool = True
    moments: bool = True
    series: bool = False
    sums: bool = False

    @property
    def formula(self):
        """A good formula for the clean frame."""
        if self.series:
            return "wage ~ [educ ~ near + quarter] | exper + union + lag(wage) + lag(educ)"
        return f"wage ~ exper + union + {'[educ ~ near + quarter]' if self.instruments else 'educ'}"


def without_instruments(name, *, moments=True, **options):
    """A driver of a class that takes no instruments; those of the clean data are left aside."""

    def construct(endog, exog, instrument=None, **others):
        return qb.QuasiBayesM(endog, exog, **options, **others)

    def from_formula(formula, data, **others):
        return qb.QuasiBayesM.from_formula(formula, data, **options, **others)

    return Driver(name, construct, from_formula, instruments=False, moments=moments)


def projected(endog, exog, instrument, **others):
    """Local projections of the same blocks: educ is the shock, the constant is the trend."""

    def columns(block, places):
        if hasattr(block, "iloc"):
            return block.iloc[:, places]
        return (block if isinstance(block, np.ndarray) else np.array(block))[:, places]

    return qb.QuasiBayesLP(
        endog, columns(exog, [3]), columns(exog, [1, 2]), columns(instrument, slice(3, None)),
        horizon=2, lags=1, **others,
    )  # fmt: skip


def projected_formula(formula, data, **others):
    return qb.QuasiBayesLP.from_formula(formula, data, horizon=2, **others)


def added_up(statistic, block, prior=None, **others):
    """A model of sums over a block: the options of the rows are the statistic's."""
    return qb.QuasiBayesIV.from_moments(statistic(**others).update(block), prior=prior)


def summed(endog, exog, instrument=None, **others):
    return added_up(qb.LinearMoments, (endog, exog, instrument), **others)


def summed_formula(formula, data, **others):
    return added_up(partial(qb.LinearMoments, formula), data, **others)


DRIVERS = [
    Driver("QuasiBayesIV", qb.QuasiBayesIV, qb.QuasiBayesIV.from_formula),
    Driver("QuasiBayesIV.from_moments", summed, summed_formula, sums=True),
    without_instruments("QuasiBayesM squared", loss=qb.losses.Squared()),
    without_instruments("QuasiBayesM Huber", loss=qb.losses.Huber(2.0)),
    without_instruments(
        "QuasiBayesM Gibbs", moments=False, loss=qb.losses.Quantile(0.5), posterior="gibbs"
    ),
    Driver("QuasiBayesLP", projected, projected_formula, series=True),
]


# Words in the names of tests, or of their cases, about what a class may not take.
ABOUT_INSTRUMENTS = ("instrument",)
# What series in time answer otherwise is asked in test_bad_series.py: missing rows are dropped
# after lags are taken, formulas have another grammar, and there is no exog.
ABOUT_ROWS = (
    "missing", "nan ", "infinite_values", "modified", "formula", "frames_without", "named_too",
    "None", "ragged", "3-d", "two outcomes", "zero columns", "short endog", "other labels",
    "duplicate names", "same name", "duplicate columns", "multiple", "collinear", "trap",
    "constant", "zero column", "perfect fit", "endog in", "endog's name", "instruments",
    "more columns", "sampler_kwds", "cluster", "options2",
)  # fmt: skip
# What sums of rows answer in words of their own, or later, is asked in test_bad_blocks.py.
ABOUT_SINGLE_ROWS = (
    "cov_type None", "HAC lags", "cluster column", "two clusters", "zero rows", "duplicate columns",
    "multiple", "second constant", "constant endog", "frames_without_rows", "all_rows_missing",
    "array_columns_are_named", "bad_columns_behind",
)  # fmt: skip
ABOUT_MOMENTS = ("cov_type", "cov_kwds", "HAC", "cluster", "weight", "quasi_likelihood", "improper")


def pytest_collection_modifyitems(config, items):
    """Leave out what asks about instruments or moments where a class takes none."""

    def is_left_out(item):
        driver = item.callspec.params.get("driver") if hasattr(item, "callspec") else None
        if not isinstance(driver, Driver):
            return False
        words = () if driver.instruments else ABOUT_INSTRUMENTS
        words += () if driver.moments else ABOUT_MOMENTS
        words += ABOUT_ROWS if driver.series else ()
        words += ABOUT_SINGLE_ROWS if driver.sums else ()
        return any(word in item.name for word in words)

    left_out = [item for item in items if is_left_out(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


SHORT_FIT = {"draws": 20, "tune": 20, "chains": 1, "cores": 1, "rng": 0, "progressbar": False}


@dataclass(frozen=True)
class CleanData:
    """A frame and the blocks of its regression; each call gives new copies."""

    frame: pd.DataFrame

    def blocks(self):
        """Outcome, regressors and instruments with labels."""
        names = {
            "endog": "wage",
            "exog": ["one", "exper", "union", "educ"],
            "instrument": ["one", "exper", "union", "near", "quarter"],
        }
        return {block: self.frame[columns].copy() for block, columns in names.items()}

    def arrays(self):
        """The same without labels."""
        return {name: block.to_numpy().copy() for name, block in self.blocks().items()}


@pytest.fixture(params=DRIVERS, ids=lambda driver: driver.name)
def driver(request):
    return request.param


@pytest.fixture
def short_fit():
    """Fit a model with few draws; keywords change the options."""

    def fit(model, **changes):
        with warnings.catch_warnings():
            # Twenty draws never satisfy the checks of convergence.
            warnings.simplefilter("ignore", QBEconometricsWarning)
            return model.fit(**{**SHORT_FIT, **changes})

    return fit


@pytest.fixture
def refused():
    """Context manager that expects one of our named errors, with words in its message."""

    def expect(error, words):
        kind = getattr(exceptions, error)
        assert issubclass(kind, QBEconometricsError)
        assert issubclass(kind, ValueError)
        return pytest.raises(kind, match=f"(?s){words}")

    return expect


@pytest.fixture
def clean():
    """Labelled blocks wage ~ 1 + exper + union + educ, with instruments near and quarter.

    All numbers are multiples of 1/64, so that float32 holds them exactly.
    """
    rng = np.random.default_rng(20)
    n = 60
    near, quarter, exper, error = rng.normal(size=(4, n))
    union = rng.integers(0, 2, size=n)
    educ = 12 + near + quarter + exper + error
    wage = 1 + educ + exper + union + 2 * error + rng.normal(size=n)
    frame = pd.DataFrame(
        {
            "wage": wage, "one": np.ones(n), "exper": exper, "union": union, "educ": educ,
            "near": near, "quarter": quarter,
        },
        index=[f"p{i}" for i in range(n)],
    )  # fmt: skip
    frame = (frame * 64).round() / 64
    return CleanData(frame)
