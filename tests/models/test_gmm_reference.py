"""Modes, standard errors and J of user-written moments against stored GMM estimates."""

import json
import math
from fractions import Fraction
from operator import mul
from pathlib import Path

import numpy as np
import pytest

from qbeconometrics.priors import Uniform

FOLDER = Path(__file__).parent.parent / "reference_values"
STORED = json.loads((FOLDER / "reference_nonlinear_gmm.json").read_text(encoding="utf-8"))
# The stored continuously updated estimates come from a simplex search.
TOLERANCE = 1e-5
# Of a value from S in float64, in units of its condition number times the machine precision.
SHARE_OF_CONDITION = 0.1
BOTH, MARKET = ["rb", "rm"], ["rm"]


@pytest.fixture(scope="module")
def models(doctor_visits, euler):
    """Models by name of the stored entry; the boxes keep to the stored local minima."""
    return {
        "docvisits_additive": doctor_visits(prior=Uniform(-2, 2)),
        "ccapm_euler": euler(BOTH, -1, 1.5),
        "ccapm_euler_market_only": euler(MARKET, -5, 6),
    }


# The mode does not depend on the draws, so a few will do. Without the determinant the exponential
# mean has most of its mass in the corners of the box, where one row is nearly all of S.
@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.TailWarning")
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


def exact_terms(moments, centered):
    """n g'S^-1 g and log det S in rational arithmetic, free of rounding but for the moments."""
    n, m = moments.shape
    columns = [[Fraction(value) for value in column] for column in moments.T.tolist()]
    g = [sum(column) / n for column in columns]
    S = [
        [
            sum(map(mul, columns[a], columns[b])) / n - centered * g[a] * g[b] if b <= a else None
            for b in range(m)
        ]
        for a in range(m)
    ]
    rows = [[S[max(a, b)][min(a, b)] for b in range(m)] + [g[a]] for a in range(m)]
    determinant, quadratic = Fraction(1), Fraction(0)
    for j in range(m):  # elimination leaves g'S^-1 g as a sum of squares over pivots
        pivot = rows[j]
        determinant *= pivot[j]
        quadratic += pivot[m] ** 2 / pivot[j]
        for row in rows[j + 1 :]:
            factor = row[j] / pivot[j]
            for column in range(j, m + 1):
                row[column] -= factor * pivot[column]
    numerator, denominator = determinant.numerator, determinant.denominator
    return float(n * quadratic), math.log(numerator) - math.log(denominator)


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 1.0])
def test_criterion_and_determinant_up_to_a_far_point(models, centered, share):
    """At the far point (share 1) one row is 99.99 % of S, whose condition number is 1e12."""
    check = STORED["nonlinear_gmm"]["docvisits_additive"]["objective_check"]
    near = np.array(list(STORED["nonlinear_gmm"]["docvisits_additive"]["cue"]["params"].values()))
    params = near + share * (np.array(check["theta"]) - near)
    model = models["docvisits_additive"]
    moments = model.momcond(params)
    quadratic, log_determinant = exact_terms(moments, centered)
    used = moments - centered * moments.mean(axis=0)
    triangle = np.linalg.qr(used / np.linalg.norm(used, axis=0), mode="r")
    condition = np.linalg.cond(triangle) ** 2
    assert (condition > 1e11) == (share == 1.0)
    tolerance = SHARE_OF_CONDITION * condition * np.finfo(float).eps + 1e-12
    for name in ("cue", "cue-nodet"):
        posterior = model.quasi_posterior(quasi_likelihood=name, cov_kwds={"centered": centered})
        value = posterior.target.evaluate(posterior.basis.to_scaled(params)[None, :])[0][0]
        expected = -0.5 * quadratic - (0.5 * log_determinant if name == "cue" else 0.0)
        np.testing.assert_allclose(value, expected, rtol=tolerance)
    if share == 1.0:
        stored = check["n_gbar_Sinv_gbar_" + ("centered" if centered else "uncentered")]
        np.testing.assert_allclose(stored, quadratic, rtol=tolerance)


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
