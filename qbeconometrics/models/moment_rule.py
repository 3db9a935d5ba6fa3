"""Which covariances a statistic can be added up for, block by block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from qbeconometrics.exceptions import InputError, OptionError
from qbeconometrics.moments.covariance import CovarianceRule, parse_covariance
from qbeconometrics.moments.lag_windows import KERNELS

HC_TYPES = ("HC0", "HC1")


def streaming_rule(
    cov_type: str, cov_kwds: Mapping[str, Any] | None, *, by_name: bool
) -> CovarianceRule:
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
    keywords = dict(cov_kwds or {}) if cov_kwds is None or isinstance(cov_kwds, Mapping) else None
    if keywords is None:
        return parse_covariance(cov_type, cov_kwds)  # raises
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


def last_date(before: str | None, labels: pd.Index | None) -> str | None:
    """Return the last date of a block, refusing one that begins before the last block ended.

    Labels that are not dates may begin anew in each block.
    """
    if labels is None or not len(labels):
        return before
    if not isinstance(labels, (pd.DatetimeIndex, pd.PeriodIndex)):
        return None
    if before is not None and str(labels[0]) <= before:
        raise InputError(
            f"cov_type='HAC' needs blocks in order of time, but a block that begins with the label "
            f"'{labels[0]}' comes after one that ends with '{before}'."
        )
    return str(labels[-1])
