"""The closed form is exact on population moments and treats labels and units alike."""

import numpy as np
import pytest

from qbeconometrics.exceptions import IdentificationError, InputError
from qbeconometrics.online.closed_form import (
    canonical_label,
    effects_of_null_vector,
    null_vector,
    other_label,
    solve_effects,
)

EFFECTS = [
    (0.5, -0.4),
    (0.9, 0.8),
    (-1.5, 0.5),
    (2.0, -0.45),
    (0.0, 0.5),
    (-0.7, 0.0),
    (0.0, 0.0),
    (1e-9, 1e-9),
    (0.98, 0.98),
    (100.0, 0.002),
]


def solved(Pi):
    return solve_effects(*Pi.T)


@pytest.mark.parametrize("params", EFFECTS)
def test_exact_on_population_moments(population, params):
    found = solved(population.moments(params, population.efficient()))
    assert found.status == "ok"
    assert found.params == pytest.approx(params, rel=1e-9, abs=1e-13)


@pytest.mark.parametrize("params", EFFECTS)
def test_exact_with_many_instruments_of_no_special_form(population, params):
    x1, x2 = population.x1, population.x2
    instruments = [np.ones_like(x1), x1, x2, x1 * x2, x1**2, np.cos(x2)]
    found = solved(population.moments(params, instruments))
    assert found.params == pytest.approx(params, rel=1e-9, abs=1e-12)


def test_the_other_label_is_reported_under_the_canonical_one(population):
    found = solved(population.moments((-2.2, 0.5), population.efficient()))
    assert found.params == pytest.approx([2.0, -1.0 / 2.2], rel=1e-10)
    assert found.other == pytest.approx((-2.2, 0.5), rel=1e-10)


@pytest.mark.parametrize("params", EFFECTS[:4])
def test_both_labels_have_the_same_moments(population, params):
    b12, b21 = params
    w = population.efficient()
    exchanged = population.moments(
        other_label(b12, b21),
        w,
        g1=population.g2 - 2.0 * np.log(abs(b21)),
        g2=population.g1 - 2.0 * np.log(abs(b12)),
    )
    np.testing.assert_allclose(exchanged, population.moments(params, w), rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_units_of_the_variables_only_rescale(population, scale):
    Pi = population.moments((2.0, -0.45), population.efficient())
    found = solved(Pi * [scale, scale**2, 1.0])
    assert found.params == pytest.approx([2.0 * scale, -0.45 / scale], rel=1e-9)


def test_the_factor_of_an_instrument_does_not_matter(population):
    Pi = population.moments((0.5, -0.4), population.efficient())
    assert solved(Pi * [[1e6], [-1e-6]]).params == pytest.approx([0.5, -0.4], rel=1e-9)


@pytest.mark.parametrize("form", ["constant", "common"])
def test_variances_in_proportion_identify_nothing(population, form):
    g = population.g1 if form == "common" else np.zeros_like(population.g1)
    found = solved(population.moments((0.5, -0.4), population.efficient(), g1=g, g2=g + 0.7))
    assert found.status == "weak"
    assert np.isnan(found.params).all()


def test_equations_without_a_real_solution_are_weak():
    # v = (1, 1, 1): b12 b21 would be a root of P^2 + P + 1.
    assert effects_of_null_vector([1.0, 1.0, 1.0]).status == "weak"
    assert solve_effects([-2.0, -3.0], [1.0, 1.0], [1.0, 2.0]).status == "weak"


def test_labels_cannot_be_told_apart_at_a_product_of_minus_one(population):
    found = solved(population.moments((2.0, -0.5), population.efficient()))
    assert found.status == "label-ambiguous"
    assert sorted([found.params[0], found.other[0]]) == pytest.approx([-2.0, 2.0], rel=1e-6)
    assert sorted([found.params[1], found.other[1]]) == pytest.approx([-0.5, 0.5], rel=1e-6)


def test_one_is_the_end_of_the_range():
    assert effects_of_null_vector(null_vector([1.25, 0.8])).status == "weak"


def test_null_vectors_turn_back_into_effects():
    rng = np.random.default_rng(3)
    for params in rng.uniform(-3.0, 3.0, size=(200, 2)):
        found = effects_of_null_vector(rng.normal() * null_vector(params))
        assert found.params == pytest.approx(canonical_label(*params), rel=1e-9)
        assert found.other == pytest.approx(other_label(*found.params))


def test_bad_moments_are_refused():
    with pytest.raises(IdentificationError, match="two or more instruments"):
        solve_effects([1.0], [1.0], [1.0])
    with pytest.raises(InputError, match="one length"):
        solve_effects([1.0, 2.0], [1.0], [1.0, 2.0])
    with pytest.raises(InputError, match="finite"):
        solve_effects([1.0, np.nan], [1.0, 2.0], [1.0, 3.0])
