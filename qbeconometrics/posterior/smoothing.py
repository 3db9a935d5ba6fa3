"""Impulse responses with sampled smoothing parameters: what the Gibbs sampler is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from qbeconometrics.posterior.projection_law import NormalLaw, ProjectionPrior, combine

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SmoothingTarget:
    """Law of coefficients (k) and smoothing parameters (one a path).

    Attributes
    ----------
    law : NormalLaw
        Of the coefficients, all of the prior but the roughness in it.
    prior : ProjectionPrior
    arrays : dict of str to ndarray
        Arguments of the kernel `smoothing_gibbs`, by name.
    """

    law: NormalLaw
    prior: ProjectionPrior
    arrays: dict[str, Any]

    @property
    def n_params(self) -> int:
        """Coefficients and smoothing parameters."""
        return len(self.law.mean) + len(self.prior.roughness)

    @property
    def n_moments(self) -> int:
        """As many as coefficients."""
        return len(self.law.mean)

    @property
    def form(self) -> str:
        """For the registry of samplers."""
        return "smoothing"

    def evaluate(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return log quasi-likelihood with the normal prior, and log density of the rest.

        Parameters
        ----------
        points : ndarray, shape (points, k + paths)
        """
        k = len(self.law.mean)
        x, smoothing = points[:, :k], points[:, k:]
        normal = -0.5 * np.sum(((x - self.law.mean) @ self.law.root.T) ** 2, axis=1)
        rest = np.zeros(len(points))
        shape, rate, cauchy_rate = self.hyperprior
        for r, one in enumerate(self.prior.roughness):
            value = smoothing[:, r]
            rough = np.sum((x[:, one.places] @ one.differences.T + one.offset) ** 2, axis=1)
            rest += len(one.differences) / 2 * np.log(value) - value * rough / (2 * one.unit)
            rest += (shape - 1.0) * np.log(value) - rate * value
            if cauchy_rate > 0.0:
                rest -= np.log(value + cauchy_rate)
        return normal, rest

    @property
    def hyperprior(self) -> tuple[float, float, float]:
        """Shape and rate of the Gamma law, and the rate of the half-Cauchy mixture (0: none)."""
        smoothness = self.prior.smoothness
        assert smoothness is not None
        if smoothness.half_cauchy is not None:
            return 0.5, 0.0, float(smoothness.half_cauchy) ** -2
        return (*smoothness.gamma, 0.0)


def smoothing_target(flat_law: NormalLaw, prior: ProjectionPrior) -> SmoothingTarget:
    """Diagonalise precision and roughness of each path together.

    Parameters
    ----------
    flat_law : NormalLaw
        Of the active coefficients, without prior.
    prior : ProjectionPrior
        With a sampled smoothing parameter.
    """
    law = combine(flat_law, prior.rows, prior.target) if len(prior.rows) else flat_law
    k = len(law.mean)
    precision = law.root.T @ law.root
    weighted_mean = precision @ law.mean
    basis, coupling = np.zeros((k, k)), np.zeros((k, k))
    linear, curvature, shift = np.empty(k), np.empty(k), np.empty(k)
    paths = np.empty((len(prior.roughness), 3))
    for r, one in enumerate(prior.roughness):
        own = slice(int(one.places[0]), int(one.places[-1]) + 1)
        root = np.linalg.qr(law.root[:, own], mode="r")
        inverse = solve_triangular(root, np.eye(len(root)))
        _, sizes, rotation = np.linalg.svd(one.differences @ inverse)
        T = inverse @ rotation.T
        basis[own, own] = T
        outside = precision[own].copy()
        outside[:, own] = 0.0
        coupling[own] = T.T @ outside
        linear[own] = T.T @ weighted_mean[own]
        curvature[own] = 0.0
        curvature[own.start : own.start + len(sizes)] = sizes**2
        shift[own] = T.T @ (one.differences.T @ one.offset)
        paths[r] = len(one.differences), one.offset @ one.offset, one.unit
    arrays = {
        "sizes": np.array([len(one.places) for one in prior.roughness], dtype=np.int64),
        "basis": basis,
        "coupling": coupling,
        "linear": linear,
        "curvature": curvature,
        "shift": shift,
        "paths": paths,
    }
    return SmoothingTarget(law, prior, arrays)


def fixed_smoothing_law(flat_law: NormalLaw, prior: ProjectionPrior) -> NormalLaw:
    """Return the normal posterior under a normal prior, or roughness with a fixed parameter."""
    rows, target = fixed_prior_rows(prior, len(flat_law.mean))
    return combine(flat_law, rows, target) if len(rows) else flat_law


def fixed_prior_rows(prior: ProjectionPrior, k: int) -> tuple[FloatArray, FloatArray]:
    """Return a normal prior, or roughness with a fixed parameter, as `prior_rows` does."""
    smoothing = None
    if prior.roughness:
        assert prior.smoothness is not None
        assert prior.smoothness.smoothing is not None
        smoothing = np.full(len(prior.roughness), float(prior.smoothness.smoothing))
    return prior_rows(prior, smoothing, k)


def prior_rows(
    prior: ProjectionPrior, smoothing: FloatArray | None, k: int
) -> tuple[FloatArray, FloatArray]:
    """Return the prior given its smoothing parameters, exp(-|rows x - target|^2 / 2).

    Parameters
    ----------
    prior : ProjectionPrior
    smoothing : ndarray, shape (paths,), or None
        None leaves the roughness out.
    k : int
    """
    rows, target = [prior.rows.reshape(-1, k)], [prior.target]
    for one, value in zip(prior.roughness, [] if smoothing is None else smoothing, strict=False):
        weight = np.sqrt(value / one.unit)
        full = np.zeros((len(one.differences), k))
        full[:, one.places] = weight * one.differences
        rows.append(full)
        target.append(-weight * one.offset)
    return np.vstack(rows), np.concatenate(target)
