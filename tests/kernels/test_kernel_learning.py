"""Features and learning from batches: against the twin, finite differences, and split streams."""

import numpy as np
import pytest

from qbeconometrics.kernels import _kernel_learning
from qbeconometrics.kernels.reference import kernel_learning as twin

BATCH = 20


def fourier_arguments(columns=2, size=12, seed=0):
    rng = np.random.default_rng(seed)
    frequencies = rng.standard_normal((columns, size))
    phases, scales = rng.uniform(0.0, 6.0, size), np.full(size, 0.4)
    # The last two are a constant and nothing.
    frequencies[:, -2:], phases[-2:], scales[-2:] = 0.0, 0.0, (1.0, 0.0)
    return frequencies, phases, scales


def monomial_arguments():
    """1, x, z, xz, x^2 z and three that are nothing."""
    parents, factors = np.array([[0, 0, 0, 1, 3, 0, 0, 0], [0, 0, 1, 1, 0, 0, 0, 0]], dtype=np.intc)
    return parents, factors, np.array([1.0, 0.5, 1.0, 2.0, 1.0, 0.0, 0.0, 0.0]), 2


MAPS = {"FourierMap": fourier_arguments(), "MonomialMap": monomial_arguments()}


def rows(n, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 2)) * [1.0, 2.0] + [0.5, -0.2], rng.standard_normal((n, 2))


class Stream:
    """A learner and its arrays, of either kind."""

    def __init__(self, module, features="FourierMap", rule="adagrad", rate=0.05, **bounds):
        self.features = getattr(module, features)(*MAPS[features])
        count = 4 * self.features.size + 2
        self.params, self.memory = np.zeros(count), np.zeros((3, count))
        self.running, self.window = np.zeros(module.RUNNING), np.zeros(module.MOMENTS)
        self.param_sums, self.path = np.zeros(count), np.zeros(module.PATH)
        self.params[-2:] = 0.3, -0.2
        self.learner = module.Learner(self.features, *self.arrays, rule, rate, **bounds)

    @property
    def arrays(self):
        return (
            self.params,
            self.memory,
            self.running,
            self.window,
            self.param_sums,
            self.path,
        )


def test_constants():
    for name in ("RULES", "EFFECTS", "MOMENTS", "RUNNING", "PATH"):
        assert getattr(_kernel_learning, name) == getattr(twin, name)


@pytest.mark.parametrize("largest", [10.0, 1e3, 9e5])
def test_cosine(largest):
    """One frequency, so that the angle is rounded once; NumPy's cosine is nearly exact."""
    x = np.random.default_rng(0).uniform(-largest, largest, (20_000, 1))
    ones = np.ones(4)
    found = _kernel_learning.FourierMap(ones[None], 0.0 * ones, ones).evaluate(x)
    np.testing.assert_allclose(found, np.cos(x) * ones, rtol=0.0, atol=1e-14)


def test_cosine_at_the_ends():
    ones = np.ones(4)
    features = _kernel_learning.FourierMap(ones[None], 0.0 * ones, ones)
    x = np.array([[0.0], [np.pi / 2], [-np.pi], [np.inf], [-1e300], [np.nan]])
    found = features.evaluate(x)[:, 0]
    assert found[0] == 1.0
    np.testing.assert_allclose(found[1:3], [0.0, -1.0], atol=1e-14)
    np.testing.assert_allclose(found[3:5], np.cos(1e6), atol=1e-14)
    assert np.isnan(found[5])


@pytest.mark.parametrize("name", MAPS)
def test_features(name):
    _, x = rows(50)
    compiled = getattr(_kernel_learning, name)(*MAPS[name])
    reference = getattr(twin, name)(*MAPS[name])
    assert isinstance(compiled, _kernel_learning.FeatureMap)
    assert (compiled.columns, compiled.size) == (reference.columns, reference.size)
    np.testing.assert_allclose(compiled.evaluate(x), reference.evaluate(x), rtol=0.0, atol=1e-13)


def test_monomials():
    _, x = rows(10)
    first, second = x.T
    expected = [np.ones(10), 0.5 * first, second, 2.0 * first * second, first**2 * second]
    found = _kernel_learning.MonomialMap(*MAPS["MonomialMap"]).evaluate(x)
    np.testing.assert_allclose(found, np.column_stack([*expected, *[0.0 * first] * 3]), rtol=1e-15)


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("rule", twin.RULES)
@pytest.mark.parametrize("effects", twin.EFFECTS)
def test_learner(name, rule, effects):
    y, x = rows(40 * BATCH)
    streams = [Stream(module, name, rule) for module in (_kernel_learning, twin)]
    for stream in streams:
        stream.learner.learn(y, x, BATCH, 0, effects)
        stream.learner.learn(y[::-1].copy(), x[::-1].copy(), BATCH, 40, effects)
    for compiled, reference in zip(*(stream.arrays for stream in streams), strict=True):
        np.testing.assert_allclose(compiled, reference, rtol=1e-8, atol=1e-10)
    moved = np.any(streams[0].params[-2:] != [0.3, -0.2])
    assert moved == (effects != "held") == (streams[0].path[0] > 0)


def test_learner_at_its_bounds():
    """Variances far from one, whose logarithms and gradients meet every bound."""
    y, x = rows(40 * BATCH)
    y = y * np.array([30.0, 1e-3])
    bounds = {"low": -2.0, "high": 1.0, "most_ratio": 3.0, "most_norm": 0.5}
    streams = [Stream(module, rate=0.3, **bounds) for module in (_kernel_learning, twin)]
    for stream in streams:
        stream.params[-2:] = 0.0
        stream.learner.learn(y, x, BATCH, 0)
        heads = stream.features.evaluate(x) @ stream.params[:-2].reshape(4, -1).T
        assert heads[:, 2].max() > 1.0
        assert heads[:, 3].min() < -2.0
    for compiled, reference in zip(*(stream.arrays for stream in streams), strict=True):
        np.testing.assert_allclose(compiled, reference, rtol=1e-8, atol=1e-10)


def test_effects_stay_apart():
    y, x = rows(50 * BATCH)
    stream = Stream(_kernel_learning, rule="sgd", rate=1e3)
    for start in range(50):
        part = slice(start * BATCH, (start + 1) * BATCH)
        stream.learner.learn(y[part], x[part], BATCH, start, "gradient")
        assert abs(np.prod(stream.params[-2:])) < 0.991
    assert np.all(np.isfinite(stream.params))


@pytest.mark.parametrize("effects", ["gradient", "held"])
def test_plain_step_is_along_the_gradient(effects):
    """One plain step of rate 1 against differences of the likelihood that `measure` adds up."""
    y, x = rows(BATCH)
    rng = np.random.default_rng(3)
    start = rng.normal(0.0, 0.1, 50)
    start[-2:] = 0.4, -0.3

    def likelihood(params):
        stream, sums = Stream(_kernel_learning), np.zeros(_kernel_learning.MOMENTS)
        stream.params[:] = params
        stream.learner.measure(y, x, sums)
        assert sums[-1] == BATCH
        return sums[-2] / BATCH

    stream = Stream(_kernel_learning, rule="sgd", rate=1.0, most_norm=1e9, most_ratio=1e9)
    stream.params[:] = start
    stream.learner.learn(y, x, BATCH, 0, effects)
    small = 1e-5 * np.eye(50)
    slope = [(likelihood(start + d) - likelihood(start - d)) / 2e-5 for d in small]
    compared = slice(None) if effects == "gradient" else slice(-2)
    np.testing.assert_allclose((stream.params - start)[compared], slope[compared], atol=1e-8)


def test_path_of_the_effects():
    """Against the definition, from effects that are read after every batch."""
    y, x = rows(30 * BATCH)
    stream, path = Stream(_kernel_learning), []
    for start in range(30):
        part = slice(start * BATCH, (start + 1) * BATCH)
        stream.learner.learn(y[part], x[part], BATCH, start, "score")
        path.append(stream.params[-2:].copy())
    t = np.arange(1, 31)[:, None]
    averages = np.cumsum(path, axis=0) / t
    apart = t * (averages - averages[-1])
    products = (apart.T @ apart)[[0, 0, 1], [0, 1, 1]]
    expected = np.concatenate([[30.0], averages[-1], products, (t * apart).sum(axis=0)])
    np.testing.assert_allclose(stream.path, expected, rtol=1e-9)


def test_measure_against_plain_formulas():
    y, x = rows(30)
    streams = [Stream(module) for module in (_kernel_learning, twin)]
    found = []
    for stream in streams:
        stream.params[:-2] = np.random.default_rng(3).normal(0.0, 0.2, 48)
        found.append(np.ones(twin.MOMENTS))
        stream.learner.measure(y, x, found[-1])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-11)
    heads = streams[1].features.evaluate(x) @ streams[1].params[:-2].reshape(4, -1).T
    u1, u2 = (y - heads[:, :2]).T
    w1, w2 = np.exp(-heads[:, 2:]).T
    r = np.column_stack([q * w for q in (u1 * u2, u1**2, u2**2) for w in (w1, w2)])
    np.testing.assert_allclose(found[0][:6] - 1.0, r.sum(axis=0), rtol=1e-11, atol=1e-11)
    ratios = [np.sum(w1 / w2), np.sum(w2 / w1)]
    np.testing.assert_allclose(found[0][6:8] - 1.0, ratios, rtol=1e-11)
    # Products of entries (q_a w_i) (q_c w_j), in the order w1^2, w1 w2, w2^2 and a >= c.
    products = r.T @ r
    expected = [
        products[2 * a + i, 2 * c + j]
        for i, j in ((0, 0), (0, 1), (1, 1))
        for a in range(3)
        for c in range(a + 1)
    ]
    np.testing.assert_allclose(found[0][8:26] - 1.0, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("effects", twin.EFFECTS)
def test_split_calls_give_the_same_bits(effects):
    y, x = rows(12 * BATCH)
    whole, split = Stream(_kernel_learning), Stream(_kernel_learning)
    whole.learner.learn(y, x, BATCH, 0, effects)
    for first, last in ((0, 1), (1, 7), (7, 7), (7, 12)):
        part = slice(first * BATCH, last * BATCH)
        split.learner.learn(y[part].copy(), x[part].copy(), BATCH, first, effects)
    for one, other in zip(whole.arrays, split.arrays, strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("module", [_kernel_learning, twin])
def test_wrong_arguments(module):
    frequencies, phases, scales = fourier_arguments()
    parents, factors, monomial_scales, columns = monomial_arguments()
    stream = Stream(module)
    y, x = rows(BATCH)
    few = np.zeros(3)
    for call, words in [
        (lambda: module.FourierMap(frequencies[:, :11].copy(), phases, scales), "come in"),
        (lambda: module.FourierMap(frequencies, phases[:4], scales), "shapes"),
        (lambda: module.MonomialMap(parents, factors, monomial_scales[:7], columns), "come in"),
        (lambda: module.MonomialMap(parents[:4], factors, monomial_scales, columns), "shapes"),
        (lambda: module.MonomialMap(parents, factors, monomial_scales, 1), "earlier"),
        (lambda: stream.features.evaluate(x[:, :1].copy()), "2 columns"),
        (lambda: stream.learner.learn(y, x, 7, 0), "whole batches"),
        (lambda: stream.learner.learn(y, x, BATCH, 0, "free"), "effects"),
        (lambda: stream.learner.learn(y[1:], x, BATCH, 0), "shapes"),
        (lambda: stream.learner.measure(y, x, few), "shapes"),
        (lambda: Stream(module, rule="newton"), "rule"),
        (lambda: Stream(module, rate=0.0), "positive"),
        (lambda: module.Learner(stream.features, few, *stream.arrays[1:], "sgd", 1.0), "shapes"),
    ]:
        with pytest.raises(ValueError, match=words):
            call()
