"""SafeBayes against posteriors that are computed one by one."""

import numpy as np
import pytest

from qbeconometrics import losses
from qbeconometrics.calibration.loss_problem import LossProblem
from qbeconometrics.calibration.rivals import safe_bayes as module
from qbeconometrics.calibration.rivals.safe_bayes import GRID, normal_losses, safe_bayes
from qbeconometrics.calibration.rivals.sequential import sequential_losses
from qbeconometrics.exceptions import NumericalError

SEED = np.random.SeedSequence(5)
PRIOR_SD = 2.0


def problem_of(loss, endog, exog, prior_sd=PRIOR_SD, student=None):
    """Rows in their own coordinates, the origin for the estimate."""
    n, k = exog.shape
    precision = np.zeros((k, k)) if prior_sd is None else np.eye(k) / prior_sd**2
    none = (np.empty((0, k)), np.empty(0), np.empty(0))
    return LossProblem(
        loss,
        endog,
        np.zeros(n),
        np.ascontiguousarray(exog.T),
        precision,
        np.full(k, 0.3),
        student or none,
        np.ones((1, n)),
    )


def rows(n=40, k=2, seed=1):
    rng = np.random.default_rng(seed)
    exog = np.column_stack([np.ones(n), rng.standard_normal((n, k - 1))])
    return exog @ np.arange(1.0, k + 1) + 1.5 * rng.standard_normal(n), exog


def prior_draws(k, particles=1_000, seed=2):
    return 0.3 + PRIOR_SD * np.random.default_rng(seed).standard_normal((particles, k))


def slow_squared(endog, exog, rate, first, prior_sd=PRIOR_SD):
    """One conjugate normal posterior a row."""
    k = exog.shape[1]
    precision = 0.0 if prior_sd is None else np.eye(k) / prior_sd**2
    pull = 0.0 if prior_sd is None else np.full(k, 0.3) / prior_sd**2
    total = 0.0
    for i in range(first, len(endog)):
        covariance = np.linalg.inv(precision + rate * exog[:i].T @ exog[:i])
        mean = covariance @ (pull + rate * exog[:i].T @ endog[:i])
        spread = exog[i] @ covariance @ exog[i]
        total += 0.5 * ((endog[i] - exog[i] @ mean) ** 2 + spread)
    return total


@pytest.mark.parametrize("prior_sd", [PRIOR_SD, None], ids=["normal prior", "flat prior"])
def test_squared_loss_against_n_posteriors(prior_sd):
    endog, exog = rows(k=3)
    found = safe_bayes(problem_of(losses.Squared(), endog, exog, prior_sd), None, SEED)
    assert len(found.rates) == 21
    np.testing.assert_allclose(found.rates / found.rates[0], 2.0 ** -np.linspace(0, 10, 21))
    assert found.rates[0] == pytest.approx(1.0 / np.mean(endog**2), rel=1e-12)
    slow = [slow_squared(endog, exog, rate, 4, prior_sd) for rate in found.rates]
    np.testing.assert_allclose(found.cumulative, slow, rtol=1e-9)
    assert found.rate == found.rates[np.argmin(slow)]


@pytest.mark.parametrize("first", [2, 4])
def test_other_numbers_of_training_rows_are_told_apart(first):
    endog, exog = rows()
    right = normal_losses(problem_of(losses.Squared(), endog, exog), GRID, 3)
    assert np.abs(right - [slow_squared(endog, exog, one, first) for one in GRID]).min() > 0.01


def test_a_row_does_not_predict_itself():
    endog, exog = rows()
    problem = problem_of(losses.Squared(), endog, exog)
    last = normal_losses(problem, GRID, 39)
    changed = endog.copy()
    changed[39] += 1e3
    far = normal_losses(problem_of(losses.Squared(), changed, exog), GRID, 39)
    assert np.all(far > 0.4 * 1e6)
    assert np.all(last < 50.0)


def test_particles_agree_with_the_closed_form():
    """Means over seeds, within four of their standard errors."""
    endog, exog = rows()
    problem = problem_of(losses.Squared(), endog, exog)
    for rate in (1.0, 0.1):
        runs = np.array(
            [
                sequential_losses(
                    problem, rate, 3, prior_draws(2, seed=s), np.random.SeedSequence(s)
                )
                for s in range(12)
            ]
        )
        error = runs.std(ddof=1) / np.sqrt(len(runs))
        assert error < 0.02 * runs.mean()
        assert abs(runs.mean() - normal_losses(problem, np.array([rate]), 3)[0]) < 4.0 * error


@pytest.mark.parametrize("loss", [losses.Logistic(), losses.Poisson()], ids=lambda one: one.label)
def test_particles_agree_with_integration_on_a_grid(loss):
    """One coefficient, so that every posterior is a sum over a grid."""
    rng = np.random.default_rng(4)
    n, rate = 25, 0.5
    x = 0.4 * rng.standard_normal((n, 1))
    endog = rng.poisson(np.exp(x[:, 0])).astype(float)
    endog = np.minimum(endog, 1.0) if isinstance(loss, losses.Logistic) else endog
    problem = problem_of(loss, endog, x)
    theta = np.linspace(-16.0, 16.0, 8_001)
    values = np.array(
        [loss.value(np.full(len(theta), y), c * theta) for y, c in zip(endog, x[:, 0], strict=True)]
    )
    log_prior = -0.5 * ((theta - 0.3) / PRIOR_SD) ** 2
    wanted = 0.0
    for i in range(2, n):
        log_density = log_prior - rate * values[:i].sum(axis=0)
        weight = np.exp(log_density - log_density.max())
        wanted += weight @ values[i] / weight.sum()
    runs = np.array(
        [
            sequential_losses(problem, rate, 2, prior_draws(1, seed=s), np.random.SeedSequence(s))
            for s in range(12)
        ]
    )
    error = runs.std(ddof=1) / np.sqrt(len(runs))
    assert error < 0.02 * wanted
    assert abs(runs.mean() - wanted) < 4.0 * error


def test_the_order_of_the_rows_matters():
    endog, exog = rows()
    forward = normal_losses(problem_of(losses.Squared(), endog, exog), GRID, 3)
    backward = normal_losses(problem_of(losses.Squared(), endog[::-1], exog[::-1]), GRID, 3)
    assert np.abs(forward - backward).max() > 0.1


def test_the_same_seed_gives_the_same_rate():
    rng = np.random.default_rng(4)
    exog = rng.standard_normal((20, 1))
    problem = problem_of(losses.Logistic(), (rng.random(20) < 0.5).astype(float), exog)
    first, second = (safe_bayes(problem, prior_draws(1, 300), SEED) for _ in range(2))
    np.testing.assert_array_equal(first.cumulative, second.cumulative)
    assert first.rates[0] == 1.0


def test_a_wrong_model_asks_for_the_smallest_rate():
    """Rows that a posterior near zero predicts best leave nothing to learn from."""
    exog = np.ones((8, 1))
    endog = np.array([9.0, -9.0, 9.0, -0.1, 0.1, -0.1, 0.1, -0.1])
    problem = problem_of(losses.Squared(), endog, exog, prior_sd=0.01)
    found = safe_bayes(problem, None, SEED)
    assert found.at_end
    assert not module.SafeBayes(GRID[0], GRID, found.cumulative).at_end


def test_what_cannot_be_predicted_is_refused():
    endog, exog = rows()
    with pytest.raises(NumericalError, match="rows after the first 3, and there are 3"):
        safe_bayes(problem_of(losses.Squared(), endog[:3], exog[:3]), None, SEED)
    exog[:3, 1] = 1.0
    with pytest.raises(NumericalError, match="first 3 rows, which do not determine"):
        safe_bayes(problem_of(losses.Squared(), endog, exog, prior_sd=None), None, SEED)
    binary = problem_of(losses.Logistic(), (endog > 1.0).astype(float), exog, prior_sd=None)
    with pytest.raises(NumericalError, match="give a proper prior"):
        safe_bayes(binary, None, SEED)
