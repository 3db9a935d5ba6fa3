"""The tables of the page on comparisons: what is not drawn at random is computed anew."""

import re
import warnings
from pathlib import Path

import pytest

import qbeconometrics as qb

PAGE = Path(__file__).parents[2] / "docs" / "comparison.md"
REGIONS = " + ".join(f"reg66{j}" for j in range(1, 9))
CARD = f"lwage ~ exper + expersq + black + south + smsa + {REGIONS} + smsa66"
WAGES = "expr + tenure + rns + smsa + C(year)"
EQUATIONS = {
    "educ": (f"{CARD} + [educ ~ nearc2 + nearc4]", "card1995"),
    "avexpr": ("logpgp95 ~ [avexpr ~ logem4]", "ajr2001"),
    "education": ("lwage ~ C(yob) + [education ~ C(qob)]", "ak1991_sub20000"),
    "education, thirty": ("lwage ~ C(yob) + education | C(yob)*C(qob)", "ak1991_sub20000"),
    "s, iq": (f"lw ~ {WAGES} + [s + iq ~ med + kww + age + mrt]", "griliches1976"),
    "iq": (f"lw ~ s + {WAGES} + [iq ~ med + kww + age + mrt]", "griliches1976"),
}
# Of a posterior that was sampled, in its sds.
MONTE_CARLO = 0.3


def tables():
    """Rows of cells of each table on the page."""
    found = re.findall(r"(?:^\|.*\n)+", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines()]
        for table in found
    ]


@pytest.fixture(scope="module")
def shown():
    found = tables()
    assert len(found) == len(EQUATIONS)
    return dict(zip(EQUATIONS, found, strict=True))


def assert_close(shown, computed):
    """Cells that are equal, or numbers that differ by what an optimiser leaves."""
    assert len(shown) == len(computed)
    for left, right in zip(shown, computed, strict=True):
        if left != right:
            numbers = (float(cell.strip("()")) for cell in (left, right))
            assert next(numbers) == pytest.approx(next(numbers), rel=0.01, abs=0.001)


def two_step(name):
    formula, dataset = EQUATIONS[name]
    data = qb.datasets.load(dataset)
    model = qb.QuasiBayesIV.from_formula(
        formula, data.query("baseco == 1") if dataset == "ajr2001" else data
    )
    with warnings.catch_warnings():
        # Weak instruments.
        warnings.simplefilter("ignore")
        return model.fit(quasi_likelihood="two-step", draws=10, chains=1, rng=0)


@pytest.mark.parametrize("name", EQUATIONS)
def test_what_is_exact_is_as_printed(shown, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        now = qb.compare(two_step(name)).to_markdown().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in now if "|" in line]
    header, _, *body = shown[name]
    assert rows[0][1:] == header[2:]
    computed = {}
    for number, row in enumerate(rows):
        if row[0]:
            computed[row[0]] = (row[1:], rows[number + 1][1:] if number + 1 < len(rows) else [])
    for number, row in enumerate(body):
        if row[0]:
            first, second = computed[row[0]]
            assert_close(row[2:], first)
            if body[number + 1 :] and not body[number + 1][0]:
                assert_close(body[number + 1][2:], second)


def test_what_is_sampled_is_near(shown):
    formula, _ = EQUATIONS["avexpr"]
    data = qb.datasets.load("ajr2001").query("baseco == 1")
    with warnings.catch_warnings():
        # The tails are heavy, as the page says.
        warnings.simplefilter("ignore")
        res = qb.QuasiBayesIV.from_formula(formula, data).fit(rng=1)
    _, _, first, second, *_ = shown["avexpr"]
    spread = float(second[1].strip("()"))
    assert abs(res.params["avexpr"] - float(first[1])) < MONTE_CARLO * spread
