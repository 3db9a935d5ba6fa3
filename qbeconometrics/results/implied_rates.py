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


def rates_note(implied_rates: pd.Series, remedy: str) -> str:
    """Return a sentence where one rate cannot calibrate every interval, else nothing."""
    if implied_rates.max() <= LARGEST_RATIO * implied_rates.min():
        return ""
    low, high = implied_rates.idxmin(), implied_rates.idxmax()
    return (
        f"The coefficients ask for rates that differ by more than a factor of {LARGEST_RATIO:g}, "
        f"from {implied_rates[low]:.3g} ({low}) to {implied_rates[high]:.3g} ({high}): one rate "
        f"can calibrate a joint region, not each interval. {remedy}"
    )
