"""Instruments that may have a small effect of their own on the outcome.

With ``y = X theta + Z2 gamma + u`` and gamma ~ N(0, tau^2 I), the moments at theta have mean
(Z'Z2/n) gamma. For a normal quasi-likelihood with S given, the integral over gamma only adds
n tau^2 (Z'Z2/n)(Z'Z2/n)' to S, so that every kernel serves as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.linear import (
    LinearMomentStatistic,
    pack_symmetric,
    residual_variance_matrix,
)


def add_direct_effects(
    statistic: LinearMomentStatistic,
    rule: CovarianceRule,
    *,
    instruments: Sequence[int],
    tau: float,
    learning_rate: float = 1.0,
) -> tuple[LinearMomentStatistic, CovarianceRule]:
    """Return a statistic whose S has the variance of the direct effects in it, and its rule.

    Parameters
    ----------
    statistic : LinearMomentStatistic
        With fourth-order sums if S is to be re-evaluated.
    rule : CovarianceRule
        Of the statistic. For "nonrobust" the new one is "HC0", with sums that make the same S.
    instruments : sequence of int
        Positions of those with an effect.
    tau : float
        Prior sd of each effect, per unit of the instrument.
    learning_rate : float
        Of the quasi-likelihood, which divides S.
    """
    n, m = statistic.n, statistic.m
    product = statistic.instrument_product / n
    loading = product @ np.linalg.solve(statistic.basis.instrument_map, np.eye(m))
    loading = loading[:, list(instruments)] * tau
    extra = learning_rate * n * loading @ loading.T
    if rule.cov_type == "nonrobust":
        variance = residual_variance_matrix(statistic, rule)
        fourth = np.outer(pack_symmetric(variance), pack_symmetric(n * product))
        statistic = replace(
            statistic, score_product=variance[0, 0] * n * product, fourth=fourth, dependence=None
        )
        rule = CovarianceRule("HC0")
    extra = extra * (n / statistic.small_sample_factor(rule))
    score_product, fourth_sums = statistic.score_product, statistic.fourth
    if score_product is not None:
        score_product = score_product + extra
    if fourth_sums is not None:
        # The first pair is that of the residual with itself, which counts once at every theta.
        fourth_sums = fourth_sums.copy()
        fourth_sums[0] += pack_symmetric(extra)
    return replace(statistic, score_product=score_product, fourth=fourth_sums), rule
