"""Sums over pairs of rows: weights, S from the statistic and from its definition, leverage."""

import json
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.sandwich_covariance import S_crosssection, S_hac_simple

import qbeconometrics as qb
from qbeconometrics.moments import dependence, linear
from qbeconometrics.moments.basis import MomentBasis, basis_from_triangle
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.dependence import (
    RowWeights,
    dependent_statistic,
    largest_cluster_leverage,
    weighted_rows,
)
from qbeconometrics.moments.lag_windows import bandwidth_of_lags, lag_weights

PATH = Path(__file__).parent.parent / "reference_values" / "reference_covariance.json"
STORED = json.loads(PATH.read_text(encoding="utf-8"))
# What the same S may differ by in other software, relative to its diagonal.
SAME_COVARIANCE = 1e-8
# Rounding of a few hundred products, relative to the diagonal of S.
ROUNDING = 1e-10


def intersection(first, second):
    return np.unique(np.column_stack([first, second]), axis=0, return_inverse=True)[1].ravel()


def rules(n):
    rng = np.random.default_rng(7)
    first, second = rng.integers(0, 20, n), rng.integers(0, 30, n)
    found = {
        f"{kernel} {lags}": RowWeights(lags=lag_weights(kernel, bandwidth_of_lags(kernel, lags), n))
        for kernel, lags in (("bartlett", 0), ("bartlett", 4), ("parzen", 70), ("parzen", 3))
    }
    found["quadratic-spectral"] = RowWeights(lags=lag_weights("quadratic-spectral", 4.2, n))
    found["one-way"] = RowWeights(clusters=(first,))
    found["two-way"] = RowWeights(clusters=(first, second, intersection(first, second)))
    return found


N = 203
RULES = rules(N)


def kappa_of(weights, n):
    """The matrix itself."""
    if weights.lags is not None:
        column = np.zeros(n)
        column[: len(weights.lags)] = weights.lags
        return column[np.abs(np.subtract.outer(np.arange(n), np.arange(n)))]
    same = [(codes[:, None] == codes).astype(float) for codes in weights.clusters]
    return same[0] if len(same) == 1 else same[0] + same[1] - same[2]


def distance(ours, expected):
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    return np.max(np.abs(ours - expected) / np.abs(scale))


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    noise = np.cumsum(rng.standard_normal((N, 4)), axis=0) / 4 + rng.standard_normal((N, 4))
    z = np.column_stack([np.ones(N), noise])
    x = np.column_stack([np.ones(N), z[:, 1] + rng.standard_normal(N), z[:, 2]])
    return x @ [1.0, 0.5, 2.0] + rng.standard_normal(N) * (1 + z[:, 1] ** 2), x, z


def statistic_of(y, x, z, weights, basis=None):
    if basis is None:
        triangle = np.linalg.qr(np.column_stack([z, x, y]), mode="r")
        basis = basis_from_triangle(triangle, len(y), x.shape[1], z.shape[1])
    return dependent_statistic(
        linear.linear_moment_statistic(y, x, z, basis, with_fourth=False),
        linear.scale_rows(y, x, z, basis),
        weights,
        cov_type="HAC" if weights.lags is not None else "cluster",
        with_fourth=True,
    )


def covariance_at(statistic, point, centered):
    """S in whitened units at a scaled point."""
    rule = CovarianceRule(statistic.dependence, centered)
    phi = np.concatenate([[1.0], -point])
    row, column = np.tril_indices(len(phi))
    weight = np.where(row == column, 1.0, 2.0) * phi[row] * phi[column]
    return linear.unpack_symmetric(
        weight @ linear.covariance_statistic(statistic, rule), statistic.m
    )


@pytest.mark.parametrize("name", RULES)
def test_weighted_rows_are_a_matrix_product(name):
    columns = np.random.default_rng(1).standard_normal((N, 3))
    expected = kappa_of(RULES[name], N) @ columns
    assert np.allclose(weighted_rows(RULES[name], columns), expected, rtol=0, atol=1e-11)


def test_more_lags_than_rows():
    weights = RowWeights(lags=lag_weights("bartlett", 10.0, 4))
    columns = np.arange(8.0).reshape(4, 2)
    expected = kappa_of(weights, 4) @ columns
    assert np.allclose(weighted_rows(weights, columns), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("size", [0.0, 1.0, 1e3])
@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_statistic_equals_definition(data, name, centered, size, scale):
    """Near and far, whatever the units."""
    y, x, z = data
    z = z * [1, scale, 1 / scale, scale, 1]
    x = x * [1, scale, 1 / scale]
    statistic = statistic_of(y, x, z, RULES[name])
    point = size * np.array([2.0, -3.0, 1.0])
    scores = (z @ statistic.basis.instrument_map) * (y - x @ statistic.basis.to_params(point))[
        :, None
    ]
    if centered:
        scores = scores - scores.mean(axis=0)
    expected = scores.T @ kappa_of(RULES[name], N) @ scores / N
    assert distance(covariance_at(statistic, point, centered), expected) < ROUNDING
    if size == 0.0:
        rule = CovarianceRule(statistic.dependence, centered)
        assert distance(linear.covariance_at_centre(statistic, rule), expected) < ROUNDING


def test_block_size_does_not_matter(data, monkeypatch):
    whole = statistic_of(*data, RULES["two-way"])
    monkeypatch.setattr(dependence, "BLOCK_NUMBERS", 1)
    blocks = statistic_of(*data, RULES["two-way"])
    assert np.allclose(blocks.fourth, whole.fourth, rtol=0, atol=1e-9)


def covariance_in_data_units(y, x, z, theta, weights, centered):
    statistic = statistic_of(y, x, z, weights)
    S = covariance_at(statistic, statistic.basis.to_scaled(theta), centered)
    back = np.linalg.inv(statistic.basis.instrument_map)
    return back.T @ S @ back


@pytest.mark.parametrize("maxlags", [0, 1, 6])
def test_hac_of_statsmodels(data, maxlags):
    y, x, z = data
    theta = np.array([0.5, 1.0, 1.5])
    weights = RowWeights(lags=lag_weights("bartlett", maxlags + 1.0, N))
    scores = z * (y - x @ theta)[:, None]
    ours = covariance_in_data_units(*data, theta, weights, False)
    assert distance(ours, S_hac_simple(scores, maxlags) / N) < SAME_COVARIANCE


def test_clusters_of_statsmodels(data):
    y, x, z = data
    theta = np.array([0.5, 1.0, 1.5])
    first, second, both = RULES["two-way"].clusters
    scores = z * (y - x @ theta)[:, None]
    one = covariance_in_data_units(*data, theta, RowWeights(clusters=(first,)), False)
    assert distance(one, S_crosssection(scores, first) / N) < SAME_COVARIANCE
    two = covariance_in_data_units(*data, theta, RULES["two-way"], False)
    parts = [S_crosssection(scores, codes) / N for codes in (first, second, both)]
    assert distance(two, parts[0] + parts[1] - parts[2]) < SAME_COVARIANCE


def consumption():
    names = ["gc", "gy", "r3", "gc_1", "gy_1", "r3_1"]
    frame = qb.datasets.load("consump_annual").dropna(subset=names)
    y, gy, r3, *lagged = frame[names].to_numpy().T
    ones = np.ones(len(y))
    years = frame["year"].to_numpy()
    groups = {"five": years // 5, "phase": years % 6}
    return (y, np.column_stack([ones, gy, r3]), np.column_stack([ones, *lagged])), groups


@pytest.mark.parametrize("entry", STORED["kernel"], ids=lambda e: f"{e['kernel']} {e['maxlags']}")
def test_kernels_of_linearmodels(entry):
    rows, _ = consumption()
    bandwidth = bandwidth_of_lags(entry["kernel"], entry["maxlags"])
    weights = RowWeights(lags=lag_weights(entry["kernel"], bandwidth, len(rows[0])))
    ours = covariance_in_data_units(*rows, np.array(STORED["theta"]), weights, entry["centered"])
    assert distance(ours, np.array(entry["S"])) < SAME_COVARIANCE


@pytest.mark.parametrize("entry", STORED["cluster"], ids=lambda e: " ".join(e["groups"]))
def test_clusters_of_linearmodels(entry):
    rows, groups = consumption()
    codes = [np.unique(groups[name], return_inverse=True)[1] for name in entry["groups"]]
    codes = [*codes, intersection(*codes)] if len(codes) == 2 else codes
    ours = covariance_in_data_units(
        *rows, np.array(STORED["theta"]), RowWeights(clusters=tuple(codes)), entry["centered"]
    )
    assert distance(ours, np.array(entry["S"])) < SAME_COVARIANCE


@pytest.mark.parametrize("name", RULES)
def test_change_of_basis(data, name):
    """The sums are as exact in another basis as if they had been formed there."""
    rng = np.random.default_rng(1)
    statistic = statistic_of(*data, RULES[name])
    basis = statistic.basis
    other = MomentBasis(
        basis.centre + 0.3 * basis.regressor_map @ rng.standard_normal(3),
        basis.regressor_map @ (np.eye(3) + 0.3 * rng.standard_normal((3, 3))),
        basis.instrument_map @ (np.eye(5) + 0.3 * rng.standard_normal((5, 5))),
    )
    moved = linear.change_basis(statistic, other)
    formed = statistic_of(*data, RULES[name], other)
    point = np.array([2.0, -3.0, 1.0])
    for centered in (False, True):
        expected = covariance_at(formed, point, centered)
        assert distance(covariance_at(moved, point, centered), expected) < ROUNDING


def test_singletons_are_independent_rows(data):
    y, x, z = data
    own = statistic_of(*data, RowWeights(clusters=(np.arange(N),)))
    plain = linear.linear_moment_statistic(y, x, z, own.basis)
    assert np.allclose(own.fourth, plain.fourth, rtol=0, atol=1e-9)


def test_largest_cluster_leverage():
    rng = np.random.default_rng(4)
    codes = rng.integers(0, 6, 120)
    z = np.column_stack([np.ones(120), rng.standard_normal((120, 2)), codes == 3])
    whitened = np.linalg.qr(z)[0] * np.sqrt(120)
    share, cluster = largest_cluster_leverage(whitened, codes)
    assert share == pytest.approx(1.0, abs=1e-12)
    assert cluster == 3
    whitened = np.linalg.qr(z[:, :3])[0] * np.sqrt(120)
    assert largest_cluster_leverage(whitened, codes)[0] < 0.9
