"""Functions of x that heads are linear in: random Fourier features and polynomials.

Regressors are in units of the spread of the first rows of a stream. The compiled maps take features
in fours, of which one is the constant and the last ones may be zero.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from qbeconometrics.exceptions import InputError
from qbeconometrics.kernels._kernel_learning import FourierMap, MonomialMap
from qbeconometrics.stiefel.haar import rand

FloatArray = NDArray[np.float64]

FEATURES = ("fourier", "orthogonal", "polynomial", "linear")
RANDOM_FEATURES = FEATURES[:2]
LANES = 4

# Share of the median distance that is the default bandwidth: too wide a kernel misses curvature
# without a sign of it, too narrow a one is noisy.
MEDIAN_SHARE = 0.5
MEDIAN_ROWS = 400


def draw_frequencies(
    columns: int, count: int, *, orthogonal: bool = False, rng: np.random.Generator
) -> FloatArray:
    """Return frequencies of random Fourier features for the Gaussian kernel of bandwidth one.

    Parameters
    ----------
    columns : int
        Number of regressors, k.
    count : int
        Number of features.
    orthogonal : bool, optional
        Whether frequencies come in blocks of k at right angles, which reduces the variance of the
        approximation, following Yu, Suresh, Choromanski, Holtmann-Rice and Kumar (2016); else they
        are independent normal vectors, following Rahimi and Recht (2007).
    rng : Generator

    Returns
    -------
    ndarray, shape (k, count)
        The law of each column is normal(0, I).

    References
    ----------
    Rahimi, A. and Recht, B. (2007). Random features for large-scale kernel machines. Advances in
    Neural Information Processing Systems 20.

    Yu, F. X., Suresh, A. T., Choromanski, K., Holtmann-Rice, D. and Kumar, S. (2016). Orthogonal
    random features. arXiv:1610.09072.

    Examples
    --------
    >>> found = draw_frequencies(2, 4, orthogonal=True, rng=np.random.default_rng(0))
    >>> found.shape, bool(abs(found[:, 0] @ found[:, 1]) < 1e-12)
    ((2, 4), True)
    """
    if not orthogonal or columns == 1:
        return rng.standard_normal((columns, count))
    blocks = [rand(columns, columns, rng=rng) for _ in range(-(-count // columns))]
    lengths = np.sqrt(rng.chisquare(columns, size=count))
    return np.asarray(np.hstack(blocks)[:, :count] * lengths)


def median_bandwidth(x: FloatArray, share: float = MEDIAN_SHARE) -> float:
    """Return a share of the median distance between the first of rows (n, k).

    Raises
    ------
    InputError
        If more than half of the distances are zero.

    Examples
    --------
    >>> median_bandwidth(np.array([[0.0], [1.0], [3.0]]))
    1.0
    """
    median = float(np.median(pdist(x[:MEDIAN_ROWS])))
    if median == 0.0:
        raise InputError(
            "more than half of the first rows of x are the same, so their distances give no "
            "bandwidth; set bandwidth, or use features='polynomial'"
        )
    return share * median


def fourier_map(frequencies: FloatArray, phases: FloatArray, bandwidth: float) -> FourierMap:
    """Return the map to a constant and sqrt(2 / D) cos(x'frequencies / bandwidth + phases).

    Parameters
    ----------
    frequencies : ndarray, shape (k, D)
    phases : ndarray, shape (D,)
    bandwidth : float

    Examples
    --------
    >>> fourier_map(np.ones((1, 2)), np.zeros(2), 2.0).evaluate(np.array([[0.0], [2.0]])).round(3)
    array([[1.  , 1.  , 1.  , 0.  ],
           [1.  , 0.54, 0.54, 0.  ]])
    """
    columns, count = frequencies.shape
    size = padded(1 + count)
    own = slice(1, 1 + count)
    all_frequencies, all_phases, scales = np.zeros((columns, size)), np.zeros(size), np.zeros(size)
    all_frequencies[:, own], all_phases[own] = frequencies / bandwidth, phases
    scales[0], scales[own] = 1.0, np.sqrt(2.0 / count)
    return FourierMap(all_frequencies, all_phases, scales)


def monomial_map(columns: int, degree: int, scales: FloatArray | None = None) -> MonomialMap:
    """Return the map to all products of up to `degree` columns.

    Parameters
    ----------
    columns, degree : int
    scales : ndarray, optional
        What the products are multiplied by, from `monomial_scales`; None leaves them as they are.

    Examples
    --------
    >>> monomial_map(2, 2).evaluate(np.array([[2.0, 3.0]]))
    array([[1., 2., 3., 4., 6., 9., 0., 0.]])
    """
    powers: list[tuple[int, ...]] = [()]
    for order in range(1, degree + 1):
        powers += itertools.combinations_with_replacement(range(columns), order)
    place = {power: q for q, power in enumerate(powers)}
    parents, factors = np.zeros((2, padded(len(powers))), dtype=np.intc)
    for q, power in enumerate(powers[1:], start=1):
        parents[q], factors[q] = place[power[:-1]], power[-1]
    if scales is None:
        scales = np.zeros(len(parents))
        scales[: len(powers)] = 1.0
    return MonomialMap(parents, factors, scales, columns)


def monomial_scales(x: FloatArray, degree: int) -> FloatArray:
    """Return one over the root mean square of each product in rows x (n, k); zero for rests.

    Examples
    --------
    >>> monomial_scales(np.array([[2.0], [-2.0]]), 3)
    array([1.   , 0.5  , 0.25 , 0.125])
    """
    sizes = np.sqrt(np.mean(monomial_map(x.shape[1], degree).evaluate(x) ** 2, axis=0))
    return np.asarray(np.divide(1.0, sizes, out=np.zeros_like(sizes), where=sizes > 0.0))


def padded(count: int) -> int:
    """Return the next multiple of LANES."""
    return -(-count // LANES) * LANES


def number_of_features(columns: int, count: int, degree: int) -> int:
    """Return how many features there are, the constant and zeros among them.

    Parameters
    ----------
    columns : int
    count : int
        Number of random features, or zero.
    degree : int
        Of a polynomial, if there are no random features.

    Examples
    --------
    >>> number_of_features(3, 100, 0), number_of_features(2, 0, 3)
    (104, 12)
    """
    if count > 0:
        return padded(1 + count)
    powers = itertools.combinations_with_replacement(range(columns + 1), degree)
    return padded(sum(1 for _ in powers))
