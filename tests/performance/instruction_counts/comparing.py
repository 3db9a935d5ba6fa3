"""Compare counts with a base-line, or with those of its commit where the tools differ."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

ALLOWED = 0.05
# Of the n-free evaluation, between the smallest and the largest number of rows.
ALLOWED_BY_ROWS = 0.01


@dataclass(frozen=True)
class Baseline:
    """Counts that were stored, with the tools they hold for and why they were stored.

    Attributes
    ----------
    reason : str
    toolchain : mapping of str to str
    instructions : mapping of str to int
        By case.
    """

    reason: str
    toolchain: Mapping[str, str]
    instructions: Mapping[str, int]


@dataclass(frozen=True)
class Recount:
    """Counts of the base-line's commit with today's tools, or why there are none.

    Attributes
    ----------
    instructions : mapping of str to int, optional
    remark : str
        Where the counts are from, or why there are none.
    errors : mapping of str to str
        Cases that the kernels of that commit cannot run, and why.
    """

    instructions: Mapping[str, int] | None
    remark: str
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What the comparison says.

    Attributes
    ----------
    base : mapping of str to int
        The counts that were compared with, as far as there are any.
    notes, failures : tuple of str
    """

    base: Mapping[str, int]
    notes: tuple[str, ...]
    failures: tuple[str, ...]


def differences(stored, present):
    """Say which tools are not those that were stored."""
    names = dict.fromkeys([*stored, *present])
    return [
        f"{name}: {stored.get(name, 'not given')} -> {present.get(name, 'not given')}"
        for name in names
        if stored.get(name) != present.get(name)
    ]


def compare(
    baseline: Baseline,
    instructions: Mapping[str, int],
    toolchain: Mapping[str, str],
    recount: Callable[[], Recount],
) -> Verdict:
    """Compare counts with the base-line.

    Parameters
    ----------
    baseline : Baseline
    instructions : mapping of str to int
        The counts of this tree.
    toolchain : mapping of str to str
    recount : callable
        Builds and counts the commit of the base-line; called only if the tools differ.

    Returns
    -------
    Verdict
    """
    failures = [
        f"{name} is not in the base-line, or no longer counted: update the base-line with a reason"
        for name in sorted(set(instructions) ^ set(baseline.instructions))
    ]
    changed = differences(baseline.toolchain, toolchain)
    if not changed:
        return judge(baseline.instructions, instructions, [], failures)
    again = recount()
    notes = [f"not the tools of the base-line; {difference}" for difference in changed]
    if again.instructions is None:
        notes.append(f"so this is only a report; the base-line cannot be rebuilt: {again.remark}")
        return Verdict(baseline.instructions, tuple(notes), tuple(failures))
    notes.append(again.remark)
    notes += [f"{name} does not run there: {error}" for name, error in again.errors.items()]
    return judge(again.instructions, instructions, notes, failures)


def judge(base, instructions, notes, failures):
    """Add what is more than `ALLOWED` worse to the failures, what is better to the notes."""
    worse, better = [], []
    for name in instructions:
        found, before = instructions[name], base.get(name, instructions[name])
        change = found / before - 1.0
        if found > before * (1.0 + ALLOWED):
            worse.append(
                f"{name} takes {change:+.1%} instructions: mend it, or update the base-line with a "
                "reason"
            )
        elif found < before * (1.0 - ALLOWED):
            better.append(
                f"{name} takes {change:+.1%} instructions: update the base-line to keep it"
            )
    return Verdict(base, (*notes, *better), (*failures, *worse))


def compare_rows(few: float, many: float) -> tuple[str, ...]:
    """Return a failure if the cost of a draw depends on the number of rows behind a statistic."""
    change = many / few - 1.0
    if abs(change) <= ALLOWED_BY_ROWS:
        return ()
    return (f"a draw from a statistic of more rows takes {change:+.2%} instructions",)


def table(base: Mapping[str, float], present: Mapping[str, float]) -> list[str]:
    """Return lines of Markdown: instructions a unit of each case, before and now."""
    lines = ["| case | base-line | now | change |", "| :--- | ---: | ---: | ---: |"]
    for name, found in present.items():
        before, change = "-", "-"
        if name in base:
            before, change = f"{base[name]:,.0f}", f"{found / base[name] - 1.0:+.2%}"
        lines.append(f"| {name} | {before} | {found:,.0f} | {change} |")
    return lines
