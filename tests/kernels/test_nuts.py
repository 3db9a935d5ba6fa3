"""The no-U-turn kernel: seeded paths against the twin, blocks, walls and wrong arguments."""

from types import SimpleNamespace

import numpy as np
import pytest

from qbeconometrics.kernels import _density, _nuts
from qbeconometrics.kernels.reference import density as twin_density
from qbeconometrics.kernels.reference import nuts as twin

KINDS = {
    "compiled": (_nuts.nuts, _density.PythonDensity),
    "twin": (twin.nuts, twin_density.PythonDensity),
}
COVARIANCE = np.array([[1.0, 0.8, 0.2], [0.8, 2.0, 0.3], [0.2, 0.3, 0.5]])
PRECISION = np.linalg.inv(COVARIANCE)

# Draws that are compared before both kinds start anew from the same state.
STRETCH = 20


def normal(x):
    slope = -PRECISION @ x
    return 0.5 * float(x @ slope), slope


def student(x):
    """Three coordinates of a joint t law with 5 degrees of freedom."""
    square = 5.0 + float(x @ PRECISION @ x)
    return -4.0 * np.log(square / 5.0), -8.0 / square * (PRECISION @ x)


def cliff(x):
    """A fall of 2,000 that the gradient does not know."""
    value, slope = normal(x)
    return value - 2_000.0 * (x[0] > 1.0), slope


def hole(x):
    return (np.nan, x) if x[0] > 1.0 else normal(x)


DENSITIES = {"normal": normal, "student": student, "cliff": cliff, "hole": hole}
SDS = np.array([1.0, 0.7, 1.5])
FACTOR = np.linalg.cholesky(COVARIANCE)[np.tril_indices(3)]


def run(
    function,
    kind="compiled",
    *,
    scale=SDS,
    n_draws=2_000,
    blocks=None,
    goal=-1.0,
    log_step=-0.7,
    max_depth=10,
    start=(0.3, -0.2, 0.1),
    tuning=None,
    generator=None,
    seed=1,
):
    """Run a chain in blocks of the given sizes; `generator` is the state of a bit generator."""
    chain, make = KINDS[kind]
    size = len(start)
    density, bits = make(size, function), np.random.PCG64(seed)
    bits.state = generator or bits.state
    position = np.array(start, dtype=float)
    tuning = np.array(tuning or [log_step, 0.0, 0.0, log_step, log_step + 0.7])
    draws = np.full((n_draws, size), np.nan)
    statistics = np.full((n_draws, len(_nuts.STATISTICS)), np.nan)
    done, begin = [], 0
    for block in blocks or [n_draws]:
        part = slice(begin, begin + block)
        done.append(
            chain(
                density,
                bits,
                position,
                tuning,
                np.asarray(scale, dtype=float),
                max_depth,
                draws[part],
                statistics[part],
                goal=goal,
            )
        )
        begin += block
    return SimpleNamespace(
        done=done,
        draws=draws,
        statistics=statistics,
        position=position,
        tuning=tuning,
        generator=bits.state,
        error=density.error,
        **dict(zip(_nuts.STATISTICS, statistics.T, strict=True)),
    )


def test_statistics_have_the_same_names():
    assert _nuts.STATISTICS == twin.STATISTICS
    assert _nuts.STATISTICS[0] == "depth"


@pytest.mark.parametrize("goal", [-1.0, 0.8])
@pytest.mark.parametrize("scale", [SDS, FACTOR], ids=["diagonal", "dense"])
@pytest.mark.parametrize("name", DENSITIES)
def test_same_path_as_the_twin(name, scale, goal):
    """Every decision of 2,000 draws: doublings, gradients and the point that was drawn.

    Each stretch begins where the compiled one before it ended, since a rounding error grows along a
    path in heavy tails.
    """
    state, depths = {"start": (0.3, -0.2, 0.1)}, []
    for _ in range(2_000 // STRETCH):
        compiled, expected = (
            run(DENSITIES[name], kind, scale=scale, goal=goal, n_draws=STRETCH, **state)
            for kind in KINDS
        )
        assert compiled.done == expected.done == [STRETCH]
        for decision in ("depth", "gradients", "divergent", "nonfinite"):
            np.testing.assert_array_equal(getattr(compiled, decision), getattr(expected, decision))
        np.testing.assert_allclose(compiled.draws, expected.draws, rtol=0, atol=1e-9)
        np.testing.assert_allclose(compiled.statistics, expected.statistics, rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(compiled.tuning, expected.tuning, rtol=1e-9, atol=1e-9)
        assert compiled.generator == expected.generator
        state = {
            "start": tuple(compiled.position),
            "tuning": list(compiled.tuning),
            "generator": compiled.generator,
        }
        depths.extend(compiled.depth)
    assert len(set(depths)) > 2


@pytest.mark.parametrize("goal", [-1.0, 0.8])
@pytest.mark.parametrize("scale", [SDS, FACTOR], ids=["diagonal", "dense"])
@pytest.mark.parametrize("kind", KINDS)
def test_draws_do_not_depend_on_the_size_of_blocks(kind, scale, goal):
    whole = run(student, kind, scale=scale, goal=goal, n_draws=120)
    for size in (1, 7, 60):
        blocks = [size] * (120 // size) + [120 % size] * (120 % size > 0)
        pieces = run(student, kind, scale=scale, goal=goal, n_draws=120, blocks=blocks)
        for changed in ("draws", "statistics", "position", "tuning"):
            np.testing.assert_array_equal(getattr(pieces, changed), getattr(whole, changed))
        assert pieces.generator == whole.generator


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_block_changes_nothing(kind):
    chain = run(normal, kind, n_draws=0)
    assert chain.done == [0]
    np.testing.assert_array_equal(chain.position, [0.3, -0.2, 0.1])
    assert chain.generator == np.random.PCG64(1).state


@pytest.mark.parametrize("kind", KINDS)
def test_a_start_without_density(kind):
    """Nothing is drawn, and the generator stays where it was."""
    chain = run(hole, kind, n_draws=5, start=(2.0, 0.0, 0.0))
    assert chain.done == [-1]
    assert np.isnan(chain.draws).all()
    assert chain.generator == np.random.PCG64(1).state


def test_statistics_are_those_of_the_draws():
    chain = run(normal, scale=FACTOR)
    np.testing.assert_allclose(chain.log_density, [normal(x)[0] for x in chain.draws], rtol=1e-12)
    np.testing.assert_array_equal(chain.step, np.exp(-0.7))
    # Of a complete trajectory of 2^depth points the first is given; one more doubling may have
    # broken off.
    whole = 2.0**chain.depth - 1.0
    assert np.all((whole <= chain.gradients) & (chain.gradients <= 2.0 * whole + 1.0))
    assert np.all((chain.acceptance > 0.0) & (chain.acceptance <= 1.0))
    kinetic = chain.energy + chain.log_density
    assert np.all(kinetic > 0.0)
    assert kinetic.mean() == pytest.approx(1.5, abs=4.0 * np.sqrt(1.5 / len(kinetic)) * 2.0)


@pytest.mark.parametrize("max_depth", [1, 3])
def test_the_depth_is_bounded(max_depth):
    chain = run(normal, log_step=-5.0, max_depth=max_depth, n_draws=50)
    np.testing.assert_array_equal(chain.depth, max_depth)
    np.testing.assert_array_equal(chain.gradients, 2**max_depth - 1)


@pytest.mark.parametrize(("function", "column"), [(cliff, "divergent"), (hole, "nonfinite")])
def test_a_wall_is_not_crossed_and_is_reported(function, column):
    """A fall of more than 1,000 is a divergence of that height; no density is counted apart."""
    chain = run(function)
    hit = getattr(chain, column) == 1.0
    other = chain.nonfinite if column == "divergent" else chain.divergent
    assert 20 < hit.sum() < 1_900
    np.testing.assert_array_equal(other, 0.0)
    assert chain.draws[:, 0].max() <= 1.0
    if column == "divergent":
        assert np.all(chain.energy_error[hit] > 1_000.0)
        assert np.all(chain.energy_error[hit] < 2_100.0)
        assert np.all(chain.energy_error[~hit] <= 1_000.0)


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_stops_before_the_draw_at_hand(kind):
    calls = []

    def failing(x):
        calls.append(x)
        if len(calls) == 200:
            raise ZeroDivisionError("the 200th call")
        return normal(x)

    whole = run(normal, kind, n_draws=100)
    chain = run(failing, kind, n_draws=100)
    done = chain.done[0]
    assert 0 < done < 100
    assert isinstance(chain.error, ZeroDivisionError)
    assert len(calls) == 200
    np.testing.assert_array_equal(chain.draws[:done], whole.draws[:done])
    assert np.isnan(chain.draws[done:]).all()
    np.testing.assert_array_equal(chain.position, whole.draws[done - 1])


@pytest.mark.parametrize("goal", [0.6, 0.8, 0.95])
def test_dual_averaging_reaches_its_goal(goal):
    """From steps that are far too short or long: the acceptance while adapting, and one step."""
    short, long = (run(normal, goal=goal, log_step=log_step) for log_step in (-4.0, 2.0))
    for chain in (short, long):
        assert chain.acceptance[500:].mean() == pytest.approx(goal, abs=0.02)
    assert short.tuning[3] == pytest.approx(long.tuning[3], abs=0.15)


GOOD = {
    "position": np.zeros(3),
    "tuning": np.zeros(5),
    "scale": np.ones(3),
    "max_depth": 5,
    "draws": np.empty((4, 3)),
    "statistics": np.empty((4, 9)),
}


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("position", np.zeros(2)),
        ("tuning", np.zeros(4)),
        ("scale", np.ones(4)),
        ("scale", np.ones(0)),
        ("max_depth", 0),
        ("max_depth", 21),
        ("draws", np.empty((4, 2))),
        ("statistics", np.empty((3, 9))),
        ("statistics", np.empty((4, 8))),
    ],
)
def test_refuses_wrong_arguments(name, wrong):
    arguments = {**GOOD, name: wrong}
    with pytest.raises(ValueError, match=name):
        _nuts.nuts(_density.PythonDensity(3, normal), np.random.PCG64(0), *arguments.values())


def test_refuses_what_is_no_density():
    with pytest.raises(ValueError, match="base class"):
        _nuts.nuts(_density.CompiledDensity(), np.random.PCG64(0), *GOOD.values())
    with pytest.raises(TypeError):
        _nuts.nuts(normal, np.random.PCG64(0), *GOOD.values())
