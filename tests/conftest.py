"""What holds for every test: NumPy's global random state stays put, and no test is skipped."""

import numpy as np
import pytest

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
