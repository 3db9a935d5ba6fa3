"""Coverage of credible regions against the learning rate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.plots.style import COLOUR, INTERVAL_COLOUR, OTHER_COLOURS, import_pyplot

FloatArray = NDArray[np.float64]


def plot_coverage(
    rates: FloatArray,
    coverage: FloatArray,
    *,
    replications: int,
    level: float,
    rate: float,
    rate_se: float,
    ax: Any = None,
) -> Any:
    """Draw coverage (n,) against learning rates (n,), with two binomial standard errors.

    Returns
    -------
    matplotlib Axes
    """
    pyplot = import_pyplot()
    if ax is None:
        _, ax = pyplot.subplots(figsize=(5.0, 3.4), layout="constrained")
    error = 2.0 * np.sqrt(coverage * (1.0 - coverage) / replications)
    ax.fill_between(
        rates,
        np.maximum(coverage - error, 0.0),
        np.minimum(coverage + error, 1.0),
        color=INTERVAL_COLOUR,
        linewidth=0,
        label="2 s.e.",
    )
    ax.plot(rates, coverage, color=COLOUR, label="coverage")
    ax.axhline(level, color="black", linewidth=0.8, linestyle=":", label=f"nominal {level:.3g}")
    ax.errorbar(
        [rate],
        [level],
        xerr=[rate_se],
        color=OTHER_COLOURS[0],
        marker="o",
        capsize=3,
        label=f"{rate:.3g} (s.e. {rate_se:.2g})",
    )
    ax.set_xscale("log")
    ax.set_xlabel("learning rate")
    ax.set_ylabel("coverage")
    ax.legend(frameon=False, fontsize=8)
    return ax
