"""What makes a fit unreliable, said once: as a warning and in the notes of the summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.diagnostics.convergence import is_constant
from qbeconometrics.exceptions import (
    ConvergenceWarning,
    NumericalWarning,
    QBEconometricsWarning,
    WeakInstrumentWarning,
)
from qbeconometrics.results.fit_record import FitRecord

FloatArray = NDArray[np.float64]

# Vehtari et al. (2021): R-hat below 1.01 and 100 effective draws for each of four chains.
LARGEST_RHAT = 1.01
SMALLEST_ESS = 400
SMALLEST_ACCEPTANCE = 0.05
LARGEST_ACCEPTANCE = 0.8
# A high rate is a fault only where it means steps that are too short.
RANDOM_WALK_SAMPLERS = frozenset({"rwm", "da"})
LARGEST_NONFINITE_SHARE = 0.01
# Rule of thumb of Staiger and Stock (1997, Econometrica 65(3), 557-586).
SMALLEST_F = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason for caution.

    Attributes
    ----------
    category : type
        Warning class.
    sentence : str
        What was found and what to do.
    """

    category: type[QBEconometricsWarning]
    sentence: str


@dataclass(frozen=True, slots=True)
class InstrumentStrength:
    """The first-stage statistic that is reported.

    Attributes
    ----------
    statistic : str
        Its name.
    value : float
        The smallest over endogenous regressors.
    regressors : tuple of str
        Names of the endogenous regressors that it refers to.
    """

    statistic: str
    value: float
    regressors: tuple[str, ...]


def instrument_strength(first_stage: pd.DataFrame) -> InstrumentStrength | None:
    """Choose the statistic of a first-stage table to report.

    The effective F; where it is missing, as with several endogenous regressors, the F of
    Kleibergen and Paap, which is common to all of them.

    Parameters
    ----------
    first_stage : DataFrame
        One row an endogenous regressor.

    Returns
    -------
    InstrumentStrength or None
        None if neither is available.
    """
    effective = first_stage["effective_f"].astype(float).dropna()
    if len(effective):
        weakest = (str(effective.idxmin()),)
        return InstrumentStrength("effective F", float(effective.min()), weakest)
    if "kleibergen_paap_f" in first_stage:
        joint = first_stage["kleibergen_paap_f"].astype(float).dropna()
        if len(joint):
            everything = tuple(map(str, first_stage.index))
            return InstrumentStrength("Kleibergen-Paap F", float(joint.min()), everything)
    return None


def convergence_findings(
    *,
    draws: FloatArray,
    param_names: Sequence[str],
    ess: FloatArray,
    rhat: FloatArray,
    alternative: str = "sampler",
) -> list[Finding]:
    """Judge chains by R-hat and effective sample sizes, naming the worst parameter.

    Parameters
    ----------
    draws : ndarray
        Shape (chain, draw, parameter).
    param_names : sequence of str
        Labels of the parameters.
    ess : ndarray
        Bulk and tail effective sample size, shape (parameter, 2).
    rhat : ndarray
        Shape (parameter,).
    alternative : str
        What another one may be used of.

    Returns
    -------
    list of Finding
        Empty, or one finding.
    """
    moving = ~np.asarray(is_constant(draws))
    if not moving.any():
        return [
            Finding(
                ConvergenceWarning,
                "No parameter moved: all draws are the same. Check the scale of the data and the "
                f"prior, or use another {alternative}.",
            )
        ]
    parts = []
    high = moving & (rhat > LARGEST_RHAT)
    if high.any():
        worst = int(np.argmax(np.where(high, rhat, -np.inf)))
        parts.append(
            f"R-hat is {rhat[worst]:.5g} for {param_names[worst]!r} "
            f"(above {LARGEST_RHAT} for {high.sum()} of {len(rhat)} parameters)"
        )
    smallest = ess.min(axis=1)
    low = moving & ~(smallest >= SMALLEST_ESS)
    if (moving & np.isnan(smallest)).any():
        parts.append("there are too few usable draws to judge convergence")
    elif low.any():
        worst = int(np.argmin(np.where(low, smallest, np.inf)))
        kind = "bulk" if ess[worst, 0] <= ess[worst, 1] else "tail"
        parts.append(
            f"the {kind} ESS is {smallest[worst]:.0f} for {param_names[worst]!r} "
            f"(below {SMALLEST_ESS} for {low.sum()} of {len(rhat)} parameters)"
        )
    if not parts:
        return []
    longer = f"Increase tune and draws, or use another {alternative}."
    remedy = longer if high.any() else "Increase draws."
    sentence = f"{'; '.join(parts)}. {remedy}"
    return [Finding(ConvergenceWarning, sentence[0].upper() + sentence[1:])]


def sampler_findings(record: FitRecord) -> list[Finding]:
    """Judge acceptance rates and the share of evaluations that were not finite."""
    found = []
    statistics = record.sampler_stats
    if not record.exact and "acceptance_rate" in statistics:
        rates = np.atleast_1d(np.asarray(statistics["acceptance_rate"], dtype=float))
        sentence = _acceptance_sentence(rates, record.sampler)
        if sentence:
            found.append(Finding(ConvergenceWarning, sentence))
    divergences = int(statistics.get("divergences", 0))
    if divergences:
        found.append(
            Finding(
                ConvergenceWarning,
                f"{divergences} trajectories of {record.sampler!r} diverged: its step is too long "
                "for some part of the quasi-posterior. Raise sampler_kwds['target_accept'], "
                f"increase tune, or use another {_alternative(record.sampler)}.",
            )
        )
    nonfinite = float(np.sum(statistics.get("nonfinite", 0)))
    evaluations = float(np.sum(statistics.get("evaluations", 0)))
    if "divergences" in statistics:
        # A trajectory ends at the first such point.
        evaluations = float(record.draws.shape[0] * record.draws.shape[1])
    if nonfinite > LARGEST_NONFINITE_SHARE * evaluations:
        found.append(
            Finding(
                NumericalWarning,
                f"The quasi-posterior was not finite at {nonfinite:.0f} of {evaluations:.0f} "
                "evaluations; these proposals were rejected. Check the scale of the data.",
            )
        )
    return found


def _alternative(sampler: str) -> str:
    return "parameterization" if sampler == "nuts" else "sampler"


def weak_instrument_findings(strength: InstrumentStrength | None) -> list[Finding]:
    """Judge the first stage; None if there is none."""
    if strength is None or not strength.value < SMALLEST_F:
        return []
    names = ", ".join(map(repr, strength.regressors))
    return [
        Finding(
            WeakInstrumentWarning,
            f"The instruments are weak: the {strength.statistic} is {strength.value:.3g} for "
            f"{names} (below {SMALLEST_F:.0f}), so the tails of the quasi-posterior follow the "
            "prior. See how the results move with the prior.",
        )
    ]


def _acceptance_sentence(rates: FloatArray, sampler: str) -> str:
    if rates.min() < SMALLEST_ACCEPTANCE:
        return (
            f"Chain {int(rates.argmin())} accepted {rates.min():.1%} of its proposals "
            f"(below {SMALLEST_ACCEPTANCE:.0%}). Increase tune, or use another sampler."
        )
    if sampler in RANDOM_WALK_SAMPLERS and rates.max() > LARGEST_ACCEPTANCE:
        return (
            f"Chain {int(rates.argmax())} accepted {rates.max():.1%} of its proposals "
            f"(above {LARGEST_ACCEPTANCE:.0%}): its steps are too short. Increase tune."
        )
    return ""
