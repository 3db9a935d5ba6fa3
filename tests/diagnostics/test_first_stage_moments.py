"""Reduction of the first stage: row blocks, memory, errors."""

import tracemalloc

import numpy as np
import pytest

from qbeconometrics.diagnostics import first_stage_moments as reduction
from qbeconometrics.exceptions import (
    IdentificationError,
    InputError,
    NumericalError,
    OptionError,
    RankError,
)

# Other groupings of the same sums: only rounding.
ROUNDING_TOLERANCE = 1e-10


def random_blocks(rng, *, nobs=200, q=3, n_excluded=4, p=2):
    """Endogenous regressors, controls with a constant, excluded instruments."""
    controls = np.column_stack([np.ones(nobs), rng.standard_normal((nobs, q - 1))])
    excluded = rng.standard_normal((nobs, n_excluded)) + controls[:, 1:2]
    endogenous = excluded @ rng.standard_normal((n_excluded, p)) + rng.standard_normal((nobs, p))
    return endogenous, controls, excluded


def moments_of(blocks, **options):
    names = [f"d{j}" for j in range(blocks[0].shape[1])]
    return reduction.first_stage_moments(*blocks, endogenous_names=names, **options)


def test_counts():
    moments = moments_of(random_blocks(np.random.default_rng(1)))
    assert (moments.nobs, moments.n_controls, moments.n_excluded) == (200, 3, 4)
    assert (moments.n_endogenous, moments.df_resid, moments.cov_type) == (2, 193, "HC0")


def test_cross_products_are_those_of_the_partialled_columns():
    endogenous, controls, excluded = random_blocks(np.random.default_rng(2))
    moments = moments_of((endogenous, controls, excluded))
    both = np.hstack([controls, excluded])

    def remainder(regressors):
        return endogenous - regressors @ np.linalg.lstsq(regressors, endogenous, rcond=None)[0]

    total, residual = (part.T @ part for part in (remainder(controls), remainder(both)))
    r, c = moments.residual_factor, moments.coefficients
    np.testing.assert_allclose(r.T @ r, residual, rtol=ROUNDING_TOLERANCE)
    np.testing.assert_allclose(c.T @ c, total - residual, rtol=ROUNDING_TOLERANCE)


def test_hc1_is_hc0_with_a_small_sample_factor():
    blocks = random_blocks(np.random.default_rng(3))
    hc0, hc1 = (moments_of(blocks, cov_type=word).score_covariance for word in ("HC0", "HC1"))
    np.testing.assert_allclose(hc1, hc0 * 200 / 193, rtol=ROUNDING_TOLERANCE)


def test_blocks_of_rows_do_not_change_the_numbers(monkeypatch):
    blocks = random_blocks(np.random.default_rng(5), nobs=333)
    expected = moments_of(blocks)
    monkeypatch.setattr(reduction, "_BLOCK_ELEMENTS", 100)
    actual = moments_of(blocks)
    # The rows of a triangular factor are unique up to their signs.
    for name in ("coefficients", "residual_factor", "score_covariance"):
        np.testing.assert_allclose(
            np.abs(getattr(actual, name)),
            np.abs(getattr(expected, name)),
            rtol=ROUNDING_TOLERANCE,
            atol=ROUNDING_TOLERANCE,
        )


def test_memory_stays_below_that_of_the_data():
    blocks = random_blocks(np.random.default_rng(6), nobs=600_000, q=6, p=1)
    data_bytes = sum(block.nbytes for block in blocks)
    tracemalloc.start()
    moments_of(blocks)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < data_bytes


def test_inputs_are_left_alone_and_may_be_read_only():
    blocks = random_blocks(np.random.default_rng(8))
    copies = [block.copy() for block in blocks]
    for block in blocks:
        block.flags.writeable = False
    moments_of(blocks)
    for block, copy in zip(blocks, copies, strict=True):
        np.testing.assert_array_equal(block, copy)


def test_bad_shapes_are_named():
    endogenous, controls, excluded = random_blocks(np.random.default_rng(10))
    with pytest.raises(InputError, match="no endogenous regressor"):
        moments_of((endogenous[:, :0], controls, excluded))
    with pytest.raises(IdentificationError, match=r"1 excluded instruments .*d0, d1"):
        moments_of((endogenous, controls, excluded[:, :1]))
    with pytest.raises(InputError, match="excluded has 50 rows"):
        moments_of((endogenous, controls, excluded[:50]))
    with pytest.raises(InputError, match="controls has 1 dimensions"):
        moments_of((endogenous, controls[:, 0], excluded))
    with pytest.raises(InputError, match="at least 9 rows"):
        moments_of((endogenous[:8], controls[:8], excluded[:8]))
    with pytest.raises(InputError, match="endogenous_names has 1 names"):
        reduction.first_stage_moments(endogenous, controls, excluded, endogenous_names=["d0"])
    with pytest.raises(OptionError, match="Did you mean 'HC1'"):
        moments_of((endogenous, controls, excluded), cov_type="HC11")


def test_dependent_columns_are_named():
    endogenous, controls, excluded = random_blocks(np.random.default_rng(11))
    repeated = np.column_stack([excluded[:, :2], excluded[:, 0] + controls[:, 1]])
    with pytest.raises(RankError, match="Column 2 of excluded"):
        moments_of((endogenous, controls, repeated))
    with pytest.raises(RankError, match="Column 1 of controls"):
        moments_of((endogenous, np.ones((len(excluded), 2)), excluded))
    exact = np.column_stack([endogenous[:, 0], excluded @ [1.0, 2.0, 3.0, 4.0]])
    with pytest.raises(NumericalError, match="'d1' is an exact linear combination"):
        moments_of((exact, controls, excluded))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(("place", "name"), [(0, "endogenous"), (1, "controls"), (2, "excluded")])
def test_values_that_are_not_finite_are_named(place, name, value):
    blocks = random_blocks(np.random.default_rng(13))
    blocks[place][17, 1] = value
    with pytest.raises(InputError, match=f"Column 1 of {name} holds NaN"):
        moments_of(blocks)
