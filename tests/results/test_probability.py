"""Linear inequalities: what is read, what is refused, and the probabilities."""

import numpy as np
import pytest

from qbeconometrics.exceptions import InputError, OptionError
from qbeconometrics.results.probability import parse_inequalities, probability_from_draws

NAMES = (
    "Intercept",
    "x",
    "x1",
    "x:z",
    "C(region)[T.2]",
    "C(region)[T.2]:x",
    "np.log(x)",
    "I(x - 1)",
    'Q("my var")',
    "two words",
    "z",
    "0",
    "and",
    "é",
)
DRAWS = np.random.default_rng(0).standard_normal((4, 200, len(NAMES)))


def column(name):
    return DRAWS[:, :, NAMES.index(name)]


CASES = {
    "x > 0.1": lambda: column("x") > 0.1,
    "x1>=-.5": lambda: column("x1") >= -0.5,
    "0 < x < 2e-1": lambda: (column("x") > 0) & (column("x") < 0.2),
    "1 > x > z": lambda: (column("x") < 1) & (column("x") > column("z")),
    "x > 0 and z < 0": lambda: (column("x") > 0) & (column("z") < 0),
    "x > 0 & z < 0, x1 < 1": lambda: (column("x") > 0) & (column("z") < 0) & (column("x1") < 1),
    "x + 2*z - x1/4 > -(z - 1)": lambda: (
        column("x") + 2 * column("z") - column("x1") / 4 > -(column("z") - 1)
    ),
    "(x + z)*3/2 <= --x1": lambda: 1.5 * (column("x") + column("z")) <= column("x1"),
    "2*(1 + 3)*x < 1": lambda: 8 * column("x") < 1,
    "x:z > x": lambda: column("x:z") > column("x"),
    "C(region)[T.2] > 0": lambda: column("C(region)[T.2]") > 0,
    "C(region)[T.2]:x > 0": lambda: column("C(region)[T.2]:x") > 0,
    "C(region)[T.2]*2 > np.log(x)": lambda: 2 * column("C(region)[T.2]") > column("np.log(x)"),
    "I(x-1) < 0.3": lambda: column("I(x - 1)") < 0.3,
    "I( x - 1 )< 0.3": lambda: column("I(x - 1)") < 0.3,
    'Q("my var") > 0': lambda: column('Q("my var")') > 0,
    "Q('my var') > 0": lambda: column('Q("my var")') > 0,
    "two words > 0": lambda: column("two words") > 0,
    'Q("0") > 0': lambda: column("0") > 0,
    'x > 0 and Q("and") > 0': lambda: (column("x") > 0) & (column("and") > 0),
    'Q("C(region)[T.2]") > 0': lambda: column("C(region)[T.2]") > 0,
    "é < 0": lambda: column("é") < 0,
}


@pytest.mark.parametrize("statement", CASES)
def test_probability_is_the_share_of_draws(statement):
    found = parse_inequalities(statement, NAMES)
    assert probability_from_draws(found, DRAWS) == CASES[statement]().mean()


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        ("x = 0", "equality"),
        ("x == 0", "equality"),
        ("x != 0", "equality"),
        ("x * z > 0", "multiplies two parameters"),
        ("1 / x > 0", "divides by a parameter"),
        ("x / 0 > 0", "divides by zero"),
        ("x / (1 - 1) > 0", "divides by zero"),
        ("1 < 2", "no parameter"),
        ("x - x < 2", "no parameter"),
        ("x", "no < or >"),
        ("", "missing at the end"),
        ("x > 0 and", "missing at the end"),
        ("x > ", "missing at the end"),
        ("x > 0 z", "operator was expected before 'z'"),
        ("2x > 0", "operator was expected before 'x'"),
        ("(x > 0", "closing parenthesis"),
        ("x > 0)", "operator was expected"),
        ("x ** 2 > 0", "missing before"),
        ("x > 0; import os", "cannot be read at"),
        ("x > 0 | z > 0", "cannot be read at"),
        (0.5, "needs text, not float"),
        (None, "needs text"),
    ],
)
def test_refusals_say_what_is_wrong(statement, match):
    with pytest.raises(OptionError, match=match):
        parse_inequalities(statement, NAMES)


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        ("x11 > 0", "'x11' is not a parameter. Did you mean 'x1'"),
        ("Intercep > 0", "Did you mean 'Intercept'"),
        ("x:w > 0", "'x:w' is not a parameter"),
        ("C(region)[T.3] > 0", r"'C\(region\)\[T.3\]' is not a parameter. Did you mean"),
        ("C(region)[T.2]:w > 0", "not a parameter"),
        ("__import__('os') > 0", "__import__.* is not a parameter"),
        ('Q("nothing") > 0', "'nothing' is not a parameter"),
        ("x > 0 or z > 0", "only 'and' joins statements"),
    ],
)
def test_unknown_names_are_named(statement, match):
    with pytest.raises(InputError, match=match):
        parse_inequalities(statement, NAMES)
