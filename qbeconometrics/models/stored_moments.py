"""Statistics that are written to files, read again, and sent to other processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

import patsy

from qbeconometrics.models.moment_blocks import BlockReader, FormulaReader, reader_from
from qbeconometrics.models.moment_collecting import Collected
from qbeconometrics.models.moment_rule import stored_keywords, streaming_rule
from qbeconometrics.models.moment_storage import load_statistic, save_statistic
from qbeconometrics.moments.covariance import CovarianceRule


class StoredMoments:
    """A part of `LinearMoments`; not used directly."""

    rule: CovarianceRule
    _reader: BlockReader
    _collected: Collected

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to a file (npz with JSON, no pickle), replacing it at once.

        Raises
        ------
        OptionError
            If the formula holds what it learnt from the data, such as the mean in ``center(x)``.
        """
        collected = self._collected
        save_statistic(
            Path(path),
            {
                "reader": self._reader.describe(),
                "cov_type": self.rule.cov_type,
                "cov_kwds": stored_keywords(self.rule),
                "n_read": collected.n_read,
                "unfinished": collected.unfinished,
                "dates": collected.dates,
            },
            collected.moments,
        )

    def __getstate__(self) -> dict[str, Any]:
        return {
            "reader": self._reader.describe(),
            "rule": self.rule,
            "collected": self._collected,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._reader = reader_from(state["reader"])
        self.rule = state["rule"]
        self._collected = state["collected"]

    @classmethod
    def load(cls, path: str | os.PathLike[str], eval_env: patsy.EvalEnvironment | int = 0) -> Self:
        """Read what `save` wrote; blocks can be added to it.

        Raises
        ------
        InputError
            If the file is torn, was changed, or was written by a later version.
        """
        if not isinstance(eval_env, patsy.EvalEnvironment):
            eval_env = patsy.EvalEnvironment.capture(int(eval_env) + 1)
        facts, moments = load_statistic(Path(path))
        reader = reader_from(facts["reader"], eval_env)
        statistic = cls.__new__(cls)
        statistic.rule = streaming_rule(
            facts["cov_type"], facts["cov_kwds"], by_name=isinstance(reader, FormulaReader)
        )
        statistic._reader = reader
        dates = facts["dates"]
        statistic._collected = Collected(
            moments,
            facts["n_read"],
            facts["unfinished"],
            None if dates is None else (dates[0], dates[1]),
        )
        return statistic
