"""Checked arrays, and what their span says about endogenous regressors and instruments."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from qbeconometrics.exceptions import IdentificationError, InputError, OptionError, RankError
from qbeconometrics.inputs.design import check_linear_design

# Means and standard deviations come from an orthogonal factor instead of sums.
ROUNDING = 1e-12


@pytest.fixture
def data():
    """Outcome, (const, x, d) and (const, x, z1, z2); d is endogenous."""
    rng = np.random.default_rng(0)
    n = 80
    x, z1, z2, u = rng.normal(size=(4, n))
    d = x + z1 + z2 + u
    y = 1 + x + d + u + rng.normal(size=n)
    ones = np.ones(n)
    return y, np.column_stack([ones, x, d]), np.column_stack([ones, x, z1, z2])


def test_classification_names_and_moments(data):
    y, x, z = data
    design = check_linear_design(y, x, z)
    assert design.endog_name == "y"
    assert design.exog_names == ("const", "x1", "x2")
    assert design.instrument_names == ("const", "x1", "z1", "z2")
    assert design.endogenous == (2,)
    assert design.excluded == (2, 3)
    np.testing.assert_array_equal(design.constant, [1.0, 0.0, 0.0])
    np.testing.assert_allclose(design.column_means, x.mean(axis=0), atol=ROUNDING)
    np.testing.assert_allclose(design.column_sds, x.std(axis=0), atol=ROUNDING)
    assert design.endog_mean == pytest.approx(y.mean(), rel=ROUNDING)
    assert design.endog_sd == pytest.approx(y.std(), rel=ROUNDING)
    assert (design.n_dropped, design.kept, design.row_labels) == (0, None, None)
    stacked = np.column_stack([z, x, y])
    np.testing.assert_allclose(
        design.triangle.T @ design.triangle, stacked.T @ stacked, atol=1e-13 * (stacked**2).sum()
    )


def test_array_names_are_those_of_statsmodels(data):
    y, x, _ = data
    for columns in (x, x[:, 1:], x[:, [1, 0, 2]]):
        model = sm.OLS(y, columns)
        design = check_linear_design(y, columns)
        assert list(design.exog_names) == model.exog_names
        assert design.endog_name == model.endog_names


def test_without_instruments_the_regressors_are_their_own(data):
    y, x, _ = data
    for instrument in (None, x, x.copy()):
        design = check_linear_design(y, x, instrument)
        assert (design.endogenous, design.excluded) == ((), ())
        assert design.instrument_names == design.exog_names
    own = check_linear_design(y, x)
    assert own.instrument is own.exog


def test_regressor_in_the_span_of_instruments_is_exogenous(data):
    y, x, z = data
    mixed = x.copy()
    mixed[:, 1] = 3 * z[:, 1] - z[:, 2]
    design = check_linear_design(y, mixed, z)
    assert design.endogenous == (2,)
    assert len(design.excluded) == 2


def test_constant_as_a_sum_of_dummies(data):
    y, _, z = data
    dummies = (np.arange(80)[:, None] % 3 == np.arange(3)).astype(float)
    design = check_linear_design(y, np.column_stack([z[:, 1], 2 * dummies]))
    np.testing.assert_allclose(design.constant, [0, 0.5, 0.5, 0.5], atol=ROUNDING)
    assert check_linear_design(y, z[:, 1:]).constant is None


def test_arrays_are_own_writable_c_ordered_copies(data):
    for order in ("C", "F"):
        y, x, z = (np.array(block, order=order) for block in data)
        for block in (y, x, z):
            block.flags.writeable = False
        design = check_linear_design(y, x, z)
        for own, given in ((design.endog, y), (design.exog, x), (design.instrument, z)):
            assert own.flags.c_contiguous
            assert own.flags.writeable
            assert own.dtype == np.float64
            assert not np.shares_memory(own, given)
            np.testing.assert_array_equal(own, given)


def test_pandas_names_and_labels(data):
    y, x, z = data
    labels = pd.Index([f"r{i}" for i in range(80)])
    design = check_linear_design(
        pd.Series(y, name="wage", index=labels),
        pd.DataFrame(x, columns=["one", "exper", "educ"], index=labels),
        pd.DataFrame(z, columns=["one", "exper", "near2", "near4"], index=labels),
    )
    assert design.endog_name == "wage"
    assert design.exog_names == ("one", "exper", "educ")
    assert design.instrument_names == ("one", "exper", "near2", "near4")
    assert design.row_labels.equals(labels)


def test_array_instruments_take_the_names_of_equal_regressors(data):
    y, x, z = data
    frame = pd.DataFrame(x, columns=["one", "z1", "educ"])
    design = check_linear_design(y, frame, z)
    assert design.instrument_names == ("one", "z1", "z2", "z3")


def test_names_can_be_given(data):
    y, x, z = data
    design = check_linear_design(y, x, z, endog_name="wage", exog_names=["a", "b", "c"])
    assert (design.endog_name, design.exog_names) == ("wage", ("a", "b", "c"))
    with pytest.raises(InputError, match="3 columns but 2 names"):
        check_linear_design(y, x, z, exog_names=["a", "b"])


def test_missing_rows_are_dropped_and_counted(data):
    y, x, z = (block.copy() for block in data)
    y[3], x[5, 1], z[5, 1], z[70, 3] = np.nan, np.nan, np.nan, np.nan
    kept = np.ones(80, dtype=bool)
    kept[[3, 5, 70]] = False
    before = [block.copy() for block in (y, x, z)]
    labels = np.arange(80) * 2
    design = check_linear_design(pd.Series(y, index=labels), x, z, missing="drop")
    assert design.n_dropped == 3
    np.testing.assert_array_equal(design.kept, kept)
    np.testing.assert_array_equal(design.row_labels, labels[kept])
    np.testing.assert_array_equal(design.endog, y[kept])
    np.testing.assert_array_equal(design.exog, x[kept])
    np.testing.assert_array_equal(design.instrument, z[kept])
    assert design.exog.flags.c_contiguous
    for block, old in zip((y, x, z), before, strict=True):
        np.testing.assert_array_equal(block, old)


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_scale_of_columns_does_not_matter(data, scale):
    y, x, z = data
    scaled = check_linear_design(y, x * [1, scale, 1 / scale], z * [1, scale, 1, 1 / scale])
    assert (scaled.endogenous, scaled.excluded) == ((2,), (2, 3))


def test_weak_instruments_are_not_refused(data):
    y, x, z = data
    weak = np.random.default_rng(1).normal(size=80)
    design = check_linear_design(y, x, np.column_stack([z[:, :2], weak]))
    assert (design.endogenous, design.excluded) == ((2,), (2,))


def test_instruments_that_explain_nothing_are_refused():
    x = np.tile([1.0, 1.0, -1.0, -1.0], 10) * np.repeat(np.arange(1, 11), 4)
    z = np.tile([1.0, -1.0], 20) * np.repeat(np.arange(1, 11), 4)
    y = np.random.default_rng(2).normal(size=40)
    ones = np.ones(40)
    with pytest.raises(IdentificationError, match="do not move the endogenous regressor 'x1'"):
        check_linear_design(y, np.column_stack([ones, 1e6 + x]), np.column_stack([ones, z]))


def test_two_regressors_moved_by_one_combination_are_refused(data):
    y, x, z = data
    # The second differs from the first by noise that the instruments do not explain at all.
    noise = np.random.default_rng(3).normal(size=80)
    noise -= z @ np.linalg.lstsq(z, noise)[0]
    both = np.column_stack([x, x[:, 2] + noise])
    with pytest.raises(IdentificationError, match="'x3' only together with 'x2'"):
        check_linear_design(y, both, z)


def test_too_few_instruments_names_the_regressors(data):
    y, x, z = data
    with pytest.raises(IdentificationError, match=r"'x2'.*at least 1 excluded.*there are 0"):
        check_linear_design(y, x, z[:, :2])


def test_excluded_instruments_alone_are_refused_with_advice(data):
    y, x, z = data
    words = r"'const'.*instrument must also hold the exogenous regressors"
    with pytest.raises(IdentificationError, match=words):
        check_linear_design(y, x, z[:, 2:])
    with pytest.raises(IdentificationError, match="must also hold the exogenous"):
        check_linear_design(y, x[:, 1:], z[:, 2:3])


def test_rank_messages_mention_dropped_rows(data):
    y, x, z = (block.copy() for block in data)
    x[:, 1] = 2.0
    x[0, 1] = 3.0
    y[0] = np.nan
    with pytest.raises(RankError, match="after dropping 1 rows"):
        check_linear_design(y, x, missing="drop")
    assert z.shape == (80, 4)


def test_missing_must_be_known(data):
    y, x, _ = data
    with pytest.raises(OptionError, match=r"missing='dorp' is not known\. Did you mean 'drop'"):
        check_linear_design(y, x, missing="dorp")
