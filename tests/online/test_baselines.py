"""Rival estimates against independent computations and known biases."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.linalg import eig

from qbeconometrics import simulate
from qbeconometrics.exceptions import InputError, OptionError
from qbeconometrics.online.baselines import (
    polynomial,
    polynomial_lewbel,
    reduced_form_residuals,
    rigobon,
    single_equations,
    variance_regimes,
)

TRUTH = np.array([0.5, -0.4])


def columns(data):
    return data["y1"].to_numpy(), data["y2"].to_numpy(), data[["x1", "x2"]].to_numpy()


@pytest.fixture(scope="module")
def large():
    return columns(simulate.bidirectional(100_000, seed=1))


@pytest.fixture(scope="module")
def small():
    return columns(simulate.bidirectional(2_000, seed=2))


def test_least_squares_is_that_of_statsmodels(small):
    y1, y2, x = small
    basis = np.column_stack(
        [np.ones(len(x)), x, x[:, 0] ** 2, x[:, 0] * x[:, 1], x[:, 1] ** 2]
        + [x[:, 0] ** (3 - power) * x[:, 1] ** power for power in range(4)]
    )
    found = single_equations(y1, y2, x)
    for place, (own, other) in enumerate(((y1, y2), (y2, y1))):
        fit = sm.OLS(own, np.column_stack([other, basis])).fit(cov_type="HC0")
        assert found.params[place] == pytest.approx(fit.params[0], rel=1e-9)
        assert found.bse[place] == pytest.approx(fit.bse[0], rel=1e-9)


def test_the_bias_of_least_squares(large):
    # Six other samples of this design gave -0.362 and 0.542.
    found = single_equations(*large)
    assert found.params - TRUTH == pytest.approx([-0.362, 0.542], abs=0.006)


def test_lewbel_and_rigobon_find_the_effects(large):
    y1, y2, x = large
    for found in (
        polynomial_lewbel(y1, y2, x),
        rigobon(y1, y2, x),
        rigobon(y1, y2, x, regimes=4),
    ):
        assert found.status == "ok"
        assert (np.abs(found.params - TRUTH) < 4.0 * found.bse + 0.004).all()
        assert (found.bse < 0.03).all()


def test_more_regimes_are_more_precise(large):
    y1, y2, x = large
    two, four = (rigobon(y1, y2, x, regimes=count) for count in (2, 4))
    assert (four.bse < two.bse).all()
    assert (two.n_instruments, four.n_instruments) == (2, 4)


def test_two_regimes_are_a_generalised_eigenproblem(small):
    y1, y2, x = small
    regimes = np.where(x[:, 0] > 0.3, "high", "low")
    found = rigobon(y1, y2, x, regimes=regimes, mean_degree=3)
    u = np.column_stack(reduced_form_residuals(y1, y2, x, 3))
    low, high = (u[regimes == name].T @ u[regimes == name] for name in ("low", "high"))
    # Rows of B diagonalise both covariances at once.
    rows = np.real(eig(high, low)[1]).T
    candidates = []
    for first, second in ((rows[0], rows[1]), (rows[1], rows[0])):
        candidates.append([-first[1] / first[0], -second[0] / second[1]])
    expected = min(candidates, key=lambda pair: abs(pair[0] * pair[1]))
    assert found.params == pytest.approx(expected, rel=1e-8)


def test_lewbel_by_its_definition(small):
    y1, y2, x = small
    found = polynomial_lewbel(y1, y2, x, degree=1, mean_degree=3)
    u1, u2 = reduced_form_residuals(y1, y2, x, 3)
    product = (u1 - found.params[0] * u2) * (u2 - found.params[1] * u1)
    # Two columns, so that both covariances vanish.
    covariances = (x - x.mean(axis=0)).T @ (product - product.mean()) / len(x)
    assert covariances == pytest.approx([0.0, 0.0], abs=1e-12)


def test_regimes_are_of_equal_size_and_in_order(small):
    y1, y2, x = small
    u1, u2 = reduced_form_residuals(y1, y2, x, 3)
    regimes = variance_regimes(u1, u2, x, 4)
    assert np.bincount(regimes).tolist() == [500, 500, 500, 500]
    ratios = [np.mean(u1[regimes == r] ** 2) / np.mean(u2[regimes == r] ** 2) for r in range(4)]
    assert ratios == sorted(ratios)


def test_polynomials_have_all_terms():
    x = np.random.default_rng(1).normal(size=(50, 3))
    basis = polynomial(x, 3)
    assert basis.shape == (50, 20)
    assert np.linalg.matrix_rank(basis) == 20
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    exact = z[:, 0] * z[:, 1] * z[:, 2]
    assert np.abs(basis.T - exact).max(axis=1).min() < 1e-14


def test_bad_input_is_refused(small):
    y1, y2, x = small
    with pytest.raises(InputError, match="column 1 of x is constant"):
        polynomial(np.column_stack([x[:, 0], np.ones(len(x))]), 2)
    with pytest.raises(InputError, match=r"\(n, d\)"):
        polynomial(x[:, 0], 2)
    with pytest.raises(OptionError, match="degree"):
        polynomial(x, 0)
    with pytest.raises(InputError, match="rows"):
        single_equations(y1[:-1], y2[:-1], x)
    with pytest.raises(InputError, match="finite"):
        single_equations(y1 * np.nan, y2, x)
    with pytest.raises(InputError, match="more than 5 rows"):
        single_equations(y1[:5], y2[:5], x[:5])
    with pytest.raises(OptionError, match="count"):
        rigobon(y1, y2, x, regimes=1)
    with pytest.raises(InputError, match="two or more regimes"):
        rigobon(y1, y2, x, regimes=np.zeros(len(x)))
    with pytest.raises(InputError, match="must have a value"):
        rigobon(y1, y2, x, regimes=np.zeros(3))
