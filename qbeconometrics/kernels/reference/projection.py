"""Continuously updated local projections, written for reading: twins of the compiled code."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.kernels.reference.cholesky import unpack_lower

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The quasi-likelihood at a point, and what the screening needs of it."""

    moment: FloatArray
    covariance: FloatArray
    likelihood: float

    def quadratic(self, moment: FloatArray) -> float:
        """Return g' S^-1 g with S at this point."""
        return float(moment @ np.linalg.solve(self.covariance, moment))


class ProjectionTarget:
    """Twin of the compiled class of the same name; see there."""

    def __init__(
        self,
        cross: FloatArray,
        jacobian: FloatArray,
        estimate: FloatArray,
        places: NDArray[np.int64],
        terms: FloatArray,
        prior_rows: FloatArray,
        prior_target: FloatArray,
        rough_rows: FloatArray,
        rough_offset: FloatArray,
        rough_path: NDArray[np.int64],
        paths: FloatArray,
    ):
        self.cross, self.jacobian, self.estimate, self.places = cross, jacobian, estimate, places
        self.prior_rows, self.prior_target = prior_rows, prior_target
        self.rough_rows, self.rough_offset = rough_rows, rough_offset
        self.rough_path, self.paths = rough_path, paths
        self.n_moments, self.n_params = len(cross), prior_rows.shape[1]
        self.n_paths = len(paths)
        order = 1 + jacobian.shape[1]
        lower = np.array([unpack_lower(row) for row in terms])
        self.terms = lower.reshape(order, order, self.n_moments, self.n_moments)

    def moment_mean(self, x: FloatArray) -> FloatArray:
        """Return g (M,) at the coefficients x (k,)."""
        return self.cross - np.sum(self.jacobian * x[self.places], axis=1)

    def evaluate_point(self, x: FloatArray) -> Evaluation | None:
        """Evaluate at x (k,); None where S is not positive definite."""
        weights = np.column_stack([np.ones(self.n_moments), self.estimate - x[self.places]])
        lower = np.tril(np.einsum("ia,acil,lc->il", weights, self.terms, weights))
        S = lower + np.tril(lower, -1).T
        g = self.moment_mean(x)
        try:
            root = np.linalg.cholesky(S)
        except np.linalg.LinAlgError:
            return None
        log_determinant = 2.0 * np.sum(np.log(np.diag(root)))
        value = -0.5 * (log_determinant + float(g @ np.linalg.solve(S, g)))
        return Evaluation(g, S, value) if np.isfinite(value) else None

    def roughness(self, x: FloatArray, path: int) -> float:
        """Return the sum of the squared rows of one path."""
        rows = self.rough_path == path
        return float(np.sum((self.rough_rows[rows] @ x + self.rough_offset[rows]) ** 2))

    def log_prior(self, x: FloatArray, smoothing: FloatArray, normalised: bool) -> float:
        """Return the log prior of x given the smoothing parameters."""
        value = -0.5 * float(np.sum((self.prior_rows @ x - self.prior_target) ** 2))
        for r, (rank, unit) in enumerate(self.paths):
            value -= 0.5 * smoothing[r] / unit * self.roughness(x, r)
            if normalised:
                value += 0.5 * rank * float(np.log(smoothing[r]))
        return value

    def evaluate(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the quasi-likelihood and the log prior at points (points, k + paths)."""
        found = [self.evaluate_point(point[: self.n_params]) for point in points]
        likelihood = [-np.inf if one is None else one.likelihood for one in found]
        k = self.n_params
        prior = [self.log_prior(point[:k], point[k:], normalised=True) for point in points]
        return np.array(likelihood), np.array(prior)


def log_proposal(distance: float, df: float, size: int) -> float:
    """Log density of the normal or Student-t law, up to a constant, at a squared distance."""
    if np.isinf(df):
        return -0.5 * distance
    return -0.5 * (df + size) * float(np.log(1.0 + distance / df))


def projection_chain(
    target: ProjectionTarget,
    bit_generator: np.random.BitGenerator,
    position: FloatArray,
    blocks: NDArray[np.int64],
    centre: FloatArray,
    whitening: FloatArray,
    colouring: FloatArray,
    df: float,
    shape: float,
    rate: float,
    cauchy_rate: float,
    draws: FloatArray,
    log_density: FloatArray,
    counters: NDArray[np.int64],
    *,
    unscreened: int = 0,
) -> bool:
    """Twin of the compiled function of the same name; see there."""
    rng = np.random.Generator(bit_generator)
    k = target.n_params
    x, smoothing = position[:k].copy(), position[k:]
    current = target.evaluate_point(x)
    if current is None:
        return False
    for s, draw in enumerate(draws):
        for start, stop in pairwise(blocks.tolist()):
            own = slice(start, stop)
            normals = rng.standard_normal(stop - start)
            spread = 1.0 if np.isinf(df) else np.sqrt(df / rng.chisquare(df))
            u1, u2 = rng.random(), rng.random()
            u = whitening[own] @ (x - centre)
            y = x + colouring[:, own] @ (spread * normals - u)
            here, there = float(u @ u), float(spread**2 * normals @ normals)
            size = stop - start
            screened = unscreened == 0 or counters[0] % unscreened != 0
            counters[0] += 1
            total = log_proposal(here, df, size) - log_proposal(there, df, size)
            total += target.log_prior(y, smoothing, False) - target.log_prior(x, smoothing, False)
            moment = target.moment_mean(y)
            forward = backward = 0.0
            if screened:
                frozen = current.quadratic(current.moment) - current.quadratic(moment)
                forward = min(0.0, 0.5 * frozen + total)
                if not np.log(u1) < forward:
                    continue
            counters[1] += 1
            proposal = target.evaluate_point(y)
            if proposal is None:
                counters[3] += 1
                continue
            if screened:
                frozen = proposal.quadratic(moment) - proposal.quadratic(current.moment)
                backward = min(0.0, 0.5 * frozen - total)
            ratio = proposal.likelihood - current.likelihood + total + backward - forward
            if np.log(u2) < ratio:
                counters[2] += 1
                x, current = y, proposal
        for r, (rank, unit) in enumerate(target.paths):
            nu = 0.0
            if cauchy_rate > 0.0:
                nu = rng.standard_exponential() / (smoothing[r] + cauchy_rate)
            smoothing[r] = rng.standard_gamma(shape + 0.5 * rank) / (
                rate + nu + 0.5 * target.roughness(x, r) / unit
            )
        position[:k] = x
        draw[:] = position
        log_density[s] = current.likelihood + target.log_prior(x, smoothing, True)
    return True
