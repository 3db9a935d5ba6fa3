"""Laws of local projections under a fixed weight, against closed forms and stored quadrature."""

import json
from pathlib import Path

import numpy as np
import pytest

from qbeconometrics.diagnostics.convergence import mean_mcse, rhat, sd_mcse
from qbeconometrics.diagnostics.simultaneous_bands import simultaneous_band
from qbeconometrics.exceptions import InputError, OptionError
from qbeconometrics.inputs.projection_design import build_projection_design
from qbeconometrics.inputs.projection_series import check_projection_series
from qbeconometrics.models.fit_options import sample_options
from qbeconometrics.moments.projection import projection_moments
from qbeconometrics.posterior.projection_law import (
    NormalLaw,
    ProjectionPrior,
    Roughness,
    fixed_weight_law,
    path_layout,
    resolve_projection_prior,
)
from qbeconometrics.posterior.roughness import difference_matrix
from qbeconometrics.posterior.smoothing import fixed_smoothing_law, smoothing_target
from qbeconometrics.priors import Flat, Normal, Smoothness, StudentT
from qbeconometrics.sampling.projection import sample_normal, sample_smoothing

STORED = json.loads(
    (Path(__file__).parent.parent / "reference_values" / "reference_lp.json").read_text("utf-8")
)["specs"]
LAWS = {
    f"{spec}/{response}/{method}": block
    for spec, responses in STORED.items()
    for response, methods in responses.items()
    if response != "spec"
    for method, block in methods.items()
    if "joint_cov_matrix" in block and "degenerate_horizons" not in block
}
TARGETS = {name: block for name, block in LAWS.items() if "qb_fixed_weight" in block}
MONTE_CARLO_SE = 4.0


def options(**changes):
    chosen = {"draws": 5_000, "tune": 500, "chains": 4, "cores": 1, "rng": 0, **changes}
    return sample_options(sampler="auto", sampler_kwds=None, progressbar=False, **chosen)


def flat_law(block):
    """Flat-prior posterior from the stored estimate and joint covariance."""
    V = np.array(block["joint_cov_matrix"])
    sd = np.sqrt(np.diag(V))
    inverse = np.linalg.inv(np.linalg.cholesky(V / np.outer(sd, sd))) / sd
    return NormalLaw(np.linalg.qr(inverse, mode="r"), np.array(block["beta"]))


def roughness_prior(law, smoothness):
    n = len(law.mean)
    D = difference_matrix(smoothness.order, n)
    rough = Roughness(np.arange(n), D, np.zeros(len(D)), float(np.diag(law.covariance).mean()))
    return ProjectionPrior(
        np.zeros((0, n)), np.zeros(0), (rough,), smoothness, True, ("roughness",), None
    )


@pytest.mark.parametrize("name", sorted(LAWS))
def test_sup_t_critical_values(name):
    law = flat_law(LAWS[name])
    drawn = sample_normal(law, options(draws=50_000))
    sd = np.sqrt(np.diag(law.covariance))
    pooled = drawn.draws.reshape(-1, len(sd))
    band = simultaneous_band(pooled, 0.10, mean=law.mean, sd=sd)
    assert abs(band.critical_value - LAWS[name]["supt90_crit"]) < 0.02


@pytest.mark.parametrize("smoothing", [1.0, 100.0])
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_fixed_smoothing_parameter(name, smoothing):
    law = flat_law(TARGETS[name])
    posterior = fixed_smoothing_law(law, roughness_prior(law, Smoothness(2, smoothing)))
    stored = TARGETS[name]["qb_fixed_weight"][f"lambda={smoothing:g}"]
    sd = np.array(stored["sd"])
    np.testing.assert_allclose((posterior.mean - stored["mean"]) / sd, 0.0, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(np.diag(posterior.covariance)), sd, rtol=1e-6)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_sampled_smoothing_parameter(name):
    law = flat_law(TARGETS[name])
    target = smoothing_target(law, roughness_prior(law, Smoothness(2)))
    drawn = sample_smoothing(target, options(draws=10_000))
    stored = TARGETS[name]["qb_fixed_weight"]["gamma_hyperprior"]
    pooled = drawn.draws.reshape(-1, len(law.mean))
    mean_error = (pooled.mean(axis=0) - stored["mean"]) / mean_mcse(drawn.draws)
    sd_error = (pooled.std(axis=0) - stored["sd"]) / sd_mcse(drawn.draws)
    assert np.abs(mean_error).max() < MONTE_CARLO_SE
    assert np.abs(sd_error).max() < MONTE_CARLO_SE
    smoothing = drawn.smoothing
    error = (smoothing.mean() - stored["lambda_mean"]) / float(mean_mcse(smoothing)[0])
    assert abs(error) < MONTE_CARLO_SE
    assert float(rhat(smoothing)[0]) < 1.01
    band = simultaneous_band(pooled, 0.10)
    assert abs(band.critical_value - stored["supt90_crit"]) < 0.04  # two simulations
    quantile = simultaneous_band(pooled, 0.10, "quantile")
    level = stored["calibrated_quantile_pointwise_level"]
    assert abs(quantile.pointwise_probability - level) < 0.002


def by_quadrature(law, prior, shape_rate=None, half_cauchy=None):
    """Mean and covariance with the smoothing parameter integrated out on a grid."""
    grid = np.linspace(np.log(1e-5), np.log(1e7), 1501)
    rough = prior.roughness[0]
    logs, means, covariances = [], [], []
    P, q = law.root.T @ law.root, law.root.T @ law.root @ law.mean
    for u in grid:
        tau = np.exp(u) / rough.unit
        precision = P + tau * rough.differences.T @ rough.differences
        mean = np.linalg.solve(precision, q - tau * rough.differences.T @ rough.offset)
        log = 0.5 * len(rough.differences) * u - 0.5 * np.linalg.slogdet(precision)[1]
        log += 0.5 * mean @ precision @ mean - 0.5 * tau * rough.offset @ rough.offset
        if half_cauchy is None:
            log += shape_rate[0] * u - shape_rate[1] * np.exp(u)
        else:  # density of lambda if lambda^(-1/2) is half-Cauchy
            log += -0.5 * u - np.log1p(np.exp(-u) / half_cauchy**2)
        logs.append(log)
        means.append(mean)
        covariances.append(np.linalg.inv(precision))
    weights = np.exp(np.array(logs) - max(logs))
    weights /= weights.sum()
    mean = weights @ np.array(means)
    spread = np.array(means) - mean
    covariance = np.einsum("g,gij->ij", weights, np.array(covariances))
    return mean, covariance + np.einsum("g,gi,gj->ij", weights, spread, spread)


@pytest.mark.parametrize("order", [1, 2, "decay"])
@pytest.mark.parametrize("hyperprior", [{"gamma": (2.0, 0.1)}, {"half_cauchy": 0.5}])
def test_orders_and_hyperpriors_against_quadrature(order, hyperprior):
    law = flat_law(LAWS["jorda2005_interest_rules/gdp_gap/ols_nw"])
    smoothness = Smoothness(order, **hyperprior)
    prior = roughness_prior(law, smoothness)
    # A known first response shifts the differences.
    offset = np.zeros(len(prior.roughness[0].differences))
    offset[0] = 0.4
    rough = prior.roughness[0]
    shifted = Roughness(rough.places, rough.differences, offset, rough.unit)
    prior = ProjectionPrior(
        prior.rows, prior.target, (shifted,), smoothness, True, ("roughness",), None
    )
    drawn = sample_smoothing(smoothing_target(law, prior), options(draws=10_000))
    mean, covariance = by_quadrature(
        law, prior, hyperprior.get("gamma"), hyperprior.get("half_cauchy")
    )
    pooled = drawn.draws.reshape(-1, len(mean))
    assert np.abs((pooled.mean(axis=0) - mean) / mean_mcse(drawn.draws)).max() < MONTE_CARLO_SE
    sd = np.sqrt(np.diag(covariance))
    assert np.abs((pooled.std(axis=0) - sd) / sd_mcse(drawn.draws)).max() < MONTE_CARLO_SE


@pytest.fixture(scope="module")
def problem():
    """Two responses, two states, two instruments; the first response is the shock's own."""
    rng = np.random.default_rng(2)
    n = 400
    z, noise = rng.normal(size=(n, 2)), rng.normal(size=(n, 3))
    x = z @ [1.0, 0.5] + noise[:, 0]
    y = np.column_stack([x, np.cumsum(x) * 0.05 + noise[:, 1]])
    state = (noise[:, 2] > 0).astype(float)

    def build(states=True, horizon=5):
        series = check_projection_series(y, x, None, z, state if states else None)
        design = build_projection_design(series, horizon=horizon)
        moments = projection_moments(design)
        names = [f"b{j}" for j in range(2 * len(design.state_names) * (horizon + 1))]
        layout = path_layout(moments, names, responses=2, states=len(design.state_names))
        scores = moments.scores.reshape(moments.nobs, -1)
        return moments, layout, scores.T @ scores / moments.nobs

    return build


@pytest.mark.parametrize("states", [False, True])
def test_over_identified_law_is_that_of_stacked_gmm(problem, states):
    moments, layout, S = problem(states)
    B, L, _ = moments.jacobian.shape
    chosen = np.repeat(~moments.degenerate, L)
    G = np.zeros((B * L, len(layout.names)))
    for b, places in enumerate(layout.places()):
        G[b * L : (b + 1) * L, places] = moments.jacobian[b]
    G = G[chosen][:, layout.active]
    weight = np.linalg.inv(S[np.ix_(chosen, chosen)])
    precision = moments.nobs * G.T @ weight @ G
    mean = np.linalg.solve(precision, moments.nobs * G.T @ weight @ moments.cross.ravel()[chosen])
    law = fixed_weight_law(moments, layout, S)
    assert (~layout.active).sum() == (2 if states else 1)
    np.testing.assert_allclose(law.mean, mean, rtol=1e-8)
    np.testing.assert_allclose(law.covariance, np.linalg.inv(precision), rtol=1e-7, atol=1e-15)
    tempered = fixed_weight_law(moments, layout, S, learning_rate=0.5)
    np.testing.assert_allclose(tempered.covariance, 2 * law.covariance, rtol=1e-10, atol=1e-15)


def test_normal_prior_by_its_closed_form(problem):
    moments, layout, S = problem(False)
    law = fixed_weight_law(moments, layout, S)
    prior = resolve_projection_prior(Normal(0.3, 0.2), moments, layout, law)
    posterior = fixed_smoothing_law(law, prior)
    precision = np.linalg.inv(law.covariance)
    total = precision + 25.0 * np.eye(len(law.mean))
    mean = np.linalg.solve(total, precision @ law.mean + 25.0 * 0.3)
    np.testing.assert_allclose(posterior.mean, mean, rtol=1e-8)
    np.testing.assert_allclose(posterior.covariance, np.linalg.inv(total), rtol=1e-8)


def test_several_paths_share_their_covariance(problem):
    """A Gibbs run over four paths against a dense run of the same conditionals."""
    moments, layout, S = problem(True)
    law = fixed_weight_law(moments, layout, S)
    prior = resolve_projection_prior(Smoothness(2, gamma=(4.0, 1.0)), moments, layout, law)
    assert len(prior.roughness) == 4
    target = smoothing_target(law, prior)
    drawn = sample_smoothing(target, options(draws=20_000, chains=2))
    rng = np.random.default_rng(0)
    k = len(law.mean)
    base = law.root.T @ law.root + prior.rows.T @ prior.rows
    linear = law.root.T @ law.root @ law.mean + prior.rows.T @ prior.target
    smoothing, dense = np.ones(4), np.empty((20_000, k))
    for draw in dense:
        precision, shifted = base.copy(), linear.copy()
        for r, rough in enumerate(prior.roughness):
            tau = smoothing[r] / rough.unit
            block = np.ix_(rough.places, rough.places)
            precision[block] += tau * rough.differences.T @ rough.differences
            shifted[rough.places] -= tau * rough.differences.T @ rough.offset
        L = np.linalg.cholesky(precision)
        draw[:] = np.linalg.solve(precision, shifted) + np.linalg.solve(L.T, rng.standard_normal(k))
        for r, rough in enumerate(prior.roughness):
            rest = rough.differences @ draw[rough.places] + rough.offset
            rate = 1.0 + rest @ rest / (2 * rough.unit)
            smoothing[r] = rng.gamma(4.0 + len(rest) / 2) / rate
    ours, theirs = drawn.draws, dense[None, 500:]
    error = np.hypot(mean_mcse(ours), mean_mcse(theirs))
    assert np.abs((ours.mean(axis=(0, 1)) - theirs.mean(axis=(0, 1))) / error).max() < 4.5
    error = np.hypot(sd_mcse(ours), sd_mcse(theirs))
    assert np.abs((ours.std(axis=(0, 1)) - theirs.std(axis=(0, 1))) / error).max() < 4.5


def test_default_prior_is_on_the_scale_of_the_data(problem):
    moments, layout, S = problem(False)
    law = fixed_weight_law(moments, layout, S)
    prior = resolve_projection_prior(None, moments, layout, law)
    largest = 2.5 * moments.scale.reshape(2, -1).max(axis=1)
    np.testing.assert_allclose(prior.sds, np.repeat(largest, 6)[layout.active])
    assert prior.is_proper
    one = resolve_projection_prior({"b9": Normal(1.0, 0.1)}, moments, layout, law)
    changed = np.flatnonzero(one.sds != prior.sds)
    np.testing.assert_array_equal(np.flatnonzero(layout.active)[changed], [9])


def test_known_responses_enter_the_roughness(problem):
    moments, layout, S = problem(False)
    law = fixed_weight_law(moments, layout, S)
    prior = resolve_projection_prior(Smoothness(1, 5.0, level=Flat()), moments, layout, law)
    first = prior.roughness[0]
    # The first response is one and known: its difference to the next is penalised.
    np.testing.assert_allclose(first.offset, [-1.0, 0, 0, 0, 0], atol=1e-10)
    assert first.differences.shape == (5, 5)
    assert len(prior.rows) == 0


@pytest.mark.parametrize(
    ("prior", "error", "words"),
    [
        (StudentT(3, 0, 1), OptionError, "Student-t"),
        ({"b99": Normal(0, 1)}, InputError, "not a coefficient"),
        ({"b1": Smoothness()}, OptionError, "all responses at once"),
        ("flat", OptionError, "not a prior"),
        (Smoothness(2, level=Normal([0, 1], 1.0)), OptionError, "two numbers"),
    ],
)
def test_priors_that_are_refused(problem, prior, error, words):
    moments, layout, S = problem(False)
    law = fixed_weight_law(moments, layout, S)
    with pytest.raises(error, match=words):
        resolve_projection_prior(prior, moments, layout, law)


def test_paths_that_are_too_short_for_their_differences():
    with pytest.raises(OptionError, match="more than 2 horizons; there are 2"):
        difference_matrix(2, 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"order": 3}, "order=3"),
        ({"order": True}, "order=True"),
        ({"smoothing": 0.0}, "positive"),
        ({"smoothing": [1.0, 2.0]}, "one number"),
        ({"smoothing": 1.0, "gamma": (1, 1)}, "one of"),
        ({"gamma": (1.0, 0.0)}, "positive"),
        ({"gamma": 1.0}, "shape, rate"),
        ({"half_cauchy": -1.0}, "positive"),
        ({"level": 3.0}, "level=3.0"),
    ],
)
def test_smoothness_arguments(arguments, words):
    with pytest.raises(OptionError, match=words):
        Smoothness(**arguments)


def test_draws_do_not_depend_on_threads():
    law = flat_law(LAWS["jorda2005_interest_rules/gdp_gap/ols_nw"])
    target = smoothing_target(law, roughness_prior(law, Smoothness(2)))
    one, two = (sample_smoothing(target, options(draws=700, cores=c)) for c in (1, 2))
    np.testing.assert_array_equal(one.draws, two.draws)
    np.testing.assert_array_equal(one.smoothing, two.smoothing)
