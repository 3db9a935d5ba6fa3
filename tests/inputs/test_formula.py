"""Blocks that patsy builds from a formula, with missing rows, levels and transforms."""

import numpy as np
import pandas as pd
import patsy
import pytest

from qbeconometrics.exceptions import FormulaError, InputError
from qbeconometrics.inputs.design import check_linear_design
from qbeconometrics.inputs.formula import build_blocks, exog_for_prediction

# Means and splines are recomputed, not copied, so only rounding may differ.
ROUNDING = 1e-12


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    n = 60
    data = pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": 5 + rng.normal(size=n),
            "z": rng.normal(size=n),
            "w": rng.normal(size=n),
            "q": rng.choice(list("abc"), n),
            "r": rng.choice([1, 2, 3], n),
        },
        index=[f"row{i}" for i in range(n)],
    )
    data["d"] = data.z + data.w + data.x + rng.normal(size=n)
    data["a|b"] = data.z
    return data


def twice(values):
    return 2 * values


def test_bracket_and_bar_grammars_agree(frame):
    brackets = build_blocks("y ~ x + [d ~ z + w]", frame)
    bar = build_blocks("y ~ x + d | x + z + w", frame)
    pd.testing.assert_frame_equal(brackets.exog, bar.exog)
    pd.testing.assert_frame_equal(brackets.instrument, bar.instrument)
    pd.testing.assert_series_equal(brackets.endog, bar.endog)
    assert list(bar.exog) == ["Intercept", "x", "d"]
    assert list(bar.instrument) == ["Intercept", "x", "z", "w"]


def test_regressors_are_their_own_instruments_without_bar_or_brackets(frame):
    blocks = build_blocks("y ~ x + d", frame)
    assert blocks.instrument is blocks.exog


def test_exogenous_regressors_come_first(frame):
    blocks = build_blocks("y ~ [d ~ z] + x + C(q)", frame)
    assert list(blocks.exog) == ["Intercept", "C(q)[T.b]", "C(q)[T.c]", "x", "d"]


@pytest.mark.parametrize(
    ("formula", "exog", "instrument"),
    [
        ("y ~ [d ~ C(q)]", ["Intercept", "d"], ["Intercept", "C(q)[T.b]", "C(q)[T.c]"]),
        ("y ~ [C(r) ~ C(q)]", ["Intercept", "C(r)[T.2]", "C(r)[T.3]"], None),
        ("y ~ 0 + x + [d ~ z]", ["x", "d"], ["x", "z"]),
        ("y ~ [d ~ z] - 1", ["d"], ["z"]),
        ("y ~ x - 1", ["x"], ["x"]),
        ("y ~ 1", ["Intercept"], ["Intercept"]),
        ("y ~ np.log(x) + x:w", ["Intercept", "np.log(x)", "x:w"], None),
        ("y ~ [d ~ Q('a|b')]", ["Intercept", "d"], ["Intercept", "Q('a|b')"]),
        ("y ~ d | C(q)", ["Intercept", "d"], ["Intercept", "C(q)[T.b]", "C(q)[T.c]"]),
    ],
)
def test_columns_of_the_blocks(frame, formula, exog, instrument):
    blocks = build_blocks(formula, frame)
    assert list(blocks.exog) == exog
    if instrument is not None:
        assert list(blocks.instrument) == instrument


def test_blocks_pass_the_design_checks(frame):
    blocks = build_blocks("y ~ x + C(q) + [d ~ z + bs(w, df=4)]", frame)
    design = check_linear_design(blocks.endog, blocks.exog, blocks.instrument)
    assert [design.exog_names[j] for j in design.endogenous] == ["d"]
    assert len(design.excluded) == 5
    assert list(design.row_labels) == list(frame.index)


def test_functions_come_from_the_environment_given(frame):
    blocks = build_blocks("y ~ twice(x)", frame, eval_env=patsy.EvalEnvironment.capture())
    np.testing.assert_array_equal(blocks.exog["twice(x)"], 2 * frame.x)
    with pytest.raises(FormulaError, match="function 'twice'"):
        build_blocks("y ~ twice(x)", frame)


def test_missing_rows_are_dropped_over_all_blocks(frame):
    frame.loc["row1", "y"] = np.nan
    frame.loc["row2", "x"] = np.nan
    frame.loc["row3", "d"] = np.nan
    frame.loc["row4", "z"] = np.nan
    frame.loc["row5", "q"] = None
    frame.loc["row6", "w"] = np.nan
    blocks = build_blocks("y ~ x + C(q) + [d ~ z]", frame)
    assert blocks.n_dropped == 5
    expected = frame.index.drop([f"row{i}" for i in range(1, 6)])
    for block in (blocks.endog, blocks.exog, blocks.instrument):
        assert block.index.equals(expected)
    assert list(frame.index[blocks.kept]) == list(expected)


@pytest.mark.parametrize("transform", ["center(x)", "standardize(x)", "bs(x, df=4)", "cr(x, df=4)"])
def test_stateful_transforms_see_the_final_sample_only(frame, transform):
    frame.loc["row7", "x"] = np.nan
    frame.loc["row9", "x"] = 100.0
    frame.loc["row9", "w"] = np.nan
    blocks = build_blocks(f"y ~ w + {transform}", frame)
    clean = build_blocks(f"y ~ w + {transform}", frame.drop(["row7", "row9"]))
    assert blocks.n_dropped == 2
    pd.testing.assert_frame_equal(blocks.exog, clean.exog, rtol=ROUNDING)


def test_lags_reach_the_row_before_also_when_it_is_dropped(frame):
    frame.loc["row7", "w"] = np.nan
    blocks = build_blocks("y ~ w + x.shift(1)", frame)
    assert blocks.n_dropped == 2
    assert blocks.exog.loc["row8", "x.shift(1)"] == frame.loc["row7", "x"]


def test_levels_without_a_kept_row_make_no_column(frame):
    frame["g"] = pd.Categorical(frame.q, categories=["a", "b", "c", "unused"])
    frame.loc[frame.q == "c", "x"] = np.nan
    for term in ("C(q)", "q", "g", "C(g)"):
        blocks = build_blocks(f"y ~ x + {term}", frame)
        assert [name for name in blocks.exog if name.startswith(term)] == [f"{term}[T.b]"]


@pytest.mark.parametrize("missing", ["raise", "none"])
def test_missing_value_is_named_when_not_dropped(frame, missing):
    frame.loc["row7", "x"] = np.nan
    with pytest.raises(InputError, match=r"'np.log\(x\)'.*1 row.*'row7'"):
        build_blocks("y ~ np.log(x)", frame, missing=missing)


def test_all_rows_missing_names_the_term(frame):
    frame["x"] = np.nan
    with pytest.raises(InputError, match="'x' is missing in 60 of 60"):
        build_blocks("y ~ x + z", frame)


def test_nullable_dtypes_equal_plain_ones(frame):
    nullable = frame.assign(
        x=frame.x.astype("Float64"), r=frame.r.astype("Int64"), q=frame.q.astype("string")
    )
    nullable.loc["row3", "x"] = pd.NA
    nullable.loc["row4", "q"] = pd.NA
    frame.loc["row3", "x"] = np.nan
    frame.loc["row4", "q"] = np.nan
    formula = "y ~ x + r + C(r):w + q + [d ~ z]"
    left, right = build_blocks(formula, nullable), build_blocks(formula, frame)
    assert left.n_dropped == 2
    pd.testing.assert_frame_equal(left.exog, right.exog)


def test_boolean_columns(frame):
    frame["b"] = frame.x > 5
    blocks = build_blocks("b ~ z", frame)
    assert set(blocks.endog) == {0.0, 1.0}
    nullable = frame.assign(b=frame.b.astype("boolean"))
    for data in (frame, nullable):
        assert list(build_blocks("y ~ b", data).exog) == ["Intercept", "b[T.True]"]


def test_mapping_is_accepted_and_nothing_is_modified(frame):
    before = frame.copy()
    columns = {name: frame[name].to_numpy() for name in frame}
    blocks = build_blocks("y ~ center(x) + [d ~ z]", columns)
    np.testing.assert_array_equal(blocks.endog, frame.y)
    build_blocks("y ~ center(x) + [d ~ z]", frame)
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("y ~ xx", "column 'xx' is not in data. Did you mean 'x'"),
        ("y ~ Q('a b')", "column 'a b' is not in data. Did you mean 'a|b'"),
        ("y ~ x + [dd ~ z]", "column 'dd' is not in data"),
        ("y ~ sum", "column 'sum' is not in data"),
        ("y + x ~ w", "must be a single column"),
        ("1 ~ w", "must be a single column"),
        ("bs(y, df=4) ~ w", "must be a single column"),
        ("q ~ x", "'q' is categorical"),
        ("C(r) ~ x", r"'C\(r\)' is categorical"),
        ("y ~ x +* z", "expected a noun"),
        ("y ~ np.lgo(x)", "no attribute 'lgo'"),
        ("y ~ np.mean(x)", "has 1 value.*60 rows"),
        ("y ~ x[0:3]", "has 3 value.*60 rows"),
        ("y ~ x + [d ~ x]", "'x' stands outside"),
        ("y ~ d + [d ~ z]", "'d' stands outside"),
        ("y ~ [d ~ d]", "'d' stands on both sides"),
        ("y ~ 0", "gives no column"),
        ("y ~ [1 ~ z]", "gives no column"),
        ("y ~ lambda: x", "not a valid expression"),
    ],
)
def test_formula_that_cannot_be_evaluated_says_why(frame, formula, words):
    with pytest.raises(FormulaError, match=words.replace("|", r"\|")):
        build_blocks(formula, frame)


def test_columns_of_unusable_kind_are_named(frame):
    frame["when"] = pd.date_range("2020-01-01", periods=len(frame))
    frame["mixed"] = frame.x.astype(object)
    frame["text"] = frame.x.astype(str)
    frame["complex"] = frame.x + 1j
    for column, words in (
        ("when", "'when' has dtype datetime64"),
        ("mixed", "'mixed' has dtype object but holds numbers"),
        ("text", "'text' is text with 60 different values"),
        ("complex", "'complex' has dtype complex"),
    ):
        with pytest.raises(FormulaError, match=words):
            build_blocks(f"y ~ {column}", frame)
    doubled = pd.concat([frame, frame[["x"]]], axis=1)
    with pytest.raises(FormulaError, match="2 columns named 'x'"):
        build_blocks("y ~ x", doubled)


def test_data_of_unusable_form(frame):
    with pytest.raises(InputError, match="zero rows"):
        build_blocks("y ~ x", frame.iloc[:0])
    with pytest.raises(InputError, match="not ndarray"):
        build_blocks("y ~ x", frame[["y", "x"]].to_numpy())
    with pytest.raises(InputError, match="equal length"):
        build_blocks("y ~ x", {"y": [1, 2], "x": [1, 2, 3]})


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x + [d ~ z]",
        "y ~ 1",
        "y ~ C(q) + center(x) + [bs(d, df=4) ~ z + w]",
        "y ~ g*x + d | g + z",
        "y ~ 0 + [d ~ z]",
    ],
)
def test_prediction_repeats_the_regressors_in_any_row_order(frame, formula):
    frame["g"] = pd.Categorical(frame.q, categories=["a", "b", "c", "unused"])
    blocks = build_blocks(formula, frame)
    shuffled = frame.drop(columns="y").sample(frac=1.0, random_state=np.random.default_rng(1))
    predicted = exog_for_prediction(blocks.recipe, shuffled)
    assert predicted.index.equals(shuffled.index)
    pd.testing.assert_frame_equal(predicted.loc[frame.index], blocks.exog, rtol=ROUNDING)


def test_prediction_keeps_rows_with_missing_values_as_nan(frame):
    blocks = build_blocks("y ~ C(q) + bs(x, df=4) + [d ~ z]", frame)
    new = frame.copy()
    new.loc["row1", "x"] = np.nan
    new.loc["row2", "q"] = None
    new.loc["row3", "d"] = np.nan
    predicted = exog_for_prediction(blocks.recipe, new)
    missing = predicted.isna()
    assert list(predicted.index[missing.all(axis=1)]) == ["row1", "row2", "row3"]
    assert missing.to_numpy().sum() == 3 * blocks.exog.shape[1]


def test_prediction_names_missing_columns_and_new_levels(frame):
    blocks = build_blocks("y ~ C(q) + x + [d ~ z]", frame)
    with pytest.raises(FormulaError, match="column 'd' of the regressors is not in the new data"):
        exog_for_prediction(blocks.recipe, frame[["q", "x"]])
    with pytest.raises(FormulaError, match=r"(?s)'other' does not match.*C\(q\)"):
        exog_for_prediction(blocks.recipe, frame.assign(q="other"))
