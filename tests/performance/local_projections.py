"""Seconds of local projections on one core: two-step, Gibbs, continuously updated, hmc, in full.

Usage: ``python local_projections.py``. Set OPENBLAS_NUM_THREADS=1.
"""

import resource
import time
import warnings

import numpy as np

import qbeconometrics as qb

WILD = 100


def autoregression(n, seed=0):
    """Outcome and observed shock."""
    rng = np.random.default_rng(seed)
    shock, noise = rng.normal(size=(2, n + WILD))
    y = np.zeros(n + WILD)
    for t in range(1, n + WILD):
        y[t] = 0.9 * y[t - 1] + shock[t] + 0.5 * noise[t]
    return y[WILD:], shock[WILD:]


def report(label, model, **options):
    began = time.perf_counter()
    res = model.fit(rng=0, cores=1, progressbar=False, **options)
    seconds = time.perf_counter() - began
    smallest = res.ess().min()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{label:62}{seconds:7.2f} s  (sampling {res.sampler_stats['sampling_seconds']:.2f})  "
        f"ESS {smallest['bulk']:.0f} bulk, {smallest['tail']:.0f} tail  "
        f"R-hat {res.rhat().max():.4f}  peak {peak:.2f} GB"
    )


def main():
    warnings.simplefilter("ignore", qb.exceptions.QBEconometricsWarning)
    y, shock = autoregression(1_000)
    weak = qb.priors.Normal(0, 5)
    report(
        "two-step, 37 horizons, 20,000 draws",
        qb.QuasiBayesLP(y, shock, horizon=36, prior=weak), draws=5_000,
    )  # fmt: skip
    report(
        "two-step, smoothing parameter sampled",
        qb.QuasiBayesLP(y, shock, horizon=36, prior=qb.priors.Smoothness(2)), draws=5_000,
    )  # fmt: skip
    cue = qb.QuasiBayesLP(y, shock, horizon=36, prior=weak)
    for draws in (500, 2_500):
        report(
            f"cue, centred, 37 horizons, T = 1,000, 4 x {draws} draws", cue, draws=draws,
            quasi_likelihood="cue", cov_kwds={"centered": True},
        )  # fmt: skip
    report(
        "cue, centred, the same by hmc, 4 x 250 draws after 500", cue, draws=250, tune=500,
        sampler="hmc", quasi_likelihood="cue", cov_kwds={"centered": True},
    )  # fmt: skip
    y, shock = autoregression(324)
    controls = np.random.default_rng(1).normal(size=(324, 2))
    report(
        "in full, 21 x 20 coefficients, T = 300, smoothing sampled",
        qb.QuasiBayesLP(
            y, shock, controls, horizon=20, lags=3, partial_out=False,
            prior=qb.priors.Smoothness(2),
        ),
        draws=5_000,
    )  # fmt: skip


if __name__ == "__main__":
    main()
