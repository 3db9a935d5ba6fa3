"""Samplers of user-written moments: an exact law, a wrong one, blocks, and states as text."""

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.sampling.chains import run_chains
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
    return Settings(sampler, proposal_root=1.5 * posterior.at_mode.root, **keywords)


def distances(res, mean, sd):
    """Monte Carlo standard errors between the draws and a law."""
    error = res.mcse()
    return np.abs(
        np.concatenate([(res.params - mean) / error["mean"], (res.bse - sd) / error["sd"]])
    )


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
        assert proposed >= passed >= accepted > 0
        assert nonfinite == 0
