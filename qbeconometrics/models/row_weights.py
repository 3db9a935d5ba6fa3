"""From a covariance rule and the rows of a model to the weights of pairs of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError, OptionError
from qbeconometrics.inputs.design import LinearDesign
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
    design: LinearDesign,
    *,
    first_step: FloatArray,
    kept: NDArray[np.bool_] | None,
    frame: pd.DataFrame | None,
) -> Dependence:
    """Read the groups of a "cluster" rule, or select the lags of a "HAC" rule.

    Parameters
    ----------
    rule : CovarianceRule
    design : LinearDesign
    first_step : ndarray, shape (k,)
        The two-stage least squares estimate, whose moments select the lags.
    kept : ndarray of bool or None
        Marks the rows kept among the original ones.
    frame : DataFrame or None
        The data of a formula.

    Raises
    ------
    InputError
        If the rows are not in order of time, or the groups do not match them or are too few.
    OptionError
        If there are more lags than rows.
    """
    if rule.cov_type == "cluster":
        return _clusters(rule, design, kept, frame)
    check_time_order(design.row_labels, kept)
    return _lags(rule, design, first_step)


def _lags(rule: CovarianceRule, design: LinearDesign, first_step: FloatArray) -> Dependence:
    assert rule.kernel is not None
    n = len(design.endog)
    options: dict[str, Any] = {"kernel": rule.kernel, "maxlags": rule.maxlags}
    note = ""
    if isinstance(rule.maxlags, str):
        moments = design.instrument * (design.endog - design.exog @ first_step)[:, None]
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
        if maxlags >= n:
            raise OptionError(f"cov_kwds['maxlags']={maxlags} must be below the {n} rows")
        bandwidth = bandwidth_of_lags(rule.kernel, maxlags)
        chosen = f"maxlags={maxlags}"
    if isinstance(rule.maxlags, str):
        note = (
            f"HAC: {rule.kernel} kernel, {chosen} by the rule of {SELECTORS[rule.maxlags]} from "
            "the moments at the two-stage least squares estimate."
        )
    return Dependence(RowWeights(lags=lag_weights(rule.kernel, bandwidth, n)), options, note, None)


def _clusters(
    rule: CovarianceRule,
    design: LinearDesign,
    kept: NDArray[np.bool_] | None,
    frame: pd.DataFrame | None,
) -> Dependence:
    n, m = design.instrument.shape
    groups = read_groups(rule.groups, labels=design.row_labels, kept=kept, n=n, frame=frame)
    # Sums over clusters that add up to zero have one dimension less.
    spare = int(rule.centered or m == design.exog.shape[1])
    fewest = min(groups.counts)
    if fewest < max(m + spare, 2):
        extra = (
            f" ({m + 1} clusters are needed, since the sums over clusters add up to zero)"
            if fewest == m
            else ""
        )
        raise InputError(
            f"groups {groups.name} has {fewest} clusters but there are {m} moments, one an "
            f"instrument{extra}: their covariance would be singular. Use fewer instruments, more "
            "clusters, or cov_type='HC0'."
        )
    codes = groups.codes
    if len(codes) == 2:
        both = codes[0] * groups.counts[1] + codes[1]
        codes = (*codes, np.asarray(pd.factorize(both)[0], dtype=np.intp))
    options = {"groups": groups.name, "clusters": " x ".join(map(str, groups.counts))}
    return Dependence(RowWeights(clusters=codes), options, "", groups)
