"""Which quasi-posteriors are refused, and which moments exist."""

import warnings

import numpy as np
import pandas as pd
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import ImproperPosteriorError, QBEconometricsWarning
from qbeconometrics.priors import Flat, Normal, StudentT

KINDS = ("cue", "cue-nodet", "two-step")
COV_TYPES = ("nonrobust", "HC0", "HC1")

# Surplus of instruments over coefficients -> whether mean and variance exist; None: refused.
FLAT_NONROBUST_CUE = {0: None, 1: (False, False), 2: (True, False), 3: (True, True)}


def make_model(surplus, prior=None, n=60):
    """Two coefficients (a constant among them), 2 + surplus instruments."""
    rng = np.random.default_rng(13)
    z = np.column_stack([np.ones(n), rng.standard_normal((n, 1 + surplus))])
    error = rng.standard_normal(n)
    x = np.column_stack([np.ones(n), z[:, 1:].sum(axis=1) + error])
    y = x @ [1.0, 0.5] + error + 0.5 * rng.standard_normal(n)
    return qb.QuasiBayesIV(y, x, z, prior=prior)


def existing_moments(model, kind, cov_type):
    """The flags of a short fit, or None if it is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QBEconometricsWarning)  # twenty draws never converge
        try:
            res = model.fit(
                "rwm" if kind != "two-step" else "auto",
                draws=20, tune=20, chains=2, cores=1, rng=0,
                quasi_likelihood=kind, cov_type=cov_type,
            )  # fmt: skip
        except ImproperPosteriorError:
            return None
    assert np.isnan(res.params).all() == (not res.record.moments_exist[0])
    assert np.isnan(res.bse).all() == (not all(res.record.moments_exist))
    return res.record.moments_exist


@pytest.mark.parametrize("surplus", FLAT_NONROBUST_CUE)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cov_type", COV_TYPES)
def test_flat_prior(surplus, kind, cov_type):
    expected = None
    if kind == "two-step":
        expected = (True, True)
    elif kind == "cue" and cov_type == "nonrobust":
        expected = FLAT_NONROBUST_CUE[surplus]
    assert existing_moments(make_model(surplus, Flat()), kind, cov_type) == expected


@pytest.mark.parametrize("prior", [None, Normal(0, 10), {"x1": Normal(0, 1)}], ids=repr)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cov_type", COV_TYPES)
def test_normal_priors_are_accepted_with_all_moments(prior, kind, cov_type):
    assert existing_moments(make_model(0, prior), kind, cov_type) == (True, True)


@pytest.mark.parametrize(
    ("df", "kind", "expected"),
    [
        (0.5, "cue-nodet", (False, False)),
        (1.5, "cue-nodet", (True, False)),
        (3.0, "cue-nodet", (True, True)),
        (0.5, "cue", (True, False)),
        (1.5, "cue", (True, True)),
        (0.5, "two-step", (True, True)),
    ],
)
def test_student_prior(df, kind, expected):
    assert existing_moments(make_model(1, {"x1": StudentT(df)}), kind, "HC0") == expected


@pytest.mark.parametrize("kind", ["cue", "cue-nodet"])
def test_flat_coefficient_among_others_is_named(kind):
    with pytest.raises(ImproperPosteriorError, match=r"flat prior of const.*priors\.Normal"):
        make_model(1, {"const": Flat()}).quasi_posterior(quasi_likelihood=kind)


def test_reasons_differ():
    with pytest.raises(ImproperPosteriorError, match="without the determinant"):
        make_model(1, Flat()).quasi_posterior(quasi_likelihood="cue-nodet")
    with pytest.raises(ImproperPosteriorError, match="cov_type='HC1'"):
        make_model(1, Flat()).quasi_posterior(cov_type="HC1")
    with pytest.raises(ImproperPosteriorError, match="as many instruments as coefficients"):
        make_model(0, Flat()).quasi_posterior(cov_type="nonrobust")


def test_flat_nonrobust_cue_decays_as_the_table_says():
    """Along a ray the log density falls like -m log |theta|."""
    model = make_model(2, Flat())
    target = model.quasi_posterior(cov_type="nonrobust").target
    near, far = target.evaluate(np.outer([1e6, 1e8], [0.6, 0.8]))[0]
    assert far - near == pytest.approx(-4 * np.log(100), rel=1e-4)


class TestLeverage:
    @pytest.fixture
    def frame(self):
        rng = np.random.default_rng(17)
        n = 40
        frame = pd.DataFrame({"x": rng.standard_normal(n)}, index=[f"row {i}" for i in range(n)])
        frame["y"] = frame["x"] + rng.standard_normal(n)
        frame["alone"] = (np.arange(n) == 23).astype(float)
        return frame

    @pytest.mark.parametrize("kwds", [{}, {"cov_type": "HC1"}, {"cov_kwds": {"centered": True}}])
    def test_row_is_named(self, frame, kwds):
        model = qb.QuasiBayesIV.from_formula("y ~ x + alone", frame)
        with pytest.raises(ImproperPosteriorError, match="row 'row 23'"):
            model.quasi_posterior(**kwds)

    def test_label_after_dropped_rows(self, frame):
        frame.loc["row 3", "x"] = np.nan
        model = qb.QuasiBayesIV.from_formula("y ~ x + alone", frame)
        with pytest.raises(ImproperPosteriorError, match="row 'row 23'"):
            model.quasi_posterior()

    def test_position_without_labels(self, frame):
        x = np.column_stack([np.ones(40), frame[["x", "alone"]]])
        with pytest.raises(ImproperPosteriorError, match="row 23 is"):
            qb.QuasiBayesIV(frame["y"].to_numpy(), x).quasi_posterior()

    def test_nonrobust_is_accepted(self, frame):
        model = qb.QuasiBayesIV.from_formula("y ~ x + alone", frame)
        assert np.isfinite(model.quasi_posterior(cov_type="nonrobust").log_constant)

    def test_two_rows_are_accepted(self, frame):
        frame.loc["row 24", "alone"] = 1.0
        model = qb.QuasiBayesIV.from_formula("y ~ x + alone", frame)
        assert np.isfinite(model.quasi_posterior().log_constant)
