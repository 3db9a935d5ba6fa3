"""The grammar of local projections as text: ``y1 + y2 ~ shock | controls``."""

from __future__ import annotations

from dataclasses import dataclass

from qbeconometrics.exceptions import FormulaError

from .formula_text import find_marks

_EXAMPLES = "Write 'y ~ shock | lag(y, 1, 4)' or 'y ~ [x ~ z] | lag(y, 1, 4)'."


@dataclass(frozen=True, slots=True)
class ProjectionText:
    """Parts of a formula of local projections.

    Attributes
    ----------
    outcomes : str
        Left of the tilde; several are joined by +.
    shock : str
        The regressor whose effect is traced.
    instruments : str or None
    controls : str
        Right of the bar; "1" if there is none.
    """

    outcomes: str
    shock: str
    instruments: str | None
    controls: str


def split_projection_formula(formula: str) -> ProjectionText:
    """Split a formula at its tilde, brackets and bar.

    Raises
    ------
    FormulaError
        If the formula cannot be read so.

    Examples
    --------
    >>> split_projection_formula("ip ~ [gs1 ~ ff4] | lag(ip, 1, 12)")
    ProjectionText(outcomes='ip', shock='gs1', instruments='ff4', controls='lag(ip, 1, 12)')
    """
    if not isinstance(formula, str):
        raise FormulaError(f"The formula must be a string, not {type(formula).__name__}.")
    marks = find_marks(formula)
    if len(marks.tildes) != 1:
        raise FormulaError(
            f"Formula {formula!r} must have one ~ outside brackets, between the responses and the "
            f"shock. {_EXAMPLES}"
        )
    tilde = marks.tildes[0]
    if len(marks.bars) > 1 or any(bar < tilde for bar in marks.bars):
        raise FormulaError(
            f"Formula {formula!r} may have one bar, between the shock and the controls. {_EXAMPLES}"
        )
    bar = marks.bars[0] if marks.bars else len(formula)
    outcomes = _part(formula[:tilde], "left of ~", formula)
    middle = _part(formula[tilde + 1 : bar], "between ~ and |", formula)
    controls = _part(formula[bar + 1 :], "right of |", formula) if marks.bars else "1"
    if not marks.groups:
        return ProjectionText(outcomes, middle, None, controls)
    if len(marks.groups) > 1 or not tilde < marks.groups[0].start < bar:
        raise FormulaError(
            f"Formula {formula!r}: one bracket group may stand between ~ and |. {_EXAMPLES}"
        )
    if not (middle.startswith("[") and middle.endswith("]")):
        raise FormulaError(
            f"Formula {formula!r}: nothing can be added to the brackets. Exogenous variables are "
            f"controls and stand right of the bar. {_EXAMPLES}"
        )
    inside = middle[1:-1]
    inner = find_marks(inside)
    if len(inner.tildes) != 1 or inner.bars or inner.groups:
        raise FormulaError(
            f"Formula {formula!r}: the brackets must hold one ~, as in '[x ~ z1 + z2]'."
        )
    place = inner.tildes[0]
    return ProjectionText(
        outcomes,
        _part(inside[:place], "left of ~ in the brackets", formula),
        _part(inside[place + 1 :], "right of ~ in the brackets", formula),
        controls,
    )


def _part(text: str, where: str, formula: str) -> str:
    text = text.strip()
    if not text:
        raise FormulaError(f"Formula {formula!r} has nothing {where}. {_EXAMPLES}")
    return text
