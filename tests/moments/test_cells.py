"""Rows added up by cell, and controls partialled out, against the rows themselves."""

import numpy as np
import pytest

from qbeconometrics.inputs.design import check_linear_design
from qbeconometrics.moments.basis import basis_from_triangle
from qbeconometrics.moments.block_sums import Rows
from qbeconometrics.moments.cells import (
    cell_coordinates,
    cell_leverage,
    cell_statistic,
    cells_of_rows,
    merge_cells,
)
from qbeconometrics.moments.linear import largest_leverage, linear_moment_statistic
from qbeconometrics.moments.partialling import partial_out
from qbeconometrics.moments.running import (
    SumsWanted,
    column_coordinates,
    finished_statistic,
    start_moments,
)

ROUNDING = 1e-11
N = 4_000
FIELDS = (
    "cross",
    "instrument_product",
    "row_product",
    "row_sum",
    "score_product",
    "fourth",
)


@pytest.fixture(scope="module")
def data():
    """Dummies of six places, and their products with a binary instrument."""
    rng = np.random.default_rng(4)
    place, switch = rng.integers(0, 6, N), rng.integers(0, 2, N)
    cells = np.array([(p, s) for p in range(6) for s in range(2)])
    dummies = (cells[:, :1] == np.arange(1, 6)) * 1.0
    controls = np.column_stack([np.ones(12), dummies])
    instrument = np.column_stack([controls, cells[:, 1:], cells[:, 1:] * dummies])
    codes = 2 * place + switch
    v = rng.standard_normal(N)
    d = switch * (1 + place) + v
    y = 100 + 0.5 * d + place + (1 + switch) * (rng.standard_normal(N) + v)
    return codes, controls, instrument, np.column_stack([y, d])


@pytest.fixture(scope="module")
def rows(data):
    codes, controls, instrument, values = data
    return Rows(values[:, 0], np.column_stack([controls[codes], values[:, 1]]), instrument[codes])


@pytest.fixture(scope="module")
def cells(data):
    """In two lots, the second with its cells in another order."""
    codes, controls, instrument, values = data
    first = cells_of_rows(codes[:700], controls, instrument, values[:700], 0, None)
    turned = np.arange(12)[::-1]
    second = cells_of_rows(
        11 - codes[700:], controls[turned], instrument[turned], values[700:], 0, None
    )
    return merge_cells(first, second, later=700)


def assert_same(found, expected):
    assert found.n == expected.n
    for field in FIELDS:
        a, b = getattr(found, field), getattr(expected, field)
        assert np.max(np.abs(a - b)) <= ROUNDING * np.max(np.abs(b)), field


def test_cells_hold_the_statistic(cells, rows):
    assert cells.n == N
    assert len(cells.sums) == 12
    design = check_linear_design(rows.endog, rows.exog, rows.instrument)
    basis = basis_from_triangle(design.triangle, N, 7, 12)
    expected = linear_moment_statistic(rows.endog, rows.exog, rows.instrument, basis)
    assert_same(cell_statistic(cells, basis), expected)


def test_coordinates_of_cells_have_the_inner_products(cells, rows):
    found = cell_coordinates(cells)
    columns = np.column_stack([np.ones(N), rows.instrument, rows.exog, rows.endog])
    short = np.column_stack([found.ones, found.instrument, found.exog, found.endog])
    scale = np.linalg.norm(columns, axis=0)
    difference = short.T @ short - columns.T @ columns
    assert np.max(np.abs(difference / np.outer(scale, scale))) < 1e-13


@pytest.mark.parametrize("kind", ["cells", "running"])
def test_controls_are_partialled_out(cells, rows, kind):
    """Against the residuals of all rows on the controls."""
    running = start_moments(rows, 0, SumsWanted(True))
    coordinates = cell_coordinates(cells) if kind == "cells" else column_coordinates(running)
    left = partial_out(coordinates, (6,), tuple(range(6, 12)), N)
    form, sums = (cell_statistic, cells) if kind == "cells" else (finished_statistic, running)
    found = form(sums, left.whole)
    controls = rows.exog[:, :6]
    residuals = [
        part - controls @ np.linalg.lstsq(controls, part, rcond=None)[0]
        for part in (rows.endog, rows.exog[:, 6:], rows.instrument[:, 6:])
    ]
    expected = linear_moment_statistic(*residuals, left.basis)
    for field in FIELDS:
        a, b = getattr(found, field), getattr(expected, field)
        # The mean of the residuals is rounding.
        scale = np.max(np.abs(b)) if field != "row_sum" else N
        assert np.max(np.abs(a - b)) <= 1e-10 * scale, field


def test_a_cell_of_one_row_has_its_leverage(data):
    codes, controls, instrument, values = data
    # A thirteenth cell, like the sixth but for a dummy of its own.
    controls = np.vstack([controls, controls[5]])
    instrument = np.column_stack([np.vstack([instrument, instrument[5]]), np.arange(13) == 12])
    codes = codes.copy()
    codes[1_234] = 12
    cells = cells_of_rows(codes, controls, instrument, values, 0, None)
    leverage, row = cell_leverage(cells, cell_coordinates(cells))
    exog = np.column_stack([controls[codes], values[:, 1]])
    design = check_linear_design(values[:, 0], exog, instrument[codes])
    basis = basis_from_triangle(design.triangle, N, 7, 13)
    expected = largest_leverage(values[:, 0], exog, instrument[codes], basis)
    assert row == expected[1] == 1_234
    assert leverage == pytest.approx(expected[0], rel=1e-9)
