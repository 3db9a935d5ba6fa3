"""Continuously updated local projections: compiled target and chain against their twins."""

import numpy as np
import pytest

from qbeconometrics.kernels import _projection as compiled
from qbeconometrics.kernels._projection_gradient import projection_gradient
from qbeconometrics.kernels.reference import projection as twin
from qbeconometrics.kernels.reference import projection_gradient as twin_gradient

SWEEPS = 2_000
ROUNDING = 1e-9  # in sds of the coefficients, after two thousand sweeps


def problem(blocks, instruments, own, paths, seed=0, n=200):
    """Arguments of the target and its estimate, from rows of scores."""
    rng = np.random.default_rng(seed)
    M, k, order = blocks * instruments, blocks * own, 1 + own
    size = M * order
    scores = rng.normal(size=(n, size)) @ (np.eye(size) + 0.1 * rng.normal(size=(size, size)))
    products = (scores.T @ scores / n).reshape(order, M, order, M).transpose(0, 2, 1, 3)
    lower = np.tril_indices(M)
    estimate = np.repeat(rng.normal(size=(blocks, own)), instruments, axis=0)
    jacobian = rng.normal(size=(M, own)) + 2.0
    D = np.diff(np.eye(k), n=2, axis=0) if paths else np.empty((0, k))
    return {
        "cross": 10.0 * np.sum(jacobian * estimate, axis=1),
        "jacobian": 10.0 * jacobian,
        "estimate": estimate,
        "places": np.repeat(np.arange(k).reshape(blocks, own), instruments, axis=0),
        "terms": np.array([products[a, c][lower] for a in range(order) for c in range(order)]),
        "prior_rows": np.eye(k) / 3.0,
        "prior_target": 0.1 * rng.normal(size=k),
        "rough_rows": D,
        "rough_offset": 0.1 * rng.normal(size=len(D)),
        "rough_path": np.zeros(len(D), dtype=np.int64),
        "paths": np.array([[float(len(D)), 0.7]]) if paths else np.empty((0, 2)),
    }


SHAPES = [(1, 1, 1, 0), (6, 1, 1, 1), (4, 2, 1, 0), (4, 2, 2, 1), (13, 1, 1, 1)]


def chain(
    module, arguments, *, cuts, df=8.0, cauchy_rate=0.0, sizes=(SWEEPS,), spread=0.15, unscreened=0
):
    target = module.ProjectionTarget(**arguments)
    k, paths = target.n_params, target.n_paths
    values = np.zeros(k)
    values[arguments["places"]] = arguments["estimate"]
    rng = np.random.default_rng(5)
    colouring = spread * (np.eye(k) + 0.2 * rng.normal(size=(k, k)) / np.sqrt(k))
    position = np.concatenate([values, np.ones(paths)])
    counters = np.zeros(5, dtype=np.int64)
    bits = np.random.PCG64(2)
    parts = []
    for size in sizes:
        draws, log_density = np.empty((size, k + paths)), np.empty(size)
        ready = module.projection_chain(
            target, bits, position, np.array(cuts, dtype=np.int64), values,
            np.ascontiguousarray(np.linalg.inv(colouring)), colouring, df, 1.0, 0.5, cauchy_rate,
            draws, log_density, counters, unscreened=unscreened,
        )  # fmt: skip
        assert ready
        parts.append(np.column_stack([draws, log_density]))
    return np.concatenate(parts), counters, bits.state


@pytest.mark.parametrize(("blocks", "instruments", "own", "paths"), SHAPES)
def test_same_values(blocks, instruments, own, paths):
    arguments = problem(blocks, instruments, own, paths)
    k = blocks * own
    rng = np.random.default_rng(1)
    points = np.hstack([3.0 * rng.normal(size=(200, k)), rng.gamma(1.0, size=(200, paths))])
    first = compiled.ProjectionTarget(**arguments).evaluate(points)
    second = twin.ProjectionTarget(**arguments).evaluate(points)
    for ours, theirs in zip(first, second, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_against_twin_and_differences(shape):
    arguments = problem(*shape)
    target, other = compiled.ProjectionTarget(**arguments), twin.ProjectionTarget(**arguments)
    rng = np.random.default_rng(6)
    size = target.n_params + target.n_paths
    steps = 1e-5 * np.eye(size)
    for _ in range(10):
        point = np.concatenate([rng.normal(size=target.n_params), rng.gamma(2.0, size=size)])[:size]
        value, gradient = projection_gradient(target, point)
        assert value == pytest.approx(float(np.add(*target.evaluate(point[None, :]))[0]), rel=1e-12)
        expected, expected_gradient = twin_gradient.projection_gradient(other, point)
        largest = np.max(np.abs(expected_gradient))
        assert value == pytest.approx(expected, rel=1e-10)
        np.testing.assert_allclose(gradient, expected_gradient, rtol=0, atol=1e-10 * largest)
        ends = [np.add(*target.evaluate(point + sign * steps)) for sign in (1.0, -1.0)]
        slope = (ends[0] - ends[1]) / 2e-5
        np.testing.assert_allclose(gradient, slope, rtol=0, atol=1e-6 * (1.0 + largest))


def test_gradient_where_the_density_is_not_finite():
    arguments = problem(3, 1, 1, 1)
    arguments["terms"] = arguments["terms"].copy()
    arguments["terms"][3] *= -1.0
    far, no_smoothing = np.array([50.0, -50.0, 50.0, 1.0]), np.zeros(4)
    for module, gradient_of in ((compiled, projection_gradient), (twin, twin_gradient)):
        gradient_of = getattr(gradient_of, "projection_gradient", gradient_of)
        for point in (far, no_smoothing):
            value, gradient = gradient_of(module.ProjectionTarget(**arguments), point)
            assert value == -np.inf
            np.testing.assert_array_equal(gradient, 0.0)


def test_gradient_refuses_points_of_another_length():
    target = compiled.ProjectionTarget(**problem(4, 1, 1, 1))
    with pytest.raises(ValueError, match="5 numbers"):
        projection_gradient(target, np.zeros(4))


@pytest.mark.parametrize(
    ("shape", "cuts"),
    [
        ((1, 1, 1, 0), [0, 1]),
        ((6, 1, 1, 1), [0, 3, 6]),
        ((4, 2, 1, 0), [0, 1, 4]),
        ((4, 2, 2, 1), [0, 2, 4, 6, 8]),
        ((13, 1, 1, 1), [0, 4, 8, 13]),
    ],
)
@pytest.mark.parametrize(
    ("df", "cauchy_rate", "unscreened"), [(8.0, 0.0, 0), (np.inf, 0.04, 0), (8.0, 0.0, 3)]
)
def test_same_path(shape, cuts, df, cauchy_rate, unscreened):
    arguments = problem(*shape)
    options = {"cuts": cuts, "df": df, "cauchy_rate": cauchy_rate, "unscreened": unscreened}
    ours, counters, state = chain(compiled, arguments, **options)
    theirs, twin_counters, twin_state = chain(twin, arguments, **options)
    np.testing.assert_array_equal(counters, twin_counters)
    assert state == twin_state
    np.testing.assert_allclose(ours, theirs, rtol=ROUNDING, atol=ROUNDING)
    proposals = SWEEPS * (len(cuts) - 1)
    # A path that hardly moves, or never stays, compares little.
    assert 0.005 * proposals < counters[2] <= counters[1] <= counters[0] == proposals


def test_blocks_of_draws_do_not_matter():
    arguments = problem(6, 1, 1, 1)
    whole, *_ = chain(compiled, arguments, cuts=[0, 3, 6])
    parts, *_ = chain(compiled, arguments, cuts=[0, 3, 6], sizes=(1, 10, 489, 1500))
    np.testing.assert_array_equal(whole, parts)


def test_where_s_is_not_positive_definite():
    arguments = problem(3, 1, 1, 0)
    # The part of S that is quadratic in the coefficients is made negative.
    arguments["terms"] = arguments["terms"].copy()
    arguments["terms"][3] *= -1.0
    points = np.array([[50.0, -50.0, 50.0]])
    for module in (compiled, twin):
        likelihood, _ = module.ProjectionTarget(**arguments).evaluate(points)
        assert likelihood[0] == -np.inf
    options = {"cuts": [0, 1, 2, 3], "df": 1.0, "spread": 1.0}
    ours, counters, _ = chain(compiled, arguments, **options)
    theirs, twin_counters, _ = chain(twin, arguments, **options)
    np.testing.assert_array_equal(counters, twin_counters)
    assert counters[3] > 0
    assert np.isfinite(ours).all()
    np.testing.assert_allclose(ours, theirs, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("name", ["jacobian", "estimate", "places", "terms", "prior_target"])
def test_wrong_shapes_are_refused(name):
    arguments = problem(4, 2, 1, 1)
    arguments[name] = arguments[name][:-1].copy()
    with pytest.raises(ValueError, match="must"):
        compiled.ProjectionTarget(**arguments)


@pytest.mark.parametrize("places", [-1, 4])
def test_places_outside_are_refused(places):
    arguments = problem(4, 1, 1, 1)
    arguments["places"] = np.full((4, 1), places)
    with pytest.raises(ValueError, match="places"):
        compiled.ProjectionTarget(**arguments)


@pytest.mark.parametrize("cuts", [[0, 3], [1, 6], [0, 3, 3, 6], [0, 4, 3, 6]])
def test_blocks_must_cover_the_coefficients(cuts):
    with pytest.raises(ValueError, match="blocks must run"):
        chain(compiled, problem(6, 1, 1, 0), cuts=cuts)
