"""Coverage of local projections against lag-augmented least squares; see lp_coverage.py."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parent / "lp_coverage.py"
REPLICATIONS = 200
COMPARED_WITH = 2_000


def load_script():
    spec = importlib.util.spec_from_file_location("lp_coverage", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def allowance(share):
    """Three standard errors of the difference between the two studies."""
    return 3.0 * np.sqrt(share * (1.0 - share) * (1.0 / REPLICATIONS + 1.0 / COMPARED_WITH))


@pytest.fixture(scope="module")
def script():
    return load_script()


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(load_script().DESIGNS))
def test_default_fit_covers_as_lag_augmented_least_squares(script, name):
    design = script.DESIGNS[name]
    joint, pointwise, refused = script.coverage(name, REPLICATIONS, seed=1)
    assert refused == 0
    assert joint >= design.joint - allowance(design.joint)
    picked = pointwise[[0, script.middle(len(pointwise)), -1]]
    for found, share in zip(picked, design.pointwise, strict=True):
        assert found >= share - allowance(share)


@pytest.mark.long
@pytest.mark.parametrize("name", ["AR(1) .95, T = 480", "observed shock, T = 500"])
def test_continuously_updated_where_it_is_allowed(script, name):
    design = script.DESIGNS[name]
    joint, pointwise, refused = script.coverage(
        name, REPLICATIONS, seed=2, quasi_likelihood="cue", draws=1_000
    )
    assert refused < REPLICATIONS / 4
    assert joint >= design.joint - allowance(design.joint)
    assert pointwise[0] >= design.pointwise[0] - allowance(design.pointwise[0])


def test_designs_are_estimated_without_bias_to_speak_of(script):
    """Twenty replications of each design: the truth is not far from the average estimate."""
    for design in script.DESIGNS.values():
        estimates = [
            script.build(design, np.random.default_rng(seed), None).moments.estimate[:, 0]
            for seed in range(20)
        ]
        error = np.std(estimates, axis=0) / np.sqrt(20)
        gap = np.abs(np.median(estimates, axis=0) - design.truth)
        assert np.all(gap < 5.0 * error + 0.2 * np.abs(design.truth) + 0.05)
