"""nutpie in the place of our sampler: through a stand-in of it, and, in the long set, itself."""

import sys
import types
import warnings

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.diagnostics import convergence
from qbeconometrics.exceptions import ConvergenceWarning, DensityError, NumericalError
from qbeconometrics.kernels._density import PythonDensity
from qbeconometrics.sampling.nuts import sample_density

M = 5.0 * np.eye(5, 2)
NAMES = {
    "depth": "depth", "n_steps": "gradients", "diverging": "divergent", "energy": "energy",
    "mean_tree_accept": "acceptance", "step_size": "step", "energy_error": "energy_error",
    "logp": "log_density",
}  # fmt: skip


def labelled(arrays):
    return {name: types.SimpleNamespace(values=values) for name, values in arrays.items()}


class StandIn:
    """Takes what nutpie takes; draws by our sampler; keeps what it was given."""

    def __init__(self):
        self.padded, self.seen = 0, {}

    def from_pyfunc(
        self, ndim, make_logp_fn, make_expand_fn, expanded_dtypes, expanded_shapes,
        expanded_names, *, make_initial_point_fn,
    ):  # fmt: skip
        assert expanded_shapes == [(ndim,)]
        assert expanded_names == ["x"]
        assert expanded_dtypes == [np.dtype(np.float64)]
        expand = make_expand_fn(0, 0, 0)

        def function(x):
            # Arrays come without a promise of being ours.
            value, gradient = evaluate(x.copy())
            assert isinstance(value, float)
            assert gradient.flags.c_contiguous
            np.testing.assert_array_equal(expand(x)["x"], x)
            return value, gradient

        evaluate = make_logp_fn()
        return ndim, function, make_initial_point_fn

    def sample(
        self, model, *, draws, tune, chains, cores, seed, progress_bar, target_accept, maxdepth
    ):
        ndim, function, initial = model
        self.seen = {"cores": cores, "seed": seed, "progress_bar": progress_bar}
        starts = [initial(number) for number in range(chains)]
        self.seen["starts"] = np.array(starts)
        if any(not np.any(function(x)[1]) for x in starts):
            raise RuntimeError("bad initial gradient")
        run = sample_density(
            PythonDensity(ndim, function), draws, tune, chains, seed, starts, cores=1,
            target_accept=target_accept, max_depth=maxdepth, progressbar=False,
        )  # fmt: skip
        x = run.draws.copy()
        if self.padded:
            x[1, -self.padded :] = np.nan
        statistics = {theirs: run.statistics[ours] for theirs, ours in NAMES.items()}
        return types.SimpleNamespace(
            posterior=labelled({"x": x}),
            sample_stats=labelled(statistics),
            warmup_sample_stats=labelled({"n_steps": np.full((chains, tune), 3)}),
        )


@pytest.fixture
def nutpie(monkeypatch):
    stand_in = StandIn()
    monkeypatch.setitem(sys.modules, "nutpie", stand_in)
    monkeypatch.setitem(sys.modules, "nutpie.compiled_pyfunc", stand_in)
    return stand_in


def run(target=None, parameterization="polar", **options):
    target = qb.stiefel.von_mises_fisher(M) if target is None else target
    options = {"draws": 50, "tune": 40, "chains": 2, "rng": 3, "backend": "nutpie", **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return qb.StiefelSampler(target, 5, 2, parameterization).sample(**options)


def test_what_goes_in_and_comes_out(nutpie):
    start = np.stack([qb.stiefel.rand(5, 2, rng=seed) for seed in (1, 2)])
    res = run(start=start)
    assert res.draws.shape == (2, 50, 5, 2)
    for Q, x in zip(start, nutpie.seen["starts"], strict=True):
        np.testing.assert_allclose(res.chart.to_matrix(x), Q, atol=1e-14)
    assert nutpie.seen["cores"] == 1
    assert nutpie.seen["progress_bar"] is False
    np.testing.assert_allclose(res.log_density, np.sum(M * res.draws, axis=(2, 3)), atol=1e-12)
    assert res.sampler_stats["warm_up_gradients"] == 240
    assert np.all(res.sampler_stats["nonfinite"] == 0.0)
    assert "nuts (nutpie)" in str(res.summary())
    np.testing.assert_array_equal(run(start=start).draws, res.draws)
    assert np.all(run(start=start, rng=4).draws != res.draws)


def test_a_start_without_a_slope_is_moved(nutpie):
    """At its centre and the mode the Cayley chart's density is flat, which nutpie refuses."""
    res = run(start=np.eye(5, 2), parameterization="cayley")
    moved = nutpie.seen["starts"]
    assert np.all(np.abs(moved) > 0.0)
    assert np.max(np.abs(moved)) < 0.01
    assert res.draws.shape == (2, 50, 5, 2)


def test_interrupted_chains_keep_what_all_have(nutpie):
    nutpie.padded = 15
    with pytest.warns(qb.exceptions.InterruptedWarning, match="kept 35 of 50 draws"):
        res = run()
    assert res.draws.shape == (2, 35, 5, 2)
    assert res.sampler_stats["depth"].shape == (2, 35)
    nutpie.padded = 50
    with pytest.raises(KeyboardInterrupt):
        run()


def test_an_exception_of_the_target_is_named(nutpie):
    calls = []

    def target(Q):
        calls.append(0)
        if len(calls) > 200:
            raise ZeroDivisionError("a pole")
        return np.sum(M * Q), M

    with pytest.raises(DensityError, match="ZeroDivisionError: a pole"):
        run(target)
    # Nothing is computed after it.
    assert len(calls) == 201


def test_nutpie_giving_up_is_named(nutpie, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("no luck")

    monkeypatch.setattr(nutpie, "sample", fails)
    with pytest.raises(NumericalError, match="nutpie gave up: no luck"):
        run()


@pytest.mark.long
@pytest.mark.parametrize("name", ["polar", "householder", "givens", "cayley"])
def test_nutpie_itself_agrees(name):
    """Means of all elements and of log f by both, within four of their Monte Carlo errors."""
    values = []
    for backend in ("compiled", "nutpie"):
        res = run(parameterization=name, draws=2_000, tune=800, chains=4, backend=backend)
        values.append(np.dstack([res.draws.reshape(4, 2_000, -1), res.log_density]))
    errors = np.hypot(*(convergence.mean_mcse(v) for v in values))
    difference = values[0].mean((0, 1)) - values[1].mean((0, 1))
    assert np.max(np.abs(difference) / errors) < 4.0
