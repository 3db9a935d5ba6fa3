"""Count the instructions of the kernels and compare them with the base-line.

    python -m tests.performance.instruction_counts
    python -m tests.performance.instruction_counts --update "why the counts may change"

Needs valgrind, a C compiler, setuptools and Cython. Seconds differ from machine to machine and from
hour to hour; counts of one build repeat exactly. A kernel that takes over 5 % more instructions
than in baseline.json fails, as does a draw from a statistic whose count depends on the number of
rows. Other tools give other counts: if they are not those of the base-line, its commit is built and
counted too, and without its history there is only a report.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from .cases import CASES, N_FREE
from .comparing import Baseline, Recount, compare, compare_rows, table
from .counting import HERE, ROOT, build_with_symbols, count, make_inputs, toolchain
from .history import NoHistoryError, commit_of, extract, git_in, same_kernels

STORED = HERE / "baseline.json"


def per_unit(instructions):
    return {name: total / CASES[name].units for name, total in instructions.items()}


def recount(repository, work, inputs, head):
    """Build and count the commit of the base-line, unless its kernels are those of this tree."""
    try:
        git = git_in(repository)
        commit = commit_of(git, STORED.relative_to(ROOT).as_posix(), STORED.read_bytes())
        extract(git, commit, work / "base_tree")
    except NoHistoryError as error:
        return Recount(None, str(error))
    if same_kernels(work / "base_tree", ROOT):
        return Recount(head, f"the kernels are those of the base-line, commit {commit[:12]}")
    try:
        counts = count(build_with_symbols(work / "base_tree", work / "base"), inputs)
    except RuntimeError as error:
        # Old sources and new tools need not go together.
        return Recount(None, str(error))
    remark = f"compared with the base-line's commit {commit[:12]}, counted with these tools"
    return Recount(counts.instructions, remark, counts.errors)


def count_head(work):
    """Build and count this tree; return its counts and its tools."""
    inputs = work / "inputs"
    inputs.mkdir()
    make_inputs(inputs)
    counts = count(build_with_symbols(ROOT, work / "head"), inputs)
    if counts.errors:
        raise RuntimeError("; ".join(f"{name}: {error}" for name, error in counts.errors.items()))
    return counts.instructions, toolchain(counts.processor)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--update", metavar="REASON", help="store these counts as the base-line")
    parser.add_argument("--history", type=Path, default=ROOT, help="a clone with the git history")
    arguments = parser.parse_args()
    if arguments.update is not None and not arguments.update.strip():
        parser.error("--update needs a reason")
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: instructions are not counted")
        return int(arguments.update is not None)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        found, tools = count_head(work)
        failures = compare_rows(*(per_unit(found)[name] for name in N_FREE))
        if arguments.update is not None:
            stored = {"reason": arguments.update, "toolchain": tools, "instructions": found}
            STORED.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")
            print("\n".join([*table({}, per_unit(found)), *failures]))
            return int(bool(failures))
        baseline = Baseline(**json.loads(STORED.read_text(encoding="utf-8")))
        verdict = compare(
            baseline, found, tools,
            lambda: recount(arguments.history, work, work / "inputs", found),
        )  # fmt: skip
    print("\n".join(table(per_unit(verdict.base), per_unit(found))))
    for note in verdict.notes:
        print(f"note: {note}")
    failures += verdict.failures
    for failure in failures:
        print(f"FAILED: {failure}")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
