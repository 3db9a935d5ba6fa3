"""Coverage of calibrated regions of local projections; see projection_calibration.py."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parent / "projection_calibration.py"
DATA_SETS = 150
# What calibrated regions may lack of their level: they are calibrated with 200 replications.
SHORT = 0.03


def load_script():
    spec = importlib.util.spec_from_file_location("projection_calibration", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
@pytest.mark.parametrize("cov_type", ["HC1", "HAC"])
def test_calibrated_regions_cover_the_true_responses(cov_type):
    script = load_script()
    found = script.study(200, 4, cov_type, DATA_SETS, seed=20_261_121)
    error = np.sqrt(script.LEVEL * (1.0 - script.LEVEL) / DATA_SETS)
    assert abs(found["joint, calibrated"] - script.LEVEL) <= SHORT + 3.0 * error
    assert abs(found["one, calibrated"] - script.LEVEL) <= SHORT + 3.0 * error
    # Regions are wider than uncalibrated ones, which cover too seldom.
    assert found["mean rate"] < 0.95
    assert found["joint, rate 1"] < found["joint, calibrated"]
