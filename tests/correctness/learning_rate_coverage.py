"""Frequentist coverage of Gibbs posteriors of median regression, calibrated and not.

Usage: ``python learning_rate_coverage.py [data sets] [results.csv] [processes]``. Prints, for two
designs and two numbers of rows, the share of data sets whose nominal 95 % joint loss region, and
interval of the slope, covers the truth. Every data set costs a calibration by 200 replications; on
one core 1,000 of each of the four cells take some forty minutes. Cells take turns, and with a
second argument each data set becomes a line of that file as it is done, so that a run that is
stopped can be read, and one started anew goes on where the last one stopped. A data set depends on
its seed alone, so that any number of processes gives the same table. Also `coverage`, which the
long tests call.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

import qbeconometrics as qb

TRUTH = np.array([2.0, 1.0])
# Standard deviation of the normal errors at x, which is a chi-square of two degrees less two.
DESIGNS = {
    "homo": lambda x: np.full(len(x), 2.0),
    "het": lambda x: 0.5 + np.abs(x),
}
ROWS = (100, 400)
METHODS = (
    "uncalibrated",
    "coverage",
    "information-matching",
    "open-faced-sandwich",
    "location-scale",
)


def simulate(design, n, seed):
    """Outcome (n,) and regressors (n, 2)."""
    rng = np.random.default_rng([seed, n, list(DESIGNS).index(design)])
    x = rng.chisquare(2, n) - 2.0
    exog = np.column_stack([np.ones(n), x])
    return exog @ TRUTH + DESIGNS[design](x) * rng.standard_normal(n), exog


def one_data_set(design, n, seed, methods=METHODS, **options):
    """A row for each method: rate, length of the slope's interval, and what covers the truth."""
    endog, exog = simulate(design, n, seed)
    model = qb.QuasiBayesM(
        endog, exog, loss=qb.losses.Quantile(0.5), posterior="gibbs", prior=qb.priors.Flat()
    )
    found = qb.compare_calibrations(model, truth=TRUTH, methods=methods, rng=seed, **options)
    slope = exog.shape[1] - 1
    return pd.DataFrame(
        {
            "design": design,
            "n": n,
            "seed": seed,
            "method": found.methods,
            "rate": found.learning_rate.to_numpy(),
            "length": found.lengths.iloc[:, slope].to_numpy(),
            "slope": found.covers.iloc[:, slope].to_numpy(),
            "joint": found.covers["joint"].to_numpy(),
        }
    )


def table(rows):
    """Shares, and means of lengths and rates, by design, number of rows and method."""
    cells = rows.groupby(["design", "n", "method"], sort=False)
    found = cells[["joint", "slope", "length", "rate"]].mean()
    found.insert(0, "data sets", cells.size())
    return found


def coverage(design, n, data_sets, methods=METHODS, executor=None, **options):
    """The table of one cell; data sets are shared out by a `concurrent.futures.Executor`."""
    study = partial(one_data_set, design, n, methods=methods, **options)
    rows = (map if executor is None else executor.map)(study, range(data_sets))
    return table(pd.concat(rows)).loc[design, n]


def main(data_sets, path, processes):
    done, rows = set(), []
    if path is not None and path.exists():
        rows.append(pd.read_csv(path))
        done = set(rows[0][["design", "n", "seed"]].itertuples(index=False, name=None))
    cells = [(design, n, seed) for seed in range(data_sets) for n in ROWS for design in DESIGNS]
    cells = [cell for cell in cells if cell not in done]
    with ProcessPoolExecutor(processes) if processes > 1 else nullcontext() as pool:
        for found in (pool.map if pool else map)(one_data_set, *zip(*cells, strict=True)):
            rows.append(found)
            if path is not None:
                found.to_csv(path, mode="a", header=not path.exists(), index=False)
    print(table(pd.concat(rows)).round(3).to_string())


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 1_000,
        Path(sys.argv[2]) if len(sys.argv) > 2 else None,
        int(sys.argv[3]) if len(sys.argv) > 3 else 1,
    )
