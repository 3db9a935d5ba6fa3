"""What the summary of draws of orthonormal matrices says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.diagnostics import convergence
from qbeconometrics.results.stiefel_quantities import MOST_ROWS, quantities
from qbeconometrics.results.summary_layout import (
    Column,
    PosteriorSummary,
    align_decimals,
    format_error,
    format_rhat,
    format_row,
    head_table,
    parameter_tables,
    text_width,
    widen,
)
from qbeconometrics.stiefel.polar import Polar

if TYPE_CHECKING:
    from qbeconometrics.results.stiefel_results import StiefelResults

FloatArray = NDArray[np.float64]
Row = tuple[str, str]

# Elements of Q that are listed one by one.
MOST_ELEMENTS = 50

# What f is invariant to, in a sentence.
INVARIANT = {
    "rotations": "log f depends on Q through its column space alone: QQ' and angles are identified",
    "signs": "log f does not depend on the signs of columns: Q is identified up to these",
}


def build_summary(results: StiefelResults, alpha: float) -> PosteriorSummary:
    """Build the summary of a run.

    Parameters
    ----------
    results : StiefelResults
    alpha : float
        One minus the probability of the equal-tailed intervals.

    Returns
    -------
    PosteriorSummary
        A statsmodels Summary.
    """
    values, names = listed(results)
    title = "Draws of Orthonormal Matrices"
    tables = parameter_tables(names, [estimate_columns(values, alpha), chain_columns(values)])
    left, right = left_rows(results), right_rows(results)
    head = head_table(title, left, right)
    width = max(text_width(table) for table in [head, *tables])
    head = head_table(title, left, right, width)
    return PosteriorSummary([head, *(widen(table, width) for table in tables)], notes(results))


def listed(results: StiefelResults) -> tuple[FloatArray, list[str]]:
    """Return what the table lists: values (chain, draw, row) and their names."""
    p, k = results.draws.shape[2:]
    values, names = [results.log_density[:, :, None]], ["log f"]
    if k < p:
        values.append(results.principal_angles())
        names += [f"angle {number}" for number in range(1, k + 1)]
    if results.record.symmetry == "none" and p * k <= MOST_ELEMENTS:
        elements, labels = quantities(results.draws, "entries")
        values.append(elements)
        names += labels
    return np.concatenate(values, axis=-1), names


def left_rows(results: StiefelResults) -> list[Row]:
    """What was sampled, and when."""
    record = results.record
    chains, draws, p, k = record.draws.shape
    return [
        ("Matrices", f"{p} x {k}"),
        ("Parameterization", type(record.chart).__name__),
        ("Coordinates", str(record.chart.size)),
        ("Sampler", f"nuts ({record.backend})"),
        ("Metric", record.metric),
        ("Draws x chains", f"{draws} x {chains}"),
        ("Tuning draws", str(record.tune)),
        ("Date", f"{record.sampled:%a, %d %b %Y}"),
        ("Time", f"{record.sampled:%H:%M:%S}"),
    ]


def right_rows(results: StiefelResults) -> list[Row]:
    """How the sampler did."""
    statistics = results.record.statistics
    seconds = results.record.seconds
    ess, rhat = results.ess(), results.rhat()
    smallest, largest = ess.min().min(), rhat.max()
    return [
        ("Divergences", str(int(statistics["divergent"].sum()))),
        ("Gradients / draw", f"{statistics['gradients'].mean():.1f}"),
        ("Acceptance", f"{statistics['acceptance'].mean():.3f}"),
        ("Step", f"{statistics['step'].mean():.3g}"),
        ("Min ESS", _whole(smallest)),
        ("Min ESS / second", _whole(smallest / seconds if seconds > 0.0 else np.nan)),
        ("Max R-hat", format_rhat(largest)),
        ("Seconds", f"{seconds:.2f}"),
    ]


def estimate_columns(values: FloatArray, alpha: float) -> list[Column]:
    """Mean, sd, median and interval."""
    pooled = values.reshape(-1, values.shape[-1])
    numbers = {
        "mean": pooled.mean(axis=0),
        "sd": pooled.std(axis=0, ddof=1) if len(pooled) > 1 else np.full(pooled.shape[1], np.nan),
        "median": np.median(pooled, axis=0),
        f"[{alpha / 2:.10g}": np.quantile(pooled, alpha / 2, axis=0),
        f"{1 - alpha / 2:.10g}]": np.quantile(pooled, 1 - alpha / 2, axis=0),
    }
    table = np.column_stack(list(numbers.values()))
    rows = [format_row(row, sd) for row, sd in zip(table, numbers["sd"], strict=True)]
    return [
        Column(header, align_decimals([row[j] for row in rows])) for j, header in enumerate(numbers)
    ]


def chain_columns(values: FloatArray) -> list[Column]:
    """Monte Carlo errors, effective sizes and R-hat."""
    constant = np.asarray(convergence.is_constant(values))
    errors = np.where(constant, 0.0, convergence.mean_mcse(values))
    bulk, tail = (np.asarray(f(values)) for f in (convergence.bulk_ess, convergence.tail_ess))
    rhat = [
        "const" if still else format_rhat(value)
        for value, still in zip(np.asarray(convergence.rhat(values)), constant, strict=True)
    ]
    return [
        Column("MCSE", align_decimals([format_error(error) for error in errors])),
        Column("bulk\nESS", [_whole(value) for value in bulk]),
        Column("tail\nESS", [_whole(value) for value in tail]),
        Column("R-hat", rhat),
    ]


def notes(results: StiefelResults) -> list[str]:
    """What the rows mean, what f identifies, and every warning."""
    record = results.record
    chains, draws, p, k = record.draws.shape
    found = []
    if k < p:
        found.append(
            "Angles, in radians, are those between the column space of Q and the principal "
            "subspace of the mean of QQ'."
        )
    found += _judged_by(results)
    if k == p and not isinstance(record.chart, Polar):
        sign = "+1" if np.linalg.det(record.draws[0, 0]) > 0.0 else "-1"
        found.append(f"All draws have determinant {sign}: this parameterization has no others.")
    if chains == 1:
        found.append("R-hat needs at least two chains.")
    if record.interrupted:
        found.append(
            f"Warning: sampling was interrupted; {draws} of {record.draws_requested} draws a "
            "chain were kept."
        )
    return found + [f"Warning: {finding.sentence}" for finding in results.findings()]


def _judged_by(results: StiefelResults) -> list[str]:
    symmetry, p = results.record.symmetry, results.draws.shape[2]
    words = {
        "rotations": "QQ'" if p <= MOST_ROWS else "the diagonal of QQ'",
        "signs": "Q with signs made alike",
        "none": "Q",
    }[symmetry]
    judged = f"Min ESS (bulk or tail) and max R-hat are those of log f and elements of {words}."
    return [f"{INVARIANT[symmetry]}.", judged] if symmetry in INVARIANT else [judged]


def _whole(value: float) -> str:
    return f"{value:.0f}" if np.isfinite(value) else "n/a"
