"""Warm-up of random walks."""

import numpy as np
import pytest

from qbeconometrics.sampling import chains
from qbeconometrics.sampling.adaptation import (
    acceptance_goal,
    initial_scale,
    pooled_proposal_root,
    warm_up,
)
from qbeconometrics.sampling.choose import dispersed_starts
from qbeconometrics.sampling.progress import SilentProgress
from qbeconometrics.sampling.samplers import Settings
from qbeconometrics.sampling.state import new_state

# Scales differ by chain and wander with a gain of about 500^-0.6.
ACCEPTANCE_TOLERANCE = 0.06


def make_states(posterior, surrogate, chains_=4):
    seeds = np.random.SeedSequence(6).spawn(2 * chains_)
    nowhere = np.empty((0, len(surrogate.mean)))
    starts = dispersed_starts(
        posterior.target, surrogate.mean, surrogate.root, nowhere, seeds[:chains_]
    )
    return [new_state(x, seed) for x, seed in zip(starts, seeds[chains_:], strict=True)]


@pytest.fixture
def warmed(normal_posterior, surrogate_of):
    surrogate = surrogate_of(normal_posterior)

    def run(sampler, tune, root=None):
        settings = Settings(sampler, proposal_root=surrogate.root if root is None else root)
        states = make_states(normal_posterior, surrogate)
        target = normal_posterior.target
        return warm_up(target, settings, states, tune, cores=2, progress=SilentProgress())

    return run


def test_goals():
    assert acceptance_goal(1, delayed=False) == pytest.approx(0.44)
    assert acceptance_goal(1000, delayed=False) == pytest.approx(0.234, abs=1e-3)
    assert acceptance_goal(5, delayed=True) < acceptance_goal(5, delayed=False)
    assert np.exp(initial_scale(4)) == pytest.approx(1.19)


@pytest.mark.parametrize("sampler", ["rwm", "da"])
@pytest.mark.parametrize("stretch", [1.0, 30.0, 1 / 30])
def test_acceptance_is_near_its_goal_on_a_normal_target(
    normal_posterior, surrogate_of, warmed, sampler, stretch
):
    """Also from proposals that are far too long or short."""
    settings, run = warmed(sampler, 1_000, stretch * surrogate_of(normal_posterior).root)
    assert settings.goal < 0
    before = sum(state.counters for state in run.states)
    after = chains.run_chains(normal_posterior.target, settings, run.states, 4_000, cores=2)
    counters = sum(state.counters for state in after.states) - before
    goal = acceptance_goal(4, delayed=sampler == "da")
    assert counters[2] / counters[0] == pytest.approx(goal, abs=ACCEPTANCE_TOLERANCE)


def test_nothing_is_adapted_after_warm_up(normal_posterior, warmed):
    settings, run = warmed("rwm", 200)
    after = chains.run_chains(normal_posterior.target, settings, run.states, 100, cores=2)
    for before, now in zip(run.states, after.states, strict=True):
        assert np.array_equal(now.tuning, before.tuning)
        assert now.tuning[1] == 100


@pytest.mark.parametrize("sampler", ["rwm", "da"])
def test_blocks_do_not_change_the_tuning(warmed, sampler, monkeypatch):
    settings, run = warmed(sampler, 300)
    monkeypatch.setattr(chains, "FIRST_BLOCK", 1)
    monkeypatch.setattr(chains, "BLOCK_SECONDS", 1e-9)
    again, second = warmed(sampler, 300)
    assert np.array_equal(again.proposal_root, settings.proposal_root)
    assert [s.to_json() for s in second.states] == [s.to_json() for s in run.states]


@pytest.mark.parametrize("tune", [0, 1, 2, 79, 80])
def test_short_warm_ups_work(warmed, surrogate_of, normal_posterior, tune):
    settings, run = warmed("rwm", tune)
    assert settings.proposal_root.shape == (4, 4)
    shaped = not np.array_equal(settings.proposal_root, surrogate_of(normal_posterior).root)
    assert shaped == (tune >= 80)
    assert sum(int(state.counters[0]) for state in run.states) == 4 * tune


def test_modified_samplers_keep_their_settings(normal_posterior, surrogate_of):
    settings = Settings("da-exact", df=5.0)
    states = make_states(normal_posterior, surrogate_of(normal_posterior))
    after, run = warm_up(
        normal_posterior.target, settings, states, 50, cores=1, progress=SilentProgress()
    )
    assert after is settings
    assert run.draws.shape == (4, 50, 4)


def test_pooled_root_follows_the_draws_when_they_are_worth_much():
    truth = np.array([[2.0, 0.0], [1.5, 0.5]])
    draws = np.random.default_rng(0).standard_normal((4, 5_000, 2)) @ truth.T
    root = pooled_proposal_root(draws, np.eye(2))
    assert np.allclose(root @ root.T, truth @ truth.T, rtol=0.05, atol=0.05)


def test_pooled_root_stays_at_the_mode_when_they_are_worth_little():
    rng = np.random.default_rng(0)
    slow = np.cumsum(0.01 * rng.standard_normal((4, 50, 2)), axis=1)
    slow += rng.standard_normal((4, 1, 2))
    root = pooled_proposal_root(slow, np.eye(2))
    assert np.allclose(root @ root.T, np.eye(2), atol=0.4)


def test_dispersed_starts_have_finite_density(posterior, surrogate_of):
    surrogate = surrogate_of(posterior)
    seeds = np.random.SeedSequence(1).spawn(200)
    nowhere = np.empty((0, len(surrogate.mean)))
    arguments = posterior.target, surrogate.mean, surrogate.root, nowhere, seeds
    starts, again = dispersed_starts(*arguments), dispersed_starts(*arguments)
    assert np.array_equal(starts, again)
    assert np.isfinite(sum(posterior.target.evaluate(np.array(starts)))).all()
    spread = np.linalg.solve(surrogate.root, (np.array(starts) - surrogate.mean).T)
    assert np.median(np.abs(spread)) > 1.0  # 0.67 for draws from the normal law itself


def test_every_second_chain_starts_far_where_that_matters(posterior, surrogate_of):
    surrogate = surrogate_of(posterior)
    far_points = surrogate.mean + np.array([[40.0, -40.0], [50.0, -50.0]])
    seeds = np.random.SeedSequence(1).spawn(6)
    starts = dispersed_starts(posterior.target, surrogate.mean, surrogate.root, far_points, seeds)
    far = [any(np.allclose(x, point) for point in far_points) for x in starts]
    assert far == [False, True] * 3
