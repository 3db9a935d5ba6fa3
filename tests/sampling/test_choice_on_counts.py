"""The sampler that "auto" takes for exponential means of real counts, where tails are heavy."""

import warnings

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import ConvergenceWarning
from qbeconometrics.results.reliability import LARGEST_RHAT, SMALLEST_ESS
from qbeconometrics.sampling.function_samplers import FUNCTION_SAMPLERS

# Effective sample sizes of a few hundred, in chains that seldom visit the tails, are themselves
# uncertain by a factor of two.
SHARE_OF_BEST = 1 / 3


@pytest.mark.long
@pytest.mark.parametrize("quasi_likelihood", ["cue", "two-step"])
@pytest.mark.parametrize("error", ["additive", "multiplicative"])
def test_auto_has_converged_or_warns_and_is_near_the_best(error, quasi_likelihood):
    data = qb.datasets.load("docvisits").assign(const=1.0)
    exog = data[["private", "chronic", "female", "income", "const"]]
    model = qb.QuasiBayesGMM(
        data["docvis"],
        exog,
        data[["private", "chronic", "female", "age", "black", "hispanic", "const"]],
        momcond=getattr(qb.moment_functions, f"iv_poisson_{error}"),
        prior=qb.priors.Normal(0, 5 / np.maximum(exog.std().to_numpy(), 0.1)),
    )
    size = model.quasi_posterior(quasi_likelihood=quasi_likelihood).size
    worth, warned = {}, {}
    for sampler in ("auto", *FUNCTION_SAMPLERS):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            res = model.fit(sampler, rng=0, quasi_likelihood=quasi_likelihood, progressbar=False)
        warned[sampler] = any(w.category is ConvergenceWarning for w in caught)
        cost = FUNCTION_SAMPLERS[res.record.sampler].cost(
            size, float(np.mean(res.sampler_stats["acceptance_stage_1"]))
        )
        smallest = float(res.ess().to_numpy().min())
        worth[sampler] = smallest / cost
        if sampler == "auto":
            converged = smallest >= SMALLEST_ESS and float(res.rhat().max()) <= LARGEST_RHAT
    assert converged != warned["auto"]
    if not converged:
        assert worth["auto"] > SHARE_OF_BEST * max(worth.values())
