"""Frequentist behaviour of reduced-rank regression: coverage, and distance from estimates.

Usage: ``python reduced_rank_coverage.py [replications] [seed] [processes]``. On one core 200
replications take about four minutes; any number of processes gives the same figures. Prints, for
coefficients of rank one and two and for robust and homoskedastic weights, the coverage of the 95 %
intervals over all elements of C and its extremes, that of asymptotic intervals around the
minimum-distance estimate on the same data, and the distance of posterior means from the maximum
likelihood estimate of this rank (Izenman 1975) in posterior standard deviations. Also `coverage`,
which the long tests call.
"""

import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.stats import norm

import qbeconometrics as qb
from qbeconometrics.exceptions import QBEconometricsWarning

ROWS = 300
OUTCOMES, REGRESSORS = 3, 4
LEVEL = 0.05


@dataclass(frozen=True)
class Study:
    """Shares of the intervals that hold the truth, and distances, element by element."""

    covered: np.ndarray  # (outcome, regressor)
    asymptotic: np.ndarray  # (outcome, regressor)
    distance: float

    @property
    def average(self):
        return float(self.covered.mean())


def truth(rank):
    rng = np.random.default_rng(rank)
    A = rng.standard_normal((OUTCOMES, rank))
    return A @ rng.standard_normal((rank, REGRESSORS)) / np.sqrt(8.0 * rank)


def simulate(C, rng, robust):
    """Correlated regressors and errors, the latter of a variance that moves if `robust`."""
    x = rng.standard_normal((ROWS, REGRESSORS)) @ (np.eye(REGRESSORS) + 0.3)
    u = rng.standard_normal((ROWS, OUTCOMES)) @ (np.eye(OUTCOMES) + 0.2)
    if robust:
        u *= 0.5 + 0.5 * np.abs(x[:, :1])
    return 1.0 + x @ C.T + u, np.column_stack([np.ones(ROWS), x])


def reduced_rank_estimate(endog, exog, rank):
    """Maximum likelihood under normal homoskedastic errors, C (m, q), by an eigenproblem."""
    y, x = endog - endog.mean(axis=0), exog[:, 1:] - exog[:, 1:].mean(axis=0)
    C = np.linalg.lstsq(x, y)[0].T
    u = y - x @ C.T
    root = np.linalg.cholesky(u.T @ u)
    fitted = np.linalg.solve(root, C @ (x.T @ x) @ C.T)
    vectors = np.linalg.eigh(np.linalg.solve(root, fitted.T))[1][:, -rank:]
    return root @ vectors @ vectors.T @ np.linalg.solve(root, C)


def asymptotic_intervals(endog, exog, rank, robust):
    """Estimate and standard errors (m, q) of the matrix of this rank nearest to least squares.

    The distance is that of the covariance of least squares; A and B are improved in turn, and the
    standard errors are those of the delta method.
    """
    inverse = np.linalg.inv(exog.T @ exog)
    beta = inverse @ exog.T @ endog
    u = endog - exog @ beta
    V = np.kron(u.T @ u / ROWS, inverse)
    if robust:
        scores = np.column_stack([u[:, [i]] * exog for i in range(OUTCOMES)])
        outer = np.kron(np.eye(OUTCOMES), inverse)
        V = outer @ scores.T @ scores @ outer
    columns = exog.shape[1]
    places = [i * columns + j for i in range(OUTCOMES) for j in range(1, columns)]
    H, estimate = np.linalg.inv(V[np.ix_(places, places)]), beta[1:].T.ravel()
    U, values, Vt = np.linalg.svd(reduced_rank_estimate(endog, exog, rank))
    A, B = U[:, :rank] * values[:rank], Vt[:rank].T
    for _ in range(50):
        K = np.kron(np.eye(OUTCOMES), B)
        A = np.linalg.solve(K.T @ H @ K, K.T @ H @ estimate).reshape(OUTCOMES, rank)
        K = np.kron(A, np.eye(REGRESSORS))
        B = np.linalg.solve(K.T @ H @ K, K.T @ H @ estimate).reshape(rank, REGRESSORS).T
    J = np.hstack([np.kron(np.eye(OUTCOMES), B), np.kron(A, np.eye(REGRESSORS))])
    variance = np.diag(J @ np.linalg.pinv(J.T @ H @ J) @ J.T)
    return A @ B.T, np.sqrt(variance).reshape(OUTCOMES, REGRESSORS)


def one(seed, rank, robust, draws):
    rng = np.random.default_rng(seed)
    C = truth(rank)
    endog, exog = simulate(C, rng, robust)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QBEconometricsWarning)
        res = qb.QuasiBayesReducedRank(endog, exog, rank).fit(
            draws=draws,
            tune=500,
            chains=2,
            cores=1,
            rng=rng,
            cov_type="HC0" if robust else "nonrobust",
            progressbar=False,
        )
    low, high = res.conf_int(LEVEL).to_numpy().T.reshape(2, OUTCOMES, -1)[..., 1:]
    mean, sd = (values.to_numpy().reshape(OUTCOMES, -1)[:, 1:] for values in (res.params, res.bse))
    distance = (mean - reduced_rank_estimate(endog, exog, rank)) / sd
    estimate, error = asymptotic_intervals(endog, exog, rank, robust)
    beside = np.abs(estimate - C) <= norm.ppf(1.0 - LEVEL / 2.0) * error
    return (low <= C) & (high >= C), beside, distance


def coverage(replications, rank, robust, seed=0, draws=500, processes=1):
    """Coverage of both kinds of intervals, and root mean square distance from the estimate."""
    seeds = np.random.SeedSequence([seed, rank]).spawn(replications)
    work = partial(one, rank=rank, robust=robust, draws=draws)
    with ProcessPoolExecutor(processes) if processes > 1 else nullcontext() as pool:
        found = list((pool.map if pool else map)(work, seeds))
    covered, beside, distances = (np.array(part) for part in zip(*found, strict=True))
    return Study(covered.mean(axis=0), beside.mean(axis=0), float(np.sqrt((distances**2).mean())))


def main(replications=200, seed=0, processes=1):
    for rank in (1, 2):
        for robust in (False, True):
            study = coverage(replications, rank, robust, seed, processes=processes)
            print(
                f"rank {rank}, {'HC0' if robust else 'nonrobust'}: coverage {study.average:.3f} "
                f"({study.covered.min():.3f} to {study.covered.max():.3f}), asymptotic "
                f"{study.asymptotic.mean():.3f}, distance {study.distance:.2f} sd",
                flush=True,
            )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
