"""The number of lags against statsmodels' choice."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api
from statsmodels.tsa.api import VAR

import qbeconometrics as qb
from qbeconometrics.exceptions import InputError, OptionError
from qbeconometrics.inputs.lag_order import select_lags
from qbeconometrics.inputs.projection_series import check_projection_series


@pytest.fixture(scope="module")
def macro():
    """Growth, inflation and the rate change; quarterly."""
    data = statsmodels.api.datasets.macrodata.load_pandas().data
    frame = pd.DataFrame(
        {
            "growth": 400 * np.log(data["realgdp"]).diff(),
            "inflation": data["infl"],
            "rate": data["tbilrate"],
        }
    )
    return frame.iloc[1:].reset_index(drop=True)


@pytest.mark.parametrize("trend", ["n", "c", "ct", "ctt"])
@pytest.mark.parametrize("criterion", ["aic", "bic"])
def test_equals_statsmodels(macro, criterion, trend):
    series = check_projection_series(macro[["growth", "inflation"]], macro["rate"])
    found = select_lags(series, criterion, trend)
    largest = len(found.values) - 1
    assert largest == int(12 * (len(macro) / 100) ** 0.25) == 14
    theirs = VAR(macro).select_order(largest, trend=trend)
    assert found.order == theirs.selected_orders[criterion]
    values = np.array(theirs.ics[criterion])
    # Without a trend theirs begin at one lag.
    gaps = found.values[largest + 1 - len(values) :] - values
    # They add the penalty of the trend, which is the same at all orders.
    np.testing.assert_allclose(gaps, gaps[0], atol=1e-10)


def test_order_of_a_known_autoregression():
    rng = np.random.default_rng(0)
    y, shock = np.zeros(600), rng.normal(size=600)
    for t in range(3, 600):
        y[t] = 0.3 * y[t - 1] + 0.4 * y[t - 3] + shock[t] + rng.normal()
    assert select_lags(check_projection_series(y, shock), "bic").order == 3
    model = qb.QuasiBayesLP(y, shock, horizon=3, lags="bic")
    assert model.lag_order.order == 3
    assert "lag(y, 4)" in model.design.control_names
    assert "lag(y, 5)" not in model.design.control_names
    fixed = qb.QuasiBayesLP(y, shock, horizon=3, lags=3)
    one, other = (each.fit(rng=0, draws=2_500) for each in (model, fixed))
    np.testing.assert_array_equal(one.draws, other.draws)
    assert "Lags: 3 by BIC" in " ".join(str(one.summary()).split())
    assert "BIC" not in str(other.summary())


def test_missing_rows_are_left_out_at_all_orders(macro):
    short = macro.copy()
    short.iloc[:40] = np.nan
    whole = check_projection_series(macro.iloc[40:][["growth"]], macro.iloc[40:]["rate"])
    padded = check_projection_series(short[["growth"]], short["rate"])
    first, second = (select_lags(series, "aic", "c") for series in (whole, padded))
    np.testing.assert_allclose(first.values, second.values, rtol=1e-12)


def test_small_samples_have_fewer_lags_or_none(macro):
    names = ["growth", "inflation"]
    few = macro.iloc[:40]
    series = check_projection_series(few[names], few["rate"])
    assert len(select_lags(series, "aic").values) - 1 == (40 // 3 - 1) // 3
    too_few = macro.iloc[:9]
    series = check_projection_series(too_few[names], too_few["rate"])
    with pytest.raises(InputError, match=r"9 are complete.*Give the number of lags"):
        select_lags(series, "aic")


@pytest.mark.parametrize("lags", ["hqic", "AIC ", ""])
def test_unknown_words_are_refused(macro, lags):
    with pytest.raises(OptionError, match="lags"):
        qb.QuasiBayesLP(macro["growth"], macro["rate"], lags=lags)
