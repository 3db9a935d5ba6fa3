"""Arguments of error-correction models, checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from qbeconometrics.exceptions import OptionError, check_choice
from qbeconometrics.inputs.cointegration_design import DETERMINISTIC
from qbeconometrics.kernels._cointegration import MOST_RANKS
from qbeconometrics.models.vecm_sampling import SpaceOptions
from qbeconometrics.sampling.options import whole_number
from qbeconometrics.stiefel.chart_names import PARAMETERIZATIONS


def check_deterministic(value: object) -> str:
    """Return one of statsmodels' words; "" and "nc" are "n".

    Examples
    --------
    >>> check_deterministic("nc")
    'n'
    """
    if isinstance(value, str) and {"co", "ci"} <= {value[i : i + 2] for i in range(len(value) - 1)}:
        raise OptionError(
            f"deterministic={value!r} has a constant within the cointegration relation ('ci') and "
            "one outside of it ('co'), which holds the former. Choose one."
        )
    word = check_choice(value, DETERMINISTIC, "deterministic")
    return "n" if word in ("", "nc") else word


def check_rank(value: Any, series: int, argument: str = "coint_rank") -> int:
    """Return a rank from 0 to the number of series.

    Examples
    --------
    >>> check_rank(1, 2)
    1
    """
    rank = whole_number(value, argument, minimum=0)
    if rank > series:
        raise OptionError(
            f"{argument}={rank} is more than the number of series, {series}: there are at most as "
            "many relations as series"
        )
    if rank > MOST_RANKS:
        raise OptionError(f"{argument}={rank} must be at most {MOST_RANKS}")
    return rank


def check_prior_observations(value: Any) -> float:
    """Return a positive number.

    Examples
    --------
    >>> check_prior_observations(2)
    2.0
    """
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(
        value, bool
    )
    if not (number and 0.0 < value < np.inf):
        raise OptionError(
            f"prior_observations={value!r} must be a positive number, such as 1: the prior must be "
            "proper for ranks to be compared"
        )
    return float(value)


def check_seasons(seasons: Any, first_season: Any) -> tuple[int, int]:
    """Return both as whole numbers; one season is none.

    Examples
    --------
    >>> check_seasons(4, 0)
    (4, 0)
    """
    return (
        whole_number(seasons, "seasons", minimum=0),
        whole_number(first_season, "first_season", minimum=0),
    )


def space_options(
    *,
    draws: Any,
    tune: Any,
    chains: Any,
    cores: Any,
    parameterization: Any,
    target_accept: Any,
    progressbar: Any,
) -> SpaceOptions:
    """Check what concerns sampling.

    Raises
    ------
    OptionError
        Naming the argument.
    """
    number = isinstance(target_accept, (float, np.floating))
    if not (number and 0.0 < target_accept < 1.0):
        raise OptionError(f"target_accept={target_accept!r} must be between 0 and 1, such as 0.9")
    if progressbar not in (None, True, False):
        raise OptionError(f"progressbar={progressbar!r} must be True, False or None")
    return SpaceOptions(
        draws=whole_number(draws, "draws", minimum=1),
        tune=whole_number(tune, "tune", minimum=0),
        chains=whole_number(chains, "chains", minimum=1),
        cores=None if cores is None else whole_number(cores, "cores", minimum=1),
        parameterization=check_choice(parameterization, PARAMETERIZATIONS, "parameterization"),
        target_accept=float(target_accept),
        progressbar=progressbar,
    )
