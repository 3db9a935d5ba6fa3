"""What trajectories of the no-U-turn sampler say about the draws of orthonormal matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.diagnostics.energy import bfmi
from qbeconometrics.exceptions import ConvergenceWarning, NumericalWarning
from qbeconometrics.results.reliability import LARGEST_NONFINITE_SHARE, Finding
from qbeconometrics.stiefel import Chart, Householder, Polar

FloatArray = NDArray[np.float64]

# Below this a chain walks slowly through the energies (Betancourt 2016, arXiv:1604.00695).
SMALLEST_BFMI = 0.3
# Degrees of freedom of a chart that leave few divergences of their own.
ENOUGH_DEGREES = 20
# Share of trajectories that may end for want of doublings.
LARGEST_DEEP_SHARE = 0.01


def trajectory_findings(
    statistics: dict[str, FloatArray], max_depth: int, target_accept: float, chart: Chart
) -> list[Finding]:
    """Judge divergences, points without density, energies and depths.

    Parameters
    ----------
    statistics : dict of str to ndarray, shape (chain, draw)
    max_depth : int
    target_accept : float
    chart : Chart

    Returns
    -------
    list of Finding
    """
    found = []
    total = statistics["divergent"].size
    divergences = int(statistics["divergent"].sum())
    if divergences:
        found.append(
            Finding(
                ConvergenceWarning,
                f"{divergences} of {total} trajectories diverged: steps are too long for some part "
                f"of the density. Raise target_accept (now {target_accept:g}), increase tune, or "
                f"use another parameterization{_more_degrees(chart)}.",
            )
        )
    nonfinite = int(statistics["nonfinite"].sum())
    if nonfinite > LARGEST_NONFINITE_SHARE * total:
        found.append(
            Finding(
                NumericalWarning,
                f"{nonfinite} of {total} trajectories met a point without a finite density, and "
                "ended there. Check the target, or use another parameterization.",
            )
        )
    share = bfmi(statistics["energy"])
    low = np.flatnonzero(share < SMALLEST_BFMI)
    if len(low):
        worst = int(low[np.argmin(share[low])])
        found.append(
            Finding(
                ConvergenceWarning,
                f"The E-BFMI of chain {worst} is {share[worst]:.2g} (below {SMALLEST_BFMI} in "
                f"{len(low)} of {len(share)} chains): tails of the density are reached slowly. "
                "Increase draws, or use another parameterization.",
            )
        )
    deep = int((statistics["depth"] >= max_depth).sum())
    if deep > LARGEST_DEEP_SHARE * total:
        found.append(
            Finding(
                ConvergenceWarning,
                f"{deep} of {total} trajectories had all {max_depth} doublings without a U-turn. "
                "Increase max_depth or tune, or use another parameterization.",
            )
        )
    return found


def _more_degrees(chart: Chart) -> str:
    """Where more degrees of freedom keep coordinates out of a funnel, how to have them."""
    if not isinstance(chart, Polar | Householder) or chart.p >= ENOUGH_DEGREES:
        return ""
    if chart.df is not None and chart.df >= ENOUGH_DEGREES:
        return ""
    name = type(chart).__name__
    return f", such as stiefel.{name}({chart.p}, {chart.k}, df={ENOUGH_DEGREES})"
