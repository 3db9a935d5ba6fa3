"""The mass far from the mode, against quadrature."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.special import logsumexp, ndtri

import qbeconometrics as qb
from qbeconometrics.exceptions import TailWarning
from qbeconometrics.posterior.mode import find_mode
from qbeconometrics.posterior.surrogate import NormalSurrogate, normal_surrogate
from qbeconometrics.posterior.tail_check import NOTICEABLE, check_tail
from qbeconometrics.priors import Flat, Normal, StudentT, Uniform

DRAWS = 200_000
# Five standard errors of the log of a mean of DRAWS draws, generously.
MONTE_CARLO = 0.05


def checked(posterior, draws=DRAWS, seed=0):
    mode = find_mode(posterior.target)
    surrogate = normal_surrogate(posterior.target, mode.point)
    check = check_tail(posterior, mode.point, surrogate, np.random.default_rng(seed), draws=draws)
    return mode, surrogate.root, check


def density(target, points):
    return sum(target.evaluate(points))


def weak_problem(n=40, seed=2):
    """One coefficient, one weak instrument, no constant."""
    rng = np.random.default_rng(seed)
    z, error = rng.standard_normal((2, n))
    x = 0.3 * z + error + rng.standard_normal(n)
    return error + 0.5 * x, x[:, None], z[:, None]


@pytest.mark.parametrize("kind", ["cue", "cue-nodet"])
@pytest.mark.parametrize("learning_rate", [1.0, 0.5])
def test_one_coefficient(kind, learning_rate):
    model = qb.QuasiBayesIV(*weak_problem(), prior=Normal(0, 8))
    posterior = model.quasi_posterior(quasi_likelihood=kind, learning_rate=learning_rate)
    mode, root, check = checked(posterior)
    radius = root[0, 0] * np.sqrt(4 * stats.chi2.ppf(0.999, 1))

    def relative(point):
        return np.exp(density(posterior.target, np.array([[point]]))[0] - mode.log_density)

    centre, R = mode.point[0], posterior.basis.regressor_map[0, 0]
    reach = 10 * 8 / abs(R) + abs(posterior.target.arrays["prior_mean"][0])
    mass = quad(relative, centre + radius, reach, limit=400, points=[centre + 3 * radius])[0]
    mass += quad(relative, -reach, centre - radius, limit=400, points=[centre - 3 * radius])[0]
    expected = np.log(mass / (np.sqrt(2 * np.pi) * root[0, 0]))
    assert check.log_ratio == pytest.approx(expected, abs=MONTE_CARLO)


def test_two_coefficients(ajr, model_of):
    """The prior's mean of L over the far region, on a grid of prior quantiles."""
    posterior = model_of(ajr).quasi_posterior()
    mode, root, check = checked(posterior)
    target = posterior.target
    P, b = target.arrays["prior_precision"], target.arrays["prior_mean"]
    cells = 700
    normals = ndtri((np.arange(cells) + 0.5) / cells)
    grid = np.stack(np.meshgrid(normals, normals), axis=-1).reshape(-1, 2)
    points = b + np.linalg.solve(np.linalg.cholesky(P).T, grid.T).T
    distance = np.sum(np.linalg.solve(root, (points - mode.point).T) ** 2, axis=0)
    far = distance > 4 * stats.chi2.ppf(0.999, 2)
    log_far = logsumexp(target.evaluate(points[far])[0]) - np.log(len(points))
    at_mode = stats.multivariate_normal.logpdf(mode.point, b, np.linalg.inv(P))
    at_mode += target.evaluate(mode.point[None, :])[0][0]
    log_local = at_mode + np.log(2 * np.pi) + np.linalg.slogdet(root)[1]
    assert check.log_ratio == pytest.approx(log_far - log_local, abs=MONTE_CARLO)
    assert check.noticeable == (check.log_ratio > NOTICEABLE)
    assert pytest.approx(np.log(0.01)) == NOTICEABLE


def test_default_number_of_draws_is_near_enough(ajr, model_of):
    posterior = model_of(ajr).quasi_posterior()
    exact = checked(posterior)[2].log_ratio
    ratios = [checked(posterior, draws=2_000, seed=seed)[2].log_ratio for seed in range(5)]
    assert np.max(np.abs(np.array(ratios) - exact)) < 0.5  # the threshold is a factor of 100


def test_strong_instruments_have_no_tail():
    rng = np.random.default_rng(3)
    z, error, noise = rng.standard_normal((3, 300))
    x = z + error + noise
    posterior = qb.QuasiBayesIV(x + error, x[:, None], z[:, None]).quasi_posterior()
    check = checked(posterior)[2]
    assert not check.noticeable
    assert check.log_ratio < -8


def test_wide_prior_without_determinant_fires(ajr, model_of):
    posterior = model_of(ajr, Normal(0, 100)).quasi_posterior(quasi_likelihood="cue-nodet")
    check = checked(posterior)[2]
    assert check.noticeable
    assert check.log_ratio > 0  # more mass far away than at the mode


def test_far_points_lie_far_where_the_mass_is(ajr, model_of):
    """Their mean radius is that of the far region under the quasi-posterior."""
    posterior = model_of(ajr, Normal(0, 100)).quasi_posterior(quasi_likelihood="cue-nodet")
    mode, root, check = checked(posterior)
    distance = np.sum(np.linalg.solve(root, (check.far_points - mode.point).T) ** 2, axis=0)
    assert distance.min() > 4 * stats.chi2.ppf(0.999, 2)
    drawn = density(posterior.target, check.far_points)
    prior = np.random.default_rng(1).standard_normal((2_000, 2)) * 100
    typical = posterior.target.evaluate(posterior.basis.to_scaled(prior))[0]
    assert np.median(posterior.target.evaluate(check.far_points)[0]) > np.median(typical)
    assert np.all(np.isfinite(drawn))


@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.WeakInstrumentWarning")
@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.PriorWarning")
def test_warned_of_once_and_noted(ajr, model_of):
    with pytest.warns(TailWarning, match="log ratio .* Tighten the prior") as caught:
        res = model_of(ajr, Normal(0, 100)).fit(quasi_likelihood="cue-nodet", rng=0)
    tails = [warning for warning in caught if warning.category is TailWarning]
    assert len(tails) == 1
    assert str(tails[0].message) in res.record.notes
    assert tails[0].filename == __file__


def test_improper_priors_are_not_judged(data, model_of):
    posterior = model_of(data, {"const": Flat()}).quasi_posterior(quasi_likelihood="two-step")
    surrogate = NormalSurrogate(np.zeros(3), np.eye(3), np.eye(3))
    assert check_tail(posterior, np.zeros(3), surrogate, np.random.default_rng(0)) is None


LAWS = {
    "normal": (Normal(0.5, 8), stats.norm(0.5, 8)),
    "student": (StudentT(3, 0.5, 4), stats.t(3, 0.5, 4)),
    "uniform": (Uniform(-20, 15), stats.uniform(-20, 35)),
}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("kind", ["cue", "cue-nodet", "two-step"])
def test_one_parameter_of_user_written_moments(name, kind):
    """Two moments, one parameter, every prior; the mass by quadrature over the far region."""
    prior, law = LAWS[name]
    rng = np.random.default_rng(2)
    z, error = rng.standard_normal((2, 40))
    x = 0.3 * z + error + rng.standard_normal(40)
    instrument = np.column_stack([z, z**2])
    model = qb.QuasiBayesGMM(
        error + 0.5 * x,
        x,
        instrument,
        momcond=lambda p, y, x, z: z * (y - x[:, 0] * p[0])[:, None],
        prior=prior,
    )
    posterior = model.quasi_posterior(quasi_likelihood=kind)
    mode = posterior.find_mode()
    surrogate = posterior.surrogate_at(mode.point)
    check = check_tail(posterior, mode.point, surrogate, np.random.default_rng(0), draws=30_000)
    sd = surrogate.root[0, 0] * posterior.basis.regressor_map[0, 0]
    centre = posterior.basis.to_params(mode.point)[0]

    def likelihood(theta):
        return posterior.target.evaluate(posterior.basis.to_scaled(np.atleast_2d(theta).T))[0]

    quantiles = law.ppf((np.arange(20_000) + 0.5) / 20_000)
    far = np.abs(quantiles - centre) > sd * np.sqrt(4 * stats.chi2.ppf(0.999, 1))
    log_far = logsumexp(likelihood(quantiles[far])) - np.log(len(quantiles))
    log_local = likelihood(centre)[0] + law.logpdf(centre) + np.log(np.sqrt(2 * np.pi) * sd)
    # Draws of a fixed weight seldom hit the last points that count; their log mass is below -40.
    if kind == "two-step":
        assert max(check.log_ratio, log_far - log_local) < -20
    else:
        assert check.log_ratio == pytest.approx(log_far - log_local, abs=4 * MONTE_CARLO)
