"""Simulated data have the moments that they are documented to have."""

import numpy as np
import pytest

from qbeconometrics import simulate
from qbeconometrics.exceptions import InputError, OptionError


def errors_of(data, effects):
    """Standardised errors (2, n), solved from the structural equations."""
    b12, b21 = effects
    e1 = data["y1"] - b12 * data["y2"] - data["f1"]
    e2 = data["y2"] - b21 * data["y1"] - data["f2"]
    return np.array([e1 / np.exp(data["g1"] / 2.0), e2 / np.exp(data["g2"] / 2.0)])


@pytest.mark.parametrize("effects", [(0.5, -0.4), (2.0, -0.45)])
@pytest.mark.parametrize("errors", ["normal", "t5"])
def test_errors_are_standardised_and_unrelated_to_x(effects, errors):
    n = 50_000
    data = simulate.bidirectional(n, effects, errors=errors, functions=True, seed=3)
    e = errors_of(data, effects)
    # The fourth moment is 3, or 9 for five degrees of freedom.
    fourth = 9.0 if errors == "t5" else 3.0
    assert np.abs(e.mean(axis=1)).max() < 4.0 / np.sqrt(n)
    assert np.abs((e**2).mean(axis=1) - 1.0).max() < 5.0 * np.sqrt((fourth - 1.0) / n)
    assert abs(np.mean(e[0] * e[1])) < 4.0 / np.sqrt(n)
    for column in ("x1", "x2"):
        assert np.abs(data[column]).max() <= 2.0
        assert np.abs(np.corrcoef([*e**2, data[column]])[:2, 2]).max() < 4.5 / np.sqrt(n)


def test_tails_are_heavier_with_five_degrees_of_freedom():
    shares = {
        errors: np.mean(
            np.abs(
                errors_of(
                    simulate.bidirectional(50_000, errors=errors, functions=True), (0.5, -0.4)
                )
            )
            > 3.0
        )
        for errors in ("normal", "t5")
    }
    # 2 P(Z > 3) and 2 P(T_5 > 3 sqrt(5/3)).
    assert shares["normal"] == pytest.approx(0.0027, abs=0.0008)
    assert shares["t5"] == pytest.approx(0.0117, abs=0.0017)


def test_strength_of_identification_is_that_of_the_rows():
    data = simulate.bidirectional(200_000, functions=True, strength=0.5)
    ratio = np.exp(data["g1"] - data["g2"])
    assert data.attrs["kappa"] == pytest.approx(ratio.mean() * (1 / ratio).mean() - 1.0, rel=0.02)


@pytest.mark.parametrize("variances", ["common", "constant"])
def test_designs_that_identify_nothing(variances):
    data = simulate.bidirectional(500, variances=variances, functions=True)
    assert data.attrs["kappa"] == 0.0
    assert np.ptp(data["g1"] - data["g2"]) < 1e-12
    assert (np.ptp(data["g1"]) == 0.0) == (variances == "constant")


def test_designs_share_x_and_repeat():
    first, second = (simulate.bidirectional(50, variances=form) for form in ("common", "separate"))
    assert first[["x1", "x2"]].equals(second[["x1", "x2"]])
    assert first.equals(simulate.bidirectional(50, variances="common"))
    assert list(first) == ["y1", "y2", "x1", "x2"]


def test_bad_arguments_are_refused():
    with pytest.raises(OptionError, match="variances"):
        simulate.bidirectional(10, variances="none")
    with pytest.raises(OptionError, match="errors"):
        simulate.bidirectional(10, errors="t4")
    with pytest.raises(InputError, match="product is not 1"):
        simulate.bidirectional(10, (2.0, 0.5))
    with pytest.raises(InputError, match="n of at least 1"):
        simulate.bidirectional(0)
    with pytest.raises(InputError, match="eigenvalues"):
        simulate.network(2, eigenvalues=(1.0, 2.0, 3.0))
