"""Frequentist coverage of the default fit of local projections, with and without smoothness.

Usage: ``python lp_coverage.py [replications] [with smoothness] [seed] [processes]``. On one core
2,000 replications take five minutes without a smoothness prior and half an hour with it; any number
of processes gives the same figures. Prints, for each design, the joint coverage of the 90 % sup-t
band and the pointwise coverage at the first, middle and last horizon. Designs: first-order
autoregressions (the shock is y itself given its own past), an observed shock with geometric
responses, and an external instrument, strong or weak. Also `coverage`, which the long tests call.
"""

import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import numpy as np

import qbeconometrics as qb
from qbeconometrics.exceptions import QBEconometricsError, QBEconometricsWarning

WILD = 100  # periods before the sample
LEVEL = 0.10


@dataclass(frozen=True)
class Design:
    """A data-generating process and how it is estimated."""

    simulate: Callable
    truth: np.ndarray
    rows: int
    horizons: range
    lags: int
    # Joint and pointwise coverage found elsewhere for lag-augmented least squares, 2,000 runs.
    joint: float
    pointwise: tuple[float, float, float]


def autoregression(rho):
    def simulate(rng, n):
        e = rng.standard_normal(n + WILD)
        y = np.zeros(n + WILD)
        for t in range(1, n + WILD):
            y[t] = rho * y[t - 1] + e[t]
        if rho == 1.0:
            y -= y[WILD - 1]
        return {"endog": y[WILD:], "shock": y[WILD:].copy()}

    return simulate


def observed_shock(rng, n):
    s, e = rng.standard_normal((2, n + WILD))
    noise = np.zeros(n + WILD)
    for t in range(1, n + WILD):
        noise[t] = 0.5 * noise[t - 1] + e[t]
    y = np.convolve(s, 0.7 ** np.arange(25))[: n + WILD] + noise
    return {"endog": y[WILD:], "shock": s[WILD:]}


def external_instrument(strength):
    def simulate(rng, n):
        s, v, noise, error = rng.standard_normal((4, n + WILD))
        x, y = np.zeros((2, n + WILD))
        for t in range(1, n + WILD):
            x[t] = 0.8 * x[t - 1] + s[t] + v[t]
            y[t] = 0.9 * y[t - 1] + 0.3 * x[t] - 0.5 * v[t] + 0.5 * noise[t]
        z = strength * s + error
        return {"endog": y[WILD:], "shock": x[WILD:], "instrument": z[WILD:]}

    return simulate


def instrument_truth(horizons):
    x, y = 1.0, 0.3
    found = []
    for _ in range(horizons[-1] + 1):
        found.append(y)
        x *= 0.8
        y = 0.9 * y + 0.3 * x
    return np.array(found)[horizons[0] :]


FROM_ONE, FROM_ZERO = range(1, 13), range(13)
POWERS = np.arange(1, 13)
DESIGNS = {
    "AR(1) .5, T = 240": Design(
        autoregression(0.5), 0.5**POWERS, 240, FROM_ONE, 0, 0.880, (0.886, 0.889, 0.902)
    ),
    "AR(1) .95, T = 240": Design(
        autoregression(0.95), 0.95**POWERS, 240, FROM_ONE, 0, 0.792, (0.889, 0.836, 0.802)
    ),
    "AR(1) 1, T = 240": Design(
        autoregression(1.0), 1.0**POWERS, 240, FROM_ONE, 0, 0.716, (0.874, 0.745, 0.662)
    ),
    "AR(1) .95, T = 480": Design(
        autoregression(0.95), 0.95**POWERS, 480, FROM_ONE, 0, 0.852, (0.906, 0.864, 0.840)
    ),
    "observed shock, T = 200": Design(
        observed_shock, 0.7 ** np.arange(13), 200, FROM_ZERO, 4, 0.862, (0.897, 0.893, 0.891)
    ),
    "observed shock, T = 500": Design(
        observed_shock, 0.7 ** np.arange(13), 500, FROM_ZERO, 4, 0.884, (0.894, 0.902, 0.896)
    ),
    "LP-IV, strong": Design(
        external_instrument(1.0), instrument_truth(FROM_ZERO), 240, FROM_ZERO, 2, 0.859,
        (0.876, 0.876, 0.857),
    ),
    "LP-IV, weak": Design(
        external_instrument(0.25), instrument_truth(FROM_ZERO), 240, FROM_ZERO, 2, 0.956,
        (0.930, 0.940, 0.948),
    ),
}  # fmt: skip


def build(design, rng, prior):
    """Model of one simulated sample."""
    data = design.simulate(rng, design.rows)
    return qb.QuasiBayesLP(**data, horizon=design.horizons, lags=design.lags, prior=prior)


def replication(name, stream, *, prior, quasi_likelihood, draws):
    """Whether the band holds the whole path, and which intervals hold the truth; None if refused.

    Everything random comes from `stream`.
    """
    design = DESIGNS[name]
    rng = np.random.default_rng(stream)
    model = build(design, rng, prior)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QBEconometricsWarning)
        try:
            res = model.fit(
                rng=rng, draws=draws, chains=4, tune=500, cores=1, progressbar=False,
                quasi_likelihood=quasi_likelihood,
            )  # fmt: skip
        except QBEconometricsError:
            return None
        table = res.irf_table(LEVEL)
    inside = (table["lower"] <= design.truth) & (design.truth <= table["upper"])
    band = (table["band_lower"] <= design.truth) & (design.truth <= table["band_upper"])
    return bool(band.all()), inside.to_numpy()


def coverage(
    name, replications, seed, *, prior=None, quasi_likelihood=None, draws=2_500, executor=None
):
    """Return joint and pointwise coverage of one design.

    Replications are shared out by `executor`, a `concurrent.futures.Executor`, if there is one.

    Returns
    -------
    joint : float
        Share of replications in which the sup-t band holds the whole path.
    pointwise : ndarray, shape (horizons,)
    refused : int
        Replications that the fit refused; they are left out.
    """
    study = partial(replication, name, prior=prior, quasi_likelihood=quasi_likelihood, draws=draws)
    streams = np.random.SeedSequence(seed).spawn(replications)
    found = list((map if executor is None else executor.map)(study, streams))
    fits = [fit for fit in found if fit is not None]
    joint, pointwise = zip(*fits, strict=True)
    return float(np.mean(joint)), np.mean(pointwise, axis=0), len(found) - len(fits)


def middle(horizons):
    """Place of the horizon whose pointwise coverage is reported beside the first and last."""
    return horizons // 2 - (horizons + 1) % 2


def main(replications=2_000, smooth_replications=2_000, seed=20_261_121, processes=1):
    with ProcessPoolExecutor(processes) if processes > 1 else nullcontext() as pool:
        for name, design in DESIGNS.items():
            cells = []
            priors = ((None, replications), (qb.priors.Smoothness(2), smooth_replications))
            for prior, count in priors:
                joint, pointwise, _ = coverage(name, count, seed, prior=prior, executor=pool)
                picked = pointwise[[0, middle(len(pointwise)), -1]]
                cells += [f"{joint:.3f}", " ".join(f"{value:.3f}" for value in picked)]
            print(f"| {name} | {design.joint:.3f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
