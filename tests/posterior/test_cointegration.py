"""The law of a cointegrating space against Johansen's estimate, and exact draws of the rest."""

import numpy as np
import pytest
from statsmodels.tsa.vector_ar.vecm import VECM

from qbeconometrics import stiefel
from qbeconometrics.inputs.cointegration_design import cointegration_design
from qbeconometrics.posterior.centered_spaces import centered_spaces
from qbeconometrics.posterior.cointegration import cointegration_law
from qbeconometrics.posterior.cointegration_draws import (
    draw_coefficients,
    mean_coefficients,
    normalized,
)

M = 3
TERMS = ["n", "co", "ci", "lo", "li", "coli", "cili", "colo", "cilo"]


@pytest.fixture(scope="module")
def series():
    """Three series, two relations, in very different units and far from zero."""
    rng = np.random.default_rng(5)
    steps = rng.normal([0.0, 0.0, 0.3], size=(150, M))
    walk = steps[:, 2].cumsum()
    y = np.column_stack([2.0 * walk + steps[:, 0], -walk + steps[:, 1], walk])
    return y * [1.0, 1e-3, 50.0] + [100.0, 0.2, -3000.0]


def law_of(y, deterministic="n", nu=1.0, k_ar_diff=2, **others):
    design = cointegration_design(
        y, others.pop("exog", None), k_ar_diff=k_ar_diff, deterministic=deterministic, **others
    )
    return cointegration_law(design, nu), design


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("deterministic", TERMS)
def test_the_mode_tends_to_johansens_estimate(series, deterministic, rank):
    """Under a vanishing prior; with seasons and exog too."""
    exog = np.random.default_rng(0).standard_normal((len(series), 1))
    options = {"k_ar_diff": 2, "deterministic": deterministic, "seasons": 4, "first_season": 1}
    law, design = law_of(series, nu=1e-9, exog=exog, **options)
    johansen = VECM(series, exog=exog, coint_rank=rank, **options).fit()
    found = mean_coefficients(law, law.mode(rank))
    beta, alpha = normalized(found.beta, found.alpha)
    expected = {
        "beta": np.vstack([johansen.beta, johansen.det_coef_coint]),
        "alpha": johansen.alpha,
        "short run": np.hstack([johansen.gamma, johansen.det_coef]),
    }
    gained = {"beta": beta, "alpha": alpha, "short run": found.short_run}
    for name, values in expected.items():
        np.testing.assert_allclose(
            gained[name], values, rtol=2e-5, atol=1e-6 * np.abs(values).max()
        )
    ratio = (2.0 * law.exponent - M - 1) / design.nobs
    np.testing.assert_allclose(found.sigma_u * ratio, johansen.sigma_u, rtol=2e-5)


def test_units_and_origins_do_not_matter(series):
    """Of levels with a constant in the relation; the first relation that is drawn is the same."""
    law, _ = law_of(series, "ci")
    moved, _ = law_of(series * [1e-4, 30.0, 2.0] + [7.0, -1e4, 0.0], "ci")
    for one, other in ((law.unrestricted, moved.unrestricted), (law.restricted, moved.restricted)):
        np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-6 * np.abs(one).max())


@pytest.mark.parametrize(("rank", "deterministic"), [(0, "co"), (1, "ci"), (2, "coli"), (3, "n")])
def test_coefficients_given_a_space(series, rank, deterministic):
    """Their means, and the covariance of alpha, as regressions on beta'y with prior rows say."""
    nu = 1.5
    law, design = law_of(series, deterministic, nu)
    b = np.linalg.qr(np.random.default_rng(1).standard_normal((law.size, rank)))[0]
    draws = draw_coefficients(
        law, np.broadcast_to(b, (20_000, law.size, rank)), np.random.default_rng(2)
    )
    mean = mean_coefficients(law, b)
    relation = design.levels @ mean.beta
    basis = np.linalg.qr(design.short_run)[0]
    partial = relation - basis @ (basis.T @ relation)
    prior_rows = np.hstack(
        [np.sqrt(nu / design.nobs) * partial, np.zeros((len(partial), law.regressors))]
    )
    X = np.vstack([np.hstack([relation, design.short_run]), prior_rows])
    Y = np.vstack([design.differences, np.zeros_like(design.differences)])
    found = np.linalg.lstsq(X, Y, rcond=None)[0]
    rest = Y - X @ found
    sigma = (rest.T @ rest + nu * np.diag(law.scale**2)) / (2.0 * law.exponent - M - 1)
    scale = np.abs(found).max(axis=0)[:, None]
    np.testing.assert_allclose(mean.alpha / scale, found[:rank].T / scale, atol=1e-8)
    np.testing.assert_allclose(mean.short_run / scale, found[rank:].T / scale, atol=1e-8)
    np.testing.assert_allclose(mean.sigma_u, sigma, rtol=1e-6)
    for name in ("alpha", "short_run", "sigma_u"):
        values = getattr(draws, name).reshape(20_000, -1)
        error = values.mean(axis=0) - getattr(mean, name).ravel()
        assert np.all(np.abs(error) < 4.5 * values.std(axis=0) / np.sqrt(20_000)), name
    whole = np.concatenate([draws.alpha, draws.short_run], axis=2).reshape(20_000, -1)
    expected = np.kron(sigma, np.linalg.inv(X.T @ X))
    sds = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(
        np.cov(whole.T) / np.outer(sds, sds), expected / np.outer(sds, sds), atol=0.05
    )


def test_alpha_beta_does_not_depend_on_the_basis(series):
    law, _ = law_of(series)
    b = np.linalg.qr(np.random.default_rng(1).standard_normal((M, 2)))[0]
    found = mean_coefficients(law, b)
    beta, alpha = normalized(found.beta, found.alpha)
    np.testing.assert_allclose(alpha @ beta.T, found.alpha @ found.beta.T, rtol=1e-9)
    np.testing.assert_array_equal(beta[:2], np.eye(2))


@pytest.mark.parametrize(("rank", "deterministic"), [(1, "n"), (2, "n"), (2, "cili"), (4, "cili")])
def test_centered_coordinates_change_nothing_but_the_measure(series, rank, deterministic):
    """Their density is the law's over that of A c for uniform c, and the compiled one the same."""
    law, _ = law_of(series, deterministic)
    space = centered_spaces(law, rank)
    n = law.size
    c = np.stack([stiefel.rand(n, rank, rng=seed) for seed in range(5)])
    b = space.to_space(c)
    scatter = space.to_law @ space.to_law.T
    inner = np.linalg.slogdet(b.swapaxes(1, 2) @ np.linalg.solve(scatter, b))[1]
    angular = -0.5 * n * inner - 0.5 * rank * np.linalg.slogdet(scatter)[1]
    np.testing.assert_allclose(space.log_density(c), law.log_density(b) - angular, rtol=1e-9)
    compiled = [space.target().log_density_and_gradient(one)[0] for one in c]
    np.testing.assert_allclose(np.add(compiled, space.log_constant), space.log_density(c))
    at_mode = space.to_space(np.eye(n)[:, :rank])
    mode = law.mode(rank)
    np.testing.assert_allclose(at_mode @ at_mode.T, mode @ mode.T, atol=1e-7)


def test_proposals_have_the_density_they_claim(series):
    """Its mean under uniform c is one, and half of the proposals are uniform b."""
    law, _ = law_of(series)
    space = centered_spaces(law, 1)
    rng = np.random.default_rng(3)
    uniform = np.linalg.qr(rng.standard_normal((40_000, M, 1)))[0]
    proposed = space.propose(40_000, rng)
    inverse = np.exp(-space.log_proposal(proposed))
    assert abs(inverse.mean() - 1.0) < 4.0 * inverse.std() / 200.0
    # E over proposals of g / q is E over uniform c of g.
    g = [np.abs(one[:, 0, 0]) for one in (proposed, uniform)]
    weighted = g[0] * inverse
    error = np.hypot(weighted.std(), g[1].std()) / 200.0
    assert abs(weighted.mean() - g[1].mean()) < 4.0 * error
