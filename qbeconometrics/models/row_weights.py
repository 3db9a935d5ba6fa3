"""From a covariance rule and the rows of a model to the weights of pairs of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError, OptionError
from qbeconometrics.inputs.groups import Groups, read_groups
from qbeconometrics.inputs.time_order import check_time_order
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.dependence import RowWeights
from qbeconometrics.moments.lag_windows import (
    andrews_bandwidth,
    bandwidth_of_lags,
    lag_weights,
    newey_west_lags,
)

FloatArray = NDArray[np.float64]

SELECTORS = {"newey-west": "Newey and West (1994)", "andrews": "Andrews (1991)"}


@dataclass(frozen=True, slots=True, eq=False)
class RowsOfModel:
    """What is known of the rows of a model, and the words for its moments.

    Attributes
    ----------
    n, m, k : int
        Rows, moments, parameters.
    labels : pandas.Index or None
        Of the rows kept.
    kept : ndarray of bool or None
        Marks the rows kept among the original ones; None if no row was dropped.
    frame : DataFrame or None
        The data of a formula.
    repeats : ndarray of int, shape (n,), or None
        How often each row stands in the design, where frequencies repeat it.
    first_step, what_moments, what_fewer : str
    """

    n: int
    m: int
    k: int
    labels: pd.Index | None
    kept: NDArray[np.bool_] | None
    frame: pd.DataFrame | None = None
    repeats: NDArray[np.intp] | None = None
    first_step: str = "two-stage least squares"
    what_moments: str = "moments, one an instrument"
    what_fewer: str = "instruments"


@dataclass(frozen=True, slots=True, eq=False)
class Dependence:
    """How the rows of a model may be correlated.

    Attributes
    ----------
    weights : RowWeights
    options : dict
        Scalars for the record of a fit: kernel, lags and bandwidth, or name and number of groups.
    note : str
        A sentence for the summary; empty if there is nothing to say.
    groups : Groups or None
    """

    weights: RowWeights
    options: dict[str, Any]
    note: str
    groups: Groups | None


def resolve_dependence(
    rule: CovarianceRule,
    rows: RowsOfModel,
    moments_at_first_step: Callable[[], FloatArray],
) -> Dependence:
    """Read the groups of a "cluster" rule, or select the lags of a "HAC" rule.

    Parameters
    ----------
    rule : CovarianceRule
    rows : RowsOfModel
    moments_at_first_step : callable
        Returns the moments (n, m) that select the lags; called only where they are needed.

    Raises
    ------
    InputError
        If the rows are not in order of time, or the groups do not match them or are too few.
    OptionError
        If there are more lags than rows.
    """
    if rule.cov_type == "cluster":
        return _clusters(rule, rows)
    check_time_order(rows.labels, rows.kept)
    return _lags(rule, rows, moments_at_first_step)


def _lags(
    rule: CovarianceRule, rows: RowsOfModel, moments_at_first_step: Callable[[], FloatArray]
) -> Dependence:
    assert rule.kernel is not None
    options: dict[str, Any] = {"kernel": rule.kernel, "maxlags": rule.maxlags}
    note = ""
    if isinstance(rule.maxlags, str):
        moments = moments_at_first_step()
        if rule.centered:
            moments = moments - moments.mean(axis=0)
    if rule.maxlags == "andrews":
        bandwidth = andrews_bandwidth(moments, rule.kernel)
        options["bandwidth"] = bandwidth
        chosen = f"bandwidth {bandwidth:.3g}"
    else:
        maxlags = rule.maxlags
        if not isinstance(maxlags, int):
            maxlags = options["maxlags"] = newey_west_lags(moments, rule.kernel)
        if maxlags >= rows.n:
            raise OptionError(f"cov_kwds['maxlags']={maxlags} must be below the {rows.n} rows")
        bandwidth = bandwidth_of_lags(rule.kernel, maxlags)
        chosen = f"maxlags={maxlags}"
    if isinstance(rule.maxlags, str):
        note = (
            f"HAC: {rule.kernel} kernel, {chosen} by the rule of {SELECTORS[rule.maxlags]} from "
            f"the moments at the {rows.first_step} estimate."
        )
    weights = RowWeights(lags=lag_weights(rule.kernel, bandwidth, rows.n))
    return Dependence(weights, options, note, None)


def _clusters(rule: CovarianceRule, rows: RowsOfModel) -> Dependence:
    m = rows.m
    groups = read_groups(
        rule.groups, labels=rows.labels, kept=rows.kept, n=rows.n, frame=rows.frame
    )
    if rows.repeats is not None:
        # All copies of a row are in its cluster.
        repeated = tuple(np.repeat(codes, rows.repeats) for codes in groups.codes)
        groups = replace(groups, codes=repeated)
    # Sums over clusters that add up to zero have one dimension less.
    spare = int(rule.centered or m == rows.k)
    fewest = min(groups.counts)
    if fewest < max(m + spare, 2):
        extra = (
            f" ({m + 1} clusters are needed, since the sums over clusters add up to zero)"
            if fewest == m
            else ""
        )
        raise InputError(
            f"groups {groups.name} has {fewest} clusters but there are {m} {rows.what_moments}"
            f"{extra}: their covariance would be singular. Use fewer {rows.what_fewer}, more "
            "clusters, or cov_type='HC0'."
        )
    codes = groups.codes
    if len(codes) == 2:
        both = codes[0] * groups.counts[1] + codes[1]
        codes = (*codes, np.asarray(pd.factorize(both)[0], dtype=np.intp))
    options = {"groups": groups.name, "clusters": " x ".join(map(str, groups.counts))}
    return Dependence(RowWeights(clusters=codes), options, "", groups)
