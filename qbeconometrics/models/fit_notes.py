"""Errors and warnings about draws that a fit issues itself."""

from __future__ import annotations

import warnings

import numpy as np

from qbeconometrics.exceptions import InterruptedWarning, NumericalError, TailWarning
from qbeconometrics.inputs.design import LinearDesign
from qbeconometrics.posterior.nonlinear import NonlinearPosterior
from qbeconometrics.posterior.target import Posterior
from qbeconometrics.sampling.options import SampleOptions
from qbeconometrics.sampling.projection import ProjectionSample
from qbeconometrics.sampling.run import Sample

# Share of proposals at which a two-way clustered S may fail to be positive definite.
LARGEST_INDEFINITE_SHARE = 0.01

# A mode this close to the end of a uniform prior, in sds of the normal approximation, is at it.
AT_EDGE = 0.01

NO_INTERCEPT = (
    "The instruments hold a constant but the regressors do not: no intercept is estimated."
)
# Range of a constant column once its weights are divided out.
WEIGHTED_ROUNDING = 1e-12

# Posterior sds beyond this many of the normal approximation's are noted.
WIDE = 1.5


def refuse_indefinite_covariance(drawn: Sample, cov_type: str, also: str = "") -> None:
    """Refuse a clustered S that is often not positive definite, as two-way S may be.

    `also` says what else the rejections may be due to.

    Raises
    ------
    NumericalError
        With the number of proposals that were rejected for it.
    """
    rejected = int(np.sum(drawn.stats["nonfinite"]))
    proposed = drawn.draws.shape[0] * drawn.draws.shape[1]
    if cov_type == "cluster" and rejected > LARGEST_INDEFINITE_SHARE * proposed:
        raise NumericalError(
            f"the clustered covariance of the moments was {also}not positive definite at "
            f"{rejected} of {proposed} proposals; cluster one way, use fewer instruments, or "
            "quasi_likelihood='two-step'"
        )


def warn_if_interrupted(drawn: Sample | ProjectionSample, options: SampleOptions) -> None:
    """Say that Ctrl-C ended the run; the summary says so by itself."""
    if drawn.interrupted:
        warnings.warn(
            f"interrupted: kept {drawn.draws.shape[1]} of {options.draws} draws a chain",
            InterruptedWarning,
            stacklevel=4,
        )


def tail_notes(
    drawn: Sample, remedy: str = "Tighten the prior, or use quasi_likelihood='two-step'."
) -> list[str]:
    """Warn, and say in the summary, if the region far from the mode matters."""
    if drawn.tail is None or not drawn.tail.noticeable:
        return []
    sentence = (
        "The region far from the mode holds a noticeable share of the quasi-posterior (log ratio "
        f"{drawn.tail.log_ratio:.1f} to the mass around the mode): there the prior decides, not "
        f"the data. {remedy}"
    )
    warnings.warn(sentence, TailWarning, stacklevel=4)
    return [sentence]


def edge_notes(names: list[str], posterior: NonlinearPosterior) -> list[str]:
    """Warn, and say in the summary, if the mode is at the edge of a uniform prior."""
    prior, basis = posterior.prior, posterior.basis
    if prior.lower is None or prior.upper is None:
        return []
    mode = basis.to_params(posterior.modes[0].point)
    root = basis.regressor_map @ posterior.at_mode.root
    margin = AT_EDGE * np.sqrt(np.sum(root**2, axis=1))
    ends = np.where(mode - prior.lower < prior.upper - mode, prior.lower, prior.upper)
    at_edge = np.flatnonzero(np.abs(mode - ends) < margin)
    if not len(at_edge):
        return []
    where = ", ".join(f"{names[j]} = {ends[j]:.6g}" for j in at_edge)
    sentence = (
        f"The quasi-posterior is highest at the edge of the uniform prior ({where}): there the "
        "interval decides, not the data. Unless the parameter cannot lie beyond, use another "
        "prior, or another quasi_likelihood."
    )
    warnings.warn(sentence, TailWarning, stacklevel=3)
    return [sentence]


def intercept_notes(design: LinearDesign) -> list[str]:
    """Say that the instruments hold a constant which the equation does not have."""
    if design.constant is not None or design.instrument is design.exog or design.effects:
        return []
    if design.weighting is not None and design.weighting.repeats is None:
        root = np.sqrt(design.weighting.values)[:, None]
        constant = np.ptp(design.instrument / root, axis=0) < WEIGHTED_ROUNDING
        return [NO_INTERCEPT] if constant.any() else []
    if not design.has_constant_instrument:
        return []
    return [NO_INTERCEPT]


def absorption_notes(design: LinearDesign) -> list[str]:
    """Say what was absorbed, and how many rows the fixed effects fit exactly."""
    effects = design.effects
    if effects is None:
        return []
    found = [
        f"Fixed effects of {effects.description} were taken out of all columns: "
        f"{effects.df} coefficients, the constant among them."
    ]
    if effects.n_singletons:
        plural = "rows are" if effects.n_singletons != 1 else "row is"
        found.append(
            f"{effects.n_singletons} {plural} fitted exactly by the fixed effects (singletons): "
            "kept and counted in n, but they say nothing about the coefficients."
        )
    return found


def width_notes(names: list[str], posterior: Posterior, drawn: Sample) -> list[str]:
    """Say where the quasi-posterior is much wider than its normal approximation at the mode."""
    if drawn.exact:
        return []
    draws = posterior.basis.to_params(drawn.draws.reshape(-1, drawn.draws.shape[2]))
    root = posterior.basis.regressor_map @ drawn.surrogate.root
    ratio = draws.std(axis=0) / np.sqrt(np.sum(root**2, axis=1))
    widest = int(ratio.argmax())
    if not ratio[widest] > WIDE:
        return []
    return [
        f"Heavy tails: the posterior sd of {names[widest]!r} is {ratio[widest]:.1f} times that of "
        "the normal approximation at the mode. Read medians and intervals rather than means, and "
        "compare with quasi_likelihood='two-step'."
    ]
