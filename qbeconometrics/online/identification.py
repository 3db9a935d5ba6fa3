"""Can the data tell the two effects from each other, and what do they say if they hardly can?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, chdtri

from qbeconometrics.diagnostics.acceptance_sets import Intervals, ScoreLine, middles
from qbeconometrics.diagnostics.concentrated_moments import quadratic_forms
from qbeconometrics.diagnostics.convergence import check_probability
from qbeconometrics.diagnostics.overidentification import JStatistic
from qbeconometrics.diagnostics.projected_sets import projected_set
from qbeconometrics.diagnostics.rank_test import RankTest, rank_test
from qbeconometrics.exceptions import IdentificationError, InputError
from qbeconometrics.online.closed_form import WEAK, null_vector
from qbeconometrics.online.effect_moments import EffectMoments
from qbeconometrics.online.inference import EffectEstimate, estimate_effects

FloatArray = NDArray[np.float64]

# The rank statistic over its degrees of freedom has to exceed this, as a first-stage F does.
LEAST_STRENGTH = 10.0

# Values of the other effect at which the least statistic is looked for.
INNER_POINTS = 60


def effects_rank_test(moments: EffectMoments) -> RankTest:
    """Test that the moments leave a curve of effects unidentified: that Pi has rank one.

    Parameters
    ----------
    moments : EffectMoments
        Of instruments that were trained on earlier rows or folds. With instruments of heads that
        saw the same rows the test rejects too often, and so it does, to a lesser degree, if each
        fold is in turn the one that trains and the one that is tested.

    Returns
    -------
    RankTest
        Chi-squared with 2 (m - 1) degrees of freedom.

    Notes
    -----
    E(w q') = Pi with q = (u1 u2, u1^2, u2^2) has rank one, whatever the functions w of x are, if
    the covariance of u given x is h(x) Sigma: constant variances are the case of constant h. The
    columns of u are in units of their sizes, the instruments in units of their noise.
    """
    scaled, _ = moments.standardised()
    covariance = scaled.covariance.transpose(0, 2, 1, 3) / scaled.n
    return rank_test(scaled.mean, covariance, 1)


@dataclass(frozen=True, slots=True)
class Identification:
    """Whether the effects are identified well enough for estimates and standard errors.

    Attributes
    ----------
    weakly_identified : bool
    rank : RankTest
    reasons : tuple of str
        Why it is weak, in words; empty if it is not.
    """

    weakly_identified: bool
    rank: RankTest
    reasons: tuple[str, ...]


def judge_identification(estimate: EffectEstimate, moments: EffectMoments) -> Identification:
    """Return whether to trust the estimate.

    Weak if the rank statistic is at most 10 times its degrees of freedom, or the moments have no
    real solution. The first is far stricter than the test: for two instruments, data that do not
    identify the effects pass with a probability below 0.0001. What passes is strong enough for the
    normal approximation, which a statistic near the critical value of the test is not.

    Parameters
    ----------
    estimate : EffectEstimate
    moments : EffectMoments
        Of instruments as in `effects_rank_test`.
    """
    rank = effects_rank_test(moments)
    reasons = []
    if not rank.value > LEAST_STRENGTH * rank.df:
        reasons.append(
            f"the ratio of the two error variances hardly moves with x: rank statistic "
            f"{rank.value:.1f}, needed is more than {LEAST_STRENGTH * rank.df:.0f}"
        )
    if estimate.status == WEAK:
        reasons.append("the moments have no real solution")
    return Identification(bool(reasons), rank, tuple(reasons))


def overidentification(moments: EffectMoments) -> JStatistic:
    """Hansen's J: are the errors uncorrelated whatever x is?

    Parameters
    ----------
    moments : EffectMoments
        Of three or more instruments. With the constant among them a common shock of constant
        variance is seen too.

    Returns
    -------
    JStatistic
        The continuously updated criterion at its minimum; m - 2 degrees of freedom.

    Raises
    ------
    IdentificationError
        If there are two instruments.

    References
    ----------
    Hansen, L. P. (1982). Large sample properties of generalized method of moments estimators.
    Econometrica 50, 1029-1054.
    """
    m = moments.n_instruments
    if m < 3:
        raise IdentificationError("the over-identification test needs three or more instruments")
    return JStatistic.of(estimate_effects(moments).criterion, m - 2)


def robust_pvalues(moments: EffectMoments, params: ArrayLike) -> FloatArray:
    """Return p-values of effects (points, 2) that hold however weak the identification is.

    Chi-squared(m) for n g'S^-1 g with g = mean(w e1 e2), the S statistic of Stock and Wright
    (2000); see `robust_set`.
    """
    return np.asarray(
        chdtrc(moments.n_instruments, moments.criterion(null_vector(np.atleast_2d(params))))
    )


@dataclass(frozen=True, slots=True)
class RobustSet:
    """Effects that the test of E(w e1 e2) = 0 does not reject.

    Attributes
    ----------
    b12, b21 : list of tuple of float
        Projections of the joint set within |b12 b21| < 1 onto each effect: intervals in order, none
        if the moments contradict every value.
    alpha : float
    """

    b12: Intervals
    b21: Intervals
    alpha: float


def robust_set(moments: EffectMoments, *, alpha: float = 0.05) -> RobustSet:
    """Invert the test of all moments at once over |b12 b21| < 1.

    Parameters
    ----------
    moments : EffectMoments
        Of instruments as in `effects_rank_test`.
    alpha : float, optional
        One minus the level of the joint set; the projections cover at least as often.

    Returns
    -------
    RobustSet

    Notes
    -----
    At a given value of one effect the moments are linear in the other one, so that the question
    whether any is accepted is answered by the roots of a polynomial. The ends are bisected between
    240 angles of arctan(b12), local minima between them and the estimate.

    Both labels of the errors give the same statistic, so that the set within |b12 b21| < 1 says
    everything.

    References
    ----------
    Dufour, J.-M. and Taamouti, M. (2005). Projection-based statistical inference in linear
    structural models with possibly weak instruments. Econometrica 73, 1351-1365.

    Stock, J. H. and Wright, J. H. (2000). GMM with weak identification. Econometrica 68, 1055-1096.
    """
    alpha = check_probability(alpha, "alpha")
    critical = float(chdtri(moments.n_instruments, alpha))
    scaled, sizes = moments.standardised()
    estimate = estimate_effects(moments).params
    units = (float(sizes[0] / sizes[1]), float(sizes[1] / sizes[0]))
    found = []
    for section, unit, value in zip(
        (_Section(scaled, critical, 1), _Section(scaled, critical, 0)), units, estimate, strict=True
    ):
        known = [float(value)] if np.isfinite(value) else []
        found.append(projected_set(section.accepted, section.least, unit, known))
    return RobustSet(found[0], found[1], alpha)


def region_slices(
    moments: EffectMoments, b12: ArrayLike, *, alpha: float = 0.05
) -> list[Intervals]:
    """Return, at each value of b12, the b21 with |b12 b21| < 1 that are not rejected.

    Parameters
    ----------
    moments : EffectMoments
    b12 : array_like, shape (points,)
    alpha : float, optional

    Returns
    -------
    list of list of tuple of float
        What a picture of the joint set of `robust_set` is drawn from.
    """
    alpha = check_probability(alpha, "alpha")
    values = np.atleast_1d(np.asarray(b12, dtype=np.float64))
    if not np.isfinite(values).all():
        raise InputError("b12 must be finite numbers")
    critical = float(chdtri(moments.n_instruments, alpha))
    scaled, sizes = moments.standardised()
    unit = float(sizes[0] / sizes[1])
    section = _Section(scaled, critical, 1)
    return [
        [(low / unit, high / unit) for low, high in section.pieces(float(np.arctan(value / unit)))]
        for value in values
    ]


@dataclass(frozen=True, slots=True)
class _Section:
    """The statistic along the other effect t at a fixed effect b = tan(angle), variables scaled.

    (1 + b t, -t, -b) cos(angle) = start - t ahead for b = b12; the last two exchanged for b21.
    """

    moments: EffectMoments
    critical: float
    place: int

    def line(self, angle: float) -> tuple[ScoreLine, float]:
        """The statistic as a function of t, and the bound of |t|."""
        cosine, sine = np.cos(angle), np.sin(angle)
        own, other = (2, 1) if self.place == 1 else (1, 2)
        ends = np.zeros((3, 2))
        ends[0, 0], ends[own, 0] = cosine, -sine
        ends[0, 1], ends[other, 1] = -sine, cosine
        pairs = np.einsum("ac,bd,abjk->cdjk", ends, ends, self.moments.covariance)
        bound = cosine / abs(sine) if sine != 0.0 else np.inf
        return ScoreLine(self.moments.mean @ ends, pairs, self.moments.n, self.critical), bound

    def pieces(self, angle: float) -> Intervals:
        """Values of t that are accepted."""
        line, bound = self.line(angle)
        line, scale = line.rescaled()
        limit = bound / scale
        changes = [float(t) for t in line.candidates() if abs(t) < limit]
        nodes = [-limit, *changes, limit]
        if np.isfinite(limit):
            tried = [(low + high) / 2.0 for low, high in pairwise(nodes)]
        else:
            tried = middles(np.array(changes)) if changes else [0.0]
        found: Intervals = []
        for (low, high), t in zip(pairwise(nodes), tried, strict=True):
            kept = line.excess(t) <= 0.0
            if kept and found and found[-1][1] == low * scale:
                found[-1] = (found[-1][0], high * scale)
            elif kept:
                found.append((low * scale, high * scale))
        return found

    def accepted(self, angle: float) -> bool:
        """Whether any t is accepted."""
        return bool(self.pieces(angle))

    def least(self, angle: float) -> float:
        """Least statistic over a grid of t, whose tangents are equally spaced."""
        line, bound = self.line(angle)
        turns = np.linspace(-1.0, 1.0, INNER_POINTS + 2)[1:-1] * np.arctan(bound)
        t = np.tan(turns)
        points = np.column_stack([np.ones_like(t), -t])
        g = points @ line.cross.T
        S = np.einsum("pc,pd,cdjk->pjk", points, points, line.covariance)
        values = line.n * quadratic_forms(S, g)
        return float(np.where(np.isfinite(values), values, 0.0).min())
