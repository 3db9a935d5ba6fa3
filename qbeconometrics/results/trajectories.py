"""What divergent trajectories of the no-U-turn sampler say of a fit."""

from __future__ import annotations

import numpy as np

from qbeconometrics.exceptions import ConvergenceWarning
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.reliability import Finding

# Givens angles have some divergences at their poles, where the density vanishes.
LARGEST_DIVERGENT_SHARE = 0.002


def divergence_findings(record: FitRecord) -> list[Finding]:
    """Judge trajectories by the share that diverged."""
    divergent = int(np.sum(record.sampler_stats["divergent"]))
    if divergent <= LARGEST_DIVERGENT_SHARE * record.draws[..., 0].size:
        return []
    return [
        Finding(
            ConvergenceWarning,
            f"{divergent} of {record.draws[..., 0].size} trajectories diverged: steps are too long "
            "for some part of the posterior. Raise target_accept (now "
            f"{record.sampler_settings['target_accept']:g}), increase tune, or use another "
            "parameterization.",
        )
    ]
