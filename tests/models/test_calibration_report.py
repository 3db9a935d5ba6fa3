"""How a calibration ends where it should not be trusted: a status, a sentence, or an error."""

from dataclasses import dataclass

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.calibration.coverage import ParticleSystem, Region, weights_at
from qbeconometrics.calibration.moment_problem import MomentProblem
from qbeconometrics.calibration.problem import CoverageCurve, Search
from qbeconometrics.calibration.resimulation import resimulated
from qbeconometrics.exceptions import NumericalError
from qbeconometrics.models.calibration_report import Calibrated, calibration_report

FEW = {"replications": 60, "particles": 300}
LEVEL = 0.95


def problem_of(replications=40):
    """Replications of one normal mean."""
    minimiser = np.random.default_rng(0).standard_normal((replications, 1))
    ones, zeros = np.ones((1, 1)), np.zeros((1, 1))
    return MomentProblem(np.ones((replications, 1, 1)), minimiser, ones, zeros, np.zeros(1))


@dataclass(frozen=True)
class GivenCurve(CoverageCurve):
    """A curve that is a function of the rate."""

    share: object = None

    def coverage(self, system, rate):
        return float(self.share(rate))


def report_of(share):
    problem = problem_of()
    curve = GivenCurve(Region("ellipse", 1 - LEVEL, np.zeros(1), np.zeros(40)), share=share)
    system = problem.simulate(1.0, np.random.SeedSequence(0), 400)
    calibrated = Calibrated(problem, np.eye(1), ["x"], loss="squares", bootstrap="pairs", remedy="")
    return calibration_report(
        calibrated, curve, Search(system, 1, 1.0, False), "weighted-particles"
    )


def test_a_falling_curve_converges():
    assert report_of(lambda rate: LEVEL - 0.1 * np.log(rate)).status == "converged"


def test_coverage_that_rises_again_is_said_to():
    found = report_of(lambda rate: LEVEL + 0.04 * np.sin(8.0 * np.log(rate)))
    assert found.status == "several-roots"
    assert "rises above it again" in found.summary()
    assert 'region="loss"' in found.summary()


def test_coverage_that_jumps_over_the_level_is_said_to():
    found = report_of(lambda rate: 1.0 if rate < 1.0 else 0.8)
    assert found.status == "plateau"
    assert "jumps over 0.95" in found.summary()


def test_a_loss_of_two_values_has_no_rate():
    """The median of zeros and ones is at one of them in most replications, at any rate."""
    y = (np.arange(60) % 3 == 0).astype(float)
    model = qb.QuasiBayesM(
        y, np.ones((60, 1)), loss=qb.losses.Hinge(), posterior="gibbs", prior=qb.priors.Normal(0, 9)
    )
    found = qb.calibrate_learning_rate(model, rng=0, **FEW)
    assert found.status == "no-root"
    assert "stays above 0.95" in found.summary()


def binary_model(n, seed, prior):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n)
    y = (1.5 * x + rng.logistic(size=n) > 0).astype(float)
    exog = np.column_stack([np.ones(n), x])
    return qb.QuasiBayesM(y, exog, loss=qb.losses.Logistic(), posterior="gibbs", prior=prior)


def test_separated_replications_are_left_out():
    found = qb.calibrate_learning_rate(binary_model(14, 0, qb.priors.Flat()), rng=0, **FEW)
    assert found.status == "converged"
    assert len(found.ess) == 57
    found = qb.calibrate_learning_rate(binary_model(20, 0, qb.priors.Flat()), rng=0, **FEW)
    assert found.status == "too-few-replications"
    assert "8 of 60 replications of the data have no estimate" in found.summary()


def test_a_proper_prior_or_positive_weights_keep_them():
    proper = binary_model(20, 0, qb.priors.Normal(0.0, 5.0))
    assert len(qb.calibrate_learning_rate(proper, rng=0, **FEW).ess) == 60
    flat = binary_model(20, 0, qb.priors.Flat())
    found = qb.calibrate_learning_rate(flat, bootstrap="multiplier", rng=0, **FEW)
    assert len(found.ess) == 60


def model_with_a_rare_dummy(ones, n=40):
    rng = np.random.default_rng(0)
    exog = np.column_stack([np.ones(n), rng.standard_normal(n), np.arange(n) < ones])
    return qb.QuasiBayesM(
        exog @ [1.0, 1.0, 0.0] + rng.standard_normal(n),
        exog,
        loss=qb.losses.Quantile(0.5),
        posterior="gibbs",
        prior=qb.priors.Flat(),
    )


def test_a_dummy_that_is_not_drawn():
    found = qb.calibrate_learning_rate(model_with_a_rare_dummy(2), rng=0, **FEW)
    assert found.status == "too-few-replications"
    assert "dummy with few ones" in found.summary()
    exog = np.vander(np.arange(7.0), 7)
    tiny = qb.QuasiBayesM(
        np.sin(np.arange(7.0)),
        exog[:, 1:],
        loss=qb.losses.Quantile(0.5),
        posterior="gibbs",
        prior=qb.priors.Flat(),
    )
    with pytest.raises(NumericalError, match="of 60 replications of the data have an estimate"):
        qb.calibrate_learning_rate(tiny, rng=0, **FEW)


@pytest.mark.parametrize(
    ("curvature", "message"), [(0.0, "no curvature"), (1.0, "bootstrap is not consistent")]
)
def test_zero_one_loss_is_refused(curvature, message):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(60)
    loss = qb.losses.Custom(
        lambda y, index: (np.sign(index) != y).astype(float),
        lambda y, index: np.zeros_like(index),
        lambda y, index: np.full_like(index, curvature),
        name="zero-one",
    )
    model = qb.QuasiBayesM(
        np.sign(x + rng.standard_normal(60)),
        np.column_stack([np.ones(60), x]),
        loss=loss,
        posterior="gibbs",
        prior=qb.priors.Normal(0, 10.0),
    )
    with pytest.raises(NumericalError, match=message):
        qb.calibrate_learning_rate(model, rng=0, **FEW)


def test_additive_steps_from_far_away_say_that_they_failed():
    """The step is of coverage, at most .05 up, whatever the rate: the paper's search is for
    starts that are near."""
    problem = problem_of(200)
    curve = CoverageCurve(Region("loss", 0.05, np.zeros(1), problem.loss_at_estimate))
    for start, failed in ((1.0, False), (0.02, True), (50.0, True)):
        search = resimulated(
            problem, curve, start, np.random.SeedSequence(0), 400, search="syring-martin"
        )
        assert search.at_bound is failed
        assert search.rate > 0.0


def test_weights_of_large_losses_do_not_overflow():
    losses = 1e8 + np.random.default_rng(0).chisquare(2, (3, 50))
    weights = weights_at(ParticleSystem(1.0, np.zeros((3, 50, 1)), losses), 400.0)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    small = weights_at(ParticleSystem(1.0, np.zeros((3, 50, 1)), losses - 1e8), 400.0)
    np.testing.assert_allclose(weights, small, atol=1e-4)
