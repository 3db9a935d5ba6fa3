"""Coverage of the pseudo-true value by calibrated regions of moments, with three kinds of weight.

Usage: ``python moment_calibration.py [data sets] [seed]``. 150 data sets take about ten minutes on
one core. Design: n = 1,000, five instruments, one coefficient and an endogenous regressor; where
the moments do not hold, the last instrument has an effect of its own. Nominal 95 %. Also `study`,
which the long test calls.
"""

import sys
from contextlib import contextmanager, nullcontext

import numpy as np
from scipy.stats import chi2

import qbeconometrics as qb
from qbeconometrics.calibration import replicated_moments

N = 1_000
STRENGTH = np.array([0.4, 0.3, 0.3, 0.2, 0.2])
INVALID = np.array([0.0, 0.0, 0.0, 0.0, 1.5])
LEVEL = 0.95
# Rows from which the pseudo-true values are computed: their own error is 1/60 of an estimate's.
MANY = 4_000_000
CASES = {
    "two-step, valid moments": (0.0, None),
    "identity weight, misspecified": (1.0, "identity"),
    "two-step, misspecified": (1.0, None),
}
COLUMNS = ("recentred", "not recentred", "recentred, squared weights in S", "rate 1")


def draw(rng, n, invalid):
    z = rng.standard_normal((n, 5))
    common = rng.standard_normal(n)
    d = z @ STRENGTH + common
    error = 0.6 * common + 0.8 * rng.standard_normal(n)
    return d + error + invalid * (z @ INVALID), d, z


def pseudo_true(invalid, weight, rng):
    """The coefficient that the criterion has its minimum at in the population."""
    y, d, z = draw(rng, MANY, invalid)
    slope, moment = z.T @ d / MANY, z.T @ y / MANY
    if weight is not None:
        return slope @ moment / (slope @ slope)
    first = np.linalg.inv(z.T @ z / MANY)
    scores = z * (y - d * (slope @ first @ moment) / (slope @ first @ slope))[:, None]
    weighted = np.linalg.solve(scores.T @ scores / MANY, slope)
    return weighted @ moment / (weighted @ slope)


@contextmanager
def squared_weights():
    """The mistake of counting a row that is drawn w times w squared times in S."""
    right = replicated_moments._score_products
    replicated_moments._score_products = lambda rows, w, at: right(rows, w**2, at)
    try:
        yield
    finally:
        replicated_moments._score_products = right


def calibrated_rate(model, column, weight, options):
    """The rate of a column of the table; NaN where it does not apply."""
    if column == "rate 1":
        return 1.0
    mistaken = column.endswith("squared weights in S")
    if mistaken and weight is not None:
        return np.nan
    with squared_weights() if mistaken else nullcontext():
        recentre = column.startswith("recentred")
        return qb.calibrate_learning_rate(model, recentre=recentre, **options).learning_rate


def study(name, data_sets, seed, particles=500, columns=COLUMNS):
    """Coverage of the pseudo-true value by column; NaN where the column does not apply."""
    invalid, weight = CASES[name]
    rng = np.random.default_rng(seed)
    truth = pseudo_true(invalid, weight, rng)
    kwds = {"quasi_likelihood": "two-step", "weight_matrix": weight}
    inside = np.full((data_sets, len(columns)), np.nan)
    for own in inside:
        y, d, z = draw(rng, N, invalid)
        model = qb.QuasiBayesIV(y, d[:, None], z, prior=qb.priors.Flat())
        options = {"fit_kwds": kwds, "rng": int(rng.integers(2**32)), "particles": particles}
        res = model.fit(rng=0, **kwds)
        distance = ((truth - res.params.iloc[0]) / res.bse.iloc[0]) ** 2
        for j, column in enumerate(columns):
            rate = calibrated_rate(model, column, weight, options)
            if np.isfinite(rate):
                own[j] = rate * distance <= chi2.ppf(LEVEL, 1)
    return dict(zip(columns, inside.mean(axis=0), strict=True))


def main(data_sets=150, seed=20_261_121):
    print(f"| | {' | '.join(COLUMNS)} |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for name in CASES:
        found = study(name, data_sets, seed)
        cells = ["" if np.isnan(share) else f"{share:.2f}" for share in found.values()]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
