"""US monetary policy by local projections with an external instrument.

The one-year rate is instrumented by surprises in federal funds futures around announcements
(data of Gertler and Karadi 2015, CC BY 4.0). Prints the strength of the instrument and what the
posterior says about prices and the credit spread, and writes the responses to
``monetary_policy.png`` in the current folder. Needs ``pip install 'qbeconometrics[plots]'``.
"""

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
from statsmodels.tsa.api import VAR

import qbeconometrics as qb

HORIZON = 36
LAGS = 5
RESPONSES = {
    "gs1": "One-year rate (points)",
    "logcpi": "Consumer prices (per cent)",
    "logip": "Industrial production (per cent)",
    "ebp": "Excess bond premium (points)",
}
INSTRUMENT = "ff4_tc"


def load() -> pd.DataFrame:
    data = qb.datasets.load("gertler_karadi_2015")
    data.index = pd.PeriodIndex(data.pop("date"), freq="M")
    return data.loc["1990-01":"2012-06", [*RESPONSES, INSTRUMENT]]


def main() -> None:
    data = load()
    controls = " + ".join(f"lag({name}, 1, {LAGS})" for name in data.columns)
    model = qb.QuasiBayesLP.from_formula(
        f"{' + '.join(RESPONSES)} ~ [gs1 ~ {INSTRUMENT}] | {controls}", data, horizon=HORIZON
    )
    res = model.fit(rng=0)

    strength = model.first_stage()["effective_f"].iloc[0]
    print(f"Effective F of the surprises: {strength:.1f} ({res.nobs} months)")
    print("\nResponse of consumer prices to a rise of the one-year rate by one point, per cent")
    print(res.irf.loc["logcpi"].iloc[::6].round(2).to_string())
    negative = res.prob_path("<", horizons=range(12, 25), response="logcpi")
    print(f"\nProbability that prices are lower in each month from 12 to 24: {negative:.2f}")
    above = res.prob_path(">", horizons=range(0, 6), response="ebp")
    print(f"Probability that the spread is higher in each of the first six months: {above:.2f}")
    (low, high), *_ = res.robust_set("logcpi[24]")
    print(f"Anderson-Rubin set of prices after 24 months, 90 %: {low:.1f} to {high:.1f}")

    # A vector autoregression with the surprise first (Plagborg-Moller & Wolf 2021), which `plot`
    # scales as the local projections: to a rise of the one-year rate by one point.
    ordered = data[[INSTRUMENT, *RESPONSES]].reset_index(drop=True)
    figure = res.plot(
        compare={"VAR, surprise first": VAR(ordered).fit(LAGS).irf(HORIZON)},
        titles=RESPONSES,
    )
    figure.savefig("monetary_policy.png", dpi=200)
    assert np.isfinite(res.irf.to_numpy()).all()


if __name__ == "__main__":
    main()
