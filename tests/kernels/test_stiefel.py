"""Charts of orthonormal matrices and their densities against the twin."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from qbeconometrics.kernels import _stiefel, _stiefel_density
from qbeconometrics.kernels.reference import stiefel, stiefel_density

SHAPES = [(5, 2), (6, 3), (4, 1), (5, 5), (7, 4), (2, 1), (2, 2), (40, 3)]
BOTH = pytest.mark.parametrize(
    ("maps", "densities"),
    [(_stiefel, _stiefel_density), (stiefel, stiefel_density)],
    ids=["compiled", "twin"],
)
RELATIVE = 1e-12


def random_orthogonal(p, rng):
    return np.ascontiguousarray(np.linalg.qr(rng.standard_normal((p, p)))[0])


def assert_same(first, second):
    """Values and gradients agree, each gradient relative to its largest element."""
    assert first[0] == pytest.approx(second[0], rel=RELATIVE, abs=RELATIVE)
    assert np.max(np.abs(first[1] - second[1])) <= RELATIVE * np.max(np.abs(second[1]))


@pytest.mark.parametrize("name", stiefel.CHARTS)
@pytest.mark.parametrize(("p", "k"), SHAPES)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("framed", [False, True])
def test_maps(name, p, k, sign, framed):
    rng = np.random.default_rng([p, k, framed])
    frame = random_orthogonal(p, rng) if framed else None
    df = p + 2.5 if framed else 0.0
    compiled = _stiefel.StiefelMap(name, p, k, sign, sign, frame, df)
    twin = stiefel.StiefelMap(name, p, k, sign, sign, frame, df)
    assert compiled.size == twin.size
    for _ in range(5):
        x, slope = rng.standard_normal(twin.size), rng.standard_normal((p, k))
        before = x.copy(), slope.copy()
        assert np.max(np.abs(compiled.forward(x) - twin.forward(x))) < RELATIVE
        assert_same(compiled.pull_back(x, slope), twin.pull_back(x, slope))
        np.testing.assert_array_equal(x, before[0])
        np.testing.assert_array_equal(slope, before[1])


def test_names_of_charts():
    assert _stiefel.CHARTS == stiefel.CHARTS


@pytest.mark.parametrize("smallest", [1e-2, 1e-5])
def test_polar_factor_of_a_nearly_singular_matrix(smallest):
    """Orthonormal to the last digits, whichever columns are nearly dependent."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        U, _, V = np.linalg.svd(rng.standard_normal((6, 4)), full_matrices=False)
        x = ((U * [3.0, 1.0, 1.0, smallest]) @ V).ravel()
        Q = _stiefel.StiefelMap("polar", 6, 4).forward(x)
        assert np.max(np.abs(Q.T @ Q - np.eye(4))) < 1e-14
        difference = np.max(np.abs(Q - stiefel.polar_forward(x, 6, 4)))
        assert difference < 1e-15 / smallest * 10


@BOTH
@pytest.mark.parametrize("name", stiefel.CHARTS)
def test_points_without_a_matrix(maps, densities, name):
    chart = maps.StiefelMap(name, 4, 2)
    density = densities.StiefelDensity(chart, densities.QuadraticTarget(4, 2))
    # The Cayley transform has a matrix at zero, the others do not.
    points = [np.full(chart.size, bad) for bad in (np.nan, np.inf, 0.0)]
    for bad in points[:2] if name == "cayley" else points:
        assert np.all(np.isnan(chart.forward(bad)))
        value, gradient = chart.pull_back(bad, np.ones((4, 2)))
        assert np.isnan(value)
        assert np.all(np.isnan(gradient))
        assert np.isnan(density.log_density_and_gradient(bad)[0])


def quadratic_arguments(p, k, rng):
    root = rng.standard_normal((p, p))
    return {
        "linear": rng.standard_normal((p, k)),
        "quadratic": root + root.T,
        "weights": rng.standard_normal(k),
    }


@pytest.mark.parametrize(("p", "k"), SHAPES)
@pytest.mark.parametrize("given", ["", "linear", "quadratic", "quadratic weights", "all"])
def test_quadratic_targets(p, k, given):
    rng = np.random.default_rng([p, k])
    arguments = quadratic_arguments(p, k, rng)
    if given != "all":
        arguments = {name: arguments[name] for name in given.split()}
    compiled = _stiefel_density.QuadraticTarget(p, k, **arguments)
    twin = stiefel_density.QuadraticTarget(p, k, **arguments)
    assert (compiled.p, compiled.k) == (p, k)
    Q = rng.standard_normal((p, k))
    found, expected = (target.log_density_and_gradient(Q) for target in (compiled, twin))
    assert found[0] == pytest.approx(expected[0], rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", stiefel.CHARTS)
@pytest.mark.parametrize(("p", "k"), SHAPES)
def test_densities(name, p, k):
    rng = np.random.default_rng([p, k])
    arguments = quadratic_arguments(p, k, rng)
    frame = random_orthogonal(p, rng)
    pair = []
    for maps, densities in ((_stiefel, _stiefel_density), (stiefel, stiefel_density)):
        chart = maps.StiefelMap(name, p, k, frame=frame)
        target = densities.QuadraticTarget(p, k, **arguments)
        pair.append(densities.StiefelDensity(chart, target, log_constant=0.7))
        by_function = densities.PythonMatrixTarget(p, k, target.log_density_and_gradient)
        pair.append(densities.StiefelDensity(chart, by_function, 0.7))
    for _ in range(3):
        x = rng.standard_normal(pair[0].size)
        expected = pair[2].log_density_and_gradient(x)
        for density in pair:
            assert_same(density.log_density_and_gradient(x), expected)


def test_threads_share_a_chart():
    """The work space belongs to a density, not to the chart."""
    chart = _stiefel.StiefelMap("polar", 8, 4)
    target = _stiefel_density.QuadraticTarget(8, 4, linear=np.ones((8, 4)))
    points = np.random.default_rng(0).standard_normal((4, chart.size))

    def repeat(x):
        density = _stiefel_density.StiefelDensity(chart, target)
        values = {density.log_density_and_gradient(x)[0] for _ in range(2_000)}
        return len(values), values.pop()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(repeat, points))
    alone = _stiefel_density.StiefelDensity(chart, target)
    assert found == [(1, alone.log_density_and_gradient(x)[0]) for x in points]


@BOTH
def test_errors_of_python_targets_are_kept(maps, densities):
    def failing(Q):
        raise ZeroDivisionError("mine")

    chart = maps.StiefelMap("polar", 3, 1)
    for function, message in (
        (failing, "mine"),
        (lambda Q: (0.0, np.zeros((1, 3))), r"shape (1, 3), not (3, 1)"),
    ):
        target = densities.PythonMatrixTarget(3, 1, function)
        density = densities.StiefelDensity(chart, target)
        assert np.isnan(density.log_density_and_gradient(np.ones(3))[0])
        assert density.target is target
        assert message in str(target.error)


@BOTH
def test_a_target_that_is_not_finite_is_no_error(maps, densities):
    chart = maps.StiefelMap("polar", 3, 1)
    for returned in ((np.nan, np.zeros((3, 1))), (0.0, np.full((3, 1), np.inf))):
        target = densities.PythonMatrixTarget(3, 1, lambda Q, returned=returned: returned)
        density = densities.StiefelDensity(chart, target)
        with np.errstate(invalid="ignore"):
            assert np.isnan(density.log_density_and_gradient(np.ones(3))[0])
        assert target.error is None


@BOTH
def test_wrong_arguments(maps, densities):
    for wrong in (("unknown", 3, 1), ("polar", 1, 1), ("polar", 2, 3), ("polar", 2, 0)):
        with pytest.raises(ValueError, match="chart must be known"):
            maps.StiefelMap(*wrong)
    for df in (2.9, np.inf, np.nan, -1.0):
        with pytest.raises(ValueError, match="df must be 0 or at least p"):
            maps.StiefelMap("polar", 3, 1, df=df)
    for wrong in ((1, 1), (2, 3), (2, 0)):
        with pytest.raises(ValueError, match="p must be at least 2"):
            densities.QuadraticTarget(*wrong)
        with pytest.raises(ValueError, match="p must be at least 2"):
            densities.PythonMatrixTarget(*wrong, None)
    for wrong in ({"linear": np.ones((2, 3))}, {"weights": np.ones(3)}):
        with pytest.raises(ValueError, match=r"linear must have shape \(3, 2\)"):
            densities.QuadraticTarget(3, 2, **wrong)
    for wrong in (np.ones((2, 2)), np.triu(np.ones((3, 3)))):
        with pytest.raises(ValueError, match="quadratic must be symmetric"):
            densities.QuadraticTarget(3, 2, quadratic=wrong)
    with pytest.raises(ValueError, match=r"Q must have shape \(3, 2\)"):
        densities.QuadraticTarget(3, 2).log_density_and_gradient(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"must take matrices \(4, 2\)"):
        densities.StiefelDensity(maps.StiefelMap("polar", 4, 2), densities.QuadraticTarget(3, 2))
    with pytest.raises(ValueError, match=r"must take matrices \(4, 2\)"):
        densities.StiefelDensity(maps.StiefelMap("polar", 4, 2), densities.MatrixTarget())
    with pytest.raises(TypeError, match="derived"):
        densities.MatrixTarget().log_density_and_gradient(np.empty((0, 0)))


def test_wrong_shapes_of_arrays():
    chart = _stiefel.StiefelMap("polar", 4, 2)
    with pytest.raises(ValueError, match="x must have 8 coordinates"):
        chart.forward(np.ones(7))
    with pytest.raises(ValueError, match="x must have 8 coordinates"):
        chart.pull_back(np.ones(9), np.ones((4, 2)))
    with pytest.raises(ValueError, match=r"slope must have shape \(4, 2\)"):
        chart.pull_back(np.ones(8), np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"frame must have shape \(4, 4\)"):
        _stiefel.StiefelMap("polar", 4, 2, frame=np.eye(3))
    with pytest.raises(ValueError, match="sign and det must be"):
        _stiefel.StiefelMap("householder", 4, 2, sign=0)
