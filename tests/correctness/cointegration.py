"""Cointegrating spaces against quadrature, their coverage, and their rate of convergence.

Usage: ``python cointegration.py [data sets] [seed]``. 200 data sets take about five minutes on one
core. `integrals` computes by least squares and quadrature what `QuasiBayesVECM` samples;
`coverage` and `log_spread` are the two studies, which the long test calls.
"""

import sys
import warnings

import numpy as np
from scipy.special import logsumexp
from scipy.stats import invwishart, matrix_normal

import qbeconometrics as qb
from qbeconometrics.exceptions import QBEconometricsWarning
from qbeconometrics.models.vecm_moments import moment_form
from qbeconometrics.posterior.centered_spaces import centered_spaces

LEVEL = 0.95
STUDY_ROWS, STUDY_SERIES = 200, 3
LENGTHS = (200, 400, 800, 1600)
SHORT_FIT = {"draws": 500, "tune": 300, "chains": 2, "cores": 1, "progressbar": False}


def simulate(rng, rows, m=2, rank=1, speed=0.3):
    """Series (rows, m): the first `rank` follow the sum of the others, which are random walks."""
    beta = np.vstack([np.eye(rank), -np.ones((m - rank, rank))])
    alpha = np.vstack([-speed * np.eye(rank), np.zeros((m - rank, rank))])
    errors = rng.standard_normal((rows + 20, m)) * np.linspace(1.0, 0.3, m)
    y = np.zeros(m)
    found = np.empty_like(errors)
    for t, error in enumerate(errors):
        y = y + alpha @ (beta.T @ y) + error
        found[t] = y
    return found[20:], beta


def blocks(y, deterministic="n"):
    """Changes, levels and short-run terms with one lagged difference, written out once more."""
    change = np.diff(y, axis=0)
    levels, short_run = y[1:-1], change[:-1]
    ones = np.ones((len(levels), 1))
    if deterministic == "ci":
        levels = np.hstack([levels - levels.mean(axis=0), ones])
    if deterministic == "co":
        short_run = np.hstack([short_run, ones])
    return change[1:], levels, short_run


def without_units(y, deterministic="n"):
    """The blocks, divided by residual standard deviations, and these."""
    changes, levels, short_run = blocks(y, deterministic)
    design = np.hstack([levels, short_run])
    residual = changes - design @ np.linalg.lstsq(design, changes, rcond=None)[0]
    scale = np.sqrt(np.sum(residual**2, axis=0) / (len(changes) - design.shape[1]))
    m = changes.shape[1]
    levels = np.hstack([levels[:, :m] / scale, levels[:, m:]])
    return changes / scale, levels, short_run, scale


def log_likelihood_given(b, changes, levels, short_run, nu):
    """log p(changes | b), from Bayes' rule at one point: prior times likelihood over posterior.

    The laws are those of scipy; the short-run terms are flat, of density one.
    """
    (T, m), r, q = changes.shape, b.shape[1], short_run.shape[1]
    basis = np.linalg.qr(short_run)[0]
    partial = levels @ b - basis @ (basis.T @ levels @ b)
    left = changes - basis @ (basis.T @ changes)
    gram = partial.T @ partial
    prior_rows = nu / T * gram
    alpha = np.linalg.solve(gram + prior_rows, partial.T @ left)  # its posterior mean
    rest = left - partial @ alpha
    scale = nu * np.eye(m) + rest.T @ rest + alpha.T @ prior_rows @ alpha
    sigma = scale / (T + nu)
    gamma = np.linalg.lstsq(short_run, changes - levels @ b @ alpha, rcond=None)[0]
    fitted = levels @ b @ alpha + short_run @ gamma
    value = sum(
        matrix_normal.logpdf(row, mean, 1.0, sigma)
        for row, mean in zip(changes[:, None], fitted[:, None], strict=True)
    )
    value += invwishart.logpdf(sigma, nu + m - 1, nu * np.eye(m))
    value -= invwishart.logpdf(sigma, T - q + nu + m - 1, scale)
    if r:
        value += matrix_normal.logpdf(alpha, None, np.linalg.inv(prior_rows), sigma)
        value -= matrix_normal.logpdf(alpha, alpha, np.linalg.inv(gram + prior_rows), sigma)
    if q:
        value -= matrix_normal.logpdf(gamma, gamma, np.linalg.inv(short_run.T @ short_run), sigma)
    return float(value)


def nodes(n, rank, count=64):
    """Bases (points, n, rank) and weights of quadrature over the uniform law of spaces."""
    if rank in (0, n):
        return np.eye(n)[None, :, :rank], np.ones(1)
    if n == 2:
        angle = (np.arange(4 * count) + 0.5) * np.pi / (4 * count)
        lines = np.column_stack([np.cos(angle), np.sin(angle)])
        weights = np.full(4 * count, 0.25 / count)
    else:
        height, share = np.polynomial.legendre.leggauss(count)
        angle = (np.arange(count) + 0.5) * np.pi / count
        height, angle = (one.ravel() for one in np.meshgrid(height, angle, indexing="ij"))
        radius = np.sqrt(1.0 - height**2)
        lines = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), height])
        weights = np.repeat(share / 2.0, count) / count
    if rank == 1:
        return lines[:, :, None], weights
    return np.stack([np.linalg.svd(line[None])[2][1:].T for line in lines]), weights


def integrals(y, rank, nu=1.0, deterministic="n", count=64):
    """Log marginal likelihood of a rank, and the mean projection, by quadrature.

    At every node the residual sum of squares is that of least squares with the prior as further
    rows; the constant is taken from `log_likelihood_given` at one node.
    """
    changes, levels, short_run, scale = without_units(y, deterministic)
    bases, weights = nodes(levels.shape[1], rank, count)
    (T, m), q = changes.shape, short_run.shape[1]
    basis = np.linalg.qr(short_run)[0]
    partial, left = (block - basis @ (basis.T @ block) for block in (levels, changes))
    log_values = np.empty(len(bases))
    for place, b in enumerate(bases):
        rows = np.vstack([partial @ b, np.sqrt(nu / T) * (partial @ b)])
        target = np.vstack([left, np.zeros_like(left)])
        rest = target - rows @ np.linalg.lstsq(rows, target, rcond=None)[0] if rank else target
        total = rest.T @ rest + nu * np.eye(m)
        log_values[place] = -0.5 * (T - q + nu + m - 1) * np.linalg.slogdet(total)[1]
    middle = len(bases) // 2
    shift = log_likelihood_given(bases[middle], changes, levels, short_run, nu) - log_values[middle]
    log_mean = logsumexp(log_values, b=weights)
    share = np.exp(log_values - log_mean) * weights
    projection = np.einsum("d,dia,dja->ij", share, bases, bases)
    return log_mean + shift - (T - q) * np.log(scale).sum(), projection


def true_space(beta, relations):
    """An orthonormal basis of span(beta) in the coordinates without units."""
    return np.linalg.qr(np.linalg.solve(relations.to_levels, beta))[0]


def quiet_fit(y, rank, seed, quasi_likelihood="likelihood"):
    model = qb.QuasiBayesVECM(y, coint_rank=rank)
    with warnings.catch_warnings():
        # Short chains, and normalised coefficients that are not read.
        warnings.simplefilter("ignore", QBEconometricsWarning)
        return model, model.fit(rng=seed, quasi_likelihood=quasi_likelihood, **SHORT_FIT)


def log_density(model, b, quasi_likelihood):
    """Of the space of b (n, r) with respect to the uniform law."""
    if quasi_likelihood == "likelihood":
        return model.law.log_density(b)
    centered = centered_spaces(model.law, b.shape[1])
    c = np.linalg.qr(np.linalg.solve(centered.to_law, b))[0]
    spaces = moment_form(model.design, model.law, "HC0", None).spaces(centered)
    return spaces.log_density(c) - centered.log_uniform(c)


def coverage(data_sets, seed, quasi_likelihood="likelihood"):
    """Share of samples in which the true space is in the 95 % set of highest density."""
    rng = np.random.default_rng(seed)
    inside = []
    for _ in range(data_sets):
        y, beta = simulate(rng, STUDY_ROWS, STUDY_SERIES)
        model, res = quiet_fit(y, 1, int(rng.integers(2**32)), quasi_likelihood)
        at_truth = log_density(model, true_space(beta, res.relations), quasi_likelihood)
        inside.append(at_truth >= np.quantile(res.record.log_density, 1.0 - LEVEL))
    return float(np.mean(inside))


def log_spread(data_sets, seed):
    """Mean log of the posterior spread of the angle from the mode, by numbers of rows."""
    rng = np.random.default_rng(seed)
    found = np.empty((data_sets, len(LENGTHS)))
    for own in found:
        for place, rows in enumerate(LENGTHS):
            y, _ = simulate(rng, rows)
            angles = quiet_fit(y, 1, int(rng.integers(2**32)))[1].principal_angles()
            own[place] = 0.5 * np.log(np.mean(angles**2))
    return found.mean(axis=0)


def slope(spreads):
    return float(np.polyfit(np.log(LENGTHS), spreads, 1)[0])


def main(data_sets=200, seed=20_261_122):
    for name in ("likelihood", "two-step"):
        share = coverage(data_sets, seed, name)
        print(f"95 % sets by {name} cover the true space in {share:.3f} of {data_sets}", flush=True)
    spreads = log_spread(max(data_sets // 5, 1), seed)
    print("rows          " + "".join(f"{rows:>10}" for rows in LENGTHS))
    print("spread (rad)  " + "".join(f"{np.exp(value):>10.5f}" for value in spreads))
    print(f"slope of log spread on log rows: {slope(spreads):.3f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
