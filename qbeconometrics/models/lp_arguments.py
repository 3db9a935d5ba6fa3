"""Arguments of local projections: which go together, and the covariance they imply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qbeconometrics.exceptions import OptionError, check_choice
from qbeconometrics.inputs.projection_design import ProjectionDesign
from qbeconometrics.inputs.time_order import check_time_order
from qbeconometrics.moments.covariance import parse_covariance
from qbeconometrics.moments.projection import LongRunRule, ProjectionMoments, long_run_rule
from qbeconometrics.moments.projection_full import STRUCTURES

SAMPLERS = ("auto", "independent", "gibbs", "da", "hmc")
QUASI_LIKELIHOODS = ("two-step", "cue")
COV_TYPES = ("HC0", "HC1", "HAC")
FORMULA_KEYWORDS = (
    "horizon", "lag_augmentation", "response", "multiplier", "state", "trend", "sample",
    "partial_out", "prior", "eval_env",
)  # fmt: skip
FIT_KEYWORDS = (
    "sampler", "draws", "tune", "chains", "cores", "rng", "quasi_likelihood", "cov_type",
    "cov_kwds", "learning_rate", "weight_iterations", "structure", "sampler_kwds",
    "calibration_kwds", "progressbar",
)  # fmt: skip


def flag(value: Any, argument: str) -> bool:
    """Return True or False, else raise `OptionError`."""
    if not isinstance(value, (bool, np.bool_)):
        raise OptionError(f"{argument}={value!r} must be True or False")
    return bool(value)


def settle_structure(
    structure: str | float | None,
    *,
    partial_out: bool,
    quasi_likelihood: str,
    weight_iterations: int,
    cov_type: str,
) -> str | float:
    """Return the structure of S where the controls' coefficients are sampled too.

    Raises
    ------
    OptionError
        If it is given where S needs none, or does not go with the other options.
    """
    if partial_out:
        if structure is not None:
            raise OptionError("structure is for partial_out=False; with partial_out=True S is full")
        return "kronecker"
    if quasi_likelihood != "two-step" or weight_iterations > 1:
        raise OptionError(
            "partial_out=False takes quasi_likelihood='two-step' and weight_iterations=1"
        )
    share = isinstance(structure, float) and 0.0 < structure < 1.0
    if structure is not None and not share:
        check_choice(structure, STRUCTURES, "structure")
    structure = "kronecker" if structure is None else structure
    if structure == "kronecker" and cov_type == "HAC":
        raise OptionError(
            "structure='kronecker' takes errors as serially uncorrelated given the controls; with "
            "cov_type='HAC' use 'block-diagonal' or a share between 0 and 1"
        )
    return structure


def settle_sampler(sampler: str, quasi_likelihood: str, *, normal: bool) -> str:
    """Return the sampler of a fit; `normal` where a fixed weight makes the quasi-posterior so.

    Raises
    ------
    OptionError
        If the one that was asked for does not apply.
    """
    known: tuple[str, ...]
    if quasi_likelihood == "cue":
        known, reason = ("da", "hmc"), "re-evaluates S at every path"
    elif normal:
        known, reason = ("independent",), "is exactly normal with this prior and drawn directly"
    else:
        known, reason = ("gibbs",), "is normal given the smoothing parameters and drawn by turns"
    if sampler == "auto":
        return known[0]
    if sampler not in known:
        raise OptionError(
            f"sampler={sampler!r} does not apply: quasi_likelihood={quasi_likelihood!r} {reason}; "
            f"use 'auto' or {' or '.join(map(repr, known))}"
        )
    return sampler


def settle_sampler_kwds(
    sampler: str, sampler_kwds: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """Return the keywords of "hmc"; the other samplers of local projections have none.

    Raises
    ------
    OptionError
    """
    if sampler != "hmc" and sampler_kwds:
        raise OptionError(
            f"sampler_kwds={sampler_kwds!r} does not apply to sampler={sampler!r}; "
            "'target_accept' and 'length' are for sampler='hmc'"
        )
    return sampler_kwds


def check_model_options(
    *,
    partial_out: bool,
    multiplier: bool,
    lag_augmentation: bool,
    response: str,
    has_instrument: bool,
) -> None:
    """Refuse arguments that do not go together.

    Raises
    ------
    OptionError
    """
    flag(partial_out, "partial_out")
    augmented = flag(lag_augmentation, "lag_augmentation")
    if not flag(multiplier, "multiplier"):
        return
    if not has_instrument:
        raise OptionError(
            "multiplier=True needs an instrument: the cumulated shock holds future values"
        )
    if response == "long-difference":
        raise OptionError("multiplier=True cumulates levels; leave response='level'")
    if augmented:
        raise OptionError(
            "multiplier=True excludes lag augmentation: the cumulated regressor holds future "
            "shocks, so the scores are serially correlated whatever lags are added. Pass "
            "lag_augmentation=False, which makes the covariance HAC"
        )


def settle_covariance(
    design: ProjectionDesign,
    moments: ProjectionMoments,
    cov_type: str | None,
    cov_kwds: Mapping[str, Any] | None,
    *,
    augmented: bool,
) -> LongRunRule:
    """Return the covariance of a fit: by default the outer product where it is valid, else HAC.

    Parameters
    ----------
    design : ProjectionDesign
    moments : ProjectionMoments
    cov_type, cov_kwds
        As the user gave them.
    augmented : bool
        Whether the controls hold one lag more than the dynamics have.

    Raises
    ------
    OptionError, InputError
    """
    outer = augmented and design.has_lags and not design.cumulated_regressor
    rule = parse_covariance(("HC1" if outer else "HAC") if cov_type is None else cov_type, cov_kwds)
    check_choice(rule.cov_type, COV_TYPES, "cov_type")
    if rule.cov_type != "HAC" and design.cumulated_regressor:
        raise OptionError(
            f"cov_type={rule.cov_type!r} is not valid with a cumulated regressor, which holds "
            "future shocks: use 'HAC'"
        )
    if rule.cov_type == "HAC":
        used = design.used
        check_time_order(None if design.labels is None else design.labels[used], used)
        if "maxlags" not in (cov_kwds or {}):
            # One number for all horizons: their own would have no joint law.
            most = min(design.horizons[-1], moments.nobs - 1)
            rule = parse_covariance("HAC", {**(cov_kwds or {}), "maxlags": most})
    return long_run_rule(moments, rule)
