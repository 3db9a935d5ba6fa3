"""Frequentist behaviour of reduced-rank regression; see reduced_rank_coverage.py."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import qbeconometrics as qb

SCRIPT = Path(__file__).parent / "reduced_rank_coverage.py"
REPLICATIONS = 200


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("reduced_rank_coverage", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    # Its dataclass is looked up there.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize("rank", [1, 2])
def test_mean_is_near_the_estimate_in_large_samples(script, rank, monkeypatch):
    """Under homoskedastic weights the quasi-posterior is centred at maximum likelihood."""
    monkeypatch.setattr(script, "ROWS", 5_000)
    endog, exog = script.simulate(script.truth(rank), np.random.default_rng(1), False)
    model = qb.QuasiBayesReducedRank(endog, exog, rank)
    res = model.fit(draws=1_500, tune=500, rng=2, cov_type="nonrobust", cores=1)
    estimate = script.reduced_rank_estimate(endog, exog, rank)
    mean, sd, error = (
        values.to_numpy().reshape(script.OUTCOMES, -1)[:, 1:]
        for values in (res.params, res.bse, res.mcse()["mean"])
    )
    assert np.linalg.matrix_rank(estimate, tol=1e-8) == rank
    assert np.all(np.abs(mean - estimate) < 0.15 * sd + 4.0 * error)
    weighted, standard = script.asymptotic_intervals(endog, exog, rank, False)
    np.testing.assert_allclose(weighted, estimate, atol=1e-6)
    assert np.all(np.abs(sd / standard - 1.0) < 0.15)


@pytest.mark.long
@pytest.mark.parametrize("rank", [1, 2])
def test_intervals_cover(script, rank):
    study = script.coverage(REPLICATIONS, rank, robust=False, seed=0)
    # Three standard errors below .95 for each element, and the errors of elements are correlated.
    assert study.covered.min() >= 0.88
    assert 0.92 <= study.average <= 0.98
    assert study.average >= study.asymptotic.mean() - 0.01


@pytest.mark.long
@pytest.mark.parametrize("rank", [1, 2])
def test_robust_intervals_cover_as_the_asymptotic_ones_at_least(script, rank):
    study = script.coverage(REPLICATIONS, rank, robust=True, seed=0)
    assert 0.90 <= study.average <= 0.98
    assert study.average >= study.asymptotic.mean() - 0.01
