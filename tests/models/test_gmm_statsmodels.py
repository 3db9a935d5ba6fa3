"""Two-step estimates under serial correlation, on real data, against statsmodels' GMM.

Its ``weights_method="hac"`` weighs lags as ours does with `maxlags` = `maxlag`. Without
``centered=False`` it subtracts the grand mean of all moments from each, and not their own means, so
only the uncentred rules agree.
"""

import numpy as np
import pytest
from statsmodels.sandbox.regression.gmm import GMM

import qbeconometrics as qb

# Their minimum is found by a simplex search.
SAME_MINIMUM = 1e-6
SIMPLEX = {"disp": 0, "xtol": 1e-12, "ftol": 1e-14, "maxiter": 5000, "maxfun": 5000}
BOTH, MARKET = ["rb", "rm"], ["rm"]


def theirs(model, first_step, start, maxlag):
    """Two-step estimate, its standard errors with the same weight, and J."""

    class Theirs(GMM):
        def momcond(self, params):
            return model.momcond(params)

    n, m = model.momcond(start).shape
    reference = Theirs(model.endog, model.exog, model.instrument, k_moms=m, k_params=len(start))
    res = reference.fit(
        start,
        maxiter=2,
        inv_weights=first_step,
        weights_method="hac",
        wargs={"maxlag": maxlag, "centered": False},
        optim_method="nm",
        optim_args=SIMPLEX,
    )
    value, _, df = res.jtest()
    G = reference.gradient_momcond(res.params)
    return res.params, np.sqrt(np.diag(np.linalg.inv(G.T @ res.weights @ G)) / n), value, df


def check(model, first_step, start, maxlag):
    params, errors, j, df = theirs(model, first_step, np.array(start), maxlag)
    options = {"cov_type": "HAC", "cov_kwds": {"maxlags": maxlag}}
    posterior = model.quasi_posterior(quasi_likelihood="two-step", **options)
    mode = posterior.basis.to_params(posterior.find_mode().point)
    np.testing.assert_allclose(mode, params, rtol=SAME_MINIMUM)
    root = posterior.basis.regressor_map @ posterior.at_mode.root
    # Their derivative is a one-sided difference.
    np.testing.assert_allclose(np.sqrt(np.sum(root**2, axis=1)), errors, rtol=1e-4)
    ours = model.j_stat(**options)
    assert ours.value == pytest.approx(j, rel=SAME_MINIMUM)
    assert ours.df == df


@pytest.mark.parametrize("maxlag", [1, 6, 24])
@pytest.mark.parametrize(("returns", "low", "high"), [(BOTH, -1, 1.5), (MARKET, -5, 6)])
def test_consumption_euler_equation(euler, returns, low, high, maxlag):
    model = euler(returns, low, high)
    z = model.instrument
    first_step = np.kron(np.eye(len(returns)), z.T @ z / len(z))
    check(model, first_step, [0.999, 0.5], maxlag)


@pytest.mark.parametrize("maxlag", [1, 3])
def test_consumption_growth(maxlag):
    """The equation of Campbell and Mankiw, with its linear moments written by hand."""
    data = qb.datasets.load("consump_annual").dropna(subset=["gc_1", "gy_1", "r3_1"])
    data = data.assign(const=1.0)
    model = qb.QuasiBayesGMM(
        data["gc"],
        data[["const", "gy", "r3"]],
        data[["const", "gc_1", "gy_1", "r3_1"]],
        momcond=lambda p, y, x, z: z * (y - x @ p)[:, None],
    )
    z = model.instrument
    check(model, z.T @ z / len(z), [0.008, 0.5, 0.001], maxlag)
