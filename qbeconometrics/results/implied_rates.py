"""Whether one learning rate can calibrate all coefficients."""

from __future__ import annotations

import pandas as pd

# A coefficient's own rate may differ by this factor from another's before one rate cannot do.
LARGEST_RATIO = 2.0


# What to do then, for the Gibbs posterior of a loss.
LOSS_REMEDY = (
    'Use posterior="q", which needs no rate, or the method "location-scale" of '
    "compare_calibrations."
)


def rates_note(implied_rates: pd.Series, remedy: str, joint_rate: float | None = None) -> str:
    """Return a sentence where one rate cannot calibrate every interval, else nothing.

    Parameters
    ----------
    implied_rates : Series
        By coefficient.
    remedy : str
    joint_rate : float, optional
        The rate of a joint region, which has to suit combinations of the coefficients too.
    """
    low, high = implied_rates.idxmin(), implied_rates.idxmax()
    if implied_rates[high] <= LARGEST_RATIO * implied_rates[low]:
        if joint_rate is None:
            return ""
        if implied_rates[low] / LARGEST_RATIO <= joint_rate <= LARGEST_RATIO * implied_rates[high]:
            return ""
        width = (implied_rates.median() / joint_rate) ** 0.5
        return (
            f"Each coefficient alone asks for a rate from {implied_rates[low]:.3g} ({low}) to "
            f"{implied_rates[high]:.3g} ({high}); combinations of them make the joint region need "
            f"{joint_rate:.3g}. At that rate intervals of single coefficients are {width:.2g} "
            f"times as wide as they should be. {remedy}"
        )
    return (
        f"The coefficients ask for rates that differ by more than a factor of {LARGEST_RATIO:g}, "
        f"from {implied_rates[low]:.3g} ({low}) to {implied_rates[high]:.3g} ({high}): one rate "
        f"can calibrate a joint region, not each interval. {remedy}"
    )
