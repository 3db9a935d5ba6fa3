"""Marginal priors of single parameters, for pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.posterior.resolved_prior import ResolvedPrior

FloatArray = NDArray[np.float64]


def prior_marginals(prior: ResolvedPrior) -> FloatArray:
    """Return location, scale and degrees of freedom of each marginal prior, shape (k, 3).

    Infinite degrees of freedom stand for a normal law, 0 for a uniform one on location ± scale. A
    row is NaN where the prior is flat, or a normal law about a parameter whose prior is not normal.
    """
    k = len(prior.target)
    found = np.full((k, 3), np.nan)
    student = ~np.isnan(prior.df)
    found[student] = np.column_stack([prior.loc, prior.scale, prior.df])[student]
    if prior.lower is not None and prior.upper is not None:
        boxed = np.isfinite(prior.lower)
        lower, upper = prior.lower[boxed], prior.upper[boxed]
        middle, half = (upper + lower) / 2, (upper - lower) / 2
        found[boxed] = np.column_stack([middle, half, np.zeros(len(lower))])
    normal = np.any(prior.root != 0.0, axis=1)
    if normal.any():
        root = prior.root[normal]
        alone = ~np.any(root[:, ~normal] != 0.0, axis=1)
        inverse = np.linalg.inv(root[:, normal])
        mean = inverse @ prior.target[normal]
        sd = np.linalg.norm(inverse, axis=1)
        marginals = np.column_stack([mean, sd, np.full(len(sd), np.inf)])
        places = np.flatnonzero(normal)
        found[places[alone]] = marginals[alone]
    return found
