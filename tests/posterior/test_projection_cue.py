"""The continuously updated law of local projections: values, grids, plain chains, far mass."""

import numpy as np
import pytest
from scipy import stats

import qbeconometrics as qb
from qbeconometrics.diagnostics.convergence import mean_mcse, rhat, sd_mcse, tail_ess
from qbeconometrics.exceptions import ImproperPosteriorError, TailMassError
from qbeconometrics.models.fit_options import sample_options
from qbeconometrics.moments.projection import score_covariance
from qbeconometrics.posterior.projection_cue import cue_target, tail_of
from qbeconometrics.sampling import projection_samplers
from qbeconometrics.sampling.projection_cue import Reference, sample_cue

MONTE_CARLO_SE = 4.0


def autoregression(n, seed=0, rho=0.9, wild=100):
    """y follows an autoregression driven by an observed shock and noise."""
    rng = np.random.default_rng(seed)
    shock, noise = rng.normal(size=(2, n + wild))
    y = np.zeros(n + wild)
    for t in range(1, n + wild):
        y[t] = rho * y[t - 1] + shock[t] + 0.5 * noise[t]
    return y[wild:], shock[wild:]


def build(horizon, n, prior, seed=0, **kwds):
    y, shock = autoregression(n, seed)
    model = qb.QuasiBayesLP(y, shock, horizon=horizon, prior=prior)
    rule = model._rule("HC0", kwds)
    posterior = model._posterior(rule, 1.0, 1)
    covariance = score_covariance(model.moments, rule)
    hyperprior = posterior.smoothing.hyperprior if posterior.smoothing else (1.0, 0.0, 0.0)
    target = cue_target(model.moments, model.layout, covariance, posterior.prior, 1.0, hyperprior)
    return model, posterior, target


def options(**changes):
    chosen = {"draws": 10_000, "tune": 1_000, "chains": 4, "cores": 1, "rng": 0, **changes}
    return sample_options(sampler="auto", sampler_kwds=None, progressbar=False, **chosen)


WEAK = qb.priors.Normal(0.0, 5.0)


@pytest.mark.parametrize("centered", [False, True])
def test_values_from_the_rows(centered):
    model, _, target = build(3, 120, WEAK, centered=centered)
    points = model.moments.estimate[:, 0] + 0.3 * np.random.default_rng(1).normal(size=(20, 4))
    likelihood, prior = target.evaluate(points)
    moments = model.moments
    for point, value, log_prior in zip(points, likelihood, prior, strict=True):
        deviation = point - moments.estimate[:, 0]
        rows = moments.scores[:, :, 0] - moments.regressor_scores[:, :, 0, 0] * deviation
        g = rows.mean(axis=0)
        used = rows - g if centered else rows
        S = used.T @ used / moments.nobs
        expected = -0.5 * np.linalg.slogdet(S)[1] - 0.5 * moments.nobs * g @ np.linalg.solve(S, g)
        assert value == pytest.approx(expected, rel=1e-9)
        assert log_prior == pytest.approx(-0.5 * point @ point / 25.0)


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "draws"), [("da", 20_000), ("hmc", 4_000)])
def test_two_horizons_against_a_grid(sampler, draws):
    model, posterior, target = build(1, 150, WEAK)
    sd = np.sqrt(np.diag(posterior.law.covariance))
    axes = [m + s * np.linspace(-12, 12, 801) for m, s in zip(posterior.law.mean, sd, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    log = np.add(*target.evaluate(grid))
    weights = np.exp(log - log.max())
    weights /= weights.sum()
    mean = weights @ grid
    spread = np.sqrt(weights @ (grid - mean) ** 2)
    res = model.fit(quasi_likelihood="cue", cov_type="HC0", draws=draws, rng=0, sampler=sampler)
    error = (res.params.to_numpy() - mean) / mean_mcse(res.draws)
    assert np.abs(error).max() < MONTE_CARLO_SE
    assert np.abs((res.bse.to_numpy() - spread) / sd_mcse(res.draws)).max() < MONTE_CARLO_SE
    # The tails, which a screen with S frozen near the mode would keep out.
    beyond = weights @ (np.abs(grid - mean) > 4.0 * sd)
    share = (np.abs(res.draws - mean) > 4.0 * sd).astype(float)
    error = (share.mean(axis=(0, 1)) - beyond) / np.maximum(mean_mcse(share), 1e-9)
    assert np.abs(error).max() < MONTE_CARLO_SE
    for place in range(2):
        cumulated = np.cumsum(weights.reshape(801, 801).sum(axis=1 - place))
        quantile = np.interp([0.05, 0.95], cumulated, axes[place])
        share = (res.draws[..., place].reshape(-1, 1) < quantile).mean(axis=0)
        ess = float(tail_ess(res.draws)[place])
        assert np.abs(share - [0.05, 0.95]).max() < 5 * np.sqrt(0.05 * 0.95 / ess)


def mahalanobis(law, points):
    """Root mean squared distance from the mean in local standard deviations."""
    root = np.linalg.cholesky(law.covariance)
    return np.sqrt(np.mean(np.linalg.solve(root, (points - law.mean).T) ** 2, axis=0))


def plain_metropolis(target, law, points, steps, longest, rng, thin=20):
    """Random-walk Metropolis from each row of `points`, with steps of scattered length.

    Lengths are log-uniform from a third of the usual one to `longest` times it. Returns draws
    (chains, steps / thin, k).
    """
    chains, k = points.shape
    step = 2.38 / np.sqrt(k) * np.linalg.cholesky(law.covariance)
    x, value = points, np.add(*target.evaluate(points))
    kept = np.empty((chains, steps // thin, k))
    for i in range(steps):
        length = np.exp(rng.uniform(np.log(0.3), np.log(longest), size=(chains, 1)))
        y = x + length * rng.standard_normal((chains, k)) @ step.T
        new = np.add(*target.evaluate(y))
        moved = np.log(rng.random(chains)) < new - value
        x, value = np.where(moved[:, None], y, x), np.where(moved, new, value)
        if i % thin == thin - 1:
            kept[:, i // thin] = x
    return kept


def compare_with_plain_metropolis(prior_sd, chains, burn_in):
    """Start on the prior's scale, leave that region, and compare with both samplers of the fit."""
    model, posterior, target = build(12, 500, qb.priors.Normal(0.0, prior_sd))
    rng = np.random.default_rng(3)
    starts = prior_sd * rng.standard_normal((chains, 13))
    distance = mahalanobis(posterior.law, starts)
    assert distance.min() > 10.0
    ends = plain_metropolis(target, posterior.law, starts, burn_in, np.median(distance), rng)[:, -1]
    assert mahalanobis(posterior.law, ends).max() < 5.0
    plain = plain_metropolis(target, posterior.law, ends, 80_000, 3.0, rng)
    assert float(np.nanmax(rhat(plain))) < 1.02
    for sampler, draws in (("da", 5_000), ("hmc", 1_000)):
        res = model.fit(sampler, quasi_likelihood="cue", cov_type="HC0", draws=draws, rng=0)
        assert float(res.rhat().max()) < 1.01
        error = np.hypot(mean_mcse(plain), mean_mcse(res.draws))
        assert np.abs((plain.mean(axis=(0, 1)) - res.params) / error).max() < MONTE_CARLO_SE
        error = np.hypot(sd_mcse(plain), sd_mcse(res.draws))
        assert np.abs((plain.std(axis=(0, 1)) - res.bse) / error).max() < MONTE_CARLO_SE


@pytest.mark.slow
def test_thirteen_horizons_against_plain_metropolis_from_the_priors_scale():
    compare_with_plain_metropolis(1.5, chains=6, burn_in=40_000)


@pytest.mark.long
def test_the_same_under_a_prior_that_holds_chains_back_for_long():
    """Chains stay long in a region of less than a millionth of the mass."""
    compare_with_plain_metropolis(2.5, chains=6, burn_in=800_000)


def windows_from_mode_to_prior(target, law, rng, *, width=0.2, chains=4, steps=6_000):
    """Log mass by log distance from the mode: Metropolis within overlapping windows.

    Returns the log distances (bins,) and the log masses of bins of half a window.
    """
    k = target.n_params
    root = np.linalg.cholesky(law.covariance)
    edges = np.arange(-0.6, 5.8, width / 2.0)
    n = len(edges) - 2
    low, middle, high = (np.repeat(edges[i : n + i], chains) for i in range(3))
    direction = rng.standard_normal((n * chains, k))
    direction /= np.sqrt(np.mean(direction**2, axis=1, keepdims=True))
    x = law.mean + np.exp(middle)[:, None] * direction @ root.T
    value, scale = np.add(*target.evaluate(x)), np.ones(n * chains)
    broad = np.minimum(0.01 * np.exp(high), 1.5)[:, None]
    below = np.zeros((n, 2))
    for i in range(steps):
        z = rng.standard_normal((n * chains, k))
        step = np.where(rng.random((n * chains, 1)) < 0.5, 0.66 * z @ root.T, broad * z)
        y = x + (scale * np.exp(0.7 * rng.standard_normal(n * chains)))[:, None] * step
        rho = np.log(mahalanobis(law, y))
        inside = (rho >= low) & (rho < high)
        new = np.full(n * chains, -np.inf)
        new[inside] = np.add(*target.evaluate(y[inside]))
        moved = np.log(rng.random(n * chains)) < new - value
        x, value = np.where(moved[:, None], y, x), np.where(moved, new, value)
        if i < steps // 4:
            scale *= np.exp(0.05 * (moved - 0.3))
            continue
        upper = np.log(mahalanobis(law, x)) >= middle
        below += np.column_stack([~upper, upper]).reshape(n, chains, 2).sum(axis=1)
    log_mass = np.concatenate([[0.0], np.cumsum(np.log(below[:, 1] / below[:, 0]))])
    return edges[:-1] + width / 4.0, log_mass


def test_mass_on_the_way_from_the_mode_to_the_priors_scale():
    """The far region is a basin of its own, behind a barrier; the tail check weighs it right."""
    _, posterior, target = build(12, 500, WEAK)
    rho, log_mass = windows_from_mode_to_prior(target, posterior.law, np.random.default_rng(4))
    barrier = int(np.argmin(np.where((rho > 0.5) & (rho < 4.5), log_mass, np.inf)))
    near, far = (np.logaddexp.reduce(part) for part in np.split(log_mass, [barrier]))
    ratio = tail_of(target, posterior.law, np.empty(0)).log_ratio
    assert far - near == pytest.approx(ratio, abs=2.0)
    assert ratio < -10.0
    # Why a plain chain that starts there takes millions of steps to leave.
    assert log_mass[barrier] < log_mass[barrier:].max() - 9.0


def test_far_mass_by_draws_from_the_prior():
    """Mass beyond ten local sds over all mass, by 50,000 draws from the prior and a local t law."""
    _, posterior, target = build(12, 500, WEAK)
    rng = np.random.default_rng(8)
    prior = 5.0 * rng.standard_normal((50_000, 13))
    root = np.linalg.cholesky(posterior.law.covariance)

    def distance(points):
        return np.sum(np.linalg.solve(root, (points - posterior.law.mean).T) ** 2, axis=0)

    likelihood = np.where(distance(prior) > 100.0 * 13, target.evaluate(prior)[0], -np.inf)
    far = np.logaddexp.reduce(likelihood) - np.log(len(prior))
    local = stats.multivariate_t(posterior.law.mean, 1.5 * posterior.law.covariance, df=8)
    points = local.rvs(50_000, random_state=rng)
    near, log_prior = target.evaluate(points)
    constant = -13 * np.log(5.0 * np.sqrt(2 * np.pi))
    mass = np.logaddexp.reduce(near + log_prior + constant - local.logpdf(points)) - np.log(50_000)
    assert far - mass < np.log(0.01)
    ratio = tail_of(target, posterior.law, np.empty(0)).log_ratio
    assert ratio == pytest.approx(far - mass, abs=2.0)


@pytest.mark.parametrize(("horizon", "n", "least"), [(12, 200, 5.0), (36, 300, 50.0)])
def test_far_mass_is_refused_with_its_figure(horizon, n, least):
    model, posterior, target = build(horizon, n, WEAK)
    ratio = tail_of(target, posterior.law, np.empty(0)).log_ratio
    assert ratio > least
    with pytest.raises(TailMassError, match=rf"is {ratio:.1f} .*two-step.*centered"):
        model.fit(quasi_likelihood="cue", cov_type="HC0")
    with pytest.raises(TailMassError, match=r"smoothness prior$"):
        model.fit("hmc", quasi_likelihood="cue", cov_type="HC0", cov_kwds={"centered": True})


def test_chains_that_start_far_out_do_find_that_region(monkeypatch):
    """Those that start at the mode stay, if all proposals are screened with S as it is there."""
    _, posterior, target = build(12, 200, WEAK)
    reference = Reference(posterior.law.mean, posterior.law.covariance, np.empty(0))
    rng = np.random.default_rng(0)
    near = [posterior.law.mean] * 2
    far = list(5.0 * rng.standard_normal((2, 13)))
    wide = Reference(posterior.law.mean, np.diag(np.full(13, 25.0)), np.empty(0))
    left = sample_cue(target, reference, options(chains=2, draws=2_000), near)
    monkeypatch.setattr(projection_samplers, "UNSCREENED_BLOCKS", 0)
    stay = sample_cue(target, reference, options(chains=2, draws=2_000), near)
    monkeypatch.undo()
    found = sample_cue(target, wide, options(chains=2, draws=2_000), far)
    local = np.sqrt(np.diag(posterior.law.covariance))
    assert np.all(stay.draws.std(axis=(0, 1)) < 3.0 * local)
    for sample in (found, left):
        assert np.median(sample.draws.std(axis=(0, 1)) / local) > 5.0
    together = np.concatenate([stay.draws, found.draws])
    assert np.nanmax(rhat(together)) > 1.5


def test_a_tighter_or_centred_law_is_not_refused():
    _, posterior, target = build(12, 500, WEAK)
    weak = tail_of(target, posterior.law, np.empty(0)).log_ratio
    _, posterior, target = build(12, 500, WEAK, centered=True)
    centred = tail_of(target, posterior.law, np.empty(0)).log_ratio
    assert centred < weak < np.log(0.01)


@pytest.mark.parametrize(
    "prior", [qb.priors.Flat(), qb.priors.Smoothness(2, level=qb.priors.Flat())]
)
def test_priors_that_are_not_proper_are_refused(prior):
    y, shock = autoregression(300)
    model = qb.QuasiBayesLP(y, shock, horizon=4, prior=prior)
    with pytest.raises(ImproperPosteriorError, match="proper prior"):
        model.fit(quasi_likelihood="cue")


@pytest.mark.parametrize("smoothing", [None, 5.0])
def test_roughness_prior_against_importance_weights(smoothing):
    prior = qb.priors.Smoothness(2, smoothing, level=qb.priors.Normal(0.0, 2.0))
    model, posterior, target = build(4, 500, prior)
    res = model.fit(quasi_likelihood="cue", cov_type="HC0", draws=10_000, rng=0)
    # The fixed-weight draws, reweighted by the ratio of the two laws.
    fixed = model.fit(cov_type="HC0", draws=50_000, rng=1)
    draws = fixed.draws.reshape(-1, 5)
    extra = np.empty((len(draws), 0))
    if smoothing is None:
        extra = fixed.smoothing.reshape(-1, 1)
    likelihood, _ = target.evaluate(np.hstack([draws, extra]))
    gap = draws - posterior.flat.mean
    log = likelihood + 0.5 * np.sum((gap @ posterior.flat.root.T) ** 2, axis=1)
    weights = np.exp(log - log.max())
    weights /= weights.sum()
    size = 1.0 / np.sum(weights**2)
    assert size > 2_000
    mean = weights @ draws
    sd = np.sqrt(weights @ (draws - mean) ** 2)
    error = np.hypot(mean_mcse(res.draws), sd / np.sqrt(size))
    assert np.abs((res.params - mean) / error).max() < MONTE_CARLO_SE
    assert np.abs(res.bse / sd - 1.0).max() < 0.08
    assert (res.smoothing is None) == (smoothing is not None)


def test_draws_do_not_depend_on_threads_and_the_summary_says_what_was_done():
    model, *_ = build(6, 300, qb.priors.Normal(0.0, 1.0))
    first, second = (model.fit(quasi_likelihood="cue", rng=2, draws=2_500, cores=c) for c in (1, 2))
    np.testing.assert_array_equal(first.draws, second.draws)
    np.testing.assert_array_equal(first.record.log_density, second.record.log_density)
    text = str(first.summary())
    for words in ("cue", "da", "Acceptance, stage 1", "blocks of principal components"):
        assert words in text
