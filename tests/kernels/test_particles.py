"""Particles of weighted losses: compiled against NumPy, and against numerical integration."""

import numpy as np
import pytest

from qbeconometrics import losses
from qbeconometrics.kernels import _particles
from qbeconometrics.kernels.reference import particles as reference

CASES = [
    (0, 0.0, losses.Squared()),
    (1, 0.3, losses.Quantile(0.3)),
    (2, 0.0, losses.Absolute()),
    (3, 0.8, losses.Huber(0.8)),
    (4, 0.7, losses.Expectile(0.7)),
    (5, 0.0, losses.Logistic()),
    (6, 0.0, losses.Poisson()),
    (7, 0.0, losses.Hinge()),
]
IDS = [type(loss).__name__ for *_, loss in CASES]


def both(number, option, loss, *, n=40, k=3, student_terms=1, seed=0):
    """The same rows, compiled and in NumPy."""
    rng = np.random.default_rng(seed)
    columns = rng.standard_normal((k, n))
    offset = 0.3 * rng.standard_normal(n)
    if loss.on_outcome_scale:
        endog = columns.T @ np.ones(k) + rng.standard_normal(n)
    else:
        endog = (rng.random(n) < 0.5).astype(float)
    if isinstance(loss, losses.Hinge):
        endog = 2.0 * endog - 1.0
    weight = rng.integers(0, 3, n).astype(float)
    precision = 0.1 * np.eye(k)
    mean = 0.2 * np.ones(k)
    student = (
        rng.standard_normal((student_terms, k)),
        rng.standard_normal(student_terms),
        np.full(student_terms, 4.0),
    )
    arrays = (endog, offset, columns, weight, precision, mean, student)
    return _particles.LossRows(number, option, *arrays), reference.LossRows(number, option, *arrays)


@pytest.mark.parametrize(("number", "option", "loss"), CASES, ids=IDS)
def test_losses_agree(number, option, loss):
    compiled, plain = both(number, option, loss)
    points = np.random.default_rng(1).standard_normal((50, 3))
    found = compiled.losses(points)
    np.testing.assert_allclose(found, plain.losses(points), rtol=1e-12)
    # Those that models and users know, and that the calibration hands on.
    plain._loss = loss.value
    np.testing.assert_allclose(found, plain.losses(points), rtol=1e-12)


def test_lanes():
    assert _particles.LANES == reference.LANES


@pytest.mark.parametrize("student_terms", [0, 2])
@pytest.mark.parametrize(("number", "option", "loss"), CASES, ids=IDS)
def test_random_walks_take_the_same_path(number, option, loss, student_terms):
    paths = []
    rows = both(number, option, loss, student_terms=student_terms)
    for module, own in zip((_particles, reference), rows, strict=True):
        bits = np.random.PCG64(3)
        position, tuning = np.full(3, 0.5), np.array([-1.0, 0.0])
        draws, of_draws = np.empty((2_000, 3)), np.empty(2_000)
        root = np.array([1.0, 0.3, 0.9, 0.1, -0.2, 1.1])
        accepted = module.particle_walk(
            own, bits, position, tuning, root, 0.7, 0.3, draws, of_draws
        )
        paths.append((draws, of_draws, position, tuning, accepted, bits.state["state"]))
    for ours, plain in zip(*paths, strict=True):
        if isinstance(ours, np.ndarray):
            np.testing.assert_allclose(ours, plain, rtol=1e-9, atol=1e-9)
        else:
            assert ours == plain
    assert 200 < paths[0][4] < 1_000


@pytest.mark.parametrize(("number", "option", "loss"), CASES, ids=IDS)
def test_moves_take_the_same_path(number, option, loss):
    ends = []
    for module, own in zip((_particles, reference), both(number, option, loss), strict=True):
        bits = np.random.PCG64(3)
        positions = np.random.default_rng(2).standard_normal((200, 3))
        of_positions = own.losses(positions)
        root = np.array([1.0, 0.3, 0.9, 0.1, -0.2, 1.1])
        accepted = module.move_particles(own, bits, positions, of_positions, root, 0.3, 0.7, 10)
        ends.append((positions, of_positions, accepted, bits.state["state"]))
        np.testing.assert_allclose(of_positions, own.losses(positions), rtol=1e-12)
    for ours, plain in zip(*ends, strict=True):
        if isinstance(ours, np.ndarray):
            np.testing.assert_allclose(ours, plain, rtol=1e-9, atol=1e-9)
        else:
            assert ours == plain


@np.errstate(over="ignore", invalid="ignore")
def test_a_start_without_a_finite_loss_is_refused():
    for module, own in zip((_particles, reference), both(*CASES[6]), strict=True):
        accepted = module.particle_walk(
            own,
            np.random.PCG64(0),
            np.full(3, 1e4),
            np.zeros(2),
            np.array([1.0, 0.0, 1.0, 0.0, 0.0, 1.0]),
            1.0,
            -1.0,
            np.empty((1, 3)),
            np.empty(1),
        )
        assert accepted == -1


def test_arguments_that_do_not_fit_are_refused():
    compiled, _ = both(*CASES[0])
    with pytest.raises(ValueError, match="3 columns"):
        compiled.losses(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="as long as positions"):
        _particles.move_particles(
            compiled, np.random.PCG64(0), np.zeros((2, 3)), np.zeros(1), np.zeros(6), 1.0, 1.0, 1
        )
    with pytest.raises(ValueError, match="no loss number 8"):
        both(8, 0.0, losses.Squared())
    with pytest.raises(ValueError, match="multiples of 8"):
        both(*CASES[0], n=41)
