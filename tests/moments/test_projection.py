"""Moments of local projections against full regressions and definitions."""

import numpy as np
import pytest
import statsmodels.api as sm

from qbeconometrics.exceptions import IdentificationError, NumericalError
from qbeconometrics.inputs.projection_design import build_projection_design
from qbeconometrics.inputs.projection_series import check_projection_series
from qbeconometrics.moments.covariance import parse_covariance
from qbeconometrics.moments.projection import (
    check_rank_of_scores,
    long_run_rule,
    projection_moments,
    score_covariance,
)

N = 150


@pytest.fixture(scope="module")
def series():
    rng = np.random.default_rng(5)
    z = rng.normal(size=(N, 2))
    common = rng.normal(size=N)
    x = z @ [1.0, 0.5] + common + rng.normal(size=N)
    y = np.column_stack([np.cumsum(x) * 0.1 + rng.normal(size=N), x + rng.normal(size=N)])
    w = rng.normal(size=(N, 3))
    s = (rng.normal(size=N) > 0).astype(float)

    def build(instrument=None, state=False, **options):
        columns = {0: None, 1: z[:, 0], 2: z}[instrument or 0]
        checked = check_projection_series(y, x, w, columns, s if state else None)
        return build_projection_design(checked, **{"horizon": 3, "lags": 1, **options})

    return build


def blocks_of(design):
    """Rows of each regression in full, by response and horizon."""
    for r in range(design.leads.shape[1]):
        for i in range(len(design.horizons)):
            kept = design.kept[:, r, i]
            layer = i if design.regressors.shape[1] > 1 else 0
            yield (
                design.leads[kept, r, i],
                design.regressors[kept, layer],
                design.controls[kept],
                design.instrument[kept],
            )


@pytest.mark.parametrize("state", [False, True])
@pytest.mark.parametrize("sample", ["common", "horizon"])
def test_estimates_and_standard_errors_are_those_of_full_regressions(series, sample, state):
    design = series(state=state, sample=sample)
    moments = projection_moments(design)
    rule = long_run_rule(moments, parse_covariance("HC1"))
    S = score_covariance(moments, rule, regressors=False).terms[0, 0]
    p = moments.jacobian.shape[2]
    for b, (y, x, w, _) in enumerate(blocks_of(design)):
        full = sm.OLS(y, np.hstack([x, w])).fit(cov_type="HC1")
        np.testing.assert_allclose(moments.estimate[b], full.params[:p], rtol=1e-9)
        inverse = np.linalg.inv(moments.jacobian[b])
        own = slice(b * p, (b + 1) * p)
        covariance = inverse @ S[own, own] @ inverse.T / moments.nobs
        np.testing.assert_allclose(np.sqrt(np.diag(covariance)), full.bse[:p], rtol=1e-9)


@pytest.mark.parametrize("instruments", [1, 2])
def test_instruments_are_projected_on_as_in_two_stage_least_squares(series, instruments):
    design = series(instrument=instruments)
    moments = projection_moments(design)
    for b, (y, x, w, z) in enumerate(blocks_of(design)):
        Z, X = np.hstack([z, w]), np.hstack([x, w])
        fitted = Z @ np.linalg.lstsq(Z, X)[0]
        beta = np.linalg.solve(fitted.T @ X, fitted.T @ y)
        np.testing.assert_allclose(moments.estimate[b, 0], beta[0], rtol=1e-9)


def test_newey_west_of_one_horizon_is_that_of_statsmodels(series):
    design = series()
    moments = projection_moments(design)
    rule = long_run_rule(moments, parse_covariance("HAC", {"maxlags": 5}))
    S = score_covariance(moments, rule, regressors=False).terms[0, 0]
    for b, (y, x, w, _) in enumerate(blocks_of(design)):
        full = sm.OLS(y, np.hstack([x, w])).fit(
            cov_type="HAC", cov_kwds={"maxlags": 5, "use_correction": False}
        )
        sd = np.sqrt(S[b, b] / moments.nobs) / abs(moments.jacobian[b, 0, 0])
        np.testing.assert_allclose(sd, full.bse[0], rtol=1e-9)


@pytest.mark.parametrize("kernel", ["bartlett", "parzen", "quadratic-spectral"])
@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("state", [False, True])
def test_s_at_other_coefficients_needs_no_rows(series, state, centered, kernel):
    design = series(instrument=2, state=state)
    moments = projection_moments(design)
    options = {"maxlags": 4, "kernel": kernel, "centered": centered}
    rule = long_run_rule(moments, parse_covariance("HAC", options))
    terms = score_covariance(moments, rule)
    deviations = np.random.default_rng(1).normal(size=moments.estimate.shape)
    scores = moments.scores - np.einsum("tblp,bp->tbl", moments.regressor_scores, deviations)
    scores = scores.reshape(moments.nobs, -1)
    if centered:
        scores = scores - scores.mean(axis=0)
    weights = np.append(rule.weights.lags, np.zeros(moments.nobs))
    distance = np.abs(np.subtract.outer(np.arange(moments.nobs), np.arange(moments.nobs)))
    S = scores.T @ weights[distance] @ scores / moments.nobs
    np.testing.assert_allclose(terms.at(deviations), S, rtol=1e-8, atol=1e-10 * np.abs(S).max())


@pytest.mark.parametrize("rule", ["newey-west", "andrews"])
def test_one_number_of_lags_for_all_horizons(series, rule):
    moments = projection_moments(series())
    settled = long_run_rule(moments, parse_covariance("HAC", {"maxlags": rule}))
    S = score_covariance(moments, settled, regressors=False).terms[0, 0]
    assert np.linalg.eigvalsh(S)[0] > 0.0
    assert settled.options["kernel"] == "bartlett"


def test_own_rows_keep_the_joint_covariance_positive(series):
    moments = projection_moments(series(sample="horizon", horizon=40, lags=0))
    assert moments.rows.min() < moments.rows.max() == moments.nobs
    rule = long_run_rule(moments, parse_covariance("HC0"))
    S = score_covariance(moments, rule, regressors=False).terms[0, 0]
    assert np.linalg.eigvalsh(S)[0] > 0.0


def test_responses_that_are_known_are_found(series):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, N))
    checked = check_projection_series(np.c_[x, y], x, y)
    moments = projection_moments(build_projection_design(checked, horizon=2))
    # x on itself, and a control's own response at once.
    np.testing.assert_array_equal(moments.degenerate, [True, False, False, True, False, False])
    np.testing.assert_allclose(moments.estimate[[0, 3], 0], [1.0, 0.0], atol=1e-12)


def test_instruments_that_do_not_move_the_shock():
    rng = np.random.default_rng(0)
    x, y, z = rng.normal(size=(3, 40))
    z -= x * (z @ x) / (x @ x)
    ones = np.ones(40)
    z -= z.mean() * ones
    x -= x.mean()
    z -= x * (z @ x) / (x @ x)
    checked = check_projection_series(y, x, instrument=z)
    with pytest.raises(IdentificationError, match="'y' at horizon 0"):
        projection_moments(build_projection_design(checked, horizon=range(1)))


def test_more_moments_than_rows_are_refused_in_words():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(20, 30))
    with pytest.raises(NumericalError, match=r"30 stacked moments is singular.*20 rows"):
        check_rank_of_scores(scores.T @ scores, 20, "local projections")
    with pytest.raises(NumericalError, match="not finite"):
        check_rank_of_scores(np.full((2, 2), np.nan), 20, "local projections")
