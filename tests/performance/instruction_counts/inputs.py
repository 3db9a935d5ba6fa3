"""Arrays that the counted kernels work on, from NumPy alone and the same on every machine.

    python inputs.py <folder>

They are made outside callgrind, under which a million rows would take hours, and stored by name.
"""

import sys
from pathlib import Path

import numpy as np

# Of the statistic whose cost must not depend on the number of rows.
ROW_COUNTS = (1_000, 1_000_000)
ROWS_AT_A_TIME = 50_000


def pack(matrix):
    """Lower triangle by rows of (..., n, n)."""
    row, column = np.tril_indices(matrix.shape[-1])
    return np.ascontiguousarray(matrix[..., row, column])


def products(columns):
    """Products of each pair of columns (n, c), in the order of a packed triangle."""
    row, column = np.tril_indices(columns.shape[1])
    return columns[:, row] * columns[:, column]


def regression_rows(n, k, m, rng):
    """Errors with a variance that depends on z, regressors scaled by sqrt(n), and instruments."""
    z = rng.standard_normal((n, m))
    z[:, 0] = 1.0
    x = z[:, :k].copy()
    if m > k:
        x[:, k - 1] += z[:, k:].sum(axis=1) + rng.standard_normal(n)
    errors = rng.standard_normal(n) * (0.5 + np.abs(z[:, 1]))
    return errors, x, z


def linear_moments(n, k, m, *, with_rows=False):
    """Arrays of `LinearMomentTarget` about the true coefficients, and a proposal's root."""
    rng = np.random.default_rng([1, n, k, m])
    cross, second = np.zeros((m, k + 1)), np.zeros(((k + 1) * (k + 2) // 2, m * (m + 1) // 2))
    for start in range(0, n, ROWS_AT_A_TIME):
        errors, x, z = regression_rows(min(ROWS_AT_A_TIME, n - start), k, m, rng)
        w = np.column_stack([errors, x / np.sqrt(n)])
        cross += z.T @ w
        second += products(w).T @ products(z)
    cross *= np.sqrt(n) / n
    intercept, jacobian = cross[:, 0].copy(), cross[:, 1:].copy()
    covariance = np.zeros((m, m))
    covariance[np.tril_indices(m)] = second[0] / n
    covariance += np.tril(covariance, -1).T
    weighted = np.linalg.solve(covariance, cross)
    mean = np.linalg.solve(jacobian.T @ weighted[:, 1:], jacobian.T @ weighted[:, 0])
    root = np.linalg.cholesky(np.linalg.inv(jacobian.T @ weighted[:, 1:]))
    arrays = {"intercept": intercept, "jacobian": jacobian, "mean": mean, "root": pack(root)}
    if with_rows:
        return {**arrays, "residual": w[:, 0].copy(), "regressor": w[:, 1:].copy(), "instrument": z}
    return {**arrays, "statistic": second / n}


def smoothing(horizons):
    """One path of impulse responses with a roughness prior of second differences."""
    rng = np.random.default_rng(2)
    root = np.eye(horizons) + 0.3 * np.tri(horizons, k=-1)
    return {
        "sizes": np.array([horizons]),
        "basis": np.linalg.inv(root),
        "coupling": np.zeros((horizons, horizons)),
        "linear": rng.standard_normal(horizons),
        "curvature": rng.gamma(1.0, size=horizons),
        "shift": 0.1 * rng.standard_normal(horizons),
        "paths": np.array([[horizons - 2.0, 2.0, 1.0]]),
    }


def projection(horizons, n=300):
    """Local projections of one shock, continuously updated: `ProjectionTarget` and proposals."""
    rng = np.random.default_rng(3)
    size = 2 * horizons
    scores = rng.standard_normal((n, size)) @ (
        np.eye(size) + 0.1 * rng.standard_normal((size,) * 2)
    )
    second = (scores.T @ scores / n).reshape(2, horizons, 2, horizons).transpose(0, 2, 1, 3)
    estimate = rng.standard_normal((horizons, 1))
    jacobian = 10.0 * (rng.standard_normal((horizons, 1)) + 3.0)
    differences = np.diff(np.eye(horizons), n=2, axis=0)
    colouring = 0.02 * np.linalg.cholesky(np.eye(horizons) + 0.3)
    return {
        "cross": np.sum(jacobian * estimate, axis=1),
        "jacobian": jacobian,
        "estimate": estimate,
        "places": np.arange(horizons)[:, None],
        "terms": pack(second).reshape(4, -1),
        "prior_rows": np.eye(horizons) / 3.0,
        "prior_target": np.zeros(horizons),
        "rough_rows": differences,
        "rough_offset": np.zeros(len(differences)),
        "rough_path": np.zeros(len(differences), dtype=np.int64),
        "paths": np.array([[float(len(differences)), 0.7]]),
        "blocks": np.linspace(0, horizons, 4).astype(np.int64),
        "centre": estimate[:, 0].copy(),
        "colouring": colouring,
        "whitening": np.linalg.inv(colouring),
    }


def losses(n, k):
    """Rows of a median regression, and particles about its coefficients."""
    rng = np.random.default_rng(4)
    columns = rng.standard_normal((k, n))
    return {
        "endog": columns.sum(axis=0) + rng.standard_normal(n),
        "columns": columns,
        "weight": rng.integers(0, 3, n).astype(float),
        "positions": 1.0 + 0.1 * rng.standard_normal((50, k)),
    }


def orthonormal(p, k):
    """A matrix Langevin law (p, k), and a start."""
    rng = np.random.default_rng(5)
    linear = rng.standard_normal((p, k))
    return {"linear": linear, "position": rng.standard_normal(p * k)}


def stream(n, k, size):
    """Standardised rows of two outcomes and k regressors, and random Fourier features."""
    rng = np.random.default_rng(6)
    x = rng.standard_normal((n, k))
    errors = rng.standard_normal((n, 2))
    return {
        "x": x,
        "y": np.column_stack([np.sin(x[:, 0]), np.cos(x[:, -1])]) + errors @ [[1.0, 0.3], [0.2, 1]],
        "frequencies": rng.standard_normal((k, size)),
        "phases": rng.uniform(0.0, 2.0 * np.pi, size),
        "scales": np.full(size, np.sqrt(2.0 / size)),
    }


def all_inputs():
    """Arrays by the names that cases call them by."""
    found = {f"regression k={k}": linear_moments(500, k, k) for k in (3, 10, 20)}
    found |= {f"instruments n={n}": linear_moments(n, 5, 8) for n in ROW_COUNTS}
    return found | {
        "rows": linear_moments(500, 5, 8, with_rows=True),
        "smoothing": smoothing(37),
        "projection": projection(37),
        "losses": losses(1_000, 5),
        "orthonormal": orthonormal(12, 3),
        "stream": stream(2_000, 3, 100),
    }


if __name__ == "__main__":
    for name, arrays in all_inputs().items():
        np.savez(Path(sys.argv[1]) / f"{name}.npz", **arrays)
