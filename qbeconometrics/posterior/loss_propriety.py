"""Does the posterior of a loss integrate, and does the estimate it starts from exist?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import IdentificationError, ImproperPosteriorError
from qbeconometrics.losses import Loss
from qbeconometrics.posterior.linear_programs import STILL, sinking_direction
from qbeconometrics.posterior.propriety import LEVERAGE_LIMIT
from qbeconometrics.posterior.resolved_prior import ResolvedPrior

FloatArray = NDArray[np.float64]

REMEDY = "Leave prior=None for the weak default, or give a proper one such as priors.Normal(0, 10)."


def separating_columns(
    loss: Loss, endog: FloatArray, exog: FloatArray, names: Sequence[str]
) -> list[str]:
    """Return the names of columns along which the risk sinks for ever; none if there are none.

    For logistic and hinge losses these separate zeros from ones (Albert and Anderson 1984,
    Biometrika 71, 1-10).
    """
    sides = loss.sinking_sides(endog)
    if sides is None:
        return []
    scaled = exog / (np.linalg.norm(exog, axis=0) / np.sqrt(len(exog)))
    direction = sinking_direction(scaled, *sides)
    if direction is None:
        return []
    return [name for name, part in zip(names, direction, strict=True) if abs(part) > STILL]


def refuse_separation(loss: Loss, columns: Sequence[str]) -> None:
    """Refuse a Q-posterior of a loss that has no minimum.

    Raises
    ------
    IdentificationError
        Naming the columns.
    """
    if columns:
        raise IdentificationError(
            f"{', '.join(map(repr, columns))} can be combined so that the {loss.label} loss never "
            "rises along the combination (the outcome is separated): all scores can vanish at "
            "once, and with them their covariance. Use posterior='gibbs' with a proper prior, or "
            "drop a column."
        )


def refuse_lone_rows(leverage: float, row_label: object) -> None:
    """Refuse a row that alone carries a combination of regressors, for a Q-posterior.

    Raises
    ------
    ImproperPosteriorError
        Naming the row.
    """
    if leverage > LEVERAGE_LIMIT:
        raise ImproperPosteriorError(
            f"row {row_label!r} is the only one with a value in some combination of the regressors "
            "(leverage 1, such as a dummy for a single row): its score alone cannot tell how far "
            "off that coefficient is, or makes the covariance of the scores singular. Drop the row "
            "or the dummy, or use posterior='gibbs'."
        )


def check_q_propriety(loss: Loss, prior: ResolvedPrior, quasi_likelihood: str) -> None:
    """Refuse a flat prior where the mean score, or its weight, does not grow without bound.

    Raises
    ------
    ImproperPosteriorError
    """
    if prior.is_proper or (quasi_likelihood == "two-step" and not loss.bounded_score):
        return
    where = f"the flat prior of {', '.join(prior.flat)} is refused with posterior='q'"
    if quasi_likelihood == "two-step":
        raise ImproperPosteriorError(
            f"{where} and the {loss.label} loss: its scores need not grow with a coefficient, so "
            f"the criterion stays bounded and the quasi-posterior never integrates. {REMEDY}"
        )
    raise ImproperPosteriorError(
        f"{where} and quasi_likelihood={quasi_likelihood!r}: the criterion stays bounded as a "
        f"coefficient grows, so the quasi-posterior need not integrate. {REMEDY}"
    )


def check_gibbs_propriety(loss: Loss, prior: ResolvedPrior, columns: Sequence[str]) -> None:
    """Refuse a flat prior where the risk is not known to grow in every direction.

    Parameters
    ----------
    loss : Loss
    prior : ResolvedPrior
    columns : sequence of str
        Those along which the risk sinks for ever.

    Raises
    ------
    ImproperPosteriorError
        With the reason and what to do.
    """
    if prior.is_proper:
        return
    where = f"the flat prior of {', '.join(prior.flat)} is refused"
    if not loss.convex:
        raise ImproperPosteriorError(
            f"{where} with the loss {loss.label!r} that you wrote: whether it grows fast enough "
            f"for the Gibbs posterior to integrate cannot be known. {REMEDY}"
        )
    if columns:
        raise ImproperPosteriorError(
            f"{where}: {', '.join(map(repr, columns))} can be combined so that the {loss.label} "
            "loss never rises along the combination (the outcome is separated), so the Gibbs "
            f"posterior never integrates. {REMEDY}"
        )


def loss_moments_exist(prior: ResolvedPrior, *, risk_grows: bool) -> tuple[bool, bool]:
    """Return whether the posterior is known to have a mean and a variance.

    Where the risk, or the criterion, does not grow without bound, the tails are the prior's.
    """
    has_term = ~np.isnan(prior.df)
    if risk_grows or not has_term.any():
        return True, True
    decay = prior.df[has_term].min()
    return bool(decay > 1), bool(decay > 2)
