"""The compiled target against its twin, and what its constructor refuses."""

import numpy as np
import pytest

# Log densities of order 10 to 1,000 and S of order 1, formed in different orders of summation.
ROUNDING = 1e-9
FORMS = (
    "statistic",
    "rows",
    "rows centered",
    "rows HC1",
    "rows HC1 centered",
    "proportional",
    "fixed weight",
)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("k", "m"), [(1, 1), (2, 3), (5, 5), (12, 14), (3, 70)])
@pytest.mark.parametrize("prior", ["normal", "student", "flat"])
def test_values(compiled, twins, problem_of, form, k, m, prior):
    problem = problem_of(k, m, form, prior=prior, n=250)
    ours, twin = problem.target(compiled), problem.target(twins)
    points = 3.0 * np.random.default_rng(2).standard_normal((20, k))
    for value, expected in zip(ours.evaluate(points), twin.evaluate(points), strict=True):
        np.testing.assert_allclose(value, expected, rtol=ROUNDING, atol=ROUNDING)
    for point in points[:5]:
        root, log_determinant = ours.covariance_root(point)
        expected_root, expected = twin.covariance_root(point)
        np.testing.assert_allclose(root @ root.T, expected_root @ expected_root.T, atol=ROUNDING)
        assert log_determinant == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize("form", FORMS)
def test_attributes(compiled, twins, problem_of, form):
    problem = problem_of(2, 4, form, determinant=form != "rows", prior="student and normal")
    ours, twin = problem.target(compiled), problem.target(twins)
    for name in ("n_params", "n_moments", "form", "determinant", "row_factor", "centering"):
        assert getattr(ours, name) == getattr(twin, name), name
    assert ours.arrays.keys() == twin.arrays.keys()
    for name, array in twin.arrays.items():
        np.testing.assert_allclose(ours.arrays[name], array, rtol=1e-12, atol=1e-14)


def test_no_points(compiled, problem_of):
    likelihood, prior = problem_of(2, 3).target(compiled).evaluate(np.empty((0, 2)))
    assert likelihood.shape == prior.shape == (0,)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e200])
@pytest.mark.parametrize("form", ["statistic", "rows", "proportional"])
def test_points_without_a_finite_value(compiled, problem_of, form, bad):
    """Minus infinity, never NaN, and the neighbours in the same call are unharmed."""
    target = problem_of(2, 3, form).target(compiled)
    points = np.zeros((3, 2))
    points[1, 1] = bad
    likelihood, _ = target.evaluate(points)
    assert likelihood[1] == -np.inf
    assert np.isfinite(likelihood[0])
    assert likelihood[2] == likelihood[0]
    assert np.isnan(target.covariance_root(points[1])[1])


def test_s_that_is_not_positive_definite(compiled, twins, partly_indefinite):
    problem = partly_indefinite()
    points = np.array([[0.0, 0.0], [2.0, 2.0]])
    for kernels in (compiled, twins):
        target = problem.target(kernels)
        likelihood, prior = target.evaluate(points)
        assert np.isfinite(likelihood[0])
        assert likelihood[1] == -np.inf
        assert np.all(np.isfinite(prior))
        assert np.isnan(target.covariance_root(points[1])[1])


def test_arrays_are_kept_alive(compiled, problem_of):
    arguments = {name: np.array(value) for name, value in problem_of(2, 3).arguments.items()}
    arguments["determinant"] = True
    target = compiled.linear_moments.LinearMomentTarget(**arguments)
    before = target.evaluate(np.ones((1, 2)))
    del arguments
    scratch = [np.random.default_rng(i).standard_normal(500) for i in range(50)]
    np.testing.assert_array_equal(target.evaluate(np.ones((1, 2))), before)
    assert len(scratch) == 50


WRONG = {
    "intercept": np.ones(4),
    "jacobian": np.ones(3),
    "prior_precision": np.eye(3),
    "prior_mean": np.ones(1),
    "statistic": np.ones((6, 5)),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_shapes(compiled, problem_of, name):
    arguments = {**problem_of(2, 3).arguments, name: WRONG[name]}
    with pytest.raises(ValueError, match=name):
        compiled.linear_moments.LinearMomentTarget(**arguments)


@pytest.mark.parametrize("shape", [(0, 2), (2, 0)])
def test_empty_jacobian(compiled, problem_of, shape):
    arguments = {**problem_of(2, 3).arguments, "jacobian": np.empty(shape)}
    with pytest.raises(ValueError, match="at least one row"):
        compiled.linear_moments.LinearMomentTarget(**arguments)


@pytest.mark.parametrize(
    ("position", "wrong", "name"),
    [
        (0, np.ones((90, 1)), "residual"),
        (1, np.ones((89, 2)), "regressor"),
        (1, np.ones((90, 3)), "regressor"),
        (2, np.ones((90, 2)), "instrument"),
        (2, np.ones(90), "instrument"),
    ],
)
def test_wrong_rows(compiled, problem_of, position, wrong, name):
    arguments = dict(problem_of(2, 3, "rows").arguments)
    rows = list(arguments["rows"])
    rows[position] = wrong
    arguments["rows"] = tuple(rows)
    with pytest.raises(ValueError, match=name):
        compiled.linear_moments.LinearMomentTarget(**arguments)


@pytest.mark.parametrize(
    ("proportional", "message"),
    [
        ((np.ones(5), None), "V has shape"),
        ((np.ones(6), None), "V is not positive definite"),
        ((np.full(6, np.nan), None), "V is not positive definite"),
        ((np.array([1.0, 0, 1, 0, 0, 1]), np.eye(2)), "W has shape"),
    ],
)
def test_wrong_proportional(compiled, problem_of, proportional, message):
    arguments = {**problem_of(2, 3, "fixed weight").arguments, "proportional": proportional}
    with pytest.raises(ValueError, match=message):
        compiled.linear_moments.LinearMomentTarget(**arguments)


@pytest.mark.parametrize(
    ("student", "message"),
    [
        ((np.ones((1, 3)), np.ones(1), np.ones(1)), "student rows"),
        ((np.ones((2, 2)), np.ones(1), np.ones(1)), "student rows"),
        ((np.ones((1, 2)), np.ones(1), np.ones(2)), "student df"),
    ],
)
def test_wrong_student_terms(compiled, problem_of, student, message):
    arguments = {**problem_of(2, 3).arguments, "student": student}
    with pytest.raises(ValueError, match=message):
        compiled.linear_moments.LinearMomentTarget(**arguments)


def test_exactly_one_form(compiled, twins, problem_of):
    arguments = problem_of(2, 3).arguments
    both = {
        **arguments,
        **{"proportional": problem_of(2, 3, "proportional").arguments["proportional"]},
    }
    neither = {**arguments, "statistic": None}
    for kernels in (compiled, twins):
        for wrong in (both, neither):
            with pytest.raises(ValueError, match="exactly one"):
                kernels.linear_moments.LinearMomentTarget(**wrong)


@pytest.mark.parametrize("shape", [(2,), (4, 3), (4, 1)])
def test_wrong_points(compiled, problem_of, shape):
    with pytest.raises(ValueError, match="points"):
        problem_of(2, 3).target(compiled).evaluate(np.ones(shape))


@pytest.mark.parametrize("shape", [(1,), (3,), (1, 2)])
def test_wrong_point(compiled, problem_of, shape):
    with pytest.raises(ValueError, match="point"):
        problem_of(2, 3).target(compiled).covariance_root(np.ones(shape))
