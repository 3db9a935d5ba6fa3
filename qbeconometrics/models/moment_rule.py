"""Which covariances a statistic can be added up for, block by block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from qbeconometrics.exceptions import OptionError
from qbeconometrics.moments.covariance import CovarianceRule, parse_covariance
from qbeconometrics.moments.lag_windows import KERNELS

HC_TYPES = ("HC0", "HC1")


def streaming_rule(cov_type: str, cov_kwds: Any, *, by_name: bool) -> CovarianceRule:
    """Read a covariance rule whose weights are known before the rows are.

    Parameters
    ----------
    cov_type : str
    cov_kwds : dict or None
    by_name : bool
        Whether groups are the name of a column; else they come with each block.

    Raises
    ------
    OptionError
        If the rule needs all rows at once.
    """
    if not isinstance(cov_kwds, (Mapping, type(None))):
        return parse_covariance(cov_type, cov_kwds)  # raises
    keywords = dict(cov_kwds or {})
    clustered = cov_type in ("cluster", "clustered")
    if clustered and not by_name:
        if keywords.get("groups") is not None:
            raise OptionError(
                "cov_kwds['groups'] names a column of a DataFrame; with blocks of arrays give the "
                "groups to update: update(block, groups=...)"
            )
        return replace(parse_covariance(cov_type, {**keywords, "groups": ""}), groups=None)
    rule = parse_covariance(cov_type, keywords)
    if rule.cov_type == "HAC":
        if not isinstance(rule.maxlags, int):
            raise OptionError(
                f"cov_kwds['maxlags']={rule.maxlags!r} needs all rows at once; give a number of "
                "lags, which blocks can be added up for"
            )
        assert rule.kernel is not None
        if not KERNELS[rule.kernel].truncated:
            raise OptionError(
                f"cov_kwds['kernel']={rule.kernel!r} weighs all pairs of rows, which are never in "
                "memory at once; use 'bartlett' or 'parzen'"
            )
    if rule.cov_type == "cluster" and not isinstance(rule.groups, str):
        raise OptionError(
            "cov_kwds['groups'] must be the name of one column, which each block has; two ways of "
            "clustering need QuasiBayesIV with all rows"
        )
    return rule


def same_sums(first: CovarianceRule, second: CovarianceRule) -> bool:
    """Whether two rules ask for the same sums."""
    family = "HC0" if first.cov_type in HC_TYPES else first.cov_type
    other = "HC0" if second.cov_type in HC_TYPES else second.cov_type
    return (family, first.kernel, first.maxlags, first.groups) == (
        other,
        second.kernel,
        second.maxlags,
        second.groups,
    )


def stored_keywords(rule: CovarianceRule) -> dict[str, Any]:
    """Return the `cov_kwds` of a rule, for JSON."""
    keywords: dict[str, Any] = {"centered": rule.centered}
    if rule.cov_type == "HAC":
        keywords |= {"kernel": rule.kernel, "maxlags": rule.maxlags}
    elif rule.groups is not None:
        keywords["groups"] = rule.groups
    return keywords


def dates_of(labels: pd.Index | None) -> tuple[str, str] | None:
    """Return the first and the last date of a block; None for labels that are not dates.

    Others, such as row numbers, may begin anew in each block.
    """
    if not isinstance(labels, (pd.DatetimeIndex, pd.PeriodIndex)) or not len(labels):
        return None
    return str(labels[0]), str(labels[-1])
