"""Four parameterisations of orthonormal matrices under equal conditions, on seven problems.

For each problem and chart: smallest bulk ESS per second of processor time and per 1,000 gradients
(warm-up included in both), divergences, and the largest R-hat, over the functionals of the problem:
the entries of Q where these are identified, those of QQ' where only the space is, and the
eigenvalues and the intercept of the network. All charts are compiled and have the same sampler,
draws and starts (drawn uniformly; for the network near its leading eigenvectors). A chart
whose means disagree with those of all charts together is marked.

    python tests/performance/stiefel_charts.py [--draws 1000] [--only uniform] [--csv table.csv]
"""

from __future__ import annotations

import argparse
import os
import time

# One core for everything, before any library starts its threads.
for library in ("OPENBLAS", "OMP", "MKL"):
    os.environ[f"{library}_NUM_THREADS"] = "1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import numpy as np
import pandas as pd
import statsmodels.api as sm

import qbeconometrics as qb
from qbeconometrics import simulate, stiefel
from qbeconometrics.diagnostics.convergence import bulk_ess, mean_mcse, rhat
from qbeconometrics.kernels._stiefel_density import QuadraticTarget
from qbeconometrics.posterior.centered_spaces import centered_spaces
from qbeconometrics.sampling.nuts import sample_density
from qbeconometrics.stiefel.eigenmodel import Eigenmodel

CHAINS = 4
CHARTS = {
    "polar": stiefel.Polar,
    "Householder": stiefel.Householder,
    "Cayley": stiefel.Cayley,
    "Givens": stiefel.Givens,
}
CONCENTRATION = 20.0
NETWORK = {"p": 90, "eigenvalues": (60.0, 40.0, -45.0), "intercept": -1.8}


class MatrixProblem:
    """A target on orthonormal matrices (p, k), and what is known of its law by functionals."""

    def __init__(self, target, p, k, only_space):
        self.target, self.p, self.k, self.only_space = target, p, k, only_space

    def sample(self, name, draws, seed):
        chart = CHARTS[name](self.p, self.k)
        rng = np.random.default_rng(seed)
        starts = [chart.from_matrix(stiefel.rand(self.p, self.k, rng)) for _ in range(CHAINS)]
        sample = sample_density(
            chart.density(self.target), draws, draws, CHAINS, seed, starts, cores=1,
            progressbar=False,
        )  # fmt: skip
        flat = sample.draws.reshape(-1, chart.size)
        Q = np.stack([chart.to_matrix(x) for x in flat]).reshape(CHAINS, draws, self.p, self.k)
        if self.only_space:
            rows, columns = np.triu_indices(self.p)
            return sample, (Q @ Q.swapaxes(-1, -2))[:, :, rows, columns]
        return sample, Q.reshape(CHAINS, draws, -1)


class NetworkProblem:
    """The eigenmodel of a simulated network."""

    def __init__(self):
        links = simulate.network(**NETWORK).to_numpy() == 1
        self.model = Eigenmodel(links, len(NETWORK["eigenvalues"]), np.sqrt(len(links)), 10.0)

    def sample(self, name, draws, seed):
        chart = self.model.chart(name.lower())
        rng = np.random.default_rng(seed)
        starts = [self.model.start(chart, rng) for _ in range(CHAINS)]
        sample = sample_density(
            [self.model.density(chart) for _ in range(CHAINS)], draws, draws, CHAINS, seed, starts,
            cores=1, progressbar=False,
        )  # fmt: skip
        scale, k = self.model.eigenvalue_scale, self.model.rank
        values = np.sort(scale * sample.draws[..., -k - 1 : -1], axis=-1)
        return sample, np.concatenate([values, sample.draws[..., -1:]], axis=-1)


def problems():
    rng = np.random.default_rng(0)
    p, k = 10, 4
    M = CONCENTRATION * np.eye(p, k)
    distance = np.abs(np.subtract.outer(np.arange(10.0), np.arange(10.0)))
    bingham = -0.5 * np.linalg.inv(np.exp(-0.5 * distance**2))
    data = sm.datasets.macrodata.load_pandas().data
    series = np.log(data[["realgdp", "realcons", "realinv"]])
    law = qb.QuasiBayesVECM(series, k_ar_diff=2, coint_rank=1, deterministic="ci").law
    centred = centered_spaces(law, 1)
    return {
        "uniform (10, 4)": lambda: MatrixProblem(QuadraticTarget(p, k), p, k, False),
        "von Mises-Fisher at the identity (10, 4)": lambda: MatrixProblem(
            QuadraticTarget(p, k, linear=M), p, k, False
        ),
        "von Mises-Fisher at minus the identity (10, 4)": lambda: MatrixProblem(
            QuadraticTarget(p, k, linear=-M), p, k, False
        ),
        "von Mises-Fisher anywhere (10, 4)": lambda: MatrixProblem(
            QuadraticTarget(p, k, linear=CONCENTRATION * stiefel.rand(p, k, rng)), p, k, False
        ),
        "Bingham (10, 5)": lambda: MatrixProblem(
            QuadraticTarget(10, 5, quadratic=0.5 * (bingham + bingham.T)), 10, 5, True
        ),
        "cointegration, GDP, consumption, investment (4, 1)": lambda: MatrixProblem(
            centred.target(), law.size, 1, True
        ),
        "network eigenmodel (90, 3)": NetworkProblem,
    }


def measure(problem, name, draws, seed):
    """Functionals of the draws, and a line of the table."""
    began = time.process_time()
    sample, numbers = problem.sample(name, draws, seed)
    seconds = time.process_time() - began
    worth = bulk_ess(numbers).min()
    gradients = float(sample.statistics["gradients"].sum()) + sample.warm_up_gradients
    return numbers, {
        "chart": name,
        "ESS / s": worth / seconds,
        "ESS / 1,000 gradients": 1000.0 * worth / gradients,
        "divergent": int(sample.statistics["divergent"].sum()),
        "R-hat": rhat(numbers).max(),
        "seconds": seconds,
    }


def disagreement(numbers, others):
    """Largest distance of means from those of the other charts, in their standard errors."""
    pooled = np.concatenate(others, axis=0)
    away = np.abs(numbers.mean(axis=(0, 1)) - pooled.mean(axis=(0, 1)))
    return float(np.max(away / np.hypot(mean_mcse(numbers), mean_mcse(pooled))))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="problems whose names begin so")
    parser.add_argument("--csv", help="file for the table")
    given = parser.parse_args()
    lines = []
    for title, make in problems().items():
        if not title.startswith(given.only):
            continue
        print(f"\n{title}\n")
        print("| chart       | ESS / s | ESS / 1,000 gradients | divergent | R-hat |", flush=True)
        print("| ----------- | ------: | --------------------: | --------: | ----: |", flush=True)
        problem = make()
        found = {name: measure(problem, name, given.draws, given.seed) for name in CHARTS}
        for name, (numbers, line) in found.items():
            others = [each for other, (each, _) in found.items() if other != name]
            line["means off by"] = disagreement(numbers, others)
            # The largest of some scores of right means is rarely above five.
            mark = f" means off by {line['means off by']:.1f}" if line["means off by"] > 5.0 else ""
            print(
                f"| {name:11s} | {line['ESS / s']:7.0f} | {line['ESS / 1,000 gradients']:21.1f} |"
                f" {line['divergent']:9d} | {line['R-hat']:5.3f} |{mark}",
                flush=True,
            )
            lines.append({"problem": title, **line})
    if given.csv:
        pd.DataFrame(lines).to_csv(given.csv, index=False)


if __name__ == "__main__":
    main()
