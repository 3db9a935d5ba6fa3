"""Samplers of user-written moments: an exact law, a wrong one, blocks, and states as text."""

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.kernels.reference.hmc import NormalisingMap
from qbeconometrics.sampling.chains import run_chains
from qbeconometrics.sampling.function_hamiltonian import log_density_and_gradient
from qbeconometrics.sampling.function_samplers import FUNCTION_SAMPLERS
from qbeconometrics.sampling.samplers import Settings
from qbeconometrics.sampling.state import ChainState, new_state

ERRORS = 4.0  # Monte Carlo standard errors
SETTINGS = [
    ("rwm", {}),
    ("da", {}),
    ("da-exact", {"df": np.inf, "rho": 0}),
    ("da-exact", {"df": 4, "rho": 0}),
    ("da-exact", {"df": 4, "rho": 0.6}),
    ("hmc", {"length": 1.5}),
]


def linear(params, endog, exog, instrument):
    return exog * (endog - exog @ params)[:, None]


@pytest.fixture(scope="module")
def model():
    """Linear moments: exactly normal with a fixed weight."""
    rng = np.random.default_rng(8)
    x = np.column_stack([np.ones(60), rng.standard_normal(60)])
    y = x @ [1.0, 0.5] + rng.standard_normal(60)
    return qb.QuasiBayesGMM(y, x, momcond=linear, prior=qb.priors.Normal(0, 1))


@pytest.fixture(scope="module")
def posterior(model):
    return model.quasi_posterior()


def settings_of(posterior, sampler, keywords):
    keywords = {name: float(value) for name, value in keywords.items()}
    root = 1.5 * posterior.at_mode.root
    if sampler == "hmc":
        keywords["normalising_map"] = NormalisingMap(np.zeros(2), root, 0.3)
    return Settings(sampler, proposal_root=root, **keywords)


def distances(res, mean, sd):
    """Monte Carlo standard errors between the draws and a law."""
    error = res.mcse()
    return np.abs(
        np.concatenate([(res.params - mean) / error["mean"], (res.bse - sd) / error["sd"]])
    )


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "keywords"), SETTINGS)
def test_an_exactly_normal_law_is_hit_and_a_wrong_one_is_not(model, sampler, keywords):
    options = {"sampler_kwds": keywords} if keywords else {}
    res = model.fit(
        sampler, draws=3000, rng=1, quasi_likelihood="two-step", progressbar=False, **options
    )
    assert distances(res, res.mode, res.mode_bse).max() < ERRORS
    assert distances(res, res.mode + 0.3 * res.mode_bse, res.mode_bse).max() > ERRORS
    assert distances(res, res.mode, 1.3 * res.mode_bse).max() > ERRORS


@pytest.mark.parametrize(("sampler", "keywords"), SETTINGS)
def test_draws_do_not_depend_on_the_blocks_and_states_survive_as_text(posterior, sampler, keywords):
    advance = FUNCTION_SAMPLERS[sampler].advance
    settings = settings_of(posterior, sampler, keywords)
    start = new_state(np.array([0.3, -0.2]), np.random.SeedSequence(3))
    _, whole = advance(posterior.target, settings, start, 50)
    state, parts = start, []
    for size in (1, 7, 12, 30):
        state, block = advance(posterior.target, settings, state, size)
        state = ChainState.from_json(state.to_json())
        parts.append(block)
    np.testing.assert_array_equal(np.concatenate([block.draws for block in parts]), whole.draws)
    np.testing.assert_array_equal(
        np.concatenate([block.log_density for block in parts]), whole.log_density
    )


@pytest.mark.parametrize(("sampler", "keywords"), SETTINGS)
def test_draws_come_with_their_log_density_and_counts(posterior, sampler, keywords):
    settings = settings_of(posterior, sampler, keywords)
    states = [new_state(np.zeros(2), seed) for seed in np.random.SeedSequence(0).spawn(2)]
    run = run_chains(posterior.target, settings, states, 60, cores=1)
    expected = sum(posterior.target.evaluate(run.draws.reshape(-1, 2)))
    np.testing.assert_allclose(run.log_density.ravel(), expected, rtol=1e-10)
    for state in run.states:
        proposed, passed, accepted, nonfinite, _ = state.counters
        assert proposed == 60
        assert min(proposed, passed) >= accepted > 0
        assert sampler == "hmc" or proposed >= passed
        assert nonfinite == 0


def mean_and_variance(params, endog, exog, instrument):
    deviation = endog - params[0]
    return np.column_stack([deviation, deviation**2 - params[1], deviation**3])


def derivative(params, endog, exog, instrument):
    deviation = endog - params[0]
    second = -3.0 * np.mean(deviation**2)
    return np.array([[-1.0, 0.0], [-2.0 * deviation.mean(), -1.0], [second, 0.0]])


PRIORS = {
    "normal": qb.priors.Normal([0.5, 1.0], [1.0, 2.0]),
    "student": qb.priors.StudentT(4, [0.5, 1.0], [1.0, 2.0]),
    "uniform": qb.priors.Uniform([-5.0, 0.1], [5.0, 9.0]),
}


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("jac", [None, derivative])
@pytest.mark.parametrize("kind", ["cue", "cue-nodet", "two-step"])
def test_gradient(prior, jac, kind):
    """By differences of another size; with a fixed weight and a given derivative it is analytic."""
    y = np.random.default_rng(2).normal(1.0, 1.5, size=80)
    model = qb.QuasiBayesGMM(
        y, momcond=mean_and_variance, jac=jac, start_params=[1.0, 2.0], prior=PRIORS[prior]
    )
    target = model.quasi_posterior(quasi_likelihood=kind, learning_rate=0.7).target

    def value(x):
        return sum(float(part[0]) for part in target.evaluate(x[None, :]))

    for x in (np.array([0.3, -0.4]), np.array([-1.2, 0.8])):
        log_density, gradient = log_density_and_gradient(target, x)
        assert log_density == pytest.approx(value(x), rel=1e-12)
        steps = 1e-3 * np.eye(2)
        near = np.array([value(x + s) - value(x - s) for s in steps])
        far = np.array([value(x + 2 * s) - value(x - 2 * s) for s in steps])
        np.testing.assert_allclose(gradient, (8 * near - far) / 12e-3, rtol=1e-5, atol=1e-5)


def test_trajectories_of_a_fixed_weight_call_the_given_derivative():
    calls = []

    def counted(*arguments):
        calls.append(1)
        return derivative(*arguments)

    y = np.random.default_rng(2).normal(1.0, 1.5, size=80)
    model = qb.QuasiBayesGMM(
        y, momcond=mean_and_variance, jac=counted, start_params=[1.0, 2.0], prior=PRIORS["normal"]
    )
    posterior = model.quasi_posterior(quasi_likelihood="two-step")
    calls.clear()
    log_density_and_gradient(posterior.target, np.zeros(2))
    assert len(calls) == 1


def test_outside_the_box_and_where_nothing_is_finite():
    def half_known(params, endog, exog, instrument):
        return np.full((80, 2), np.nan) if params[0] > 2.0 else moments(params, endog)

    def moments(params, endog):
        deviation = endog - params[0]
        return np.column_stack([deviation, deviation**2 - params[1]])

    y = np.random.default_rng(2).normal(1.0, 1.5, size=80)
    model = qb.QuasiBayesGMM(
        y, momcond=half_known, start_params=[1.0, 2.0], prior=PRIORS["uniform"]
    )
    posterior = model.quasi_posterior()
    outside, unknown = (posterior.basis.to_scaled(p) for p in ([9.0, 2.0], [3.0, 2.0]))
    assert log_density_and_gradient(posterior.target, outside)[0] == -np.inf
    assert np.isnan(log_density_and_gradient(posterior.target, unknown)[0])
