"""Streams of `OnlineBidirectional`: any split, source, formula and file gives the same bits."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

import qbeconometrics as qb

FORMULA = "y1 + y2 ~ x1 + x2"
N = 4_000
QUADRATIC = {"features": "polynomial", "degree": 2}


@pytest.fixture(scope="module")
def data():
    return qb.simulate.bidirectional(N)


def rows_of(data):
    return data["y1"].to_numpy(), data["y2"].to_numpy(), data[["x1", "x2"]].to_numpy()


def estimator(**changes):
    return qb.OnlineBidirectional(**{"n_features": 20, "rng": 0, **changes})


def streamed(data, sizes=(N,), **changes):
    model, start = estimator(**changes), 0
    for size in sizes:
        model.partial_fit(*rows_of(data[start : start + size]))
        start += size
    return model


def bits(results):
    """All numbers of results that depend on the rows."""
    x = np.linspace(-1.5, 1.5, 5 * len(results.record.exog_names)).reshape(5, -1)
    parts = [
        results.params, results.record.covariance, results.record.tested.covariance,
        results.predict(x), results.conditional_variance(x), results.record.reference,
        results.learning_curve,
    ]  # fmt: skip
    return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)


def test_formulas_are_arrays(data):
    frame = data.assign(group=np.where(data["x1"] > 0.3, "high", "low"))
    formula = "y1 + np.exp(y2 / 9) ~ C(group) + I(x1 ** 2) + x2"
    model = qb.OnlineBidirectional.from_formula(formula, frame, n_features=20, rng=0)
    names = ["C(group)[T.low]", "I(x1 ** 2)", "x2"]
    assert model.feature_names_in_.tolist() == names
    x = np.column_stack([frame["group"] == "low", data["x1"] ** 2, data["x2"]])
    y1, y2 = data["y1"], np.exp(data["y2"] / 9)
    by_formula = model.fit()
    by_arrays = estimator().fit(y1, y2, x)
    np.testing.assert_array_equal(by_formula.params, by_arrays.params)
    np.testing.assert_array_equal(by_formula.cov_params(), by_arrays.cov_params())
    assert by_formula.record.endog_names == ("y1", "np.exp(y2 / 9)")
    new = frame[["group", "x1", "x2"]].iloc[5:9]
    np.testing.assert_array_equal(by_formula.predict(new), by_arrays.predict(x[5:9]))
    assert by_formula.predict(new).index.tolist() == [5, 6, 7, 8]

    model.partial_fit(frame[:1_500]).partial_fit(frame[1_500:])
    stream = estimator().partial_fit(y1, y2, x)
    assert bits(model.result()) == bits(stream.result())


def test_missing_rows_of_a_formula(data):
    holes = data.copy()
    holes.loc[holes.index % 50 == 3, "y2"] = np.nan
    holes.loc[holes.index % 50 == 4, "x1"] = np.nan
    model = qb.OnlineBidirectional.from_formula(FORMULA, holes, n_features=20, rng=0)
    whole = holes.dropna()
    expected = estimator().fit(*rows_of(whole))
    found = model.fit()
    np.testing.assert_array_equal(found.params, expected.params)
    assert (found.record.n_dropped, found.record.n_read) == (N // 25, N - N // 25)
    model.partial_fit_from(holes, block_rows=700)
    assert model.n_rows_ == N - N // 25
    assert model.result().record.n_dropped == N // 25
    second = model.second_pass(holes[:2_000])
    assert (second.nobs, second.record.n_dropped) == (1_920, 80)


@pytest.mark.parametrize(
    "options",
    [{}, {"features": "orthogonal", "optimiser": "amsgrad", "update": "score"}, QUADRATIC],
    ids=["closed form", "score", "polynomial"],
)
def test_any_split_gives_the_same_bits(options, data):
    expected = bits(streamed(data, **options).result())
    rng = np.random.default_rng(1)
    random = np.diff(np.r_[0, np.sort(rng.choice(np.arange(1, N), 25, replace=False)), N])
    for sizes in ([1, 998, 1, 1, 2_999], [N // 2] * 2, random):
        assert bits(streamed(data, sizes, **options).result()) == expected


def test_sources_give_the_same_bits(data, tmp_path):
    data.to_csv(tmp_path / "rows.csv.gz", index=False)
    # Older pandas reads the last digit of some numbers differently.
    data = pd.read_csv(tmp_path / "rows.csv.gz")
    expected = bits(streamed(data).result())
    sources = [
        (tmp_path / "rows.csv.gz", True), (data, True), (lambda: iter([data]), True),
        ((data[start : start + 1_234] for start in range(0, N, 1_234)), True),
        (rows_of(data), False), ([rows_of(data[:100]), rows_of(data[100:])], False),
    ]  # fmt: skip
    for source, named in sources:
        model = estimator()
        if named:
            model = qb.OnlineBidirectional.from_formula(FORMULA, n_features=20, rng=0)
        model.partial_fit_from(source, block_rows=900)
        assert bits(model.result()) == expected


def test_looking_changes_nothing(data):
    first, second = data[:2_350], data[2_350:]
    model = estimator().partial_fit(*rows_of(first))
    model.result().summary()
    model.second_pass(rows_of(data))
    model.fit(*rows_of(data[:900]), baselines=False)
    model.partial_fit(*rows_of(second))
    assert bits(model.result()) == bits(streamed(data).result())


@pytest.mark.parametrize("saved_at", [500, 1_000, 2_345])
def test_saved_and_resumed(saved_at, data, tmp_path):
    frame = data.assign(group=np.where(data["x1"] > 0.3, "high", "low"))
    makers = {
        "arrays": (estimator, rows_of),
        "formula": (
            lambda: qb.OnlineBidirectional.from_formula(
                "y1 + y2 ~ C(group) + x2", n_features=20, rng=0, optimiser="adam", update="gradient"
            ),
            lambda part: (part,),
        ),
    }
    for name, (make, rows) in makers.items():
        model = make().partial_fit(*rows(frame[:saved_at]))
        model.save(tmp_path / name)
        resumed = [qb.OnlineBidirectional.load(tmp_path / name), copy.copy(model)]
        if name == "arrays":
            resumed += [pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
        expected = bits(model.partial_fit(*rows(frame[saved_at:])).result())
        for other in resumed:
            assert other.n_rows_ == saved_at
            assert other.n_features_in_ == 2
            found = other.partial_fit(*rows(frame[saved_at:])).result()
            assert bits(found) == expected
            assert found.record.formula == model.result().record.formula
    restored = qb.OnlineBidirectional.load(tmp_path / "formula")
    assert restored.optimiser == "adam"
    assert restored.rng is None


def test_learning_curve(data):
    curve = streamed(data).result().learning_curve
    assert curve.index.tolist() == [1_000, 2_000, 3_000, 4_000]
    assert (curve.iloc[0, :2] == 0.0).all()
    assert (curve.iloc[1:, :2] != 0.0).all(axis=None)
    assert curve["log_likelihood"].is_monotonic_increasing
    error = (curve[["b12", "b21"]] - [0.5, -0.4]).abs().sum(axis=1)
    assert error.iloc[-1] < 0.5 * error.iloc[0]
    pd.testing.assert_frame_equal(
        streamed(data[:2_999], (2_999,)).result().learning_curve, curve[:2]
    )


def test_random_scaling(data):
    model = streamed(data, optimiser="sgd", update="score")
    res, other = model.result(cov_type="random-scaling"), model.result()
    np.testing.assert_array_equal(other.pvalues.notna(), [True, True])
    half = res.conf_int()[1] - res.params
    np.testing.assert_allclose(half, 6.747 * res.bse, rtol=1e-3)
    np.testing.assert_allclose(res.params, other.params, atol=4.0 * res.bse.max())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        streamed(data, optimiser="sgd", update="gradient").result(cov_type="random-scaling")
