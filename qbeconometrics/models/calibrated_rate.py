"""The learning rate of a fit: a number, or one that is calibrated first."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qbeconometrics.exceptions import (
    CalibrationWarning,
    OptionError,
    check_choice,
    refuse_unknown_keywords,
)
from qbeconometrics.models.fit_options import check_learning_rate
from qbeconometrics.results.calibration import LearningRateCalibration

if TYPE_CHECKING:
    from qbeconometrics.models.linear_moments import LinearMomentsModel
    from qbeconometrics.models.lp_model import ProjectionModel
    from qbeconometrics.models.user_moments import UserMoments


def settled_rate(
    model: LinearMomentsModel | ProjectionModel | UserMoments,
    learning_rate: float | str,
    calibration_kwds: Mapping[str, Any] | None,
    rng: Any,
    fit_kwds: Mapping[str, Any] | None = None,
    alpha: float = 0.05,
) -> tuple[float, LearningRateCalibration | None]:
    """Return a rate, and the calibration that it is from, if it is.

    Parameters
    ----------
    model : LinearMomentsModel, ProjectionModel or UserMoments
    learning_rate : float or "calibrate"
    calibration_kwds : dict, optional
        Of `calibrate_learning_rate`.
    rng : int, SeedSequence, BitGenerator, Generator or None
        Of the fit; `calibration_kwds` may have another.
    fit_kwds : dict, optional
        Options of the fit that the calibration is for; None for a loss.
    alpha : float
        Of the calibration, unless `calibration_kwds` has another.

    Raises
    ------
    OptionError

    Warns
    -----
    CalibrationWarning
        If the calibration did not converge.
    """
    if not isinstance(learning_rate, str):
        if calibration_kwds is not None:
            raise OptionError('calibration_kwds belongs to learning_rate="calibrate"')
        return check_learning_rate(learning_rate), None
    # The models are built from what this module serves.
    from qbeconometrics.models.calibration import CALIBRATION_KEYWORDS, calibrate_learning_rate

    check_choice(learning_rate, ("calibrate",), "learning_rate")
    given = dict(calibration_kwds or {})
    known = [word for word in CALIBRATION_KEYWORDS if word not in ("model", "fit_kwds")]
    refuse_unknown_keywords(given, known, "calibration_kwds")
    found = calibrate_learning_rate(
        model, **{"rng": rng, "alpha": alpha, **given}, fit_kwds=fit_kwds
    )
    if found.status != "converged":
        warnings.warn(found.message, CalibrationWarning, stacklevel=4)
    return found.learning_rate, found
