"""Heads by least squares: their algebra, and intervals from start to end."""

import numpy as np
import pytest
from scipy.stats import chi2, kstest

from qbeconometrics import simulate
from qbeconometrics.exceptions import InputError, OptionError
from qbeconometrics.online import batch_heads as module
from qbeconometrics.online.batch_heads import cross_fitted_rows
from qbeconometrics.online.cross_fitting import cross_fitted
from qbeconometrics.online.effect_moments import effect_moments
from qbeconometrics.online.identification import (
    effects_rank_test,
    judge_identification,
    robust_pvalues,
)
from qbeconometrics.online.inference import estimate_effects

TRUTH = np.array([0.5, -0.4])


def fourier(x):
    """Sixty random cosines, the same in every call."""
    rng = np.random.default_rng(20)
    turns, shifts = rng.normal(size=(2, 60)), rng.uniform(0.0, 2.0 * np.pi, 60)
    return np.column_stack([np.ones(len(x)), np.cos(x @ turns + shifts)])


def quadratic(x):
    return np.column_stack([np.ones(len(x)), x, x**2, x.prod(axis=1)])


def columns(n, seed, **design):
    data = simulate.bidirectional(n, seed=seed, **design)
    return data["y1"].to_numpy(), data["y2"].to_numpy(), data[["x1", "x2"]].to_numpy()


def estimated(n, seed, **design):
    rows = cross_fitted_rows(*columns(n, seed, **design), fourier, folds=np.arange(n) % 2)
    return cross_fitted(rows.u1, rows.u2, rows.instruments, rows.folds)


def test_residuals_are_those_of_the_other_fold():
    y1, y2, x = columns(1_000, 1)
    folds = np.random.default_rng(2).integers(0, 3, size=1_000)
    found = cross_fitted_rows(y1, y2, x, quadratic, folds=folds, ridge=0.0)
    for fold in range(3):
        inside = folds == fold
        slopes = np.linalg.lstsq(
            quadratic(x[~inside]), np.column_stack([y1, y2])[~inside], rcond=None
        )[0]
        expected = np.column_stack([y1, y2])[inside] - quadratic(x[inside]) @ slopes
        np.testing.assert_allclose(found.u1[inside], expected[:, 0], atol=1e-10)
        np.testing.assert_allclose(found.u2[inside], expected[:, 1], atol=1e-10)
    np.testing.assert_array_equal(found.folds, folds)


def test_a_fold_has_no_part_in_its_own_heads():
    y1, y2, x = columns(1_000, 3)
    folds = np.arange(1_000) % 2
    plain = cross_fitted_rows(y1, y2, x, quadratic, folds=folds)
    moved = cross_fitted_rows(
        np.where(folds == 0, -3.0 * y1 + 1.0, y1), y2, x, quadratic, folds=folds
    )
    own = folds == 0
    np.testing.assert_array_equal(moved.instruments[own], plain.instruments[own])
    np.testing.assert_array_equal(moved.u2[own], plain.u2[own])
    assert not np.allclose(moved.instruments[~own], plain.instruments[~own])


def test_blocks_and_memory_do_not_matter(monkeypatch):
    y1, y2, x = columns(1_000, 4)
    folds = np.arange(1_000) % 2
    whole = cross_fitted_rows(y1, y2, x, quadratic, folds=folds)
    monkeypatch.setattr(module, "BLOCK_ROWS", 77)
    monkeypatch.setattr(module, "KEPT_NUMBERS", 0)
    parts = cross_fitted_rows(y1, y2, x, quadratic, folds=folds)
    np.testing.assert_allclose(parts.instruments, whole.instruments, rtol=1e-8)
    np.testing.assert_allclose(parts.u1, whole.u1, atol=1e-11)


def test_log_variances_that_the_features_hold_are_found():
    rng = np.random.default_rng(5)
    x = rng.uniform(-1.0, 1.0, size=(60_000, 2))
    g = np.column_stack([0.5 + x[:, 0] - x[:, 1], -1.0 + x[:, 0] ** 2 + 0.5 * x[:, 1]])
    e = np.exp(g / 2.0) * rng.standard_normal(g.shape)
    y = e @ np.linalg.inv([[1.0, -0.5], [0.4, 1.0]]).T
    found = cross_fitted_rows(y[:, 0], y[:, 1], x, quadratic, folds=np.arange(len(x)) % 2)
    # Scores of six features from 30,000 rows: standard errors of a few hundredths at the edge.
    error = np.log(found.instruments) + g
    assert np.sqrt(np.mean(error**2)) < 0.035
    assert np.abs(error).max() < 0.2


def test_intervals_from_rows_cover():
    repetitions = 60
    found = [estimated(10_000, seed) for seed in range(repetitions)]
    assert {one.pooled.status for one in found} == {"ok"}
    params = np.array([one.pooled.params for one in found])
    covered = np.abs(params - TRUTH) < 1.959964 * np.array([one.pooled.bse for one in found])
    error = np.sqrt(0.95 * 0.05 / repetitions)
    assert (np.abs(covered.mean(axis=0) - 0.95) < 4.0 * error).all()
    spread = params.std(axis=0) / np.mean([one.pooled.bse for one in found], axis=0)
    assert (np.abs(spread - 1.0) < 4.0 / np.sqrt(2.0 * repetitions)).all()


def test_earlier_folds_alone_train():
    y1, y2, x = columns(900, 8)
    folds = np.arange(900) % 3
    found = cross_fitted_rows(y1, y2, x, quadratic, folds=folds, training="earlier")
    np.testing.assert_array_equal(found.folds, folds[folds > 0])
    for last in (1, 2):
        upto = folds <= last
        pair = (folds[upto] == last).astype(int)
        other = cross_fitted_rows(y1[upto], y2[upto], x[upto], quadratic, folds=pair)
        np.testing.assert_allclose(
            found.instruments[found.folds == last], other.instruments[pair == 1], rtol=1e-10
        )
        np.testing.assert_allclose(found.u2[found.folds == last], other.u2[pair == 1], atol=1e-12)


def earlier_moments(n, seed, folds, **design):
    """Moments with heads of some cosines, fitted to earlier folds."""
    rows = cross_fitted_rows(
        *columns(n, seed, **design),
        lambda x: fourier(x)[:, :25],
        folds=np.arange(n) % folds,
        training="earlier",
    )
    return effect_moments(rows.u1, rows.u2, rows.instruments)


@pytest.mark.parametrize(("form", "folds"), [("constant", 2), ("common", 2), ("common", 4)])
def test_level_of_rank_test_and_robust_test_without_identification(form, folds):
    repetitions = 200
    found = [earlier_moments(1_500, seed, folds, variances=form) for seed in range(repetitions)]
    ranks = [effects_rank_test(one) for one in found]
    error = np.sqrt(0.95 * 0.05 / repetitions)
    assert abs(np.mean([one.pvalue < 0.05 for one in ranks]) - 0.05) < 4.0 * error
    assert kstest([one.value for one in ranks], chi2(2).cdf).pvalue > 1e-3
    pvalues = [robust_pvalues(one, TRUTH)[0] for one in found]
    assert abs(np.mean(np.array(pvalues) > 0.05) - 0.95) < 4.0 * error
    judged = [judge_identification(estimate_effects(one), one) for one in found]
    assert all(one.weakly_identified for one in judged)


def test_monomials_and_five_folds_do_too():
    def monomials(x):
        powers = [(i, j) for i in range(7) for j in range(7 - i)]
        return np.column_stack([(x[:, 0] / 2.0) ** i * (x[:, 1] / 2.0) ** j for i, j in powers])

    rows = cross_fitted_rows(*columns(20_000, 6), monomials, folds=np.arange(20_000) % 5)
    found = cross_fitted(rows.u1, rows.u2, rows.instruments, rows.folds).pooled
    assert (np.abs(found.params - TRUTH) < 4.0 * found.bse).all()
    assert (found.bse < 0.008).all()


def test_bad_input_is_refused():
    y1, y2, x = columns(100, 7)
    folds = np.arange(100) % 2
    with pytest.raises(InputError, match="needed are"):
        cross_fitted_rows(y1, y2, x, quadratic, folds=folds[:-1])
    with pytest.raises(InputError, match="finite"):
        cross_fitted_rows(y1, y2 * np.nan, x, quadratic, folds=folds)
    with pytest.raises(InputError, match="two or more folds"):
        cross_fitted_rows(y1, y2, x, quadratic, folds=np.zeros(100))
    with pytest.raises(InputError, match="12 rows to fit the heads"):
        cross_fitted_rows(y1[:20], y2[:20], x[:20], quadratic, folds=folds[:20])
    with pytest.raises(InputError, match="raise ridge"):
        cross_fitted_rows(
            y1, y2, x, lambda x: np.ones((len(x), 2)) * [1.0, 0.0], folds=folds, ridge=0.0
        )
    with pytest.raises(InputError, match="features returned"):
        cross_fitted_rows(y1, y2, x, lambda x: np.full((len(x), 3), np.nan), folds=folds)
    with pytest.raises(OptionError, match="training"):
        cross_fitted_rows(y1, y2, x, quadratic, folds=folds, training="later")
    with pytest.raises(OptionError, match="ridge"):
        cross_fitted_rows(y1, y2, x, quadratic, folds=folds, ridge=-1.0)
