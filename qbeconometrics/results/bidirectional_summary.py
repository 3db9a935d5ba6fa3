"""Summary of two effects on each other."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from qbeconometrics.results.summary_layout import (
    Column,
    PosteriorSummary,
    align_decimals,
    format_row,
    head_table,
    parameter_tables,
    text_width,
    widen,
)

if TYPE_CHECKING:
    from qbeconometrics.results.bidirectional_results import OnlineBidirectionalResults

Row = tuple[str, str]

TITLE = "Bidirectional Effects by Heteroskedasticity"
COVARIANCES = {
    "HC0": "HC0 (sandwich)",
    "nonrobust": "nonrobust (information)",
    "random-scaling": "random-scaling",
}
MOST_PIECES = 3


def build_bidirectional_summary(
    results: OnlineBidirectionalResults, alpha: float
) -> PosteriorSummary:
    """Build the summary of one estimate.

    Parameters
    ----------
    results : OnlineBidirectionalResults
    alpha : float
        One minus the level of intervals and robust set.

    Returns
    -------
    PosteriorSummary
        A statsmodels Summary.
    """
    first, second = results.record.endog_names
    names = [f"b12: {second} on {first}", f"b21: {first} on {second}"]
    tables = parameter_tables(names, [_effect_columns(results, alpha)])
    if results.record.baselines is not None:
        tables += parameter_tables(list(results.baselines.index), [_compared(results.baselines)])
    left, right = _left_rows(results), _right_rows(results)
    head = head_table(TITLE, left, right)
    width = max(text_width(table) for table in [head, *tables])
    head = head_table(TITLE, left, right, width)
    return PosteriorSummary(
        [head, *(widen(table, width) for table in tables)], _notes(results, alpha)
    )


def _effect_columns(results: OnlineBidirectionalResults, alpha: float) -> list[Column]:
    limits = results.conf_int(alpha).to_numpy()
    rows = []
    for place in range(2):
        value, error = results.params.iloc[place], results.bse.iloc[place]
        low, high = limits[place]
        scale = error if np.isfinite(error) else np.nan
        rows.append(format_row([value, error, low, high], scale))
    rows = [["n/a" if "nan" in cell else cell for cell in row] for row in rows]
    z = [_plain(value, ".2f") for value in results.tvalues]
    p = [_plain(value, ".3f") for value in results.pvalues]
    cells = [list(column) for column in zip(*rows, strict=True)]
    own = [
        Column("coef", align_decimals(cells[0])),
        Column("std err", align_decimals(cells[1])),
    ]
    if results.record.path is None:
        own += [Column("z", z), Column("P>|z|", p)]
    tail = f"{alpha / 2:.3g}"
    return [
        *own,
        Column(f"[{tail}", align_decimals(cells[2])),
        Column(f"{1 - alpha / 2:.3g}]", align_decimals(cells[3])),
    ]


def _compared(table: pd.DataFrame) -> list[Column]:
    columns = []
    for effect in ("b12", "b21"):
        pairs = [
            format_row([value, error], error)
            for value, error in table[[effect, f"bse_{effect}"]].to_numpy()
        ]
        values = ["n/a" if "nan" in pair[0] else pair[0] for pair in pairs]
        errors = ["" if "nan" in pair[1] else f"({pair[1]})" for pair in pairs]
        columns.append(Column(effect, align_decimals(values)))
        columns.append(Column("(std err)", errors))
    return columns


def _plain(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else "n/a"


def _left_rows(results: OnlineBidirectionalResults) -> list[Row]:
    record = results.record
    fitted = datetime.fromisoformat(record.fitted)
    return [
        ("Dep. Variables", ", ".join(record.endog_names)),
        ("Regressors", f"{len(record.exog_names)}: {', '.join(record.exog_names)}"),
        ("Features", record.features),
        ("Heads", record.training),
        ("Moments", record.method),
        ("Covariance", COVARIANCES[record.cov_type]),
        ("Normalisation", "|b12 b21| < 1"),
        ("Date", f"{fitted:%a, %d %b %Y}"),
        ("Time", f"{fitted:%H:%M:%S}"),
    ]


def _right_rows(results: OnlineBidirectionalResults) -> list[Row]:
    record, rank = results.record, results.rank_test
    rows = [
        ("No. Observations", f"{record.n_read:,}"),
        ("In the estimate", f"{record.nobs:,}"),
        ("Dropped rows", f"{record.n_dropped:,}"),
        ("Log-likelihood", f"{results.llf:.2f}"),
        ("kappa", f"{results.kappa:.4g}"),
        ("Rank test", f"{rank.value:.4g}"),
        (f"P(chi2({rank.df}) > rank)", f"{rank.pvalue:.3g}"),
    ]
    test = record.overidentification
    if test is not None:
        rows += [
            ("Over-ident. J", f"{test.value:.4g}"),
            (f"P(chi2({test.df}) > J)", f"{test.pvalue:.3g}"),
        ]
    if record.seconds is not None:
        rows.append(("Seconds", f"{record.seconds:.2f}"))
    return rows


def _notes(results: OnlineBidirectionalResults, alpha: float) -> list[str]:
    record = results.record
    level = f"{100 * (1 - alpha):g} %"
    notes = list(results.reasons())
    if not results.trusted:
        found = results.robust_set(alpha)
        notes.append(
            f"{level} weak-identification-robust set, |b12 b21| < 1: b12 in "
            f"{_pieces(found.b12)}; b21 in {_pieces(found.b21)}."
        )
    elif record.path is not None:
        notes.append(
            "Standard errors under random-scaling are scales: intervals use the critical values of "
            "a law with heavier tails than the normal one."
        )
    multiplier = 1.0 / (1.0 - results.b12 * results.b21)
    notes.append(
        "b12 and b21 are direct effects; with all feedback a shock moves its own variable by "
        f"1/(1 - b12 b21) = {_plain(multiplier, '.4g')}, see total_effects()."
    )
    if record.method == "one-pass":
        notes.append(
            "Each row was measured with heads that had not seen it; rows before the last two "
            "windows are left out of the estimate."
        )
    return notes


def _pieces(intervals: list[tuple[float, float]]) -> str:
    if not intervals:
        return "the empty set"
    shown = " and ".join(f"({low:.4g}, {high:.4g})" for low, high in intervals[:MOST_PIECES])
    more = len(intervals) - MOST_PIECES
    return shown + (f" and {more} more" if more > 0 else "")
