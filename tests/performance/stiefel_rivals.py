"""Orthonormal matrices: the compiled charts beside NumPy under nutpie, and beside mici.

Smallest bulk ESS per second of processor time, over the entries of Q (von Mises-Fisher) or of QQ'
and Q (uniform), warm-up included, of
- the compiled chart and target under this package's no-U-turn sampler,
- the same density written in NumPy, under nutpie,
- constrained Hamiltonian Monte Carlo on the manifold itself, by mici, written in NumPy.

    pip install nutpie mici
    python tests/performance/stiefel_rivals.py [--p 10] [--k 4] [--draws 1000] [--repeats 3]

One core, one chain after another, methods in turns. A method whose means are off is not reported.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings

# One core for everything, before any library starts its threads.
for library in ("OPENBLAS", "OMP", "MKL", "RAYON"):
    os.environ[f"{library}_NUM_THREADS"] = "1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import numpy as np

from qbeconometrics import stiefel
from qbeconometrics.diagnostics.convergence import bulk_ess, mean_mcse
from qbeconometrics.kernels._stiefel_density import QuadraticTarget
from qbeconometrics.sampling.nuts import sample_density

CHAINS = 4
TUNE = 1_000
CONCENTRATION = 20.0
# Steps of mici take milliseconds; its draws are fewer, and its warm-up is shorter.
MICI_DRAWS, MICI_TUNE = 100, 100


def numpy_polar(p, k, M):
    """Log density and gradient of X (p, k) whose orthonormal factor has density exp(tr(M'Q))."""

    def log_density(x):
        left, values, right = np.linalg.svd(x.reshape(p, k), full_matrices=False)
        turned = M @ right.T
        inner = left.T @ turned
        gradient = left @ ((inner - inner.T) / np.add.outer(values, values))
        gradient += (turned - left @ inner) / values
        value = float(np.sum(M * (left @ right))) - 0.5 * float(x @ x)
        return value, np.ascontiguousarray((gradient @ right).ravel() - x)

    def to_matrix(x):
        left, _, right = np.linalg.svd(x.reshape(p, k), full_matrices=False)
        return left @ right

    return p * k, log_density, to_matrix


def numpy_householder(p, k, M):
    """The same for the vectors of k reflections, their sign held at one."""
    ends = np.cumsum([p - i for i in range(k)])
    parts = [slice(end - (p - i), end) for i, end in enumerate(ends)]
    base = np.eye(p, k)

    def forward(x):
        Q, kept = base.copy(), []
        for i in range(k - 1, -1, -1):
            v = x[parts[i]]
            length = np.sqrt(v @ v)
            a = v.copy()
            a[0] += length
            square = a @ a
            W = Q[i:, i:].copy()
            Q[i:, i:] = W - (2.0 / square) * np.outer(a, a @ W)
            kept.append((i, a, square, length, W))
        return -Q, kept

    def log_density(x):
        Q, kept = forward(x)
        gradient, slope = -x, -M
        for i, a, square, length, W in reversed(kept):
            S = slope[i:, i:]
            Sa, Wa = S.T @ a, W.T @ a
            by_a = (4.0 * (Sa @ Wa) / square**2) * a - (2.0 / square) * (S @ Wa + W @ Sa)
            gradient[parts[i]] += by_a + (by_a[0] / length) * x[parts[i]]
            slope[i:, i:] = S - (2.0 / square) * np.outer(a, Sa)
        return float(np.sum(M * Q)) - 0.5 * float(x @ x), gradient

    return int(ends[-1]), log_density, lambda x: forward(x)[0]


NUMPY = {"polar": numpy_polar, "householder": numpy_householder}
CHARTS = {"polar": stiefel.Polar, "householder": stiefel.Householder}


def compiled(name, p, k, M):
    """Return a method: (draws, seed) -> Q (chains, draws, p, k) and gradients a draw."""
    chart = CHARTS[name](p, k)
    target = QuadraticTarget(p, k, linear=M)

    def run(draws, seed):
        starts = np.random.default_rng(seed).standard_normal((CHAINS, chart.size))
        sample = sample_density(
            chart.density(target), draws, TUNE, CHAINS, seed, starts, cores=1, progressbar=False
        )
        flat = sample.draws.reshape(-1, chart.size)
        Q = np.stack([chart.to_matrix(x) for x in flat]).reshape(CHAINS, draws, p, k)
        return Q, float(sample.statistics["gradients"].mean())

    return run


def through_nutpie(name, p, k, M):
    import nutpie
    from nutpie.compiled_pyfunc import from_pyfunc

    size, log_density, to_matrix = NUMPY[name](p, k, M)
    model = from_pyfunc(
        ndim=size,
        make_logp_fn=lambda: log_density,
        make_expand_fn=lambda *_: lambda x: {"Q": to_matrix(x)},
        expanded_dtypes=[np.dtype(np.float64)],
        expanded_shapes=[(p, k)],
        expanded_names=["Q"],
    )

    def run(draws, seed):
        trace = nutpie.sample(
            model, draws=draws, tune=TUNE, chains=CHAINS, cores=1, seed=seed, progress_bar=False
        )
        return trace.posterior["Q"].values, float(trace.sample_stats["n_steps"].values.mean())

    return run


def through_mici(p, k, M):
    import mici

    upper = np.triu_indices(k)

    def constraint(q):
        Q = q.reshape(p, k)
        return (Q.T @ Q - np.eye(k))[upper]

    def jacobian(q):
        Q = q.reshape(p, k)
        rows = np.zeros((len(upper[0]), p, k))
        for row, (i, j) in enumerate(zip(*upper, strict=True)):
            rows[row, :, i] += Q[:, j]
            rows[row, :, j] += Q[:, i]
        return rows.reshape(len(rows), p * k)

    def run(_, seed):
        rng = np.random.default_rng(seed)
        system = mici.systems.DenseConstrainedEuclideanMetricSystem(
            neg_log_dens=lambda q: -float(np.sum(M * q.reshape(p, k))),
            grad_neg_log_dens=lambda q: -M.ravel(),
            constr=constraint,
            jacob_constr=jacobian,
        )
        sampler = mici.samplers.DynamicMultinomialHMC(
            system, mici.integrators.ConstrainedLeapfrogIntegrator(system), rng
        )
        starts = [np.linalg.qr(rng.standard_normal((p, k)))[0].ravel() for _ in range(CHAINS)]
        found = sampler.sample_chains(
            MICI_TUNE,
            MICI_DRAWS,
            starts,
            n_worker=1,
            display_progress=False,
            trace_funcs=[lambda state: {"Q": state.pos.reshape(p, k)}],
            adapters=[mici.adapters.DualAveragingStepSizeAdapter(0.8)],
        )
        steps = np.concatenate([np.asarray(n) for n in found.statistics["n_step"]])
        return np.stack(found.traces["Q"]), float(steps.mean())

    return run


def functionals(Q):
    """Entries of Q and of the upper triangle of QQ', (chains, draws, numbers)."""
    p = Q.shape[2]
    squares = Q @ Q.swapaxes(-1, -2)
    rows, columns = np.triu_indices(p)
    return np.concatenate([Q.reshape(*Q.shape[:2], -1), squares[:, :, rows, columns]], axis=2)


def report(name, runs, expected):
    """Print a line of the table, if the means are right."""
    numbers = np.concatenate([functionals(Q) for Q, _, _ in runs], axis=1)
    away = np.abs(numbers.mean(axis=(0, 1)) - expected[0]) / np.hypot(
        mean_mcse(numbers), expected[1]
    )
    worth = [functionals(Q) for Q, _, _ in runs]
    worth = [bulk_ess(each).min() for each in worth]
    # The largest of some hundred scores of a right method is rarely above five.
    if away.max() > 5.0:
        print(f"| {name:30s} | means are off by {away.max():.1f} standard errors |")
        return np.nan
    rate = np.median([w / seconds for w, (_, _, seconds) in zip(worth, runs, strict=True)])
    gradients = np.median([count for _, count, _ in runs])
    seconds = np.median([taken for _, _, taken in runs])
    print(
        f"| {name:30s} | {rate:8.0f} | {np.median(worth) / np.prod(runs[0][0].shape[:2]):10.2f} |"
        f" {gradients:16.1f} | {seconds:7.2f} |",
        flush=True,
    )
    return float(rate)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--p", type=int, default=10)
    parser.add_argument("--k", type=int, default=4)
    parser.add_argument("--draws", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    p, k = given.p, given.k
    targets = {"uniform": np.zeros((p, k)), "von Mises-Fisher": CONCENTRATION * np.eye(p, k)}
    warnings.simplefilter("ignore")
    for target, M in targets.items():
        methods = {}
        for name in CHARTS:
            methods[f"{name}, compiled"] = compiled(name, p, k, M)
            methods[f"{name}, NumPy under nutpie"] = through_nutpie(name, p, k, M)
        methods["constrained, NumPy under mici"] = through_mici(p, k, M)
        runs = {name: [] for name in methods}
        for seed in range(given.repeats):
            for name, method in methods.items():
                began = time.process_time()
                Q, gradients = method(given.draws, seed)
                runs[name].append((Q, gradients, time.process_time() - began))
        long_run = functionals(methods["polar, compiled"](20_000, 99)[0])
        expected = long_run.mean(axis=(0, 1)), mean_mcse(long_run)
        print(f"\n{target}, p = {p}, k = {k}\n")
        print(f"| {'method':30s} |  ESS / s | ESS / draw | gradients / draw | seconds |")
        print(f"| {'-' * 30} | -------: | ---------: | ---------------: | ------: |")
        rates = {name: report(name, run, expected) for name, run in runs.items()}
        for name in CHARTS:
            ours = rates[f"{name}, compiled"]
            print(
                f"{name}: {ours / rates[f'{name}, NumPy under nutpie']:.1f} times NumPy under "
                f"nutpie, {ours / rates['constrained, NumPy under mici']:.1f} times mici"
            )


if __name__ == "__main__":
    main()
