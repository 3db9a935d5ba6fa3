"""Where chains of orthonormal matrices begin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from qbeconometrics.exceptions import DensityError, InputError, QBEconometricsError
from qbeconometrics.kernels._stiefel_density import MatrixTarget
from qbeconometrics.stiefel.base import Chart, Target
from qbeconometrics.stiefel.checks import FloatArray, check_orthonormal
from qbeconometrics.stiefel.haar import rand

# Uniform draws that are tried until f is positive.
MOST_TRIES = 100


@contextmanager
def errors_of_target() -> Iterator[None]:
    """Name what a target written in Python raises.

    Raises
    ------
    DensityError
    """
    try:
        with np.errstate(all="ignore"):
            yield
    except QBEconometricsError:
        raise
    except Exception as error:
        raise DensityError(f"target raised {type(error).__name__}: {error}") from error


def checked_start(start: Any, p: int, k: int, chains: int) -> FloatArray | None:
    """Return the user's matrices (chains, p, k), or None.

    Raises
    ------
    InputError
        If they have another shape, or their columns are not orthonormal.

    Examples
    --------
    >>> checked_start(np.eye(3, 2), 3, 2, 4).shape
    (4, 3, 2)
    """
    if start is None:
        return None
    shape = np.shape(start)
    if shape == (p, k):
        return np.stack([check_orthonormal(start, "start", p, k)] * chains)
    if shape != (chains, p, k):
        raise InputError(
            f"start must have shape {(p, k)} or (chains, p, k) = {(chains, p, k)}, not {shape}"
        )
    return np.stack([check_orthonormal(start[c], f"start[{c}]", p, k) for c in range(chains)])


def first_points(
    chart: Chart,
    target: Target | MatrixTarget,
    matrices: FloatArray | None,
    chains: int,
    seed: np.random.SeedSequence,
) -> FloatArray:
    """Return coordinates (chains, size) at which the density is positive and finite.

    Parameters
    ----------
    chart : Chart
    target : callable or MatrixTarget
    matrices : ndarray, shape (chains, p, k), optional
        Those of the user; otherwise uniform draws.
    chains : int
    seed : SeedSequence

    Returns
    -------
    ndarray, shape (chains, size)

    Raises
    ------
    InputError
        If the chart does not reach a matrix of the user, there is no positive finite density, or
        the target returns something else.
    DensityError
        If the target raises.
    """
    if matrices is None:
        seeds = seed.spawn(chains)
        return np.stack([_random_point(chart, target, child) for child in seeds])
    points = []
    for chain, Q in enumerate(matrices):
        try:
            points.append(chart.from_matrix(Q))
        except InputError as error:
            raise InputError(f"start of chain {chain}: {error}") from error
        if not _is_positive(chart, target, points[-1]):
            raise InputError(
                f"log f or its gradient is not finite at the start of chain {chain}; start where "
                "it is"
            )
    return np.stack(points)


def _random_point(
    chart: Chart, target: Target | MatrixTarget, seed: np.random.SeedSequence
) -> FloatArray:
    for child in seed.spawn(MOST_TRIES):
        Q = rand(chart.p, chart.k, rng=child)
        try:
            point = chart.from_matrix(Q)
        except InputError:
            if chart.p > chart.k:
                continue
            # A chart of square matrices may hold those of the other determinant.
            Q[:, -1] *= -1.0
            point = chart.from_matrix(Q)
        if _is_positive(chart, target, point):
            return point
    raise InputError(
        f"log f or its gradient is not finite at any of {MOST_TRIES} uniform draws: check the "
        "target, or give start, where it is finite"
    )


def _is_positive(chart: Chart, target: Target | MatrixTarget, point: FloatArray) -> bool:
    """Whether the density is positive and finite, with a gradient; what the target raises, named.

    Raises
    ------
    InputError, DensityError
    """
    if isinstance(target, MatrixTarget):
        value, gradient = chart.density(target).log_density_and_gradient(point)
    else:
        with errors_of_target():
            value, gradient = chart.log_density_and_gradient(point, target)
    return bool(np.isfinite(value) and np.all(np.isfinite(gradient)))
