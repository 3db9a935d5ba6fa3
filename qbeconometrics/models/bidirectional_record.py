"""From streams and fits of two effects to what the reader is handed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import OptionError, check_choice
from qbeconometrics.inputs.outcome_pair import PairNames, PairRows
from qbeconometrics.online.baselines import all_baselines
from qbeconometrics.online.closed_form import WEAK, canonical_label, other_label
from qbeconometrics.online.identification import judge_identification
from qbeconometrics.online.in_memory import MemoryFit
from qbeconometrics.online.inference import (
    EffectEstimate,
    covariance_of_ratios,
    estimate_effects,
    label_status,
    sandwich_covariance,
)
from qbeconometrics.online.random_scaling import RandomScaling
from qbeconometrics.online.stream_moments import (
    StreamMoments,
    averaged_effects,
    learning_curve,
    measured_moments,
    path_of_effects,
    stream_heads,
    window_moments,
)
from qbeconometrics.online.stream_state import StreamOptions, StreamState
from qbeconometrics.results.bidirectional_record import BidirectionalRecord

FloatArray = NDArray[np.float64]

COV_TYPES = ("HC0", "nonrobust", "random-scaling")
REFERENCE_ROWS = 500


def feature_words(options: StreamOptions, bandwidth: float) -> str:
    """Words for the features."""
    if options.random_features:
        kind = "orthogonal" if options.features == "orthogonal" else "Fourier"
        return f"{options.n_features} {kind}, width {bandwidth:.3g}"
    return "linear" if options.features == "linear" else f"polynomial, degree {options.degree}"


def check_cov_type(cov_type: str, options: StreamOptions | None) -> str:
    """Check the covariance; `options` are None for rows in memory.

    Raises
    ------
    OptionError
    """
    if cov_type != "random-scaling":
        return check_choice(cov_type, COV_TYPES if options else COV_TYPES[:2], "cov_type")
    if options is None or options.optimiser.rule != "sgd" or options.update == "closed-form":
        raise OptionError(
            "cov_type='random-scaling' holds for partial_fit with optimiser='sgd' and "
            "update='score' or 'gradient': its theory covers steps that shrink like a power only"
        )
    return cov_type


def memory_record(
    found: MemoryFit,
    rows: FloatArray,
    options: StreamOptions,
    *,
    names: PairNames,
    formula: str | None,
    method: str,
    cov_type: str,
    n_dropped: int,
    baselines: bool,
    seconds: float,
) -> BidirectionalRecord:
    """Collect what rows in memory say."""
    table = None
    if baselines:
        table = baseline_table(rows)
    step = max(1, len(rows) // REFERENCE_ROWS)
    return BidirectionalRecord(
        endog_names=names.endog,
        exog_names=names.exog,
        formula=formula,
        method=method,
        features=feature_words(options, found.heads.features.bandwidth),
        training="least squares, scoring",
        nobs=found.estimate.n,
        n_read=len(rows),
        n_dropped=n_dropped,
        estimate=found.estimate,
        moments=found.moments,
        tested=found.tested,
        identification=judge_identification(found.estimate, found.tested),
        variance_ratios=found.variance_ratios,
        cov_type=cov_type,
        covariance=_covariance(found.estimate, found.variance_ratios, cov_type, None),
        path=None,
        log_likelihood=found.log_likelihood,
        overidentification=found.overidentification,
        by_fold=np.array([one.params for one in found.by_fold]).reshape(-1, 2),
        heads=found.heads,
        reference=rows[::step, 2:][:REFERENCE_ROWS].copy(),
        curve=None,
        baselines=table,
        seconds=seconds,
    )


def baseline_table(rows: FloatArray) -> pd.DataFrame:
    """Return the estimates of others, one a row."""
    found = all_baselines(rows[:, 0], rows[:, 1], rows[:, 2:])
    values = [
        [one.params[0], one.bse[0], one.params[1], one.bse[1]]
        if one.status != WEAK
        else [np.nan] * 4
        for _, one in found
    ]
    return pd.DataFrame(
        values,
        index=[name for name, _ in found],
        columns=["b12", "bse_b12", "b21", "bse_b21"],
    )


def stream_record(
    state: StreamState,
    options: StreamOptions,
    *,
    names: PairNames,
    formula: str | None,
    cov_type: str,
    n_dropped: int,
    second_pass: Iterable[PairRows] | None = None,
) -> BidirectionalRecord:
    """Collect what a stream knows, or what a second pass with its heads says.

    Raises
    ------
    InputError
        If fewer than 1,000 rows have come.
    """
    window = window_moments(state)
    path, n_read = None, state.rows_read
    if second_pass is None:
        means, method = window, "one-pass"
        estimate = _stream_estimate(state, options, window)
        if cov_type == "random-scaling":
            path = path_of_effects(state)
            estimate = _moved(estimate, path.average, window)
    else:
        counted = _Counted(second_pass)
        means, method = measured_moments(state, options, counted.values()), "two-pass"
        n_read, n_dropped = means.moments.n, counted.n_dropped
        estimate = estimate_effects(means.moments)
    found = learning_curve(state)
    curve = pd.DataFrame(
        {
            "b12": found.effects[:, 0],
            "b21": found.effects[:, 1],
            "log_likelihood": found.log_likelihood,
        },
        index=pd.Index(found.rows.astype(np.int64), name="rows"),
    )
    rule = options.optimiser
    return BidirectionalRecord(
        endog_names=names.endog,
        exog_names=names.exog,
        formula=formula,
        method=method,
        features=feature_words(options, float(state.bandwidth[0])),
        training=f"{rule.rule}, rate {rule.learning_rate:g}, {options.update}",
        nobs=means.moments.n,
        n_read=n_read,
        n_dropped=n_dropped,
        estimate=estimate,
        moments=means.moments,
        tested=window.moments,
        identification=judge_identification(estimate, window.moments),
        variance_ratios=means.variance_ratios,
        cov_type=cov_type,
        covariance=_covariance(estimate, means.variance_ratios, cov_type, path),
        path=path,
        log_likelihood=means.log_likelihood - float(np.log(2.0 * np.pi)),
        overidentification=None,
        by_fold=np.empty((0, 2)),
        heads=stream_heads(state, options),
        reference=state.reference.copy(),
        curve=curve,
        baselines=None,
        seconds=None,
    )


class _Counted:
    """Blocks of rows, and how many rows were left out of them."""

    def __init__(self, blocks: Iterable[PairRows]) -> None:
        self.blocks, self.n_dropped = blocks, 0

    def values(self) -> Iterator[FloatArray]:
        for block in self.blocks:
            self.n_dropped += block.n_dropped
            yield block.values


def _stream_estimate(
    state: StreamState, options: StreamOptions, window: StreamMoments
) -> EffectEstimate:
    """The solution of the window's moments, or averages of gradient steps."""
    estimate = estimate_effects(window.moments)
    if options.update == "closed-form":
        return estimate
    return _moved(estimate, averaged_effects(state), window)


def _moved(estimate: EffectEstimate, params: FloatArray, window: StreamMoments) -> EffectEstimate:
    """The same moments at other effects."""
    b12, b21 = canonical_label(*map(float, params))
    center = np.array([b12, b21])
    covariance = sandwich_covariance(center, window.moments)
    return replace(
        estimate,
        params=center,
        covariance=covariance,
        status=label_status(center, covariance),
        other=other_label(b12, b21),
    )


def _covariance(
    estimate: EffectEstimate,
    ratios: tuple[float, float],
    cov_type: str,
    path: RandomScaling | None,
) -> FloatArray:
    if path is not None:
        return path.covariance()
    if cov_type == "nonrobust":
        return covariance_of_ratios(estimate.params, ratios, estimate.n)
    return estimate.covariance
