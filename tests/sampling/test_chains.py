"""Chains in blocks and threads: the same bits whatever the split, and errors that come out."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from qbeconometrics.exceptions import NumericalError
from qbeconometrics.kernels.reference.hmc import NormalisingMap
from qbeconometrics.sampling import chains
from qbeconometrics.sampling.run import sample
from qbeconometrics.sampling.samplers import SAMPLERS, Settings
from qbeconometrics.sampling.state import new_state

N_DRAWS = 240


@pytest.fixture
def starts(posterior, surrogate_of):
    mean = surrogate_of(posterior).mean
    seeds = np.random.SeedSequence(4).spawn(4)
    return [new_state(mean + 0.1 * i, seed) for i, seed in enumerate(seeds)]


@pytest.fixture
def settings_of(posterior, surrogate_of):
    root = surrogate_of(posterior).root
    return {
        "rwm": Settings("rwm", proposal_root=root, goal=0.3),
        "da": Settings("da", proposal_root=root, goal=0.2),
        "da-exact": Settings("da-exact", df=2.0),
        "da-approx": Settings("da-approx", df=np.inf, rho=0.5),
        "hmc": Settings(
            "hmc", normalising_map=NormalisingMap(np.zeros(2), root, 0.3), goal=0.8, length=1.0
        ),
    }


def same(first, second):
    return (
        np.array_equal(first.draws, second.draws)
        and np.array_equal(first.log_density, second.log_density)
        and [s.to_json() for s in first.states] == [s.to_json() for s in second.states]
    )


@pytest.mark.usefixtures("no_thread_left")
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_threads_and_blocks_change_no_bit(posterior, starts, settings_of, sampler, monkeypatch):
    settings = settings_of[sampler]
    expected = chains.run_chains(posterior.target, settings, starts, N_DRAWS, cores=1)
    assert expected.draws.shape == (4, N_DRAWS, 2)
    for cores in (1, 2, 4, 8):
        for first_block, seconds in ((1, 1e-9), (7, 1e-5), (100, 0.05), (10**6, 0.05)):
            monkeypatch.setattr(chains, "FIRST_BLOCK", first_block)
            monkeypatch.setattr(chains, "BLOCK_SECONDS", seconds)
            run = chains.run_chains(posterior.target, settings, starts, N_DRAWS, cores=cores)
            assert same(run, expected), (cores, first_block, seconds)


@pytest.mark.parametrize("sampler", ["auto", "rwm", "da-exact", "hmc"])
def test_whole_runs_repeat_bit_by_bit(posterior, options, sampler, monkeypatch):
    """Race, warm-up and draws, five times over with other threads and blocks."""
    expected = sample(posterior, options(sampler=sampler, cores=1))
    for repeat, cores in enumerate((1, 2, 4, 8, 3)):
        monkeypatch.setattr(chains, "FIRST_BLOCK", 3 + 40 * repeat)
        again = sample(posterior, options(sampler=sampler, cores=cores))
        assert np.array_equal(again.draws, expected.draws)
        assert np.array_equal(again.log_density, expected.log_density)
        assert again.settings == expected.settings


def test_chains_do_not_depend_on_each_other(posterior, starts, settings_of):
    together = chains.run_chains(posterior.target, settings_of["rwm"], starts, 50, cores=2)
    for i, start in enumerate(starts):
        alone = chains.run_chains(posterior.target, settings_of["rwm"], [start], 50, cores=1)
        assert np.array_equal(alone.draws[0], together.draws[i])
    assert len({draws.tobytes() for draws in together.draws}) == 4


def test_no_draws(posterior, starts, settings_of):
    run = chains.run_chains(posterior.target, settings_of["rwm"], starts, 0, cores=2)
    assert run.draws.shape == (4, 0, 2)
    assert not run.interrupted
    assert [s.to_json() for s in run.states] == [s.to_json() for s in starts]


def test_log_density_is_that_of_the_draws(posterior, starts, settings_of):
    for settings in settings_of.values():
        run = chains.run_chains(posterior.target, settings, starts, 30, cores=1)
        again = sum(posterior.target.evaluate(run.draws.reshape(-1, 2)))
        assert np.array_equal(run.log_density.ravel(), again)


@pytest.mark.usefixtures("no_thread_left")
class TestErrors:
    def test_of_a_worker_come_out(self, posterior, starts, monkeypatch):
        def broken(target, settings, state, n_draws):
            raise RuntimeError("worker broke")

        monkeypatch.setitem(SAMPLERS, "rwm", replace(SAMPLERS["rwm"], advance=broken))
        with pytest.raises(RuntimeError, match="worker broke"):
            chains.run_chains(posterior.target, Settings("rwm"), starts, 10, cores=2)

    def test_of_one_chain_in_a_later_block(self, posterior, starts, settings_of, monkeypatch):
        good = SAMPLERS["rwm"].advance

        def fails_late(target, settings, state, n_draws):
            if state.counters[0] >= 20:
                raise ZeroDivisionError("late")
            return good(target, settings, state, n_draws)

        monkeypatch.setattr(chains, "FIRST_BLOCK", 10)
        monkeypatch.setitem(SAMPLERS, "rwm", replace(SAMPLERS["rwm"], advance=fails_late))
        with pytest.raises(ZeroDivisionError, match="late"):
            chains.run_chains(posterior.target, settings_of["rwm"], starts, 10**5, cores=2)

    def test_a_chain_without_density_is_named(self, posterior, starts, settings_of):
        lost = [replace(start, position=np.full(2, np.nan)) for start in starts]
        for settings in settings_of.values():
            with pytest.raises(NumericalError, match="not finite where a chain stands"):
                chains.run_chains(posterior.target, settings, lost, 10, cores=2)


def test_default_cores_is_at_most_the_chains():
    assert chains.default_cores(1) == 1
    assert 1 <= chains.default_cores(10**6) < 10**6


def test_workers_bear_our_name(posterior, starts, settings_of, monkeypatch):
    names = []
    good = SAMPLERS["rwm"].advance

    def watching(target, settings, state, n_draws):
        names.append(threading.current_thread().name)
        return good(target, settings, state, n_draws)

    monkeypatch.setitem(SAMPLERS, "rwm", replace(SAMPLERS["rwm"], advance=watching))
    chains.run_chains(posterior.target, settings_of["rwm"], starts, 10, cores=2)
    assert {name.split("_")[0] for name in names} == {"qbeconometrics"}
