"""Draws from priors of every kind, and the constants of their densities."""

import numpy as np
import pytest
from scipy import stats

from qbeconometrics.posterior.prior_draws import draw_prior, log_prior_constant
from qbeconometrics.posterior.resolved_prior import resolve_prior_without_scale
from qbeconometrics.priors import Normal, StudentT, Uniform

DRAWS = 40_000
# Below this a right sample falls once in ten thousand.
SMALLEST_P = 1e-4
COV = np.array([[4.0, 1.2], [1.2, 1.0]])
MIXED = {"a": Normal(1, 2), "b": StudentT(4, -1, 3), "c": Uniform(-2, 5)}
LAWS = {"a": stats.norm(1, 2), "b": stats.t(4, -1, 3), "c": stats.uniform(-2, 7)}


def test_draws_of_each_kind():
    prior = resolve_prior_without_scale(MIXED, list(LAWS))
    draws = draw_prior(prior, np.random.default_rng(0), DRAWS)
    for column, law in zip(draws.T, LAWS.values(), strict=True):
        assert stats.kstest(column, law.cdf).pvalue > SMALLEST_P
    ranks = stats.spearmanr(draws).statistic
    assert np.abs(ranks[np.triu_indices(3, 1)]).max() < 4 / np.sqrt(DRAWS)


def test_correlated_normal():
    prior = resolve_prior_without_scale(Normal([1, -1], cov=COV), ["a", "b"])
    draws = draw_prior(prior, np.random.default_rng(1), DRAWS)
    white = np.linalg.solve(np.linalg.cholesky(COV), (draws - [1, -1]).T)
    assert stats.kstest(np.sum(white**2, axis=0), stats.chi2(2).cdf).pvalue > SMALLEST_P


def test_flat_parameters_have_no_draws():
    prior = resolve_prior_without_scale({"b": Normal(0, 1)}, ["a", "b"])
    draws = draw_prior(prior, np.random.default_rng(2), 5)
    assert np.isnan(draws[:, 0]).all()
    assert np.isfinite(draws[:, 1]).all()


@pytest.mark.parametrize(
    ("prior", "log_density"),
    [
        (MIXED, lambda p: sum(law.logpdf(x) for law, x in zip(LAWS.values(), p, strict=True))),
        (Uniform([-3, 0, 1], [3, 1, 9]), lambda p: -np.log(6.0 * 1.0 * 8.0)),
        (StudentT(3, 1, 2), lambda p: stats.t(3, 1, 2).logpdf(p).sum()),
        (
            Normal(0, cov=np.diag([1.0, 4.0, 9.0]) + 0.5),
            lambda p: stats.multivariate_normal(np.zeros(3), np.diag([1.0, 4.0, 9.0]) + 0.5).logpdf(
                p
            ),
        ),
    ],
)
def test_constant(prior, log_density):
    resolved = resolve_prior_without_scale(prior, list(LAWS))
    params = np.array([0.3, 0.7, 2.0])
    kernel = -0.5 * np.sum((resolved.root @ params - resolved.target) ** 2)
    student = ~np.isnan(resolved.df)
    df = resolved.df[student]
    t = (params[student] - resolved.loc[student]) / resolved.scale[student]
    kernel -= np.sum((df + 1) / 2 * np.log1p(t**2 / df))
    assert kernel + log_prior_constant(resolved) == pytest.approx(log_density(params), rel=1e-12)
