"""Progress of the chains on stderr: tqdm if it is installed, else plain lines."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Protocol

try:
    from tqdm.auto import tqdm
except ImportError:
    tqdm = None

# With progressbar=None, runs shorter than this show nothing.
DELAY_SECONDS = 1.0


class Progress(Protocol):
    """Takes the number of further draws that are done."""

    def update(self, draws: int) -> None:
        """Add `draws`."""


class SilentProgress:
    """Shows nothing."""

    def update(self, draws: int) -> None:
        """Do nothing."""


class ProgressDisplay:
    """A bar over all chains, as a context manager.

    Parameters
    ----------
    total : int or None
        Draws of all chains, warm-up included; None if it is not known.
    progressbar : bool or None
        True: always; False: never; None: a tqdm bar where stderr is a terminal and the run takes
        longer than a second.
    description : str
    unit : str
        What is counted.
    """

    def __init__(
        self, total: int | None, progressbar: bool | None, description: str, unit: str = "draw"
    ):
        self._total, self._unit = total, unit
        self._next_line = 1
        self._done = 0
        self._description = description
        self._bar: Any = None
        self._lines = progressbar is True and tqdm is None
        if progressbar is not False and tqdm is not None:
            self._bar = tqdm(
                total=total,
                desc=description,
                unit=unit,
                unit_scale=True,
                leave=progressbar is True,
                disable=None if progressbar is None else False,
                delay=DELAY_SECONDS if progressbar is None else 0.0,
            )

    def update(self, draws: int) -> None:
        """Add `draws` to what is done."""
        before = self._done
        self._done += draws
        if self._bar is not None:
            self._bar.update(draws)
        elif self._lines and self._is_due(before):
            of_all = "" if self._total is None else f" of {self._total:,}"
            sys.stderr.write(f"{self._description}: {self._done:,}{of_all} {self._unit}s\n")

    def _is_due(self, before: int) -> bool:
        """Whether a tenth more is done or, where the total is not known, twice as much."""
        if self._total is not None:
            return 10 * self._done // self._total > 10 * before // self._total
        if self._done < self._next_line:
            return False
        self._next_line = 2 * self._done
        return True

    def __enter__(self) -> ProgressDisplay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
