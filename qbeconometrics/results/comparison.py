"""Several fits side by side, with least squares, LIML and GMM beside them."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri
from statsmodels.iolib.table import SimpleTable

from qbeconometrics.diagnostics.convergence import check_probability
from qbeconometrics.exceptions import (
    InputError,
    MissingExtraError,
    OptionError,
    check_choice,
)
from qbeconometrics.results.frequentist import METHODS, Estimated, estimate
from qbeconometrics.results.iv_results import IVResults
from qbeconometrics.results.posterior_results import PosteriorResults
from qbeconometrics.results.summary_layout import EscapedCell, PosteriorSummary, format_row

NUMBERS = ("estimate", "spread", "lower", "upper")


@dataclass(frozen=True, slots=True, eq=False)
class ComparedColumn:
    """One method.

    Attributes
    ----------
    name : str
    table : DataFrame
        Columns ``estimate``, ``spread``, ``lower``, ``upper``, one row a parameter.
    kind : str
        What `estimate` and `spread` are.
    statistics : dict of str to str
        For the foot of the table.
    """

    name: str
    table: pd.DataFrame
    kind: str
    statistics: dict[str, str] = field(default_factory=dict)


class Comparison:
    """Fits side by side; made by `qbeconometrics.compare`.

    Parameters
    ----------
    columns : sequence of ComparedColumn
    notes : sequence of str
    alpha : float
        One minus the probability of the intervals.
    """

    def __init__(
        self, columns: Sequence[ComparedColumn], notes: Sequence[str], alpha: float
    ) -> None:
        self.columns = tuple(columns)
        self.notes = tuple(notes)
        self.alpha = alpha

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [column.name for column in self.columns]

    @property
    def params(self) -> list[str]:
        """Names of the parameters, in the order in which they first appear."""
        return list(dict.fromkeys(name for c in self.columns for name in c.table.index))

    def to_frame(self) -> pd.DataFrame:
        """Numbers: one row a parameter; columns by method, then estimate, spread and interval."""
        tables = {column.name: column.table for column in self.columns}
        frame = pd.concat(tables, axis=1).reindex(self.params)
        frame.columns.names = ["method", "number"]
        return frame

    def summary(self) -> PosteriorSummary:
        """A statsmodels Summary: text, HTML, LaTeX (needs the package booktabs)."""
        header, body, foot = self._cells()
        rows = [*body, [""] * (1 + len(header)), *foot]
        table = SimpleTable(
            [row[1:] for row in rows],
            headers=header,
            stubs=[row[0] for row in rows],
            title="Comparison of Estimates",
            celltype=EscapedCell,
            txt_fmt={"colsep": "  ", "table_dec_below": "="},
            data_aligns="r",
            header_align="r",
        )
        return PosteriorSummary([table], self._all_notes())

    def to_latex(self) -> str:
        """Return table and notes as LaTeX (needs the package booktabs)."""
        return self.summary().as_latex()

    def to_html(self) -> str:
        """Return table and notes as HTML."""
        return self.summary().as_html()

    def to_markdown(self) -> str:
        """Return table and notes as Markdown."""
        header, body, foot = self._cells()
        lines = [
            _markdown_row(["", *header]),
            _markdown_row(["---", *["---:"] * len(header)]),
            *(_markdown_row(row) for row in [*body, *foot]),
        ]
        notes = [f"{j}. {_markdown(note)}" for j, note in enumerate(self._all_notes(), start=1)]
        return "\n".join([*lines, "", *notes])

    def __str__(self) -> str:
        return self.summary().as_text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.to_html()

    def _cells(self) -> tuple[list[str], list[list[str]], list[list[str]]]:
        """Header, rows of parameters (two each) and rows of statistics, as texts."""
        body = []
        for name in self.params:
            cells = [_cell(column.table, name) for column in self.columns]
            body.append([name, *(first for first, _ in cells)])
            body.append(["", *(second for _, second in cells)])
        rows = list(dict.fromkeys(row for c in self.columns for row in c.statistics))
        foot = [[row, *(c.statistics.get(row, "") for c in self.columns)] for row in rows]
        return self.names, body, foot

    def _all_notes(self) -> list[str]:
        kinds = list(dict.fromkeys(column.kind for column in self.columns))
        return [f"Estimates and, in parentheses, spreads: {'; '.join(kinds)}.", *self.notes]


def compare(
    *results: Any,
    names: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    alpha: float = 0.05,
) -> Comparison:
    """Put fits side by side, with other estimates of the first one's equation.

    Parameters
    ----------
    *results : PosteriorResults
        Or results of statsmodels or linearmodels, which have params and standard errors.
    names : sequence of str, optional
        Of the columns; by default the quasi-likelihood and sampler, as far as they differ.
    methods : sequence of {"OLS", "2SLS", "LIML", "two-step GMM", "iterated GMM", "CUE"}, optional
        Computed by linearmodels (extra ``compare``) from the rows of the first fit, under its
        covariance and with its weights and fixed effects. None: all that differ from each other,
        if linearmodels is there; () for none.
    alpha : float
        One minus the probability of the intervals: equal-tailed for posteriors, normal for the
        others.

    Returns
    -------
    Comparison
        With ``to_frame``, ``summary``, ``to_latex``, ``to_html`` and ``to_markdown``; it prints
        as text.

    Raises
    ------
    InputError
        If there is nothing to compare, or methods are asked for where there are no rows.
    OptionError
        If a method or the number of names is wrong.
    MissingExtraError
        If methods are asked for and linearmodels is missing.

    Examples
    --------
    >>> import qbeconometrics as qb
    >>> data = qb.datasets.load("ajr2001").query("baseco == 1")
    >>> model = qb.QuasiBayesIV.from_formula("logpgp95 ~ [avexpr ~ logem4]", data)
    >>> res = model.fit(quasi_likelihood="two-step", rng=0)
    >>> table = qb.compare(res, names=["quasi-Bayes"])
    >>> table.names
    ['quasi-Bayes', 'OLS', '2SLS']
    >>> table.to_frame().loc["avexpr", ("2SLS", "estimate")].round(3).item()
    0.944
    """
    if not results:
        raise InputError("compare needs at least one fit")
    alpha = check_probability(alpha, "alpha")
    chosen = METHODS if methods is None else _check_methods(methods)
    labels = _labels(results, names)
    columns = [_column(one, label, alpha) for one, label in zip(results, labels, strict=True)]
    found: list[Estimated] = []
    notes: list[str] = []
    if chosen:
        found, notes = _others(results[0], chosen, asked=methods is not None)
    columns += [_estimated_column(one, alpha, results[0]) for one in found]
    return Comparison(columns, notes, alpha)


def _check_methods(methods: Sequence[str]) -> list[str]:
    if isinstance(methods, str):
        methods = [methods]
    return [check_choice(name, METHODS, "methods") for name in methods]


def _others(
    first: Any, methods: Sequence[str], *, asked: bool
) -> tuple[list[Estimated], list[str]]:
    """Estimates by other methods; where they were not asked for, a note may take their place."""
    # Loaded results have no rows; other models no instruments.
    if not isinstance(first, IVResults) or not hasattr(first.model, "design"):
        if asked:
            raise InputError(
                "methods are computed from the rows of the first fit, which must be of linear "
                "moments and not loaded from a file; or pass methods=()"
            )
        return [], []
    try:
        return estimate(first, methods)
    except MissingExtraError as error:
        if asked:
            raise
        return [], [str(error)]


def _labels(results: Sequence[Any], names: Sequence[str] | None) -> list[str]:
    if names is not None:
        if isinstance(names, str) or len(names) != len(results):
            raise OptionError(f"names must hold {len(results)} names, one a fit")
        labels = list(map(str, names))
    else:
        labels = [_default_label(one) for one in results]
    for j, label in enumerate(labels):
        if label in labels[:j] or label in METHODS:
            labels[j] = f"{label} ({j + 1})"
    return labels


def _default_label(one: Any) -> str:
    if isinstance(one, PosteriorResults):
        return f"QB {one.record.quasi_likelihood}"
    model = getattr(one, "model", None)
    return type(model).__name__ if model is not None else type(one).__name__


def _column(one: Any, label: str, alpha: float) -> ComparedColumn:
    if isinstance(one, PosteriorResults):
        return _posterior_column(one, label, alpha)
    spread = getattr(one, "std_errors", getattr(one, "bse", None))
    if spread is None or getattr(one, "params", None) is None:
        raise InputError(f"{type(one).__name__} has no params or no standard errors to compare")
    if not isinstance(one.params, pd.Series):
        raise InputError(f"{label}: params must be labelled; fit from pandas or a formula")
    nobs = getattr(one, "nobs", None)
    statistics = {"Observations": f"{int(nobs)}"} if nobs is not None else {}
    return ComparedColumn(
        label, _normal_table(one.params, spread, alpha), "estimate (standard error)", statistics
    )


def _posterior_column(one: PosteriorResults, label: str, alpha: float) -> ComparedColumn:
    exists = all(one.record.moments_exist)
    interval = one.conf_int(alpha)
    spread = one.bse if exists else (interval[1] - interval[0]) / (2 * -ndtri(alpha / 2))
    table = pd.DataFrame(
        {
            "estimate": one.params if exists else one.median,
            "spread": spread,
            "lower": interval[0],
            "upper": interval[1],
        }
    )
    kind = "posterior mean (sd)" if exists else "posterior median (interval as normal sd)"
    statistics = {"Observations": str(one.nobs), "Covariance": one.record.cov_type}
    statistics |= _tests(one)
    return ComparedColumn(label, table, kind, statistics)


def _tests(one: PosteriorResults) -> dict[str, str]:
    """J and the first-stage F, as far as the fit has them."""
    found: dict[str, str] = {}
    rows, _ = one.head_statistics()
    for name, value in rows:
        if name.startswith("J (df"):
            statistic, _, tail = value.partition(" (p = ")
            found |= {name: statistic, "p-value of J": tail.rstrip(")")}
        elif name.endswith(" F"):
            found[name] = value
    return found


def _estimated_column(one: Estimated, alpha: float, first: PosteriorResults) -> ComparedColumn:
    statistics = {"Observations": str(first.nobs), "Covariance": first.record.cov_type}
    if one.j is not None:
        value, degrees, tail = one.j
        statistics |= {f"J (df {degrees})": f"{value:.4g}", "p-value of J": f"{tail:.3f}"}
    table = _normal_table(one.params, one.std_errors, alpha)
    return ComparedColumn(one.name, table, "estimate (standard error)", statistics)


def _normal_table(params: pd.Series, spread: Any, alpha: float) -> pd.DataFrame:
    spread = pd.Series(np.asarray(spread, dtype=float), index=params.index)
    reach = -float(ndtri(alpha / 2)) * spread
    numbers = (params, spread, params - reach, params + reach)
    return pd.DataFrame(dict(zip(NUMBERS, numbers, strict=True)))


def _cell(table: pd.DataFrame, name: str) -> tuple[str, str]:
    """Estimate and spread as texts; empty where the method has no such parameter."""
    if name not in table.index:
        return "", ""
    estimated, spread = (float(table.loc[name, number]) for number in NUMBERS[:2])
    first, second = format_row([estimated, spread], spread)
    return first, f"({second})"


def _markdown(text: str) -> str:
    return html.escape(text, quote=False).replace("|", r"\|").replace("*", r"\*")


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_markdown(cell) for cell in cells) + " |"
