"""Draws of orthonormal matrices: what a run takes, does and refuses."""

import json
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import (
    ConvergenceWarning,
    DensityError,
    InputError,
    MissingExtraError,
    NumericalWarning,
    OptionError,
    UnknownKeywordError,
)

M = 4.0 * np.eye(6, 2)
SHORT = {"draws": 20, "tune": 20, "chains": 2, "rng": 3, "cores": 1, "progressbar": False}
NAMES = ("polar", "householder", "givens", "cayley")


def von_mises_fisher(Q):
    return np.sum(M * Q), M


def short_run(target=von_mises_fisher, p=6, k=2, parameterization="polar", **options):
    """A run that is too short to be warned of anything else than that."""
    sampler = qb.StiefelSampler(target, p, k, parameterization)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return sampler.sample(**{**SHORT, **options})


@pytest.mark.parametrize("name", NAMES)
def test_compiled_targets_and_functions_give_the_same_draws(name):
    in_python = short_run(parameterization=name)
    compiled = short_run(qb.stiefel.von_mises_fisher(M), parameterization=name)
    np.testing.assert_allclose(compiled.draws, in_python.draws, atol=1e-8)
    Q = in_python.draws
    assert np.max(np.abs(Q.swapaxes(-1, -2) @ Q - np.eye(2))) < 1e-12
    np.testing.assert_allclose(in_python.log_density, np.sum(M * Q, axis=(2, 3)), atol=1e-11)


def test_threads_change_no_bit_and_the_generator_matters():
    target = qb.stiefel.von_mises_fisher(M)
    one = short_run(target)
    np.testing.assert_array_equal(short_run(target, cores=2).draws, one.draws)
    np.testing.assert_array_equal(short_run(target, rng=np.random.SeedSequence(3)).draws, one.draws)
    assert np.all(short_run(target, rng=4).draws != one.draws)
    generator = np.random.default_rng(3)
    first, second = (short_run(target, rng=generator).draws for _ in range(2))
    assert np.all(first != second)


def test_a_chart_of_ones_own():
    chart = qb.stiefel.Householder(6, 2, sign=-1)
    res = short_run(parameterization=chart)
    assert res.chart is chart
    assert res.draws.shape == (2, 20, 6, 2)


@pytest.mark.parametrize("name", NAMES)
def test_chains_begin_at_the_users_matrices(name):
    """Without warm-up and with a step that begins tiny nothing has moved far."""
    start = np.stack([qb.stiefel.rand(6, 2, rng=seed) for seed in (1, 2)])
    sharp = qb.stiefel.von_mises_fisher(1e7 * start[0])
    one = short_run(sharp, parameterization=name, start=start[0], draws=5)
    np.testing.assert_allclose(one.draws, np.broadcast_to(start[0], one.draws.shape), atol=0.01)
    seen = []

    def watched(Q):
        seen.append(Q.copy())
        return von_mises_fisher(Q)

    short_run(watched, parameterization=name, start=start)
    for Q in start:
        assert min(np.max(np.abs(Q - other)) for other in seen[:2]) < 1e-12


def test_names_build_charts_around_the_start():
    start = -np.eye(6, 2)
    cayley = short_run(parameterization="cayley", start=start).chart
    np.testing.assert_allclose(cayley.to_matrix(np.zeros(cayley.size)), start, atol=1e-14)
    assert short_run(parameterization="householder", start=start).chart.sign == -1
    assert short_run(parameterization="householder", start=-start).chart.sign == 1
    assert short_run(parameterization="householder").chart.sign == 1


@pytest.mark.parametrize("det", [1.0, -1.0])
def test_square_matrices_keep_the_determinant_of_the_start(det):
    start = qb.stiefel.rand(3, 3, rng=0)
    start[:, 0] *= det * np.sign(np.linalg.det(start))
    for name in ("householder", "cayley"):
        res = short_run(qb.stiefel.uniform(3, 3), 3, 3, name, start=start)
        np.testing.assert_allclose(np.linalg.det(res.draws), det)
        assert f"determinant {det:+.0f}" in str(res.summary())
    both = short_run(qb.stiefel.uniform(3, 3), 3, 3, draws=200)
    assert set(np.unique(np.linalg.det(both.draws).round(6))) == {-1.0, 1.0}
    assert "determinant" not in str(both.summary())


def test_givens_has_rotations_only():
    with pytest.raises(InputError, match="start of chain 0: Q has determinant -1"):
        short_run(qb.stiefel.uniform(3, 3), 3, 3, "givens", start=np.diag([-1.0, 1.0, 1.0]))


def positive(Q):
    """Uniform where the first two elements of the first column are positive."""
    return (0.0 if Q[0, 0] > 0.0 and Q[1, 0] > 0.0 else -np.inf), np.zeros((4, 2))


def test_uniform_draws_are_tried_until_the_density_is_positive():
    with pytest.warns(NumericalWarning, match=r"trajectories met a point without a finite density"):
        res = short_run(positive, 4, 2, draws=200)
    assert res.draws[:, :, :2, 0].min() > 0.0
    assert res.sampler_stats["nonfinite"].sum() > 50


def nowhere(Q):
    return -np.inf, np.zeros((6, 2))


def slope_of_nan(Q):
    return 0.0, np.full((6, 2), np.nan)


def raises(Q):
    raise ZeroDivisionError("a pole")


BAD_TARGETS = {
    "a number": (lambda Q: 1.0, InputError, "must return log f, a number, and the gradient"),
    "nothing": (lambda Q: None, InputError, "must return log f, a number, and the gradient"),
    "an array": (lambda Q: (Q, Q), InputError, "must return log f, a number, and the gradient"),
    "transposed": (lambda Q: (0.0, Q.T), InputError, r"must have shape \(6, 2\), not \(2, 6\)"),
    "a vector": (lambda Q: (0.0, Q.ravel()), InputError, r"must have shape \(6, 2\), not \(12,\)"),
    "nowhere": (nowhere, InputError, "not finite at any of 100 uniform draws"),
    "nan": (lambda Q: (np.nan, Q), InputError, "not finite at any of 100 uniform draws"),
    "slope of nan": (slope_of_nan, InputError, "not finite at any of 100 uniform draws"),
    "raises": (raises, DensityError, "target raised ZeroDivisionError: a pole"),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", BAD_TARGETS)
def test_bad_targets(bad, name):
    target, error, message = BAD_TARGETS[bad]
    with pytest.raises(error, match=message):
        short_run(target, parameterization=name)


def test_no_density_at_the_start():
    with pytest.raises(InputError, match="not finite at the start of chain 0"):
        short_run(nowhere, start=np.eye(6, 2))
    halves = np.stack([np.eye(4, 2), -np.eye(4, 2)])
    halves[:, :2, 0] = np.array([[0.6, 0.8], [-0.6, 0.8]])
    halves[:, :, 1] = [0.0, 0.0, 1.0, 0.0]
    with pytest.raises(InputError, match="not finite at the start of chain 1"):
        short_run(positive, 4, 2, start=halves)


class Late:
    """Returns something else at a late call."""

    def __init__(self, bad):
        self.bad, self.calls = bad, 0

    def __call__(self, Q):
        self.calls += 1
        return self.bad(Q) if self.calls > 300 else von_mises_fisher(Q)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (raises, "ZeroDivisionError: a pole"),
        (lambda Q: (0.0, Q.T), r"shape \(2, 6\), not \(6, 2\)"),
    ],
)
def test_a_target_that_breaks_later_leaves_its_draws(bad, message):
    with pytest.raises(DensityError, match=message) as raised:
        short_run(Late(bad), tune=0, draws=500)
    assert raised.value.sample.draws.shape[::2] == (2, 12)
    assert raised.value.sample.draws.shape[1] > 0


def test_a_target_that_raises_somewhere_else():
    """Past the starts, where the signs of columns are changed."""

    def target(Q):
        if Q[0, 0] < 0.0:
            raise ZeroDivisionError("a pole")
        return von_mises_fisher(Q)

    with pytest.raises(DensityError, match="target raised ZeroDivisionError: a pole"):
        short_run(target, start=np.eye(6, 2))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"p": 1}, OptionError, "p=1 must be at least 2"),
        ({"k": 7}, OptionError, "k must not exceed p"),
        ({"k": 2.0}, OptionError, r"k=2\.0 must be an int"),
        ({"target": 3}, InputError, "target=3 must be a function of Q"),
        ({"target": None}, InputError, "target=None must be a function of Q"),
        ({"target": qb.stiefel.uniform(5, 2)}, InputError, r"matrices \(5, 2\), and p, k are"),
        ({"parameterization": "Polar"}, OptionError, "Did you mean 'polar'"),
        ({"parameterization": qb.stiefel.Polar}, OptionError, "Choose one of: 'polar'"),
        ({"parameterization": None}, OptionError, "parameterization=None is not known"),
        ({"parameterization": qb.stiefel.Polar(2, 1)}, OptionError, "is for other matrices"),
        ({"parametrization": "polar"}, UnknownKeywordError, "Did you mean 'parameterization'"),
    ],
)
def test_bad_samplers(changes, error, message):
    with pytest.raises(error, match=message):
        qb.StiefelSampler(**{"target": von_mises_fisher, "p": 6, "k": 2, **changes})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"draws": 0}, OptionError, "draws=0 must be at least 1"),
        ({"draws": 10.0}, OptionError, r"draws=10\.0 must be a whole number"),
        ({"tune": -1}, OptionError, "tune=-1"),
        ({"chains": 0}, OptionError, "chains=0"),
        ({"cores": 0}, OptionError, "cores=0"),
        ({"rng": "x"}, OptionError, "rng='x'"),
        ({"rng": np.random.RandomState(0)}, OptionError, "default_rng"),
        ({"metric": "full"}, OptionError, "metric='full' is not known"),
        ({"target_accept": 1.0}, OptionError, "target_accept=1.0"),
        ({"target_accept": "high"}, OptionError, "target_accept='high'"),
        ({"max_depth": 21}, OptionError, "max_depth=21 must be at most 20"),
        ({"backend": "stan"}, OptionError, "backend='stan' is not known"),
        ({"start": np.eye(2, 6)}, InputError, r"shape \(6, 2\) or \(chains, p, k\)"),
        ({"start": np.ones((3, 6, 2))}, InputError, r"= \(2, 6, 2\), not \(3, 6, 2\)"),
        ({"start": 2.0 * np.eye(6, 2)}, InputError, "columns of start are not orthonormal"),
        (
            {"start": [np.eye(6, 2), np.ones((6, 2))]},
            InputError,
            r"columns of start\[1\] are not orthonormal",
        ),
        ({"start": np.full((6, 2), np.nan)}, InputError, r"start\[0, 0\] is nan"),
        ({"start": "I"}, InputError, "start must have shape"),
        ({"seed": 1}, UnknownKeywordError, "Did you mean 'rng'"),
        ({"warmup": 1}, UnknownKeywordError, "Did you mean 'tune'"),
        ({"starts": np.eye(6, 2)}, UnknownKeywordError, "Did you mean 'start'"),
    ],
)
def test_bad_options(options, error, message):
    calls = []

    def target(Q):
        calls.append(0)
        return von_mises_fisher(Q)

    with pytest.raises(error, match=message):
        short_run(target, **options)
    assert not calls


def test_nutpie_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "nutpie", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'qbeconometrics\[nutpie\]'"):
        short_run(backend="nutpie")


def test_warnings_show_the_callers_line():
    with pytest.warns(ConvergenceWarning) as caught:
        qb.StiefelSampler(von_mises_fisher, 6, 2).sample(**SHORT)
    assert {warning.filename for warning in caught} == {__file__}


CHILD = """
import json, os, signal, warnings
signal.signal(signal.SIGINT, signal.default_int_handler)
import numpy as np
import qbeconometrics as qb

M, calls = 4.0 * np.eye(6, 2), []

def target(Q):
    calls.append(0)
    if len(calls) == 3_000:
        os.kill(os.getpid(), signal.SIGINT)
    return np.sum(M * Q), M

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    res = qb.StiefelSampler(target, 6, 2).sample(
        draws=10**6, tune=20, chains=2, rng=3, progressbar=False
    )
report = {"shape": res.draws.shape, "head": res.draws[:, :20].tolist()}
report["noted"] = f"interrupted; {res.draws.shape[1]} of 1000000" in " ".join(
    str(res.summary()).split()
)
report["warnings"] = [w.category.__name__ for w in caught]
print(json.dumps(report))
"""


def test_ctrl_c_keeps_complete_draws():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILD)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["noted"]
    assert "InterruptedWarning" in report["warnings"]
    chains, draws, *shape = report["shape"]
    assert (chains, shape) == (2, [6, 2])
    assert 20 <= draws < 10**6
    np.testing.assert_array_equal(report["head"], short_run().draws)
