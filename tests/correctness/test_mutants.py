"""Wrong samplers, and that the comparison with the grid catches each of them."""

import inspect
from dataclasses import dataclass

import numpy as np
import pytest

from qbeconometrics.kernels import _delayed_acceptance as compiled
from qbeconometrics.kernels import _hmc as compiled_hmc
from qbeconometrics.kernels._linear_moments import LinearMomentTarget as CompiledTarget
from qbeconometrics.kernels.reference import delayed_acceptance as twins
from qbeconometrics.kernels.reference.linear_moments import LinearMomentTarget
from qbeconometrics.posterior.surrogate import normal_surrogate

CHAINS = 4
TWIN_DRAWS = 4_000  # a chain, at about 0.1 milliseconds each
COMPILED_DRAWS = 80_000
# A mutant must miss by more than twice the four standard errors that a right sampler may miss by.
CAUGHT = 2.0
# It must not be caught for being stuck, when errors are not estimated well.
LEAST_WORTH = 1_000
SEEDS = (0, 1)


@dataclass(frozen=True)
class Mutant:
    """A line of the twin, what it becomes, and a sampler and a target that show it."""

    line: str
    replacement: str
    sampler: str
    df: float = np.inf
    kind: str = "cue"


FORWARD_FOR_BACKWARD = (
    "    backward = law_there.log_density(here.x, there.x, df, rho)",
    "    backward = law_here.log_density(here.x, there.x, df, rho)",
)
MUTANTS = {
    "stage-1 factor left out of stage 2": Mutant(
        "        log_ratio += backward - forward", "        log_ratio += 0.0", "da"
    ),
    "reverse density from S at the current state, Exact": Mutant(
        *FORWARD_FOR_BACKWARD, "da-exact", kind="cue-nodet"
    ),
    "reverse density from S at the current state, Approx": Mutant(
        *FORWARD_FOR_BACKWARD, "da-approx", kind="cue-nodet"
    ),
    "prior counted twice, in both stages of Approx": Mutant(
        "    log_ratio = there.log_likelihood - here.log_likelihood",
        "    log_ratio = there.log_density - here.log_density",
        "da-approx",
        df=2.0,
    ),
    # Where S varies this chain sticks; where it does not, its law is the Student-t proposal.
    "normal density for Student-t proposals": Mutant(
        "        if math.isinf(df):", "        if True:", "da-exact", df=2.0, kind="two-step"
    ),
    "determinant left out of the proposal density": Mutant(
        "        return -log_determinant - (df + k) / 2 * math.log1p(distance / df)",
        "        return -(df + k) / 2 * math.log1p(distance / df)",
        "da-exact",
        df=2.0,
    ),
}


def mutated(line, replacement):
    """The module of the twins with one line replaced."""
    lines = inspect.getsource(twins).splitlines()
    assert lines.count(line) == 1
    lines[lines.index(line)] = replacement
    names = {"__name__": twins.__name__}
    exec(compile("\n".join(lines), "mutant", "exec"), names)  # the source is our own
    return names


def twin_target(posterior):
    """The twin of a compiled target."""
    arrays = posterior.target.arrays
    common = (arrays[name] for name in ("intercept", "jacobian", "prior_precision", "prior_mean"))
    form = {"statistic": arrays.get("statistic")}
    if posterior.target.form == "proportional":
        root = np.zeros((posterior.target.n_moments,) * 2)
        root[np.tril_indices(len(root))] = arrays["base_root"]
        form = {"proportional": ((root @ root.T)[np.tril_indices(len(root))], None)}
    return LinearMomentTarget(*common, determinant=posterior.target.determinant, **form)


def run_chains(functions, posterior, target, sampler, df, n_draws, seed):
    """Coefficients from dispersed starts, without warm-up; the first tenth is dropped."""
    k = target.n_params
    surrogate = normal_surrogate(posterior.target, np.zeros(k))
    draws = np.empty((CHAINS, n_draws, k))
    for chain, child in enumerate(np.random.SeedSequence(seed).spawn(CHAINS)):
        bits = np.random.PCG64(child)
        start = surrogate.mean + surrogate.root @ np.random.Generator(bits).standard_normal(k)
        outputs = (draws[chain], np.empty(n_draws), np.zeros(5, dtype=np.int64))
        if sampler == "hmc":
            root = surrogate.root[np.tril_indices(k)]
            ready = functions["hamiltonian"](
                target, bits, np.zeros(k), np.full(5, -0.7), surrogate.mean, root, 0.5, 2.2, 0.3,
                *outputs,
            )  # fmt: skip
        elif sampler in ("rwm", "da"):
            root = surrogate.root[np.tril_indices(k)]
            ready = functions["random_walk"](
                target, bits, start, np.zeros(2), root, *outputs, delayed=sampler == "da"
            )
        else:
            ready = functions["modified_delayed_acceptance"](
                target,
                bits,
                start,
                df,
                0.0,
                np.empty((0, 0)),
                np.empty(0),
                *outputs,
                exact=sampler == "da-exact",
            )
        assert ready
    return posterior.basis.to_params(draws[:, n_draws // 10 :])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_of_a_sampler_is_caught(weak_problems, deviation_from, worth, name, seed):
    mutant = MUTANTS[name]
    problem = weak_problems[2]
    posterior, law = problem.posterior(kind=mutant.kind), problem.law(kind=mutant.kind)
    wrong = run_chains(
        mutated(mutant.line, mutant.replacement),
        posterior,
        twin_target(posterior),
        mutant.sampler,
        mutant.df,
        TWIN_DRAWS,
        seed,
    )
    assert worth(wrong) > LEAST_WORTH
    assert deviation_from(wrong, law) > CAUGHT


SETTINGS = sorted({(mutant.sampler, mutant.df, mutant.kind) for mutant in MUTANTS.values()})


@pytest.mark.parametrize(("sampler", "df", "kind"), SETTINGS)
def test_the_twin_itself_passes(weak_problems, deviation_from, sampler, df, kind):
    problem = weak_problems[2]
    posterior = problem.posterior(kind=kind)
    right = run_chains(
        vars(twins), posterior, twin_target(posterior), sampler, df, TWIN_DRAWS, SEEDS[0]
    )
    assert deviation_from(right, problem.law(kind=kind)) < 1.0


def wrong_target(posterior, name):
    """The compiled target with the determinant left out, or the prior counted twice."""
    arrays = posterior.target.arrays
    precision = arrays["prior_precision"]
    return CompiledTarget(
        arrays["intercept"],
        arrays["jacobian"],
        2.0 * precision if name == "prior counted twice" else precision,
        arrays["prior_mean"],
        determinant=name != "determinant left out",
        statistic=arrays["statistic"],
    )


@pytest.mark.parametrize("sampler", ["rwm", "da", "da-exact", "da-approx", "hmc"])
@pytest.mark.parametrize("name", ["determinant left out", "prior counted twice", "nothing wrong"])
def test_wrong_target_is_caught(weak_problems, deviation_from, worth, name, sampler):
    problem = weak_problems[2]
    posterior = problem.posterior()
    draws = run_chains(
        vars(compiled) | vars(compiled_hmc),
        posterior,
        wrong_target(posterior, name),
        sampler,
        2.0,
        COMPILED_DRAWS,
        SEEDS[0],
    )
    assert worth(draws) > 5_000
    missed = deviation_from(draws, problem.law())
    assert missed < 1.0 if name == "nothing wrong" else missed > CAUGHT
