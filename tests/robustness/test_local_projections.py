"""Local projections: equivalent inputs give equal results, units do not matter, inputs stay put."""

import numpy as np
import pandas as pd
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import InputError

N = 120
ROUNDING = 1e-8


@pytest.fixture(scope="module")
def clean_series():
    """Multiples of 1/64, which float32 holds exactly."""
    rng = np.random.default_rng(4)
    columns = np.round(64 * rng.normal(size=(N, 4))) / 64
    columns[:, 1] += columns[:, 3]
    columns[:, 0] += columns[:, 1]
    return pd.DataFrame(
        columns, columns=["y", "x", "w", "z"], index=pd.period_range("1990Q1", periods=N, freq="Q")
    )


def fit(frame, prior=None, instrument=True, **options):
    model = qb.QuasiBayesLP(
        frame["y"], frame["x"], frame[["w"]], frame["z"] if instrument else None,
        **{"horizon": 4, "lags": 1, "prior": prior, **options},
    )  # fmt: skip
    return model.fit(rng=0, draws=2_500, progressbar=False)


def numbers(res):
    return np.concatenate([res.irf.to_numpy().ravel(), res.draws.ravel()])


@pytest.fixture(scope="module", params=["default", "smooth"])
def prior(request):
    return None if request.param == "default" else qb.priors.Smoothness(2, gamma=(4.0, 1.0))


FORMS = {
    "float32": lambda values: values.astype(np.float32),
    "read-only": lambda values: _read_only(values.copy()),
    "Fortran order": lambda values: np.asfortranarray(values),
    "strided": lambda values: np.repeat(values, 2, axis=0)[::2],
    "list": lambda values: values.tolist(),
}


def _read_only(values):
    values.flags.writeable = False
    return values


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_arrays(clean_series, form):
    change = FORMS[form]
    arrays = [clean_series[name].to_numpy() for name in ("y", "x", "w", "z")]
    plain = qb.QuasiBayesLP(*arrays, horizon=4).fit(rng=0, draws=100)
    changed = qb.QuasiBayesLP(*map(change, arrays), horizon=4).fit(rng=0, draws=100)
    np.testing.assert_array_equal(numbers(plain), numbers(changed))


def test_nullable_columns(clean_series):
    plain = fit(clean_series)
    nullable = fit(clean_series.astype("Float64"))
    np.testing.assert_array_equal(numbers(plain), numbers(nullable))


@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.QBEconometricsWarning")
@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_units_do_not_matter(clean_series, prior, factor):
    plain = fit(clean_series, prior, instrument=False)
    for column, shrink in (("y", factor), ("x", 1.0 / factor), ("w", 1.0)):
        scaled = clean_series.copy()
        scaled[column] = factor * scaled[column] + (0.0 if column == "x" else 3.0 * factor)
        res = fit(scaled, prior, instrument=False)
        np.testing.assert_allclose(
            numbers(res), shrink * numbers(plain), rtol=ROUNDING, atol=ROUNDING * shrink
        )


@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.QBEconometricsWarning")
def test_scale_of_the_instrument_does_not_matter(clean_series, prior):
    plain = fit(clean_series, prior)
    res = fit(clean_series.assign(z=1e6 * clean_series["z"]), prior)
    np.testing.assert_allclose(numbers(res), numbers(plain), rtol=1e-6, atol=1e-6)


def test_rows_without_use_do_not_matter(clean_series):
    """Missing rows before and after change nothing."""
    longer = clean_series.reindex(pd.period_range("1985Q1", periods=N + 40, freq="Q"))
    np.testing.assert_array_equal(numbers(fit(clean_series)), numbers(fit(longer)))


def test_inputs_and_model_are_unchanged(clean_series):
    before = clean_series.copy(deep=True)
    model = qb.QuasiBayesLP.from_formula("y ~ [x ~ z] | w + lag(y, 1, 2)", clean_series, horizon=4)
    first = model.fit(rng=0, draws=100)
    second = model.fit(rng=0, draws=100)
    np.testing.assert_array_equal(first.draws, second.draws)
    pd.testing.assert_frame_equal(clean_series, before)
    table = first.irf
    table.loc[:, :] = 0.0
    assert (first.irf["sd"] > 0).all()
    with pytest.raises(ValueError, match="read-only"):
        first.draws[0, 0, 0] = 1.0


@pytest.mark.parametrize(
    ("name", "value"), [("y", "text"), ("x", 1j), ("z", pd.Timestamp("2000-01-01"))]
)
def test_columns_that_are_no_numbers(clean_series, name, value):
    spoiled = clean_series.astype(object)
    spoiled.iloc[3, spoiled.columns.get_loc(name)] = value
    with pytest.raises(InputError):
        fit(spoiled)
