"""Network eigenmodel: against quadrature, another implementation, and its own other charts."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_ndtr

import qbeconometrics as qb
from qbeconometrics.diagnostics.convergence import mean_mcse
from qbeconometrics.exceptions import (
    ConvergenceWarning,
    InputError,
    OptionError,
    UnknownKeywordError,
)
from qbeconometrics.stiefel.chart_names import PARAMETERIZATIONS

REFERENCE = json.loads(
    (Path(__file__).parents[1] / "reference_values" / "reference_network.json").read_text()
)
# Standard errors within which two estimates by sampling agree.
WITHIN = 4.0


def reference_network(name):
    said = REFERENCE[name]
    return qb.simulate.network(said["p"], said["eigenvalues"], said["intercept"], said["seed"])


def scores(results, mean, error=0.0):
    """Differences of posterior means in combined standard errors."""
    own = np.asarray(mean_mcse(results.draws))
    return (results.draws.mean(axis=(0, 1)) - mean) / np.hypot(own, error)


def sd_scores(results, sd, error=0.0):
    deviations = results.draws - results.draws.mean(axis=(0, 1))
    own = np.asarray(mean_mcse(deviations**2)) / (2.0 * np.asarray(sd))
    return (deviations.std(axis=(0, 1)) - sd) / np.hypot(own, error)


TRIANGLE = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]])


def posterior_by_quadrature(eigenvalue_variance=3.0, intercept_variance=100.0):
    """Means of lambda and c, then their sds: three nodes, one link, one eigenvalue.

    Q is a point of the sphere; half of it, since Q and -Q are the same. Gauss-Legendre in its
    height, trapezoids in its angle, and in lambda and c, which are smooth and die away.
    """
    height, height_weight = np.polynomial.legendre.leggauss(20)
    angle = np.arange(24) * np.pi / 24
    across = np.sqrt(1.0 - height**2)
    x, y, z = (
        part.ravel()
        for part in np.broadcast_arrays(
            across[:, None] * np.cos(angle), across[:, None] * np.sin(angle), height[:, None]
        )
    )
    weight = np.repeat(height_weight, 24)
    eigenvalue = np.arange(-36, 37) * np.sqrt(eigenvalue_variance) / 4.0
    intercept = np.arange(-12.0, 12.25, 0.25)
    total = np.zeros((len(eigenvalue), len(intercept)))
    for row, value in enumerate(eigenvalue):
        index = value * np.stack([x * y, x * z, y * z])[..., None] + intercept
        index[1:] *= -1.0
        total[row] = weight @ np.exp(log_ndtr(index).sum(axis=0))
    total *= np.exp(-0.5 * eigenvalue**2 / eigenvalue_variance)[:, None]
    total *= np.exp(-0.5 * intercept**2 / intercept_variance)
    total /= total.sum()
    laws = (eigenvalue, total.sum(axis=1)), (intercept, total.sum(axis=0))
    means = np.array([value @ law for value, law in laws])
    squares = np.array([value**2 @ law for value, law in laws])
    return means, np.sqrt(squares - means**2)


@pytest.fixture(scope="module")
def exact():
    return posterior_by_quadrature()


@pytest.mark.parametrize("parameterization", PARAMETERIZATIONS)
def test_three_nodes(exact, parameterization):
    fit = qb.NetworkEigenmodel(TRIANGLE, rank=1).fit
    results = fit(draws=4000, tune=500, rng=3, parameterization=parameterization)
    assert np.max(np.abs(scores(results, exact[0]))) < WITHIN
    assert np.max(np.abs(sd_scores(results, exact[1]))) < WITHIN


def test_another_prior_is_seen(exact):
    """The same comparison fails for a wrong variance of either prior."""
    results = qb.NetworkEigenmodel(TRIANGLE, rank=1).fit(draws=4000, tune=500, rng=3)
    for wrong in ({"eigenvalue_variance": 2.0}, {"intercept_variance": 1.0}):
        mean, sd = posterior_by_quadrature(**wrong)
        worst = max(np.max(np.abs(scores(results, mean))), np.max(np.abs(sd_scores(results, sd))))
        assert worst > 2.0 * WITHIN, wrong


def assert_agrees(results, said):
    i, j = np.nonzero(np.triu(results.model.links))
    assert (len(i), int(((i + 1) * (j + 1)).sum())) == (said["links"], said["links_checksum"])
    assert np.max(np.abs(scores(results, said["mean"], said["mean_error"]))) < WITHIN
    assert np.max(np.abs(sd_scores(results, said["sd"], said["sd_error"]))) < WITHIN


@pytest.mark.parametrize("parameterization", ["polar", "cayley"])
def test_small_network(parameterization):
    model = qb.NetworkEigenmodel(reference_network("small"), rank=2)
    results = model.fit(rng=5, parameterization=parameterization)
    assert_agrees(results, REFERENCE["small"])
    # The comparison would see the network without one of its links.
    fewer = model.links
    fewer[tuple(np.argwhere(fewer)[:4].T)] = False
    other = qb.NetworkEigenmodel(fewer & fewer.T, rank=2).fit(rng=5)
    assert np.max(np.abs(scores(other, REFERENCE["small"]["mean"]))) > WITHIN


@pytest.mark.long
def test_network_of_the_size_of_the_protein_interactions():
    model = qb.NetworkEigenmodel(reference_network("large"), rank=3)
    with pytest.warns(ConvergenceWarning, match="ESS"):
        results = model.fit(draws=500, tune=500, chains=2, rng=6)
    assert_agrees(results, REFERENCE["large"])
    assert results.sampler_stats["divergent"].sum() == 0


def test_gradient_of_the_start_is_finite():
    """Starts of all charts, also with nodes without links."""
    adjacency = np.zeros((12, 12), dtype=int)
    adjacency[0, 1:5] = adjacency[1:5, 0] = 1
    law = qb.NetworkEigenmodel(adjacency, rank=3)._law
    for name in PARAMETERIZATIONS:
        chart = law.chart(name)
        for seed in range(20):
            x = law.start(chart, np.random.default_rng(seed))
            value, gradient = law.density(chart).log_density_and_gradient(x)
            assert np.isfinite(value), name
            assert np.isfinite(gradient).all(), name


def test_the_same_draws_on_any_number_of_cores():
    model = qb.NetworkEigenmodel(reference_network("small"), rank=2)
    options = {"draws": 20, "tune": 30, "rng": 1}
    with pytest.warns(ConvergenceWarning):
        first, second = (model.fit(cores=cores, **options) for cores in (1, 2))
    np.testing.assert_array_equal(first.draws, second.draws)
    np.testing.assert_array_equal(first.vectors, second.vectors)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"rank": 0}, OptionError, "rank=0 must be at least 1"),
        ({"rank": 3}, OptionError, "rank=3 must be below the number of nodes, 3"),
        ({"rank": 1.0}, OptionError, "whole number"),
        ({"weights": np.ones((3, 3))}, UnknownKeywordError, "no keyword 'weights'"),
        ({"name": "abc"}, UnknownKeywordError, "Did you mean 'names'"),
        ({"names": ["a"]}, InputError, "names must be 3 texts"),
    ],
)
def test_bad_arguments_of_the_model(arguments, error, said):
    with pytest.raises(error, match=said):
        qb.NetworkEigenmodel(TRIANGLE, **{"rank": 1, **arguments})


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"parameterization": "polr"}, OptionError, "Did you mean 'polar'"),
        ({"draws": 0}, OptionError, "draws=0"),
        ({"chains": 0}, OptionError, "chains=0"),
        ({"tune": -1}, OptionError, "tune=-1"),
        ({"target_accept": 1.0}, OptionError, "target_accept"),
        ({"max_depth": 21}, OptionError, "max_depth"),
        ({"rng": "a"}, OptionError, "rng"),
        ({"seed": 1}, UnknownKeywordError, "Did you mean 'rng'"),
        ({"sampler": "nuts"}, UnknownKeywordError, "no keyword 'sampler'"),
    ],
)
def test_bad_arguments_of_fit(arguments, error, said):
    with pytest.raises(error, match=said):
        qb.NetworkEigenmodel(TRIANGLE, rank=1).fit(**arguments)


def test_model_keeps_its_network():
    # Of a copy: older pandas writes into the array it was made from.
    frame = pd.DataFrame(TRIANGLE.copy(), index=list("xyz"), columns=list("xyz"))
    model = qb.NetworkEigenmodel(frame, rank=1)
    frame.iloc[0, 2] = 1
    model.links[0, 2] = True
    np.testing.assert_array_equal(model.links, TRIANGLE == 1)
    assert model.node_names == ("x", "y", "z")
