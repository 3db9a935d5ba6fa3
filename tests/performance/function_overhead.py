"""What the machinery adds to a user's moment function: microseconds an evaluation.

Subtracted are the function itself and the two reductions that nobody can do without, the mean and
the cross-product of the moments, as NumPy does them. With one BLAS thread, on a quiet machine:

    OPENBLAS_NUM_THREADS=1 python tests/performance/function_overhead.py
"""

from __future__ import annotations

import time

import numpy as np

import qbeconometrics as qb
from qbeconometrics.sampling.function_samplers import FUNCTION_SAMPLERS
from qbeconometrics.sampling.samplers import Settings
from qbeconometrics.sampling.state import new_state

ROWS, MOMENTS, PARAMETERS = 1_000, 10, 5
DRAWS, REPETITIONS = 500, 25


def moments(params, endog, exog, instrument):
    """Linear moments, so that the function itself is cheap."""
    return instrument * (endog - exog @ params)[:, None]


def seconds_of(*jobs):
    """Least time of each job, taken in turns so that other load hits all alike."""
    least = [np.inf] * len(jobs)
    for _ in range(REPETITIONS):
        for i, work in enumerate(jobs):
            began = time.perf_counter()
            work()
            least[i] = min(least[i], time.perf_counter() - began)
    return least


def main():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((ROWS, MOMENTS))
    x = z[:, :PARAMETERS] + rng.standard_normal((ROWS, PARAMETERS))
    y = x.sum(axis=1) + rng.standard_normal(ROWS)
    params = np.ones(PARAMETERS)

    def by_hand():
        for _ in range(DRAWS):
            rows = moments(params, y, x, z)
            rows.mean(axis=0)
            rows.T @ rows

    for prior in (qb.priors.Normal(0, 10), qb.priors.Uniform(-10, 10)):
        model = qb.QuasiBayesGMM(y, x, z, momcond=moments, prior=prior)
        posterior = model.quasi_posterior()
        # Small steps are nearly all accepted, so that each draw is one full evaluation.
        root = 1e-3 * posterior.at_mode.root
        for sampler in ("rwm", "da"):
            settings = Settings(sampler, proposal_root=root)
            state = new_state(posterior.find_mode().point, np.random.SeedSequence(1))
            advance = FUNCTION_SAMPLERS[sampler].advance

            def run(advance=advance, settings=settings, state=state, target=posterior.target):
                advance(target, settings, state, DRAWS)

            base, total = (1e6 * seconds / DRAWS for seconds in seconds_of(by_hand, run))
            print(
                f"{sampler:4s} {type(prior).__name__:8s} function and reductions {base:6.1f}, "
                f"draw {total:6.1f}, added {total - base:6.1f} microseconds"
            )


if __name__ == "__main__":
    main()
