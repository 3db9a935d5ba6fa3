"""What the guard against slower kernels concludes from counts; neither valgrind nor git is run."""

import importlib.util
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "instruction_counts"


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


comparing, history, cases = load("comparing"), load("history"), load("cases")

TOOLS = {"compiler": "gcc 12.2.0", "Cython": "3.1.0", "NumPy": "2.4.0", "SciPy": "1.17.0"}
STORED = comparing.Baseline("first", TOOLS, {"rwm": 1_000, "hmc": 2_000})


def compare(instructions, tools=TOOLS, recount=None):
    """Compare, and say how often the base-line was to be rebuilt."""
    calls = []

    def counted():
        calls.append(recount)
        return recount

    return comparing.compare(STORED, instructions, tools, counted), len(calls)


def test_six_percent_more_fails():
    verdict, rebuilt = compare({"rwm": 1_060, "hmc": 2_000})
    assert rebuilt == 0
    assert verdict.notes == ()
    (failure,) = verdict.failures
    assert failure.startswith("rwm takes +6.0% instructions")


def test_five_percent_more_passes():
    verdict, _ = compare({"rwm": 1_050, "hmc": 2_100})
    assert (verdict.notes, verdict.failures) == ((), ())


def test_fewer_pass_with_a_note():
    verdict, _ = compare({"rwm": 940, "hmc": 2_000})
    assert verdict.failures == ()
    (note,) = verdict.notes
    assert note.startswith("rwm takes -6.0% instructions")


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize(("before", "failing"), [(1_000, True), (1_050, False)])
def test_other_versions_compare_with_a_second_build(name, before, failing):
    """Its counts decide, and not those that were stored."""
    again = comparing.Recount({"rwm": before, "hmc": 2_000}, "commit abc")
    verdict, rebuilt = compare({"rwm": 1_100, "hmc": 2_000}, TOOLS | {name: "other"}, again)
    assert rebuilt == 1
    assert bool(verdict.failures) == failing
    assert verdict.base == again.instructions
    assert verdict.notes == (
        f"not the tools of the base-line; {name}: {TOOLS[name]} -> other",
        "commit abc",
    )


def test_a_tool_that_was_not_stored_is_another_tool():
    again = comparing.Recount(dict(STORED.instructions), "commit abc")
    verdict, rebuilt = compare(STORED.instructions, TOOLS | {"processor": "AVX2"}, again)
    assert rebuilt == 1
    assert "processor: not given -> AVX2" in verdict.notes[0]


def test_without_history_there_is_only_a_report():
    verdict, rebuilt = compare(
        {"rwm": 9_000, "hmc": 2_000},
        TOOLS | {"NumPy": "2.5.0"},
        comparing.Recount(None, "git is not installed"),
    )
    assert rebuilt == 1
    assert verdict.failures == ()
    assert "only a report" in verdict.notes[1]
    assert "git is not installed" in verdict.notes[1]


def test_cases_that_the_second_build_cannot_run_are_named():
    again = comparing.Recount({"hmc": 2_000}, "commit abc", {"rwm": "TypeError: 3 arguments"})
    verdict, _ = compare({"rwm": 9_000, "hmc": 2_000}, TOOLS | {"NumPy": "2.5.0"}, again)
    assert verdict.failures == ()
    assert "rwm does not run there: TypeError: 3 arguments" in verdict.notes


@pytest.mark.parametrize("counted", [{"rwm": 1_000}, {"rwm": 1_000, "hmc": 2_000, "new": 1}])
def test_a_case_cannot_leave_or_enter_unnoticed(counted):
    verdict, _ = compare(counted)
    (failure,) = verdict.failures
    assert failure.startswith("new is" if "new" in counted else "hmc is")


def test_number_of_rows():
    assert comparing.compare_rows(10_000.0, 10_099.0) == ()
    assert comparing.compare_rows(10_000.0, 9_901.0) == ()
    for other in (10_101.0, 9_899.0):
        (failure,) = comparing.compare_rows(10_000.0, other)
        assert "1.01% instructions" in failure


def test_table():
    lines = comparing.table({"rwm": 1_000.0}, {"rwm": 1_010.0, "hmc": 5.0})
    assert lines[2:] == ["| rwm | 1,000 | 1,010 | +1.00% |", "| hmc | - | 5 | - |"]


def test_the_stored_base_line():
    stored = comparing.Baseline(**json.loads((FOLDER / "baseline.json").read_text("utf-8")))
    assert stored.reason
    assert {"compiler", "Cython", "NumPy", "SciPy", "processor"} <= set(stored.toolchain)
    assert list(stored.instructions) == list(cases.CASES)
    few, many = (stored.instructions[name] / cases.CASES[name].units for name in cases.N_FREE)
    assert comparing.compare_rows(few, many) == ()


def git_of(answers):
    """A stand-in for git: answers by the first word, and no others."""

    def git(*arguments):
        if arguments[0] not in answers:
            raise history.NoHistoryError(f"git {arguments[0]} failed")
        return answers[arguments[0]]

    return git


ANSWERS = {"log": b"c0ffee\n", "show": b"{}", "rev-parse": b"beef\n"}


def test_commit_of_the_base_line():
    assert history.commit_of(git_of(ANSWERS), "baseline.json", b"{}") == "c0ffee"


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({}, "git log failed"),
        (ANSWERS | {"log": b"\n"}, "is in no commit"),
        (ANSWERS | {"show": b"{1}"}, "has changed since"),
        # A clone of depth one: the newest commit seems to have made every file.
        ({"log": b"c0ffee\n", "show": b"{}"}, "the history ends at c0ffee"),
    ],
)
def test_no_history(answers, message):
    with pytest.raises(history.NoHistoryError, match=message):
        history.commit_of(git_of(answers), "baseline.json", b"{}")


def test_same_kernels(tmp_path):
    for name in ("first", "second"):
        folder = tmp_path / name / "qbeconometrics" / "kernels"
        folder.mkdir(parents=True)
        (folder / "_hmc.pyx").write_text("pass")
        (folder / "_hmc.pyi").write_text(name)
        (tmp_path / name / "setup.py").write_text("pass")
    trees = tmp_path / "first", tmp_path / "second"
    assert history.same_kernels(*trees)
    (trees[1] / "setup.py").write_text("-O2")
    assert not history.same_kernels(*trees)
    (trees[0] / "setup.py").write_text("-O2")
    (trees[1] / "qbeconometrics" / "kernels" / "_hot_loops.h").write_text("")
    assert not history.same_kernels(*trees)
