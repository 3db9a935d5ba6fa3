"""How far the bias of two-stage least squares can come to its worst case, given the errors.

With orthonormal instruments, first-stage coefficients C and reduced-form estimation errors of
covariance W, the bias of two-stage least squares is about N/mu^2, where mu^2 = C'C / tr W2 and

    N = (tr S12 - 2 c'S12 c) / tr W2,   S12 = W12 - beta W2,   c = C/|C|

(the Nagar approximation). The largest |N| over beta and c, in units of the benchmark
(tr S1 / tr W2)^(1/2), S1 = W1 - 2 beta W12 + beta^2 W2, is at most one. The simplified procedure of
Montiel Olea and Pflueger (2013) takes one; the number itself gives smaller critical values.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

FloatArray = NDArray[np.float64]

# Angles of beta that are tried: the function is smooth but for kinks.
POINTS = 400


def worst_relative_bias(covariance: FloatArray) -> float:
    """Return the largest Nagar bias of two-stage least squares as a share of the benchmark.

    Parameters
    ----------
    covariance : ndarray, shape (2 l, 2 l)
        W: of the reduced-form coefficients on orthonormal instruments, those of the endogenous
        regressor first, then those of the outcome.

    Returns
    -------
    float
        Between 0 and 1; NaN if W is no covariance.

    References
    ----------
    Montiel Olea, J. L. and Pflueger, C. (2013). A robust test for weak instruments. Journal of
    Business and Economic Statistics 31, 358-369.

    Examples
    --------
    One instrument: the worst case itself.

    >>> round(worst_relative_bias(np.array([[1.0, 0.3], [0.3, 2.0]])), 6)
    1.0
    """
    L = len(covariance) // 2
    own = covariance[:L, :L]
    cross = (covariance[L:, :L] + covariance[L:, :L].T) / 2.0
    outcome = covariance[L:, L:]
    total = float(np.trace(own))
    if not total > 0.0:
        return float("nan")
    scale = float(np.sqrt(max(np.trace(outcome), 0.0) / total)) or 1.0

    def relative(angle: float) -> float:
        """At beta = scale tan(angle), both numerator and benchmark times cos(angle)."""
        one, beta = np.cos(angle), np.sin(angle) * scale
        together = one * cross - beta * own
        benchmark = one**2 * np.trace(outcome) - 2 * one * beta * np.trace(cross) + beta**2 * total
        eigenvalues = np.linalg.eigvalsh(together)
        worst = np.abs(np.trace(together) - 2.0 * eigenvalues[[0, -1]]).max()
        # Two-way clustered covariances need not be positive.
        return float(worst / np.sqrt(total * benchmark)) if benchmark > 0.0 else float("nan")

    angles = np.linspace(-np.pi / 2, np.pi / 2, POINTS, endpoint=False)
    values = np.array([relative(float(angle)) for angle in angles])
    if np.isnan(values).any():
        return float("nan")
    best, step = int(values.argmax()), np.pi / POINTS
    found = minimize_scalar(
        lambda angle: -relative(float(angle)),
        bounds=(angles[best] - step, angles[best] + step),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return float(max(values[best], -found.fun))
