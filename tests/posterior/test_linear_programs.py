"""Linear programs of the losses, against other programs and other packages."""

import numpy as np
import pytest
from scipy.optimize import linprog
from statsmodels.regression.quantile_regression import QuantReg

from qbeconometrics import datasets
from qbeconometrics.losses import Hinge, Logistic, Poisson, Quantile, Squared
from qbeconometrics.posterior.linear_programs import (
    hinge_estimate,
    quantile_regression,
    sinking_direction,
)

# Of a mean loss; the programs are solved to 1e-7.
RISK_TOLERANCE = 1e-9


@pytest.fixture(scope="module")
def wages():
    frame = datasets.load("card1995")
    return frame["lwage"].to_numpy(), np.column_stack(
        [np.ones(len(frame)), frame[["educ", "exper", "black"]]]
    )


@pytest.mark.parametrize("tau", [0.1, 0.5, 0.9])
def test_quantile_regression_beats_iterated_least_squares(wages, tau):
    y, x = wages
    loss = Quantile(tau)
    ours = quantile_regression(y, x, tau)
    theirs = QuantReg(y, x).fit(q=tau, max_iter=20_000, p_tol=1e-10)
    risk = [loss.value(y, x @ theta).mean() for theta in (ours, theirs.params)]
    assert 0 <= risk[1] - risk[0] + RISK_TOLERANCE < 1e-8
    # Iterated least squares stops a little short.
    assert np.max(np.abs(ours - theirs.params) / theirs.bse) < 1e-3


def test_hinge_estimate_is_that_of_the_primal_program():
    frame = datasets.load("mroz1987")
    y = frame["inlf"].to_numpy(dtype=float)
    x = np.column_stack([np.ones(len(y)), frame[["educ", "exper", "kidslt6"]]])
    sign = Hinge.sign(y)
    n, k = x.shape
    primal = linprog(
        np.concatenate([np.zeros(k), np.ones(n)]),
        A_ub=-np.hstack([sign[:, None] * x, np.eye(n)]),
        b_ub=-np.ones(n),
        bounds=[(None, None)] * k + [(0, None)] * n,
    )
    ours = Hinge().value(y, x @ hinge_estimate(sign, x)).sum()
    np.testing.assert_allclose(ours, primal.fun, rtol=RISK_TOLERANCE)


X = np.column_stack([np.ones(6), np.arange(6.0)])


@pytest.mark.parametrize(
    ("loss", "y", "separated"),
    [
        (Logistic(), [0, 0, 0, 1, 1, 1], True),
        (Logistic(), [0, 0, 1, 0, 1, 1], False),
        (Hinge(), [-1, -1, -1, 1, 1, 1], True),
        (Hinge(), [-1, 1, -1, 1, 1, 1], False),
        (Poisson(), [0, 0, 0, 2, 1, 3], False),
        (Poisson(), [1, 0, 0, 0, 0, 0], True),
        (Poisson(), [0, 0, 0, 0, 0, 3], True),
        (Poisson(), [0, 0, 2, 0, 0, 0], False),
    ],
)
def test_directions_in_which_the_risk_sinks(loss, y, separated):
    y = np.array(y, dtype=float)
    direction = sinking_direction(X, *loss.sinking_sides(y))
    assert (direction is not None) == separated
    if separated:
        # Far along the direction nothing is lost, and something is won or stays as it is.
        along = [loss.value(y, X @ (step * direction)) for step in (0.0, 1.0, 100.0)]
        assert (np.diff(along, axis=0) <= 1e-12).all()


def test_separation_in_part():
    """Ties at the border: no strict separation, but no estimate either."""
    x = np.column_stack([np.ones(6), [0.0, 1, 2, 2, 3, 4]])
    y = np.array([0.0, 0, 0, 1, 1, 1])
    assert sinking_direction(x, *Logistic().sinking_sides(y)) is not None


def test_losses_that_grow_in_every_direction():
    assert Squared().sinking_sides(X[:, 1]) is None
    assert Quantile(0.5).sinking_sides(X[:, 1]) is None
