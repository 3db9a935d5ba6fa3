"""The fraction of missing information, against ArviZ and where it is known."""

import warnings

import numpy as np

from qbeconometrics.diagnostics.energy import bfmi

with warnings.catch_warnings():
    # ArviZ 0.23 announces its own refactoring at import.
    warnings.simplefilter("ignore")
    import arviz


def test_autoregressions():
    """Steps of an autoregression have 2 (1 - rho) of its variance; ArviZ counts draws less 1."""
    rng = np.random.default_rng(0)
    for rho in (0.0, 0.9):
        energy = np.zeros((3, 50_000))
        noise = np.sqrt(1 - rho**2) * rng.standard_normal(energy.shape)
        for t in range(1, energy.shape[1]):
            energy[:, t] = rho * energy[:, t - 1] + noise[:, t]
        np.testing.assert_allclose(bfmi(energy), 2 * (1 - rho), atol=0.03)
        np.testing.assert_allclose(bfmi(energy), arviz.bfmi(energy), rtol=1e-4)


def test_constant_and_short_energies():
    assert np.isnan(bfmi(np.ones((2, 10)))).all()
    assert np.isnan(bfmi(np.arange(6.0).reshape(2, 3))).all()
