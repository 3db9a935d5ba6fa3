"""Simultaneous credible bands of paths, from draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.diagnostics.convergence import check_probability
from qbeconometrics.exceptions import InputError, check_choice

FloatArray = NDArray[np.float64]

BAND_METHODS = ("sup-t", "quantile", "bonferroni", "sidak")


@dataclass(frozen=True, slots=True)
class SimultaneousBand:
    """A band that holds a whole path with probability 1 - alpha.

    Attributes
    ----------
    lower, upper : ndarray, shape (n,)
    critical_value : float
        Of "sup-t"; NaN otherwise.
    pointwise_probability : float
        Of the intervals that make up the band: for "quantile" the calibrated one; NaN for "sup-t".
    """

    lower: FloatArray
    upper: FloatArray
    critical_value: float
    pointwise_probability: float


def simultaneous_band(
    draws: ArrayLike,
    alpha: float = 0.10,
    method: str = "sup-t",
    *,
    mean: ArrayLike | None = None,
    sd: ArrayLike | None = None,
) -> SimultaneousBand:
    """Return a band that holds all n coordinates of a draw with probability 1 - alpha.

    Parameters
    ----------
    draws : array_like, shape (N, n)
    alpha : float
    method : {"sup-t", "quantile", "bonferroni", "sidak"}
        "sup-t": mean plus and minus a multiple of the sd, the 1 - alpha quantile of the largest
        |draw - mean| / sd. "quantile": equal-tailed intervals, widened together until 1 - alpha of
        the draws lie inside all of them; keeps skewness. "bonferroni", "sidak": equal-tailed
        intervals at alpha / n and 1 - (1 - alpha)^(1/n), which overlook correlation.
    mean, sd : array_like, shape (n,), optional
        Where they are known exactly; the default is those of the draws.

    Raises
    ------
    OptionError
        If `alpha` or `method` is not allowed.
    InputError
        If there are too few draws for the level.

    Notes
    -----
    Following Montiel Olea and Plagborg-Moller (2019, Journal of Applied Econometrics 34, 1-17).
    The quantile band takes order statistics, so that the share of draws inside is at least
    1 - alpha exactly. Coordinates that do not vary are left out of the calibration.

    Examples
    --------
    >>> draws = np.random.default_rng(0).standard_normal((20_000, 2))
    >>> round(simultaneous_band(draws, 0.10).critical_value, 1)
    1.9
    """
    alpha = check_probability(alpha, "alpha")
    check_choice(method, BAND_METHODS, "method")
    paths = np.asarray(draws, dtype=np.float64)
    if paths.ndim != 2 or len(paths) < 2:
        raise InputError("a band needs draws of the shape (N, n) with at least two draws")
    constant = np.ptp(paths, axis=0) == 0.0
    if constant.all():
        return SimultaneousBand(paths[0].copy(), paths[0].copy(), np.nan, np.nan)
    moving = paths[:, ~constant]
    lower, upper = paths[0].copy(), paths[0].copy()
    critical = level = np.nan
    if method == "sup-t":
        centre, spread = (
            default if given is None else np.asarray(given, dtype=np.float64)[~constant]
            for given, default in ((mean, moving.mean(axis=0)), (sd, moving.std(axis=0, ddof=1)))
        )
        largest = np.max(np.abs(moving - centre) / spread, axis=1)
        critical = float(np.quantile(largest, 1.0 - alpha))
        low, high = centre - critical * spread, centre + critical * spread
    elif method == "quantile":
        low, high, level = _quantile_band(moving, alpha)
    else:
        n = moving.shape[1]
        share = alpha / n if method == "bonferroni" else 1.0 - (1.0 - alpha) ** (1.0 / n)
        if share * len(moving) < 1.0:
            raise InputError(
                f"the {method} band needs intervals at probability {1.0 - share:.5f}, beyond "
                f"{len(moving)} draws; draw more"
            )
        low, high = np.quantile(moving, [share / 2.0, 1.0 - share / 2.0], axis=0)
        level = 1.0 - share
    lower[~constant], upper[~constant] = low, high
    return SimultaneousBand(lower, upper, critical, level)


def _quantile_band(paths: FloatArray, alpha: float) -> tuple[FloatArray, FloatArray, float]:
    """Order statistics at the largest depth that keeps 1 - alpha of the draws inside."""
    N = len(paths)
    order = np.argsort(paths, axis=0, kind="stable")
    depth = np.full(N, N, dtype=np.int64)
    ranks = np.arange(1, N + 1)
    from_end = np.minimum(ranks, N + 1 - ranks)
    for column in order.T:
        depth[column] = np.minimum(depth[column], from_end)
    r = int(np.sort(depth)[int(np.floor(alpha * N))])
    ordered = np.sort(paths, axis=0)
    low, high = ordered[r - 1], ordered[N - r]
    # With a single coordinate interpolated quantiles may lie a hair further out.
    ends = np.quantile(paths, [alpha / 2.0, 1.0 - alpha / 2.0], axis=0)
    return np.minimum(low, ends[0]), np.maximum(high, ends[1]), 1.0 - 2.0 * r / N
