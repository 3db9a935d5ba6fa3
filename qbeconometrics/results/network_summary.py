"""Summary of a network eigenmodel."""

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
    from qbeconometrics.results.network_results import NetworkResults


def build_network_summary(results: NetworkResults, alpha: float) -> PosteriorSummary:
    """Build the summary of one fit.

    Parameters
    ----------
    results : NetworkResults
    alpha : float
        One minus the probability of the equal-tailed intervals.

    Returns
    -------
    PosteriorSummary
        A statsmodels Summary.
    """
    blocks = [estimate_columns(results, alpha), chain_columns(results)]
    tables = parameter_tables(results.record.param_names, blocks)
    left, right = _left_rows(results), _right_rows(results)
    head = head_table(results.title, left, right)
    width = max(text_width(table) for table in [head, *tables])
    head = head_table(results.title, left, right, width)
    own = [
        "lambda_1, lambda_2, ... are eigenvalues in descending order; res.vectors are in their "
        "order. Links have probability Phi(intercept + (Q Lambda Q')_ij)."
    ]
    return PosteriorSummary(
        [head, *(widen(table, width) for table in tables)], [*own, *notes(results, [])]
    )


def _left_rows(results: NetworkResults) -> list[Row]:
    record, network = results.record, results.network
    chains, draws, _ = record.draws.shape
    fitted = datetime.fromisoformat(record.fitted)
    return [
        ("Network", record.endog_name),
        ("Model", record.model_name),
        ("Rank", str(network.rank)),
        ("Parameterization", network.parameterization),
        ("Sampler", record.sampler),
        ("Draws x chains", f"{draws} x {chains}"),
        ("Tuning draws", str(record.tune)),
        ("Date", f"{fitted:%a, %d %b %Y}"),
        ("Time", f"{fitted:%H:%M:%S}"),
    ]


def _right_rows(results: NetworkResults) -> list[Row]:
    network, statistics = results.network, results.record.sampler_stats
    p, links = len(network.node_names), int(network.links.sum())
    evaluations = float(np.sum(statistics["gradients"]))
    return [
        ("Nodes", str(p)),
        ("Links", str(links)),
        ("Density", f"{links / len(network.links):.4f}"),
        ("Isolated nodes", str(int((network.degrees == 0).sum()))),
        ("Acceptance", f"{float(np.mean(statistics['acceptance_rate'])):.3f}"),
        ("Divergences", str(int(np.sum(statistics["divergent"])))),
        ("Gradients / draw", f"{evaluations / results.record.draws[..., 0].size:.1f}"),
        ("Smallest ESS", f"{float(np.nanmin(results.ess().to_numpy())):.0f}"),
        ("Seconds", f"{float(statistics['seconds']):.2f}"),
    ]
