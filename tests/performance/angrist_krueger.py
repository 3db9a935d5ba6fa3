"""All 329,509 men of Angrist and Krueger (1991), against linearmodels' two-step fit.

    python tests/performance/angrist_krueger.py ak1991_full.csv.gz [--rivals iv30 iv180]

Estimates and seconds of the whole fit, formula included, one thread. See docs/large_data.md for
the file.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import time
import warnings

import numpy as np
import pandas as pd

import qbeconometrics as qb

QUARTERS = "(I(1.0 * (qob == 1)) + I(1.0 * (qob == 2)) + I(1.0 * (qob == 3)))"
FORMULAS = {
    "iv30": f"lwage ~ C(yob) + [education ~ {QUARTERS}:C(yob)]",
    "iv180": f"lwage ~ C(yob) + C(sob) + [education ~ {QUARTERS}:C(yob) + {QUARTERS}:C(sob)]",
}


def ours(name, data):
    """Fit with a flat prior, whose posterior mean and sd are the two-step estimate and its s.e."""
    stat = qb.LinearMoments(FORMULAS[name], compress=True).update(data)
    model = qb.QuasiBayesIV.from_moments(stat, partial_out=True, prior=qb.priors.Flat())
    res = model.fit(quasi_likelihood="two-step", rng=0)
    return res.params["education"], res.bse["education"]


def rival(name, data):
    """Two-step GMM of linearmodels, whose columns are made as fast as pandas can."""
    from linearmodels.iv import IVGMM

    years = pd.get_dummies(data["yob"], dtype=float, prefix="y")
    controls = years.iloc[:, 1:].assign(const=1.0)
    parts = [years]
    if name == "iv180":
        states = pd.get_dummies(data["sob"], dtype=float).iloc[:, 1:]
        controls = pd.concat([controls, states], axis=1)
        parts.append(states)
    instruments = pd.concat(
        [
            part.mul((data["qob"] == quarter) * 1.0, axis=0).add_prefix(f"q{quarter}_")
            for quarter in (1, 2, 3)
            for part in parts
        ],
        axis=1,
    )
    model = IVGMM(data["lwage"], controls, data[["education"]].astype(float), instruments)
    res = model.fit(iter_limit=2)
    return res.params["education"], res.std_errors["education"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path")
    parser.add_argument("--rivals", nargs="*", default=[])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    data = qb.datasets.load_ak1991(arguments.path)
    for name in FORMULAS:
        times = {}
        for who, fit in (("ours", ours), ("linearmodels", rival)):
            if who == "linearmodels" and name not in arguments.rivals:
                continue
            began, used = time.perf_counter(), time.process_time()
            estimate, error = fit(name, data)
            times[who] = time.process_time() - used
            print(
                f"{name} {who:<13} {estimate:.10f} ({error:.10f}) "
                f"{time.perf_counter() - began:7.2f} s, processor {times[who]:7.2f} s"
            )
        if len(times) == 2:
            print(f"{name} ratio {times['linearmodels'] / times['ours']:.1f}")
        if not np.isfinite(estimate):
            raise SystemExit("no estimate")


if __name__ == "__main__":
    main()
