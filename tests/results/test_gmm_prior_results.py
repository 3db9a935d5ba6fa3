"""Prior sensitivity and quasi-marginal likelihoods of user-written moments."""

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import OptionError

# Short chains of a function in Python: that they are short is said.
pytestmark = pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.ConvergenceWarning")
FIT = {"draws": 2500, "tune": 500, "chains": 2, "rng": 0}


def linear(params, endog, exog, instrument):
    return instrument * (endog - exog @ params)[:, None]


def data(n=150):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n, 2))
    common = rng.normal(size=n)
    d = z @ [1.5, 1.0] + common + rng.normal(size=n)
    y = 1.0 + d - common + rng.normal(size=n)
    ones = np.ones(n)
    return y, np.column_stack([ones, d]), np.column_stack([ones, z])


def both(prior, **options):
    """The same moments, compiled and written by a user."""
    y, x, z = data()
    compiled = qb.QuasiBayesIV(y, x, z, prior=prior)
    written = qb.QuasiBayesGMM(
        y, x, z, momcond=linear, param_names=["const", "x1"], start_params=[1, 1], prior=prior
    )
    return compiled.fit(**{**FIT, **options}), written.fit("rwm", **{**FIT, **options})


def test_user_written_moments_give_what_compiled_ones_give():
    compiled, written = both(qb.priors.Normal(0, 2))
    first, second = (fit.quasi_marginal_likelihood(proposals=4000) for fit in (compiled, written))
    assert abs(first.log_value - second.log_value) < 4 * np.hypot(first.se, second.se)
    tables = [fit.prior_sensitivity([0.3]).loc[0.3] for fit in (compiled, written)]
    assert [set(table["method"]) for table in tables] == [{"reweighted"}] * 2
    np.testing.assert_allclose(tables[0]["sd"], tables[1]["sd"], rtol=0.2)
    assert (abs(tables[0]["mean"] - tables[1]["mean"]) < 0.25 * tables[0]["sd"]).all()
    again = written.prior_sensitivity([0.3], method="refit", rng=1).loc[0.3]
    assert set(again["method"]) == {"refitted"}
    assert (abs(again["mean"] - tables[0]["mean"]) < 0.25 * tables[0]["sd"]).all()


def test_refusals():
    y, x, z = data()
    box = qb.QuasiBayesGMM(
        y,
        x,
        z,
        momcond=linear,
        param_names=["const", "x1"],
        prior=qb.priors.Uniform([-5, -5], [5, 5]),
    ).fit("rwm", **{**FIT, "draws": 300})
    with pytest.raises(OptionError, match="flat or uniform: there is no scale"):
        box.prior_sensitivity()
    assert np.isfinite(box.quasi_marginal_likelihood(proposals=500).log_value)
    _, fixed = both(qb.priors.Normal(0, 2), quasi_likelihood="two-step", draws=300)
    with pytest.raises(OptionError, match="user-written moments need quasi_likelihood='cue'"):
        fixed.quasi_marginal_likelihood()
