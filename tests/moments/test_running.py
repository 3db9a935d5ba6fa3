"""Sums over blocks against sums over all rows at once, for every rule, cut and order of merging."""

import itertools

import numpy as np
import pytest

from qbeconometrics.exceptions import InputError
from qbeconometrics.inputs.design import check_linear_design
from qbeconometrics.moments.basis import basis_from_triangle
from qbeconometrics.moments.block_sums import Rows
from qbeconometrics.moments.dependence import RowWeights, dependent_statistic
from qbeconometrics.moments.linear import largest_leverage, linear_moment_statistic, scale_rows
from qbeconometrics.moments.running import (
    SumsWanted,
    WaitingRows,
    add_rows,
    column_coordinates,
    finished_statistic,
    merge_moments,
    start_moments,
)

# Columns of which the mean is a thousand times the sd lose three digits of sixteen.
ROUNDING = 1e-11
N = 3_000
LAGS = np.array([1.0, 0.8, 0.6, 0.4, 0.2])
WANTED = {
    "HC0": SumsWanted(True),
    "nonrobust": SumsWanted(False),
    "HAC": SumsWanted(False, lags=LAGS),
    "cluster": SumsWanted(False, clustered=True),
}


@pytest.fixture(scope="module")
def rows():
    """A column with a large mean, a dummy that the first third does not show, and 150 clusters."""
    rng = np.random.default_rng(1)
    x = 1e6 + 1e3 * rng.standard_normal(N)
    late = (np.arange(N) > N // 3) * 1.0
    z = rng.standard_normal((N, 3))
    v = rng.standard_normal(N)
    d = z @ [1.0, 0.5, 0.2] + v
    y = 3 + 0.001 * x + 0.5 * d + late + rng.standard_normal(N) + v
    controls = np.column_stack([np.ones(N), x, late])
    return Rows(
        y, np.column_stack([controls, d]), np.column_stack([controls, z]), rng.integers(0, 150, N)
    )


@pytest.fixture(scope="module")
def basis(rows):
    design = check_linear_design(rows.endog, rows.exog, rows.instrument)
    return basis_from_triangle(design.triangle, N, 4, 6)


@pytest.fixture(scope="module")
def whole(rows, basis):
    """All rows at once, by other code."""
    statistic = linear_moment_statistic(rows.endog, rows.exog, rows.instrument, basis)
    scaled = scale_rows(rows.endog, rows.exog, rows.instrument, basis)
    weights = {"HAC": RowWeights(lags=LAGS), "cluster": RowWeights(clusters=(rows.clusters,))}
    dependent = {
        name: dependent_statistic(statistic, scaled, weight, cov_type=name, with_fourth=True)
        for name, weight in weights.items()
    }
    return {"HC0": statistic, "nonrobust": statistic, **dependent}


def cuts_of(blocks, seed=0):
    inner = np.random.default_rng(seed).integers(1, N, size=blocks - 1)
    return np.unique(np.r_[0, N, inner]).tolist()


def running(rows, cuts, wanted):
    sums = None
    for start, stop in itertools.pairwise(cuts):
        part = rows.part(slice(start, stop))
        sums = start_moments(part, start, wanted) if sums is None else add_rows(sums, part, start)
    return sums


def assert_same(found, expected, fields):
    assert found.n == expected.n
    for field in fields:
        a, b = getattr(found, field), getattr(expected, field)
        assert np.max(np.abs(a - b)) <= ROUNDING * np.max(np.abs(b)), field


def fields_of(rule):
    fields = ["cross", "instrument_product", "row_product", "row_sum"]
    if rule != "nonrobust":
        fields += ["fourth"]
    return fields + (["score_product", "weighted_cross"] if rule in ("HAC", "cluster") else [])


@pytest.mark.parametrize("rule", WANTED)
@pytest.mark.parametrize("blocks", [1, 7, 300])
def test_blocks_add_up(rows, basis, whole, rule, blocks):
    sums = running(rows, cuts_of(blocks), WANTED[rule])
    found = finished_statistic(sums, basis)
    assert_same(found, whole[rule], fields_of(rule))
    if rule in ("HAC", "cluster"):
        assert found.weight_total == pytest.approx(whole[rule].weight_total, rel=1e-12)


@pytest.mark.parametrize("rule", WANTED)
@pytest.mark.parametrize("cut", [3, 100, 1_500, N - 2])
def test_statistics_merge(rows, basis, whole, rule, cut):
    first = running(rows, [0, cut], WANTED[rule])
    second = running(rows.part(slice(cut, N)), [0, N - cut], WANTED[rule])
    assert isinstance(first, WaitingRows) == (cut < 200)
    found = finished_statistic(merge_moments(first, second, offset=cut), basis)
    assert_same(found, whole[rule], fields_of(rule))


def test_small_statistics_merge_before_coordinates_are_chosen(rows, basis, whole):
    sums = running(rows, [0, 10], WANTED["HC0"])
    for start in range(10, N, 10):
        part = rows.part(slice(start, start + 10))
        sums = merge_moments(sums, start_moments(part, 0, WANTED["HC0"]), offset=start)
    assert_same(finished_statistic(sums, basis), whole["HC0"], fields_of("HC0"))


def test_rows_in_order_of_a_regressor(rows, basis, whole):
    """The first rows are then unlike the others in level, spread and slope."""
    order = np.argsort(rows.exog[:, 3])
    sorted_rows = Rows(rows.endog[order], rows.exog[order], rows.instrument[order])
    found = finished_statistic(running(sorted_rows, cuts_of(20), WANTED["HC0"]), basis)
    assert_same(found, whole["HC0"], fields_of("HC0"))


def test_coordinates_of_columns_have_their_inner_products(rows):
    found = column_coordinates(running(rows, cuts_of(7), WANTED["nonrobust"]))
    columns = np.column_stack([np.ones(N), rows.instrument, rows.exog, rows.endog])
    short = np.column_stack([found.ones, found.instrument, found.exog, found.endog])
    scale = np.linalg.norm(columns, axis=0)
    difference = short.T @ short - columns.T @ columns
    assert np.max(np.abs(difference / np.outer(scale, scale))) < 1e-13


def test_many_small_additions_keep_their_rounding():
    """A million rows one by one in effect: no drift against exact integers."""
    ones = np.ones(1_000)
    block = Rows(ones + 0.1, ones[:, None], ones[:, None])
    sums = start_moments(block, 0, WANTED["nonrobust"])
    for count in range(1, 1_000):
        sums = add_rows(sums, block, 1_000 * count)
    exact = 1.1 * 1e6
    basis = sums.basis
    endog = (
        sums.cross.value[0, 1]
        + sums.cross.value[0, 2] / basis.regressor_map[0, 0] * (basis.centre[0])
    )
    assert abs(endog - exact) < 1e-15 * exact * 4


def test_the_row_of_leverage_one_is_found(rows):
    alone = np.zeros(N)
    alone[[40, 2_000]] = 1.0
    exog = np.column_stack([rows.exog, alone])
    instrument = np.column_stack([rows.instrument, alone])
    exog[40], instrument[40] = exog[2_000], instrument[2_000]
    endog = rows.endog.copy()
    endog[40] = endog[2_000]
    same = Rows(endog, exog, instrument)
    sums = merge_moments(
        running(same.part(slice(0, 900)), [0, 30, 900], WANTED["HC0"]),
        running(same.part(slice(900, N)), [0, N - 900], WANTED["HC0"]),
        offset=900,
    )
    leverage, row = sums.suspects.largest()
    design = check_linear_design(endog, exog, instrument)
    basis = basis_from_triangle(design.triangle, N, 5, 7)
    assert leverage == pytest.approx(largest_leverage(endog, exog, instrument, basis)[0], rel=1e-9)
    assert leverage == pytest.approx(1.0)
    assert row == 40


def test_other_widths_do_not_merge(rows):
    first = start_moments(rows, 0, WANTED["HC0"])
    narrow = Rows(rows.endog, rows.exog[:, :3], rows.instrument)
    with pytest.raises(InputError, match="4 regressors and 6 instruments"):
        merge_moments(first, start_moments(narrow, 0, WANTED["HC0"]), offset=0)


def test_clusters_of_numbers_and_of_text_do_not_mix(rows):
    text = Rows(rows.endog, rows.exog, rows.instrument, rows.clusters.astype(str))
    first, second = (start_moments(one, 0, WANTED["cluster"]) for one in (rows, text))
    with pytest.raises(InputError, match="numbers in some blocks and text"):
        merge_moments(first, second, offset=N)
