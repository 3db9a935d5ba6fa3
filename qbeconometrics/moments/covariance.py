"""The rule that estimates S, the covariance of sqrt(n) times the moment mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import OptionError, check_choice, refuse_unknown_keywords

FloatArray = NDArray[np.float64]

COV_TYPES = ("nonrobust", "HC0", "HC1")

# linearmodels' words for the same rules.
SYNONYMS = {"unadjusted": "nonrobust", "homoskedastic": "nonrobust", "robust": "HC0"}


@dataclass(frozen=True, slots=True)
class CovarianceRule:
    """How S is estimated.

    Attributes
    ----------
    cov_type : str
        "nonrobust", "HC0" or "HC1" (HC0 times n / (n - k)).
    centered : bool
        Whether the moments' mean (nonrobust: the residuals' mean) is subtracted first.
    """

    cov_type: str = "HC0"
    centered: bool = False

    def small_sample_factor(self, n: int, k: int) -> float:
        """Return the factor on S: n / (n - k) for HC1, else 1."""
        return n / (n - k) if self.cov_type == "HC1" else 1.0


def parse_covariance(cov_type: str, cov_kwds: Mapping[str, Any] | None = None) -> CovarianceRule:
    """Check ``cov_type`` and ``cov_kwds`` and return the rule they name.

    Raises
    ------
    OptionError
        If the type or a key is unknown, or ``centered`` is not a bool.

    Examples
    --------
    >>> parse_covariance("robust", {"centered": True})
    CovarianceRule(cov_type='HC0', centered=True)
    """
    name = SYNONYMS.get(cov_type, cov_type) if isinstance(cov_type, str) else cov_type
    name = check_choice(name, COV_TYPES, "cov_type")
    if cov_kwds is not None and not isinstance(cov_kwds, Mapping):
        raise OptionError(f"cov_kwds must be a dict such as {{'centered': True}}, not {cov_kwds!r}")
    keywords = dict(cov_kwds or {})
    centered = keywords.pop("centered", False)
    refuse_unknown_keywords(keywords, ("centered",), f"cov_kwds with cov_type={cov_type!r}")
    if not isinstance(centered, bool):
        raise OptionError(f"cov_kwds['centered'] must be True or False, not {centered!r}")
    return CovarianceRule(cov_type=name, centered=centered)


def moment_covariance(
    moments: FloatArray, mean: FloatArray, rule: CovarianceRule, n_params: int
) -> FloatArray:
    """Return S (m, m) from the moments of every row.

    Parameters
    ----------
    moments : ndarray, shape (n, m)
    mean : ndarray, shape (m,)
        Of `moments` over rows.
    rule : CovarianceRule
        "HC0" or "HC1": "nonrobust" has no meaning for moments of unknown form.
    n_params : int

    Returns
    -------
    ndarray, shape (m, m)
    """
    n = len(moments)
    factor = rule.small_sample_factor(n, n_params)
    S: FloatArray = moments.T @ moments
    S *= factor / n
    if rule.centered:
        S -= factor * (mean[:, None] * mean)
    return S
