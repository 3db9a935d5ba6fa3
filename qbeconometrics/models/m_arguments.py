"""Checks of the arguments of models of a loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from qbeconometrics import losses
from qbeconometrics.exceptions import LossFunctionError, OptionError
from qbeconometrics.inputs.design import LinearDesign
from qbeconometrics.losses import Loss
from qbeconometrics.moments.covariance import CovarianceRule, parse_covariance
from qbeconometrics.posterior.resolved_prior import DataScale, data_scale

POSTERIORS = ("q", "gibbs")
# How S is estimated where the scores are not linear in the parameters.
SCORE_RULES = ("HC0", "HC1")


def check_loss(loss: object, design: LinearDesign) -> Loss:
    """Return the loss, if it is one and is for this outcome.

    Raises
    ------
    OptionError
        If it is no loss.
    InputError
        If the outcome is not one that it is for.
    LossFunctionError
        If a user-written loss raises, or returns what cannot be used.
    """
    if isinstance(loss, type) and issubclass(loss, Loss):
        raise OptionError(f"loss={loss.__name__} is a class; write loss=losses.{loss.__name__}()")
    if not isinstance(loss, Loss):
        names = ", ".join(name for name in losses.__all__ if name not in ("Custom", "Loss"))
        raise OptionError(
            f"loss={loss!r} is not a loss; use one of qbeconometrics.losses ({names}), or "
            "losses.Custom(value, score)"
        )
    loss.check_endog(design.endog, design.endog_name)
    _try_out(loss, design)
    return loss


def _try_out(loss: Loss, design: LinearDesign) -> None:
    """Call the loss once, at an index that it should be able to take."""
    middle = design.endog_mean if loss.on_outcome_scale else loss.centre(design.endog)
    index = np.full(len(design.endog), middle)
    index.flags.writeable = False
    which = ["value", "score"] + (["curvature"] if loss.has_curvature else [])
    with np.errstate(all="ignore"):
        for name in which:
            found = getattr(loss, name)(design.endog, index)
            bad = ~np.isfinite(found)
            if bad.any():
                row = int(np.argmax(bad))
                raise LossFunctionError(
                    f"{name} of the loss {loss.label!r} is NaN or infinite for {bad.sum()} of "
                    f"{len(bad)} rows where the index is {middle:.6g} (first in row {row}, with "
                    f"endog {design.endog[row]:.6g})"
                )


def prior_scale(loss: Loss, design: LinearDesign) -> DataScale:
    """Return the scale of the default prior: the outcome's, or that of an index of its own."""
    scale = data_scale(design)
    if loss.on_outcome_scale:
        return scale
    return replace(
        scale,
        endog_mean=loss.centre(design.endog),
        endog_sd=1.0,
        endog_root_mean_square=1.0,
        in_outcome_units=False,
    )


def score_rule(cov_type: str, cov_kwds: Mapping[str, Any] | None) -> CovarianceRule:
    """Return the covariance rule of scores that are not linear in the parameters.

    Raises
    ------
    OptionError
    """
    rule = parse_covariance(cov_type, cov_kwds)
    if rule.cov_type not in SCORE_RULES:
        raise OptionError(
            f"cov_type={cov_type!r} is for the squared loss, whose scores are linear; with other "
            f"losses use {' or '.join(map(repr, SCORE_RULES))}"
        )
    return rule


def refuse_moment_options(
    quasi_likelihood: object, cov_type: object, cov_kwds: object, weight_matrix: object
) -> None:
    """Refuse what a Gibbs posterior has no use for.

    Raises
    ------
    OptionError
        Naming the arguments.
    """
    given = {
        "quasi_likelihood": quasi_likelihood,
        "cov_kwds": cov_kwds,
        "weight_matrix": weight_matrix,
    }
    named = [name for name, value in given.items() if value is not None]
    if not (isinstance(cov_type, str) and cov_type == "HC0"):
        named.append(f"cov_type={cov_type!r}")
    if named:
        raise OptionError(
            f"posterior='gibbs' takes no {', '.join(named)}: it is made of the loss and has no "
            "moments whose covariance would be estimated; use posterior='q'"
        )
