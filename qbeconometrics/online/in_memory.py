"""The estimate from rows in memory: several passes, heads fitted without the rows they serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.diagnostics.overidentification import JStatistic
from qbeconometrics.exceptions import InputError, OptionError, check_choice
from qbeconometrics.online.batch_heads import cross_fitted_rows, pooled_heads
from qbeconometrics.online.closed_form import WEAK
from qbeconometrics.online.cross_fitting import cross_fitted, two_pass
from qbeconometrics.online.effect_moments import EffectMoments, effect_moments
from qbeconometrics.online.features import (
    MEDIAN_ROWS,
    draw_frequencies,
    median_bandwidth,
    monomial_scales,
)
from qbeconometrics.online.heads import FeatureChoice, Heads
from qbeconometrics.online.identification import overidentification
from qbeconometrics.online.inference import EffectEstimate
from qbeconometrics.online.stream import column_names
from qbeconometrics.online.stream_state import StreamOptions
from qbeconometrics.sampling.seeds import spawn_seeds

FloatArray = NDArray[np.float64]

METHODS = ("cross-fitted", "two-pass")


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
    overidentification: JStatistic | None
    by_fold: tuple[EffectEstimate, ...]
    heads: Heads


def fit_in_memory(
    rows: FloatArray,
    options: StreamOptions,
    *,
    method: str = "cross-fitted",
    folds: int = 2,
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
    rng : None, int, SeedSequence, BitGenerator or Generator
        For the features and the folds.
    names : sequence of str, optional
        Of (y1, y2, x), for messages.

    Raises
    ------
    InputError
        If a column does not vary, or there are too few rows for the features.
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
    if isinstance(folds, bool) or not isinstance(folds, (int, np.integer)) or folds < 2:
        raise OptionError(f"folds={folds!r} must be a whole number of at least 2")
    generator = np.random.default_rng(spawn_seeds(rng, 1)[0])
    centre, spread = _units(rows, names)
    scaled = (rows - centre) / spread
    y, x = scaled[:, :2], np.ascontiguousarray(scaled[:, 2:])
    y1, y2 = y.T
    choice = choose_features(x, options, generator)
    width = feature_count(options, x.shape[1])
    evaluate = choice.feature_map().evaluate

    def features(part: FloatArray) -> FloatArray:
        return evaluate(np.ascontiguousarray(part))[:, :width]

    fold_of = generator.permutation(np.arange(len(rows)) % folds)
    pooled = pooled_heads(y, x, features)
    earlier = cross_fitted_rows(y1, y2, x, features, folds=fold_of, training="earlier")
    units = spread[:2]
    tested = effect_moments(
        earlier.u1 * units[0], earlier.u2 * units[1], earlier.instruments / units**2
    )
    by_fold: tuple[EffectEstimate, ...] = ()
    if method == "two-pass":
        u1, u2, w = pooled.u1 * units[0], pooled.u2 * units[1], pooled.instruments / units**2
        moments, estimate = effect_moments(u1, u2, w), two_pass(u1, u2, w)
    else:
        own = cross_fitted_rows(y1, y2, x, features, folds=fold_of)
        u1, u2, w = own.u1 * units[0], own.u2 * units[1], own.instruments / units**2
        found = cross_fitted(u1, u2, w, own.folds)
        moments, estimate, by_fold = found.moments, found.pooled, found.by_fold
    return MemoryFit(
        estimate,
        moments,
        tested,
        (float(np.mean(w[:, 1] / w[:, 0])), float(np.mean(w[:, 0] / w[:, 1]))),
        _restrictions(u1, u2, w, x, estimate),
        by_fold,
        Heads(choice, centre, spread, pooled.weights, pooled.low, pooled.high),
    )


def _units(rows: FloatArray, names: Sequence[str] | None) -> tuple[FloatArray, FloatArray]:
    """Means and standard deviations of the columns."""
    centre, spread = rows.mean(axis=0), rows.std(axis=0)
    still = ~(spread > 1e-10 * np.abs(centre))
    if still.any():
        name = column_names(rows.shape[1] - 2, names)[int(np.argmax(still))]
        raise InputError(f"{name} does not vary; drop it")
    return centre, spread


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
    instruments = np.column_stack([w / w.mean(axis=0), np.ones(len(x)), x])
    found = overidentification(effect_moments(u1, u2, instruments))
    return found if np.isfinite(found.value) else None
