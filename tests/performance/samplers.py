"""Effective draws per second of the samplers, side by side.

    python tests/performance/samplers.py [--repeats 5]

Heteroskedastic regressions whose regressors are their own instruments, S formed from the rows in
every sampler, one thread. Prints the smallest bulk effective sample size per second of sampling
(warm-up and set-up left out) and the ratios to `rwm`; medians over repeats that take turns.
"""

import argparse
from dataclasses import dataclass

import numpy as np

import qbeconometrics as qb
from qbeconometrics.diagnostics.convergence import bulk_ess
from qbeconometrics.sampling.options import SampleOptions, parse_sampler_kwds
from qbeconometrics.sampling.run import sample

DESIGNS = ((500, 3), (500, 10), (1_000, 20))
SAMPLERS = ("rwm", "da", "da-exact", "da-approx")
# Random walks need more draws for a stable effective sample size.
DRAWS = {"rwm": 20_000, "da": 20_000, "da-exact": 4_000, "da-approx": 4_000}


@dataclass(frozen=True)
class Timing:
    """One run: effective draws per second, acceptance rate, degrees of freedom."""

    per_second: float
    acceptance: float
    df: float


def heteroskedastic_regression(n, k, rng):
    """Return outcome (n,) and regressors (n, k) with a constant."""
    x = np.column_stack([np.ones(n), rng.standard_normal((n, k - 1))])
    y = x @ np.linspace(1.0, -1.0, k) + rng.standard_normal(n) * (0.5 + np.abs(x[:, 1]))
    return y, x


def time_sampler(posterior, sampler, seed):
    """Sample 4 chains on one core and time the kept draws."""
    options = SampleOptions(
        sampler, DRAWS[sampler], 1_000, 4, 1, seed, parse_sampler_kwds(sampler, None), False
    )
    drawn = sample(posterior, options)
    smallest = float(np.min(bulk_ess(drawn.draws)))
    return Timing(
        smallest / drawn.stats["sampling_seconds"],
        float(np.mean(drawn.stats["acceptance_rate"])),
        drawn.settings.get("df", np.nan),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print("|    n |  k | sampler   | ESS per second | ratio to rwm | acceptance |    df |")
    print("| ---: | -: | --------- | -------------: | -----------: | ---------: | ----: |")
    for n, k in DESIGNS:
        y, x = heteroskedastic_regression(n, k, np.random.default_rng(k))
        posterior = qb.QuasiBayesIV(y, x).quasi_posterior(evaluation="rows")
        runs = {sampler: [] for sampler in SAMPLERS}
        for repeat in range(repeats):
            for sampler in SAMPLERS:
                runs[sampler].append(time_sampler(posterior, sampler, repeat))
        for sampler in SAMPLERS:
            own, base = runs[sampler], runs["rwm"]
            ratio = np.median([a.per_second / b.per_second for a, b in zip(own, base, strict=True)])
            print(
                f"| {n:4d} | {k:2d} | {sampler:9s} "
                f"| {np.median([t.per_second for t in own]):14,.0f} | {ratio:12.1f} "
                f"| {np.median([t.acceptance for t in own]):10.2f} "
                f"| {np.median([t.df for t in own]):5.0f} |"
            )


if __name__ == "__main__":
    main()
