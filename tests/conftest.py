"""What holds for every test, and the data of the reference specifications.

NumPy's global random state stays put, and no test is skipped.
"""

import json
import os
from pathlib import Path

# Small matrices gain nothing from threads, and tests that run side by side get in each other's way.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest

from qbeconometrics import datasets

# Reasons, in full, for which a test may be skipped.
ALLOWED_SKIPS: frozenset[str] = frozenset()


def pytest_ignore_collect(collection_path):
    """Leave scripts alone: what is not called a test is not imported to look for doctests."""
    if collection_path.suffix == ".py" and not collection_path.name.startswith("test_"):
        return True
    return None


def pytest_configure(config):
    config.pluginmanager.register(SkipGuard())


class SkipGuard:
    """Fails a run in which a test was skipped for a reason that is not allowed."""

    def __init__(self):
        self.refused = []

    def pytest_runtest_logreport(self, report):
        self._note(report)

    def pytest_collectreport(self, report):
        self._note(report)

    def _note(self, report):
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2].removeprefix("Skipped: ")
            if reason not in ALLOWED_SKIPS:
                self.refused.append(f"{report.nodeid}: {reason}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session):
        if self.refused and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        if self.refused:
            terminalreporter.section("skips that are not allowed")
            for line in self.refused:
                terminalreporter.line(line)


@pytest.fixture(autouse=True)
def _global_random_state_does_not_move():
    before = np.random.get_state()  # noqa: NPY002
    yield
    after = np.random.get_state()  # noqa: NPY002
    assert before[0] == after[0]
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2:] == after[2:]


# Frames of the reference specifications, prepared as their script prepares them.

REFERENCE_PATH = Path(__file__).parent / "reference_values" / "reference_iv.json"


def _cigarettes():
    d = datasets.load("cigarettes_sw")
    d["lpacks"], d["lrprice"] = np.log(d.packs), np.log(d.price / d.cpi)
    d["lrincome"] = np.log(d.income / d.population / d.cpi)
    d["tdiff"], d["rtax"] = (d.taxs - d.tax) / d.cpi, d.tax / d.cpi
    columns = ["lpacks", "lrprice", "lrincome", "tdiff", "rtax"]
    first, last = (d[d.year == year].set_index("state")[columns] for year in (1985, 1995))
    return last - first


def _quarters():
    d = datasets.load("ak1991_sub20000")
    for quarter in (1, 2, 3):
        d[f"q{quarter}"] = (d.qob == quarter) * 1
        for year in range(1930, 1940):
            d[f"q{quarter}_y{year}"] = ((d.qob == quarter) & (d.yob == year)) * 1
    return d


FRAMES = {
    "card1995.csv": lambda: datasets.load("card1995"),
    "mroz1987.csv": lambda: datasets.load("mroz1987").query("inlf == 1"),
    "meps.csv": lambda: datasets.load("meps"),
    "wage_bn1992.csv": lambda: datasets.load("wage_bn1992"),
    "griliches1976.csv": lambda: datasets.load("griliches1976"),
    "ajr2001_table5.csv": lambda: datasets.load("ajr2001").query("baseco == 1"),
    "cigarettes_sw.csv": _cigarettes,
    "hsng1980.csv": lambda: datasets.load("hsng1980"),
    "consump_annual.csv": lambda: datasets.load("consump_annual"),
    "ak1991_sub20000.csv": _quarters,
}


@pytest.fixture(scope="session")
def reference():
    """Specifications by name, those whose data are embedded."""
    stored = json.loads(REFERENCE_PATH.read_text(encoding="utf-8"))["linear"]
    return {name: entry for name, entry in stored.items() if entry["data"] in FRAMES}


@pytest.fixture(scope="session")
def frame_of():
    """The data frame of a specification."""
    return lambda entry: FRAMES[entry["data"]]()
