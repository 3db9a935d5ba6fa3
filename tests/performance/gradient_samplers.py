"""Smallest bulk ESS per second of "hmc" against NumPyro's NUTS on the same quasi-posterior.

Both run in double precision on one core, one chain after another, in turns. NUTS is given the same
preconditioning: coordinates in which the centre and covariance that "hmc" learnt in warm-up are
zero and the identity, with or without the radial map; it adapts its step and a diagonal mass matrix
on top. Neither compilation nor warm-up is timed; seconds are of processor time. A method whose
posterior means disagree is not reported. Needs numpyro (`pip install numpyro`).

    python tests/performance/gradient_samplers.py [--draws 2000] [--repeats 3] [--nuts-warmup 1000]
"""

from __future__ import annotations

import argparse
import os
import time

# One core for everything, before any library starts its threads.
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
for library in ("OPENBLAS", "OMP", "MKL"):
    os.environ[f"{library}_NUM_THREADS"] = "1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer import MCMC, NUTS
from samplers import heteroskedastic_regression

import qbeconometrics as qb
from qbeconometrics.diagnostics.convergence import bulk_ess, mean_mcse
from qbeconometrics.sampling.adaptation import warm_up
from qbeconometrics.sampling.chains import run_chains
from qbeconometrics.sampling.choose import dispersed_starts, first_map
from qbeconometrics.sampling.progress import SilentProgress
from qbeconometrics.sampling.samplers import Settings
from qbeconometrics.sampling.state import new_state

DESIGNS = ((500, 50), (2_000, 100))
NUTS_VARIANTS = {"NUTS": False, "NUTS, radial map": True}
CHAINS = 4
TUNE = 1_000


class Ours:
    """Chains of "hmc", warmed up."""

    def __init__(self, posterior):
        self.target = posterior.target
        mode = posterior.find_mode()
        surrogate = posterior.surrogate_at(mode.point)
        seeds = np.random.SeedSequence(1).spawn(2 * CHAINS)
        nowhere = np.empty((0, len(mode.point)))
        starts = dispersed_starts(self.target, mode.point, surrogate.root, nowhere, seeds[:CHAINS])
        states = [new_state(x, seed) for x, seed in zip(starts, seeds[CHAINS:], strict=True)]
        self.settings, run = warm_up(
            self.target,
            Settings("hmc", normalising_map=first_map(mode.point, surrogate)),
            states,
            TUNE,
            cores=1,
            progress=SilentProgress(),
        )
        self.states = run.states

    def draw(self, draws):
        """Return draws (chains, draws, k), seconds and gradients."""
        before = sum(state.counters[1] for state in self.states)
        began = time.process_time()
        run = run_chains(self.target, self.settings, self.states, draws, cores=1)
        seconds = time.process_time() - began
        self.states = run.states
        return run.draws, seconds, sum(state.counters[1] for state in self.states) - before


class NumPyro:
    """NUTS in the coordinates of `to_normal`, with its radial map or without."""

    def __init__(self, target, to_normal, draws, warmup, *, radial):
        arrays = {name: jnp.asarray(array) for name, array in target.arrays.items()}
        centre, root = jnp.asarray(to_normal.centre), jnp.asarray(to_normal.root)
        power, k = to_normal.power if radial else 0.0, target.n_params

        def to_target(y):
            return centre + ((1.0 + y @ y / k) / 2.0) ** power * (root @ y)

        def potential(y):
            x, u = to_target(y), y @ y / k
            g = arrays["intercept"] - arrays["jacobian"] @ x
            residual = arrays["residual"] - arrays["regressor"] @ x
            scores = arrays["instrument"] * residual[:, None]
            factor = jnp.linalg.cholesky(target.row_factor * scores.T @ scores)
            white = jax.scipy.linalg.solve_triangular(factor, g, lower=True)
            deviation = x - arrays["prior_mean"]
            log_density = -jnp.sum(jnp.log(jnp.diagonal(factor))) - 0.5 * white @ white
            log_density -= 0.5 * deviation @ arrays["prior_precision"] @ deviation
            jacobian = k * power * jnp.log((1.0 + u) / 2.0)
            return -(log_density + jacobian + jnp.log(1.0 + 2.0 * power * u / (1.0 + u)))

        self.to_target = jax.vmap(jax.vmap(to_target))
        self.sampler = MCMC(
            NUTS(potential_fn=potential),
            num_warmup=warmup,
            num_samples=draws,
            num_chains=CHAINS,
            chain_method="sequential",
            progress_bar=False,
        )
        starts = jnp.asarray(np.random.default_rng(0).standard_normal((CHAINS, k)))
        self.sampler.warmup(jax.random.PRNGKey(0), init_params=starts)
        self.sampler.run(jax.random.PRNGKey(1), extra_fields=("num_steps",))  # compiles
        self.key = 2

    def draw(self, draws):
        """Return draws (chains, draws, k), seconds and gradients."""
        self.sampler.post_warmup_state = self.sampler.last_state
        began = time.process_time()
        self.sampler.run(jax.random.PRNGKey(self.key), extra_fields=("num_steps",))
        samples = jax.block_until_ready(self.sampler.get_samples(group_by_chain=True))
        seconds = time.process_time() - began
        self.key += 1
        steps = np.asarray(self.sampler.get_extra_fields()["num_steps"])
        return np.asarray(self.to_target(samples)), seconds, int(steps.sum())


def agree(ours, theirs):
    """Whether posterior means differ by at most 5 Monte Carlo standard errors."""
    difference = ours.mean((0, 1)) - theirs.mean((0, 1))
    return bool(np.all(np.abs(difference) < 5.0 * np.hypot(mean_mcse(ours), mean_mcse(theirs))))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=2_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--nuts-warmup", type=int, default=TUNE)
    parser.add_argument("--designs", type=int, nargs="*", default=range(len(DESIGNS)))
    parser.add_argument("--nuts", nargs="*", default=list(NUTS_VARIANTS))
    given = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    print("|     n |   k | sampler           | ESS / s | ratio | ESS / draw | gradients / draw |")
    print("| ----: | --: | ----------------- | ------: | ----: | ---------: | ---------------: |")
    for n, k in (DESIGNS[i] for i in given.designs):
        y, x = heteroskedastic_regression(n, k, np.random.default_rng(k))
        posterior = qb.QuasiBayesIV(y, x).quasi_posterior(evaluation="rows")
        ours = Ours(posterior)
        to_normal = ours.settings.normalising_map
        methods = {
            "hmc": ours,
            **{
                name: NumPyro(ours.target, to_normal, given.draws, given.nuts_warmup, radial=radial)
                for name, radial in NUTS_VARIANTS.items()
                if name in given.nuts
            },
        }
        runs = {name: [] for name in methods}
        for _ in range(given.repeats):
            for name, method in methods.items():
                runs[name].append(method.draw(given.draws))
        draws = {name: np.concatenate([r[0] for r in run], axis=1) for name, run in runs.items()}
        rates = {}
        for name, run in runs.items():
            if not agree(draws["hmc"], draws[name]):
                print(f"| {n:5d} | {k:3d} | {name:17s} | posterior means disagree |")
                continue
            rates[name] = np.median([bulk_ess(d).min() / seconds for d, seconds, _ in run])
            worth = np.median([bulk_ess(d).min() / d[..., 0].size for d, _, _ in run])
            gradients = np.median([count / d[..., 0].size for d, _, count in run])
            ratio = rates["hmc"] / rates[name]
            print(
                f"| {n:5d} | {k:3d} | {name:17s} | {rates[name]:7.1f} | {ratio:5.2f} |"
                f" {worth:10.2f} | {gradients:16.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
