"""What results say of a learning rate that was calibrated."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from qbeconometrics.exceptions import CalibrationWarning
from qbeconometrics.results.calibration import LearningRateCalibration
from qbeconometrics.results.posterior_results import PosteriorResults


class CalibratedResults(PosteriorResults):
    """Results that may come with the calibration of their learning rate; not used directly."""

    calibration: LearningRateCalibration | None = None

    def conf_int(self, alpha: float = 0.05, method: str = "eti") -> pd.DataFrame:
        """Credible intervals, as of ``PosteriorResults``.

        Warns
        -----
        CalibrationWarning
            If the learning rate was calibrated for another level.
        """
        self._warn_of_level(alpha)
        return super().conf_int(alpha, method)

    def _warn_of_level(self, alpha: float) -> None:
        found = self.calibration
        if found is not None and not np.isclose(alpha, found.alpha):
            warnings.warn(
                f"the learning rate was calibrated for alpha={found.alpha:g}, not for "
                f"alpha={alpha:g}: fit again with calibration_kwds={{'alpha': {alpha:g}}}",
                CalibrationWarning,
                stacklevel=3,
            )
