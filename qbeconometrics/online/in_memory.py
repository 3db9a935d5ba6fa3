"""The estimate from rows in memory: several passes, heads fitted without the rows they serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.diagnostics.overidentification import JStatistic
from qbeconometrics.exceptions import InputError, OptionError, check_choice
from qbeconometrics.online.baselines import independent_columns
from qbeconometrics.online.batch_heads import (
    CrossFittedRows,
    PooledHeads,
    cross_fitted_rows,
    pooled_heads,
)
from qbeconometrics.online.closed_form import WEAK
from qbeconometrics.online.cross_fitting import cross_fitted, median_of_splits, two_pass
from qbeconometrics.online.effect_moments import EffectMoments, effect_moments
from qbeconometrics.online.features import (
    MEDIAN_ROWS,
    draw_frequencies,
    median_bandwidth,
    monomial_scales,
)
from qbeconometrics.online.heads import FeatureChoice, Heads
from qbeconometrics.online.identification import effects_rank_test, overidentification
from qbeconometrics.online.inference import EffectEstimate
from qbeconometrics.online.likelihood import mean_log_likelihood
from qbeconometrics.online.stream_state import StreamOptions
from qbeconometrics.online.units import column_names, column_units
from qbeconometrics.sampling.seeds import spawn_seeds

FloatArray = NDArray[np.float64]

METHODS = ("cross-fitted", "two-pass")

# Share of a variance that regressions with a small ridge leave of what they explain.
LEAST_LEFT = 1e-9


@dataclass(frozen=True, slots=True)
class MemoryFit:
    """What rows in memory say.

    Attributes
    ----------
    estimate : EffectEstimate
    moments : EffectMoments
        That the estimate solves.
    tested : EffectMoments
        For the rank test and the robust set: of heads that were fitted to earlier folds.
    variance_ratios : tuple of float
        Means of exp(g1 - g2) and exp(g2 - g1).
    log_likelihood : float
        Mean of the rows; NaN without an estimate.
    overidentification : JStatistic or None
        Of the constant and x as further instruments; None without an estimate.
    by_fold : tuple of EffectEstimate
        Of each fold's rows alone; empty for "two-pass".
    heads : Heads
        Fitted to all rows.
    """

    estimate: EffectEstimate
    moments: EffectMoments
    tested: EffectMoments
    variance_ratios: tuple[float, float]
    log_likelihood: float
    overidentification: JStatistic | None
    by_fold: tuple[EffectEstimate, ...]
    heads: Heads


def fit_in_memory(
    rows: FloatArray,
    options: StreamOptions,
    *,
    method: str = "cross-fitted",
    folds: int = 2,
    splits: int = 1,
    rng: Any = None,
    names: Sequence[str] | None = None,
) -> MemoryFit:
    """Estimate the effects from rows that can be read several times.

    Parameters
    ----------
    rows : ndarray, shape (n, 2 + k)
        Columns (y1, y2, x).
    options : StreamOptions
        Of which only the features are used: heads are fitted by least squares and scoring.
    method : {"cross-fitted", "two-pass"}
        Heads of other folds, or of all rows.
    folds : int, optional
        Parts of the same size, at random.
    splits : int, optional
        How often the rows are split into folds again; the estimate is the median.
    rng : None, int, SeedSequence, BitGenerator or Generator
        For the features and the folds.
    names : sequence of str, optional
        Of (y1, y2, x), for messages.

    Raises
    ------
    InputError
        If a column does not vary, an outcome has no error of its own, or there are too few rows for
        the features.
    OptionError

    Examples
    --------
    >>> from qbeconometrics import simulate
    >>> data = simulate.bidirectional(20_000)[["y1", "y2", "x1", "x2"]]
    >>> found = fit_in_memory(data.to_numpy(), StreamOptions(n_features=40), rng=0)
    >>> found.estimate.params.round(1)
    array([ 0.5, -0.4])
    """
    check_choice(method, METHODS, "method")
    for name, value, least in (("folds", folds, 2), ("splits", splits, 1)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise OptionError(f"{name}={value!r} must be a whole number of at least {least}")
    generator = np.random.default_rng(spawn_seeds(rng, 1)[0])
    width = feature_count(options, rows.shape[1] - 2)
    _refuse_few_rows(len(rows), width, folds)
    centre, spread = column_units(rows, names)
    scaled = (rows - centre) / spread
    y, x = scaled[:, :2], np.ascontiguousarray(scaled[:, 2:])
    y1, y2 = y.T
    choice = choose_features(x, options, generator)
    evaluate = choice.feature_map().evaluate

    def features(part: FloatArray) -> FloatArray:
        return evaluate(np.ascontiguousarray(part))[:, :width]

    pooled = pooled_heads(y, x, features)
    _refuse_no_errors(pooled, names)
    heads = Heads(choice, centre, spread, pooled.weights, pooled.low, pooled.high)
    found = []
    for _ in range(splits):
        fold_of = generator.permutation(np.arange(len(rows)) % folds)
        tested = _moments_of(
            cross_fitted_rows(y1, y2, x, features, folds=fold_of, training="earlier"), spread
        )[0]
        by_fold: tuple[EffectEstimate, ...] = ()
        if method == "two-pass":
            moments, (u1, u2, w) = _moments_of(pooled, spread)
            estimate = two_pass(u1, u2, w)
        else:
            own = cross_fitted_rows(y1, y2, x, features, folds=fold_of)
            moments, (u1, u2, w) = _moments_of(own, spread)
            fitted = cross_fitted(u1, u2, w, own.folds)
            estimate, by_fold = fitted.pooled, fitted.by_fold
        ratios = float(np.mean(w[:, 1] / w[:, 0])), float(np.mean(w[:, 0] / w[:, 1]))
        restrictions = _restrictions(u1, u2, w, x, estimate)
        likelihood = mean_log_likelihood(u1, u2, estimate.params, w)
        found.append(
            MemoryFit(estimate, moments, tested, ratios, likelihood, restrictions, by_fold, heads)
        )
    return found[0] if splits == 1 else _median(found)


def _moments_of(
    rows: PooledHeads | CrossFittedRows, spread: FloatArray
) -> tuple[EffectMoments, tuple[FloatArray, FloatArray, FloatArray]]:
    """Moments, residuals and instruments in the units of the data."""
    parts = rows.u1 * spread[0], rows.u2 * spread[1], rows.instruments / spread[:2] ** 2
    return effect_moments(*parts), parts


def _median(found: list[MemoryFit]) -> MemoryFit:
    """The median estimate, with moments of the split next to it and tests of the median split."""
    estimate = median_of_splits([one.estimate for one in found])
    distances = [np.abs((one.estimate.params - estimate.params) / estimate.bse) for one in found]
    nearest = found[int(np.argmin(np.nan_to_num(np.max(distances, axis=1), nan=np.inf)))]
    statistics = [effects_rank_test(one.tested).value for one in found]
    middle = found[int(np.argsort(statistics)[(len(found) - 1) // 2])]
    return replace(nearest, estimate=estimate, tested=middle.tested)


def _refuse_few_rows(n: int, width: int, folds: int) -> None:
    """Raise if the first fold, to which heads are fitted alone, has too few rows."""
    least = -(-n // folds)
    if least < 2 * width:
        raise InputError(
            f"{n:,} rows are too few: with folds={folds} heads of {width} features are fitted to "
            f"{least:,} rows, and need {2 * width:,}. Give more rows, or fewer "
            "features (n_features, degree)."
        )


def _refuse_no_errors(pooled: PooledHeads, names: Sequence[str] | None) -> None:
    """Raise if x, or x and the other outcome, explain an outcome but for rounding."""
    first, second = column_names(0, names)[:2]
    for name, u in ((first, pooled.u1), (second, pooled.u2)):
        left = float(u @ u) / len(u)
        if left < LEAST_LEFT:
            raise InputError(
                f"{name} is a function of x but for {left:.1e} of its variance: there is no error "
                "whose variance could identify effects. Remove from x what it is computed from."
            )
    fitted = float(pooled.u1 @ pooled.u2) ** 2 / float(pooled.u2 @ pooled.u2)
    left = 1.0 - fitted / float(pooled.u1 @ pooled.u1)
    if left < LEAST_LEFT:
        raise InputError(
            f"{first} is a function of {second} and x but for {left:.1e} of its variance given x: "
            "there are no two errors. Give outcomes that are not computed from each other."
        )


def choose_features(
    x: FloatArray, options: StreamOptions, rng: np.random.Generator
) -> FeatureChoice:
    """Draw frequencies and settle the bandwidth by rows at random, or scale monomials."""
    k, count = x.shape[1], options.random_features
    if count == 0:
        degree = options.polynomial_degree
        scales = monomial_scales(x, degree)
        return FeatureChoice(np.zeros((k, 0)), np.zeros(0), 0.0, degree, scales)
    orthogonal = options.features == "orthogonal"
    frequencies = draw_frequencies(k, count, orthogonal=orthogonal, rng=rng)
    phases = rng.uniform(0.0, 2.0 * np.pi, count)
    some = rng.choice(len(x), min(len(x), MEDIAN_ROWS), replace=False)
    bandwidth = median_bandwidth(x[some]) if options.bandwidth is None else options.bandwidth
    return FeatureChoice(frequencies, phases, bandwidth, options.degree, np.zeros(0))


def feature_count(options: StreamOptions, columns: int) -> int:
    """Return the number of features, the constant among them, without filling zeros."""
    if options.random_features:
        return 1 + options.random_features
    return comb(columns + options.polynomial_degree, columns)


def _restrictions(
    u1: FloatArray, u2: FloatArray, w: FloatArray, x: FloatArray, estimate: EffectEstimate
) -> JStatistic | None:
    """Hansen's J of E(z e1 e2) = 0 with the constant and x among the instruments."""
    if estimate.status == WEAK:
        return None
    # Inverse variances may be of any size; instruments are compared in units of their own.
    instruments = independent_columns(np.column_stack([w / w.mean(axis=0), np.ones(len(x)), x]))
    found = overidentification(effect_moments(u1, u2, instruments))
    return found if np.isfinite(found.value) else None
