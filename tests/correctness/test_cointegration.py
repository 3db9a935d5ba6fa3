"""Cointegrating spaces against quadrature and in repeated samples; see cointegration.py."""

import importlib.util
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.diagnostics.convergence import mean_mcse
from qbeconometrics.models import vecm_sampling
from qbeconometrics.stiefel.chart_names import PARAMETERIZATIONS
from qbeconometrics.stiefel.subspaces import projections

SCRIPT = Path(__file__).parent / "cointegration.py"
DATA_SETS = 200
# Normal quantile of the differences that are allowed, in Monte Carlo standard errors.
LARGEST = 4.0
FIT = {"draws": 1500, "tune": 300, "cores": 1, "progressbar": False}
CASES = [(2, 1), (3, 1), (3, 2)]


def load_script():
    spec = importlib.util.spec_from_file_location("cointegration", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = load_script()


@cache
def series(m):
    return script.simulate(np.random.default_rng(m), 60, m)[0]


@cache
def quadrature(m, rank, deterministic="n"):
    return script.integrals(series(m), rank, deterministic=deterministic)


def largest_distance(m, rank, parameterization, seed=0, **changes):
    """Of the mean projection from quadrature, in Monte Carlo standard errors."""
    law = qb.QuasiBayesVECM(series(m), coint_rank=rank).law
    options = vecm_sampling.SpaceOptions(
        chains=4, parameterization=parameterization, target_accept=0.9, **{**FIT, **changes}
    )
    found = projections(vecm_sampling.sample_spaces(law, rank, options, seed).spaces)
    found = found.reshape(*found.shape[:2], m * m)
    error = found.mean(axis=(0, 1)) - quadrature(m, rank)[1].ravel()
    return float(np.max(np.abs(error) / np.asarray(mean_mcse(found))))


@pytest.mark.parametrize("parameterization", PARAMETERIZATIONS)
@pytest.mark.parametrize(("m", "rank"), CASES)
def test_spaces_have_the_mean_of_quadrature(m, rank, parameterization):
    assert largest_distance(m, rank, parameterization) < LARGEST


def spoiled(change):
    right = vecm_sampling.centered_spaces

    def wrong(law, rank):
        space = right(law, rank)
        return replace(space, weights=space.weights * np.array(change))

    return wrong


@pytest.mark.parametrize(
    ("change", "m", "rank"),
    [([0.9, 0.9, 1.0], 2, 1), ([1.0, 1.0, 0.0], 2, 1), ([1.0, 1.0, 0.0], 3, 2)],
    ids=["exponent", "no Jacobian", "no Jacobian of planes"],
)
def test_wrong_targets_are_caught(change, m, rank, monkeypatch):
    monkeypatch.setattr(vecm_sampling, "centered_spaces", spoiled(change))
    assert largest_distance(m, rank, "polar", draws=6000) > LARGEST


@pytest.mark.parametrize(("m", "deterministic"), [(2, "n"), (2, "ci"), (3, "co")])
def test_marginal_likelihoods_are_those_of_quadrature(m, deterministic):
    model = qb.QuasiBayesVECM(series(m), deterministic=deterministic)
    table = model.compare_ranks(rng=0, draws=1000, tune=300, cores=1, progressbar=False)
    exact = np.array([quadrature(m, rank, deterministic)[0] for rank in range(m + 1)])
    error = table["log_marginal_likelihood"].to_numpy() - exact
    closed = table["mcse"].to_numpy() == 0.0
    assert closed.tolist() == [rank in (0, model.law.size) for rank in range(m + 1)]
    np.testing.assert_allclose(error[closed], 0.0, atol=1e-9)
    assert np.all(np.abs(error[~closed]) < LARGEST * table["mcse"].to_numpy()[~closed])
    assert table["mcse"].max() < 0.03
    shares = np.exp(exact - exact.max())
    np.testing.assert_allclose(table["probability"], shares / shares.sum(), atol=0.03)


def test_a_wrong_exponent_moves_marginal_likelihoods(monkeypatch):
    monkeypatch.setattr(vecm_sampling, "centered_spaces", spoiled([0.9, 0.9, 1.0]))
    model = qb.QuasiBayesVECM(series(2))
    row = model.compare_ranks([1], rng=0, draws=1000, cores=1, progressbar=False).iloc[0]
    error = row["log_marginal_likelihood"] - quadrature(2, 1)[0]
    assert abs(error) > LARGEST * row["mcse"]


@pytest.mark.long
@pytest.mark.parametrize("quasi_likelihood", ["likelihood", "two-step"])
def test_sets_of_highest_density_cover_the_true_space(quasi_likelihood):
    assert 0.90 <= script.coverage(DATA_SETS, 20_261_122, quasi_likelihood) <= 0.98


@pytest.mark.long
def test_the_angle_shrinks_as_fast_as_the_number_of_rows_grows():
    spreads = script.log_spread(DATA_SETS // 5, seed=20_261_122)
    assert abs(script.slope(spreads) + 1.0) < 0.15
