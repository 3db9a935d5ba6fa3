"""What a search for a learning rate found, as a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2

from qbeconometrics.calibration.coverage import effective_sizes, weights_at
from qbeconometrics.calibration.problem import CalibratedProblem, CoverageCurve, Search
from qbeconometrics.calibration.weighted_particles import last_rate, root_within, window
from qbeconometrics.exceptions import NumericalError
from qbeconometrics.results.calibration import LearningRateCalibration

FloatArray = NDArray[np.float64]

# Coverage further than this from the level, at the rate where it crosses it, is a plateau.
LARGEST_JUMP = 0.025
CURVE_POINTS = 25
SEVERAL_ROOTS = (
    "The coverage falls to the level and rises above it again within the rates that were looked "
    'at: no rate stands out. Coverage of region="loss" never rises with the rate; use it.'
)
BATCHES = 4
# The fewest replications with an estimate that say anything.
FEWEST = 20
# Replications without an estimate are left out; with a larger share of them the rate is not good.
LARGEST_MISSING_SHARE = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """A problem, and the words and coordinates in which its solution is told.

    Attributes
    ----------
    problem : CalibratedProblem
    root : ndarray, shape (k, k)
        R of coefficients = estimate + R x.
    names : sequence of str
        Of the coefficients.
    loss : str
        What the rate multiplies.
    bootstrap : str
    remedy : str
        What to do where one rate does not suit all coefficients.
    missing : int
        Replications that have no estimate.
    remedy_of_missing : str
        What to do where they are many.
    """

    problem: CalibratedProblem
    root: FloatArray
    names: Sequence[str]
    loss: str
    bootstrap: str
    remedy: str
    missing: int = 0
    remedy_of_missing: str = (
        "Look for a dummy with few ones, or take a bootstrap with positive weights, "
        'bootstrap="multiplier".'
    )


def missing_replications(
    replications: int,
    usable: int,
    reason: str,
    remedy: str = 'bootstrap="multiplier" keeps all rows; else use fewer columns.',
) -> int:
    """Return how many replications have no estimate, for a reason that is said.

    Raises
    ------
    NumericalError
        If too few have one to say anything.
    """
    if usable < FEWEST:
        raise NumericalError(
            f"only {usable} of {replications} replications of the data have an estimate: {reason} "
            f"in the others. {remedy}"
        )
    return replications - usable


def calibration_report(
    calibrated: Calibrated, curve: CoverageCurve, search: Search, method: str
) -> LearningRateCalibration:
    """Return the result of a search."""
    problem, root = calibrated.problem, calibrated.root
    low, high = window(search.system)
    rates = np.geomspace(low, high, CURVE_POINTS)

    def sizes_at(rate: float) -> FloatArray:
        return effective_sizes(weights_at(search.system, rate)) * search.system.worth

    table = pd.DataFrame(
        {
            "learning_rate": rates,
            "coverage": [curve.coverage(search.system, rate) for rate in rates],
            "ess": [float(np.median(sizes_at(rate))) for rate in rates],
        }
    )
    coverage = curve.coverage(search.system, search.rate)
    status, message = _status(search, coverage, curve.level, calibrated)
    if status == "converged" and crossings(table["coverage"].to_numpy(), curve.level) > 1:
        status, message = "several-roots", SEVERAL_ROOTS
    spread = root @ problem.score_product @ root.T
    return LearningRateCalibration(
        learning_rate=search.rate,
        learning_rate_se=search.rate * _log_error(curve, search, problem, low, high),
        coverage=coverage,
        status=status,
        message=message,
        alpha=curve.region.alpha,
        region=curve.region.kind,
        method=method,
        bootstrap=calibrated.bootstrap,
        loss=calibrated.loss,
        passes=search.passes,
        bracket=(low, high),
        curve=table,
        ess=sizes_at(search.rate),
        particles=search.system.losses.shape[1],
        information_rate=problem.information_rate,
        implied_rates=pd.Series(
            np.diag(root @ root.T) / np.diag(spread), index=list(calibrated.names), name="rate"
        ),
        remedy=calibrated.remedy,
    )


def crossings(coverage: FloatArray, level: float) -> int:
    """Return how often a curve (n,) passes through the level."""
    sides = np.sign(np.round(coverage - level, 12))
    return int(np.count_nonzero(np.diff(sides[sides != 0.0])))


def _status(
    search: Search, coverage: float, level: float, calibrated: Calibrated
) -> tuple[str, str]:
    missing, replications = calibrated.missing, calibrated.problem.replications
    if missing > LARGEST_MISSING_SHARE * (missing + replications):
        return "too-few-replications", (
            f"{missing} of {missing + replications} replications of the data have no estimate, "
            "because columns are collinear in them, or the outcome separated; the coverage of the "
            f"others may mislead. {calibrated.remedy_of_missing}"
        )
    if search.at_bound:
        side = "stays below" if coverage < level else "stays above"
        return "no-root", (
            f"The coverage {side} {level:.3g} ({coverage:.3f}) over all learning rates that were "
            "looked at; the one reported is the last of them. A prior that is far from the "
            "estimate, or a loss without information, has this effect."
        )
    if abs(coverage - level) > LARGEST_JUMP:
        return "plateau", (
            f"The coverage jumps over {level:.3g}: at the learning rate reported it is "
            f"{coverage:.3f}. Losses with few values do this."
        )
    return "converged", f"The coverage is {coverage:.3f} at the learning rate reported."


def _log_error(
    curve: CoverageCurve, search: Search, problem: CalibratedProblem, low: float, high: float
) -> float:
    """Return the standard error of the log rate, from replications and from particles.

    The rate is a quantile over replications: half the distance of the rates at which coverage is
    one binomial standard error above and below the level (Woodruff 1952, JASA 47, 635-646). Where
    these rates are not both within reach the slope of a chi-square curve takes their place. The
    noise of particles is the spread of the rates that quarters of them give.
    """
    level = curve.level
    step = float(np.sqrt(level * (1.0 - level) / problem.replications))

    def last(share: float) -> float:
        return last_rate(lambda rate: curve.coverage(search.system, rate) >= share, low, high)

    first, second = last(min(level + step, 1.0)), last(level - step)
    if low < first < second < high:
        of_replications = float(np.log(second / first)) / 2.0
    else:
        df = 1 if curve.region.kind == "marginal" else problem.n_params
        quantile = chi2.ppf(level, df)
        of_replications = step / float(quantile * chi2.pdf(quantile, df))
    size = search.system.losses.shape[1] // BATCHES
    parts = [
        root_within(curve, search.system.part(slice(i * size, (i + 1) * size)), low, high)
        for i in range(BATCHES)
    ]
    of_particles = float(np.std(np.log(parts), ddof=1)) / np.sqrt(BATCHES)
    return float(np.hypot(of_replications, of_particles))
