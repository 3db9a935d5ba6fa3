"""Posterior probabilities of linear inequalities such as ``"0 < educ < 0.2 and exper > 0"``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from qbeconometrics.exceptions import InputError, OptionError, suggestion

FloatArray = NDArray[np.float64]

NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
QUOTED = re.compile(r"""Q\(\s*(?:"([^"]*)"|'([^']*)')\s*\)""")
RELATION = re.compile(r"<=|>=|==|!=|<|>|=")
CONJUNCTION = re.compile(r"and\b|&&?|,")
# What looks like a name but is none of the parameters; for the error message.
UNKNOWN_NAME = re.compile(r"[^\W\d]\w*(?:[\w.:]|\[[^\]]*\]|\([^()]*\))*")
# A known name is not the beginning of a longer one.
NAME_CONTINUES = re.compile(r"[\w.:\[(]")
GRAMMAR = (
    "Write linear inequalities of parameters, such as 'educ > 0.1' or "
    "'0 < educ < 0.2 and exper + 2*expersq > 0'."
)


@dataclass(frozen=True, slots=True)
class LinearInequality:
    """The statement ``constant + coefficients @ params > 0``, or ``>=`` if not strict.

    Attributes
    ----------
    coefficients : ndarray
        Shape (parameter,).
    constant : float
        What does not depend on a parameter.
    strict : bool
        Whether equality is excluded.
    """

    coefficients: FloatArray
    constant: float
    strict: bool


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # "number" "name" "relation" "operator" "and" "end"
    text: str
    place: int


@dataclass(frozen=True, slots=True)
class _LinearForm:
    coefficients: FloatArray
    constant: float

    @property
    def is_number(self) -> bool:
        return not self.coefficients.any()

    def combine(self, other: _LinearForm, sign: float) -> _LinearForm:
        return _LinearForm(
            self.coefficients + sign * other.coefficients, self.constant + sign * other.constant
        )

    def scale(self, factor: float) -> _LinearForm:
        return _LinearForm(factor * self.coefficients, factor * self.constant)


def parse_inequalities(statement: str, param_names: Sequence[str]) -> list[LinearInequality]:
    """Read a statement about parameters.

    Parameters
    ----------
    statement : str
        Comparisons by ``< <= > >=``, possibly chained, of linear expressions in the parameters
        with numbers, ``+ - * /`` and parentheses; joined by ``and``, ``&`` or a comma. The
        longest parameter name that fits is taken; ``Q("...")`` quotes any name.
    param_names : sequence of str
        The known names.

    Returns
    -------
    list of LinearInequality
        All of them must hold.

    Raises
    ------
    InputError
        If a name is unknown.
    OptionError
        If the statement is not a set of linear inequalities.

    Examples
    --------
    >>> parse_inequalities("2*x - 1 < z", ["x", "z"])
    [LinearInequality(coefficients=array([-2.,  1.]), constant=1.0, strict=True)]
    """
    if not isinstance(statement, str):
        raise OptionError(f"prob needs text, not {type(statement).__name__}. {GRAMMAR}")
    return _Parser(statement, tuple(param_names)).statement()


def probability_from_draws(inequalities: Sequence[LinearInequality], draws: FloatArray) -> float:
    """Share of draws, shape (..., parameter), for which all inequalities hold."""
    holds = np.ones(draws.shape[:-1], dtype=bool)
    for inequality in inequalities:
        value = draws @ inequality.coefficients + inequality.constant
        holds &= value > 0.0 if inequality.strict else value >= 0.0
    return float(holds.mean())


def normal_probability(
    inequality: LinearInequality, *, mean: FloatArray, covariance: FloatArray
) -> float:
    """Probability of one inequality under a normal distribution."""
    centre = float(inequality.coefficients @ mean) + inequality.constant
    variance = float(inequality.coefficients @ covariance @ inequality.coefficients)
    if variance <= 0.0:
        return float(centre > 0.0 if inequality.strict else centre >= 0.0)
    return float(ndtr(centre / np.sqrt(variance)))


class _Parser:
    """Recursive descent: statement > comparison > sum > product > factor."""

    def __init__(self, text: str, names: tuple[str, ...]) -> None:
        self.text = text
        self.names = names
        self.tokens = _tokenize(text, names)
        self.position = 0

    def statement(self) -> list[LinearInequality]:
        found = self.comparison()
        while self.accept("and"):
            found += self.comparison()
        return found

    def comparison(self) -> list[LinearInequality]:
        left = self.sum()
        found = []
        while self.current.kind == "relation":
            relation = self.advance().text
            if relation in ("=", "==", "!="):
                raise OptionError(
                    f"{self.text!r} has {relation!r}: under a continuous posterior an equality "
                    "has probability zero. Use < or >, or an interval such as '-0.1 < x < 0.1'."
                )
            right = self.sum()
            larger, smaller = (left, right) if relation[0] == ">" else (right, left)
            difference = larger.combine(smaller, -1.0)
            if difference.is_number:
                raise self.error("a comparison involves no parameter")
            found.append(
                LinearInequality(
                    difference.coefficients, difference.constant, not relation.endswith("=")
                )
            )
            left = right
        if self.current.kind not in ("and", "end"):
            raise self.error(f"an operator was expected before {self.current.text!r}")
        if not found:
            raise self.error("there is no < or > in (a part of) it")
        return found

    def sum(self) -> _LinearForm:
        form = self.product()
        while self.current.kind == "operator" and self.current.text in "+-":
            sign = 1.0 if self.advance().text == "+" else -1.0
            form = form.combine(self.product(), sign)
        return form

    def product(self) -> _LinearForm:
        form = self.factor()
        while self.current.kind == "operator" and self.current.text in "*/":
            operator = self.advance().text
            other = self.factor()
            if operator == "/":
                if not other.is_number:
                    raise self.error("it divides by a parameter, which is not linear")
                if other.constant == 0.0:
                    raise self.error("it divides by zero")
                form = form.scale(1.0 / other.constant)
            elif other.is_number:
                form = form.scale(other.constant)
            elif form.is_number:
                form = other.scale(form.constant)
            else:
                raise self.error("it multiplies two parameters, which is not linear")
        return form

    def factor(self) -> _LinearForm:
        token = self.advance()
        if token.kind == "operator" and token.text in "+-":
            return self.factor().scale(1.0 if token.text == "+" else -1.0)
        if token.kind == "operator" and token.text == "(":
            form = self.sum()
            if self.advance().text != ")":
                raise self.error("a closing parenthesis is missing")
            return form
        coefficients = np.zeros(len(self.names))
        if token.kind == "number":
            return _LinearForm(coefficients, float(token.text))
        if token.kind == "name":
            coefficients[self.names.index(token.text)] = 1.0
            return _LinearForm(coefficients, 0.0)
        where = "at the end" if token.kind == "end" else f"before {token.text!r}"
        raise self.error(f"a number or a parameter is missing {where}")

    @property
    def current(self) -> _Token:
        return self.tokens[self.position]

    def advance(self) -> _Token:
        token = self.current
        self.position = min(self.position + 1, len(self.tokens) - 1)
        return token

    def accept(self, kind: str) -> bool:
        if self.current.kind != kind:
            return False
        self.advance()
        return True

    def error(self, what: str) -> OptionError:
        return OptionError(f"{self.text!r} cannot be read: {what}. {GRAMMAR}")


def _tokenize(text: str, names: tuple[str, ...]) -> list[_Token]:
    patterns = _name_patterns(names)
    tokens: list[_Token] = []
    place = 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        kind, value, end = _next_token(text, place, patterns, names)
        tokens.append(_Token(kind, value, place))
        place = end
    return [*tokens, _Token("end", "", len(text))]


def _next_token(
    text: str, place: int, patterns: list[tuple[re.Pattern[str], str]], names: tuple[str, ...]
) -> tuple[str, str, int]:
    """Kind and value of the token that starts at `place`, and where it ends."""
    for pattern, name in patterns:
        match = pattern.match(text, place)
        if match and not NAME_CONTINUES.match(text, match.end()):
            return "name", name, match.end()
    if match := QUOTED.match(text, place):
        return "name", _unquote(match.group(1) or match.group(2) or "", names), match.end()
    if match := NUMBER.match(text, place):
        return "number", match.group(), match.end()
    if match := CONJUNCTION.match(text, place):
        return "and", match.group(), match.end()
    if match := RELATION.match(text, place):
        return "relation", match.group(), match.end()
    if match := UNKNOWN_NAME.match(text, place):
        raise _unknown(match.group(), names)
    if text[place] in "+-*/()":
        return "operator", text[place], place + 1
    raise OptionError(f"{text!r} cannot be read at {text[place:]!r}. {GRAMMAR}")


def _name_patterns(names: tuple[str, ...]) -> list[tuple[re.Pattern[str], str]]:
    """Patterns of the names, longest first, that overlook spaces around punctuation."""
    patterns = []
    for name in sorted(names, key=len, reverse=True):
        # A number and the word "and" keep their meaning; Q("...") reaches such a parameter.
        if not name.strip() or NUMBER.fullmatch(name) or name == "and":
            continue
        pieces = re.findall(r"\w+|[^\w\s]", name)
        pattern = re.escape(pieces[0])
        for before, piece in pairwise(pieces):
            both_words = re.match(r"\w", before) and re.match(r"\w", piece)
            pattern += (r"\s+" if both_words else r"\s*") + re.escape(piece)
        patterns.append((re.compile(pattern), name))
    return patterns


def _unquote(inside: str, names: tuple[str, ...]) -> str:
    for candidate in (inside, f'Q("{inside}")', f"Q('{inside}')"):
        if candidate in names:
            return candidate
    raise _unknown(inside, names)


def _unknown(name: str, names: tuple[str, ...]) -> InputError:
    if name in ("or", "not"):
        return InputError(
            f"{name!r} is not understood: only 'and' joins statements. Compute other events from "
            "the draws."
        )
    return InputError(
        f"{name!r} is not a parameter.{suggestion(name, names)} "
        f"The parameters are: {', '.join(map(repr, names))}. "
        'A name with odd characters can be written Q("name").'
    )
