"""Losses: derivatives by differences, relations between them, outcomes that they refuse."""

import numpy as np
import pytest

from qbeconometrics import losses
from qbeconometrics.exceptions import InputError, LossFunctionError, OptionError

# Central differences with this step: rounding and truncation are both below the tolerance.
STEP = 1e-5
TOLERANCE = 1e-8

RNG = np.random.default_rng(3)
INDEX = RNG.normal(size=60)
REAL = INDEX + RNG.standard_t(3, size=60)
BINARY = (REAL > 0).astype(float)
COUNTS = RNG.poisson(2.0, size=60).astype(float)
LOG_COSH = losses.Custom(
    lambda y, index: np.log(np.cosh(y - index)),
    lambda y, index: np.tanh(index - y),
    lambda y, index: np.cosh(y - index) ** -2.0,
)
EVERY = [
    (losses.Squared(), REAL),
    (losses.Absolute(), REAL),
    (losses.Quantile(0.2), REAL),
    (losses.Huber(0.7), REAL),
    (losses.Expectile(0.8), REAL),
    (losses.Logistic(), BINARY),
    (losses.Poisson(), COUNTS),
    (losses.Hinge(), BINARY),
    (losses.Hinge(), 2 * BINARY - 1),
    (LOG_COSH, REAL),
]
NAMES = [loss.label for loss, _ in EVERY]


@pytest.mark.parametrize(("loss", "y"), EVERY, ids=NAMES)
def test_the_score_is_the_derivative_of_the_value(loss, y):
    by_difference = (loss.value(y, INDEX + STEP) - loss.value(y, INDEX - STEP)) / (2 * STEP)
    np.testing.assert_allclose(loss.score(y, INDEX), by_difference, atol=TOLERANCE)
    assert loss.value(y, INDEX).min() >= 0.0


@pytest.mark.parametrize(("loss", "y"), EVERY, ids=NAMES)
def test_the_curvature_is_the_derivative_of_the_score(loss, y):
    by_difference = (loss.score(y, INDEX + STEP) - loss.score(y, INDEX - STEP)) / (2 * STEP)
    if loss.has_curvature:
        np.testing.assert_allclose(loss.curvature(y, INDEX), by_difference, atol=TOLERANCE)
    else:
        assert loss.jumps
        np.testing.assert_array_equal(by_difference, 0.0)
        with pytest.raises(NotImplementedError, match="no curvature"):
            loss.curvature(y, INDEX)


def test_scales_of_the_losses():
    one, two = losses.Absolute(), losses.Quantile(0.5)
    np.testing.assert_array_equal(one.value(REAL, INDEX), 2 * two.value(REAL, INDEX))
    np.testing.assert_array_equal(one.score(REAL, INDEX), 2 * two.score(REAL, INDEX))
    half, squared = losses.Expectile(0.5), losses.Squared()
    np.testing.assert_array_equal(half.value(REAL, INDEX), squared.value(REAL, INDEX))
    np.testing.assert_array_equal(squared.value(REAL, INDEX), 0.5 * (REAL - INDEX) ** 2)
    wide = losses.Huber(1e6)
    np.testing.assert_allclose(wide.value(REAL, INDEX), squared.value(REAL, INDEX))


def test_losses_with_known_minima():
    deviance = losses.Poisson().value(COUNTS, np.log(np.maximum(COUNTS, 1e-300)))
    np.testing.assert_allclose(deviance, 0.0, atol=1e-12)
    for loss, y, fit in [
        (losses.Logistic(), BINARY, BINARY.mean()),
        (losses.Poisson(), COUNTS, COUNTS.mean()),
    ]:
        index = np.full(60, loss.centre(y))
        np.testing.assert_allclose(loss.mean(index), fit)
        np.testing.assert_allclose(loss.score(y, index).sum(), 0.0, atol=1e-12)


def test_large_indices_do_not_overflow():
    index = np.array([-800.0, 800.0])
    logistic = losses.Logistic()
    np.testing.assert_array_equal(logistic.value(np.array([1.0, 0.0]), index), [800.0, 800.0])
    np.testing.assert_array_equal(logistic.score(np.array([1.0, 0.0]), index), [-1.0, 1.0])


@pytest.mark.parametrize(
    ("loss", "y", "words"),
    [
        (losses.Logistic(), [0, 1, 2], "1 value.* not 0 or 1, first 2 in row 2"),
        (losses.Logistic(), [-1, 1, 1], "'y'.*not 0 or 1"),
        (losses.Poisson(), [3, -1, 2], "not zero or more, first -1 in row 1"),
        (losses.Hinge(), [0, 1, 3], "0 or 1, or -1 or 1"),
        (losses.Hinge(), [0, 1, -1, -1, 1], "0 or 1, or -1 or 1, first 0"),
    ],
)
def test_outcomes_that_are_refused(loss, y, words):
    with pytest.raises(InputError, match=words):
        loss.check_endog(np.array(y, dtype=float), "y")


@pytest.mark.parametrize("make", [losses.Quantile, losses.Expectile, losses.Huber])
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, "a", True, None])
def test_options_that_are_refused(make, value):
    with pytest.raises(OptionError, match=r"(tau|delta)="):
        make(value)


@pytest.mark.parametrize("value", [1.0, 2])
def test_levels_that_are_refused(value):
    with pytest.raises(OptionError, match="between 0 and 1"):
        losses.Quantile(value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"value": 3}, "value=3 must be a function"),
        ({"score": None}, "score=None"),
        ({"curvature": "c"}, "curvature='c'"),
        ({"name": 3}, "name=3"),
        ({"jumps": 1}, "jumps=1"),
    ],
)
def test_arguments_of_a_loss_of_the_user(options, words):
    given = {"value": lambda y, i: y, "score": lambda y, i: y, **options}
    with pytest.raises(OptionError, match=words):
        losses.Custom(**given)


def broken(y, index):
    raise RuntimeError("broken")


def test_a_loss_of_the_user_that_fails():
    def divides(y, index):
        raise ZeroDivisionError

    with pytest.raises(LossFunctionError, match="value of the loss 'mine' raised RuntimeError"):
        losses.Custom(broken, broken, name="mine").value(REAL, INDEX)
    with pytest.raises(LossFunctionError, match=r"score .* shape \(59,\); .*\(60,\)"):
        losses.Custom(broken, lambda y, i: y[1:]).score(REAL, INDEX)
    assert np.isnan(losses.Custom(divides, divides).value(REAL, INDEX)).all()


def test_losses_are_values():
    assert losses.Quantile(0.3) == losses.Quantile(0.3) != losses.Quantile(0.4)
    assert repr(losses.Huber(1.5)) == "Huber(delta=1.5)"
    assert losses.Squared() == losses.Squared()
    with pytest.raises(AttributeError):
        losses.Quantile(0.3).tau = 0.5
