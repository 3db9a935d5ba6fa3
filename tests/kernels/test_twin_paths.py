"""Compiled chains against their NumPy twins: seeded paths, decision by decision."""

from dataclasses import replace

import numpy as np
import pytest

DRAWS = 2_000
# A trajectory has several steps.
TRAJECTORIES, STRETCH = 600, 20
# Rounding differs between a packed loop and LAPACK; posterior sds are near 1 in these coordinates.
ROUNDING_IN_SD = 1e-9

STATISTIC_VARIANTS = [
    *(("da-exact", {"df": df, "rho": rho}, 3) for df in (np.inf, 2.0, 20.0) for rho in (0.0, 0.5)),
    *(("da-approx", {"df": df, "rho": rho}, 3) for df in (np.inf, 2.0, 20.0) for rho in (0.0, 0.5)),
    *(
        ("da-approx", {"df": df, "rho": rho, "square": True}, 2)
        for df in (np.inf, 2.0, 20.0)
        for rho in (0.0, 0.5)
    ),
    ("da-approx", {"df": 5.0}, 2),
    ("rwm", {}, 3),
    ("da", {}, 3),
    ("rwm", {"goal": 0.3, "log_scale": 1.0}, 3),
    ("da", {"goal": 0.2, "log_scale": 1.0}, 3),
    ("da", {"goal": 0.2, "log_scale": 1.0, "unscreened": 3}, 3),
    ("da", {"unscreened": 20}, 3),
    *(("hmc", {"power": power, "log_scale": -0.7}, 3) for power in (0.0, 0.8)),
    ("hmc", {"power": 0.3, "log_scale": 0.5, "goal": 0.8}, 3),
    ("hmc", {"power": 0.3, "log_scale": -0.5, "length": 0.6, "jitter": 0.0}, 2),
]
SAMPLERS = {
    "rwm": ("rwm", {"log_scale": 0.3}),
    "da": ("da", {"log_scale": 0.5}),
    "da-exact": ("da-exact", {"df": 20.0, "rho": 0.5}),
    "da-approx": ("da-approx", {"df": 5.0, "rho": 0.3}),
    "hmc": ("hmc", {"log_scale": -0.3, "power": 0.5}),
}
FORMS = (
    "rows",
    "rows centered",
    "rows HC1",
    "rows HC1 centered",
    "proportional",
    "fixed weight",
)


def label(value):
    return "-".join(map(str, value)) if isinstance(value, tuple) else None


@pytest.fixture
def assert_same_path(run, compiled, twins):
    """Run both kinds and compare all that they change."""

    def compare(problem, sampler, **options):
        if sampler == "hmc":
            return compare_in_stretches(problem, **options)
        ours = run(problem, sampler, kernels=compiled, n_draws=DRAWS, **options)
        twin = run(problem, sampler, kernels=twins, n_draws=DRAWS, **options)
        compare_chains(ours, twin, twin.draws.std(axis=0))
        np.testing.assert_array_equal(ours.position, ours.draws[-1])
        # A path that hardly moves, or never stays, compares little.
        assert 0.02 * DRAWS < ours.counters[2] <= ours.counters[1] <= ours.counters[0] == DRAWS
        return ours

    def compare_in_stretches(problem, size=STRETCH, **options):
        """Trajectories magnify rounding, so the twin starts anew from our path now and then."""
        start, tuning, chains = None, None, []
        for stretch in range(TRAJECTORIES // size):
            given = {**options, "n_draws": size, "start": start, "tuning": tuning}
            ours = run(problem, "hmc", kernels=compiled, seed=stretch, **given)
            twin = run(problem, "hmc", kernels=twins, seed=stretch, **given)
            compare_chains(ours, twin, sd=1.0)
            start, tuning = ours.position, ours.tuning
            chains.append(ours)
        counters = np.sum([chain.counters for chain in chains], axis=0)
        assert 0.02 * TRAJECTORIES < counters[2] <= counters[0] == TRAJECTORIES
        draws = np.concatenate([chain.draws for chain in chains])
        log_density = np.concatenate([chain.log_density for chain in chains])
        return replace(chains[-1], draws=draws, log_density=log_density, counters=counters)

    def compare_chains(ours, twin, sd):
        assert ours.ready is True
        assert twin.ready is True
        moved = np.any(np.diff(ours.draws, axis=0) != 0, axis=1)
        moved_twin = np.any(np.diff(twin.draws, axis=0) != 0, axis=1)
        np.testing.assert_array_equal(moved, moved_twin)
        np.testing.assert_array_equal(ours.counters, twin.counters)
        assert np.max(np.abs(ours.draws - twin.draws) / sd) < ROUNDING_IN_SD
        assert np.max(np.abs(ours.log_density - twin.log_density)) < ROUNDING_IN_SD
        np.testing.assert_allclose(ours.position, twin.position, rtol=0, atol=ROUNDING_IN_SD)
        np.testing.assert_allclose(ours.tuning, twin.tuning, rtol=0, atol=ROUNDING_IN_SD)
        assert ours.generator == twin.generator

    return compare


@pytest.mark.parametrize(("sampler", "options", "m"), STATISTIC_VARIANTS)
def test_every_variant(assert_same_path, problem_of, sampler, options, m):
    assert_same_path(problem_of(2, m), sampler, **options)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_form_of_s(assert_same_path, problem_of, name, form):
    sampler, options = SAMPLERS[name]
    assert_same_path(problem_of(2, 3, form), sampler, **options)


@pytest.mark.parametrize("form", ["statistic", "rows", "proportional"])
@pytest.mark.parametrize("name", SAMPLERS)
def test_without_the_determinant(assert_same_path, problem_of, name, form):
    sampler, options = SAMPLERS[name]
    assert_same_path(problem_of(2, 3, form, determinant=False), sampler, **options)


@pytest.mark.parametrize(("k", "m"), [(1, 1), (1, 2), (5, 5), (5, 8), (12, 12), (12, 14)])
@pytest.mark.parametrize("name", SAMPLERS)
def test_orders(assert_same_path, problem_of, name, k, m):
    sampler, options = SAMPLERS[name]
    options = {**options, "square": sampler == "da-approx" and k == m}
    if sampler in ("rwm", "da"):
        options["log_scale"] = np.log(1.2 / k)
    if sampler == "hmc":
        options["log_scale"] = np.log(0.5 / k**0.25)
    assert_same_path(problem_of(k, m, n=400), sampler, **options)


@pytest.mark.parametrize("prior", ["student", "student and normal"])
@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("m", [3, 4])
def test_student_prior(assert_same_path, problem_of, name, prior, m):
    sampler, options = SAMPLERS[name]
    options = {**options, "square": sampler == "da-approx" and m == 3}
    assert_same_path(problem_of(3, m, prior=prior), sampler, **options)


@pytest.mark.parametrize("name", SAMPLERS)
def test_flat_prior(assert_same_path, problem_of, name):
    sampler, options = SAMPLERS[name]
    assert_same_path(problem_of(2, 6, prior="flat"), sampler, **options)


@pytest.mark.parametrize("name", SAMPLERS)
def test_where_s_is_not_positive_definite(assert_same_path, partly_indefinite, name):
    sampler, options = SAMPLERS[name]
    options = {**options, "df": 2.0, "rho": 0.0}
    if sampler == "hmc":
        options |= {"goal": 0.8, "size": 3}  # a wall, and it is steep beside it
    chain = assert_same_path(partly_indefinite(), sampler, **options)
    assert chain.counters[3] > 0
    assert np.max(np.sum(chain.draws**2, axis=1)) < 5.0  # where S would be singular
    assert np.all(np.isfinite(chain.log_density))
