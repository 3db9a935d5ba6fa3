"""Fixed effects taken out of columns, against dummies and against pyhdfe."""

import numpy as np
import pandas as pd
import pyhdfe
import pytest

from qbeconometrics.exceptions import InputError, NumericalError
from qbeconometrics.inputs import absorption
from qbeconometrics.inputs.absorption import absorb, fixed_effects, level_codes


def panel(n, first, second, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.column_stack([rng.integers(first, size=n), rng.integers(second, size=n)])
    return codes.astype(float), rng.normal(size=(n, 3)) * [1.0, 1e6, 1e-6], rng.uniform(0.1, 9, n)


def dummies(effects):
    return np.hstack(
        [np.eye(count)[codes] for codes, count in zip(effects.codes, effects.counts, strict=True)]
    )


@pytest.mark.parametrize("most_factored", [absorption.MOST_FACTORED, 0], ids=["factor", "iterate"])
@pytest.mark.parametrize("weighted", [False, True])
# The last has many rows alone, and many connected components.
@pytest.mark.parametrize(("n", "first", "second"), [(400, 30, 8), (400, 8, 30), (300, 200, 180)])
def test_two_ways_are_dummies(monkeypatch, most_factored, weighted, n, first, second):
    monkeypatch.setattr(absorption, "MOST_FACTORED", most_factored)
    codes, columns, weights = panel(n, first, second)
    effects = fixed_effects(codes, ["firm", "year"])
    found = absorb(columns, effects, weights if weighted else None)
    root = np.sqrt(weights)[:, None] if weighted else np.ones((n, 1))
    D = dummies(effects)
    fitted = np.linalg.lstsq(root * D, root * columns, rcond=None)[0]
    scale = np.abs(columns).max(axis=0)
    np.testing.assert_allclose(found / scale, (columns - D @ fitted) / scale, atol=1e-12)
    assert effects.df == np.linalg.matrix_rank(D)


def test_one_way_is_exact():
    codes, columns, weights = panel(500, 20, 3)
    effects = fixed_effects(codes[:, :1], ["firm"])
    frame = pd.DataFrame(columns)
    expected = frame - frame.groupby(codes[:, 0]).transform("mean")
    np.testing.assert_allclose(absorb(columns, effects, None), expected, rtol=1e-9, atol=1e-12)
    within = absorb(columns, effects, weights)
    sums = pd.DataFrame(within * weights[:, None]).groupby(codes[:, 0]).sum()
    np.testing.assert_allclose(sums / np.abs(columns).max(axis=0), 0.0, atol=1e-12)
    assert effects.df == 20


def test_many_levels_agree_with_pyhdfe():
    codes, columns, _ = panel(20_000, 5000, 4000)
    # Its tolerance is absolute.
    columns = columns / np.abs(columns).max(axis=0)
    effects = fixed_effects(codes, ["firm", "worker"])
    options = {"drop_singletons": False, "compute_degrees": False, "options": {"tol": 1e-13}}
    expected = pyhdfe.create(codes, **options).residualize(columns)
    np.testing.assert_allclose(absorb(columns, effects, None), expected, atol=1e-9)


def test_singletons_and_rank_agree_with_pyhdfe():
    codes, _, _ = panel(600, 200, 150)
    effects = fixed_effects(codes, ["firm", "worker"])
    assert effects.n_singletons == pyhdfe.create(codes, drop_singletons=True).singletons > 0
    # Its degrees leave these rows out.
    assert effects.df - effects.n_singletons == pyhdfe.create(codes, drop_singletons=False).degrees


def test_failure_of_the_iterations_is_an_error(monkeypatch):
    monkeypatch.setattr(absorption, "MOST_FACTORED", 0)
    monkeypatch.setattr(absorption, "MOST_ITERATIONS", 1)
    codes, columns, _ = panel(300, 200, 180)
    with pytest.raises(NumericalError, match=r"firm \(\d+\), year .* could not be taken out"):
        absorb(columns, fixed_effects(codes, ["firm", "year"]), None)


@pytest.mark.parametrize(
    "levels",
    [
        ["a", "b", "a", None],
        np.array([2.5, 1.0, 2.5, np.nan]),
        pd.Series(pd.Categorical(["x", "y", "x", None]), name="state"),
        pd.Series(pd.to_datetime(["2020-01-01", "2021-01-01", "2020-01-01", None])),
    ],
)
def test_levels_of_any_kind(levels):
    np.testing.assert_array_equal(level_codes(levels).values[:, 0], [0.0, 1.0, 0.0, np.nan])


@pytest.mark.parametrize(
    ("levels", "message"),
    [(np.zeros((3, 3)), "3 columns"), (3, "not int"), ([[1], [2, 3]], "columns|told apart")],
)
def test_bad_levels(levels, message):
    with pytest.raises(InputError, match=message):
        level_codes(levels)
