"""Draws from the target stay draws from the target under each kernel."""

import numpy as np
import pytest
from scipy.stats import kstest

from qbeconometrics.kernels import _delayed_acceptance as kernels
from qbeconometrics.kernels._hmc import hamiltonian
from qbeconometrics.kernels._linear_moments import LinearMomentTarget
from qbeconometrics.kernels.reference.hmc import NormalisingMap
from qbeconometrics.posterior.surrogate import normal_surrogate

STARTS = 500
STEPS = 20
SMALLEST_P = 1e-4

VARIANTS = {
    "rwm": ("rwm", {}),
    "da": ("da", {}),
    "hmc": ("hmc", {}),
    "hmc, stretched": ("hmc", {"power": 0.7}),
    **{
        f"{sampler}, df {df}, rho {rho}": (sampler, {"df": df, "rho": rho})
        for sampler in ("da-exact", "da-approx")
        for df, rho in ((np.inf, 0.0), (2.0, 0.0), (20.0, 0.0), (np.inf, 0.5), (2.0, 0.5))
    },
}


def step_from(target, start, root, bits, sampler, df=np.inf, rho=0.0, power=0.0):
    """Where a chain from `start` stands after STEPS draws."""
    k = target.n_params
    start = start.copy()  # a kernel overwrites it
    draws = np.empty((STEPS, k))
    outputs = (draws, np.empty(STEPS), np.zeros(5, dtype=np.int64))
    if sampler == "hmc":
        # Coordinates and a step that suit the law badly, so that some trajectories are rejected.
        to_normal = NormalisingMap(np.full(k, 0.2), 1.3 * root, power)
        packed, tuning = to_normal.root[np.tril_indices(k)], np.full(5, -0.2)
        position = to_normal.to_normal(start)
        ready = hamiltonian(
            target, bits, position, tuning, to_normal.centre, packed, power, 1.5, 0.3, *outputs
        )
    elif sampler in ("rwm", "da"):
        packed = root[np.tril_indices(k)]
        ready = kernels.random_walk(
            target, bits, start, np.zeros(2), packed, *outputs, delayed=sampler == "da"
        )
    else:
        inverse, zero = np.empty((0, 0)), np.empty(0)
        if sampler == "da-approx" and k == target.n_moments:
            inverse = np.linalg.inv(target.arrays["jacobian"])
            zero = inverse @ target.arrays["intercept"]
        ready = kernels.modified_delayed_acceptance(
            target, bits, start, df, rho, inverse, zero, *outputs, exact=sampler == "da-exact"
        )
    assert ready
    return draws[-1]


def smallest_p(target, law, sampler, options, seed):
    """Kolmogorov-Smirnov p-values of whitened coefficients after the steps; the smallest."""
    rng = np.random.default_rng(seed)
    k = len(law.mean)
    starts = law.mean + rng.standard_normal((STARTS, k)) @ law.root.T
    seeds = np.random.SeedSequence(seed).spawn(STARTS)
    ends = np.array(
        [
            step_from(target, start, law.root, np.random.PCG64(child), sampler, **options)
            for start, child in zip(starts, seeds, strict=True)
        ]
    )
    assert not np.any(np.all(ends == starts, axis=0))
    sd = np.sqrt(np.sum(law.root**2, axis=1))
    return min(kstest((ends[:, j] - law.mean[j]) / sd[j], "norm").pvalue for j in range(k))


@pytest.fixture(scope="module", params=[1, 2], ids=["m = k", "m > k"])
def fixed_weight(request, weak_problems):
    """A target with a fixed weight, and its exact normal law."""
    posterior = weak_problems[request.param].posterior(kind="two-step")
    return posterior.target, normal_surrogate(posterior.target, np.zeros(2))


@pytest.mark.parametrize("name", VARIANTS)
def test_target_stays_invariant(fixed_weight, name):
    sampler, options = VARIANTS[name]
    assert smallest_p(*fixed_weight, sampler, options, seed=8) > SMALLEST_P


@pytest.mark.parametrize("sampler", ["rwm", "da", "da-exact", "da-approx", "hmc"])
def test_a_wrong_target_is_caught(fixed_weight, sampler):
    """The moments counted four times over."""
    target, law = fixed_weight
    arrays = target.arrays
    root = np.zeros((target.n_moments, target.n_moments))
    root[np.tril_indices(target.n_moments)] = arrays["base_root"]
    weight = (root @ root.T)[np.tril_indices(target.n_moments)]
    wrong = LinearMomentTarget(
        2.0 * arrays["intercept"],
        2.0 * arrays["jacobian"],
        arrays["prior_precision"],
        arrays["prior_mean"],
        determinant=False,
        proportional=(weight, None),
    )
    assert smallest_p(wrong, law, sampler, {}, seed=8) < SMALLEST_P
