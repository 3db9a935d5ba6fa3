"""Fixed-weight fits against stored estimates of linearmodels and closed forms."""

import json
from pathlib import Path

import numpy as np
import pytest

import qbeconometrics as qb

FOLDER = Path(__file__).parent.parent / "reference_values"
STORED = json.loads((FOLDER / "reference_iv.json").read_text(encoding="utf-8"))["linear"]
EMBEDDED = sorted(name for name, entry in STORED.items() if "ajr_altfile" not in name)
EXACTLY_IDENTIFIED = [n for n in EMBEDDED if STORED[n]["n_endog"] == STORED[n]["n_instr"]]
FIXED = json.loads((FOLDER / "reference_quasi_posterior.json").read_text(encoding="utf-8"))[
    "quasi_posteriors"
]

# linearmodels solves normal equations on raw columns, which costs digits on long dummy designs.
ESTIMATE_TOLERANCE = 1e-8
# J is formed from moments that nearly cancel.
J_TOLERANCE = 1e-8


@pytest.fixture(scope="module")
def fitted(reference, frame_of):
    """Flat-prior two-step fits, one a specification and set of options."""
    kept = {}

    def fit(name, **options):
        key = (name, json.dumps(options, sort_keys=True))
        if key not in kept:
            entry = reference[name]
            model = qb.QuasiBayesIV.from_formula(
                entry["formula"], frame_of(entry), prior=qb.priors.Flat()
            )
            kept[key] = model.fit(quasi_likelihood="two-step", draws=10, rng=0, **options)
        return kept[key]

    return fit


def assert_estimates(res, stored):
    params = np.array([stored["params"][name] for name in res.params.index])
    errors = np.array([stored["std_errors"][name] for name in res.params.index])
    assert np.max(np.abs(res.params - params) / errors) < ESTIMATE_TOLERANCE
    assert np.max(np.abs(res.params / params - 1)) < ESTIMATE_TOLERANCE
    return np.max(np.abs(res.bse / errors - 1))


@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.QBEconometricsWarning")
@pytest.mark.parametrize("name", EMBEDDED)
class TestAgainstLinearmodels:
    def test_two_step_estimate(self, fitted, name):
        assert_estimates(fitted(name), STORED[name]["ivgmm2_robust"])

    def test_two_step_estimate_centered(self, fitted, name):
        res = fitted(name, cov_kwds={"centered": True})
        assert_estimates(res, STORED[name]["ivgmm2_robust_centered"])

    def test_nonrobust_is_two_stage_least_squares(self, fitted, name):
        res = fitted(name, cov_type="nonrobust")
        assert assert_estimates(res, STORED[name]["iv2sls_unadjusted"]) < ESTIMATE_TOLERANCE

    def test_j(self, fitted, name):
        stored = STORED[name]["ivgmm2_robust"]
        j = fitted(name).j_stat()
        assert j.df == stored["j_df"]
        assert j.value == pytest.approx(stored["j_stat"], rel=J_TOLERANCE, abs=J_TOLERANCE)

    def test_observations_and_dropped_rows(self, fitted, name):
        record = fitted(name).record
        assert record.nobs == STORED[name]["nobs"]
        assert record.n_dropped == STORED[name]["rows_dropped_missing"]


@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.QBEconometricsWarning")
@pytest.mark.parametrize("name", EXACTLY_IDENTIFIED)
def test_exactly_identified_standard_errors(fitted, name):
    assert assert_estimates(fitted(name), STORED[name]["ivgmm2_robust"]) < ESTIMATE_TOLERANCE


@pytest.mark.parametrize("name", ["card_short_over", "mroz_over"])
def test_covariance_of_fixed_weight(fitted, name):
    key = {"card_short_over": "card_over_short"}.get(name, name)
    stored = FIXED[f"fixed_two_step_weight_{key}"]
    res = fitted(name)
    order = ["Intercept" if label == "const" else label for label in stored["names"]]
    covariance = res.cov_params().loc[order, order].to_numpy()
    expected = np.array(stored["posterior_cov"])
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert np.max(np.abs(covariance - expected) / scale) < ESTIMATE_TOLERANCE
    assert np.allclose(res.params[order], stored["posterior_mean"], rtol=ESTIMATE_TOLERANCE, atol=0)


@pytest.mark.parametrize("cov_type", ["HC0", "HC1", "nonrobust"])
@pytest.mark.parametrize("centered", [False, True])
def test_covariance_against_numpy(cov_type, centered):
    """(G'WG)^-1 / n with W = S(theta_2SLS)^-1, straight from the definition."""
    rng = np.random.default_rng(5)
    n = 300
    z = np.column_stack([np.ones(n), rng.standard_normal((n, 4))])
    x = np.column_stack([np.ones(n), z[:, 1:3].sum(1) + rng.standard_normal(n), z[:, 4]])
    y = x @ [1.0, 0.5, -0.2] + rng.standard_normal(n) * (1 + np.abs(z[:, 1]))
    res = qb.QuasiBayesIV(y, x, z, prior=qb.priors.Flat()).fit(
        quasi_likelihood="two-step",
        cov_type=cov_type,
        cov_kwds={"centered": centered},
        draws=10,
        rng=0,
    )
    projected = z @ np.linalg.lstsq(z, x, rcond=None)[0]
    u = y - x @ np.linalg.lstsq(projected, y, rcond=None)[0]
    scores = z * u[:, None]
    if cov_type == "nonrobust":
        S = (u.var() if centered else u @ u / n) * z.T @ z / n
    else:
        scores = scores - scores.mean(0) if centered else scores
        S = scores.T @ scores / n * (n / (n - 3) if cov_type == "HC1" else 1)
    G = z.T @ x / n
    expected_cov = np.linalg.inv(G.T @ np.linalg.solve(S, G)) / n
    expected = n * expected_cov @ G.T @ np.linalg.solve(S, z.T @ y / n)
    assert np.allclose(res.cov_params(), expected_cov, rtol=1e-10, atol=0)
    assert np.allclose(res.params, expected, rtol=1e-10, atol=0)
