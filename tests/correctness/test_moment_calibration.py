"""Coverage of calibrated regions of moments; see moment_calibration.py."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parent / "moment_calibration.py"
DATA_SETS = 150
# What calibrated regions may lack of their level: they are calibrated with 200 replications.
SHORT = 0.03


def load_script():
    spec = importlib.util.spec_from_file_location("moment_calibration", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.WeakInstrumentWarning")
@pytest.mark.parametrize("name", sorted(load_script().CASES))
def test_calibrated_regions_cover_the_pseudo_true_value(name):
    script = load_script()
    found = script.study(name, DATA_SETS, seed=20_261_121)
    error = np.sqrt(script.LEVEL * (1.0 - script.LEVEL) / DATA_SETS)
    assert abs(found["not recentred"] - script.LEVEL) <= SHORT + 3.0 * error
    if "misspecified" in name:
        # Neither recentred replications nor a rate of one know that the moments do not hold.
        assert found["recentred"] < found["not recentred"] - 3.0 * error
        assert found["rate 1"] < found["not recentred"] - 3.0 * error
    else:
        assert abs(found["recentred"] - script.LEVEL) <= SHORT + 3.0 * error
    if script.CASES[name][1] is None:
        assert found["recentred, squared weights in S"] < found["recentred"] - 3.0 * error
