"""Whether momenta let a Hamiltonian sampler reach all energies."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def bfmi(energy: ArrayLike) -> NDArray[np.float64]:
    """Return the estimated Bayesian fraction of missing information of each chain.

    Parameters
    ----------
    energy : array_like, shape (chain, draw)
        Minus the log density plus the kinetic energy, at the draws.

    Returns
    -------
    ndarray, shape (chain,)
        Mean square of the steps of the energy over its variance; below 0.3 the sampler walks
        slowly through the energies, most often because of heavy tails. NaN for a constant energy
        or fewer than four draws.

    Notes
    -----
    Following Betancourt, "Diagnosing suboptimal cotangent disintegrations in Hamiltonian Monte
    Carlo" (2016, arXiv:1604.00695).

    Examples
    --------
    >>> energy = np.random.default_rng(0).standard_normal((2, 1000))
    >>> bool(np.all(np.abs(bfmi(energy) - 2.0) < 0.2))
    True
    """
    energies = np.asarray(energy, dtype=np.float64)
    if energies.shape[1] < 4:
        return np.full(len(energies), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        steps = np.sum(np.diff(energies, axis=1) ** 2, axis=1)
        around = energies - energies.mean(axis=1, keepdims=True)
        return np.asarray(steps / np.sum(around**2, axis=1))
