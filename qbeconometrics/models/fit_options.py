"""Checks of the arguments of `fit` that every model shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import OptionError, check_choice
from qbeconometrics.posterior.quasi_posterior import QUASI_LIKELIHOODS
from qbeconometrics.sampling.chains import default_cores
from qbeconometrics.sampling.options import SampleOptions, parse_sampler_kwds
from qbeconometrics.sampling.options import whole_number as whole_number
from qbeconometrics.sampling.seeds import spawn_seeds

FIT_KEYWORDS = (
    "sampler",
    "draws",
    "tune",
    "chains",
    "cores",
    "rng",
    "quasi_likelihood",
    "cov_type",
    "cov_kwds",
    "learning_rate",
    "weight_matrix",
    "sampler_kwds",
    "progressbar",
)


def check_learning_rate(value: Any) -> float:
    """Return a positive finite learning rate, else raise `OptionError`."""
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        number = float(value)
        if np.isfinite(number) and number > 0:
            return number
    if isinstance(value, str) and value == "calibrate":
        raise OptionError(
            "learning_rate='calibrate' is for the fits of QuasiBayesM, QuasiBayesIV, QuasiBayesGMM "
            "and QuasiBayesLP; give a number"
        )
    raise OptionError(f"learning_rate={value!r} must be a positive number")


def check_quasi_likelihood(value: str | None, weight_matrix: object) -> str:
    """Return the name of the quasi-likelihood; the default is "cue".

    Raises
    ------
    OptionError
        If it is unknown, or `weight_matrix` is given but not used.
    """
    name = check_choice("cue" if value is None else value, QUASI_LIKELIHOODS, "quasi_likelihood")
    if weight_matrix is not None and name != "two-step":
        raise OptionError(
            f"weight_matrix is only used with quasi_likelihood='two-step', not with {name!r}"
        )
    return name


def aligned_weight(weight_matrix: Any, names: Sequence[str]) -> NDArray[Any] | str | None:
    """Return the weight in the order of the instruments; a DataFrame is matched by label.

    Raises
    ------
    OptionError
        If the labels are not the names of the instruments.
    """
    if isinstance(weight_matrix, pd.DataFrame):
        if set(weight_matrix.index) ^ set(names) or set(weight_matrix.columns) ^ set(names):
            raise OptionError(
                f"weight_matrix must be labelled by the instruments: {', '.join(names)}"
            )
        weight_matrix = weight_matrix.loc[list(names), list(names)]
    if weight_matrix is None or isinstance(weight_matrix, str):
        return weight_matrix
    return np.asarray(weight_matrix)


def sample_options(
    *,
    sampler: str,
    draws: int,
    tune: int,
    chains: int,
    cores: int | None,
    rng: Any,
    sampler_kwds: Mapping[str, Any] | None,
    progressbar: bool | None,
    executor: Any = None,
) -> SampleOptions:
    """Check what concerns sampling.

    Raises
    ------
    OptionError
        Naming the argument.
    """
    keywords = parse_sampler_kwds(sampler, sampler_kwds)
    chains = whole_number(chains, "chains", minimum=1)
    if progressbar not in (None, True, False):
        raise OptionError(f"progressbar={progressbar!r} must be True, False or None")
    if not isinstance(executor, (Executor, type(None))):
        raise OptionError(
            f"executor={executor!r} must be a concurrent.futures.Executor, such as "
            "ProcessPoolExecutor() or, of a dask client, client.get_executor()"
        )
    if not isinstance(rng, (np.random.Generator, np.random.BitGenerator)):
        spawn_seeds(rng, 1)  # raises for a wrong type before any work is done
    return SampleOptions(
        sampler=sampler,
        draws=whole_number(draws, "draws", minimum=1),
        tune=whole_number(tune, "tune", minimum=0),
        chains=chains,
        cores=default_cores(chains)
        if cores is None
        else min(chains, whole_number(cores, "cores", minimum=1)),
        rng=rng,
        sampler_kwds=keywords,
        progressbar=progressbar,
        executor=executor,
    )
