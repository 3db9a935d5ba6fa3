"""Tables of paths from their draws: location, intervals and simultaneous bands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from qbeconometrics.diagnostics.convergence import check_probability
from qbeconometrics.diagnostics.simultaneous_bands import simultaneous_band
from qbeconometrics.exceptions import check_choice
from qbeconometrics.results.path_record import PathRecord

FloatArray = NDArray[np.float64]

FAMILIES = ("path", "all")


def path_table(
    draws: FloatArray,
    paths: PathRecord,
    *,
    alpha: float,
    method: str,
    family: str,
    mean: FloatArray | None = None,
    covariance: FloatArray | None = None,
) -> pd.DataFrame:
    """Return mean, sd, median, interval and band of each coefficient.

    Parameters
    ----------
    draws : ndarray, shape (N, paths * horizons)
    paths : PathRecord
    alpha : float
    method, family : str
        See `LPResults.irf_table`.
    mean, covariance : ndarray, optional
        Of a law that is exactly normal.
    """
    alpha = check_probability(alpha, "alpha")
    check_choice(family, FAMILIES, "family")
    levels = np.array([alpha / 2.0, 0.5, 1.0 - alpha / 2.0])
    if mean is None or covariance is None:
        # Rounding of an average must not move a value that is known without error.
        still = np.ptp(draws, axis=0) == 0.0
        mean = np.where(still, draws[0], draws.mean(axis=0))
        sd = np.where(still, 0.0, draws.std(axis=0, ddof=1))
        low, median, high = np.quantile(draws, levels, axis=0)
    else:
        sd = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        low, median, high = mean + np.outer(ndtri(levels), sd)
    table = pd.DataFrame(
        {"mean": mean, "sd": sd, "median": median, "lower": low, "upper": high},
        index=paths.horizon_index(),
    )
    width = len(paths.horizons) if family == "path" else len(mean)
    bands = []
    for start in range(0, len(mean), width):
        own = slice(start, start + width)
        bands.append(simultaneous_band(draws[:, own], alpha, method, mean=mean[own], sd=sd[own]))
    table["band_lower"] = np.concatenate([band.lower for band in bands])
    table["band_upper"] = np.concatenate([band.upper for band in bands])
    table.attrs = {
        "critical_values": [band.critical_value for band in bands],
        "pointwise_probabilities": [band.pointwise_probability for band in bands],
    }
    return table


def ratio_table(
    ratios: FloatArray, paths: PathRecord, *, alpha: float, method: str
) -> pd.DataFrame:
    """Return medians, intervals and bands of ratios (N, states, horizons)."""
    tables = []
    for s in range(len(paths.states)):
        band = simultaneous_band(ratios[:, s], alpha, method)
        levels = [alpha / 2.0, 0.5, 1.0 - alpha / 2.0]
        low, middle, high = np.quantile(ratios[:, s], levels, axis=0)
        columns = {
            "median": middle,
            "lower": low,
            "upper": high,
            "band_lower": band.lower,
            "band_upper": band.upper,
        }
        tables.append(pd.DataFrame(columns, index=pd.Index(paths.horizons, name="horizon")))
    return tables[0] if len(tables) == 1 else pd.concat(tables, keys=paths.states, names=["state"])


def beside_robust_sets(
    table: pd.DataFrame, sets: Sequence[Sequence[tuple[float, float]]]
) -> pd.DataFrame:
    """Return the credible intervals of a table beside confidence sets and their ends.

    Parameters
    ----------
    table : DataFrame
        See `path_table`.
    sets : sequence of sequence of tuple of float
        Intervals of each row, in order; an empty set has NaN as ends.
    """
    beside = table[["lower", "upper"]].copy()
    beside["robust_lower"] = [one[0][0] if one else np.nan for one in sets]
    beside["robust_upper"] = [one[-1][1] if one else np.nan for one in sets]
    beside["robust_set"] = pd.Series(list(sets), index=beside.index, dtype=object)
    beside.attrs = {}
    return beside


def interval_table(values: FloatArray, alpha: float, index: pd.Index) -> pd.DataFrame:
    """Return median and equal-tailed interval of values (N, path), NaN left out."""
    levels = [0.5, alpha / 2.0, 1.0 - alpha / 2.0]
    rows = []
    for column in values.T:
        known = column[~np.isnan(column)]
        rows.append(np.quantile(known, levels) if len(known) else np.full(3, np.nan))
    return pd.DataFrame(np.array(rows), index=index, columns=["median", "lower", "upper"])
