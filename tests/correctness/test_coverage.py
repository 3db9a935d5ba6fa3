"""How often 90 % intervals hold the truth, over 500 samples of each design: minutes each.

A share of 500 has a Monte Carlo standard error of sqrt(.9 * .1 / 500) = .0134.
"""

import warnings

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import QBEconometricsWarning

pytestmark = pytest.mark.long

REPLICATIONS = 500
LEVEL = 0.90
STANDARD_ERRORS = 3.0
TOLERANCE = STANDARD_ERRORS * np.sqrt(LEVEL * (1 - LEVEL) / REPLICATIONS)


def coverage_of(simulate, model_of, truth, **fit_options):
    """Share of samples whose interval holds the truth (k,), and the intervals' mean length (k,)."""
    holds, lengths = [], []
    for child in np.random.SeedSequence(2026).spawn(REPLICATIONS):
        data_seed, chain_seed = child.spawn(2)
        model = model_of(*simulate(np.random.default_rng(data_seed)))
        with warnings.catch_warnings():
            # A sample in 500 may trip over a rule of thumb; the intervals are judged together.
            warnings.simplefilter("ignore", QBEconometricsWarning)
            res = model.fit(rng=chain_seed, progressbar=False, **fit_options)
        lower, upper = res.conf_int(alpha=1 - LEVEL).to_numpy().T
        holds.append((lower <= truth) & (truth <= upper))
        lengths.append(upper - lower)
    return np.mean(holds, axis=0), np.mean(lengths, axis=0)


def judge(name, found, *, excess=0.0):
    """Print the shares; hold each to three standard errors, above to a known excess as well."""
    shares, lengths = found
    print(f"\n{name}: coverage {np.round(shares, 3)}, mean length {np.round(lengths, 3)}")
    assert shares.min() > LEVEL - TOLERANCE
    assert shares.max() < LEVEL + excess + TOLERANCE


# At n = 200, of the exact posterior of a single median: see the last test.
MEDIAN_EXCESS = 0.018

REGRESSION = np.array([1.0, 0.5, -0.25])


def heteroskedastic_regression(rng, n=200):
    """Errors whose standard deviation grows with the first regressor."""
    x = np.column_stack([np.ones(n), rng.standard_normal(n), rng.uniform(-1, 1, n)])
    y = x @ REGRESSION + (0.5 + 0.75 * np.abs(x[:, 1])) * rng.standard_normal(n)
    return y, x


def test_heteroskedastic_linear_regression():
    found = coverage_of(
        heteroskedastic_regression, qb.QuasiBayesIV, REGRESSION, draws=2000, tune=500, chains=2
    )
    judge("linear regression, n = 200", found)


EXPONENTIAL = np.array([0.5, 0.4, 0.3])


def iv_poisson(rng, n=500):
    """Counts with mean exp(x'theta) times an error of mean one that moves with a regressor."""
    z = rng.standard_normal((n, 2))
    common = rng.standard_normal(n)
    d = 0.7 * z[:, 0] + 0.5 * z[:, 1] + 0.5 * common + 0.5 * rng.standard_normal(n)
    w = rng.uniform(-1, 1, n)
    x = np.column_stack([np.ones(n), d, w])
    error = np.exp(0.4 * common - 0.08)
    y = rng.poisson(np.exp(x @ EXPONENTIAL) * error).astype(float)
    return y, x, np.column_stack([np.ones(n), w, z])


def iv_poisson_model(y, x, z):
    return qb.QuasiBayesGMM(
        y,
        x,
        z,
        momcond=qb.moment_functions.iv_poisson_multiplicative,
        prior=qb.priors.Normal(0, 5),
    )


def test_iv_poisson():
    found = coverage_of(
        iv_poisson, iv_poisson_model, EXPONENTIAL,
        sampler="rwm", draws=2500, tune=500, chains=2,
    )  # fmt: skip
    judge("IV-Poisson, n = 500", found)


def median_regression(y, x):
    return qb.QuasiBayesM(y, x, loss=qb.losses.Quantile(0.5), posterior="q")


def skewed_regression(rng, n=200):
    """Errors of median zero, skewed, whose spread grows with the first regressor."""
    x = np.column_stack([np.ones(n), rng.standard_normal(n), rng.uniform(-1, 1, n)])
    error = rng.exponential(size=n) - np.log(2.0)
    return x @ REGRESSION + (0.5 + 0.5 * np.abs(x[:, 1])) * error, x


def test_median_regression():
    found = coverage_of(
        skewed_regression, median_regression, REGRESSION,
        sampler="rwm", draws=3000, tune=500, chains=2,
    )  # fmt: skip
    judge("median regression, n = 200", found, excess=MEDIAN_EXCESS)


def median_coverage(rng, n, samples=4000):
    """Coverage for the median of n exponential variates, from the exact posterior.

    Between order statistics j and j + 1 the log density is -n/2 (j/n - 1/2)^2 / (1/4), since the
    score is plus or minus one half. No chain is run and no prior is used.
    """
    below = np.arange(1, n)
    height = np.exp(-0.5 * n * (below / n - 0.5) ** 2 / 0.25)
    holds = 0
    for _ in range(samples):
        y = np.sort(rng.exponential(size=n))
        mass = np.concatenate([[0.0], np.cumsum(np.diff(y) * height)])
        lower, upper = np.interp([0.05, 0.95], mass / mass[-1], y)
        holds += lower <= np.log(2.0) <= upper
    return holds / samples


def test_the_excess_of_the_median_is_of_the_method_and_vanishes():
    """Spacings of order statistics differ at random, which blurs the posterior of small samples."""
    rng = np.random.default_rng(5)
    error = STANDARD_ERRORS * np.sqrt(LEVEL * (1 - LEVEL) / 4000)
    small, middle, large = (median_coverage(rng, n) for n in (50, 200, 3200))
    print(f"\nmedian: coverage {small:.3f}, {middle:.3f}, {large:.3f} at n = 50, 200, 3200")
    assert small > LEVEL + error
    assert abs(middle - LEVEL - MEDIAN_EXCESS) < error
    assert abs(large - LEVEL) < error
