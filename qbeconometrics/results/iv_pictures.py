"""Pictures of instrumental-variable regressions: criterion and first stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import chdtri

from qbeconometrics.diagnostics.convergence import check_probability
from qbeconometrics.exceptions import InputError, OptionError, suggestion
from qbeconometrics.plots.equations import draw_first_stage, draw_profile
from qbeconometrics.plots.style import one_axes

if TYPE_CHECKING:
    from qbeconometrics.results.iv_results import IVResults

PROFILE_POINTS = 81
# Half-width of the grid in posterior sds, at least.
PROFILE_REACH = 4.0


def profile_picture(results: IVResults, param: str, alpha: float, points: int, ax: Any) -> Any:
    """Draw the criteria over a parameter; see ``IVResults.plot_profile``."""
    alpha = check_probability(alpha, "alpha")
    table = results.criterion_profile(param, points=points)
    level = float(chdtri(1, alpha))
    axis = one_axes(ax)
    draw_profile(
        axis,
        table.index.to_numpy(),
        {"continuously updated": table["cue"].to_numpy(), "two-step": table["two-step"].to_numpy()},
        name=param,
        level=level,
        level_label=f"minimum + {level:.2f}",
    )
    return axis


def profile_grid(results: IVResults, param: str, points: int) -> pd.Index:
    """Values of a parameter that cover the posterior and a normal law of its size.

    Raises
    ------
    InputError, OptionError
    """
    names = list(results.record.param_names)
    if param not in names:
        raise InputError(f"{param!r} is not a parameter.{suggestion(str(param), names)}")
    if not isinstance(points, (int, np.integer)) or points < 3:
        raise OptionError(f"points={points!r} must be a whole number of at least 3")
    j = names.index(param)
    low, centre, high = (float(results.quantile(q)[param]) for q in (0.005, 0.5, 0.995))
    covariance = results.record.mode_cov
    sd = float(np.sqrt(covariance[j, j])) if covariance is not None else (high - low) / 5.0
    low = min(low, centre - PROFILE_REACH * sd)
    high = max(high, centre + PROFILE_REACH * sd)
    return pd.Index(np.linspace(low, high, int(points)), name=param)


def first_stage_picture(results: IVResults, regressor: str | None, ax: Any) -> Any:
    """Draw a first stage; see ``IVResults.plot_first_stage``."""
    names = list(results.record.endogenous_names)
    if not names:
        raise InputError("There is no first stage: no regressor is endogenous.")
    if regressor is None:
        if len(names) > 1:
            raise OptionError(f"name the regressor: one of {', '.join(map(repr, names))}")
        regressor = names[0]
    if regressor not in names:
        raise InputError(f"{regressor!r} is not endogenous.{suggestion(regressor, names)}")
    design = results.model.design
    exogenous = [j for j in range(design.exog.shape[1]) if j not in design.endogenous]
    controls = np.linalg.qr(design.exog[:, exogenous])[0]

    def without_controls(columns: np.ndarray) -> np.ndarray:
        left: np.ndarray = columns - controls @ (controls.T @ columns)
        return left

    left = without_controls(design.exog[:, design.exog_names.index(regressor)])
    excluded = without_controls(design.instrument[:, list(design.excluded)])
    slopes = np.linalg.lstsq(excluded, left, rcond=None)[0]
    single = len(slopes) == 1
    name = design.instrument_names[design.excluded[0]] if single else "fitted by the instruments"
    remark = ", controls partialled out" if exogenous else ""
    axis = one_axes(ax)
    draw_first_stage(
        axis,
        excluded[:, 0] if single else excluded @ slopes,
        left,
        x_label=f"{name}{remark}",
        y_label=regressor,
        slope=float(slopes[0]) if single else 1.0,
    )
    return axis
