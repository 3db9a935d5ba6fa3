"""What a chain promises whatever its target: blocks, starts, shapes and NaN."""

import numpy as np
import pytest

VARIANTS = {
    "rwm": ("rwm", {}),
    "rwm, adapting": ("rwm", {"goal": 0.3}),
    "da": ("da", {}),
    "da, adapting": ("da", {"goal": 0.3, "unscreened": 4}),
    "da-exact": ("da-exact", {}),
    "da-exact, df 2, rho 0.5": ("da-exact", {"df": 2.0, "rho": 0.5}),
    "da-approx": ("da-approx", {}),
    "da-approx, df 2, rho 0.5": ("da-approx", {"df": 2.0, "rho": 0.5}),
    "da-approx, m = k": ("da-approx", {"df": 20.0, "square": True}),
    "hmc": ("hmc", {"power": 0.5, "log_scale": -0.5}),
    "hmc, adapting": ("hmc", {"goal": 0.8}),
}
METROPOLIS = [name for name in VARIANTS if "hmc" not in name]
BLOCK_SIZES = (1, 7, 100, 2_000)


def moments(name):
    return 2 if "m = k" in name else 3


@pytest.mark.parametrize("form", ["statistic", "rows", "proportional"])
@pytest.mark.parametrize("name", VARIANTS)
def test_draws_do_not_depend_on_the_size_of_blocks(problem_of, run, name, form):
    sampler, options = VARIANTS[name]
    problem = problem_of(2, moments(name), form)
    whole = run(problem, sampler, **options)
    for size in BLOCK_SIZES:
        blocks = [size] * (2_000 // size) + [2_000 % size] * (2_000 % size > 0)
        pieces = run(problem, sampler, blocks=blocks, **options)
        np.testing.assert_array_equal(pieces.draws, whole.draws)
        np.testing.assert_array_equal(pieces.log_density, whole.log_density)
        np.testing.assert_array_equal(pieces.counters, whole.counters)
        np.testing.assert_array_equal(pieces.tuning, whole.tuning)
        assert pieces.generator == whole.generator


@pytest.mark.parametrize("name", VARIANTS)
def test_an_empty_block_changes_nothing(problem_of, run, name):
    sampler, options = VARIANTS[name]
    chain = run(problem_of(2, moments(name)), sampler, n_draws=0, start=[0.3, -0.2], **options)
    assert chain.ready is True
    np.testing.assert_array_equal(chain.position, [0.3, -0.2])
    np.testing.assert_array_equal(chain.counters, 0)
    assert chain.generator == np.random.PCG64(1).state


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e200])
@pytest.mark.parametrize("name", VARIANTS)
def test_a_start_without_a_finite_value(problem_of, run, compiled, twins, name, bad):
    """Returns False and leaves everything as it was."""
    sampler, options = VARIANTS[name]
    for kernels in (compiled, twins):
        with np.errstate(all="ignore"):
            chain = run(
                problem_of(2, moments(name)),
                sampler,
                kernels=kernels,
                n_draws=5,
                start=[0.0, bad],
                **options,
            )
        assert chain.ready is False
        assert np.all(np.isnan(chain.draws))
        np.testing.assert_array_equal(chain.counters, 0)
        assert chain.generator == np.random.PCG64(1).state


def test_a_start_where_s_is_not_positive_definite(partly_indefinite, run):
    for sampler in ("rwm", "da", "da-exact", "da-approx", "hmc"):
        assert run(partly_indefinite(), sampler, n_draws=5, start=[2.0, 2.0]).ready is False


def test_a_start_without_a_surrogate(problem_of, run, compiled, twins):
    """A flat direction: the precision of Approx's proposal is singular, Exact's is not."""
    problem = problem_of(2, 3)
    problem.arguments["jacobian"][:, 1] = 0.0
    for kernels in (compiled, twins):
        assert run(problem, "da-approx", kernels=kernels, n_draws=5).ready is False
        assert run(problem, "da-exact", kernels=kernels, n_draws=5).ready is True


@pytest.mark.parametrize("name", METROPOLIS)
def test_nan_is_never_accepted(problem_of, run, name):
    """Squared residuals overflow at every point but the start, so that S is infinite or NaN."""
    sampler, options = VARIANTS[name]
    problem = problem_of(2, moments(name), "rows")
    residual, regressor, *others = problem.arguments["rows"]
    problem.arguments["rows"] = (residual, regressor * 1e160, *others)
    chain = run(problem, sampler, n_draws=200, **options)
    proposed, passed, accepted, nonfinite, _ = chain.counters
    assert chain.ready is True
    assert 0 < nonfinite == passed <= proposed == 200
    assert accepted == 0
    np.testing.assert_array_equal(chain.draws, 0.0)
    assert np.all(np.isfinite(chain.log_density))


@pytest.mark.parametrize("cross", [0.0, -1e308])
@pytest.mark.parametrize("name", [name for name in METROPOLIS if "exact" not in name])
def test_a_prior_that_is_not_finite_is_rejected(problem_of, run, name, cross):
    """Far from its mean the log prior overflows to minus infinity, or to NaN as inf - inf."""
    sampler, options = VARIANTS[name]
    problem = problem_of(2, moments(name))
    start = np.array([0.25, -0.5])
    problem.arguments["prior_mean"] = start
    problem.arguments["prior_precision"] = np.array([[1e308, cross], [cross, 1e308]])
    chain = run(problem, sampler, start=start, n_draws=200, **options)
    assert chain.ready is True
    assert chain.counters[2] == 0
    np.testing.assert_array_equal(chain.draws, np.tile(start, (200, 1)))


GOOD = {
    "position": np.zeros(2),
    "tuning": np.zeros(2),
    "proposal_root": np.array([1.0, 0.0, 1.0]),
    "draws": np.empty((4, 2)),
    "log_density": np.empty(4),
    "counters": np.zeros(5, dtype=np.int64),
}
WRONG_SHAPES = [
    ("position", np.zeros(3)),
    ("position", np.zeros(0)),
    ("tuning", np.zeros(1)),
    ("proposal_root", np.ones(2)),
    ("proposal_root", np.ones(6)),
    ("draws", np.empty((4, 3))),
    ("log_density", np.empty(3)),
    ("counters", np.zeros(3, dtype=np.int64)),
]


@pytest.mark.parametrize(("name", "wrong"), WRONG_SHAPES)
def test_random_walk_refuses_wrong_shapes(compiled, problem_of, name, wrong):
    arguments = {**GOOD, name: wrong}
    with pytest.raises(ValueError, match=name):
        compiled.delayed_acceptance.random_walk(
            problem_of(2, 3).target(), np.random.PCG64(0), *arguments.values(), delayed=False
        )


MODIFIED = {
    "position": np.zeros(2),
    "df": np.inf,
    "rho": 0.0,
    "jacobian_inverse": np.empty((0, 0)),
    "root_of_moments": np.empty(0),
    "draws": np.empty((4, 2)),
    "log_density": np.empty(4),
    "counters": np.zeros(5, dtype=np.int64),
}


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *(item for item in WRONG_SHAPES if item[0] in MODIFIED),
        ("rho", 1.0),
        ("rho", -0.1),
        ("rho", np.nan),
        ("df", 0.0),
        ("df", -1.0),
        ("df", np.nan),
    ],
)
@pytest.mark.parametrize("exact", [False, True])
def test_modified_refuses_wrong_arguments(compiled, problem_of, name, wrong, exact):
    arguments = {**MODIFIED, name: wrong}
    with pytest.raises(ValueError, match=name):
        compiled.delayed_acceptance.modified_delayed_acceptance(
            problem_of(2, 3).target(), np.random.PCG64(0), *arguments.values(), exact=exact
        )


@pytest.mark.parametrize(
    ("m", "inverse", "root", "exact"),
    [
        (2, np.eye(2), np.zeros(2), True),
        (3, np.eye(2), np.zeros(2), False),
        (2, np.eye(3), np.zeros(2), False),
        (2, np.ones((2, 1)), np.zeros(2), False),
        (2, np.eye(2), np.zeros(3), False),
        (2, np.eye(2), np.zeros(0), False),
    ],
)
def test_modified_refuses_wrong_inverses(compiled, problem_of, m, inverse, root, exact):
    arguments = {**MODIFIED, "jacobian_inverse": inverse, "root_of_moments": root}
    with pytest.raises(ValueError, match="jacobian_inverse"):
        compiled.delayed_acceptance.modified_delayed_acceptance(
            problem_of(2, m).target(), np.random.PCG64(0), *arguments.values(), exact=exact
        )


@pytest.mark.parametrize("wrong", [None, 3, np.random.default_rng(0)])
def test_generators_are_bit_generators(compiled, problem_of, wrong):
    target = problem_of(2, 3).target()
    with pytest.raises((AttributeError, TypeError, ValueError)):
        compiled.delayed_acceptance.random_walk(target, wrong, *GOOD.values(), delayed=False)


@pytest.mark.parametrize("sampler", ["random_walk", "modified_delayed_acceptance"])
def test_targets_are_targets(compiled, twins, problem_of, sampler):
    """A twin's target has no compiled part to call, and None has nothing at all."""
    arguments, kind = (
        (GOOD, {"delayed": False}) if sampler == "random_walk" else (MODIFIED, {"exact": False})
    )
    for wrong in (problem_of(2, 3).target(twins), None):
        with pytest.raises(TypeError):
            getattr(compiled.delayed_acceptance, sampler)(
                wrong, np.random.PCG64(0), *arguments.values(), **kind
            )
