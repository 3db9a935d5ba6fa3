"""The fixed columns of a formula as JSON and back: patsy's own description cannot be pickled."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Protocol

import numpy as np
import pandas as pd
import patsy
from patsy import EvalFactor

from qbeconometrics.exceptions import FormulaError, OptionError

from .block_formula import BlockFormula, is_stateful
from .formula import assemble_blocks, outcome_factor
from .formula_checks import patsy_errors_named
from .formula_factors import KeptRowsFactor
from .formula_text import split_formula

PLAIN_ENVIRONMENT = {"np": np}


class FixedColumns(Protocol):
    """A formula whose columns are fixed, such as `BlockFormula`."""

    @property
    def formula(self) -> str:
        """As typed."""

    @property
    def infos(self) -> tuple[Any, ...]:
        """Of the sides, as patsy describes them."""

    @property
    def env(self) -> Any:
        """Where functions are looked up."""

    @property
    def data_columns(self) -> tuple[str, ...]:
        """Columns of the data that are read."""


def describe_formula(formula: FixedColumns) -> dict[str, Any]:
    """Return everything that fixes the columns, for JSON.

    Raises
    ------
    OptionError
        If a term holds what it learnt from the data, or a level that is not a number or text.
    """
    return {
        "formula": formula.formula,
        "data_columns": list(formula.data_columns),
        "sides": [_describe_side(info, formula) for info in formula.infos],
    }


def _describe_side(info: Any, formula: FixedColumns) -> dict[str, Any]:
    places = {factor: place for place, factor in enumerate(info.factor_infos)}
    return {
        "columns": list(info.column_names),
        "factors": [
            _describe_factor(factor, info.factor_infos[factor], formula) for factor in places
        ],
        "terms": [
            {
                "factors": [places[factor] for factor in term.factors],
                "codings": [_describe_coding(coding, places) for coding in codings],
            }
            for term, codings in info.term_codings.items()
        ],
    }


def _describe_factor(factor: Any, described: Any, formula: FixedColumns) -> dict[str, Any]:
    code = factor.factor.code
    if is_stateful(factor.factor, formula.env):
        raise OptionError(
            f"Term {factor.name()!r} of {formula.formula!r} has learnt from the data, which can "
            "neither be stored nor sent to another process. Put the transformed column into the "
            "data."
        )
    if described.type == "numerical":
        return {"code": code, "columns": int(described.num_columns)}
    return {"code": code, "levels": [_plain_level(level, code) for level in described.categories]}


def _plain_level(level: Any, code: str) -> Any:
    level = level.item() if isinstance(level, np.generic) else level
    if not isinstance(level, (bool, int, float, str)):
        raise OptionError(
            f"Term {code!r} has the level {level!r}, which cannot be stored. Make the levels "
            "numbers or text."
        )
    return level


def _describe_coding(coding: Any, places: dict[Any, int]) -> dict[str, Any]:
    return {
        "factors": [places[factor] for factor in coding.factors],
        "columns": int(coding.num_columns),
        "contrasts": [
            [places[factor], contrast.matrix.tolist(), list(contrast.column_suffixes)]
            for factor, contrast in coding.contrast_matrices.items()
        ],
    }


def rebuild_formula(description: dict[str, Any], env: Any = None) -> BlockFormula:
    """Return the formula of a description.

    Parameters
    ----------
    description : dict
        From `describe_formula`.
    env : patsy.EvalEnvironment, optional
        Where functions are looked up; by default patsy's own and ``np`` only.

    Raises
    ------
    FormulaError
        If the description does not fit the formula.
    """
    env = patsy.EvalEnvironment([PLAIN_ENVIRONMENT]) if env is None else env
    formula = description["formula"]
    text = split_formula(formula)
    try:
        with patsy_errors_named(formula):
            infos = rebuild_sides(description, env)
            outcome = outcome_factor(text)
            outcome.memorize_passes_needed({}, env)
            parts = [
                pd.DataFrame(np.empty((0, len(info.column_names))), columns=info.column_names)
                for info in infos
            ]
            exog, instrument = assemble_blocks(text, parts)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        if isinstance(error, FormulaError):
            raise
        raise FormulaError(f"The stored columns of {formula!r} cannot be read: {error}") from error
    return BlockFormula(
        formula,
        text,
        outcome,
        infos,
        env,
        tuple(exog.columns),
        tuple(instrument.columns),
        tuple(description["data_columns"]),
    )


def rebuild_sides(description: dict[str, Any], env: Any) -> tuple[Any, ...]:
    """Return patsy's descriptions of the sides that `describe_formula` described."""
    return tuple(_rebuild_side(side, env) for side in description["sides"])


def _rebuild_side(side: dict[str, Any], env: Any) -> Any:
    factors, infos = [], {}
    for described in side["factors"]:
        factor = KeptRowsFactor(EvalFactor(described["code"]))
        state: dict[str, Any] = {}
        if factor.memorize_passes_needed(state, env):
            raise FormulaError(f"Term {described['code']!r} would have to learn from the data.")
        levels = described.get("levels")
        infos[factor] = (
            patsy.FactorInfo(factor, "numerical", state, num_columns=described["columns"])
            if levels is None
            else patsy.FactorInfo(factor, "categorical", state, categories=tuple(levels))
        )
        factors.append(factor)
    codings = OrderedDict(
        (
            patsy.Term([factors[place] for place in term["factors"]]),
            [_rebuild_coding(coding, factors) for coding in term["codings"]],
        )
        for term in side["terms"]
    )
    return patsy.DesignInfo(side["columns"], factor_infos=infos, term_codings=codings)


def _rebuild_coding(coding: dict[str, Any], factors: list[Any]) -> Any:
    contrasts = {
        factors[place]: patsy.ContrastMatrix(np.array(matrix, dtype=float), suffixes)
        for place, matrix, suffixes in coding["contrasts"]
    }
    return patsy.SubtermInfo(
        [factors[place] for place in coding["factors"]], contrasts, coding["columns"]
    )
