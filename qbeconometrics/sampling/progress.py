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
    total : int
        Draws of all chains, warm-up included.
    progressbar : bool or None
        True: always; False: never; None: a tqdm bar where stderr is a terminal and the run takes
        longer than a second.
    description : str
    """

    def __init__(self, total: int, progressbar: bool | None, description: str):
        self._total = total
        self._done = 0
        self._description = description
        self._bar: Any = None
        self._lines = progressbar is True and tqdm is None
        if progressbar is not False and tqdm is not None:
            self._bar = tqdm(
                total=total,
                desc=description,
                unit="draw",
                unit_scale=True,
                leave=progressbar is True,
                disable=None if progressbar is None else False,
                delay=DELAY_SECONDS if progressbar is None else 0.0,
            )

    def update(self, draws: int) -> None:
        """Add `draws` to what is done."""
        before = 10 * self._done // self._total
        self._done += draws
        if self._bar is not None:
            self._bar.update(draws)
        elif self._lines and 10 * self._done // self._total > before:
            sys.stderr.write(f"{self._description}: {self._done:,} of {self._total:,} draws\n")

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
