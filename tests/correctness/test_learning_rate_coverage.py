"""Coverage of calibrated regions at the truth; see learning_rate_coverage.py."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

import qbeconometrics as qb

SCRIPT = Path(__file__).parent / "learning_rate_coverage.py"
DATA_SETS = 150
LIMIT_DATA_SETS, LIMIT_REPLICATIONS = 120, 400


def load_script():
    spec = importlib.util.spec_from_file_location("learning_rate_coverage", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def allowance(share):
    """Three standard errors of a share of the data sets."""
    return 3.0 * np.sqrt(share * (1.0 - share) / DATA_SETS)


@pytest.mark.long
@pytest.mark.parametrize("design", ["homo", "het"])
def test_a_calibrated_region_covers(design):
    found = load_script().coverage(design, 400, DATA_SETS, methods=["uncalibrated", "coverage"])[
        "joint"
    ]
    assert found["coverage"] >= 0.915 - allowance(0.915)
    if design == "het":
        assert found["uncalibrated"] <= 0.88 + allowance(0.88)
        assert found["coverage"] > found["uncalibrated"]


@pytest.mark.long
@pytest.mark.parametrize(("tau", "sd"), [(0.5, 2.0), (0.25, 1.0)])
def test_the_rate_of_quantile_regression_approaches_its_limit(tau, sd):
    """The density of the errors at their quantile, over tau (1 - tau), with errors of one law.

    In logarithms: a rate is one over a quantile of the replications, whose noise would raise its
    mean. 200 replications leave a bias of one per cent, which is why there are more.
    """
    logs = []
    for seed in range(LIMIT_DATA_SETS):
        rng = np.random.default_rng([seed, int(100 * tau)])
        exog = np.column_stack([np.ones(2_000), rng.chisquare(2, 2_000) - 2.0])
        errors = sd * (rng.standard_normal(2_000) - norm.ppf(tau))
        model = qb.QuasiBayesM(
            exog @ [2.0, 1.0] + errors,
            exog,
            loss=qb.losses.Quantile(tau),
            posterior="gibbs",
            prior=qb.priors.Flat(),
        )
        found = qb.calibrate_learning_rate(model, replications=LIMIT_REPLICATIONS, rng=seed)
        logs.append(np.log(found.learning_rate))
    limit = norm.pdf(norm.ppf(tau)) / sd / (tau * (1.0 - tau))
    error = np.std(logs, ddof=1) / np.sqrt(LIMIT_DATA_SETS)
    assert abs(np.mean(logs) - np.log(limit)) <= 3.0 * error


def test_the_study_does_what_it_says():
    """Two small cells: what is counted, and that a data set depends on its seed alone."""
    script = load_script()
    options = {"replications": 20, "draws": 1_000}
    first = script.one_data_set("het", 100, 1, ["uncalibrated", "coverage"], **options)
    again = script.one_data_set("het", 100, 1, ["uncalibrated", "coverage"], **options)
    assert first.equals(again)
    shares = script.coverage("het", 100, 3, ["uncalibrated", "coverage"], **options)
    assert shares["data sets"].tolist() == [3, 3]
    assert set(shares["joint"] * 3) <= {0.0, 1.0, 2.0, 3.0}
    endog, exog = script.simulate("het", 20_000, 0)
    residuals = endog - exog @ script.TRUTH
    spread = residuals / (0.5 + np.abs(exog[:, 1]))
    assert abs(spread.std() - 1.0) < 0.03
    assert abs(np.mean(residuals > 0.0) - 0.5) < 0.015
