"""Simulated data, the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from qbeconometrics.exceptions import InputError, check_choice

FloatArray = NDArray[np.float64]


def network(
    p: int = 270,
    eigenvalues: Sequence[float] = (140.0, 95.0, -107.0),
    intercept: float = -2.62,
    seed: int = 2009,
) -> pd.DataFrame:
    """Draw a network of the eigenmodel.

    The defaults give one of the size, and about the density, of the protein interactions of
    Hoff (2009, arXiv:0712.4166), which are not free to be passed on: 270 nodes, here with 712 links
    of 36,315 pairs.

    Parameters
    ----------
    p : int
        Nodes.
    eigenvalues : sequence of float, length k
        k at most p.
    intercept : float
    seed : int
        Seeds a new NumPy generator.

    Returns
    -------
    DataFrame of int, shape (p, p)
        0 and 1, symmetric, 0 on the diagonal; nodes are named "node1", "node2", ...

    Raises
    ------
    InputError
        If there are fewer nodes than eigenvalues.

    Notes
    -----
    Links are independent with probabilities Phi(intercept + (Q Lambda Q')_ij), Q being uniformly
    distributed over matrices (p, k) with orthonormal columns.

    Examples
    --------
    >>> from qbeconometrics import simulate
    >>> adjacency = simulate.network()
    >>> adjacency.shape, int(adjacency.to_numpy().sum()) // 2
    ((270, 270), 712)
    """
    if not 1 <= len(eigenvalues) <= p:
        raise InputError(f"eigenvalues must be 1 to p={p} numbers")
    rng = np.random.default_rng(seed)
    left, _, right = np.linalg.svd(rng.standard_normal((p, len(eigenvalues))), full_matrices=False)
    Q = left @ right
    pairs = np.triu_indices(p, 1)
    probabilities = ndtr(intercept + ((Q * np.asarray(eigenvalues)) @ Q.T)[pairs])
    adjacency = np.zeros((p, p), dtype=np.int64)
    adjacency[pairs] = rng.random(len(probabilities)) < probabilities
    names = [f"node{number}" for number in range(1, p + 1)]
    return pd.DataFrame(adjacency + adjacency.T, index=names, columns=names)


ERRORS = ("normal", "t5")
VARIANCES = ("separate", "common", "constant")


def bidirectional(
    n: int = 10_000,
    effects: Sequence[float] = (0.5, -0.4),
    variances: str = "separate",
    errors: str = "normal",
    strength: float = 1.0,
    functions: bool = False,
    seed: int = 2025,
) -> pd.DataFrame:
    """Draw two variables that move each other, with errors whose variances move with x.

    Parameters
    ----------
    n : int
        Rows.
    effects : sequence of float, length 2
        (b12, b21), of y2 on y1 and of y1 on y2; their product is not 1.
    variances : {"separate", "common", "constant"}
        "separate": two different functions of x, which identifies the effects. "common": one and
        the same function, and "constant": none, which do not.
    errors : {"normal", "t5"}
        Standardised distribution; "t5" is Student's with 5 degrees of freedom.
    strength : float
        Factor of the log variances.
    functions : bool
        Whether f1, f2, g1 and g2 of the notes are columns too.
    seed : int
        Seeds a new NumPy generator.

    Returns
    -------
    DataFrame
        Columns y1, y2, x1, x2. ``attrs["kappa"]`` is E exp(g1 - g2) E exp(g2 - g1) - 1, zero if the
        effects are not identified.

    Raises
    ------
    InputError
        If there are no rows, or the effects multiply to 1.
    OptionError
        If `variances` or `errors` is not known.

    Notes
    -----
    y1 = b12 y2 + f1(x) + e1 and y2 = b21 y1 + f2(x) + e2 with x uniform on the square (-2, 2)^2,
    Var(e_j|x) = exp g_j(x),

    f1 = sin(1.5 x1) + 0.5 x2,   f2 = cos x1 - 0.4 x2^2 + 0.3 x1 x2,
    g1 = sin x1 + 0.3 x2 - 0.5,  g2 = 0.8 cos(1.5 x2) - 0.4 x1 - 0.3;

    "common" has g1 in both places.

    Examples
    --------
    >>> from qbeconometrics import simulate
    >>> data = simulate.bidirectional(100)
    >>> data.columns.tolist(), round(data.attrs["kappa"], 2)
    (['y1', 'y2', 'x1', 'x2'], 4.48)
    """
    check_choice(variances, VARIANCES, "variances")
    check_choice(errors, ERRORS, "errors")
    b12, b21 = (float(effect) for effect in effects)
    if n < 1 or b12 * b21 == 1.0:
        raise InputError("bidirectional needs n of at least 1 and effects whose product is not 1")
    rng = np.random.default_rng(seed)
    x1, x2 = rng.uniform(-2.0, 2.0, size=(2, n))
    noise = rng.standard_normal((2, n))
    if errors == "t5":
        # Student's t over the root of its variance, 5/3.
        noise = noise / np.sqrt(rng.chisquare(5.0, size=(2, n)) / 3.0)
    g1, g2 = _log_variances(x1, x2, variances, strength)
    f1 = np.sin(1.5 * x1) + 0.5 * x2
    f2 = np.cos(x1) - 0.4 * x2**2 + 0.3 * x1 * x2
    shock1, shock2 = f1 + np.exp(g1 / 2.0) * noise[0], f2 + np.exp(g2 / 2.0) * noise[1]
    determinant = 1.0 - b12 * b21
    columns = {
        "y1": (shock1 + b12 * shock2) / determinant,
        "y2": (shock2 + b21 * shock1) / determinant,
        "x1": x1,
        "x2": x2,
    }
    if functions:
        columns |= {"f1": f1, "f2": f2, "g1": g1, "g2": g2}
    data = pd.DataFrame(columns)
    data.attrs["kappa"] = _strength_of_identification(variances, strength)
    return data


def _log_variances(
    x1: FloatArray, x2: FloatArray, variances: str, strength: float
) -> tuple[FloatArray, FloatArray]:
    """g1 and g2 at x."""
    if variances == "constant":
        return np.full_like(x1, -0.5 * strength), np.full_like(x1, -0.3 * strength)
    g1 = strength * (np.sin(x1) + 0.3 * x2 - 0.5)
    if variances == "common":
        return g1, g1
    return g1, strength * (0.8 * np.cos(1.5 * x2) - 0.4 * x1 - 0.3)


def _strength_of_identification(variances: str, strength: float) -> float:
    """Kappa, by Gauss-Legendre quadrature over the square."""
    if variances != "separate":
        return 0.0
    nodes, weights = np.polynomial.legendre.leggauss(60)
    x1, x2 = (2.0 * part.ravel() for part in np.meshgrid(nodes, nodes))
    mass = np.outer(weights, weights).ravel() / 4.0
    g1, g2 = _log_variances(x1, x2, variances, strength)
    return float((mass @ np.exp(g1 - g2)) * (mass @ np.exp(g2 - g1)) - 1.0)
