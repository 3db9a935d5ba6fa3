"""Coverage of the true responses by calibrated regions of local projections.

Usage: ``python projection_calibration.py [data sets] [seed]``. 100 data sets take about an hour on
one core. Design: y is a first-order autoregression, .7, driven by an observed shock and noise of
the same variance; flat prior, one lag (two under lag augmentation). Nominal 95 %; "one" is the
response at the last horizon, for whose interval the rate is calibrated too. Also `study`, which the
long test calls.
"""

import sys
import warnings

import numpy as np
from scipy.stats import chi2

import qbeconometrics as qb
from qbeconometrics.exceptions import QBEconometricsWarning

LEVEL, RHO, WILD = 0.95, 0.7, 50
# Rows, last horizon, covariance.
CASES = [
    (200, 4, "HC1"),
    (200, 4, "HAC"),
    (200, 12, "HC1"),
    (800, 4, "HC1"),
    (800, 4, "HAC"),
    (800, 12, "HC1"),
    (200, 24, "HC1"),
]
COLUMNS = ("joint, rate 1", "joint, calibrated", "mean rate", "one, rate 1", "one, calibrated")


def draw(rng, n):
    shock, noise = rng.standard_normal((2, n + WILD))
    y = np.zeros(n + WILD)
    for t in range(1, n + WILD):
        y[t] = RHO * y[t - 1] + shock[t] + noise[t]
    return y[WILD:], shock[WILD:]


def study(rows, horizon, cov_type, data_sets, seed, replications=200):
    """Coverage by column, and the mean rate of the joint region."""
    rng = np.random.default_rng(seed)
    truth = RHO ** np.arange(horizon + 1)
    found = np.empty((data_sets, len(COLUMNS)))
    for one in found:
        y, shock = draw(rng, rows)
        model = qb.QuasiBayesLP(
            y,
            shock,
            horizon=horizon,
            lags=1,
            lag_augmentation=cov_type == "HC1",
            prior=qb.priors.Flat(),
        )
        options = {
            "fit_kwds": {"cov_type": cov_type},
            "replications": replications,
            "particles": 500,
            "rng": int(rng.integers(2**32)),
        }
        joint = qb.calibrate_learning_rate(model, **options).learning_rate
        last = model.exog_names[-1]
        own = qb.calibrate_learning_rate(model, region="marginal", functional=last, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", QBEconometricsWarning)
            res = model.fit(rng=0, draws=2, chains=1, cov_type=cov_type)
        away = res.params.to_numpy() - truth
        distance = away @ np.linalg.solve(res.cov_params().to_numpy(), away)
        squared = (away[-1] / res.bse.iloc[-1]) ** 2
        bound, bound_of_one = chi2.ppf(LEVEL, len(truth)), chi2.ppf(LEVEL, 1)
        one[:] = (
            distance <= bound,
            joint * distance <= bound,
            joint,
            squared <= bound_of_one,
            own.learning_rate * squared <= bound_of_one,
        )
    return dict(zip(COLUMNS, found.mean(axis=0), strict=True))


def main(data_sets=400, seed=20_261_121):
    print(f"| rows | horizons | covariance | {' | '.join(COLUMNS)} |")
    print("|---" * (len(COLUMNS) + 3) + "|")
    for rows, horizon, cov_type in CASES:
        found = study(rows, horizon, cov_type, data_sets, seed)
        cells = " | ".join(f"{value:.2f}" for value in found.values())
        print(f"| {rows} | 0 to {horizon} | {cov_type} | {cells} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
