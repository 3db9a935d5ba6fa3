"""The two grammars as text."""

import pytest

from qbeconometrics.exceptions import FormulaError
from qbeconometrics.inputs.formula_text import FormulaText, split_formula


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("y ~ x", FormulaText("y", "x")),
        ("y~x|z", FormulaText("y", "x", instruments="z")),
        ("y ~ x + [d ~ z]", FormulaText("y", "x", "d", "z")),
        ("y ~ [d ~ z]", FormulaText("y", "1", "d", "z")),
        ("y ~ [d ~ z] + x", FormulaText("y", "x", "d", "z")),
        ("y ~ [d ~ z] - 1", FormulaText("y", "- 1", "d", "z")),
        ("y ~ a + [d + e ~ z * w] + b", FormulaText("y", "a + b", "d + e", "z * w")),
        ("y ~ a+[d~z]-1", FormulaText("y", "a -1", "d", "z")),
        (
            "y ~ Q('a|b') + d | Q(\"c ~ [d\")",
            FormulaText("y", "Q('a|b') + d", instruments='Q("c ~ [d")'),
        ),
        ("y ~ Q('it\\'s|b')", FormulaText("y", "Q('it\\'s|b')")),
        ("y ~ I((a > 1) | (b > 1)) + I(~c)", FormulaText("y", "I((a > 1) | (b > 1)) + I(~c)")),
        ("y ~ f(x)[0] + x[1:2]", FormulaText("y", "f(x)[0] + x[1:2]")),
        (
            "y ~ C(g, levels=[1, 2]) + [d ~ h([z])[0]]",
            FormulaText("y", "C(g, levels=[1, 2])", "d", "h([z])[0]"),
        ),
    ],
)
def test_formula_is_split_at_the_top_level_only(formula, expected):
    assert split_formula(formula) == expected


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("y x", "no ~"),
        ("", "no ~"),
        ("~ x", "nothing left of ~"),
        ("y ~", "nothing right of ~"),
        ("y ~ x ~ z", "more than one ~"),
        ("y ~ x | ", r"nothing right of \|"),
        ("y ~ | z", r"nothing between ~ and \|"),
        ("y ~ x | z | w", "more than one bar"),
        ("y | z ~ x", "left of ~"),
        ("[y ~ z] ~ x", "left of ~"),
        ("y ~ [d ~ z] + [e ~ w]", "more than one bracket group"),
        ("y ~ x + [d ~ z] | z", "both brackets and a bar"),
        ("y ~ [d ~ ]", "nothing right of ~ in the brackets"),
        ("y ~ [ ~ z]", "nothing left of ~ in the brackets"),
        ("y ~ x + [d z]", "must hold one ~"),
        ("y ~ x + [d ~ z ~ w]", "must hold one ~"),
        ("y ~ x + [d ~ z | w]", "no bar"),
        ("y ~ [d ~ z] * x", "can only be added"),
        ("y ~ x:[d ~ z]", "can only be added"),
        ("y ~ x - [d ~ z]", "can only be added"),
        ("y ~ x [d ~ z]", "can only be added"),
        ("y ~ + [d ~ z]", "nothing to add"),
        ("y ~ (x + [d ~ z])", "within parentheses"),
        ("y ~ x[d ~ z]", "within parentheses or an index"),
        ("y ~ x + [d ~ z", "never closed"),
        ("y ~ x + d ~ z]", "closes nothing"),
        ("y ~ np.log(x", "never closed"),
        ("y ~ (x]", "closes nothing"),
        ("y ~ Q('x", "never closed"),
        ("y ~ x +", "ends in an operator"),
        (3, "must be a string, not int"),
        (None, "must be a string"),
    ],
)
def test_unreadable_formula_says_why(formula, words):
    with pytest.raises(FormulaError, match=words):
        split_formula(formula)
