"""The rule that estimates S, the covariance of sqrt(n) times the moment mean: names and options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qbeconometrics.exceptions import OptionError, check_choice, refuse_unknown_keywords
from qbeconometrics.moments.lag_windows import AUTOMATIC, KERNEL_SYNONYMS, KERNELS

# Rules under which rows are independent, then those under which they are not.
INDEPENDENT_COV_TYPES = ("nonrobust", "HC0", "HC1")
DEPENDENT_COV_TYPES = ("HAC", "cluster")
COV_TYPES = INDEPENDENT_COV_TYPES + DEPENDENT_COV_TYPES

# linearmodels' words for the same rules.
SYNONYMS = {
    "unadjusted": "nonrobust",
    "homoskedastic": "nonrobust",
    "robust": "HC0",
    "kernel": "HAC",
    "clustered": "cluster",
}

KEYWORDS = {"HAC": ("kernel", "maxlags", "centered"), "cluster": ("groups", "centered")}


@dataclass(frozen=True, slots=True)
class CovarianceRule:
    """How S is estimated.

    Attributes
    ----------
    cov_type : str
        "nonrobust", "HC0", "HC1" (HC0 times n / (n - k)), "HAC" or "cluster".
    centered : bool
        Whether the moments' mean (nonrobust: the residuals' mean) is subtracted first.
    kernel : str or None
        "bartlett", "parzen" or "quadratic-spectral", for "HAC".
    maxlags : int, str or None
        Lags, or the rule that selects them: "newey-west" or "andrews"; for "HAC".
    groups : object
        As the user gave them, for "cluster".
    """

    cov_type: str = "HC0"
    centered: bool = False
    kernel: str | None = None
    maxlags: int | str | None = None
    groups: Any = field(default=None, compare=False, repr=False)

    @property
    def is_dependent(self) -> bool:
        """Whether rows may be correlated with one another."""
        return self.cov_type in DEPENDENT_COV_TYPES

    def small_sample_factor(self, n: int, k: int) -> float:
        """Return the factor on S: n / (n - k) for HC1, else 1."""
        return n / (n - k) if self.cov_type == "HC1" else 1.0


def parse_covariance(cov_type: str, cov_kwds: Mapping[str, Any] | None = None) -> CovarianceRule:
    """Check ``cov_type`` and ``cov_kwds`` and return the rule they name.

    Groups are not looked at here, since that needs the rows.

    Raises
    ------
    OptionError
        If the type, a key or a value is not allowed.

    Examples
    --------
    >>> rule = parse_covariance("kernel", {"maxlags": 4})
    >>> rule.cov_type, rule.kernel, rule.maxlags
    ('HAC', 'bartlett', 4)
    """
    name = SYNONYMS.get(cov_type, cov_type) if isinstance(cov_type, str) else cov_type
    name = check_choice(name, COV_TYPES, "cov_type")
    if cov_kwds is not None and not isinstance(cov_kwds, Mapping):
        raise OptionError(f"cov_kwds must be a dict such as {{'centered': True}}, not {cov_kwds!r}")
    keywords = dict(cov_kwds or {})
    refuse_unknown_keywords(
        keywords, KEYWORDS.get(name, ("centered",)), f"cov_kwds with cov_type={cov_type!r}"
    )
    centered = keywords.get("centered", False)
    if not isinstance(centered, bool):
        raise OptionError(f"cov_kwds['centered'] must be True or False, not {centered!r}")
    if name == "HAC":
        return CovarianceRule(
            name,
            centered,
            kernel=_check_kernel(keywords.get("kernel", "bartlett")),
            maxlags=_check_maxlags(keywords.get("maxlags", "newey-west")),
        )
    if name == "cluster" and keywords.get("groups") is None:
        raise OptionError(
            f"cov_type={cov_type!r} needs the clusters: cov_kwds={{'groups': ...}} with a column "
            "name, a Series or an array, one group a row."
        )
    return CovarianceRule(name, centered, groups=keywords.get("groups"))


def _check_kernel(kernel: Any) -> str:
    name = KERNEL_SYNONYMS.get(kernel, kernel) if isinstance(kernel, str) else kernel
    return check_choice(name, KERNELS, "cov_kwds['kernel']")


def _check_maxlags(maxlags: Any) -> int | str:
    if isinstance(maxlags, str):
        return check_choice(maxlags, AUTOMATIC, "cov_kwds['maxlags']")
    whole = isinstance(maxlags, (int, np.integer)) and not isinstance(maxlags, (bool, np.bool_))
    if not whole or maxlags < 0:
        raise OptionError(
            f"cov_kwds['maxlags']={maxlags!r} must be a whole number of at least 0, or one of "
            f"{', '.join(map(repr, AUTOMATIC))}"
        )
    return int(maxlags)
