"""The rank test, confidence sets that need no identification, and the over-identification test."""

import numpy as np
import pytest
from scipy.stats import chi2, kstest

from qbeconometrics import simulate
from qbeconometrics.exceptions import IdentificationError, InputError
from qbeconometrics.online.closed_form import null_vector
from qbeconometrics.online.effect_moments import EffectMoments, effect_moments
from qbeconometrics.online.identification import (
    effects_rank_test,
    judge_identification,
    overidentification,
    region_slices,
    robust_pvalues,
    robust_set,
)
from qbeconometrics.online.inference import estimate_effects

LEVEL = 0.05
TRUTH = (0.5, -0.4)


def residuals(data, params=TRUTH):
    """u1 and u2 with the means known."""
    b12, b21 = params
    determinant = 1.0 - b12 * b21
    u1 = data["y1"] - (data["f1"] + b12 * data["f2"]) / determinant
    u2 = data["y2"] - (data["f2"] + b21 * data["f1"]) / determinant
    return u1.to_numpy(), u2.to_numpy()


def trained_elsewhere(data, rng):
    """Instruments that depend on x and on other rows' noise, as heads trained before do."""
    x = data[["x1", "x2"]].to_numpy()
    basis = np.column_stack([np.sin(x), np.cos(1.5 * x), x])
    return np.exp(-basis @ rng.normal(scale=0.1, size=(6, 2)))


def moments_of(seed, n, **design):
    data = simulate.bidirectional(n, functions=True, seed=seed, **design)
    if design.get("variances", "separate") == "separate":
        w = np.exp(-data[["g1", "g2"]].to_numpy())
    else:
        w = trained_elsewhere(data, np.random.default_rng([seed, 1]))
    return effect_moments(*residuals(data, design.get("effects", TRUTH)), w)


@pytest.fixture(scope="module")
def strong():
    return moments_of(4, 20_000)


@pytest.fixture(scope="module")
def unidentified():
    return [
        [moments_of(seed, 3_000, variances=form) for seed in range(300)]
        for form in ("constant", "common")
    ]


@pytest.mark.parametrize("place", [0, 1], ids=["constant", "common"])
def test_size_of_the_rank_test(unidentified, place):
    tests = [effects_rank_test(moments) for moments in unidentified[place]]
    assert {test.df for test in tests} == {2}
    rejected = np.mean([test.pvalue < LEVEL for test in tests])
    assert abs(rejected - LEVEL) < 4.0 * np.sqrt(LEVEL * (1.0 - LEVEL) / len(tests))
    assert kstest([test.value for test in tests], chi2(2).cdf).pvalue > 1e-3


@pytest.mark.long
@pytest.mark.parametrize("errors", ["normal", "t5"])
@pytest.mark.parametrize("form", ["constant", "common"])
def test_size_of_the_rank_test_in_large_samples(form, errors):
    found = [moments_of(seed, 10_000, variances=form, errors=errors) for seed in range(2_000)]
    pvalues = np.array([effects_rank_test(moments).pvalue for moments in found])
    for level in (0.05, 0.01):
        error = np.sqrt(level * (1.0 - level) / len(found))
        assert abs(np.mean(pvalues < level) - level) < 4.0 * error


@pytest.mark.parametrize("place", [0, 1], ids=["constant", "common"])
def test_data_that_identify_nothing_are_flagged(unidentified, place):
    judged = [judge_identification(estimate_effects(one), one) for one in unidentified[place]]
    assert all(one.weakly_identified for one in judged)
    assert all("hardly moves with x" in one.reasons[0] for one in judged)


def test_power():
    # Kappa is 0.05.
    for seed in range(10):
        moments = moments_of(seed, 20_000, strength=0.19)
        judged = judge_identification(estimate_effects(moments), moments)
        assert judged.rank.value > 100.0
        assert not judged.weakly_identified
        assert judged.reasons == ()


def test_no_real_solution_is_a_reason(strong):
    mean = np.array([[-2.0, 1.0, 1.0], [-3.0, 1.0, 2.0]])
    moments = EffectMoments(mean, strong.covariance * 1e-3, strong.n)
    judged = judge_identification(estimate_effects(moments), moments)
    assert judged.weakly_identified
    assert judged.reasons == ("the moments have no real solution",)


@pytest.mark.parametrize("place", [0, 1], ids=["constant", "common"])
def test_the_robust_test_keeps_its_level_without_identification(unidentified, place):
    pvalues = [float(robust_pvalues(one, TRUTH)[0]) for one in unidentified[place]]
    assert kstest(pvalues, "uniform").pvalue > 1e-3


def grid(points=161):
    """Effects within |b12 b21| < 1, dense near zero and reaching far."""
    axis = np.tan(np.linspace(-1.5, 1.5, points))
    pairs = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    return pairs[np.abs(pairs.prod(axis=1)) < 1.0]


def within(values, intervals):
    values = np.asarray(values)
    inside = np.zeros(values.shape, dtype=bool)
    for low, high in intervals:
        inside |= (values >= low) & (values <= high)
    return inside


@pytest.fixture(scope="module")
def sets(strong, unidentified):
    """Moments and their robust sets."""
    chosen = [strong, unidentified[0][0], unidentified[0][1], unidentified[1][0]]
    return [(moments, robust_set(moments)) for moments in chosen]


def test_projections_hold_what_a_grid_accepts(sets):
    points = grid()
    for moments, found in sets[1:]:
        kept = points[robust_pvalues(moments, points) > LEVEL]
        assert len(kept) > 20
        assert within(kept[:, 0], found.b12).all()
        assert within(kept[:, 1], found.b21).all()


@pytest.mark.parametrize("place", [0, 1])
def test_ends_of_a_projection_touch_the_region(sets, place):
    critical = chi2.isf(LEVEL, 2)
    for moments, found in sets:
        for low, high in (found.b12, found.b21)[place]:
            for end, inward in ((low, 1.0), (high, -1.0)):
                # The least statistic along the other effect crosses the critical value here.
                move = inward * 1e-6 * max(1.0, abs(end))
                assert least_along(moments, place, end + move) <= critical * (1.0 + 1e-4)
                assert least_along(moments, place, end - move) >= critical * (1.0 - 1e-4)


def least_along(moments, place, value):
    """Least criterion over the other effect, by repeated grids."""
    bound = min(1.0 / abs(value), 1e3)
    low, high = -bound, bound
    best = np.inf
    for _ in range(7):
        other = np.linspace(low, high, 401)
        params = np.stack([np.full_like(other, value), other], axis=-1)
        values = moments.criterion(null_vector(params[:, ::-1] if place else params))
        at = int(np.nanargmin(values))
        best = min(best, float(values[at]))
        width = (high - low) / 100.0
        low, high = max(-bound, other[at] - width), min(bound, other[at] + width)
    return best


def test_a_strong_set_is_like_an_ellipse(sets):
    strong, found = sets[0]
    estimate = estimate_effects(strong)
    radius = np.sqrt(chi2.isf(LEVEL, 2))
    for place, intervals in enumerate((found.b12, found.b21)):
        ((low, high),) = intervals
        center, half = estimate.params[place], radius * estimate.bse[place]
        assert [low, high] == pytest.approx([center - half, center + half], abs=0.1 * half)


def test_a_narrow_set_is_found(strong):
    # As if there were ten thousand times as many rows: much narrower than the grid.
    moments = EffectMoments(strong.mean, strong.covariance, strong.n * 10_000)
    estimate, found = estimate_effects(moments), robust_set(moments)
    radius = np.sqrt(chi2.isf(LEVEL, 2))
    for place, intervals in enumerate((found.b12, found.b21)):
        ((low, high),) = intervals
        assert (high - low) / 2.0 == pytest.approx(radius * estimate.bse[place], rel=0.01)


def test_exchanging_the_variables_exchanges_the_sets(sets):
    moments, first = sets[1]
    order = [0, 2, 1]
    exchanged = EffectMoments(
        moments.mean[:, order], moments.covariance[np.ix_(order, order)], moments.n
    )
    second = robust_set(exchanged)
    np.testing.assert_allclose(first.b12, second.b21, rtol=1e-6)
    np.testing.assert_allclose(first.b21, second.b12, rtol=1e-6)


def test_moments_that_contradict_every_value_leave_nothing():
    data = simulate.bidirectional(5_000, functions=True, seed=2)
    u1, u2 = residuals(data)
    # Within the halves of x the effects differ.
    upper = data["x1"].to_numpy() > 0.0
    u1, u2 = np.where(upper, u1, u2), np.where(upper, u2, -u1)
    w = np.exp(-data[["g1", "g2"]].to_numpy())
    w = np.column_stack([w * upper[:, None], w * ~upper[:, None]])
    found = robust_set(effect_moments(u1, u2, w))
    assert found.b12 == []
    assert found.b21 == []


def test_slices_end_at_the_critical_value(sets):
    for moments, found in sets[:2]:
        low, high = found.b12[0]
        values = np.linspace(low, high, 7)[1:-1]
        slices = region_slices(moments, values)
        assert all(slices)
        for b12, pieces in zip(values, slices, strict=True):
            for ends in pieces:
                assert np.abs(b12 * np.array(ends)).max() <= 1.0 + 1e-12
                for b21 in ends:
                    at = moments.criterion(null_vector([b12, b21]))[0]
                    touches = at == pytest.approx(chi2.isf(LEVEL, 2), rel=1e-6)
                    assert touches or abs(b12 * b21) == pytest.approx(1.0, rel=1e-9)
                middle = moments.criterion(null_vector([b12, np.mean(ends)]))[0]
                assert middle < chi2.isf(LEVEL, 2)


def test_slices_outside_the_projection_are_empty(sets):
    strong, found = sets[0]
    low, high = found.b12[0]
    assert region_slices(strong, [low - 0.01, high + 0.01]) == [[], []]


def test_slices_at_zero_and_far_out_exist():
    moments = moments_of(3, 2_000, variances="constant")
    assert len(region_slices(moments, [0.0, 1e9])) == 2
    with pytest.raises(InputError, match="finite"):
        region_slices(moments, [np.nan])


def overidentified(seed, shock=0.0):
    """Four instruments; a shock moves both errors by the same amount."""
    data = simulate.bidirectional(4_000, functions=True, seed=seed)
    common = shock * np.random.default_rng([seed, 2]).standard_normal(len(data))
    b12, b21 = TRUTH
    u1, u2 = residuals(data)
    u1 = u1 + common * (1.0 + b12) / (1.0 - b12 * b21)
    u2 = u2 + common * (1.0 + b21) / (1.0 - b12 * b21)
    w = np.exp(-data[["g1", "g2"]].to_numpy())
    x1 = data["x1"].to_numpy()
    return effect_moments(u1, u2, np.column_stack([w, np.ones_like(x1), x1]))


def test_size_of_the_overidentification_test():
    tests = [overidentification(overidentified(seed)) for seed in range(200)]
    assert {test.df for test in tests} == {2}
    assert kstest([test.value for test in tests], chi2(2).cdf).pvalue > 1e-3


def test_a_common_shock_is_seen():
    rejected = [overidentification(overidentified(seed, 1.0)).pvalue < LEVEL for seed in range(20)]
    assert np.mean(rejected) > 0.9


def test_two_instruments_cannot_be_overidentified(strong):
    with pytest.raises(IdentificationError, match="three or more"):
        overidentification(strong)
