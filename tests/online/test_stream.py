"""Streams: any split gives the same bits, also over a save; windows, units, bad rows."""

import io

import numpy as np
import pytest

from qbeconometrics import simulate
from qbeconometrics.exceptions import InputError, OptionError, StorageError
from qbeconometrics.online.closed_form import solve_effects
from qbeconometrics.online.optimisers import make_optimiser
from qbeconometrics.online.stream import push
from qbeconometrics.online.stream_moments import (
    averaged_effects,
    current_effects,
    learning_curve,
    measured_moments,
    path_of_effects,
    stream_heads,
    window_moments,
)
from qbeconometrics.online.stream_state import (
    BATCH,
    CURVE_POINTS,
    FIRST_ROWS,
    StreamOptions,
    new_state,
    restored_state,
    state_arrays,
)

SMALL = {"n_features": 12}
CHOICES = [
    StreamOptions(**SMALL),
    StreamOptions(features="orthogonal", update="score", **SMALL),
    StreamOptions(features="polynomial", optimiser=make_optimiser("adam"), update="gradient"),
    StreamOptions(features="linear", optimiser=make_optimiser("sgd"), update="score"),
]


def design(n, effects=(0.5, -0.4), seed=0):
    data = simulate.bidirectional(n, effects=effects, seed=seed)
    return data[["y1", "y2", "x1", "x2"]].to_numpy()


def streamed(rows, options, sizes=None):
    state = new_state(options, rows.shape[1] - 2, rng=0)
    start = 0
    for size in sizes or [len(rows)]:
        push(state, options, rows[start : start + size])
        start += size
    push(state, options, rows[start:])
    return state


def assert_same_bits(one, other):
    first, second = state_arrays(one), state_arrays(other)
    held = int(first["counts"][0])
    for arrays in (first, second):
        arrays["buffer"][held:] = 0.0
    for name, array in first.items():
        assert array.tobytes() == second[name].tobytes(), name


@pytest.mark.parametrize("options", CHOICES, ids=lambda options: options.features)
def test_any_split_gives_the_same_bits(options):
    rows = design(5_250)
    whole = streamed(rows, options)
    assert whole.batches == 52
    assert np.all(whole.b != 0.0)
    assert int(whole.counts[0]) == 50
    for sizes in ([1, 998, 1, 1, 99], [1_000, 1_000, 3_000], [3_333, 1], [17] * 300):
        assert_same_bits(whole, streamed(rows, options, sizes))


@pytest.mark.parametrize("saved_at", [0, 300, 1_000, 3_456])
def test_goes_on_after_a_save(saved_at):
    options, rows = CHOICES[1], design(5_000)
    state = streamed(rows[:saved_at], options)
    file = io.BytesIO()
    np.savez(file, **state_arrays(state))
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        again = restored_state(options, 2, arrays)
    push(again, options, rows[saved_at:])
    assert_same_bits(again, streamed(rows, options))
    if saved_at:
        assert not np.array_equal(state.buffer, again.buffer)


def test_wrong_saves_are_refused():
    options = CHOICES[0]
    arrays = state_arrays(new_state(options, 2))
    with pytest.raises(StorageError, match="frequencies of the saved"):
        restored_state(StreamOptions(n_features=40), 2, arrays)
    with pytest.raises(StorageError, match="window"):
        restored_state(options, 2, {k: v for k, v in arrays.items() if k != "window"})
    with pytest.raises(StorageError, match="counts"):
        restored_state(options, 2, arrays | {"counts": arrays["counts"].astype(float)})


def test_units_of_columns_do_not_matter():
    """Powers of two leave the bits of standardised rows as they are."""
    rows, options = design(5_000), CHOICES[0]
    factors = np.array([4.0, 0.5, 1024.0, 2.0])
    plain, scaled = (streamed(part, options) for part in (rows, rows * factors))
    ratio = factors[0] / factors[1]
    np.testing.assert_array_equal(
        current_effects(scaled), current_effects(plain) * [ratio, 1 / ratio]
    )
    one, other = window_moments(plain), window_moments(scaled)
    assert other.kappa == pytest.approx(one.kappa, rel=1e-12)
    np.testing.assert_allclose(
        other.variance_ratios,
        [one.variance_ratios[0] * ratio**2, one.variance_ratios[1] / ratio**2],
    )
    assert other.log_likelihood == pytest.approx(one.log_likelihood - np.log(2.0), rel=1e-12)
    for first, second, factor in zip(
        stream_heads(plain, options).evaluate(rows[:9, 2:]),
        stream_heads(scaled, options).evaluate((rows * factors)[:9, 2:]),
        (factors[:2], factors[:2] ** 2),
        strict=True,
    ):
        np.testing.assert_allclose(second, first * factor, rtol=1e-12)


@pytest.mark.parametrize("options", CHOICES[1:3], ids=lambda options: options.features)
def test_moments_against_plain_formulas(options):
    """Rows that are measured with averaged weights, against the fitted means and variances."""
    rows = design(4_000)
    state = streamed(rows, options)
    before = state_arrays(state)
    found = measured_moments(state, options, [rows[:1_700], rows[1_700:]])
    for name, array in state_arrays(state).items():
        np.testing.assert_array_equal(array, before[name])
    means, variances = stream_heads(state, options).evaluate(rows[:, 2:])
    u, w = rows[:, :2] - means, 1.0 / variances * state.spread[:2] ** 2
    q = np.column_stack([u[:, 0] * u[:, 1], u[:, 0] ** 2, u[:, 1] ** 2])
    r = q[:, :, None] * w[:, None, :]
    np.testing.assert_allclose(found.moments.mean, r.mean(axis=0).T, rtol=1e-9)
    covariance = np.cov(r.reshape(-1, 6).T, ddof=0).reshape(3, 2, 3, 2).transpose(0, 2, 1, 3)
    np.testing.assert_allclose(found.moments.covariance, covariance, rtol=1e-8)
    assert found.moments.n == len(rows)
    ratios = np.mean(variances / variances[:, ::-1], axis=0)
    np.testing.assert_allclose(found.variance_ratios, ratios, rtol=1e-9)
    b12, b21 = averaged_effects(state)
    e = u - u[:, ::-1] * [b12, b21]
    fit = np.log(1.0 - b12 * b21) - 0.5 * np.sum(np.log(variances) + e**2 / variances, axis=1)
    assert found.log_likelihood == pytest.approx(fit.mean(), rel=1e-9)


RULES_AND_UPDATES = [
    ("adagrad", "closed-form"),
    ("rmsprop", "closed-form"),
    ("adam", "closed-form"),
    ("amsgrad", "closed-form"),
    ("sgd", "closed-form"),
    ("adagrad", "score"),
    ("adagrad", "gradient"),
    ("sgd", "score"),
]


@pytest.mark.parametrize(("rule", "update"), RULES_AND_UPDATES)
def test_finds_the_effects(rule, update):
    """Standard errors of the windows are about .006 at this size; least squares is .36 off."""
    options = StreamOptions(n_features=40, optimiser=make_optimiser(rule), update=update)
    state = streamed(design(60_000, seed=3), options)
    moments = window_moments(state).moments
    np.testing.assert_allclose(solve_effects(*moments.mean.T).params, [0.5, -0.4], atol=0.025)
    averaged = averaged_effects(state) if update != "closed-form" else current_effects(state)
    np.testing.assert_allclose(averaged, [0.5, -0.4], atol=0.05)


@pytest.mark.parametrize("effects", [(-1.5, 0.5), (2.0, -0.45), (0.9, 0.8)])
def test_other_effects(effects):
    state = streamed(design(60_000, effects=effects, seed=4), StreamOptions(n_features=40))
    moments = window_moments(state).moments
    found = solve_effects(*moments.mean.T).params
    np.testing.assert_allclose(found, effects, atol=0.04)


def test_windows():
    """Sums restart at 1, 2, 4, ... thousand rows, and those of the window before are kept."""
    rows, options = design(9_500), CHOICES[1]
    state = new_state(options, 2, rng=0)
    counted = []
    for start in range(0, len(rows), 500):
        push(state, options, rows[start : start + 500])
        counted.append((int(state.last_window[-1]), int(state.window[-1])))
    expected = [(0, 0), (1000, 0), (1000, 500), (1000, 0), (1000, 500), (1000, 1000), (1000, 1500)]
    expected += [(2000, 500 * piece) for piece in range(8)]
    expected += [(4000, 500 * piece) for piece in range(4)]
    assert counted == expected
    assert window_moments(state).moments.n == 5_500


def test_averages_of_effects():
    rows, options = design(6_000), CHOICES[1]
    state, path = new_state(options, 2, rng=0), []
    for start in range(0, len(rows), BATCH):
        push(state, options, rows[start : start + BATCH])
        path.append(current_effects(state) if state.started else np.zeros(2))
    moved = np.array(path[20:])
    assert np.all(np.array(path[:20]) == 0.0)
    np.testing.assert_allclose(path_of_effects(state).average, moved.mean(axis=0), rtol=1e-12)
    # Windows from 2 to 4 thousand rows, and from there on.
    np.testing.assert_allclose(averaged_effects(state), moved.mean(axis=0), rtol=1e-12)


def test_learning_curve():
    """Points are at multiples of a spacing that doubles, and their likelihoods lose no row."""
    options = StreamOptions(features="linear", update="score")
    rows = design(FIRST_ROWS)
    state = new_state(options, 2)
    strides = CURVE_POINTS + 100
    for _ in range(strides):
        push(state, options, rows)
    curve = learning_curve(state)
    np.testing.assert_array_equal(curve.rows, 2 * FIRST_ROWS * np.arange(1, strides // 2 + 1))
    np.testing.assert_allclose(curve.effects[-1], current_effects(state))
    # Since the last window began all points have the same number of rows.
    since = curve.rows > CURVE_POINTS * FIRST_ROWS
    shift = np.log(state.spread[0] * state.spread[1])
    mean = state.window[-2] / state.window[-1] - shift
    assert curve.log_likelihood[since].mean() == pytest.approx(mean, rel=1e-12)


def test_effects_are_held_until_heads_have_learned():
    options = StreamOptions(n_features=200)
    assert options.heads_only_rows(2) == 20 * 204
    state = streamed(design(4_999), options)
    assert np.all(state.b == 0.0)
    push(state, options, design(1))
    assert np.all(state.b != 0.0)
    assert StreamOptions(**SMALL).heads_only_rows(2) == 2_000


def test_first_rows_that_do_not_vary():
    options, rows = CHOICES[0], design(2_000)
    still = rows.copy()
    still[:1_500, 3] = 0.1
    state = new_state(options, 2, rng=0)
    push(state, options, still[:700])
    with pytest.raises(InputError, match="x2 does not vary over the first 1,000 rows"):
        push(state, options, still[700:], names=["y1", "y2", "x1", "x2"])
    push(state, options, rows)
    assert_same_bits(state, streamed(rows, options))


def test_columns_must_stay():
    state = new_state(CHOICES[0], 2)
    with pytest.raises(InputError, match="2 columns"):
        push(state, CHOICES[0], np.zeros((3, 5)))
    with pytest.raises(InputError, match="0 rows have come"):
        window_moments(state)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("features", "spline"),
        ("update", "newton"),
        ("n_features", 0),
        ("n_features", 1.5),
        ("degree", True),
        ("bandwidth", 0.0),
    ],
)
def test_bad_options(option, value):
    with pytest.raises(OptionError, match=option):
        StreamOptions(**{option: value})
