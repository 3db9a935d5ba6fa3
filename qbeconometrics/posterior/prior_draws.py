"""Draws from a proper prior, and its density with the constant."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from qbeconometrics.posterior.resolved_prior import ResolvedPrior

FloatArray = NDArray[np.float64]


def draw_prior(prior: ResolvedPrior, rng: np.random.Generator, draws: int) -> FloatArray:
    """Return draws (draws, k) of the parameters; NaN where the prior is flat.

    Random numbers are taken in the order normal, Student-t, uniform, each as an array.
    """
    normal, student, boxed = _parts(prior)
    k = len(normal)
    points = np.full((draws, k), np.nan)
    normals = rng.standard_normal((draws, k))
    if student.any():
        standard = rng.standard_t(prior.df[student], size=(draws, int(student.sum())))
        points[:, student] = prior.loc[student] + prior.scale[student] * standard
    if prior.lower is not None and prior.upper is not None:
        ends = prior.lower[boxed], prior.upper[boxed]
        points[:, boxed] = rng.uniform(*ends, size=(draws, int(boxed.sum())))
    if normal.any():
        # A row of the normal part may hold other coefficients too, such as a centred intercept.
        root = prior.root[normal]
        aim = prior.target[normal] + normals[:, normal]
        if (~normal).any():
            aim = aim - np.nan_to_num(points[:, ~normal]) @ root[:, ~normal].T
        points[:, normal] = np.linalg.solve(root[:, normal], aim.T).T
    return points


def log_prior_kernel(prior: ResolvedPrior, params: FloatArray) -> FloatArray:
    """Return the log of the prior's kernel (points,) at `params` (points, k).

    The kernel is that of `log_prior_constant`; minus infinity outside the box.
    """
    _, student, boxed = _parts(prior)
    value = -0.5 * np.sum((params @ prior.root.T - prior.target) ** 2, axis=1)
    if student.any():
        df = prior.df[student]
        standard = (params[:, student] - prior.loc[student]) / prior.scale[student]
        value -= np.sum(0.5 * (df + 1.0) * np.log1p(standard**2 / df), axis=1)
    if prior.lower is not None and prior.upper is not None:
        within = (params >= prior.lower) & (params <= prior.upper)
        value = np.where(within[:, boxed].all(axis=1), value, -np.inf)
    return np.asarray(value)


def log_prior_constant(prior: ResolvedPrior) -> float:
    """Return the log of what the prior's kernel has to be multiplied by to integrate to one.

    The kernel is exp(-1/2 |root theta - target|^2) times (1 + t^2/df)^(-(df + 1)/2) for each
    Student-t term, within the box.
    """
    normal, student, boxed = _parts(prior)
    value = -0.5 * float(normal.sum()) * np.log(2.0 * np.pi)
    if normal.any():
        value += float(np.linalg.slogdet(prior.root[np.ix_(normal, normal)])[1])
    df, scale = prior.df[student], prior.scale[student]
    value += float(np.sum(gammaln((df + 1) / 2) - gammaln(df / 2) - np.log(df * np.pi) / 2))
    value -= float(np.sum(np.log(scale)))
    if prior.lower is not None and prior.upper is not None:
        value -= float(np.sum(np.log(prior.upper[boxed] - prior.lower[boxed])))
    return value


def _parts(prior: ResolvedPrior) -> tuple[NDArray[np.bool_], ...]:
    """Which parameters have a normal, a Student-t and a uniform prior."""
    normal = np.any(prior.root != 0.0, axis=1)
    student = ~np.isnan(prior.df)
    boxed = np.zeros(len(normal), dtype=bool)
    if prior.lower is not None:
        boxed = np.isfinite(prior.lower)
    return normal, student, boxed
