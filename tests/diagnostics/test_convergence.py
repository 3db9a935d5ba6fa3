"""Convergence diagnostics against ArviZ and against known answers."""

import warnings

import numpy as np
import pytest

from qbeconometrics.diagnostics import convergence
from qbeconometrics.diagnostics.credible_intervals import eti, hdi
from qbeconometrics.exceptions import InputError, OptionError

with warnings.catch_warnings():
    # ArviZ 0.23 announces its own refactoring at import.
    warnings.simplefilter("ignore")
    import arviz

# The promised agreement with ArviZ; sums are taken in another order.
ARVIZ_TOLERANCE = 1e-10

SHAPES = [(1, 4), (1, 7), (1, 100), (2, 5), (2, 9), (3, 51), (4, 250), (4, 1001), (8, 64)]
KINDS = ["normal", "correlated", "antithetic", "cauchy", "rounded", "repeated", "shifted", "binary"]

PAIRS = [
    (convergence.bulk_ess, lambda x: arviz.ess(x, method="bulk")),
    (convergence.tail_ess, lambda x: arviz.ess(x, method="tail")),
    (convergence.mean_ess, lambda x: arviz.ess(x, method="mean")),
    (convergence.sd_ess, lambda x: arviz.ess(x, method="sd")),
    (convergence.rhat, arviz.rhat),
    (convergence.mean_mcse, lambda x: arviz.mcse(x, method="mean")),
    (convergence.sd_mcse, lambda x: arviz.mcse(x, method="sd")),
]
PROBABILITY_PAIRS = [
    (convergence.quantile_ess, lambda x, p: arviz.ess(x, method="quantile", prob=p)),
    (convergence.quantile_mcse, lambda x, p: arviz.mcse(x, method="quantile", prob=p)),
]


def autoregression(rng, shape, coefficient):
    """Stationary AR(1) chains with unit variance."""
    noise = rng.standard_normal(shape)
    draws = noise.copy()
    for t in range(1, shape[1]):
        draws[:, t] = coefficient * draws[:, t - 1] + np.sqrt(1 - coefficient**2) * noise[:, t]
    return draws


def make_draws(kind, shape):
    rng = np.random.default_rng(sum(map(ord, kind)) + 1000 * shape[0] + shape[1])
    normal = rng.standard_normal(shape)
    if kind == "correlated":
        return autoregression(rng, shape, 0.9)
    if kind == "antithetic":
        return autoregression(rng, shape, -0.8)
    if kind == "cauchy":
        return rng.standard_cauchy(shape)
    if kind == "rounded":
        return np.round(normal, 1)
    if kind == "repeated":
        # What a rejecting Metropolis chain looks like.
        source = np.maximum.accumulate(
            np.where(rng.random(shape) < 0.3, np.arange(shape[1]), 0), axis=1
        )
        return np.take_along_axis(normal, source, axis=1)
    if kind == "shifted":
        return 1e5 + 1e-3 * (normal + np.arange(shape[0])[:, None])
    if kind == "binary":
        return (normal > 0.5).astype(float)
    return normal


def arviz_value(function, *arguments):
    with warnings.catch_warnings():
        # Divisions by zero for degenerate draws.
        warnings.simplefilter("ignore")
        return float(function(*arguments))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_arviz(kind, shape):
    draws = make_draws(kind, shape)
    for ours, theirs in PAIRS:
        np.testing.assert_allclose(
            ours(draws), arviz_value(theirs, draws), rtol=ARVIZ_TOLERANCE, err_msg=ours.__name__
        )
    for ours, theirs in PROBABILITY_PAIRS:
        for probability in (0.05, 0.5, 0.9):
            np.testing.assert_allclose(
                ours(draws, probability),
                arviz_value(theirs, draws, probability),
                rtol=ARVIZ_TOLERANCE,
                err_msg=ours.__name__,
            )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_hdi_equals_arviz(kind, shape):
    draws = make_draws(kind, shape)
    for probability in (0.5, 0.9, 0.95):
        theirs = arviz.hdi(draws.ravel(), hdi_prob=probability, multimodal=False)
        np.testing.assert_array_equal(hdi(draws, probability), theirs)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7e8])
def test_constant_parameter(value):
    draws = np.full((4, 101), value)
    # Split chains leave out the middle draw, as in ArviZ.
    assert convergence.bulk_ess(draws) == arviz_value(arviz.ess, draws) == 400
    assert convergence.tail_ess(draws) == 400
    assert convergence.mean_ess(draws) == 400
    assert np.isnan(convergence.rhat(draws))
    assert np.isnan(convergence.sd_mcse(draws)) or convergence.sd_mcse(draws) == 0
    assert convergence.quantile_mcse(draws, 0.5) == 0
    assert convergence.is_constant(draws) is True


def test_chains_stuck_at_different_values():
    draws = np.repeat(np.arange(4.0)[:, None], 100, axis=1)
    # Infinite up to the rounding of the chains' variances.
    assert convergence.rhat(draws) > 1e6
    assert not convergence.is_constant(draws)
    assert convergence.bulk_ess(draws) == pytest.approx(
        arviz_value(arviz.ess, draws), rel=ARVIZ_TOLERANCE
    )


def test_parameters_are_handled_one_by_one():
    # More parameters than one block holds, among them a constant, a NaN and an infinite one.
    rng = np.random.default_rng(4)
    draws = rng.standard_normal((4, 120, 40))
    draws[:, :, 3] = 2.0
    draws[1, 7, 20] = np.nan
    draws[2, 5, 33] = np.inf
    functions = [pair[0] for pair in PAIRS]
    functions += [lambda x, f=pair[0]: f(x, 0.9) for pair in PROBABILITY_PAIRS]
    for function in functions:
        together = function(draws)
        assert together.shape == (40,)
        alone = [function(draws[:, :, j]) for j in range(40)]
        # Equal up to the order in which a vectorised sum is taken.
        np.testing.assert_allclose(together, alone, rtol=1e-12)
        assert np.isnan(together[20])
        assert np.isfinite(np.delete(together, [3, 20, 33])).all()
    assert np.isfinite(convergence.rhat(draws)[33])
    np.testing.assert_array_equal(np.flatnonzero(convergence.is_constant(draws[:, :, :20])), [3])


def test_draws_are_not_modified_and_may_be_read_only():
    draws = np.asfortranarray(np.random.default_rng(1).standard_normal((4, 50, 3)))
    copy = draws.copy()
    draws.flags.writeable = False
    for ours, _ in PAIRS:
        ours(draws)
    hdi(draws)
    np.testing.assert_array_equal(draws, copy)


@pytest.mark.parametrize("scale", [1e-12, 1e9])
def test_unit_of_measurement_does_not_matter(scale):
    draws = autoregression(np.random.default_rng(9), (4, 500), 0.5)
    # Scaling by a number that is no power of two rounds each draw.
    for function in (convergence.bulk_ess, convergence.mean_ess, convergence.sd_ess):
        assert function(scale * draws) == pytest.approx(function(draws), rel=1e-6)
    assert convergence.sd_mcse(scale * draws) == pytest.approx(
        scale * convergence.sd_mcse(draws), rel=1e-6
    )


def test_autoregression_has_the_known_effective_size():
    coefficient = 0.6
    draws = autoregression(np.random.default_rng(3), (4, 50_000), coefficient)
    known = draws.size * (1 - coefficient) / (1 + coefficient)
    # The estimate sums some 20 autocorrelations of 50,000 draws: its relative sd is near 1 %.
    assert convergence.mean_ess(draws) == pytest.approx(known, rel=0.05)
    assert convergence.mean_mcse(draws) == pytest.approx(1 / np.sqrt(known), rel=0.03)


def test_too_few_draws_or_chains_give_nan():
    rng = np.random.default_rng(5)
    assert np.isnan(convergence.bulk_ess(rng.standard_normal((4, 3))))
    assert np.isnan(convergence.rhat(rng.standard_normal((1, 500))))
    assert np.isnan(convergence.bulk_ess(np.empty((2, 0))))


def test_wrong_input_is_named():
    with pytest.raises(InputError, match=r"\(chain, draw\)"):
        convergence.bulk_ess(np.zeros(10))
    with pytest.raises(OptionError, match="probability=1"):
        convergence.quantile_ess(np.zeros((2, 10)), 1)
    with pytest.raises(OptionError, match="probability='half'"):
        hdi(np.zeros((2, 10)), "half")
    with pytest.raises(InputError, match="empty"):
        eti(np.zeros((2, 0)))


def test_intervals_of_several_parameters():
    draws = np.random.default_rng(8).exponential(size=(4, 300, 3))
    draws[0, 0, 2] = np.nan
    equal, narrow = eti(draws, 0.8), hdi(draws, 0.8)
    assert equal.shape == narrow.shape == (3, 2)
    pooled = draws[:, :, 0].ravel()
    np.testing.assert_allclose(equal[0], np.quantile(pooled, [0.1, 0.9]), rtol=1e-14)
    assert np.mean((pooled >= narrow[0, 0]) & (pooled <= narrow[0, 1])) >= 0.8
    assert np.ptp(narrow[0]) < np.ptp(equal[0])
    assert np.isnan(narrow[2]).all()
    assert np.isnan(equal[2]).all()
