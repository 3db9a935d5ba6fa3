"""Where on a line a ratio of polynomials stays below a critical value: unions of intervals."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigvals
from scipy.optimize import brentq

from qbeconometrics.diagnostics.concentrated_moments import quadratic_forms

FloatArray = NDArray[np.float64]
Intervals = list[tuple[float, float]]

# Eigenvalues whose imaginary part is smaller than this share of their size are candidates for
# ends; those that are none are dropped, since the statistic is the same on both sides.
NEARLY_REAL = 1e-4

WHOLE_LINE: Intervals = [(-np.inf, np.inf)]


def quadratic_set(form: FloatArray) -> Intervals:
    """Return the values b with v'Fv <= 0 for v = (1, -b).

    Parameters
    ----------
    form : ndarray, shape (2, 2)
        F, symmetric.

    Examples
    --------
    >>> quadratic_set(np.diag([-4.0, 1.0]))
    [(-2.0, 2.0)]
    >>> quadratic_set(np.diag([4.0, -1.0]))
    [(-inf, -2.0), (2.0, inf)]
    """
    constant, half, square = float(form[0, 0]), -float(form[0, 1]), float(form[1, 1])
    discriminant = half**2 - square * constant
    if discriminant < 0.0:
        return WHOLE_LINE.copy() if square < 0.0 else []
    if square == 0.0:
        if half == 0.0:
            return WHOLE_LINE.copy() if constant <= 0.0 else []
        end = -constant / (2.0 * half)
        return [(-np.inf, end)] if half > 0.0 else [(end, np.inf)]
    # The root of larger size first: the other one from their product, without cancellation.
    large = -(half + np.copysign(np.sqrt(discriminant), half))
    roots = sorted([float(large / square), float(constant / large) if large != 0.0 else 0.0])
    if square > 0.0:
        return [(roots[0], roots[1])]
    return [(-np.inf, roots[0]), (roots[1], np.inf)]


def profiled_quadratic_set(form: FloatArray, position: int) -> Intervals:
    """Return the values of one coefficient for which v'Fv <= 0 at some values of the others.

    The projection of a quadric (following Dufour and Taamouti 2005, Econometrica 73, 1351-1365).

    Parameters
    ----------
    form : ndarray, shape (p + 1, p + 1)
        F, symmetric; v = (1, -b).
    position : int
        Of the coefficient among the p.
    """
    own = [0, position + 1]
    others = [j for j in range(1, len(form)) if j != position + 1]
    if not others:
        return quadratic_set(form)
    block = form[np.ix_(others, others)]
    scale = np.sqrt(np.maximum(np.abs(np.diag(block)), np.finfo(np.float64).tiny))
    if np.linalg.eigvalsh(block / np.outer(scale, scale))[0] <= 0.0:
        # The others can take v'Fv to minus infinity whatever the coefficient is.
        return WHOLE_LINE.copy()
    cross = form[np.ix_(others, own)]
    return quadratic_set(form[np.ix_(own, own)] - cross.T @ np.linalg.solve(block, cross))


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """The statistic n g'S^-1 g on a line: g = cross v, S = sum v_a v_b covariance_ab, v = (1, -b).

    Attributes
    ----------
    cross : ndarray, shape (l, 2)
    covariance : ndarray, shape (2, 2, l, l)
    n : int
    critical : float
    """

    cross: FloatArray
    covariance: FloatArray
    n: int
    critical: float

    def excess(self, b: float) -> float:
        """Statistic less critical value; negative where S is no covariance: nothing is rejected."""
        covariance = self.covariance
        S = covariance[0, 0] - b * (covariance[0, 1] + covariance[1, 0]) + b**2 * covariance[1, 1]
        g = self.cross[:, 0] - b * self.cross[:, 1]
        value = self.n * quadratic_forms(S[None], g[None])[0]
        return float(value - self.critical) if np.isfinite(value) else -self.critical

    def candidates(self) -> FloatArray:
        """All b where the sign of `excess` may change, in order; some may be no ends."""
        return _candidate_ends(self.cross, self.covariance, self.n, self.critical)

    def rescaled(self) -> tuple[ScoreLine, float]:
        """The line in b / scale, so that both parts of S are of one size, and the scale."""
        covariance = self.covariance
        scale = np.sqrt(np.trace(covariance[0, 0]) / max(np.trace(covariance[1, 1]), 1e-300))
        scale = float(scale) if np.isfinite(scale) and scale > 0.0 else 1.0
        units = np.array([1.0, scale])
        covariance = covariance * np.multiply.outer(units, units)[:, :, None, None]
        return ScoreLine(self.cross * units, covariance, self.n, self.critical), scale


def score_set(cross: FloatArray, covariance: FloatArray, n: int, critical: float) -> Intervals:
    """Return the values b with n g'S^-1 g <= critical; arguments as in `ScoreLine`.

    The ends solve det(critical S - n g g') = 0, a quadratic eigenvalue problem.
    """
    line, scale = ScoreLine(cross, covariance, n, critical).rescaled()
    candidates = line.candidates()
    if len(candidates) == 0:
        return WHOLE_LINE.copy() if line.excess(0.0) <= 0.0 else []
    tried = middles(candidates)
    inside = [line.excess(middle) <= 0.0 for middle in tried]
    ends = [-np.inf] if inside[0] else []
    for place in range(len(candidates)):
        if inside[place] != inside[place + 1]:
            # Polished, since eigenvalues lose digits where the polynomial is of high degree.
            end = brentq(line.excess, tried[place], tried[place + 1], xtol=1e-14, rtol=1e-14)
            ends.append(float(end) * scale)
    if inside[-1]:
        ends.append(np.inf)
    return list(zip(ends[::2], ends[1::2], strict=True))


def accepts_somewhere(line: ScoreLine) -> bool:
    """Whether any b, infinity included, is not rejected."""
    line, _ = line.rescaled()
    candidates = line.candidates()
    tried = middles(candidates) if len(candidates) else [0.0]
    return any(line.excess(middle) <= 0.0 for middle in tried)


def middles(candidates: FloatArray) -> list[float]:
    """Return one point before, one between each two, and one after."""
    spread = max(float(np.ptp(candidates)), float(np.abs(candidates).max()), 1e-8)
    return [
        float(candidates[0]) - spread,
        *(float(low + high) / 2.0 for low, high in pairwise(candidates)),
        float(candidates[-1]) + spread,
    ]


def _candidate_ends(
    cross: FloatArray, covariance: FloatArray, n: int, critical: float
) -> FloatArray:
    """Nearly real b with det(critical S - n g g') = 0, or det S = 0, in order."""
    L = len(cross)
    b, a = cross.T
    middle = covariance[0, 1] + covariance[1, 0]
    constant = critical * covariance[0, 0] - n * np.outer(b, b)
    linear = -critical * middle + n * (np.outer(b, a) + np.outer(a, b))
    square = critical * covariance[1, 1] - n * np.outer(a, a)
    found = [_quadratic_eigenvalues(constant, linear, square)]
    positive = np.block(
        [[covariance[0, 0], covariance[0, 1]], [covariance[1, 0], covariance[1, 1]]]
    )
    if np.linalg.eigvalsh((positive + positive.T) / 2.0)[0] < -1e-12 * np.trace(positive) / L:
        # Two-way clustered, so that S may cease to be a covariance somewhere.
        found.append(_quadratic_eigenvalues(covariance[0, 0], -middle, covariance[1, 1]))
    values = np.concatenate(found)
    values = values[np.isfinite(values)]
    return np.sort(values[np.abs(values.imag) <= NEARLY_REAL * np.abs(values)].real)


def _quadratic_eigenvalues(
    constant: FloatArray, linear: FloatArray, square: FloatArray
) -> NDArray[np.complex128]:
    """All b with det(constant + b linear + b^2 square) = 0, infinite ones among them."""
    order = len(constant)
    zero, one = np.zeros((order, order)), np.eye(order)
    size = max(float(np.linalg.norm(constant)), float(np.linalg.norm(square)), 1e-300)
    left = np.block([[zero, one], [-constant / size, -linear / size]])
    right = np.block([[one, zero], [zero, square / size]])
    with np.errstate(all="ignore"):
        return np.asarray(eigvals(left, right))
