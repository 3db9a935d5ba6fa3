"""Summary tables and figure panels of local projections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from qbeconometrics.plots import PathPanel
from qbeconometrics.results.path_comparison import compared_paths
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
    from qbeconometrics.results.lp_results import LPResults


def build_lp_summary(results: LPResults, alpha: float, method: str) -> PosteriorSummary:
    """Build the summary of local projections: one row a response and horizon."""
    left = [*left_rows(results.record), ("Shock", results.paths.shock)]
    right = right_rows(results, _head(results))
    blocks = [
        [*estimate_columns(results, alpha), *_band_columns(results, alpha, method)],
        chain_columns(results),
    ]
    tables = parameter_tables(results.record.param_names, blocks)
    head = head_table(results.title, left, right)
    width = max(text_width(table) for table in [head, *tables])
    head = head_table(results.title, left, right, width)
    found = [
        f"Intervals and {method} bands hold {1 - alpha:.0%}; a band holds one path at once.",
        *_sample_notes(results),
        *notes(results, []),
    ]
    return PosteriorSummary([head, *(widen(table, width) for table in tables)], found)


def _head(results: LPResults) -> list[Row]:
    paths = results.paths
    rows = [
        ("Response", paths.kind),
        ("Horizons", f"{paths.horizons[0]} to {paths.horizons[-1]}"),
        ("Sample", paths.sample),
    ]
    strength = paths.weakest_stage()
    if strength is not None:
        name = strength.statistic[0].upper() + strength.statistic[1:]
        rows.append((name, f"{strength.value:.4g}"))
    return rows


def _sample_notes(results: LPResults) -> list[str]:
    paths = results.paths
    least, most = paths.rows
    where = f"Rows from {paths.first_row} to {paths.last_row}"
    if paths.sample == "common":
        return [f"{where}, the same {most} at every horizon."]
    return [f"{where}; each horizon has all it can, {least} to {most}."]


def _band_columns(results: LPResults, alpha: float, method: str) -> list[Column]:
    band = results.simultaneous_band(alpha, method).to_numpy()
    scale = results.bse.to_numpy()
    rows = [format_row(list(ends), sd) for ends, sd in zip(band, scale, strict=True)]
    return [
        Column(f"band\n{name}", align_decimals([row[j] for row in rows]))
        for j, name in enumerate(("lower", "upper"))
    ]


def path_panels(
    results: LPResults,
    alpha: float,
    method: str,
    compare: Mapping[str, Any],
    titles: Mapping[str, str],
) -> list[PathPanel]:
    """Arrays of one figure: a panel for each response and state."""
    paths = results.paths
    table = results.irf_table(alpha, method)
    H = len(paths.horizons)
    others = {label: compared_paths(values, label, results) for label, values in compare.items()}
    panels = []
    for r, (response, state) in enumerate(paths.path_names()):
        rows = table.iloc[r * H : (r + 1) * H]
        title = titles.get(response, response)
        panels.append(
            PathPanel(
                title=f"{title}, {state}" if state else title,
                horizons=np.asarray(paths.horizons),
                centre=rows["median"].to_numpy(),
                interval=rows[["lower", "upper"]].to_numpy(),
                band=rows[["band_lower", "band_upper"]].to_numpy(),
                others={label: columns[:, r] for label, columns in others.items()},
            )
        )
    return panels
