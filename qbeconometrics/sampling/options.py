"""The arguments of a fit that concern sampling, checked."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from qbeconometrics.exceptions import OptionError, check_choice, refuse_unknown_keywords
from qbeconometrics.sampling.samplers import LENGTH, SAMPLERS, TARGET_ACCEPT, UNSCREENED

INDEPENDENT = "independent"
SAMPLER_NAMES = ("auto", *SAMPLERS, INDEPENDENT)
SAMPLER_KEYWORDS = {
    "da": ("unscreened",),
    "da-exact": ("df", "rho"),
    "da-approx": ("df", "rho"),
    "hmc": ("target_accept", "length"),
}


@dataclass(frozen=True, slots=True)
class SampleOptions:
    """Checked arguments of a fit that concern sampling.

    Attributes
    ----------
    sampler : str
    draws, tune, chains, cores : int
    rng : int, SeedSequence, BitGenerator, Generator or None
    sampler_kwds : dict
        "df" and "rho", for the modified samplers; "unscreened", for "da"; "target_accept" and
        "length", for "hmc".
    progressbar : bool or None
    executor : Executor or None
        Workers for chains whose target calls Python.
    """

    sampler: str
    draws: int
    tune: int
    chains: int
    cores: int
    rng: Any
    sampler_kwds: dict[str, Any]
    progressbar: bool | None
    executor: Executor | None = None

    @property
    def workers(self) -> int | Executor:
        """What chains run on."""
        return self.cores if self.executor is None else self.executor


def whole_number(value: Any, argument: str, *, minimum: int) -> int:
    """Return `value` as an int of at least `minimum`, else raise `OptionError`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise OptionError(f"{argument}={value!r} must be a whole number")
    if value < minimum:
        raise OptionError(f"{argument}={value} must be at least {minimum}")
    return int(value)


def parse_sampler_kwds(sampler: str, sampler_kwds: Mapping[str, Any] | None) -> dict[str, Any]:
    """Check `sampler` and its keywords; fill the defaults in.

    Raises
    ------
    OptionError
        For an unknown sampler, keyword or value.
    """
    check_choice(sampler, SAMPLER_NAMES, "sampler")
    if sampler_kwds is not None and not isinstance(sampler_kwds, Mapping):
        raise OptionError(f"sampler_kwds must be a dict such as {{'df': 5}}, not {sampler_kwds!r}")
    keywords = dict(sampler_kwds or {})
    known = SAMPLER_KEYWORDS.get(sampler, ())
    if keywords and not known:
        raise OptionError(
            f"sampler_kwds={keywords!r} does not apply to sampler={sampler!r}; 'df' and 'rho' are "
            "for sampler='da-exact' or 'da-approx', 'unscreened' for 'da', 'target_accept' and "
            "'length' for 'hmc'"
        )
    refuse_unknown_keywords(keywords, known, f"sampler_kwds with sampler={sampler!r}")
    df, rho = keywords.get("df", "auto"), keywords.get("rho", "auto")
    if df != "auto" and not (_is_number(df) and df > 0):
        raise OptionError(f"sampler_kwds['df']={df!r} must be 'auto', a positive number or inf")
    if rho != "auto" and not (_is_number(rho) and 0 <= rho < 1):
        raise OptionError(f"sampler_kwds['rho']={rho!r} must be 'auto' or a number in [0, 1)")
    every = keywords.get("unscreened", UNSCREENED)
    if isinstance(every, bool) or not isinstance(every, (int, np.integer)) or every < 0:
        raise OptionError(f"sampler_kwds['unscreened']={every!r} must be a whole number, 0 or more")
    accept = keywords.get("target_accept", TARGET_ACCEPT)
    if not (_is_number(accept) and 0 < accept < 1):
        raise OptionError(
            f"sampler_kwds['target_accept']={accept!r} must be between 0 and 1, such as 0.9"
        )
    length = keywords.get("length", LENGTH)
    if not (_is_number(length) and 0 < length < np.inf):
        raise OptionError(f"sampler_kwds['length']={length!r} must be a positive number")
    filled = {
        "df": df,
        "rho": rho,
        "unscreened": int(every),
        "target_accept": float(accept),
        "length": float(length),
    }
    return {word: filled[word] for word in known}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
