"""The region that is to cover, and the functional of coefficients that it may be about."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.calibration.coverage import Region
from qbeconometrics.calibration.problem import CalibratedProblem, CoverageCurve
from qbeconometrics.exceptions import OptionError, check_choice

FloatArray = NDArray[np.float64]

Functional = str | Callable[[FloatArray], ArrayLike]


def scaled_functional(
    functional: Functional | None,
    region: str,
    names: Sequence[str],
    estimate: FloatArray,
    root: FloatArray,
) -> Callable[[FloatArray], FloatArray] | None:
    """Return the functional of scaled positions (M, k), where estimate + root x are coefficients.

    Raises
    ------
    OptionError
    """
    if (functional is None) != (region != "marginal"):
        raise OptionError('functional and region="marginal" belong together')
    if functional is None:
        return None
    if isinstance(functional, str):
        j = list(names).index(check_choice(functional, names, "functional"))
        return lambda points: estimate[j] + points @ root[j]
    if not callable(functional):
        raise OptionError(f"functional={functional!r} must be a coefficient's name or a function")

    def values(points: FloatArray) -> FloatArray:
        found = np.asarray(functional(estimate + points @ root.T), dtype=np.float64)
        if found.shape != (len(points),) or not np.isfinite(found).all():
            raise OptionError(
                f"functional must return {len(points)} finite values for coefficients of shape "
                f"{points.shape}, not an array of shape {found.shape}"
            )
        return found

    return values


def coverage_curve(problem: CalibratedProblem, region: str, alpha: float) -> CoverageCurve:
    """Return the coverage of the estimate, which is the origin, by regions of a level."""
    origin = np.zeros(problem.n_params)
    if region == "marginal":
        value = float(problem.values(origin[None, None])[0, 0])
        chosen = Region(region, alpha, origin, problem.loss_at_estimate, value)
        return CoverageCurve(chosen, problem.values)
    return CoverageCurve(Region(region, alpha, origin, problem.loss_at_estimate))
