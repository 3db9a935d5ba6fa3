"""Units of the columns of two outcomes and their regressors, and what cannot be measured in any."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError

FloatArray = NDArray[np.float64]

# Standard deviations of outcomes, outside of which fourth powers and their ratios are not numbers.
LEAST_SPREAD, LARGEST_SPREAD = 1e-20, 1e20

# Spread of a column that is rounding, as a share of its mean, and of squared correlations with one.
ROUNDING, ROUNDING_OF_FIT = 1e-10, 1e-12


def column_names(columns: int, names: Sequence[str] | None = None) -> list[str]:
    """Return the names of (y1, y2, x), those given or plain ones."""
    return list(names) if names else ["y1", "y2", *(f"x{j + 1}" for j in range(columns))]


def column_units(
    rows: FloatArray, names: Sequence[str] | None = None, *, seen: str = "", remedy: str = ""
) -> tuple[FloatArray, FloatArray]:
    """Return means and standard deviations of the columns.

    Parameters
    ----------
    rows : ndarray, shape (n, 2 + k)
        Columns (y1, y2, x).
    names : sequence of str, optional
        Of the columns, for messages.
    seen, remedy : str, optional
        For messages: which rows these are, and what else can be done.

    Raises
    ------
    InputError
        If a column does not vary, an outcome is of a size whose powers are no numbers, or a linear
        function of another column.

    Examples
    --------
    >>> column_units(np.array([[0.0, 1.0, 5.0], [2.0, 1.5, 5.5], [4.0, 0.5, 7.5]]))[0]
    array([2., 1., 6.])
    """
    named = column_names(rows.shape[1] - 2, names)
    centre, spread = rows.mean(axis=0), rows.std(axis=0)
    still = ~(spread > ROUNDING * np.abs(centre))
    if still.any():
        place = int(np.argmax(still))
        advice = "drop it" if place > 1 else "an outcome must"
        if spread[place] > 0.0:
            seen += (
                f", or by {spread[place] / abs(centre[place]):.1e} of its mean, which is rounding"
            )
        raise InputError(f"{named[place]} does not vary{seen}; {advice}{remedy}")
    for name, size in zip(named, spread[:2], strict=False):
        if not LEAST_SPREAD < size < LARGEST_SPREAD:
            raise InputError(
                f"{name} has a standard deviation of {size:.3g}, whose powers cannot be computed. "
                "Rescale it."
            )
    _refuse_linear_functions((rows - centre) / spread, named, seen, remedy)
    return centre, spread


def _refuse_linear_functions(
    scaled: FloatArray, names: Sequence[str], seen: str, remedy: str
) -> None:
    """Raise if an outcome is another column but for scale and shift."""
    correlations = scaled[:, :2].T @ scaled / len(scaled)
    same = np.abs(correlations) > 1.0 - ROUNDING_OF_FIT
    for outcome in range(2):
        for other in range(outcome + 1, scaled.shape[1]):
            if same[outcome, other]:
                advice = "remove it from x" if other > 1 else "give two outcomes that differ"
                raise InputError(
                    f"{names[other]} is a linear function of the outcome {names[outcome]}{seen}; "
                    f"{advice}{remedy}"
                )
