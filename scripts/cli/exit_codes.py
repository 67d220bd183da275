"""The exit codes of all scripts, in one table."""

from collections.abc import Mapping
from typing import Final

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_BAD_INPUT: Final = 2
EXIT_SKIPPED: Final = 3
EXIT_COMPLETED_WITH_FAILURES: Final = 4
EXIT_HELD: Final = 5
EXIT_INTERRUPTED: Final = 130
EXIT_NOBODY_READS: Final = 141

MEANINGS: Final[Mapping[int, str]] = {
    EXIT_DONE: "done",
    EXIT_FAILED: "failed, or only partly done",
    EXIT_BAD_INPUT: "bad usage or input, or AWS refused",
    EXIT_SKIPPED: "the job was skipped",
    EXIT_COMPLETED_WITH_FAILURES: "the job completed with failures, or the intake left rows of a file out",
    EXIT_HELD: "the file is held, since rows are unusual (--accept-unusual takes it; in the intake, held approve)",
    EXIT_INTERRUPTED: "interrupted",
    EXIT_NOBODY_READS: "the reader of the output closed it",
}
"""Printed by every `--help`; README has the same table in more words."""
