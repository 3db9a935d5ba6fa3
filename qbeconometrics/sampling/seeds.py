"""From the user's `rng` to one seed sequence a chain."""

from __future__ import annotations

from typing import Any

import numpy as np

from qbeconometrics.exceptions import OptionError


def spawn_seeds(rng: Any, count: int) -> list[np.random.SeedSequence]:
    """Return `count` independent seed sequences.

    Parameters
    ----------
    rng : None, int, SeedSequence, BitGenerator or Generator
        None takes fresh entropy. An int or a SeedSequence gives the same seeds each time; a
        BitGenerator or Generator is spawned, so a second call differs.
    count : int

    Raises
    ------
    OptionError
        For anything else, such as the legacy RandomState.

    Examples
    --------
    >>> len(spawn_seeds(0, 4))
    4
    """
    if isinstance(rng, np.random.Generator):
        rng = rng.bit_generator
    if isinstance(rng, np.random.BitGenerator):
        source = rng.seed_seq
        if not hasattr(source, "spawn"):
            raise OptionError("rng was built without a SeedSequence and cannot be spawned")
        return list(source.spawn(count))
    if isinstance(rng, np.random.SeedSequence):
        copy = np.random.SeedSequence(
            entropy=rng.entropy,
            spawn_key=rng.spawn_key,
            pool_size=rng.pool_size,
            n_children_spawned=rng.n_children_spawned,
        )
        return copy.spawn(count)
    if rng is None:
        return np.random.SeedSequence().spawn(count)
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool):
        if rng < 0:
            raise OptionError(f"rng={rng} must not be negative")
        return np.random.SeedSequence(int(rng)).spawn(count)
    hint = " Use numpy.random.default_rng." if isinstance(rng, np.random.RandomState) else ""
    raise OptionError(
        f"rng={rng!r} must be None, an int, a SeedSequence, a BitGenerator or a Generator.{hint}"
    )
