"""Orthonormal matrices Q (p, k), Q'Q = I, through coordinates without constraints.

Four charts, following Tanaka (2024, arXiv:2402.07434), who finds the polar one the most efficient,
particularly for high-dimensional and complex problems. Each turns the log of a density f of Q with
respect to the uniform distribution, and its gradient by the entries of Q, into a log density of
coordinates x and its gradient, for samplers of unconstrained vectors: if x has the density that a
chart returns, then Q = chart.to_matrix(x) has the density f. Every chart normalises what it adds,
so that the integral over x is the mean of f over uniform Q.

- `Polar`: Q is the orthonormal factor of a matrix X (p, k). No place to avoid; the default.
- `Householder`: a product of reflections; for modes that lie near the coordinate axes or far away.
- `Cayley`: exactly as many coordinates as Q has dimensions, around a centre that is best near the
  mode.
- `Givens`: a product of rotations; the slowest, and the one with angles to read.

`uniform`, `von_mises_fisher` and `bingham` return compiled densities f, `rand` draws from the
uniform distribution, and `StiefelSampler` of the package draws from any f.

Examples
--------
The matrix von Mises-Fisher density with parameter M is proportional to exp(tr(M'Q)):

>>> import numpy as np
>>> from qbeconometrics import stiefel
>>> M = np.array([[3.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
>>> chart = stiefel.Polar(3, 2)
>>> x = chart.from_matrix(stiefel.rand(3, 2, rng=0))
>>> logp, grad = chart.log_density_and_gradient(x, lambda Q: (np.sum(M * Q), M))
>>> grad.shape
(6,)
"""

from qbeconometrics.stiefel.base import Chart
from qbeconometrics.stiefel.cayley import Cayley
from qbeconometrics.stiefel.givens import Givens
from qbeconometrics.stiefel.haar import rand
from qbeconometrics.stiefel.householder import Householder
from qbeconometrics.stiefel.polar import Polar
from qbeconometrics.stiefel.targets import bingham, uniform, von_mises_fisher

__all__ = [
    "Cayley",
    "Chart",
    "Givens",
    "Householder",
    "Polar",
    "bingham",
    "rand",
    "uniform",
    "von_mises_fisher",
]
