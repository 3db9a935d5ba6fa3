"""Chains of orthonormal matrices against moments that are known: every parameterization.

Means must be within four Monte Carlo standard errors, with an effective size of 1,000 of each.
"""

import warnings

import numpy as np
import pytest
from scipy.special import gamma, iv

import qbeconometrics as qb
from qbeconometrics.diagnostics import convergence
from qbeconometrics.exceptions import ConvergenceWarning
from qbeconometrics.kernels._density import PythonDensity
from qbeconometrics.sampling.nuts import sample_density

pytestmark = pytest.mark.slow

NAMES = ("polar", "householder", "givens", "cayley")
LEAST_ESS = 1_000
# Draws of each of four chains that are worth as much, by parameterization.
DRAWS = {"polar": 1_200, "householder": 1_200, "givens": 3_000, "cayley": 2_000}
KAPPA = 20.0


def sampled(target, p, k, name, draws, rng, **options):
    """Draws of four chains; what the summary would warn of is for the moments to show."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        sampler = qb.StiefelSampler(target, p, k, name)
        return sampler.sample(draws=draws, tune=500, rng=rng, cores=1, **options).draws


def errors(values, expected):
    """Distances of means (chain, draw, moment) in Monte Carlo errors, and effective sizes."""
    distance = np.abs(values.mean(axis=(0, 1)) - expected) / convergence.mean_mcse(values)
    return distance, convergence.mean_ess(values)


def agrees(values, expected):
    distance, ess = errors(values, expected)
    mixed = np.max(convergence.rhat(values)) < 1.01
    return bool(mixed and np.min(ess) >= LEAST_ESS and np.max(distance) < 4.0)


def haar_moments(Q):
    """Functions of draws and what they are on average under the uniform law."""
    p, k = Q.shape[2:]
    pairs = [
        (Q[..., 0, 0], 0.0),
        (Q[..., -1, -1], 0.0),
        (Q[..., 0, 0] ** 2, 1 / p),
        (Q[..., -1, -1] ** 2, 1 / p),
        (Q[..., 0, 0] ** 4, 3 / (p * (p + 2))),
        (Q[..., p // 2, -1] ** 4, 3 / (p * (p + 2))),
        (Q[..., 0, 0] ** 2 * Q[..., 1, 0] ** 2, 1 / (p * (p + 2))),
    ]
    if k > 1:
        below = p * (p - 1) * (p + 2)
        pairs += [
            (Q[..., 0, 0] ** 2 * Q[..., 1, 1] ** 2, (p + 1) / below),
            (Q[..., 0, 0] * Q[..., 1, 1] * Q[..., 0, 1] * Q[..., 1, 0], -1 / below),
            (Q[..., 0, 0] * Q[..., -1, -1], 0.0),
        ]
    values, expected = zip(*pairs, strict=True)
    return np.stack(values, axis=-1), np.array(expected)


def assert_uniform(p, k, name):
    Q = sampled(qb.stiefel.uniform(p, k), p, k, name, DRAWS[name], rng=p + k)
    distance, ess = errors(*haar_moments(Q))
    assert np.max(distance) < 4.0, distance
    assert np.min(ess) >= LEAST_ESS, ess


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("p", "k"), [(3, 1), (5, 3), (10, 4)])
def test_uniform(p, k, name):
    assert_uniform(p, k, name)


@pytest.mark.parametrize("name", ["polar", "householder"])
def test_uniform_square(name):
    assert_uniform(10, 10, name)


@pytest.mark.long
@pytest.mark.parametrize("name", ["givens", "cayley"])
def test_uniform_rotations(name):
    """Those of determinant 1, whose moments of a degree below p are the same."""
    assert_uniform(10, 10, name)


def mean_exponential(p, kappa):
    """Mean of exp(kappa mu'q) over uniform unit vectors q of p elements."""
    return gamma(p / 2) * (2 / kappa) ** (p / 2 - 1) * iv(p / 2 - 1, kappa)


def mean_of_two_columns(p, kappa, nodes=400):
    """E q11 = E q22 under etr(kappa (q11 + q22)), k = 2, by integration over a disc.

    The first two elements (u, v) of the first column have the density (1 - u^2 - v^2)^((p - 4)/2);
    given them, the second column is uniform on a sphere of p - 2 dimensions on which the second
    axis has the length (1 - v^2)^(1/2), so that its part of the integral is `mean_exponential`.
    """
    radius, weights = np.polynomial.legendre.leggauss(nodes)
    radius, weights = 0.5 * (radius + 1.0), 0.5 * weights
    angle = 2.0 * np.pi * np.arange(nodes) / nodes
    u, v = np.multiply.outer(radius, np.cos(angle)), np.multiply.outer(radius, np.sin(angle))
    base = (weights * radius * (1.0 - radius**2) ** ((p - 4) / 2))[:, None]
    shares = base * np.exp(kappa * u) * mean_exponential(p - 1, kappa * np.sqrt(1.0 - v**2))
    return float(np.sum(shares * u) / np.sum(shares))


def test_integration_over_the_disc():
    """It is as fine as it needs to be, and what five samplers had found: E tr(M'Q) = 20 x 1.778."""
    assert mean_of_two_columns(6, KAPPA, 200) == pytest.approx(mean_of_two_columns(6, KAPPA), 1e-12)
    assert 2.0 * mean_of_two_columns(6, KAPPA) == pytest.approx(1.778, abs=0.004)
    # Without concentration, E q11^2 kappa = kappa / p.
    assert mean_of_two_columns(6, 1e-4) == pytest.approx(1e-4 / 6, rel=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", NAMES)
def test_von_mises_fisher_vector(name, sign):
    mode = sign * np.eye(6, 1)
    Q = sampled(qb.stiefel.von_mises_fisher(KAPPA * mode), 6, 1, name, 2_500, rng=3)
    values = np.stack([np.sum(Q * mode, axis=(2, 3)), Q[..., 3, 0]], axis=-1)
    assert agrees(values, [iv(3, KAPPA) / iv(2, KAPPA), 0.0]), errors(values, 0.0)


def of_two_columns(Q, sign):
    """Elements that the law of two columns at sign I has means of, and these."""
    values = [sign * Q[..., 0, 0], sign * Q[..., 1, 1], Q[..., 1, 0], Q[..., 0, 1], Q[..., 4, 1]]
    mean = mean_of_two_columns(6, KAPPA)
    return np.stack(values, axis=-1), np.array([mean, mean, 0.0, 0.0, 0.0])


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", NAMES)
def test_von_mises_fisher_matrix(name, sign):
    """With no knowledge of the mode, which for one of the signs is a hard one for some charts."""
    draws = 8_000 if name in ("householder", "cayley") and sign == -1 else 2_500
    target = qb.stiefel.von_mises_fisher(sign * KAPPA * np.eye(6, 2))
    values, expected = of_two_columns(sampled(target, 6, 2, name, draws, rng=4), sign)
    assert agrees(values, expected), errors(values, expected)


@pytest.mark.parametrize("name", NAMES)
def test_von_mises_fisher_from_the_mode(name):
    """A start at the mode moves the charts that have a place to avoid away from it."""
    mode = -np.eye(6, 2)
    target = qb.stiefel.von_mises_fisher(KAPPA * mode)
    Q = sampled(target, 6, 2, name, 2_500, rng=5, start=mode)
    values, expected = of_two_columns(Q, -1)
    assert agrees(values, expected), errors(values, expected)


class SwitchingSigns:
    """Two reflections whose signs follow the first element of their vectors, as textbooks do."""

    def __init__(self, M):
        self.M, self.p = M, len(M)

    def vectors(self, x):
        return x[: self.p], x[self.p :]

    @staticmethod
    def reflect(v, block):
        """Apply -s (I - 2 aa'/a'a), a = v + s |v| e_1, which takes e_1 to v / |v|."""
        s, a = np.sign(v[0]), v.copy()
        a[0] += s * np.sqrt(v @ v)
        return -s * (block - np.outer(a, 2.0 / (a @ a) * (a @ block))), a, s

    @staticmethod
    def pull_back(v, a, s, block, above):
        """Gradient by v of the sum of `above` times the reflected block."""
        Wa, Ya, square = block.T @ a, above.T @ a, a @ a
        by_a = 2.0 * s / square * (above @ Wa + block @ Ya) - 4.0 * s * (Ya @ Wa) / square**2 * a
        return by_a + s * by_a[0] * v / np.sqrt(v @ v)

    def to_matrix(self, x):
        first, second = self.vectors(x)
        inner = np.eye(self.p, 2)
        inner[1:, 1:] = self.reflect(second, np.eye(self.p - 1, 1))[0]
        return self.reflect(first, inner)[0]

    def __call__(self, x):
        first, second = self.vectors(x)
        inner, unit = np.eye(self.p, 2), np.eye(self.p - 1, 1)
        inner[1:, 1:], a2, s2 = self.reflect(second, unit)
        Q, a1, s1 = self.reflect(first, inner)
        above = self.reflect(first, self.M)[0][1:, 1:]
        gradient = np.concatenate(
            [
                self.pull_back(first, a1, s1, inner, self.M),
                self.pull_back(second, a2, s2, unit, above),
            ]
        )
        return float(np.sum(self.M * Q)) - 0.5 * float(x @ x), gradient - x


def starts_on_both_sides(density):
    """Of random points the best, those of every other chain with a negative first element."""
    points = np.random.default_rng(1).standard_normal((200, 11))
    starts = []
    for side in (1.0, -1.0, 1.0, -1.0):
        points[:, 0] = side * np.abs(points[:, 0])
        starts.append(max(points.copy(), key=lambda x: density(x)[0]))
    return np.array(starts)


def test_signs_that_switch_fail():
    """Textbook reflections have a right gradient wherever there is one, and wrong chains.

    Those that begin where the first element of the first vector is negative never leave: there the
    second column jumps at zero. No divergence tells. With a fixed sign the same starts do no harm.
    """
    switching = SwitchingSigns(KAPPA * np.eye(6, 2))
    x = np.random.default_rng(0).standard_normal(11)
    slopes = [(switching(x + h)[0] - switching(x - h)[0]) / 2e-6 for h in 1e-6 * np.eye(11)]
    np.testing.assert_allclose(switching(x)[1], slopes, atol=1e-6)
    starts = starts_on_both_sides(switching)
    options = {"max_depth": 4, "cores": 1, "progressbar": False}
    wrong = sample_density(PythonDensity(11, switching), 150, 150, 4, 2, starts, **options)
    Q = np.apply_along_axis(switching.to_matrix, 2, wrong.draws)
    values, expected = of_two_columns(Q, 1)
    assert not agrees(values, expected)
    assert np.all(values[1::2, :, 0].mean(axis=1) < 0.2)
    assert wrong.statistics["divergent"].sum() == 0
    chart = qb.stiefel.Householder(6, 2)
    density = chart.density(qb.stiefel.von_mises_fisher(KAPPA * np.eye(6, 2)))
    right = sample_density(density, 2_500, 250, 4, 2, starts, **options)
    values, expected = of_two_columns(np.apply_along_axis(chart.to_matrix, 2, right.draws), 1)
    assert agrees(values, expected), errors(values, expected)


def divergences_in_the_plane(chart):
    """Of a direction with a standard deviation of 1 / sqrt(2000), known up to its sign."""
    target = qb.stiefel.bingham(np.diag([1000.0, 0.0]), 1)
    start = chart.from_matrix(np.eye(2, 1))
    sample = sample_density(
        [chart.density(target) for _ in range(4)], 500, 500, 4, 1, np.tile(start, (4, 1)), cores=1
    )
    return int(sample.statistics["divergent"].sum())


@pytest.mark.parametrize("kind", [qb.stiefel.Polar, qb.stiefel.Householder])
def test_degrees_of_freedom_keep_chains_out_of_the_funnel(kind):
    """Near a length of zero directions turn at once; with more degrees of freedom none is there."""
    assert divergences_in_the_plane(kind(2, 1)) > 20
    assert divergences_in_the_plane(kind(2, 1, df=20)) == 0
