"""The two formula grammars, as text: where the outcome, regressors and instruments stand."""

from __future__ import annotations

from dataclasses import dataclass

from qbeconometrics.exceptions import FormulaError

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_EXAMPLES = "Write 'y ~ x + [d ~ z]' or 'y ~ x + d | x + z'."


@dataclass(frozen=True, slots=True)
class FormulaText:
    """Parts of a formula, each to be read by patsy.

    Attributes
    ----------
    outcome : str
        Left of the tilde.
    regressors : str
        Right of it: the exogenous regressors in the bracket grammar, all of them otherwise.
    endogenous, excluded : str or None
        The two sides within the brackets.
    instruments : str or None
        All instruments, right of the bar.
    """

    outcome: str
    regressors: str
    endogenous: str | None = None
    excluded: str | None = None
    instruments: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Place of a bracket group in the text, with the places of its tildes and bars."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Marks:
    tildes: tuple[int, ...]
    bars: tuple[int, ...]
    groups: tuple[Group, ...]


def split_formula(formula: str) -> FormulaText:
    """Split a formula at its tilde, bar and brackets, leaving quotes and calls alone.

    Parameters
    ----------
    formula : str
        ``"y ~ x + [d ~ z1 + z2]"``: d is endogenous, z1 and z2 are excluded instruments.
        ``"y ~ x + d | x + z"``: regressors, then all instruments.
        ``"y ~ x"``: the regressors are their own instruments.

    Raises
    ------
    FormulaError
        If the formula cannot be read so.

    Examples
    --------
    >>> parts = split_formula("y ~ x + [d ~ z]")
    >>> parts.regressors, parts.endogenous, parts.excluded
    ('x', 'd', 'z')
    >>> split_formula("y ~ x + d | x + z").instruments
    'x + z'
    """
    if not isinstance(formula, str):
        raise FormulaError(f"The formula must be a string, not {type(formula).__name__}.")
    marks = find_marks(formula)
    tilde = _only_tilde(marks, formula)
    outcome = formula[:tilde].strip()
    if not outcome:
        raise FormulaError(f"Formula {formula!r} has nothing left of ~. {_EXAMPLES}")
    if marks.groups and marks.bars:
        raise FormulaError(
            f"Formula {formula!r} has both brackets and a bar. Use one of them: {_EXAMPLES}"
        )
    if any(group.start < tilde for group in marks.groups) or any(b < tilde for b in marks.bars):
        raise FormulaError(
            f"Formula {formula!r} has brackets or a bar left of ~. Instruments belong to the "
            f"right side. {_EXAMPLES}"
        )
    if marks.groups:
        return _split_brackets(formula, outcome, tilde, marks)
    if marks.bars:
        return _split_bar(formula, outcome, tilde, marks)
    return FormulaText(outcome, _side(formula[tilde + 1 :], "right of ~", formula))


def _only_tilde(marks: Marks, formula: str) -> int:
    if not marks.tildes:
        raise FormulaError(f"Formula {formula!r} has no ~ between outcome and regressors.")
    if len(marks.tildes) > 1:
        raise FormulaError(f"Formula {formula!r} has more than one ~ outside brackets. {_EXAMPLES}")
    return marks.tildes[0]


def _split_bar(formula: str, outcome: str, tilde: int, marks: Marks) -> FormulaText:
    if len(marks.bars) > 1:
        raise FormulaError(
            f"Formula {formula!r} has more than one bar. Write all regressors left of it and all "
            "instruments, with the exogenous regressors, right of it."
        )
    bar = marks.bars[0]
    return FormulaText(
        outcome,
        _side(formula[tilde + 1 : bar], "between ~ and |", formula),
        instruments=_side(formula[bar + 1 :], "right of |", formula),
    )


def _split_brackets(formula: str, outcome: str, tilde: int, marks: Marks) -> FormulaText:
    if len(marks.groups) > 1:
        raise FormulaError(
            f"Formula {formula!r} has more than one bracket group. Write all endogenous "
            "regressors and all excluded instruments in one: '[d1 + d2 ~ z1 + z2]'."
        )
    group = marks.groups[0]
    before, after = formula[tilde + 1 : group.start].strip(), formula[group.stop + 1 :].strip()
    if (before and not before.endswith("+")) or (after and after[0] not in "+-"):
        raise FormulaError(
            f"Formula {formula!r}: brackets can only be added, with + on either side. They "
            "cannot be removed, multiplied or made part of an interaction."
        )
    inside = formula[group.start + 1 : group.stop]
    inner = find_marks(inside)
    if inner.bars or inner.groups or len(inner.tildes) != 1:
        raise FormulaError(
            f"Formula {formula!r}: the brackets must hold one ~ and no bar or brackets, as in "
            "'[d ~ z1 + z2]'."
        )
    rest = f"{before.removesuffix('+').rstrip()} {after}".strip().removeprefix("+").strip()
    if (before or after) and not rest:
        raise FormulaError(f"Formula {formula!r} has a + with nothing to add. {_EXAMPLES}")
    middle = inner.tildes[0]
    return FormulaText(
        outcome,
        _side(rest or "1", "outside the brackets", formula),
        endogenous=_side(inside[:middle], "left of ~ in the brackets", formula),
        excluded=_side(inside[middle + 1 :], "right of ~ in the brackets", formula),
    )


def _side(text: str, where: str, formula: str) -> str:
    text = text.strip()
    if not text:
        raise FormulaError(f"Formula {formula!r} has nothing {where}. {_EXAMPLES}")
    if text.endswith(("+", "-", "*", ":", "/")):
        raise FormulaError(f"Formula {formula!r}: {text!r} ends in an operator.")
    return text


def find_marks(formula: str) -> Marks:
    """Find tildes, bars and bracket groups outside quotes, calls and indexing brackets."""
    tildes: list[int] = []
    bars: list[int] = []
    groups: list[Group] = []
    open_places: list[int] = []
    place = 0
    while place < len(formula):
        character = formula[place]
        if character in "'\"":
            place = end_of_quote(formula, place)
        elif character in _CLOSING:
            open_places.append(place)
        elif character in ")]}":
            start = _matching(formula, open_places, place)
            if character == "]" and not open_places and not is_indexing(formula, start):
                groups.append(Group(start, place))
        elif not open_places and character in "~|":
            (tildes if character == "~" else bars).append(place)
        elif character == "~" and _is_between_operands(formula, place):
            _refuse_tilde_in_parentheses(formula, open_places)
        place += 1
    if open_places:
        raise FormulaError(f"Formula {formula!r}: {formula[open_places[-1]]!r} is never closed.")
    return Marks(tuple(tildes), tuple(bars), tuple(groups))


def end_of_quote(formula: str, start: int) -> int:
    place = start + 1
    while place < len(formula):
        if formula[place] == "\\":
            place += 1
        elif formula[place] == formula[start]:
            return place
        place += 1
    raise FormulaError(f"Formula {formula!r}: the quote {formula[start]} is never closed.")


def _matching(formula: str, open_places: list[int], place: int) -> int:
    """Close the innermost open bracket; return its place."""
    if not open_places or _CLOSING[formula[open_places[-1]]] != formula[place]:
        raise FormulaError(
            f"Formula {formula!r}: {formula[place]!r} closes nothing that is open. Check the "
            "brackets."
        )
    return open_places.pop()


def is_indexing(formula: str, place: int) -> bool:
    """Whether "[" follows a name, a call or another index without a space."""
    return place > 0 and (formula[place - 1].isalnum() or formula[place - 1] in "_)]}'\"")


def _is_between_operands(formula: str, place: int) -> bool:
    """Whether ~ separates two sides, and is not Python's "not" in a call such as I(~flag)."""
    before = formula[:place].rstrip()
    return bool(before) and (before[-1].isalnum() or before[-1] in "_)]}'\"")


def _refuse_tilde_in_parentheses(formula: str, open_places: list[int]) -> None:
    inside_group = len(open_places) == 1 and formula[open_places[0]] == "["
    if inside_group and not is_indexing(formula, open_places[0]):
        return
    raise FormulaError(
        f"Formula {formula!r} has a ~ within parentheses or an index. Brackets with instruments "
        "stand at the top level, set off by + and a space: 'y ~ x + [d ~ z]'."
    )
