"""The no-U-turn sampler's driver: laws it must reproduce, blocks, threads, resuming and errors."""

import json
import subprocess
import sys
import textwrap
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import simpson

from qbeconometrics.diagnostics.convergence import mean_mcse
from qbeconometrics.exceptions import DensityError, InputError, OptionError
from qbeconometrics.kernels._density import CompiledDensity, PythonDensity
from qbeconometrics.sampling import chains
from qbeconometrics.sampling.nuts import continue_sample, sample_density
from qbeconometrics.sampling.nuts_warm_up import learn_scale, warm_up_windows


def correlated(size):
    """Covariance with sds from 0.1 to 10 and correlations of 0.5."""
    sds = np.logspace(-1, 1, size)
    return np.outer(sds, sds) * (0.5 + 0.5 * np.eye(size))


def normal(covariance):
    precision = np.linalg.inv(covariance)
    return lambda x: (-0.5 * float(x @ precision @ x), -precision @ x)


def student(df, size):
    def density(x):
        square = df + float(x @ x)
        return -0.5 * (df + size) * np.log(square), -(df + size) / square * x

    return density


def banana(x):
    """A standard normal x0, and x1 given it normal around x0^2 with sd 0.5."""
    gap = x[1] - x[0] ** 2
    return -0.5 * x[0] ** 2 - 2.0 * gap**2, np.array([-x[0] + 8.0 * gap * x[0], -4.0 * gap])


def draw(function, size, *, draws=200, tune=200, n_chains=4, rng=3, **options):
    starts = np.random.default_rng(5).uniform(-1.0, 1.0, (n_chains, size))
    options = {"progressbar": False, **options}
    return sample_density(
        PythonDensity(size, function), draws, tune, n_chains, rng, starts, **options
    )


def assert_moments(draws, functions, expected):
    """Means of functions of the draws within 4 Monte Carlo standard errors."""
    values = np.stack([function(draws) for function in functions], axis=-1)
    errors = (values.mean((0, 1)) - expected) / mean_mcse(values)
    assert np.max(np.abs(errors)) < 4.0, errors


def all_moments(size):
    """Coordinates and their products."""
    pairs = zip(*np.tril_indices(size), strict=True)
    return [
        *(lambda d, i=i: d[..., i] for i in range(size)),
        *(lambda d, i=i, j=j: d[..., i] * d[..., j] for i, j in pairs),
    ]


@pytest.mark.parametrize("metric", ["diag", "dense"])
@pytest.mark.parametrize("size", [1, 5, 10])
def test_correlated_normal(size, metric):
    covariance = correlated(size)
    sample = draw(normal(covariance), size, draws=1_000, tune=500, metric=metric)
    expected = np.concatenate([np.zeros(size), covariance[np.tril_indices(size)]])
    assert_moments(sample.draws, all_moments(size), expected)
    assert sample.statistics["divergent"].sum() == 0
    assert 0.7 < sample.statistics["acceptance"].mean() < 0.97
    found = sample.settings.inverse_metric(size)
    truth = covariance if metric == "dense" else np.diag(covariance)
    np.testing.assert_allclose(found.reshape(truth.shape), truth, atol=0.25 * np.max(truth))


def test_heavy_tails():
    """t with 5 degrees of freedom: moments, and the shares beyond some radii (an F law)."""
    sample = draw(student(5.0, 5), 5, draws=3_000, tune=500)
    variance = [5.0 / 3.0 if i == j else 0.0 for i, j in zip(*np.tril_indices(5), strict=True)]
    assert_moments(sample.draws, all_moments(5), np.concatenate([np.zeros(5), variance]))
    radii = (0.5, 1.0, 3.0, 10.0)
    assert_moments(
        sample.draws,
        [lambda d, r=r: (np.mean(d**2, axis=-1) > r).astype(float) for r in radii],
        stats.f(5, 5).sf(radii),
    )


def test_banana_against_integration():
    x, y = np.linspace(-7.0, 7.0, 701), np.linspace(-4.0, 45.0, 2_451)
    grid_x, grid_y = np.meshgrid(x, y, indexing="ij")
    weight = np.exp(-0.5 * grid_x**2 - 2.0 * (grid_y - grid_x**2) ** 2)

    def integral(values):
        return simpson(simpson(values * weight, x=y, axis=1), x=x)

    functions = [
        lambda x, y: x,
        lambda x, y: y,
        lambda x, y: x**2 * y,
        lambda x, y: y**2,
        lambda x, y: y > 3.0 * x,
        lambda x, y: np.exp(-(y**2)),
    ]
    total = integral(np.ones_like(weight))
    expected = [integral(f(grid_x, grid_y)) / total for f in functions]
    sample = draw(banana, 2, draws=3_000, tune=500, target_accept=0.9)
    assert_moments(
        sample.draws,
        [lambda d, f=f: f(d[..., 0], d[..., 1]).astype(float) for f in functions],
        expected,
    )


@pytest.mark.usefixtures("no_thread_left")
@pytest.mark.parametrize("metric", ["diag", "dense"])
def test_threads_and_blocks_change_no_bit(metric, monkeypatch):
    expected = draw(student(5.0, 3), 3, draws=40, tune=60, metric=metric)
    for cores, first_block, seconds in ((1, 1, 1e-9), (2, 7, 1e-5), (4, 10**6, 0.05)):
        monkeypatch.setattr(chains, "FIRST_BLOCK", first_block)
        monkeypatch.setattr(chains, "BLOCK_SECONDS", seconds)
        sample = draw(student(5.0, 3), 3, draws=40, tune=60, metric=metric, cores=cores)
        np.testing.assert_array_equal(sample.draws, expected.draws)
        np.testing.assert_array_equal(sample.settings.scale, expected.settings.scale)
        for name, values in expected.statistics.items():
            np.testing.assert_array_equal(sample.statistics[name], values)
        assert [s.to_json() for s in sample.states] == [s.to_json() for s in expected.states]


@pytest.mark.parametrize("metric", ["diag", "dense"])
def test_goes_on_as_a_longer_run_would_have(metric):
    whole = draw(banana, 2, draws=100, metric=metric)
    first = draw(banana, 2, draws=60, metric=metric)
    second = continue_sample(PythonDensity(2, banana), first, 40)
    np.testing.assert_array_equal(np.concatenate([first.draws, second.draws], axis=1), whole.draws)
    np.testing.assert_array_equal(
        np.concatenate([first.statistics["energy"], second.statistics["energy"]], axis=1),
        whole.statistics["energy"],
    )
    np.testing.assert_array_equal(second.origins, first.draws[:, -1])


def test_one_density_a_chain():
    together = draw(banana, 2, draws=50)
    densities = [PythonDensity(2, banana) for _ in range(4)]
    starts = np.random.default_rng(5).uniform(-1.0, 1.0, (4, 2))
    apart = sample_density(densities, 50, 200, 4, 3, starts, progressbar=False)
    np.testing.assert_array_equal(apart.draws, together.draws)


@pytest.mark.parametrize(("tune", "n_chains"), [(0, 2), (1, 1), (10, 1), (20, 2), (149, 1)])
def test_short_warm_up(tune, n_chains):
    sample = draw(normal(np.eye(2)), 2, draws=5, tune=tune, n_chains=n_chains)
    assert sample.draws.shape == (n_chains, 5, 2)
    assert np.isfinite(sample.draws).all()
    assert len(np.unique(sample.statistics["step"])) == 1


def test_windows_double():
    assert warm_up_windows(150) == (75, 25, 50)
    for tune in range(3_000):
        sizes = warm_up_windows(tune)
        assert sum(sizes) == tune
        assert all(size > 0 for size in sizes)
        if tune >= 150:
            assert (sizes[0], sizes[-1]) == (75, 50)
            for before, after in pairwise(sizes[1:-1]):
                assert after >= 2 * before
            assert all(size == 25 * 2**i for i, size in enumerate(sizes[1:-2]))


def test_metrics_shrink_by_what_the_draws_are_worth():
    """Against the covariance itself; what does not move keeps a small variance."""
    draws = np.random.default_rng(0).standard_normal((2, 10, 3)) * [1.0, 20.0, 0.0]
    pooled = draws.reshape(-1, 3)
    expected = 20 / 25 * np.cov(pooled.T) + 5 / 25 * 1e-3 * np.eye(3)
    sds = learn_scale(draws, np.ones(3))
    np.testing.assert_allclose(sds**2, np.diag(expected), rtol=1e-12)
    root = np.zeros((3, 3))
    root[np.tril_indices(3)] = learn_scale(draws, np.ones(6))
    np.testing.assert_allclose(root @ root.T, expected, atol=1e-12)
    for before in (np.ones(3), np.ones(6)):
        assert learn_scale(draws + 1e300 * draws, before) is before
        assert learn_scale(draws[:1, :1], before) is before


def cliff(x):
    """A fall of 2,000 beyond 1 that the gradient does not know."""
    return -0.5 * float(x @ x) - 2_000.0 * (x[0] > 1.0), -x


def test_divergences_are_located():
    sample = draw(cliff, 2, draws=400)
    found = sample.divergences
    assert 20 < len(found.draw) == sample.statistics["divergent"].sum()
    assert np.all(np.abs(found.energy_error - 2_000.0) < 100.0)
    for chain, number, start in zip(found.chain, found.draw, found.start, strict=True):
        before = sample.draws[chain, number - 1] if number else sample.origins[chain]
        np.testing.assert_array_equal(start, before)
    assert sample.draws[..., 0].max() <= 1.0
    assert sample.statistics["nonfinite"].sum() == 0


class Failing:
    """A standard normal whose function raises at a call of that number."""

    def __init__(self, call):
        self.call, self.calls = call, 0

    def __call__(self, x):
        self.calls += 1
        if self.calls == self.call:
            raise ZeroDivisionError("a pole")
        return -0.5 * float(x @ x), -x


@pytest.mark.usefixtures("no_thread_left")
def test_an_exception_keeps_the_draws_before_it():
    good = Failing(-1)
    draw(good, 2, draws=300, tune=0)
    whole = draw(Failing(-1), 2, draws=300, tune=0)
    with pytest.raises(DensityError, match="raised ZeroDivisionError: a pole") as raised:
        draw(Failing(good.calls // 2), 2, draws=300, tune=0)
    kept = raised.value.sample.draws
    assert 0 < kept.shape[1] < 300
    np.testing.assert_array_equal(kept, whole.draws[:, : kept.shape[1]])
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("call", [1, 4, 5, 20, 200])
def test_an_exception_before_the_draws(call):
    """At a start, in the search for a step, in warm-up."""
    with pytest.raises(DensityError, match="raised ZeroDivisionError: a pole") as raised:
        draw(Failing(call), 2)
    assert raised.value.sample is None


def test_an_error_of_an_earlier_run_is_forgotten():
    density = PythonDensity(2, Failing(3))
    starts = np.zeros((1, 2))
    with pytest.raises(DensityError):
        sample_density(density, 10, 10, 1, 0, starts)
    assert sample_density(density, 10, 10, 1, 0, starts).draws.shape == (1, 10, 2)


def test_a_start_without_density_is_refused():
    def positive(x):
        return (-np.inf, x) if x[0] < 0 else (-float(x[0]), -np.ones(1))

    with pytest.raises(InputError, match=r"not finite at starts\[1\]"):
        sample_density(PythonDensity(1, positive), 5, 5, 2, 0, [[1.0], [-1.0]])


@pytest.mark.parametrize(
    ("starts", "message"),
    [
        (np.zeros(2), r"shape \(2,\)"),
        (np.zeros((3, 2)), r"shape \(3, 2\), not \(chains, size\) = \(2, 2\)"),
        ([[0.0, 0.0], [0.0, np.nan]], r"starts\[1, 1\] is nan"),
        ([[np.inf, 0.0], [0.0, 0.0]], r"starts\[0, 0\] is inf"),
        ([["a", 0.0], [0.0, 0.0]], "must be numbers"),
        (None, r"shape \(\)"),
    ],
)
def test_wrong_starts(starts, message):
    with pytest.raises(InputError, match=message):
        sample_density(PythonDensity(2, Failing(-1)), 5, 5, 2, 0, starts)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"draws": 0}, "draws"),
        ({"tune": -1}, "tune"),
        ({"chains": 1.5}, "chains"),
        ({"metric": "full"}, "metric='full' is not known"),
        ({"target_accept": 1.0}, "target_accept"),
        ({"target_accept": True}, "target_accept"),
        ({"max_depth": 0}, "max_depth"),
        ({"max_depth": 21}, "max_depth"),
        ({"cores": 0}, "cores"),
        ({"rng": "x"}, "rng"),
        ({"density": banana}, "density"),
        ({"density": []}, "one density or 2"),
        ({"density": [PythonDensity(2, banana)]}, "one density or 2"),
        ({"density": [PythonDensity(2, banana), PythonDensity(3, banana)]}, "same coordinates"),
        ({"density": CompiledDensity()}, "coordinates"),
    ],
)
def test_wrong_options(changes, message):
    given = {
        "density": PythonDensity(2, banana), "draws": 5, "tune": 5, "chains": 2, "rng": 0,
        "starts": np.zeros((2, 2)),
    }  # fmt: skip
    with pytest.raises(OptionError, match=message):
        sample_density(**{**given, **changes})


def test_a_sample_of_another_density_is_not_continued():
    sample = draw(banana, 2, draws=5, tune=5)
    with pytest.raises(OptionError, match="3 coordinates, the sample 2"):
        continue_sample(PythonDensity(3, banana), sample, 5)


CHILD = """
import json, os, signal, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
import numpy as np
from qbeconometrics.kernels._density import PythonDensity
from qbeconometrics.sampling.nuts import sample_density

calls = []

def density(x):
    calls.append(0)
    if len(calls) == 2_000:
        os.kill(os.getpid(), signal.SIGINT)
    return -0.5 * float(x @ x), -x

report = {}
try:
    sample = sample_density(
        PythonDensity(2, density), 10**6, TUNE, 3, 1, np.zeros((3, 2)), cores=2, progressbar=False
    )
except KeyboardInterrupt:
    report["raised"] = True
else:
    report["shape"], report["interrupted"] = sample.draws.shape, sample.interrupted
    report["finite"] = bool(np.isfinite(sample.draws).all())
    report["head"] = sample.draws[:, :20].tolist()
report["threads"] = [t.name for t in threading.enumerate() if t.name != "MainThread"]
print(json.dumps(report))
"""


@pytest.mark.parametrize("tune", [0, 10**6])
def test_ctrl_c(tune):
    """Complete draws are kept; in warm-up there are none."""
    code = textwrap.dedent(CHILD).replace("TUNE", str(tune))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["threads"] == []
    if tune:
        assert report["raised"]
        return
    n_chains, draws, size = report["shape"]
    assert (n_chains, size) == (3, 2)
    assert 20 < draws < 10**6
    assert report["interrupted"]
    assert report["finite"]
    whole = sample_density(
        PythonDensity(2, Failing(-1)), 20, 0, 3, 1, np.zeros((3, 2)), progressbar=False
    )
    np.testing.assert_array_equal(report["head"], whole.draws)
