"""Coverage studies shared out to processes give the figures of the serial run, to the last bit."""

import importlib
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

NAMES = ("learning_rate_coverage", "lp_coverage")


@pytest.fixture
def scripts(monkeypatch):
    """The scripts as modules that other processes can import too."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    yield [importlib.import_module(name) for name in NAMES]
    for name in NAMES:
        del sys.modules[name]


@pytest.fixture
def processes():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


def test_processes_give_the_figures_of_the_serial_run(scripts, processes):
    rates, projections = scripts
    options = {"replications": 20, "draws": 1_000}
    cell = ("het", 100, 4, ["uncalibrated", "coverage"])
    serial, shared = (rates.coverage(*cell, executor=e, **options) for e in (None, processes))
    pd.testing.assert_frame_equal(serial, shared, check_exact=True)
    assert serial.loc["coverage", "data sets"] == 4

    cells = {"AR(1) .5, T = 240": {}, "observed shock, T = 500": {"quasi_likelihood": "cue"}}
    for name, options in cells.items():
        serial, shared = (
            projections.coverage(name, 4, 1, draws=200, executor=e, **options)
            for e in (None, processes)
        )
        assert serial[0] == shared[0]
        assert np.array_equal(serial[1], shared[1])
        assert serial[2] == shared[2]
