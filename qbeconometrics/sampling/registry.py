"""Which samplers there are for a target."""

from __future__ import annotations

from collections.abc import Mapping

from qbeconometrics.exceptions import OptionError
from qbeconometrics.posterior.function_target import FunctionTarget
from qbeconometrics.posterior.projection_cue import CueTarget
from qbeconometrics.posterior.risk_target import RiskTarget
from qbeconometrics.posterior.smoothing import SmoothingTarget
from qbeconometrics.posterior.target import Target
from qbeconometrics.sampling.function_samplers import FUNCTION_SAMPLERS, RISK_SAMPLERS
from qbeconometrics.sampling.projection_samplers import PROJECTION_SAMPLERS
from qbeconometrics.sampling.samplers import SAMPLERS, Sampler


def samplers_for(target: Target) -> Mapping[str, Sampler]:
    """Return the samplers by name: compiled for linear moments, in Python for the others."""
    if isinstance(target, (SmoothingTarget, CueTarget)):
        return PROJECTION_SAMPLERS
    if isinstance(target, RiskTarget):
        return RISK_SAMPLERS
    return FUNCTION_SAMPLERS if isinstance(target, FunctionTarget) else SAMPLERS


def check_applies(target: Target, sampler: str) -> None:
    """Refuse a sampler that there is not for the target.

    Raises
    ------
    OptionError
    """
    known = samplers_for(target)
    if isinstance(target, RiskTarget) and sampler != "auto" and sampler not in known:
        raise OptionError(
            f"sampler={sampler!r} needs the covariance of moments, which the Gibbs posterior of "
            "this loss does not have; use 'rwm', 'hmc' or 'auto', or posterior='q'"
        )
    if sampler in SAMPLERS and sampler not in known:
        raise OptionError(
            f"sampler={sampler!r} is for linear moments; with moments of other forms use "
            f"'auto', {', '.join(map(repr, known))}"
        )
