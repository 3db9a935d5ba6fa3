"""Passes and seconds of calibrating a learning rate, by algorithm.

Median regression after Syring and Martin (2019), n = 100, two coefficients, 200 bootstrap
replications, 2,000 particles (half as many for "smc", its default), normal errors of one variance
and of one that grows with the regressor. The additive searches start at rate 1, as weighted
particles do, stop within .01 of the level, and after 30 passes at the latest. Prints means over
data sets for each design, the coverage of a fresh simulation of the same replications at the rate
found, and how many times the passes and seconds of weighted particles (and the seconds of "smc")
the additive searches need: ratios of means, their geometric mean over the designs. Seconds are of
processor time.

    OPENBLAS_NUM_THREADS=1 python tests/performance/calibration.py [data sets, 20] [results.csv]
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd

import qbeconometrics as qb
from qbeconometrics.calibration.coverage import Region
from qbeconometrics.calibration.problem import CoverageCurve
from qbeconometrics.calibration.resimulation import resimulated
from qbeconometrics.calibration.tempering import tempered
from qbeconometrics.calibration.weighted_particles import weighted_particles
from qbeconometrics.models.calibration import SMC_SHARE
from qbeconometrics.models.loss_calibration import loss_problem

N, REPLICATIONS, PARTICLES = 100, 200, 2_000
# Draws of the fresh simulation: its own noise is not what is measured.
FRESH = 20_000
START = 1.0
DESIGNS = {"homo": lambda x: np.full(len(x), 2.0), "het": lambda x: 0.5 + np.abs(x)}
SEARCHES = {
    "stochastic approximation": lambda problem, curve, seed: resimulated(
        problem, curve, START, seed, PARTICLES, search="syring-martin"
    ),
    "Kesten's rule": lambda problem, curve, seed: resimulated(
        problem, curve, START, seed, PARTICLES, search="kesten"
    ),
    "secant": lambda problem, curve, seed: resimulated(problem, curve, START, seed, PARTICLES),
    "weighted particles": lambda problem, curve, seed: weighted_particles(
        problem, curve, START, seed, PARTICLES
    ),
    "smc": lambda problem, curve, seed: tempered(problem, curve, seed, int(SMC_SHARE * PARTICLES)),
}


def replications_of(design, seed):
    """The bootstrap replications of one data set, and their coverage curve."""
    rng = np.random.default_rng([seed, list(DESIGNS).index(design)])
    x = rng.chisquare(2, N) - 2.0
    exog = np.column_stack([np.ones(N), x])
    endog = exog @ [2.0, 1.0] + DESIGNS[design](x) * rng.standard_normal(N)
    model = qb.QuasiBayesM(
        endog, exog, loss=qb.losses.Quantile(0.5), posterior="gibbs", prior=qb.priors.Flat()
    )
    weights = rng.multinomial(N, np.full(N, 1.0 / N), size=REPLICATIONS).astype(float)
    problem = loss_problem(model, weights)[0]
    return problem, CoverageCurve(Region("loss", 0.05, np.zeros(2), problem.loss_at_estimate))


def measure(data_sets, path):
    rows = []
    for seed in range(data_sets):
        for design in DESIGNS:
            problem, curve = replications_of(design, seed)
            fresh_seed = np.random.SeedSequence([seed, 1])
            for name, search in SEARCHES.items():
                begun = time.process_time()
                found = search(problem, curve, np.random.SeedSequence([seed, 0]))
                seconds = time.process_time() - begun
                fresh = problem.simulate(found.rate, fresh_seed, FRESH)
                rows.append(
                    {
                        "design": design,
                        "search": name,
                        "rate": found.rate,
                        "passes": found.passes,
                        "seconds": seconds,
                        "off by": abs(curve.coverage(fresh, found.rate) - curve.level),
                        "ended": not found.at_bound,
                    }
                )
        if path is not None:
            pd.DataFrame(rows).to_csv(path, index=False)
    return pd.DataFrame(rows)


def main(data_sets, path):
    report(measure(data_sets, path))


def report(rows):
    cells = rows.groupby(["design", "search"], sort=False)
    means = cells[["rate", "passes", "seconds", "off by", "ended"]].mean()
    means["worst off by"] = cells["off by"].max()
    print(means.round(3).to_string())
    by_search = {name: means.xs(name, level="search") for name in SEARCHES}
    for slow, fast, of in (
        ("stochastic approximation", "weighted particles", "passes"),
        ("stochastic approximation", "weighted particles", "seconds"),
        ("Kesten's rule", "weighted particles", "passes"),
        ("Kesten's rule", "weighted particles", "seconds"),
        ("stochastic approximation", "smc", "seconds"),
    ):
        ratio = np.exp(np.mean(np.log(by_search[slow][of] / by_search[fast][of])))
        print(f"{slow} : {fast}, {of}: {ratio:.1f}")


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 20,
        sys.argv[2] if len(sys.argv) > 2 else None,
    )
