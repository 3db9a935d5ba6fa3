"""Posteriors of two simulated networks, independently of the package: QR chart, own C loop, nutpie.

Q is the orthonormal factor of a QR decomposition, with a positive diagonal, of a matrix of standard
normals, which is uniform; gradients go back through the decomposition. The package's charts are
others. Needs numpy, scipy, nutpie 0.16 and a C compiler with vector functions of libm:

    python make_reference_network.py large 0     one chain of 5,000 draws, ten of which were run
    python make_reference_network.py combine     writes reference_network.json
"""

import ctypes
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import nutpie
from nutpie.compiled_pyfunc import from_pyfunc
from scipy.special import ndtr

HERE = Path(__file__).parent
NETWORKS = {
    "large": {"p": 270, "eigenvalues": (140.0, 95.0, -107.0), "intercept": -2.62, "seed": 2009},
    "small": {"p": 30, "eigenvalues": (35.0, -28.0), "intercept": -0.6, "seed": 2},
}
CHAINS, DRAWS, TUNE, BATCH = 10, 5000, 500, 500

# Sum over i < j of log Phi(sign (c + E)), and W, its derivative by E, in upper triangles.
PAIRS = """
#include <math.h>
double pairs(const double *restrict E, const double *restrict sign, double c, int p,
             double *restrict W) {
    double total = 0.0;
    for (int i = 0; i < p; i++)
        for (int j = i + 1; j < p; j++) {
            double s = sign[i * p + j], z = s * (c + E[i * p + j]);
            double Phi = 0.5 * erfc(-z * 0.70710678118654752440);
            total += log(Phi);
            W[i * p + j] = s * 0.39894228040143267794 * exp(-0.5 * z * z) / Phi;
        }
    return total;
}
"""


def compiled_pairs():
    (HERE / "pairs.c").write_text(PAIRS)
    command = "cc -O3 -march=native -ffast-math -shared -fPIC pairs.c -o pairs.so -lmvec -lm"
    subprocess.run(command.split(), check=True, cwd=HERE)
    function = ctypes.CDLL(str(HERE / "pairs.so")).pairs
    function.restype = ctypes.c_double
    pointer, number = ctypes.c_void_p, ctypes.c_double
    function.argtypes = [pointer, pointer, number, ctypes.c_int, pointer]
    return function


def simulated(p, eigenvalues, intercept, seed):
    rng = np.random.default_rng(seed)
    left, _, right = np.linalg.svd(rng.standard_normal((p, len(eigenvalues))), full_matrices=False)
    Q = left @ right
    i, j = np.triu_indices(p, 1)
    probabilities = ndtr(intercept + ((Q * np.array(eigenvalues)) @ Q.T)[i, j])
    Y = np.zeros((p, p), dtype=np.int64)
    Y[i, j] = rng.random(len(i)) < probabilities
    return Y + Y.T


def log_density(Y, k):
    """Of (X, lambda / sqrt(p), c / 10), all of them standard normal in the prior."""
    p, pairs = len(Y), compiled_pairs()
    sign = np.where(Y == 1, 1.0, -1.0)
    root = np.sqrt(p)
    W = np.zeros((p, p))

    def value_and_gradient(x, **_):
        X = x[: p * k].reshape(p, k)
        eigenvalues, c = root * x[p * k : p * k + k], 10.0 * x[-1]
        Q, R = np.linalg.qr(X)
        s = np.sign(np.diag(R))
        Q, R = Q * s, R * s[:, None]
        E = (Q * eigenvalues) @ Q.T
        total = pairs(E.ctypes.data, sign.ctypes.data, c, p, W.ctypes.data)
        by_node = W @ Q + W.T @ Q
        by_eigenvalue = 0.5 * np.einsum("il,il->l", Q, by_node)
        slope = by_node * eigenvalues
        M = -slope.T @ Q
        mirrored = np.tril(M) + np.tril(M, -1).T
        by_X = np.linalg.solve(R, (slope + Q @ mirrored).T).T
        gradient = np.concatenate([by_X.ravel(), root * by_eigenvalue, [10.0 * W.sum()]]) - x
        return float(total - 0.5 * x @ x), gradient

    return value_and_gradient


def start(Y, k, rng):
    p = len(Y)
    values, vectors = np.linalg.eigh(Y.astype(float) + 1e-9)
    order = np.argsort(-np.abs(values))[:k]
    X = np.sqrt(p) * vectors[:, order] + 0.1 * rng.standard_normal((p, k))
    eigenvalues = np.sign(values[order]) * rng.uniform(3, 6, k)
    return np.concatenate([X.ravel(), eigenvalues, [-0.2 + 0.02 * rng.standard_normal()]])


def chain(name, seed):
    Y, k = simulated(**NETWORKS[name]), len(NETWORKS[name]["eigenvalues"])
    p = len(Y)
    function, first = log_density(Y, k), start(Y, k, np.random.default_rng(seed))

    def expand(x, **_):
        eigenvalues = np.sort(np.sqrt(p) * x[p * k : p * k + k])[::-1]
        return {"eigenvalues": eigenvalues.copy(), "intercept": np.array([10.0 * x[-1]])}

    model = from_pyfunc(
        p * k + k + 1, lambda: function, lambda *seeds: expand, [np.dtype("float64")] * 2,
        [(k,), (1,)], ["eigenvalues", "intercept"], make_initial_point_fn=lambda seed: first.copy(),
    )  # fmt: skip
    trace = nutpie.sample(
        model, draws=DRAWS, tune=TUNE, chains=1, cores=1, seed=seed, progress_bar=False
    )
    draws = np.hstack(
        [np.asarray(trace.posterior[part])[0] for part in ("eigenvalues", "intercept")]
    )
    divergences = int(np.asarray(trace.sample_stats["diverging"]).sum())
    np.savez(HERE / f"{name}_{seed}.npz", draws=draws, divergences=divergences)


def summary(name):
    """Means and sds with standard errors, from means of batches of 500 draws."""
    Y = simulated(**NETWORKS[name])
    pieces = [np.load(HERE / f"{name}_{seed}.npz") for seed in range(CHAINS)]
    draws = np.stack([piece["draws"] for piece in pieces])
    mean = draws.mean(axis=(0, 1))
    squares = (draws - mean) ** 2
    sd = np.sqrt(squares.mean(axis=(0, 1)))

    def error(values):
        batches = values.reshape(-1, BATCH, values.shape[-1]).mean(axis=1)
        return batches.std(axis=0, ddof=1) / np.sqrt(len(batches))

    i, j = np.nonzero(np.triu(Y))
    return {
        **NETWORKS[name],
        "links": len(i),
        "links_checksum": int(((i + 1) * (j + 1)).sum()),
        "draws": int(draws.shape[0] * draws.shape[1]),
        "divergences": int(sum(int(piece["divergences"]) for piece in pieces)),
        "mean": mean.tolist(),
        "mean_error": error(draws).tolist(),
        "sd": sd.tolist(),
        "sd_error": (error(squares) / (2.0 * sd)).tolist(),
    }


if __name__ == "__main__":
    if sys.argv[1] == "combine":
        found = {"versions": {name: version(name) for name in ("numpy", "scipy", "nutpie")}}
        found |= {name: summary(name) for name in NETWORKS}
        (HERE / "reference_network.json").write_text(json.dumps(found, indent=1) + "\n")
    else:
        chain(sys.argv[1], int(sys.argv[2]))
