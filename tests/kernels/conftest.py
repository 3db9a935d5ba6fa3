"""Random targets in every form, and one way to run a chain with either kind of kernel."""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from qbeconometrics.kernels import (
    _cholesky,
    _delayed_acceptance,
    _gradient,
    _hmc,
    _linear_moments,
)
from qbeconometrics.kernels.reference import (
    cholesky,
    delayed_acceptance,
    gradient,
    hmc,
    linear_moments,
)


@dataclass(frozen=True)
class Kernels:
    """One kind of kernel: the modules of the same function names."""

    cholesky: ModuleType
    linear_moments: ModuleType
    delayed_acceptance: ModuleType
    gradient: ModuleType
    hmc: ModuleType


COMPILED = Kernels(_cholesky, _linear_moments, _delayed_acceptance, _gradient, _hmc)
TWINS = Kernels(cholesky, linear_moments, delayed_acceptance, gradient, hmc)


@dataclass(frozen=True)
class Problem:
    """Arguments of a target, in scaled coordinates: posterior means near 0, sds near 1."""

    arguments: dict[str, Any]

    def target(self, kernels=COMPILED):
        return kernels.linear_moments.LinearMomentTarget(**self.arguments)

    @property
    def k(self):
        return self.arguments["jacobian"].shape[1]

    @property
    def m(self):
        return self.arguments["jacobian"].shape[0]


def pack(matrix):
    """Lower triangle by rows of (..., n, n)."""
    row, column = np.tril_indices(matrix.shape[-1])
    return np.ascontiguousarray(matrix[..., row, column])


def statistic_of_rows(residual, regressor, instrument, factor):
    """T_ab = factor * sum w_a w_b z z', packed in both directions, straight from its definition."""
    w = np.column_stack([residual, regressor])
    full = factor * np.einsum("ia,ib,ij,il->abjl", w, w, instrument, instrument, optimize=True)
    return pack(full[np.tril_indices(w.shape[1])])


def make_problem(k=2, m=3, form="statistic", determinant=True, prior="normal", seed=0, n=90):
    """Heteroskedastic rows; `form` is a key of FORMS."""
    rng = np.random.default_rng([seed, k, m])
    z = rng.standard_normal((n, m)) + 0.2
    regressor = (z[:, :k] + rng.standard_normal((n, k))) / np.sqrt(n)
    residual = rng.standard_normal(n) * (0.6 + 0.4 * np.abs(z[:, 0]))
    w = np.column_stack([residual, regressor])
    mean = z.T @ w / n
    precision = np.diag(np.linspace(0.05, 0.3, k)) + 0.02
    arguments = {
        "intercept": np.sqrt(n) * mean[:, 0],
        "jacobian": np.sqrt(n) * mean[:, 1:],
        "prior_precision": precision,
        "prior_mean": np.linspace(-1.0, 0.5, k),
        "determinant": determinant,
        **FORMS[form](residual, regressor, z, w),
    }
    if prior != "normal":
        # The first coefficient's prior, or every one's, is Student t.
        terms = 1 if prior == "student and normal" else k
        arguments["prior_precision"] = precision * (np.arange(k) >= terms)[:, None]
        arguments["prior_precision"] *= np.arange(k) >= terms
        arguments["student"] = (
            np.eye(k)[:terms] * 0.7,
            np.linspace(-0.3, 0.3, terms),
            np.linspace(2.0, 5.0, terms),
        )
    if prior == "flat":
        del arguments["student"]
    return Problem(arguments)


def _rows(residual, regressor, z, factor, centering):
    return {"rows": (residual, regressor, z, factor, centering)}


FORMS = {
    "statistic": lambda u, x, z, w: {"statistic": statistic_of_rows(u, x, z, 1 / len(u))},
    "rows": lambda u, x, z, w: _rows(u, x, z, 1 / len(u), 0.0),
    "rows centered": lambda u, x, z, w: _rows(u, x, z, 1 / len(u), 1 / len(u)),
    "rows HC1": lambda u, x, z, w: _rows(u, x, z, 1 / (len(u) - x.shape[1]), 0.0),
    "rows HC1 centered": lambda u, x, z, w: _rows(
        u, x, z, 1 / (len(u) - x.shape[1]), 1 / (len(u) - x.shape[1])
    ),
    "proportional": lambda u, x, z, w: {"proportional": (pack(z.T @ z / len(u)), w.T @ w / len(u))},
    "fixed weight": lambda u, x, z, w: {"proportional": (pack(z.T @ z / len(u)), None)},
}


@dataclass(frozen=True)
class Chain:
    """Everything that a run of a kernel changes."""

    ready: bool
    draws: np.ndarray
    log_density: np.ndarray
    counters: np.ndarray
    position: np.ndarray
    tuning: np.ndarray
    generator: dict = field(repr=False)


def run_chain(
    problem,
    sampler,
    *,
    kernels=COMPILED,
    n_draws=2_000,
    blocks=None,
    start=None,
    df=np.inf,
    rho=0.0,
    square=False,
    goal=-1.0,
    log_scale=0.0,
    unscreened=0,
    tuning=None,
    power=0.0,
    length=2.2,
    jitter=0.3,
    seed=1,
):
    """Run a sampler by name in blocks of the given sizes."""
    target, k = problem.target(kernels), problem.k
    module = kernels.delayed_acceptance
    bits = np.random.PCG64(seed)
    position = np.zeros(k) if start is None else np.array(start, dtype=float)
    if tuning is None:
        tuning = [log_scale, 0.0, 0.0, log_scale, log_scale + 0.7]
    tuning = np.array(tuning)
    counters = np.zeros(5, dtype=np.int64)
    draws, log_density = np.full((n_draws, k), np.nan), np.full(n_draws, np.nan)
    inverse, root = np.empty((0, 0)), np.empty(0)
    if square:
        inverse = np.linalg.inv(problem.arguments["jacobian"])
        root = inverse @ problem.arguments["intercept"]
    ready, begin = True, 0
    for size in blocks or [n_draws]:
        part = slice(begin, begin + size)
        outputs = (draws[part], log_density[part], counters)
        if sampler == "hmc":
            ready &= kernels.hmc.hamiltonian(
                target,
                bits,
                position,
                tuning,
                np.linspace(-0.2, 0.3, k),
                pack(0.8 * np.eye(k) + 0.2 * np.tri(k, k, -1)),
                power,
                length,
                jitter,
                *outputs,
                goal=goal,
            )
        elif sampler in ("rwm", "da"):
            shape = pack(np.eye(k) + 0.2 * np.tri(k, k, -1))
            ready &= module.random_walk(
                target,
                bits,
                position,
                tuning,
                shape,
                *outputs,
                delayed=sampler == "da",
                goal=goal,
                unscreened=unscreened,
            )
        else:
            ready &= module.modified_delayed_acceptance(
                target,
                bits,
                position,
                df,
                rho,
                inverse,
                root,
                *outputs,
                exact=sampler == "da-exact",
            )
        begin += size
    return Chain(ready, draws, log_density, counters, position, tuning, bits.state)


@pytest.fixture(scope="session")
def compiled():
    return COMPILED


@pytest.fixture(scope="session")
def twins():
    return TWINS


@pytest.fixture(scope="session")
def problem_of():
    """Make a problem: see `make_problem`."""
    return make_problem


@pytest.fixture(scope="session")
def run():
    """Run a chain: see `run_chain`."""
    return run_chain


@pytest.fixture(scope="session")
def packed():
    """Pack lower triangles."""
    return pack


@pytest.fixture(scope="session")
def partly_indefinite(problem_of):
    """Make a problem whose S is positive definite only where |x| is small, as two-way cluster
    covariances can be."""

    def make(k=2, m=3):
        arguments = dict(problem_of(k, m).arguments)
        tensor = np.zeros((k + 1, k + 1, m, m))
        tensor[0, 0] = np.eye(m)
        tensor[np.arange(1, k + 1), np.arange(1, k + 1)] = -0.2 * np.eye(m)
        arguments["statistic"] = pack(tensor[np.tril_indices(k + 1)])
        return Problem(arguments)

    return make
