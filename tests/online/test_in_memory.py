"""Passes over rows in memory, and heads that are used on rows they have not seen."""

import numpy as np
import pytest

from qbeconometrics import simulate
from qbeconometrics.exceptions import InputError, OptionError
from qbeconometrics.online import in_memory
from qbeconometrics.online.in_memory import cross_fit, residuals_and_instruments, trained_state
from qbeconometrics.online.stream_state import StreamOptions, state_arrays

OPTIONS = StreamOptions(n_features=40)


def design(n, seed=0, **choices):
    return simulate.bidirectional(n, seed=seed, **choices)[["y1", "y2", "x1", "x2"]].to_numpy()


def test_passes_learn_more():
    """The true functions are nearer after several passes than after one."""
    data = simulate.bidirectional(10_000, functions=True)
    rows = data[["y1", "y2", "x1", "x2"]].to_numpy()
    f, g = data[["f1", "f2"]].to_numpy(), data[["g1", "g2"]].to_numpy()
    mixing = np.linalg.inv([[1.0, -0.5], [0.4, 1.0]])
    apart = []
    for passes in (1, 5):
        state = trained_state(rows, OPTIONS, passes=passes, rng=0)
        assert state.batches == 100 * passes
        residuals, instruments = residuals_and_instruments(state, OPTIONS, rows)
        means = rows[:, :2] - residuals
        apart.append(
            [np.mean((means - f @ mixing.T) ** 2), np.mean((np.log(instruments) + g) ** 2)]
        )
    assert np.all(np.array(apart[1]) < np.array(apart[0]))
    assert np.all(np.array(apart[1]) < 0.1)


def test_same_seed_same_bits():
    rows = design(3_000)
    one, other, third = (
        state_arrays(trained_state(rows, OPTIONS, passes=2, rng=seed)) for seed in (0, 0, 1)
    )
    assert all(one[name].tobytes() == other[name].tobytes() for name in one)
    assert one["params"].tobytes() != third["params"].tobytes()


@pytest.mark.parametrize("folds", [2, 5])
def test_cross_fit_within_standard_errors(folds):
    found = cross_fit(design(30_000, seed=1), OPTIONS, folds=folds, rng=0)
    assert len(found.by_fold) == folds
    assert found.pooled.n == 30_000
    # The information bound at this size, from kappa = 4.48.
    np.testing.assert_allclose(found.pooled.bse, [0.0045, 0.0055], rtol=0.2)
    assert np.all(np.abs(found.pooled.params - [0.5, -0.4]) < 4.0 * found.pooled.bse)


def test_rows_do_not_train_their_own_heads(monkeypatch):
    seen = []
    original = in_memory.trained_state

    def spy(rows, *arguments, **keywords):
        seen.append({tuple(row) for row in rows})
        return original(rows, *arguments, **keywords)

    measured = []

    def measure(state, options, rows):
        measured.append({tuple(row) for row in rows})
        return residuals_and_instruments(state, options, rows)

    monkeypatch.setattr(in_memory, "trained_state", spy)
    monkeypatch.setattr(in_memory, "residuals_and_instruments", measure)
    rows = design(4_500)
    in_memory.cross_fit(rows, OPTIONS, folds=3, rng=0)
    for trained, own in zip(seen, measured, strict=True):
        assert len(trained) == 3_000
        assert len(own) == 1_500
        assert not trained & own
    assert set.union(*measured) == {tuple(row) for row in rows}


def test_refused():
    rows = design(1_500)
    with pytest.raises(OptionError, match="folds"):
        cross_fit(rows, OPTIONS, folds=1)
    with pytest.raises(OptionError, match="passes"):
        trained_state(rows, OPTIONS, passes=0)
    with pytest.raises(InputError, match="750 rows are too few"):
        cross_fit(rows, OPTIONS)
