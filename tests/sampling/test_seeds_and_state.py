"""From the user's `rng` to streams, and a chain's state as text."""

import json

import numpy as np
import pytest

from qbeconometrics.exceptions import OptionError
from qbeconometrics.kernels.reference.hmc import NormalisingMap
from qbeconometrics.sampling.samplers import SAMPLERS, Settings
from qbeconometrics.sampling.seeds import spawn_seeds
from qbeconometrics.sampling.state import ChainState, new_state


def streams(seeds):
    return [tuple(seed.generate_state(4)) for seed in seeds]


class TestSeeds:
    def test_none_takes_fresh_entropy(self):
        assert streams(spawn_seeds(None, 2)) != streams(spawn_seeds(None, 2))

    @pytest.mark.parametrize("rng", [0, 7, 2**100, np.int64(7), np.uint8(7)])
    def test_an_int_gives_the_same_each_time(self, rng):
        first = streams(spawn_seeds(rng, 5))
        assert first == streams(spawn_seeds(rng, 5))
        assert len(set(first)) == 5

    def test_numpy_ints_are_ints(self):
        assert streams(spawn_seeds(7, 2)) == streams(spawn_seeds(np.int64(7), 2))

    def test_more_streams_begin_with_the_same(self):
        assert streams(spawn_seeds(3, 6))[:4] == streams(spawn_seeds(3, 4))

    def test_a_seed_sequence_is_repeatable_and_unchanged(self):
        rng = np.random.SeedSequence(5, spawn_key=(2,), pool_size=8)
        first = streams(spawn_seeds(rng, 3))
        assert first == streams(spawn_seeds(rng, 3))
        assert rng.n_children_spawned == 0
        assert first == streams(np.random.SeedSequence(5, spawn_key=(2,), pool_size=8).spawn(3))

    @pytest.mark.parametrize("kind", [np.random.PCG64, np.random.Philox, np.random.SFC64])
    def test_a_bit_generator_is_spawned(self, kind):
        rng = kind(5)
        state = json.dumps(rng.state, default=lambda array: array.tolist())
        first, second = streams(spawn_seeds(rng, 3)), streams(spawn_seeds(rng, 3))
        assert not set(first) & set(second)
        assert state == json.dumps(rng.state, default=lambda array: array.tolist())

    def test_a_generator_is_its_bit_generator(self):
        rng = np.random.default_rng(5)
        first = streams(spawn_seeds(rng, 3))
        assert first == streams(spawn_seeds(np.random.PCG64(5), 3))
        assert first != streams(spawn_seeds(rng, 3))

    @pytest.mark.parametrize(
        ("rng", "words"),
        [
            (np.random.RandomState(0), "default_rng"),
            (-1, "negative"),
            (np.int64(-3), "negative"),
            (True, "rng=True"),
            (1.0, r"rng=1\.0"),
            ("0", "rng='0'"),
            ([1, 2], r"rng=\[1, 2\]"),
            (np.random, "rng="),
        ],
        ids=str,
    )
    def test_others_are_refused(self, rng, words):
        with pytest.raises(OptionError, match=words):
            spawn_seeds(rng, 2)

    def test_a_generator_that_cannot_be_spawned_is_refused(self):
        class Plain(np.random.bit_generator.ISeedSequence):
            def generate_state(self, n_words, dtype=np.uint32):
                return np.arange(n_words, dtype=dtype)

        with pytest.raises(OptionError, match="cannot be spawned"):
            spawn_seeds(np.random.Generator(np.random.PCG64(Plain())), 2)


def settings_of(surrogate):
    return {
        "rwm": Settings("rwm", proposal_root=surrogate.root, goal=0.3),
        "da": Settings("da", proposal_root=surrogate.root),
        "da-exact": Settings("da-exact", df=2.0),
        "da-approx": Settings("da-approx", df=5.0, rho=0.5),
        "hmc": Settings("hmc", normalising_map=NormalisingMap(surrogate.mean, surrogate.root, 0.5)),
    }


class TestState:
    def test_text_keeps_every_bit(self):
        rng = np.random.default_rng(1)
        position = np.array([np.pi, 5e-324, -0.0, 1e308, 1 / 3, *rng.standard_normal(50)])
        tuning = np.array([1 / 7, 3.0, 0.1, -0.3, 1e-300])
        state = ChainState(position, tuning, np.random.PCG64(2).state, np.arange(4))
        again = ChainState.from_json(state.to_json())
        assert again.position.tobytes() == position.tobytes()
        assert np.array_equal(again.tuning, state.tuning)
        assert again.tuning[1] == 3
        assert again.generator == state.generator
        assert np.array_equal(again.counters, state.counters)
        assert again.counters.dtype == np.int64
        assert again.to_json() == state.to_json()

    @pytest.mark.parametrize("sampler", SAMPLERS)
    def test_continuing_from_text_is_bit_identical(self, posterior, surrogate_of, sampler):
        surrogate = surrogate_of(posterior)
        settings = settings_of(surrogate)[sampler]
        advance, target = SAMPLERS[sampler].advance, posterior.target
        start = new_state(surrogate.mean, np.random.SeedSequence(3))
        whole_state, whole = advance(target, settings, start, 300)
        half, first = advance(target, settings, start, 137)
        end, second = advance(target, settings, ChainState.from_json(half.to_json()), 163)
        assert np.array_equal(np.concatenate([first.draws, second.draws]), whole.draws)
        assert np.array_equal(
            np.concatenate([first.log_density, second.log_density]), whole.log_density
        )
        assert end.to_json() == whole_state.to_json()

    @pytest.mark.parametrize("sampler", SAMPLERS)
    def test_advancing_leaves_the_state_alone(self, posterior, surrogate_of, sampler):
        surrogate = surrogate_of(posterior)
        start = new_state(surrogate.mean, np.random.SeedSequence(3))
        before = start.to_json()
        SAMPLERS[sampler].advance(posterior.target, settings_of(surrogate)[sampler], start, 50)
        assert start.to_json() == before

    def test_a_new_state_copies_its_position(self):
        position = np.zeros(2)
        state = new_state(position, np.random.SeedSequence(0))
        position[0] = 1.0
        assert not state.position.any()


def test_a_used_seed_sequence_does_not_repeat_its_children():
    rng = np.random.SeedSequence(1)
    used = {tuple(seed.generate_state(4)) for seed in rng.spawn(2)}
    assert not used & {tuple(seed.generate_state(4)) for seed in spawn_seeds(rng, 5)}
