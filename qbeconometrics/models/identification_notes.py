"""What a fit says of weak identification: sentences for the summary, and a warning."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from qbeconometrics.diagnostics.acceptance_sets import Intervals
from qbeconometrics.diagnostics.concentrated_moments import concentrate
from qbeconometrics.diagnostics.weak_identification import (
    WeakIdentification,
    weak_identification,
)
from qbeconometrics.exceptions import PriorWarning, QBEconometricsError, WeakInstrumentWarning
from qbeconometrics.models.row_weights import Dependence
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.posterior.quasi_posterior import QuasiPosterior
from qbeconometrics.sampling.run import Sample

if TYPE_CHECKING:
    from qbeconometrics.models.identification_tests import IdentifiedModel

# Posterior mass outside the 95 % set above which the prior is taken to outweigh the moments.
LARGEST_SHARE_OUTSIDE = 0.5


def identification_notes(
    model: IdentifiedModel,
    posterior: QuasiPosterior,
    drawn: Sample,
    *,
    rule: CovarianceRule,
    dependence: Dependence | None,
    fixed_weight: bool,
) -> list[str]:
    """Describe the robust set, the criterion at infinity and the mass outside; warn if need be."""
    endogenous = list(model.design.endogenous)
    if not endogenous:
        return []
    try:
        if rule.cov_type == "nonrobust" or posterior.moments.fourth is not None:
            moments = concentrate(
                posterior.moments, endogenous=endogenous, names=model.endogenous_names, rule=rule
            )
        else:
            moments = model._concentrated(rule, dependence)
        draws = posterior.basis.to_params(drawn.draws.reshape(-1, drawn.draws.shape[2]))
        mode = posterior.basis.to_params(drawn.mode.point)
        found = weak_identification(moments, draws[:, endogenous], mode[endogenous])
    except QBEconometricsError as error:
        return [f"The robust set could not be computed: {error}"]
    warning = prior_decides(found, fixed_weight)
    if warning:
        kind = WeakInstrumentWarning if fixed_weight else PriorWarning
        warnings.warn(warning, kind, stacklevel=5)
    return [identification_sentence(found), *([f"Warning: {warning}"] if warning else [])]


def identification_sentence(found: WeakIdentification) -> str:
    """Say where the robust set lies, how much of the posterior, and the criterion at infinity."""
    names = " and ".join(map(repr, found.names))
    where = f" {set_text(found.intervals)}," if found.intervals is not None else ""
    limits = ", ".join(
        f"{limit:.3g} as {name!r} grows"
        for name, limit in zip(found.names, found.at_infinity, strict=True)
    )
    return (
        f"Identification: the 95% Anderson-Rubin set of {names} is{where} and "
        f"{found.share_outside:.1%} of the posterior is outside; the criterion tends to {limits}, "
        f"and is {found.at_mode:.3g} at the mode."
    ).replace(" is and ", ": ")


def prior_decides(found: WeakIdentification, fixed_weight: bool) -> str:
    """Sentence of the warning that the data do not decide; empty if there is no ground for one."""
    if found.unbounded:
        names = ", ".join(map(repr, found.unbounded))
        start = f"The data do not bound the coefficient of {names}: the 95% Anderson-Rubin set is "
        if fixed_weight:
            return (
                f"{start}unbounded. A fixed weight hides that, and its normal quasi-posterior is "
                "narrower than the data warrant: compare with quasi_likelihood='cue'."
            )
        return (
            f"{start}unbounded, so that the prior, not the data, decides how far the posterior "
            "reaches. See how the results move with the prior: res.prior_sensitivity()."
        )
    if found.share_outside > LARGEST_SHARE_OUTSIDE and not found.empty:
        return (
            f"{found.share_outside:.0%} of the posterior lies outside the 95% Anderson-Rubin set: "
            "the prior outweighs the moments, or the moments disagree with each other (see J). See "
            "how the results move with the prior: res.prior_sensitivity()."
        )
    return ""


def set_text(intervals: Intervals) -> str:
    """Write a union of intervals.

    Examples
    --------
    >>> set_text([(-float("inf"), 0.1954), (2.22, float("inf"))])
    '(-inf, 0.195] or [2.22, inf)'
    """
    if not intervals:
        return "empty"
    parts = []
    for low, high in intervals:
        left = "(-inf" if low == -float("inf") else f"[{low:.3g}"
        right = "inf)" if high == float("inf") else f"{high:.3g}]"
        parts.append(f"{left}, {right}")
    return " or ".join(parts)
