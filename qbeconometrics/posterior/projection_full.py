"""The controls' coefficients given the responses, under a fixed weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from qbeconometrics.moments.triangular import solve_upper
from qbeconometrics.posterior.projection_law import NormalLaw, PathLayout

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ControlsLaw:
    """Normal law of the controls' coefficients c given the active responses b.

    root (c - mean) + tilt (b - centre) is standard normal.

    Attributes
    ----------
    root : ndarray, shape (q, q)
        Upper triangular.
    tilt : ndarray, shape (q, k)
    mean : ndarray, shape (q,)
    centre : ndarray, shape (k,)
    """

    root: FloatArray
    tilt: FloatArray
    mean: FloatArray
    centre: FloatArray

    def draw(self, responses: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Draw one set of coefficients (N, q) for each row of `responses` (N, k)."""
        normals = rng.standard_normal((len(responses), len(self.mean)))
        right = normals - (responses - self.centre) @ self.tilt.T
        return self.mean + solve_upper(self.root, right.T).T

    def conditional_mean(self, responses: FloatArray) -> FloatArray:
        """Return the mean (q,) given responses (k,)."""
        shift = self.tilt @ (responses - self.centre)
        return self.mean - solve_upper(self.root, shift)

    def moments_given(self, law: NormalLaw) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return mean (q,), covariance (q, q) and covariance with b (q, k) if b follows `law`."""
        slope = -np.asarray(solve_triangular(self.root, self.tilt))
        inverse = np.asarray(solve_triangular(self.root, np.eye(len(self.mean))))
        cross = slope @ law.covariance
        return self.conditional_mean(law.mean), inverse @ inverse.T + cross @ slope.T, cross


def split_full_law(
    rows: FloatArray, target: FloatArray, layout: PathLayout, own: int
) -> tuple[NormalLaw, ControlsLaw]:
    """Split the law of all coefficients into that of the responses and the rest given them.

    Parameters
    ----------
    rows, target : ndarray
        exp(-|rows theta - target|^2 / 2), coefficients by active block: responses by state, then
        controls.
    layout : PathLayout
    own : int
        Coefficients of a block.
    """
    places = layout.places()
    blocks = [b for b in range(len(places)) if layout.active[places[b, 0]]]
    p = places.shape[1]
    positions = np.arange(len(blocks) * own).reshape(len(blocks), own)
    controls = positions[:, p:].ravel()
    order = np.argsort(places[blocks].ravel(), kind="stable")
    responses = positions[:, :p].ravel()[order]
    Q, R = np.linalg.qr(rows[:, np.concatenate([controls, responses])])
    solution = np.asarray(solve_triangular(R, Q.T @ target))
    q = len(controls)
    law = NormalLaw(R[q:, q:], solution[q:])
    return law, ControlsLaw(R[:q, :q], R[:q, q:], solution[:q], solution[q:])
