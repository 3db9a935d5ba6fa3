"""The moment form of error correction against quadrature with the moments written out."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp

import qbeconometrics as qb
from qbeconometrics.diagnostics.convergence import mean_mcse
from qbeconometrics.stiefel.subspaces import projections

SCRIPT = Path(__file__).parent.parent / "correctness" / "cointegration.py"
FIT = {"draws": 1500, "tune": 300, "cores": 1, "rng": 0, "progressbar": False}
LARGEST = 4.0


def load_script():
    spec = importlib.util.spec_from_file_location("cointegration", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = load_script()


@pytest.fixture(scope="module")
def series():
    return script.simulate(np.random.default_rng(2), 80)[0]


def covariance(moments, cov_type, residuals, x):
    T = len(moments)
    if cov_type == "nonrobust":
        return np.kron(residuals.T @ residuals / T, x.T @ x / T)
    S = moments.T @ moments / T
    if cov_type == "HAC":
        for lag, weight in ((1, 2 / 3), (2, 1 / 3)):
            product = moments[lag:].T @ moments[:-lag] / T
            S += weight * (product + product.T)
    return S


def log_integrals(y, bases, cov_type, nu=1.0):
    """Log of the integral over alpha and Gamma of prior times quasi-likelihood, at each b.

    g(theta) = mean of u_t x (y_{t-1} / sqrt(T), w_t), not partialled out.
    """
    changes, levels, short_run, _ = script.without_units(y)
    (T, m), q = changes.shape, short_run.shape[1]
    x = np.hstack([levels / np.sqrt(T), short_run])
    residuals = changes - x @ np.linalg.lstsq(x, changes, rcond=None)[0]
    moments = (residuals[:, :, None] * x[:, None, :]).reshape(T, -1)
    weight = T * np.linalg.inv(covariance(moments, cov_type, residuals, x))
    at_zero = (changes.T @ x / T).ravel()
    basis = np.linalg.qr(short_run)[0]
    partial = levels - basis @ (basis.T @ levels)
    sigma = residuals.T @ residuals / T
    found = []
    for b in bases:
        r = b.shape[1]
        regressors = np.hstack([levels @ b, short_run])
        jacobian = np.kron(np.eye(m), x.T @ regressors / T)
        shape = np.zeros((r + q, r + q))
        shape[:r, :r] = nu * b.T @ partial.T @ partial @ b / T
        prior = np.kron(np.linalg.inv(sigma), shape)
        total = jacobian.T @ weight @ jacobian + prior
        linear = jacobian.T @ weight @ at_zero
        value = linear @ np.linalg.solve(total, linear) - at_zero @ weight @ at_zero
        value -= np.linalg.slogdet(total)[1]
        if r:
            value += np.linalg.slogdet(np.kron(np.linalg.inv(sigma), shape[:r, :r]))[1]
        found.append(0.5 * value)
    return np.array(found)


@pytest.mark.parametrize("cov_type", ["nonrobust", "HC0", "HAC"])
def test_spaces_and_ranks_are_those_of_quadrature(series, cov_type):
    options = {"quasi_likelihood": "two-step", "cov_type": cov_type}
    if cov_type == "HAC":
        options["cov_kwds"] = {"maxlags": 2}
    model = qb.QuasiBayesVECM(series)
    found = projections(model.fit(**options, **FIT).relations.spaces).reshape(4, 1500, 4)
    log_means = []
    for rank in range(3):
        bases, weights = script.nodes(2, rank)
        values = log_integrals(series, bases, cov_type)
        log_means.append(logsumexp(values, b=weights))
        if rank == 1:
            share = np.exp(values - log_means[1]) * weights
            expected = np.einsum("d,dir,djr->ij", share, bases, bases).ravel()
    error = np.abs(found.mean(axis=(0, 1)) - expected)
    assert np.all(error < LARGEST * np.asarray(mean_mcse(found)))
    table = model.compare_ranks(**options, **FIT)
    values = table["log_marginal_likelihood"].to_numpy()
    # A constant of the short-run terms is common to all ranks.
    difference = values - log_means - (values[0] - log_means[0])
    assert abs(difference[2]) < 1e-8
    assert abs(difference[1]) < LARGEST * table.loc[1, "mcse"] < 0.1


@pytest.mark.parametrize(("rank", "deterministic"), [(0, "co"), (1, "ci"), (2, "n")])
def test_near_the_likelihood_where_errors_are_homoskedastic(rank, deterministic):
    """Medians and spreads, in 800 rows; and the covariance of the errors."""
    y = script.simulate(np.random.default_rng(3), 800)[0]
    model = qb.QuasiBayesVECM(y, coint_rank=rank, deterministic=deterministic)
    by_likelihood = model.fit(**FIT)
    by_moments = model.fit(quasi_likelihood="two-step", cov_type="nonrobust", **FIT)
    spread = np.diff(by_likelihood.conf_int().to_numpy(), axis=1)[:, 0] / 4
    assert np.abs((by_moments.median - by_likelihood.median) / spread).max() < 0.3
    ratio = np.diff(by_moments.conf_int().to_numpy(), axis=1)[:, 0] / 4 / spread
    assert np.all(np.abs(ratio - 1.0) < 0.2)
    np.testing.assert_allclose(by_moments.sigma_u, by_likelihood.sigma_u, rtol=0.05, atol=0.01)
    assert "two-step" in str(by_moments.summary())
    assert np.abs((by_moments.mode - by_moments.median) / spread).max() < 0.7


def test_bad_options_of_moments(series):
    model = qb.QuasiBayesVECM(series)
    for options, words in (
        ({"quasi_likelihood": "cue"}, "quasi_likelihood='cue'"),
        ({"cov_type": "HC1"}, "quasi_likelihood='two-step'"),
        ({"quasi_likelihood": "two-step", "cov_type": "HC9"}, "HC9"),
        (
            {
                "quasi_likelihood": "two-step",
                "cov_type": "cluster",
                "cov_kwds": {"groups": np.arange(80)},
            },
            "use 'HAC'",
        ),
    ):
        with pytest.raises(qb.exceptions.OptionError, match=words):
            model.fit(**options)
        with pytest.raises(qb.exceptions.OptionError, match=words):
            model.compare_ranks(**options)
    with pytest.raises(qb.exceptions.InputError, match="8 rows but 8 moments"):
        qb.QuasiBayesVECM(series[:10]).fit(quasi_likelihood="two-step")
