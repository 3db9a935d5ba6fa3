"""Summary of an error-correction model, beside Johansen's estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from statsmodels.iolib.table import SimpleTable

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
from qbeconometrics.results.summary_tables import (
    Row,
    chain_columns,
    estimate_columns,
    left_rows,
    notes,
    right_rows,
)

if TYPE_CHECKING:
    from qbeconometrics.results.vecm_results import VECMResults

TITLES = {
    "beta": "Cointegrating relations",
    "alpha": "Adjustment (alpha)",
    "short run": "Short run",
}


def build_vecm_summary(results: VECMResults, alpha: float) -> PosteriorSummary:
    """Build the summary: one table for relations, one for adjustment, one for the short run."""
    relations = results.relations
    columns = [
        *estimate_columns(results, alpha),
        *_johansen_columns(results),
        *chain_columns(results),
    ]
    tables = [
        table
        for block, place in relations.blocks().items()
        for table in _tables(results, TITLES[block], columns, place)
    ]
    head_rows = left_rows(results.record), right_rows(results, _head(results))
    head = head_table(results.title, *head_rows)
    width = max(text_width(table) for table in [head, *tables])
    head = head_table(results.title, *head_rows, width)
    found = [*_own_notes(results), *notes(results, [])]
    return PosteriorSummary([head, *(widen(table, width) for table in tables)], found)


def _tables(
    results: VECMResults, title: str, columns: list[Column], place: slice
) -> list[SimpleTable]:
    names = results.record.param_names[place]
    if not names:
        return []
    own = [Column(column.header, column.cells[place]) for column in columns]
    tables = parameter_tables(names, [own[:-4], own[-4:]])
    tables[0].title = title
    return tables


def _head(results: VECMResults) -> list[Row]:
    relations = results.relations
    return [
        ("Rank", str(relations.rank)),
        ("Lagged differences", str(relations.k_ar_diff)),
        ("Deterministic", relations.deterministic),
    ]


def _johansen_columns(results: VECMResults) -> list[Column]:
    table = results.relations.johansen.to_numpy(dtype=float)
    interval = results.conf_int(0.05).to_numpy()
    scales = np.where(np.isfinite(table[:, 1]), table[:, 1], np.diff(interval, axis=1)[:, 0] / 4)
    rows = [
        ["" if text == "nan" else text for text in format_row(list(row), scale)]
        for row, scale in zip(table, scales, strict=True)
    ]
    return [
        Column("Johansen\nestimate", align_decimals([row[0] for row in rows])),
        Column("\ns.e.", align_decimals([row[1] for row in rows])),
    ]


def _own_notes(results: VECMResults) -> list[str]:
    relations = results.relations
    found = [f"Rows from {relations.first_row} to {relations.last_row}."]
    if relations.free:
        names = ", ".join(relations.endog_names[: relations.rank])
        found.append(
            f"Relations are normalised by {names}; they are ratios without a posterior mean. "
            "res.beta_projection and res.principal_angles() do not depend on the normalisation."
        )
    if relations.rank and results.record.quasi_likelihood == "likelihood":
        found.append(
            "Johansen's estimate is the mode of the space as the weight of the prior vanishes: "
            "that the two agree is no check of either."
        )
    return found
