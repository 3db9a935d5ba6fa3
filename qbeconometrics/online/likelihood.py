"""The Gaussian quasi-likelihood of two effects and its gradients, row by row and in plain NumPy.

What the compiled kernels are compared with. Each function takes arrays of one shape and returns
one value a row, so that a sum over rows or a product with features is left to the caller.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class Heads(NamedTuple):
    """Functions of x at the rows: two means and two log variances, each of shape (n,).

    The means are f1, f2 of the structural equations, or m1, m2 = E(y|x) of the reduced form.
    """

    mean1: FloatArray
    mean2: FloatArray
    log_variance1: FloatArray
    log_variance2: FloatArray


class Gradient(NamedTuple):
    """Derivatives of each row's log likelihood by the effects and by the heads, shape (n,)."""

    b12: FloatArray
    b21: FloatArray
    mean1: FloatArray
    mean2: FloatArray
    log_variance1: FloatArray
    log_variance2: FloatArray


def reduced_form_means(b12: float, b21: float, heads: Heads) -> Heads:
    """Return the heads with E(y|x) in the place of f1 and f2.

    Examples
    --------
    >>> zero = np.zeros(1)
    >>> heads = reduced_form_means(0.5, -0.4, Heads(zero + 1.0, zero + 2.0, zero, zero))
    >>> heads.mean1.round(4), heads.mean2.round(4)
    (array([1.6667]), array([1.3333]))
    """
    determinant = 1.0 - b12 * b21
    return heads._replace(
        mean1=(heads.mean1 + b12 * heads.mean2) / determinant,
        mean2=(heads.mean2 + b21 * heads.mean1) / determinant,
    )


def other_label_heads(b12: float, b21: float, heads: Heads) -> Heads:
    """Return the structural heads of the same law with the two errors exchanged.

    They belong to the effects (1/b21, 1/b12), and the quasi-likelihood of every row is the same.
    """
    return Heads(
        -heads.mean2 / b21,
        -heads.mean1 / b12,
        heads.log_variance2 - 2.0 * np.log(abs(b21)),
        heads.log_variance1 - 2.0 * np.log(abs(b12)),
    )


def structural_errors(
    y1: FloatArray, y2: FloatArray, b12: float, b21: float, heads: Heads
) -> tuple[FloatArray, FloatArray]:
    """Return e1 = y1 - b12 y2 - f1 and e2 = y2 - b21 y1 - f2."""
    return y1 - b12 * y2 - heads.mean1, y2 - b21 * y1 - heads.mean2


def log_likelihood(
    y1: FloatArray, y2: FloatArray, b12: float, b21: float, heads: Heads
) -> FloatArray:
    """Return log|1 - b12 b21| - (1/2) sum_j (g_j + e_j^2 exp(-g_j)) of each row.

    The constant -log(2 pi) is left out.

    Parameters
    ----------
    y1, y2 : ndarray, shape (n,)
    b12, b21 : float
    heads : Heads
        Of the structural equations.

    Returns
    -------
    ndarray, shape (n,)
    """
    e1, e2 = structural_errors(y1, y2, b12, b21, heads)
    g1, g2 = heads.log_variance1, heads.log_variance2
    jacobian = np.log(abs(1.0 - b12 * b21))
    return np.asarray(jacobian - 0.5 * (g1 + e1**2 * np.exp(-g1) + g2 + e2**2 * np.exp(-g2)))


def gradient(y1: FloatArray, y2: FloatArray, b12: float, b21: float, heads: Heads) -> Gradient:
    """Return the derivatives of `log_likelihood`, the structural heads held fixed."""
    e1, e2 = structural_errors(y1, y2, b12, b21, heads)
    w1, w2 = np.exp(-heads.log_variance1), np.exp(-heads.log_variance2)
    determinant = 1.0 - b12 * b21
    return Gradient(
        e1 * y2 * w1 - b21 / determinant,
        e2 * y1 * w2 - b12 / determinant,
        e1 * w1,
        e2 * w2,
        0.5 * (e1**2 * w1 - 1.0),
        0.5 * (e2**2 * w2 - 1.0),
    )


def reduced_form_log_likelihood(
    y1: FloatArray, y2: FloatArray, b12: float, b21: float, heads: Heads
) -> FloatArray:
    """Return `log_likelihood` as a function of the means E(y|x), where e = B (y - E(y|x))."""
    u1, u2 = y1 - heads.mean1, y2 - heads.mean2
    errors_only = heads._replace(mean1=np.zeros_like(u1), mean2=np.zeros_like(u2))
    return log_likelihood(u1, u2, b12, b21, errors_only)


def reduced_form_gradient(
    y1: FloatArray, y2: FloatArray, b12: float, b21: float, heads: Heads
) -> Gradient:
    """Return the derivatives of `reduced_form_log_likelihood`, the means E(y|x) held fixed."""
    u1, u2 = y1 - heads.mean1, y2 - heads.mean2
    errors_only = heads._replace(mean1=np.zeros_like(u1), mean2=np.zeros_like(u2))
    by = gradient(u1, u2, b12, b21, errors_only)
    return by._replace(mean1=by.mean1 - b21 * by.mean2, mean2=by.mean2 - b12 * by.mean1)


def efficient_score(
    u1: FloatArray,
    u2: FloatArray,
    b12: float,
    b21: float,
    log_variance1: FloatArray,
    log_variance2: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the scores of b12 and b21 with means and variances projected out, each (n,).

    They are e1 e2 exp(-g1)/(1 - b12 b21) and e1 e2 exp(-g2)/(1 - b12 b21): the moments E(w e1 e2)
    with the inverse error variances as instruments.
    """
    product = (u1 - b12 * u2) * (u2 - b21 * u1) / (1.0 - b12 * b21)
    return product * np.exp(-log_variance1), product * np.exp(-log_variance2)
