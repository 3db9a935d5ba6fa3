"""nutpie, a sampler written in Rust, in the place of our own."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import MissingExtraError, NumericalError
from qbeconometrics.kernels._density import CompiledDensity
from qbeconometrics.sampling.nuts_chain import error_of, raise_error
from qbeconometrics.sampling.seeds import spawn_seeds

FloatArray = NDArray[np.float64]

# Our names of statistics, and nutpie's.
STATISTICS = {
    "depth": "depth",
    "gradients": "n_steps",
    "divergent": "diverging",
    "acceptance": "mean_tree_accept",
    "step": "step_size",
    "energy": "energy",
    "energy_error": "energy_error",
    "log_density": "logp",
}

# nutpie refuses a start where the gradient is zero, such as a mode: how far it is moved then.
NUDGE = 1e-3


@dataclass(frozen=True, slots=True)
class NutpieSample:
    """What is read from nutpie's trace.

    Attributes
    ----------
    draws : ndarray, shape (chains, draws, size)
    statistics : dict of str to ndarray, shape (chains, draws)
        With the names of `qbeconometrics.sampling.nuts.DensitySample`. nutpie counts a point
        without density as a divergence, so "nonfinite" is zero, and "energy_error" is that of the
        draw.
    warm_up_gradients : int
    interrupted : bool
        Whether Ctrl-C came; all chains then have as many draws.
    """

    draws: FloatArray
    statistics: dict[str, FloatArray]
    warm_up_gradients: int
    interrupted: bool


def sample_with_nutpie(
    make_density: Callable[[], CompiledDensity],
    draws: int,
    tune: int,
    rng: Any,
    starts: FloatArray,
    *,
    target_accept: float,
    max_depth: int,
    cores: int,
    progressbar: bool | None,
) -> NutpieSample:
    """Draw from a log density by nutpie.

    Parameters
    ----------
    make_density : callable
        Returns a new CompiledDensity of the same law, for one thread.
    draws, tune : int
    rng : None, int, SeedSequence, BitGenerator or Generator
    starts : ndarray, shape (chains, size)
    target_accept : float
    max_depth : int
    cores : int
        With one, chains take the starts in their order, and runs can be repeated.
    progressbar : bool or None
        nutpie shows its own, for True.

    Returns
    -------
    NutpieSample

    Raises
    ------
    MissingExtraError
        If nutpie is missing.
    DensityError
        If a density raises.
    NumericalError
        If nutpie gives up.
    KeyboardInterrupt
        If Ctrl-C comes before all chains have draws: on one core they run one after another.

    Notes
    -----
    Seyboldt and PyMC Developers, nutpie (https://github.com/pymc-devs/nutpie). Functions come in by
    its `compiled_pyfunc.from_pyfunc`. It holds the interpreter lock while it calls them.
    """
    nutpie = import_nutpie()
    builder = importlib.import_module("nutpie.compiled_pyfunc")
    densities: list[CompiledDensity] = []

    def make_function() -> Callable[[FloatArray], tuple[float, FloatArray]]:
        densities.append(make_density())
        return _guarded(densities[-1])

    size = starts.shape[1]
    seed, noise = spawn_seeds(rng, 2)
    ready = iter(_moved(make_density(), starts, np.random.default_rng(noise)))
    model = builder.from_pyfunc(
        ndim=size,
        make_logp_fn=make_function,
        make_expand_fn=lambda *_: lambda x: {"x": np.array(x)},
        expanded_dtypes=[np.dtype(np.float64)],
        expanded_shapes=[(size,)],
        expanded_names=["x"],
        make_initial_point_fn=lambda _: next(ready),
    )
    try:
        trace = nutpie.sample(
            model,
            draws=draws,
            tune=tune,
            chains=len(starts),
            cores=cores,
            seed=int(seed.generate_state(1)[0]),
            progress_bar=progressbar is True,
            target_accept=target_accept,
            maxdepth=max_depth,
        )
    except Exception as error:
        raise_error(densities)
        raise NumericalError(f"nutpie gave up: {error}") from error
    raise_error(densities)
    return _read(trace, draws)


def import_nutpie() -> ModuleType:
    """Return nutpie.

    Raises
    ------
    MissingExtraError
        If it is missing.
    """
    try:
        return importlib.import_module("nutpie")
    except ImportError as error:
        raise MissingExtraError(
            f"backend='nutpie' needs nutpie, which cannot be imported ({error}). "
            "Install the extra: pip install 'qbeconometrics[nutpie]'."
        ) from error


def _guarded(density: CompiledDensity) -> Callable[[FloatArray], tuple[float, FloatArray]]:
    """What nutpie calls. An exception would stop its thread; NaN is a divergence to it."""

    def evaluate(x: FloatArray) -> tuple[float, FloatArray]:
        # After an error the run cannot be used: it ends soon if nothing is computed any more.
        if error_of(density) is not None:
            return np.nan, np.full(density.size, np.nan)
        with np.errstate(all="ignore"):
            return density.log_density_and_gradient(np.ascontiguousarray(x))

    return evaluate


def _moved(
    density: CompiledDensity, starts: FloatArray, generator: np.random.Generator
) -> list[FloatArray]:
    """Move starts away from where the gradient is exactly zero."""
    moved = []
    for start in starts:
        _, gradient = density.log_density_and_gradient(np.ascontiguousarray(start))
        noise = generator.standard_normal(len(start))
        moved.append(np.array(start) if np.any(gradient) else start + NUDGE * noise)
    return moved


def _read(trace: Any, requested: int) -> NutpieSample:
    """Keep the draws that all chains have: after Ctrl-C the shorter ones are filled with NaN."""
    found = np.asarray(trace.posterior["x"].values)
    complete = int(np.min(np.sum(np.isfinite(found).all(axis=2), axis=1)))
    if complete == 0:
        raise KeyboardInterrupt
    statistics = {
        ours: np.asarray(trace.sample_stats[name].values, dtype=np.float64)[:, :complete]
        for ours, name in STATISTICS.items()
    }
    statistics["nonfinite"] = np.zeros_like(statistics["depth"])
    in_warm_up = int(np.sum(trace.warmup_sample_stats["n_steps"].values))
    return NutpieSample(found[:, :complete], statistics, in_warm_up, complete < requested)
