"""Four Euclidean coordinates of orthonormal matrices Q (p, k), with their gradients.

Each chart has a map from coordinates to Q and a pull-back that turns the gradient of log f by the
entries of Q into the gradient of the log density of the coordinates under which Q has density f
with respect to the uniform distribution; the constants of these densities are left to the caller.
Polar: Jauch, Hoff and Dunson (2019, arXiv:1906.07684). Reflections: Stewart (1980,
doi:10.1137/0717034), with the sign of every reflection held fixed, so that the map has no jump.
Rotations: Pourzanjani et al. (2021, arXiv:1710.09443). Cayley: Jauch, Hoff and Dunson (2018,
arXiv:1810.02881), with a Jacobian in closed form that is ours.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

CHARTS = ("polar", "householder", "givens", "cayley")
# Standard deviation of the radius that carries a Givens angle; its mean is 1.
RADIUS_SD = 0.1


def size_of(chart: str, p: int, k: int) -> int:
    """Return the number of coordinates.

    Examples
    --------
    >>> [size_of(chart, 4, 2) for chart in CHARTS]
    [8, 7, 10, 5]
    """
    dimension = p * k - k * (k + 1) // 2
    return {
        "polar": p * k,
        "householder": dimension + min(k, p - 1),
        "givens": 2 * dimension,
        "cayley": dimension,
    }[chart]


def polar_forward(x: FloatArray, p: int, k: int) -> FloatArray:
    """Return the orthonormal factor of X, that is X (X'X)^(-1/2).

    Examples
    --------
    >>> polar_forward(np.array([3.0, 4.0]), 2, 1).ravel()
    array([0.6, 0.8])
    """
    left, values, right = np.linalg.svd(x.reshape(p, k), full_matrices=False)
    if values[-1] == 0.0:
        return np.full((p, k), np.nan)
    return np.asarray(left @ right, dtype=np.float64)


def polar_pull_back(x: FloatArray, slope: FloatArray, df: float = 0.0) -> tuple[float, FloatArray]:
    """Return c = (df - p) log|X'X| / 2 - ||X||^2 / 2 and the gradient of log f(Q) + c.

    The first part is left out for df = 0.
    Nothing is divided by differences of singular values, so equal ones do no harm.
    """
    left, values, right = np.linalg.svd(x.reshape(slope.shape), full_matrices=False)
    if values[-1] == 0.0:
        return np.nan, np.full(x.size, np.nan)
    turned = slope @ right.T
    inner = left.T @ turned
    skew = (inner - inner.T) / np.add.outer(values, values)
    extra = df - len(slope) if df > 0.0 else 0.0
    gradient = left @ skew + extra * left / values
    if x.size > right.size:
        # What lies outside of the columns of U; rounding would leave something for a square one.
        gradient = gradient + (turned - left @ inner) / values
    gradient = gradient @ right
    value = extra * float(np.sum(np.log(values))) - 0.5 * float(x @ x)
    return value, gradient.ravel() - x


def _parts(p: int, k: int) -> Iterator[tuple[int, slice]]:
    """Number of each reflection, and where its vector stands."""
    begin = 0
    for i in range(min(k, p - 1)):
        yield i, slice(begin, begin + p - i)
        begin += p - i


def reflector(v: FloatArray, sign: int) -> tuple[FloatArray, float, float]:
    """Return a, a'a, ||v|| of the reflection I - 2 a a' / a'a that takes e_1 to -sign v / ||v||.

    Examples
    --------
    >>> a, square, length = reflector(np.array([3.0, 4.0]), 1)
    >>> a, square, length
    (array([8., 4.]), 80.0, 5.0)
    """
    length = float(np.linalg.norm(v))
    a = v.copy()
    if sign * v[0] < 0.0:
        a[0] = sign * float(v[1:] @ v[1:]) / (length - sign * v[0])
    else:
        a[0] = v[0] + sign * length
    return a, 2.0 * length * float(abs(a[0])), length


def reflect(a: FloatArray, square: float, block: FloatArray) -> FloatArray:
    """Return the reflection of each column of a block (m, n).

    Examples
    --------
    >>> reflect(np.array([8.0, 4.0]), 80.0, np.eye(2))[:, 0]
    array([-0.6, -0.8])
    """
    return np.asarray(block - np.outer(a, 2.0 / square * (a @ block)))


def last_sign(p: int, k: int, sign: int, det: int) -> int:
    """Return the sign of the last column that gives a square Q its determinant.

    Examples
    --------
    >>> last_sign(3, 3, 1, -1)
    1
    """
    return det * (-1) ** (p - 1) * (-sign) ** p if k == p else 1


def householder_forward(x: FloatArray, p: int, k: int, sign: int, det: int) -> FloatArray:
    """Return -s H_1(v_1) ... H_k(v_k) I, v_i of p - i + 1 elements.

    Examples
    --------
    >>> householder_forward(np.array([3.0, 4.0]), 2, 1, 1, 1).ravel()
    array([0.6, 0.8])
    """
    Q = np.eye(p, k)
    Q[-1, -1] *= last_sign(p, k, sign, det)
    for i, part in reversed(list(_parts(p, k))):
        a, square, _ = reflector(x[part], sign)
        if square == 0.0:
            return np.full((p, k), np.nan)
        Q[i:, i:] = reflect(a, square, Q[i:, i:])
    return -sign * Q


def householder_pull_back(
    x: FloatArray, slope: FloatArray, sign: int, det: int, df: float = 0.0
) -> tuple[float, FloatArray]:
    """Return c, the sum of (df - m) log||v|| - ||v||^2 / 2, and the gradient of log f(Q) + c.

    v are the vectors (m,) of the reflections; logs are left out for df = 0.
    The reflections are undone one after the other from the left, so none of their results is kept.
    """
    p, k = slope.shape
    Q, slope, gradient = -sign * householder_forward(x, p, k, sign, det), -sign * slope, -x
    value = -0.5 * float(x @ x)
    for i, part in _parts(p, k):
        a, square, length = reflector(x[part], sign)
        if square == 0.0:
            return np.nan, np.full(x.size, np.nan)
        after, by_after = Q[i:, i:], slope[i:, i:]
        before = reflect(a, square, after)
        by_a, of_a = a @ by_after, a @ before
        change = (by_after @ of_a + before @ by_a) / square
        change = -2.0 * (change - 2.0 * float(by_a @ of_a) / square**2 * a)
        gradient[part] += change
        # The first element without the cancellation in 1 + sign v_1 / ||v||.
        gradient[part.start] += change[0] * (abs(a[0]) / length - 1.0)
        gradient[part.start + 1 : part.stop] += sign * change[0] / length * x[part][1:]
        Q[i:, i:] = before
        slope[i:, i:] = reflect(a, square, by_after)
        extra = df - (p - i) if df > 0.0 else 0.0
        value += extra * float(np.log(length))
        gradient[part] += extra / length**2 * x[part]
    return value, gradient


def rotations(p: int, k: int) -> list[tuple[int, int]]:
    """Planes of the rotations, from the left.

    Examples
    --------
    >>> rotations(3, 2)
    [(0, 1), (0, 2), (1, 2)]
    """
    return [(i, j) for i in range(k) for j in range(i + 1, p)]


def givens_forward(x: FloatArray, p: int, k: int) -> FloatArray:
    """Return R_12 ... R_1p R_23 ... R_kp I; each angle is that of two coordinates r (cos, sin).

    Examples
    --------
    >>> givens_forward(np.array([3.0, 4.0]), 2, 1).ravel()
    array([0.6, 0.8])
    """
    Q = np.eye(p, k)
    planes = rotations(p, k)
    for (i, j), (across, up) in zip(planes[::-1], x.reshape(-1, 2)[::-1], strict=True):
        r = np.hypot(across, up)
        if r == 0.0:
            return np.full((p, k), np.nan)
        cos, sin = across / r, up / r
        Q[i], Q[j] = cos * Q[i] - sin * Q[j], sin * Q[i] + cos * Q[j]
    return Q


def givens_pull_back(x: FloatArray, slope: FloatArray) -> tuple[float, FloatArray]:
    """Return the log density of angles and radii, and the gradient of log f(Q) plus it.

    It is the sum over planes of (j - i - 1) log|cos t_ij| - log r_ij - (r_ij - 1)^2 / (2 sd^2).
    """
    p, k = slope.shape
    Q, slope, value, gradient = (
        givens_forward(x, p, k),
        slope.copy(),
        0.0,
        np.empty((x.size // 2, 2)),
    )
    for n, ((i, j), (across, up)) in enumerate(zip(rotations(p, k), x.reshape(-1, 2), strict=True)):
        r, power = float(np.hypot(across, up)), j - i - 1
        if r == 0.0 or (power and across == 0.0):
            return np.nan, np.full(x.size, np.nan)
        cos, sin = across / r, up / r
        by_angle = float(slope[j, i:] @ Q[i, i:] - slope[i, i:] @ Q[j, i:])
        if power:
            value += power * float(np.log(abs(cos)))
            by_angle -= power * sin / cos
        by_radius = -(r - 1.0) / RADIUS_SD**2 - 1.0 / r
        value -= 0.5 * ((r - 1.0) / RADIUS_SD) ** 2 + float(np.log(r))
        gradient[n] = by_radius * cos - by_angle * sin / r, by_radius * sin + by_angle * cos / r
        for matrix in (Q, slope):
            matrix[i], matrix[j] = (
                cos * matrix[i] + sin * matrix[j],
                cos * matrix[j] - sin * matrix[i],
            )
    return value, gradient.ravel()


def _cayley_parts(x: FloatArray, p: int, k: int) -> tuple[FloatArray, FloatArray, float]:
    """The lower block A (p - k, k), N = (I + A'A - B)^-1, and log det N."""
    B = np.zeros((k, k))
    n = k * (k - 1) // 2
    B[np.tril_indices(k, -1)] = x[:n]
    A = x[n:].reshape(p - k, k)
    inner = np.eye(k) + A.T @ A - (B - B.T)
    N: FloatArray = np.asarray(np.linalg.inv(inner), dtype=np.float64)
    return A, N, -float(np.linalg.slogdet(inner)[1])


def cayley_forward(x: FloatArray, p: int, k: int) -> FloatArray:
    """Return (I + X)(I - X)^-1 I for the skew X = [B, -A'; A, 0]; x holds the elements of B below
    its diagonal, by rows, and those of A.

    Examples
    --------
    >>> cayley_forward(np.array([0.5]), 2, 1).ravel()
    array([0.6, 0.8])
    """
    A, N, _ = _cayley_parts(x, p, k)
    return np.vstack([2.0 * N - np.eye(k), 2.0 * A @ N])


def cayley_pull_back(x: FloatArray, slope: FloatArray) -> tuple[float, FloatArray]:
    """Return the log Jacobian and the gradient of log f(Q) plus it.

    It is d log 2 - (p - 1) log det(I + A'A - B).
    """
    p, k = slope.shape
    A, N, log_determinant = _cayley_parts(x, p, k)
    upper, lower = slope[:k], slope[k:]
    by_inverse = -N.T @ (2.0 * upper + 2.0 * A.T @ lower) @ N.T - (p - 1) * N.T
    by_A = 2.0 * lower @ N.T + A @ (by_inverse + by_inverse.T)
    by_B = (by_inverse.T - by_inverse)[np.tril_indices(k, -1)]
    value = x.size * float(np.log(2.0)) + (p - 1) * log_determinant
    return value, np.concatenate([by_B, by_A.ravel()])


class StiefelMap:
    """A chart of the orthonormal matrices (p, k).

    Parameters
    ----------
    chart : str
        One of `CHARTS`.
    p, k : int
    sign, det : int
        Sign of the reflections and, for p = k, the determinant; for "householder".
    frame : ndarray, shape (p, p), optional
        Orthogonal matrix that multiplies Q from the left.
    df : float
        Degrees of freedom of what is redundant, at least p: X'X of "polar" is Wishart, the squared
        lengths of "householder" are chi-squared. Zero for the number of elements.

    Examples
    --------
    >>> StiefelMap("cayley", 2, 1, frame=np.array([[0.0, -1.0], [1.0, 0.0]])).forward(np.zeros(1))
    array([[0.],
           [1.]])
    """

    def __init__(
        self,
        chart: str,
        p: int,
        k: int,
        sign: int = 1,
        det: int = 1,
        frame: FloatArray | None = None,
        df: float = 0.0,
    ) -> None:
        if chart not in CHARTS or not 1 <= k <= p or p < 2:
            raise ValueError("chart must be known, and p at least 2, and k from 1 to p")
        if abs(sign) != 1 or abs(det) != 1:
            raise ValueError("sign and det must be 1 or -1")
        if df != 0.0 and not p <= df < np.inf:
            raise ValueError("df must be 0 or at least p")
        self.chart, self.p, self.k, self.sign, self.det, self.frame = chart, p, k, sign, det, frame
        self.df = df

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return size_of(self.chart, self.p, self.k)

    def forward(self, x: FloatArray) -> FloatArray:
        """Return Q (p, k) at x (size,); NaN where there is none."""
        if not np.all(np.isfinite(x)):
            return np.full((self.p, self.k), np.nan)
        if self.chart == "polar":
            Q = polar_forward(x, self.p, self.k)
        elif self.chart == "householder":
            Q = householder_forward(x, self.p, self.k, self.sign, self.det)
        elif self.chart == "givens":
            Q = givens_forward(x, self.p, self.k)
        else:
            Q = cayley_forward(x, self.p, self.k)
        return Q if self.frame is None else self.frame @ Q

    def pull_back(self, x: FloatArray, slope: FloatArray) -> tuple[float, FloatArray]:
        """Return the chart's own log density at x and the gradient of log f(Q) plus it.

        `slope` (p, k) is the gradient of log f by Q; NaN where there is no density.
        """
        if not np.all(np.isfinite(x)):
            return np.nan, np.full(self.size, np.nan)
        slope = slope if self.frame is None else self.frame.T @ slope
        if self.chart == "polar":
            return polar_pull_back(x, slope, self.df)
        if self.chart == "householder":
            return householder_pull_back(x, slope, self.sign, self.det, self.df)
        if self.chart == "givens":
            return givens_pull_back(x, slope)
        return cayley_pull_back(x, slope)
