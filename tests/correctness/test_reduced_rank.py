"""Reduced-rank posteriors against quadrature, closed forms, another sampler and estimates."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import ndtr, roots_legendre

import qbeconometrics as qb
from qbeconometrics.diagnostics.convergence import mean_mcse

STANDARD_ERRORS = 4.0
PRIOR_SCALE = 0.7


@dataclass(frozen=True)
class Normal:
    """Law of the least-squares estimate of vec(C), without units, from the textbook formulas."""

    estimate: np.ndarray
    covariance: np.ndarray
    endog_sds: np.ndarray
    exog_sds: np.ndarray

    @property
    def shape(self):
        return len(self.endog_sds), len(self.exog_sds)


def simulate(n, m, q, rank, seed, strength=0.15):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, q)) * np.linspace(0.5, 3.0, q) + 1.0
    C = strength * rng.standard_normal((m, rank)) @ rng.standard_normal((rank, q))
    u = rng.standard_normal((n, m)) * (0.5 + 0.5 * np.abs(x[:, :1]))
    return 2.0 + x @ C.T + u, np.column_stack([np.ones(n), x])


def least_squares(endog, exog):
    """Estimate and HC0 covariance equation by equation, in units of standard deviations."""
    m = endog.shape[1]
    inverse = np.linalg.inv(exog.T @ exog)
    u = endog - exog @ inverse @ exog.T @ endog
    scores = np.column_stack([u[:, [i]] * exog for i in range(m)])
    outer = np.kron(np.eye(m), inverse)
    covariance = outer @ scores.T @ scores @ outer
    columns = exog.shape[1]
    places = [i * columns + j for i in range(m) for j in range(1, columns)]
    sy, sx = endog.std(axis=0), exog[:, 1:].std(axis=0)
    scale = np.kron(1.0 / sy, sx)
    estimate = (inverse @ exog.T @ endog).T[:, 1:].ravel() * scale
    return Normal(estimate, covariance[np.ix_(places, places)] * np.outer(scale, scale), sy, sx)


def circle():
    angle = np.pi * (np.arange(4000) + 0.5) / 4000
    return np.column_stack([np.cos(angle), np.sin(angle)]), np.ones(4000)


def sphere():
    height, weight = roots_legendre(150)
    angle = np.pi * (np.arange(200) + 0.5) / 200
    radius = np.sqrt(1.0 - height**2)
    points = np.stack(
        [
            radius[:, None] * np.cos(angle),
            radius[:, None] * np.sin(angle),
            np.broadcast_to(height[:, None], (150, 200)),
        ],
        axis=-1,
    )
    return points.reshape(-1, 3), np.repeat(weight, 200)


def quadrature(law, grid, determinant=1.0):
    """Posterior means of C, C^2, 1{C > 0} and B B', rank one, by integration over B.

    The estimate has the normal law of covariance V + K when A is integrated out, which is another
    way to the density than that of the package.
    """
    points, weights = grid
    m, q = law.shape
    variance = PRIOR_SCALE**2 * q
    projection = points[:, :, None] * points[:, None, :]
    K = variance * np.einsum("ab,nij->naibj", np.eye(m), projection).reshape(-1, m * q, m * q)
    total = law.covariance + K
    solved = np.linalg.solve(total, np.broadcast_to(law.estimate, (len(total), m * q))[..., None])
    log_density = -0.5 * (solved[..., 0] @ law.estimate + determinant * np.linalg.slogdet(total)[1])
    share = weights * np.exp(log_density - log_density.max())
    share /= share.sum()
    mean = (K @ solved)[..., 0]
    variance = np.einsum("nii->ni", K - K @ np.linalg.solve(total, K))
    sd = np.sqrt(np.maximum(variance, 1e-300))
    return {
        "mean": share @ mean,
        "square": share @ (mean**2 + variance),
        "positive": share @ ndtr(mean / sd),
        "projection": np.einsum("n,nij->ij", share, projection)[np.triu_indices(q)],
    }


def functionals(res, law):
    """The same functionals of each draw, shape (chain, draw, elements)."""
    m, q = law.shape
    C = res.draws.reshape(*res.draws.shape[:2], m, q + 1)[..., 1:]
    C = (C * law.exog_sds / law.endog_sds[:, None]).reshape(*C.shape[:2], m * q)
    B = res.spaces.spaces
    rows, columns = np.triu_indices(q)
    return {
        "mean": C,
        "square": C**2,
        "positive": (C > 0.0).astype(float),
        "projection": (B @ B.swapaxes(-1, -2))[..., rows, columns],
    }


def allowed(draws):
    # Where all signs are the same the error of their share is not known.
    return STANDARD_ERRORS * mean_mcse(draws) + 1e-4


def largest_deviation(found, expected):
    """In units of what is allowed: above 1 is a disagreement."""
    return max(
        float(np.max(np.abs(draws.mean(axis=(0, 1)) - expected[name]) / allowed(draws)))
        for name, draws in found.items()
    )


def fitted(endog, exog, rank, draws=6_000, **options):
    model = qb.QuasiBayesReducedRank(endog, exog, rank, prior_scale=PRIOR_SCALE)
    return model.fit(draws=draws, tune=1_000, rng=5, cores=1, **options)


GRIDS = {2: circle, 3: sphere}


@pytest.mark.parametrize(("q", "parameterization"), [(2, "polar"), (2, "givens"), (3, "cayley")])
def test_posterior_is_that_of_quadrature(q, parameterization):
    endog, exog = simulate(60, 2, q, 1, seed=q)
    law = least_squares(endog, exog)
    res = fitted(endog, exog, 1, parameterization=parameterization)
    assert largest_deviation(functionals(res, law), quadrature(law, GRIDS[q]())) < 1.0


def test_quadrature_tells_a_lost_determinant():
    """The same comparison fails against the law whose density has no determinant."""
    endog, exog = simulate(60, 2, 3, 1, seed=3)
    law = least_squares(endog, exog)
    found = functionals(fitted(endog, exog, 1), law)
    assert largest_deviation(found, quadrature(law, sphere())) < 1.0
    assert largest_deviation(found, quadrature(law, sphere(), determinant=0.0)) > 2.0


def test_full_rank_of_few_regressors_is_normal():
    """Where B is square, C has a normal prior and the closed-form posterior."""
    endog, exog = simulate(80, 3, 2, 2, seed=11)
    law = least_squares(endog, exog)
    precision = np.linalg.inv(law.covariance)
    covariance = np.linalg.inv(precision + np.eye(6) / PRIOR_SCALE**2)
    mean = covariance @ precision @ law.estimate
    found = functionals(fitted(endog, exog, 2, draws=2_000), law)
    C = found["mean"]
    expected = {"mean": mean, "square": mean**2 + np.diag(covariance)}
    assert largest_deviation({"mean": C, "square": C**2}, expected) < 1.0


def test_full_rank_of_few_outcomes_is_a_reweighted_normal():
    """Where A is square, the prior of C is a normal one times |C C'|^(-(q - m)/2)."""
    m, q = 2, 3
    endog, exog = simulate(80, m, q, 2, seed=12, strength=0.08)
    law = least_squares(endog, exog)
    precision = np.linalg.inv(law.covariance)
    prior = m / (q * PRIOR_SCALE**2)
    covariance = np.linalg.inv(precision + prior * np.eye(m * q))
    mean = covariance @ precision @ law.estimate
    rng = np.random.default_rng(0)
    drawn = rng.multivariate_normal(mean, covariance, size=400_000)
    C = drawn.reshape(-1, m, q)
    weight = np.linalg.det(C @ C.swapaxes(1, 2)) ** (-0.5 * (q - m))
    weight /= weight.sum()
    found = functionals(fitted(endog, exog, 2, draws=4_000), law)
    for name, values in (("mean", drawn), ("square", drawn**2), ("positive", drawn > 0.0)):
        expected = weight @ values
        error = np.sqrt(weight**2 @ (values - expected) ** 2)
        limit = np.hypot(STANDARD_ERRORS * error, allowed(found[name]))
        assert np.all(np.abs(found[name].mean(axis=(0, 1)) - expected) < limit), name


def joint_metropolis(law, rank, steps, seed):
    """Random-walk Metropolis on A and a matrix X whose column space B spans; nothing integrated.

    Returns C (1, steps / 5, m q) after a tenth of the steps is dropped.
    """
    m, q = law.shape
    rng = np.random.default_rng(seed)
    precision = np.linalg.inv(law.covariance)
    variance = PRIOR_SCALE**2 * q / rank

    def log_density(x):
        A, X = x[: m * rank].reshape(m, rank), x[m * rank :].reshape(q, rank)
        values, vectors = np.linalg.eigh(X.T @ X)
        C = (A @ (X @ (vectors / np.sqrt(values)) @ vectors.T).T).ravel()
        left = C - law.estimate
        return -0.5 * (
            left @ precision @ left + A.ravel() @ A.ravel() / variance + X.ravel() @ X.ravel()
        ), C

    x = rng.standard_normal((m + q) * rank)
    value, C = log_density(x)
    scale, kept = 0.3, []
    for step in range(steps):
        proposal = x + scale * rng.standard_normal(x.size)
        proposed, other = log_density(proposal)
        accepted = np.log(rng.uniform()) < proposed - value
        if step < steps // 10:
            scale *= np.exp(0.05 * (accepted - 0.25))
        if accepted:
            x, value, C = proposal, proposed, other
        if step >= steps // 10 and step % 5 == 0:
            kept.append(C)
    return np.array(kept)[None]


@pytest.mark.long
def test_agrees_with_metropolis_on_both_factors():
    endog, exog = simulate(60, 3, 4, 2, seed=7)
    law = least_squares(endog, exog)
    found = functionals(fitted(endog, exog, 2), law)["mean"]
    chains = [joint_metropolis(law, 2, 25_000, seed) for seed in range(2)]
    other = np.concatenate(chains)
    for transform in (np.asarray, np.square):
        first, second = transform(found), transform(other)
        difference = np.abs(first.mean(axis=(0, 1)) - second.mean(axis=(0, 1)))
        assert np.all(difference < STANDARD_ERRORS * np.hypot(mean_mcse(first), mean_mcse(second)))


def log_mean_over_spaces(law, bases, weights):
    """Log of the prior mean of the quasi-likelihood, B uniform, from the normal law of C."""
    m, q = law.shape
    rank = bases.shape[-1]
    K = (
        PRIOR_SCALE**2
        * q
        / rank
        * np.einsum("ab,nij->naibj", np.eye(m), bases @ bases.swapaxes(1, 2))
    )
    total = law.covariance + K.reshape(-1, m * q, m * q)
    solved = np.linalg.solve(total, np.broadcast_to(law.estimate, (len(total), m * q))[..., None])
    values = -0.5 * (solved[..., 0] @ law.estimate + np.linalg.slogdet(total)[1])
    shift = values.max()
    mean = weights @ np.exp(values - shift) / weights.sum()
    return shift + np.log(mean) + 0.5 * np.linalg.slogdet(law.covariance)[1]


def test_quasi_marginal_likelihoods_of_all_ranks():
    """Rank two of three is a space across a direction, so the sphere holds both."""
    endog, exog = simulate(60, 3, 3, 1, seed=21)
    law = least_squares(endog, exog)
    model = qb.QuasiBayesReducedRank(endog, exog, 1, prior_scale=PRIOR_SCALE)
    table = model.compare_ranks(draws=2_000, tune=500, rng=1, cores=1)
    points, weights = sphere()
    across = np.stack([np.linalg.svd(point[None])[2][1:].T for point in points[::3]])
    expected = [
        -0.5 * law.estimate @ np.linalg.solve(law.covariance, law.estimate),
        log_mean_over_spaces(law, points[:, :, None], weights),
        log_mean_over_spaces(law, across, weights[::3]),
        log_mean_over_spaces(law, np.eye(3)[None], np.ones(1)),
    ]
    found = table["log_quasi_marginal_likelihood"].to_numpy()
    np.testing.assert_allclose(found[[0, 3]], np.array(expected)[[0, 3]], rtol=1e-9)
    assert (table["mcse"] < 0.05).all()
    assert np.all(np.abs(found - expected) < STANDARD_ERRORS * table["mcse"] + 1e-6)
    weight = np.exp(found - found.max())
    np.testing.assert_allclose(table["probability"], weight / weight.sum(), rtol=1e-12)
