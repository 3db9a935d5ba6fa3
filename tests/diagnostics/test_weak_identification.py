"""Criterion at infinity, mass outside the robust set, and the warnings of a fit."""

import warnings

import numpy as np
import pytest
from scipy import stats

import qbeconometrics as qb
from qbeconometrics.diagnostics.concentrated_moments import concentrate
from qbeconometrics.diagnostics.weak_identification import weak_identification
from qbeconometrics.exceptions import PriorWarning, WeakInstrumentWarning
from qbeconometrics.moments.covariance import parse_covariance

QUIET = (
    "ignore::qbeconometrics.exceptions.ConvergenceWarning",
    "ignore::qbeconometrics.exceptions.TailWarning",
)


def residual(columns, controls):
    return columns - controls @ np.linalg.lstsq(controls, columns)[0]


def simulated(strength, *, endogenous=1, n=150, seed=0):
    rng = np.random.default_rng(seed)
    controls = np.column_stack([np.ones(n), rng.normal(size=n)])
    z = rng.normal(size=(n, 3))
    common = rng.normal(size=n)
    slopes = np.asarray(strength) * np.eye(3)[:, :endogenous]
    d = z @ slopes + common[:, None] + rng.normal(size=(n, endogenous))
    y = d.sum(axis=1) - common + rng.normal(size=n)
    return y, np.column_stack([controls, d]), np.column_stack([controls, z])


def moments_of(y, x, z, cov_type):
    model = qb.QuasiBayesIV(y, x, z)
    return concentrate(
        model._fourth_order,
        endogenous=model.design.endogenous,
        names=model.endogenous_names,
        rule=parse_covariance(cov_type),
    )


def criterion(theta, y, x, z, cov_type):
    error = residual(y - x[:, 2:] @ theta, x[:, :2])
    scores = residual(z[:, 2:], x[:, :2])
    g = scores.T @ error
    if cov_type == "nonrobust":
        return g @ np.linalg.solve(scores.T @ scores, g) / (error @ error / len(y))
    scores = scores * error[:, None]
    return g @ np.linalg.solve(scores.T @ scores, g)


@pytest.mark.parametrize("cov_type", ["nonrobust", "HC0"])
@pytest.mark.parametrize("endogenous", [1, 2])
def test_limits_and_mass_follow_the_definition(endogenous, cov_type):
    data = simulated(1.0, endogenous=endogenous)
    moments = moments_of(*data, cov_type)
    draws = np.random.default_rng(1).normal(1.0, 0.15, (300, endogenous))
    mode = np.full(endogenous, 1.1)
    found = weak_identification(moments, draws, mode)
    assert found.at_mode == pytest.approx(criterion(mode, *data, cov_type), rel=1e-9)
    for j in range(endogenous):
        far = np.ones(endogenous)
        far[j] = 1e9
        assert found.at_infinity[j] == pytest.approx(criterion(far, *data, cov_type), rel=1e-6)
    if cov_type == "HC0":
        values = np.array([criterion(theta, *data, cov_type) for theta in draws])
        expected = np.mean(values > stats.chi2.ppf(0.95, 3))
        assert 0.0 < expected < 1.0
    else:
        model = qb.QuasiBayesIV(*data)
        names = model.endogenous_names
        expected = np.mean(
            [
                model.robust_pvalue(dict(zip(names, theta, strict=True)), "nonrobust") < 0.05
                for theta in draws
            ]
        )
    assert found.share_outside == expected
    assert found.unbounded == ()


@pytest.mark.parametrize("cov_type", ["nonrobust", "HC0"])
def test_unbounded_where_the_set_is(cov_type):
    both = set()
    for seed in range(12):
        data = simulated(0.3, seed=seed)
        found = weak_identification(moments_of(*data, cov_type), np.ones((1, 1)), np.ones(1))
        unbounded = bool(np.isinf(found.intervals).any())
        assert (found.unbounded == ("x2",)) == unbounded
        both.add(unbounded)
    assert both == {False, True}


@pytest.mark.parametrize("cov_type", ["nonrobust", "HC0"])
def test_a_combination_that_no_instrument_moves(cov_type):
    """Each of two regressors is moved, but their difference is not."""
    rng = np.random.default_rng(7)
    y, x, z = simulated(1.0, endogenous=2)
    x[:, 3] = x[:, 2] + rng.normal(size=len(y))
    found = weak_identification(moments_of(y, x, z, cov_type), np.ones((1, 2)), np.ones(2))
    assert (found.at_infinity > 20.0).all()
    assert found.unbounded == ("x2", "x3")


def caught(**options):
    y, x, z = options.pop("data")
    prior = options.pop("prior", None)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        fit = qb.QuasiBayesIV(y, x, z, prior=prior).fit(draws=300, tune=300, rng=0, **options)
    return fit, [one for one in found if "Anderson-Rubin" in str(one.message)]


def test_a_strong_fit_has_a_note_and_no_warning():
    fit, found = caught(data=simulated(1.0))
    [note] = [note for note in fit.record.notes if note.startswith("Identification")]
    assert "the 95% Anderson-Rubin set of 'x2' is [" in note
    assert "of the posterior is outside; the criterion tends to" in note
    assert found == []
    assert "Anderson-Rubin set" in " ".join(fit.summary().as_text().split())


def test_a_weak_fit_says_that_the_prior_decides():
    data = simulated(0.0, seed=3)
    fit, [found] = caught(data=data)
    assert found.category is PriorWarning
    assert "do not bound the coefficient of 'x2'" in str(found.message)
    assert "the prior, not the data, decides" in str(found.message)
    assert found.filename == __file__
    assert f"Warning: {found.message}" in fit.record.notes
    _, [found] = caught(data=data, quasi_likelihood="two-step")
    assert found.category is WeakInstrumentWarning
    assert "A fixed weight hides that" in str(found.message)


def test_a_prior_against_the_data_is_told():
    _, [found] = caught(data=simulated(1.0), prior=qb.priors.Normal(-5.0, 0.05))
    assert found.category is PriorWarning
    assert "100% of the posterior lies outside" in str(found.message)


def test_an_empty_set_is_no_matter_of_the_prior():
    y, x, z = simulated(1.0)
    for options in ({}, {"quasi_likelihood": "two-step"}):
        fit, found = caught(data=(y + 2.0 * z[:, 4], x, z), **options)
        assert found == []
        assert any("is empty, and 100.0% of the posterior" in note for note in fit.record.notes)
    y, x, z = simulated(1.0, endogenous=2)
    assert caught(data=(y + 3.0 * z[:, 4], x, z))[1] == []


def test_dependent_rows_and_no_endogenous_regressors():
    y, x, z = simulated(1.0)
    for quasi_likelihood in ("cue", "two-step"):
        fit, _ = caught(
            data=(y, x, z),
            quasi_likelihood=quasi_likelihood,
            cov_type="HAC",
            cov_kwds={"maxlags": 3},
        )
        [(low, high)] = fit.robust_set("x2")
        model = qb.QuasiBayesIV(y, x, z)
        expected = model.robust_set("x2", cov_type="HAC", cov_kwds={"maxlags": 3})
        np.testing.assert_allclose([(low, high)], expected, rtol=1e-9)
        assert any(f"is [{low:.3g}, {high:.3g}]" in note for note in fit.record.notes)
    fit, _ = caught(data=(y, x, x))
    assert not any("Anderson-Rubin" in note for note in fit.record.notes)
