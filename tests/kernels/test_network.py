"""Network eigenmodel: probit terms in both tails, and the density against the twin."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal, localcontext

import numpy as np
import pytest

from qbeconometrics.kernels import _network, _stiefel
from qbeconometrics.kernels.reference import network, stiefel
from qbeconometrics.stiefel import Cayley, Givens, Householder, Polar, rand

SHAPES = [(2, 1), (9, 2), (40, 3), (5, 5)]
RELATIVE = 1e-12


PI = Decimal(
    "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803"
)


def exact_probit(z):
    """log Phi(z) and phi(z) / Phi(z) with 80 digits: series near zero, continued fraction far."""
    with localcontext(prec=80):
        t = abs(Decimal(float(z)))
        height = (-t * t / 2).exp() / (2 * PI).sqrt()
        if t < 6:
            term, total = t, t
            for power in range(3, 400, 2):
                term *= t * t / power
                total += term
            tail = Decimal("0.5") - height * total
        else:
            fraction = t
            for power in range(400, 0, -1):
                fraction = t + power / fraction
            tail = height / fraction
        if z < 0:
            return float(tail.ln()), float(height / tail)
        # The logarithm of 1 - tail needs as many more digits as tail is small.
        with localcontext(prec=400):
            return float((1 - tail).ln()), float(height / (1 - tail))


def test_probit_in_both_tails():
    z = np.concatenate([-np.geomspace(1e-8, 60.0, 60), [0.0], np.geomspace(1e-8, 35.0, 60)])
    exact = np.array([exact_probit(each) for each in z]).T
    np.testing.assert_allclose(np.array(_network.log_probit(z)), exact, rtol=RELATIVE)
    np.testing.assert_allclose(np.array(network.log_probit(z)), exact, rtol=RELATIVE)


def test_probit_far_away():
    """Where Phi is 1 or 0 to the last digit: -z^2/2 and -z below, nothing above."""
    value, ratio = _network.log_probit(np.array([-1e9, 1e9]))
    np.testing.assert_allclose(value, [-5e17, 0.0], atol=1e-290)
    np.testing.assert_allclose(ratio, [1e9, 0.0], atol=1e-290)
    assert np.all(np.isnan(np.array(_network.log_probit(np.array([np.nan, -np.inf])))))


def random_links(p, share, rng):
    return rng.random((p, p)) < share


def both(name, p, k, links, log_constant=0.0):
    arguments = links, np.sqrt(p), 10.0, log_constant
    return (
        _network.NetworkDensity(_stiefel.StiefelMap(name, p, k), *arguments),
        network.NetworkDensity(stiefel.StiefelMap(name, p, k), *arguments),
    )


@pytest.mark.parametrize("name", stiefel.CHARTS)
@pytest.mark.parametrize(("p", "k"), SHAPES)
@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_density(name, p, k, share):
    rng = np.random.default_rng([p, k])
    compiled, twin = both(name, p, k, random_links(p, share, rng), log_constant=0.7)
    assert compiled.size == twin.size
    for scale in (0.3, 1.0, 4.0):
        x = rng.standard_normal(twin.size) * scale
        before = x.copy()
        found, expected = (each.log_density_and_gradient(x) for each in (compiled, twin))
        assert found[0] == pytest.approx(expected[0], rel=RELATIVE)
        assert np.max(np.abs(found[1] - expected[1])) <= RELATIVE * np.max(np.abs(expected[1]))
        np.testing.assert_array_equal(x, before)
        # Work space keeps nothing of the point before.
        assert compiled.log_density_and_gradient(x)[0] == found[0]


@pytest.mark.parametrize("name", stiefel.CHARTS)
def test_gradient(name):
    """Against central differences along each coordinate."""
    rng = np.random.default_rng(4)
    density = both(name, 12, 2, random_links(12, 0.3, rng))[0]
    chart = {"polar": Polar, "householder": Householder, "givens": Givens, "cayley": Cayley}[name]
    x = np.append(chart(12, 2).from_matrix(rand(12, 2, rng=5)), [1.5, -1.0, -0.7])
    x += 0.05 * rng.standard_normal(x.size)
    gradient = density.log_density_and_gradient(x)[1]
    step = 1e-5
    for place, direction in enumerate(np.eye(x.size) * step):
        up, down = (density.log_density_and_gradient(x + s * direction)[0] for s in (1, -1))
        assert (up - down) / (2.0 * step) == pytest.approx(gradient[place], rel=1e-7, abs=1e-7)


def test_likelihood_of_two_nodes():
    """By hand: one pair, Q = (0.6, 0.8), scaled eigenvalue 2, intercept -1."""
    x = np.array([0.6, 0.8, 2.0, -1.0])
    index = 0.6 * 0.8 * np.sqrt(2.0) * 2.0 - 1.0
    without = -0.5 - 0.5 * 4.0 - 0.5 * 0.01 - np.log(2.0 * np.pi) - np.log(10.0)
    for linked, sign in ((False, -1.0), (True, 1.0)):
        links = np.array([[True, linked], [not linked, True]])
        for density in both("polar", 2, 1, links):
            expected = without + network.log_probit(np.array([sign * index]))[0][0]
            assert density.log_density_and_gradient(x)[0] == pytest.approx(expected, rel=1e-14)


def test_points_without_density():
    for density in both("polar", 4, 2, np.zeros((4, 4), dtype=bool)):
        for bad in (np.nan, np.inf, 1e200):
            x = np.ones(density.size)
            x[:8] = np.arange(8.0) ** 2
            assert np.isfinite(density.log_density_and_gradient(x)[0])
            for place in (0, 9, 10):
                moved = x.copy()
                moved[place] = bad
                with np.errstate(all="ignore"):
                    value, _ = density.log_density_and_gradient(moved)
                assert np.isnan(value), (bad, place)


@pytest.mark.parametrize("module", [_network, network])
def test_bad_arguments(module):
    chart = (_stiefel if module is _network else stiefel).StiefelMap("polar", 3, 1)
    links = np.zeros((3, 3), dtype=bool)
    with pytest.raises(ValueError, match="shape"):
        module.NetworkDensity(chart, links[:2], 1.0, 1.0)
    with pytest.raises(ValueError, match="bool"):
        module.NetworkDensity(chart, links.astype(float), 1.0, 1.0)
    for scales in ((0.0, 1.0), (1.0, -1.0), (np.nan, 1.0)):
        with pytest.raises(ValueError, match="scales"):
            module.NetworkDensity(chart, links, *scales)


def test_densities_in_threads():
    """Each has work space of its own."""
    rng = np.random.default_rng(6)
    links = random_links(60, 0.1, rng)
    densities = [both("polar", 60, 3, links)[0] for _ in range(4)]
    points = rng.standard_normal((4, densities[0].size))
    alone = [d.log_density_and_gradient(x)[0] for d, x in zip(densities, points, strict=True)]

    def repeat(density, x):
        return {density.log_density_and_gradient(x)[0] for _ in range(50)}

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(repeat, densities, points))
    assert together == [{value} for value in alone]
