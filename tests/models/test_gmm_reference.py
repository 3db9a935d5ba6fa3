"""Modes, standard errors and J of user-written moments against stored GMM estimates."""

import json
from pathlib import Path

import numpy as np
import pytest

from qbeconometrics.priors import Uniform

FOLDER = Path(__file__).parent.parent / "reference_values"
STORED = json.loads((FOLDER / "reference_nonlinear_gmm.json").read_text(encoding="utf-8"))
# The stored continuously updated estimates come from a simplex search.
TOLERANCE = 1e-5
# A few rows dominate S at that point, whose factor therefore loses digits.
VALUE_TOLERANCE = 1e-4
BOTH, MARKET = ["rb", "rm"], ["rm"]


@pytest.fixture(scope="module")
def models(doctor_visits, euler):
    """Models by name of the stored entry; the boxes keep to the stored local minima."""
    return {
        "docvisits_additive": doctor_visits(prior=Uniform(-2, 2)),
        "ccapm_euler": euler(BOTH, -1, 1.5),
        "ccapm_euler_market_only": euler(MARKET, -5, 6),
    }


# The mode does not depend on the draws, so a few will do.
@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("key", ["two_step", "cue"])
@pytest.mark.parametrize("name", ["docvisits_additive", "ccapm_euler", "ccapm_euler_market_only"])
def test_mode_standard_errors_and_j(models, name, key):
    stored = STORED["nonlinear_gmm"][name][key]
    quasi_likelihood = "two-step" if key == "two_step" else "cue-nodet"
    res = models[name].fit(
        "rwm", draws=20, tune=20, rng=0, quasi_likelihood=quasi_likelihood, progressbar=False
    )
    expected = [stored["params"][label] for label in res.mode.index]
    np.testing.assert_allclose(res.mode, expected, rtol=TOLERANCE)
    expected = [stored["se_efficient_weight_used"][label] for label in res.mode.index]
    np.testing.assert_allclose(res.mode_bse, expected, rtol=TOLERANCE)
    j = res.j_stat(weight=key.replace("_", "-"))
    np.testing.assert_allclose(j.value, stored["J_weight_used"], rtol=TOLERANCE)
    np.testing.assert_allclose(-2 * res.modes["log_density"][0], j.value, rtol=TOLERANCE)
    assert j.df == res.record.n_moments - len(res.params)


@pytest.mark.parametrize("centered", [False, True])
def test_criterion_and_determinant_at_a_point(models, centered):
    check = STORED["nonlinear_gmm"]["docvisits_additive"]["objective_check"]
    suffix = "centered" if centered else "uncentered"
    for name in ("cue", "cue-nodet"):
        posterior = models["docvisits_additive"].quasi_posterior(
            quasi_likelihood=name, cov_kwds={"centered": centered}
        )
        point = posterior.basis.to_scaled(np.array(check["theta"]))
        value = posterior.target.evaluate(point[None, :])[0][0]
        expected = -0.5 * check[f"n_gbar_Sinv_gbar_{suffix}"]
        if name == "cue":
            if centered:
                continue
            expected -= check["half_logdet_S_uncentered"]
        np.testing.assert_allclose(value, expected, rtol=VALUE_TOLERANCE)


def test_flat_prior_two_step(doctor_visits):
    posterior = doctor_visits().quasi_posterior(quasi_likelihood="two-step")
    stored = STORED["nonlinear_gmm"]["docvisits_additive"]["two_step"]["params"]
    mode = posterior.basis.to_params(posterior.find_mode().point)
    np.testing.assert_allclose(mode, list(stored.values()), rtol=TOLERANCE)


def test_a_given_weight(doctor_visits):
    model = doctor_visits()
    stored = STORED["nonlinear_gmm"]["docvisits_additive"]["one_step"]
    weight = np.linalg.inv(model.instrument.T @ model.instrument / len(model.endog))
    posterior = model.quasi_posterior(quasi_likelihood="two-step", weight_matrix=weight)
    mode = posterior.find_mode()
    np.testing.assert_allclose(
        posterior.basis.to_params(mode.point), list(stored["params"].values()), rtol=TOLERANCE
    )
    np.testing.assert_allclose(-2 * mode.log_density, stored["J_weight_used"], rtol=TOLERANCE)
