"""What local projections hand to the reader beyond a `FitRecord`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import OptionError, suggestion
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.reliability import (
    Finding,
    InstrumentStrength,
    instrument_strength,
)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PathRecord:
    """Layout of the coefficients and what belongs to paths.

    Attributes
    ----------
    responses : tuple of str
    states : tuple of str
        ("",) without states.
    horizons : tuple of int
    shock : str
    frequency : str
        "months", "quarters", ..., for axes.
    kind : str
        "level", "long-difference", "cumulative" or "multiplier".
    sample, first_row, last_row : str
        Rule of the sample, and the rows that it begins and ends with.
    rows : tuple of int
        Smallest and largest number of rows of a regression.
    active : ndarray of bool, shape (parameter,)
        False where the coefficient is known without error.
    smoothing : ndarray, shape (chain, draw, path), or None
        Sampled smoothing parameters.
    strength : DataFrame or None
        First stage by horizon.
    cautions : tuple of Finding
        Found when the model was fitted.
    """

    responses: tuple[str, ...]
    states: tuple[str, ...]
    horizons: tuple[int, ...]
    shock: str
    frequency: str
    kind: str
    sample: str
    first_row: str
    last_row: str
    rows: tuple[int, int]
    active: NDArray[np.bool_]
    smoothing: FloatArray | None
    strength: pd.DataFrame | None
    cautions: tuple[Finding, ...]

    @property
    def n_paths(self) -> int:
        """Responses times states."""
        return len(self.responses) * len(self.states)

    def response_place(self, response: str | None) -> int:
        """Place of a response; it need not be named if it is the only one.

        Raises
        ------
        OptionError
        """
        return _place(response, self.responses, "response")

    def state_place(self, state: str | None) -> int:
        """Place of a state; it need not be named if there are none.

        Raises
        ------
        OptionError
        """
        return _place(state, self.states, "state")

    def horizon_places(self, horizons: Iterable[int] | None) -> list[int]:
        """Places of horizons; None is all of them.

        Raises
        ------
        OptionError
        """
        wanted = list(self.horizons if horizons is None else horizons)
        for h in wanted:
            if h not in self.horizons:
                raise OptionError(f"horizon {h} was not estimated")
        return [self.horizons.index(h) for h in wanted]

    def horizons_between(self, first: int | None, last: int | None) -> NDArray[np.bool_]:
        """Mark horizons from `first` to `last`; None is the end.

        Raises
        ------
        OptionError
            If there are none.
        """
        horizons = np.asarray(self.horizons)
        inside = np.ones(len(horizons), dtype=bool)
        if first is not None:
            inside &= horizons >= first
        if last is not None:
            inside &= horizons <= last
        if not inside.any():
            raise OptionError(f"no horizon lies between {first} and {last}")
        return inside

    def weakest_stage(self) -> InstrumentStrength | None:
        """The first-stage statistic of the horizon where it is smallest."""
        strength = None if self.strength is None else instrument_strength(self.strength)
        if strength is None:
            return None
        return replace(strength, regressors=(self.shock,))

    def path_names(self) -> list[tuple[str, str]]:
        """Response and state of each path, in the order of the coefficients."""
        return [(response, state) for response in self.responses for state in self.states]

    def path_index(self) -> pd.Index:
        """Labels of the paths: response, state, or both, whichever there are several of."""
        names = self.path_names()
        if len(self.states) == 1:
            return pd.Index([response for response, _ in names], name="response")
        if len(self.responses) == 1:
            return pd.Index([state for _, state in names], name="state")
        return pd.MultiIndex.from_tuples(names, names=["response", "state"])

    def horizon_index(self) -> pd.Index:
        """Labels of all coefficients: path (if there are several) and horizon."""
        horizons = pd.Index(self.horizons, name="horizon")
        if self.n_paths == 1:
            return horizons
        paths = self.path_index()
        outer = [label if isinstance(label, tuple) else (label,) for label in paths]
        tuples = [(*label, h) for label in outer for h in self.horizons]
        return pd.MultiIndex.from_tuples(tuples, names=[*paths.names, "horizon"])


def _place(name: str | None, names: tuple[str, ...], what: str) -> int:
    if name is None and len(names) > 1:
        raise OptionError(f"name the {what}: one of {', '.join(map(repr, names))}")
    if name is not None and name not in names:
        raise OptionError(f"{name!r} is not a {what}.{suggestion(name, names)}")
    return 0 if name is None else names.index(name)


def leading_parameters(record: FitRecord, n: int) -> FitRecord:
    """Return a record of the first `n` parameters only."""
    exact_mean, exact_cov = record.exact_mean, record.exact_cov
    return replace(
        record,
        draws=record.draws[:, :, :n],
        param_names=record.param_names[:n],
        mode=record.mode[:n],
        exact_mean=None if exact_mean is None else exact_mean[:n],
        exact_cov=None if exact_cov is None else exact_cov[:n, :n],
        prior_marginals=None,
        mode_cov=None,
    )


def coefficient_names(
    responses: tuple[str, ...], states: tuple[str, ...], horizons: tuple[int, ...]
) -> tuple[str, ...]:
    """Names of the coefficients, by response, state and horizon.

    Examples
    --------
    >>> coefficient_names(("ip",), ("slack=1", "slack=0"), (0, 1))
    ('ip[0, slack=1]', 'ip[1, slack=1]', 'ip[0, slack=0]', 'ip[1, slack=0]')
    """
    return tuple(
        f"{response}[{h}, {state}]" if state else f"{response}[{h}]"
        for response in responses
        for state in states
        for h in horizons
    )
