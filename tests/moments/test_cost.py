"""The cost model decides without a clock."""

import pytest

from qbeconometrics.moments.cost import (
    MEMORY_CAP,
    ProblemSize,
    choose_form,
    covariance_cost,
    evaluation_cost,
    statistic_numbers,
    surrogate_cost,
)


def test_statistic_does_not_depend_on_rows():
    small, large = (covariance_cost(ProblemSize(n, 5, 8, "statistic")) for n in (10**3, 10**6))
    assert small == large


def test_many_rows_choose_the_statistic():
    assert choose_form(10**6, 5, 8, 12_000) == "statistic"


def test_many_moments_choose_the_rows():
    assert choose_form(500, 50, 50, 12_000) == "rows"


def test_memory_cap():
    assert 8 * statistic_numbers(200, 200) > MEMORY_CAP
    assert choose_form(10**6, 200, 200, 10**9) == "rows"


def test_building_is_charged_to_few_evaluations():
    assert choose_form(3_000, 16, 16, 1) == "rows"


@pytest.mark.parametrize("form", ["statistic", "rows", "proportional"])
def test_costs_grow_with_the_problem(form):
    small, large = ProblemSize(500, 3, 3, form), ProblemSize(500, 10, 10, form)
    for cost in (covariance_cost, evaluation_cost, surrogate_cost):
        assert 0 < cost(small) < cost(large)
