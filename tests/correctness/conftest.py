"""Reference laws, runs that are long enough to judge by, and the comparison of the two."""

from dataclasses import dataclass

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.diagnostics import convergence
from qbeconometrics.sampling.options import SampleOptions, parse_sampler_kwds
from qbeconometrics.sampling.run import sample

STANDARD_ERRORS = 4.0
CHAINS = 4
KEPT_DRAWS = 20_000  # a chain; longer runs are thinned to this before anything is computed
MAXIMUM_DRAWS = 16_000_000
LARGEST_RHAT = 1.01


@dataclass(frozen=True)
class Law:
    """Exact mean (k,), sd (k,) and quantiles {probability: (k,)}, the latter to an accuracy."""

    mean: np.ndarray
    sd: np.ndarray
    quantiles: dict[float, np.ndarray]
    quantile_accuracy: float = 0.0


def deviation(draws, law):
    """Largest distance from the law in units of what is allowed: above 1 is a disagreement.

    Allowed are four Monte Carlo standard errors, or the accuracy of the law if that is larger.
    """
    pooled = draws.reshape(-1, draws.shape[2])
    ratios = [
        np.abs(pooled.mean(0) - law.mean) / (STANDARD_ERRORS * convergence.mean_mcse(draws)),
        np.abs(pooled.std(0, ddof=1) - law.sd) / (STANDARD_ERRORS * convergence.sd_mcse(draws)),
    ]
    for probability, quantile in law.quantiles.items():
        error = STANDARD_ERRORS * convergence.quantile_mcse(draws, probability)
        difference = np.abs(np.quantile(pooled, probability, axis=0) - quantile)
        ratios.append(difference / np.maximum(error, law.quantile_accuracy))
    return float(np.max(ratios))


def smallest_ess(draws):
    """Smallest bulk or tail effective sample size."""
    return float(np.min([convergence.bulk_ess(draws), convergence.tail_ess(draws)]))


def draw_until(posterior, sampler, *, ess, seed, n_draws=20_000, tune=1_000, **sampler_kwds):
    """Sample coefficients, four times longer each time, until the chains are worth `ess` draws.

    Chains start dispersed, and must agree: a chain that is stuck overstates its worth.
    """
    while True:
        assert n_draws <= MAXIMUM_DRAWS, f"{sampler} does not reach {ess} effective draws"
        options = SampleOptions(
            sampler,
            n_draws,
            tune,
            CHAINS,
            1,
            seed,
            parse_sampler_kwds(sampler, sampler_kwds),
            False,
        )
        drawn = sample(posterior, options)
        thin = -(-n_draws // KEPT_DRAWS)
        draws = posterior.basis.to_params(drawn.draws[:, ::thin])
        if smallest_ess(draws) >= ess and np.max(convergence.rhat(draws)) < LARGEST_RHAT:
            return draws
        n_draws *= 4


@dataclass(frozen=True)
class Rows:
    """Outcome (n,), regressors (n, k), instruments (n, m)."""

    y: np.ndarray
    x: np.ndarray
    z: np.ndarray


def weak_instruments(excluded=2, n=60):
    """A constant and one endogenous regressor, weak instruments, heteroskedastic errors."""
    rng = np.random.default_rng(60)
    z = np.column_stack([np.ones(n), rng.standard_normal((n, excluded))])
    v = rng.standard_normal(n)
    u = (0.8 * v + 0.6 * rng.standard_normal(n)) * (0.5 + 0.5 * np.abs(z[:, 1]))
    d = 0.3 * z[:, 1] + v
    return Rows(1.0 + 0.5 * d + u, np.column_stack([np.ones(n), d]), z)


PRIOR_MEAN = np.array([0.5, 0.0])
PRIOR_SD = np.array([0.6, 0.8])


def normal_log_prior(theta):
    return -0.5 * np.sum(((theta - PRIOR_MEAN) / PRIOR_SD) ** 2, axis=1)


def student_log_prior(theta, df=4.0):
    t = (theta - PRIOR_MEAN) / PRIOR_SD
    return -0.5 * (df + 1) * np.sum(np.log1p(t**2 / df), axis=1)


PRIORS = {
    "normal": (qb.priors.Normal(PRIOR_MEAN, PRIOR_SD), normal_log_prior),
    "student": (qb.priors.StudentT(4.0, PRIOR_MEAN, PRIOR_SD), student_log_prior),
}


def log_quasi_likelihood(
    rows, theta, kind="cue", cov_type="HC0", centered=False, learning_rate=1.0
):
    """At each of theta (N, 2), from the rows and the definition."""
    n = len(rows.y)
    residual = rows.y - theta @ rows.x.T
    g = residual @ rows.z / n
    products = rows.z[:, :, None] * rows.z[:, None, :]
    if kind == "two-step":
        projected = rows.z @ np.linalg.lstsq(rows.z, rows.x, rcond=None)[0]
        first_step = np.linalg.lstsq(projected, rows.y, rcond=None)[0]
        residual = (rows.y - rows.x @ first_step)[None, :]
    if cov_type == "nonrobust":
        variance = residual.var(axis=1) if centered else np.mean(residual**2, axis=1)
        S = variance[:, None, None] * products.mean(axis=0)
    else:
        S = np.tensordot(residual**2, products, 1) / n
        if centered:
            S = S - g[:, :, None] * g[:, None, :]
    S = np.broadcast_to(S, (len(theta), *S.shape[1:]))
    quadratic = np.sum(g * np.linalg.solve(S, g[:, :, None])[:, :, 0], axis=1)
    value = -0.5 * learning_rate * n * quadratic
    return value - 0.5 * np.linalg.slogdet(S)[1] if kind == "cue" else value


def integrate(log_density, centre, scale, width, points=401):
    """Mean, sd and quantiles of a density in the plane, by the trapezoid rule.

    The grid is even in u with theta = centre + scale sinh(u) and reaches to centre +- width; it is
    centred anew on the median and scaled to the sd that the grid before it found.
    """
    for _ in range(3):
        reach = np.arcsinh(width / scale)
        axes, stretches = [], []
        for j in range(2):
            u = np.linspace(-reach[j], reach[j], points)
            axes.append(centre[j] + scale[j] * np.sinh(u))
            stretches.append(np.cosh(u))
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
        value = np.concatenate([log_density(block) for block in np.array_split(grid, 20)])
        weight = np.exp(value - value.max()).reshape(points, points)
        weight *= np.outer(*stretches)
        law = summarise(axes, weight / weight.sum())
        centre, scale = law.quantiles[0.5], law.sd / 2
    return law


def summarise(axes, weight):
    """The law of two coordinates with weights on a grid."""
    mean, sd, quantiles = [], [], []
    for j, axis in enumerate(axes):
        marginal = weight.sum(axis=1 - j)
        assert max(marginal[0], marginal[-1]) < 1e-9  # nothing is cut off
        mean.append(marginal @ axis)
        sd.append(np.sqrt(marginal @ (axis - mean[-1]) ** 2))
        below = np.cumsum(marginal) - marginal / 2
        quantiles.append(np.interp([0.025, 0.5, 0.975], below, axis))
    by_probability = dict(zip((0.025, 0.5, 0.975), np.transpose(quantiles), strict=True))
    return Law(np.array(mean), np.array(sd), by_probability)


class WeakProblem:
    """Quasi-posteriors of the weak-instrument rows, and their laws by integration."""

    def __init__(self, excluded):
        self.rows = weak_instruments(excluded)
        self._laws = {}

    def posterior(self, prior="normal", **options):
        model = qb.QuasiBayesIV(self.rows.y, self.rows.x, self.rows.z, prior=PRIORS[prior][0])
        renamed = {"quasi_likelihood": options.get("kind", "cue")}
        if options.get("centered"):
            renamed["cov_kwds"] = {"centered": True}
        for name in ("cov_type", "learning_rate"):
            if name in options:
                renamed[name] = options[name]
        return model.quasi_posterior(**renamed)

    def law(self, prior="normal", **options):
        key = (prior, *sorted(options.items()))
        if key not in self._laws:
            width = 10.0 if prior == "normal" else 200.0
            self._laws[key] = integrate(
                lambda theta: (
                    log_quasi_likelihood(self.rows, theta, **options) + PRIORS[prior][1](theta)
                ),
                centre=PRIOR_MEAN,
                scale=PRIOR_SD / 5,
                width=width * PRIOR_SD,
            )
        return self._laws[key]


@pytest.fixture(scope="session")
def weak_problems():
    """By the number of excluded instruments: 1 makes m = k, 2 makes m > k."""
    return {excluded: WeakProblem(excluded) for excluded in (1, 2)}


@pytest.fixture(scope="session")
def integrate_over():
    """Integrate a density in the plane: see `integrate`."""
    return integrate


@pytest.fixture(scope="session")
def run_until():
    """Sample long enough: see `draw_until`."""
    return draw_until


def agreement(draws_of, law):
    """Deviation of a run, and where it is above 1 of a second one with another seed.

    Two hundred comparisons at four errors, each of several numbers, give a false alarm now and then
    where rounding differs between machines; a wrong sampler misses every time (see the mutants).
    """
    first = deviation(draws_of(seed=1), law)
    return first if first < 1.0 else deviation(draws_of(seed=2), law)


@pytest.fixture(scope="session")
def agreement_with():
    """Compare a sampler with a law: see `agreement`."""
    return agreement


@pytest.fixture(scope="session")
def deviation_from():
    """Compare draws with a law: see `deviation`."""
    return deviation


@pytest.fixture(scope="session")
def law_of():
    """Make a `Law`."""
    return Law


@pytest.fixture(scope="session")
def worth():
    """Smallest effective sample size of draws."""
    return smallest_ess
