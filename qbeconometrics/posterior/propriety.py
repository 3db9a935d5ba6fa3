"""Does the quasi-posterior integrate, and do its moments exist?

For linear moments the criterion n g'S^-1 g stays bounded as |theta| grows, so without a proper
prior only the determinant or a fixed weight can make the quasi-posterior integrable.
"""

from __future__ import annotations

import numpy as np

from qbeconometrics.exceptions import ImproperPosteriorError
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.posterior.resolved_prior import ResolvedPrior

# An instrument row this close to leverage 1 makes S singular wherever its residual is zero.
LEVERAGE_LIMIT = 1.0 - 1e-9


def check_propriety(
    prior: ResolvedPrior,
    *,
    quasi_likelihood: str,
    rule: CovarianceRule,
    k: int,
    m: int,
) -> None:
    """Refuse a prior under which the quasi-posterior has no finite integral.

    Raises
    ------
    ImproperPosteriorError
        With the reason and what to do.
    """
    if prior.is_proper or quasi_likelihood == "two-step":
        return
    where = f"the flat prior of {', '.join(prior.flat)}"
    remedy = (
        "Leave prior=None for the weak default, give a proper one such as priors.Normal(0, 10), or "
        "use quasi_likelihood='two-step'."
    )
    if quasi_likelihood == "cue-nodet":
        raise ImproperPosteriorError(
            f"{where} makes the quasi-posterior improper: without the determinant the criterion "
            f"stays bounded as a coefficient grows, so it never integrates. {remedy}"
        )
    if rule.cov_type != "nonrobust":
        raise ImproperPosteriorError(
            f"{where} is refused with quasi_likelihood='cue' and cov_type={rule.cov_type!r}: the "
            "quasi-likelihood falls only like a power of the coefficients, which need not be "
            f"integrable. {remedy}"
        )
    if m <= k:
        raise ImproperPosteriorError(
            f"{where} is refused with as many instruments as coefficients ({m}): the determinant "
            f"may fall too slowly for the quasi-posterior to be integrable. {remedy}"
        )


def moments_exist(
    prior: ResolvedPrior, *, quasi_likelihood: str, k: int, m: int
) -> tuple[bool, bool]:
    """Return whether the quasi-posterior has a mean and a variance."""
    if quasi_likelihood == "two-step":
        # Normal tails, from the moments alone.
        return True, True
    if not prior.is_proper:
        # check_propriety has left only the nonrobust "cue": r moments exist iff m - k > r.
        return m - k > 1, m - k > 2
    has_term = ~np.isnan(prior.df)
    if not has_term.any():
        return True, True
    # Along one coefficient S grows in at least one moment, unless the determinant is left out.
    decay = prior.df[has_term].min() + (1 if quasi_likelihood == "cue" else 0)
    return bool(decay > 1), bool(decay > 2)


def check_leverage(leverage: float, row_label: object) -> None:
    """Refuse an instrument row that is alone in some direction, for an HC rule.

    S is then singular wherever the residual of that row is zero, which two-stage least squares
    makes it if the direction is among the regressors.

    Parameters
    ----------
    leverage : float
        The largest z'(Z'Z)^-1 z of a row, or of several rows that are the same.
    row_label : object
        Of that row.

    Raises
    ------
    ImproperPosteriorError
        Naming the row.
    """
    if leverage > LEVERAGE_LIMIT:
        raise ImproperPosteriorError(
            f"row {row_label!r} is the only one with a value in some combination of the "
            "instruments (leverage 1, such as a dummy for a single row): the robust covariance of "
            "the moments is singular wherever its residual is zero. Drop the row or the dummy, or "
            "use cov_type='nonrobust'."
        )


def check_cluster_leverage(share: float, cluster: object, groups: str) -> None:
    """Refuse instruments of which some combination is zero outside one cluster.

    The clustered S is then singular wherever the residuals of that cluster add up to zero along
    that combination, which two-stage least squares makes them if it is among the regressors.

    Parameters
    ----------
    share : float
        The largest share of a combination of the instruments that one cluster holds.
    cluster : object
        Label of that cluster.
    groups : str
        Name of the groups.

    Raises
    ------
    ImproperPosteriorError
        Naming the cluster.
    """
    if share > LEVERAGE_LIMIT:
        raise ImproperPosteriorError(
            f"some combination of the instruments is zero outside cluster {str(cluster)!r} of "
            f"groups {groups} (such as a dummy for that cluster): the clustered covariance of the "
            "moments is singular on a plane of coefficients. Take the means of each cluster off "
            "all columns instead of using dummies, use coarser dummies, or cluster otherwise."
        )
