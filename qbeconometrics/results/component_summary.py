"""Summary of probabilistic principal components."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from qbeconometrics.results.summary_layout import (
    PosteriorSummary,
    head_table,
    parameter_tables,
    text_width,
    widen,
)
from qbeconometrics.results.summary_tables import Row, chain_columns, estimate_columns, notes

if TYPE_CHECKING:
    from qbeconometrics.results.component_results import ComponentResults


def build_component_summary(results: ComponentResults, alpha: float) -> PosteriorSummary:
    """Build the summary of one fit.

    Parameters
    ----------
    results : ComponentResults
    alpha : float
        One minus the probability of the equal-tailed intervals.

    Returns
    -------
    PosteriorSummary
        A statsmodels Summary.
    """
    blocks = [estimate_columns(results, alpha), chain_columns(results)]
    # All of them are positive.
    blocks[0] = [column for column in blocks[0] if column.header != "Pr(>0)"]
    tables = parameter_tables(results.record.param_names, blocks)
    left, right = _left_rows(results), _right_rows(results)
    head = head_table(results.title, left, right)
    width = max(text_width(table) for table in [head, *tables])
    head = head_table(results.title, left, right, width)
    own = [
        "length_1, length_2, ... are singular values of the loadings, in descending order; "
        "explained_share is that of the components in the variance of all variables."
    ]
    return PosteriorSummary(
        [head, *(widen(table, width) for table in tables)], [*own, *notes(results, [])]
    )


def _left_rows(results: ComponentResults) -> list[Row]:
    record = results.record
    chains, draws, _ = record.draws.shape
    fitted = datetime.fromisoformat(record.fitted)
    return [
        ("Model", record.model_name),
        ("Components", str(results.components.reference.shape[1])),
        ("Parameterization", str(record.sampler_settings["parameterization"])),
        ("Sampler", record.sampler),
        ("Draws x chains", f"{draws} x {chains}"),
        ("Tuning draws", str(record.tune)),
        ("Date", f"{fitted:%a, %d %b %Y}"),
        ("Time", f"{fitted:%H:%M:%S}"),
    ]


def _right_rows(results: ComponentResults) -> list[Row]:
    record = results.record
    statistics = record.sampler_stats
    evaluations = float(np.sum(statistics["gradients"]))
    return [
        ("No. Observations", str(record.nobs)),
        ("Dropped rows", str(record.n_dropped)),
        ("Variables", str(len(results.components.column_names))),
        ("Acceptance", f"{float(np.mean(statistics['acceptance_rate'])):.3f}"),
        ("Divergences", str(int(np.sum(statistics["divergent"])))),
        ("Gradients / draw", f"{evaluations / record.draws[..., 0].size:.1f}"),
        ("Smallest ESS", f"{float(np.nanmin(results.ess().to_numpy())):.0f}"),
        ("Seconds", f"{float(statistics['seconds']):.2f}"),
    ]
