"""Ready-made moments: stored estimates, derivatives, recovery of known parameters, errors."""

import json
from pathlib import Path

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import InputError
from qbeconometrics.moment_functions import iv_poisson_additive, iv_poisson_multiplicative

FILE = Path(__file__).parent / "reference_values" / "reference_nonlinear_gmm.json"
BOTH = [iv_poisson_additive, iv_poisson_multiplicative]
# As for moments written by hand.
REFERENCE_TOLERANCE = 1e-5
# Central differences with a relative step of 1e-6.
DIFFERENCE_TOLERANCE = 1e-7


def simulated(multiplicative, n=4000):
    """Outcome, regressors and instruments; the first regressor moves with the error."""
    rng = np.random.default_rng(11)
    z = rng.standard_normal((n, 2))
    common = rng.standard_normal(n)
    d = z @ [0.6, 0.4] + 0.5 * common + 0.5 * rng.standard_normal(n)
    x = np.column_stack([d, np.ones(n)])
    mean = np.exp(x @ [0.5, 0.2])
    shock = np.exp(0.4 * common - 0.08)
    # The additive error is too small to take the outcome below zero, and has mean zero.
    y = mean * shock if multiplicative else mean + 0.02 * np.tanh(common)
    return y, x, np.column_stack([z, np.ones(n)])


# The mode does not depend on the draws, so a few will do.
@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.ConvergenceWarning")
def test_the_stored_estimate_is_the_mode():
    stored = json.loads(FILE.read_text(encoding="utf-8"))["nonlinear_gmm"]["docvisits_additive"]
    data = qb.datasets.load("docvisits").assign(const=1.0)
    model = qb.QuasiBayesGMM(
        data["docvis"],
        data[["private", "chronic", "female", "income", "const"]],
        data[["private", "chronic", "female", "age", "black", "hispanic", "const"]],
        momcond=iv_poisson_additive,
    )
    res = model.fit("da", draws=20, tune=20, rng=0, quasi_likelihood="two-step", progressbar=False)
    two_step = stored["two_step"]
    np.testing.assert_allclose(
        res.mode, [two_step["params"][name] for name in res.mode.index], rtol=REFERENCE_TOLERANCE
    )
    expected = [two_step["se_efficient_weight_used"][name] for name in res.mode.index]
    np.testing.assert_allclose(res.mode_bse, expected, rtol=REFERENCE_TOLERANCE)
    assert list(res.params.index) == ["private", "chronic", "female", "income", "const"]


@pytest.mark.parametrize("moments", BOTH)
def test_derivative(moments):
    y, x, z = simulated(multiplicative=True, n=200)
    at, step = np.array([0.4, 0.1]), 1e-6
    expected = np.column_stack(
        [
            (moments(at + e, y, x, z) - moments(at - e, y, x, z)).mean(axis=0) / (2 * step)
            for e in step * np.eye(2)
        ]
    )
    np.testing.assert_allclose(moments.jac(at, y, x, z), expected, atol=DIFFERENCE_TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("moments", BOTH)
@pytest.mark.parametrize("sampler", ["rwm", "da", "da-exact"])
def test_known_parameters_are_recovered(moments, sampler):
    y, x, z = simulated(moments.error == "multiplicative")
    model = qb.QuasiBayesGMM(y, x, z, momcond=moments, prior=qb.priors.Normal(0, 5))
    res = model.fit(
        sampler,
        draws=2500,
        tune=800,
        rng=0,
        sampler_kwds={"df": 5, "rho": 0} if sampler == "da-exact" else None,
        progressbar=False,
    )
    assert abs(res.params.iloc[0] - 0.5) < 4 * res.bse.iloc[0]
    assert res.bse.iloc[0] < 0.1


def test_data_that_do_not_fit():
    y, x, z = simulated(multiplicative=True, n=100)
    with pytest.raises(InputError, match="negative"):
        qb.QuasiBayesGMM(-y, x, z, momcond=iv_poisson_additive)
    with pytest.raises(InputError, match="regressors"):
        qb.QuasiBayesGMM(y, None, z, momcond=iv_poisson_additive)
