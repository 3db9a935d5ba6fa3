"""Values and gradients to nine digits, against definitions evaluated with 50 digits."""

import mpmath
import numpy as np
import pytest
from mpmath import mp

from qbeconometrics import stiefel

RELATIVE = 1e-9


@pytest.fixture(autouse=True)
def fifty_digits():
    with mp.workdps(50):
        yield


def inner(M, Q):
    return mpmath.fsum(M[i, j] * Q[i, j] for i in range(Q.rows) for j in range(Q.cols))


def log_f(Q, M, A, D):
    """Of the target of the other tests."""
    p, k = Q.rows, Q.cols
    AQ = mp.matrix(A.tolist()) * Q
    return inner(M, Q) + mpmath.fsum(
        D[j] * AQ[i, j] * Q[i, j] / 2 for i in range(p) for j in range(k)
    )


def normals(x):
    return -mpmath.fsum(v * v for v in x) / 2 - len(x) * mpmath.log(2 * mp.pi) / 2


def polar(x, p, k):
    X = mp.matrix(p, k)
    for n, value in enumerate(x):
        X[n // k, n % k] = value
    squares, V = mp.eigsy(X.T * X)
    root = V * mp.diag([1 / mpmath.sqrt(s) for s in squares]) * V.T
    return X * root, normals(x)


def householder(x, p, k):
    """With sign 1, p > k, every reflection a full matrix from its textbook formula."""
    Q, begin = mp.eye(p)[:, :k], len(x)
    for i in reversed(range(k)):
        begin -= p - i
        v = mp.matrix(list(x[begin : begin + p - i]))
        a = v.copy()
        a[0] += mpmath.norm(v)
        H = mp.eye(p)
        small = mp.eye(p - i) - 2 * a * a.T / (a.T * a)[0]
        for r in range(p - i):
            for c in range(p - i):
                H[i + r, i + c] = small[r, c]
        Q = H * Q
    return -Q, normals(x)


def givens(x, p, k):
    Q, value, n = mp.eye(p), mp.mpf(0), 0
    for i in range(k):
        for j in range(i + 1, p):
            r = mpmath.hypot(x[n], x[n + 1])
            cos, sin = x[n] / r, x[n + 1] / r
            R = mp.eye(p)
            R[i, i], R[j, j], R[i, j], R[j, i] = cos, cos, -sin, sin
            Q, n, gap = Q * R, n + 2, j - i
            value += (gap - 1) * mpmath.log(abs(cos)) - mpmath.log(
                2 * mpmath.beta(mp.mpf(1) / 2, mp.mpf(gap) / 2)
            )
            value += mpmath.log(mpmath.npdf(r, 1, mp.mpf(0.1))) - mpmath.log(r)
    return Q[:, :k], value


DEFINITION = {"polar": polar, "householder": householder, "givens": givens}
CHART = {"polar": stiefel.Polar, "householder": stiefel.Householder, "givens": stiefel.Givens}


def assert_nine_digits(name, x, p, k, target):
    chart = CHART[name](p, k)
    M, A, D = target.arguments
    big = mp.matrix(M.tolist())

    def value(point):
        Q, own = DEFINITION[name](point, p, k)
        return log_f(Q, big, A, D) + own

    exact, step = [mp.mpf(float(v)) for v in x], mp.mpf(10) ** -17
    differences = []
    for n in range(len(x)):
        ends = [[v + s * step * (m == n) for m, v in enumerate(exact)] for s in (1, -1)]
        differences.append(float((value(ends[0]) - value(ends[1])) / (2 * step)))
    logp, gradient = chart.log_density_and_gradient(x, target)
    assert logp == pytest.approx(float(value(exact)), rel=RELATIVE)
    assert np.max(np.abs(gradient - differences)) < RELATIVE * np.max(np.abs(differences))


@pytest.mark.parametrize("smallest", [1.0, 1e-1, 1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize(("p", "k"), [(4, 2), (3, 3)])
def test_polar_near_a_singular_matrix(p, k, smallest, target_of):
    rng = np.random.default_rng([p, k])
    U, _, V = np.linalg.svd(rng.standard_normal((p, k)), full_matrices=False)
    x = ((U * np.append(np.linspace(2.0, 1.0, k - 1), smallest)) @ V).ravel()
    assert_nine_digits("polar", x, p, k, target_of(p, k))


def test_polar_with_equal_singular_values(target_of):
    x = 1.5 * stiefel.rand(4, 3, rng=3).ravel()
    assert_nine_digits("polar", x, 4, 3, target_of(4, 3))


@pytest.mark.parametrize("tail", [1.0, 1e-2, 1e-4, 1e-6])
def test_householder_near_its_hole(tail, target_of):
    x = np.array([-1.0, 0.4 * tail, -0.3 * tail, 0.8 * tail, 0.5, 0.2, -0.7])
    assert_nine_digits("householder", x, 4, 2, target_of(4, 2))


@pytest.mark.parametrize("cosine", [0.5, 1e-3, 1e-6, 1e-9])
def test_givens_near_a_pole(cosine, target_of):
    x = np.array([0.6, 0.8, cosine, 1.01, -0.9, 0.5, 0.7, -0.7, cosine, -0.95])
    assert_nine_digits("givens", x, 4, 2, target_of(4, 2))


def test_cayley_by_the_square_transform(target_of):
    """The matrix from (I + X)(I - X)^-1; the determinant is that of the other tests."""
    chart = stiefel.Cayley(4, 2)
    x = [0.3, 0.5, -1.2, 2.0, 0.7]
    X = mp.zeros(4)
    X[1, 0], X[2, 0], X[2, 1], X[3, 0], X[3, 1] = map(mp.mpf, x)
    X -= X.T
    Q = (mp.eye(4) + X) * mp.inverse(mp.eye(4) - X)
    found = chart.to_matrix(x)
    assert np.max(np.abs(found - np.array(Q[:, :2].tolist(), dtype=float))) < 1e-15
