"""Warnings that a fit issues itself."""

from __future__ import annotations

import warnings

from qbeconometrics.exceptions import InterruptedWarning, TailWarning
from qbeconometrics.sampling.run import Sample, SampleOptions


def warn_if_interrupted(drawn: Sample, options: SampleOptions) -> None:
    """Say that Ctrl-C ended the run; the summary says so by itself."""
    if drawn.interrupted:
        warnings.warn(
            f"interrupted: kept {drawn.draws.shape[1]} of {options.draws} draws a chain",
            InterruptedWarning,
            stacklevel=3,
        )


def tail_notes(drawn: Sample) -> list[str]:
    """Warn, and say in the summary, if the region far from the mode matters."""
    if drawn.tail is None or not drawn.tail.noticeable:
        return []
    sentence = (
        "The region far from the mode holds a noticeable share of the quasi-posterior (log ratio "
        f"{drawn.tail.log_ratio:.1f} to the mass around the mode): there the prior decides, not "
        "the data. Tighten the prior, or use quasi_likelihood='two-step'."
    )
    warnings.warn(sentence, TailWarning, stacklevel=3)
    return [sentence]
