"""What a summary says: head, parameter table and notes of a fit."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr

from qbeconometrics.diagnostics.convergence import is_constant
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.summary_layout import (
    Column,
    PosteriorSummary,
    align_decimals,
    format_error,
    format_probability,
    format_rhat,
    format_row,
    head_table,
    parameter_tables,
    text_width,
    widen,
)

if TYPE_CHECKING:
    from qbeconometrics.results.posterior_results import PosteriorResults

Row = tuple[str, str]


def build_summary(results: PosteriorResults, alpha: float) -> PosteriorSummary:
    """Build the summary of one fit.

    Parameters
    ----------
    results : PosteriorResults
        The fit.
    alpha : float
        One minus the probability of the equal-tailed intervals.

    Returns
    -------
    PosteriorSummary
        A statsmodels Summary.
    """
    statistics, missing = results.head_statistics()
    left = left_rows(results.record)
    right = right_rows(results, statistics)
    blocks = [estimate_columns(results, alpha), chain_columns(results)]
    tables = parameter_tables(results.record.param_names, blocks)
    head = head_table(results.title, left, right)
    width = max(text_width(table) for table in [head, *tables])
    head = head_table(results.title, left, right, width)
    return PosteriorSummary(
        [head, *(widen(table, width) for table in tables)], notes(results, missing)
    )


def left_rows(record: FitRecord) -> list[Row]:
    """What was fitted, and when."""
    fitted = datetime.fromisoformat(record.fitted)
    chains, draws, _ = record.draws.shape
    return [
        ("Dep. Variable", record.endog_name),
        ("Model", record.model_name),
        *([("Loss", record.loss)] if record.loss else []),
        ("Quasi-likelihood", record.quasi_likelihood),
        *(
            [("Covariance", covariance_label(record.cov_type, record.cov_kwds))]
            if record.cov_type
            else []
        ),
        *dependence_rows(record.cov_kwds),
        *([("Weights", record.weights)] if record.weights else []),
        *([("Absorbed", record.absorbed)] if record.absorbed else []),
        ("Learning rate", f"{record.learning_rate:.4g}"),
        ("Prior", prior_label(record.prior)),
        ("Sampler", record.sampler),
        ("Draws x chains", f"{draws} x {chains}"),
        ("Date", f"{fitted:%a, %d %b %Y}"),
        ("Time", f"{fitted:%H:%M:%S}"),
    ]


def right_rows(results: PosteriorResults, statistics: list[Row]) -> list[Row]:
    """Sizes, test statistics and how the sampler did."""
    record = results.record
    rows = [
        ("No. Observations", str(record.nobs)),
        ("Dropped rows", str(record.n_dropped)),
        *([("Instruments", str(len(record.instrument_names)))] if record.instrument_names else []),
        *statistics,
        *acceptance_rows(record),
    ]
    size = results.mess()
    seconds = _number(record.sampler_stats, "seconds")
    if np.isfinite(size):
        rows.append(("mESS", f"{size:.0f}"))
        if seconds > 0.0:
            rows.append(("mESS per second", f"{size / seconds:.0f}"))
    if np.isfinite(seconds):
        setup = _number(record.sampler_stats, "setup_seconds")
        extra = f" (set-up {setup:.2f})" if np.isfinite(setup) else ""
        rows.append(("Seconds", f"{seconds:.2f}{extra}"))
    return rows


def acceptance_rows(record: FitRecord) -> list[Row]:
    """Acceptance rates of both stages where there are two, else of the one."""
    if record.exact:
        return []
    first, second, overall = (
        _mean(record.sampler_stats, f"acceptance_{name}") for name in ("stage_1", "stage_2", "rate")
    )
    if np.isfinite(first) and np.isfinite(second):
        return [("Acceptance, stage 1", f"{first:.3f}"), ("Acceptance, stage 2", f"{second:.3f}")]
    return [("Acceptance", f"{overall:.3f}")] if np.isfinite(overall) else []


def estimate_columns(results: PosteriorResults, alpha: float) -> list[Column]:
    """Mean, sd, median, interval and Pr(>0); the median leads where a moment does not exist."""
    record = results.record
    interval = results.conf_int(alpha).to_numpy()
    numbers = {
        "mean": results.params.to_numpy(),
        "sd": results.bse.to_numpy(),
        "median": results.median.to_numpy(),
        f"[{alpha / 2:.10g}": interval[:, 0],
        f"{1 - alpha / 2:.10g}]": interval[:, 1],
    }
    mean_exists, variance_exists = record.moments_exist
    if not (mean_exists and variance_exists):
        del numbers["sd"]
        mean = numbers.pop("mean")
        order = list(numbers.items())
        numbers = dict([order[0], *([("mean", mean)] if mean_exists else []), *order[1:]])
    table = np.column_stack(list(numbers.values()))
    scales = numbers["sd"] if "sd" in numbers else np.diff(interval, axis=1)[:, 0] / 4
    rows = [format_row(list(row), scale) for row, scale in zip(table, scales, strict=True)]
    columns = [
        Column(name, align_decimals([row[j] for row in rows])) for j, name in enumerate(numbers)
    ]
    probabilities = [format_probability(value) for value in probability_positive(record)]
    return [*columns, Column("Pr(>0)", probabilities)]


def chain_columns(results: PosteriorResults) -> list[Column]:
    """Monte Carlo error, effective sample sizes and R-hat."""
    record = results.record
    error = results.mcse()["mean" if all(record.moments_exist) else "median"]
    errors = ["exact"] * len(error) if record.exact else [format_error(value) for value in error]
    ess = results.ess()
    constant = np.asarray(is_constant(record.draws))
    rhat = [
        "constant" if fixed else format_rhat(value)
        for value, fixed in zip(results.rhat(), constant, strict=True)
    ]
    return [
        Column("MCSE", align_decimals(errors)),
        Column("bulk\nESS", [_whole(value) for value in ess["bulk"]]),
        Column("tail\nESS", [_whole(value) for value in ess["tail"]]),
        Column("R-hat", rhat),
    ]


def probability_positive(record: FitRecord) -> np.ndarray:
    """Posterior probability that each coefficient is above zero, shape (parameter,)."""
    if record.exact_mean is None or record.exact_cov is None:
        return np.asarray((record.draws > 0.0).mean(axis=(0, 1)))
    sd = np.sqrt(np.diag(record.exact_cov))
    certain = sd == 0.0
    ratio = record.exact_mean / np.where(certain, 1.0, sd)
    return np.where(certain, record.exact_mean > 0.0, ndtr(ratio))


def notes(results: PosteriorResults, missing: list[str]) -> list[str]:
    """Prior, sampler, rows left out and every warning, one sentence or two each."""
    record = results.record
    chains, draws, _ = record.draws.shape
    found = [f"Prior: {_sentence('; '.join(record.prior))}"] if record.prior else []
    if record.sampler_reason:
        found.append(f"Sampler {record.sampler!r}: {_sentence(record.sampler_reason)}")
    if record.n_dropped and not any("dropped" in note for note in record.notes):
        plural = "rows were" if record.n_dropped != 1 else "row was"
        found.append(f"{record.n_dropped} {plural} dropped because of missing values.")
    found += [_sentence(note) for note in record.notes]
    found += _moment_notes(record)
    if chains == 1 and not record.exact:
        found.append("R-hat needs at least two chains.")
    size = results._multivariate_ess
    if size.reason:
        found.append(f"mESS is left out: {_sentence(size.reason)}")
    found += [_sentence(note) for note in missing]
    if record.interrupted:
        found.append(
            f"Warning: sampling was interrupted; {draws} of {record.draws_requested} draws a "
            "chain were kept."
        )
    found += [f"Warning: {finding.sentence}" for finding in results.findings()]
    return list(dict.fromkeys(found))


def covariance_label(cov_type: str, cov_kwds: dict[str, Any]) -> str:
    """Name of the covariance, and whether moments were centred.

    Examples
    --------
    >>> covariance_label("HAC", {"maxlags": 4, "centered": True})
    'HAC (centered)'
    """
    return f"{cov_type} (centered)" if cov_kwds.get("centered") else cov_type


def dependence_rows(cov_kwds: dict[str, Any]) -> list[Row]:
    """Kernel and lags, or clusters, where rows may be correlated.

    Examples
    --------
    >>> dependence_rows({"kernel": "bartlett", "maxlags": 4})
    [('Kernel', 'bartlett'), ('Lags', '4')]
    >>> dependence_rows({"groups": "state", "clusters": "51"})
    [('Clusters', '51 (state)')]
    """
    if "groups" in cov_kwds:
        return [("Clusters", f"{cov_kwds['clusters']} ({cov_kwds['groups']})")]
    if "kernel" not in cov_kwds:
        return []
    rows = [("Kernel", cov_kwds["kernel"])]
    if "bandwidth" in cov_kwds:
        return [*rows, ("Bandwidth", f"{cov_kwds['bandwidth']:.3g} ({cov_kwds['maxlags']})")]
    return [*rows, ("Lags", str(cov_kwds["maxlags"]))]


def prior_label(prior: tuple[str, ...]) -> str:
    """Beginning of the first line that describes the prior, up to a colon.

    Examples
    --------
    >>> prior_label(("default, weak: slopes Normal(0, (2.5 sd(y)/sd(x))^2)",))
    'default, weak'
    """
    return prior[0].split(":")[0].strip() if prior else "flat"


def _moment_notes(record: FitRecord) -> list[str]:
    mean_exists, variance_exists = record.moments_exist
    if record.exact:
        return ["The quasi-posterior is normal: mean, sd and quantiles are exact, not averages."]
    if not mean_exists:
        return ["The posterior mean does not exist, so the median leads; MCSE is the median's."]
    if not variance_exists:
        return ["The posterior variance does not exist, so the median leads; MCSE is the median's."]
    return []


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _whole(value: float) -> str:
    return f"{value:.0f}" if np.isfinite(value) else "n/a"


def _mean(statistics: dict[str, Any], name: str) -> float:
    """Mean over chains of a statistic; NaN if it was not recorded."""
    value = statistics.get(name)
    return np.nan if value is None else float(np.mean(value))


def _number(statistics: dict[str, Any], name: str) -> float:
    """A statistic of the run; NaN if it was not recorded."""
    value = statistics.get(name)
    return np.nan if value is None else float(np.max(value))
