"""A file of the bucket on its way into the tables, and its receipt.

Most files are one part: checked, and written if nothing is wrong. A file of more rows than fit into a call is worked on
in parts, each item in one of them. First all parts are checked, then all are written, and what became of each is kept
under ``working/``::

    checked 0 ── checked 1 ── ... ── is it to be written? ── written 0 ── written 1 ── ... ── receipt

A call goes on from what is kept; one that was killed leaves its part to be done again, which writes what is missing and
finds the rest. A part is checked once more right before it is written, in the call that writes it: only what came in
between is told, since what was found at first has been decided on.

Whatever is kept twice is the same, but for the counts of the second time. A version that has its receipt is not looked
at again: since then its items or the stack may have changed, and what was refused or held must not be taken after all.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import groupby, islice
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Final, TextIO, cast

from inventory_updater.intake.bucket import NO_VERSION, BadObjectError, Bucket, FileVersion
from inventory_updater.intake.call_time import CallTime
from inventory_updater.intake.change_files import Part, read_change_file
from inventory_updater.intake.csv_format import CsvError
from inventory_updater.intake.file_options import FileOptions, options_in
from inventory_updater.intake.input_files import NO_ROWS, CheckedFile, TooManyProblemsError, as_line, documents
from inventory_updater.intake.previewing import Preview
from inventory_updater.intake.receipts import SCHEMA, Answer, Receipt
from inventory_updater.intake.refusals import REFUSALS_KEPT, Refusal, Refusals
from inventory_updater.intake.scheduling import Scheduled, Scheduling
from inventory_updater.intake.sheets import PIECE
from inventory_updater.intake.stores import Stores
from inventory_updater.intake.text_rows import ChangeRow, Problem, problem_of
from inventory_updater.stock.guards import UNUSUAL
from inventory_updater.stock.judging import Judgement, judgement_document
from inventory_updater.stock.numbers import counted

MOST_UNPACKED_BYTES: Final = 512 << 20
"""Of what gzip has packed: some ten million rows, and little enough for the function's disk."""

MOST_LINES: Final = 10_000_000
"""Of one file, blank ones too: each part is found by reading all of them, in less than a minute."""

MOST_PROBLEMS: Final = 100_000
"""Of one file: they are told in less than a minute, once all else is done."""

LINES_A_PART: Final = 250_000
"""With 1,024 MB a part takes half a minute to check and two to write, of the five that a call has."""

FILE_SECONDS: Final = 150.0
"""So much is left of a call at least when a file is begun, or a part whose like was not seen before."""

_AWAITS_APPROVAL: Final = UNUSUAL | {"TOO_OLD"}
"""The codes of what is taken once somebody has approved it."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FileDoor:
    """What takes the files of a bucket."""

    bucket: Bucket
    stores: Stores
    lines_a_part: int = LINES_A_PART

    def take(self, version: FileVersion, actor: str, time: CallTime) -> Receipt | None:
        """Schedule the changes of a file and put its receipt; None where this version is gone.

        A version that has its receipt, and comes again, is not taken again; its receipt is returned once more.

        Args:
            version: what is to be taken; what is approved is taken whatever it is by the guards.
            actor: who a record says has asked for it.
            time: of the call.

        Raises:
            GoesOnLaterError: where it does not fit into this call; the same again goes on.
            UnfinishedError: where the tables did not take every write; the same again writes the rest.
        """
        with TemporaryDirectory(prefix="inventory-updater-") as folder, time.piece(FILE_SECONDS):
            if receipt := self._receipt_before(version):
                return receipt
            path = Path(folder) / "file"
            options, problems, digest = FileOptions(), list[Problem](), ""
            try:
                fetched = self.bucket.fetch(version, path)
                if fetched is None:
                    return None
                options, digest = options_in(fetched.metadata), fetched.digest
                problems += options.problems
                if version.is_approved and fetched.put_at <= self.stores.forgotten_until():
                    message = "was approved so long ago that it may have been applied and forgotten; approve it anew"
                    problems.append(Problem(None, None, "APPROVED_LONG_AGO", message))
            except BadObjectError as error:
                problems.append(Problem(None, None, error.code, str(error)))
            with _opened(path, version, options, problems) as file:
                parts = -(-_lines_of(file) // self.lines_a_part) or 1
                return _Taking(self, version, digest, actor, options, file, parts, time).receipt()

    def _receipt_before(self, version: FileVersion) -> Receipt | None:
        if version.version == NO_VERSION:
            return None  # whoever suspends versioning puts other files under the same name
        receipt = self.bucket.document(version.receipt_key)
        if receipt is not None:
            self.bucket.clear(version.working_key(""))
            _log.info("file has its receipt", extra={"key": version.key, "version": version.version})
        return receipt


@contextmanager
def _opened(
    path: Path, version: FileVersion, options: FileOptions, problems: list[Problem]
) -> Iterator[CheckedFile[ChangeRow]]:
    """The file as it can be read; one that something is wrong with already is not."""
    if problems:
        file = CheckedFile[ChangeRow](path, version.key, read_change_file)
        file.break_off(CsvError(path, problems))
        yield file
        return
    of_changes = CheckedFile[ChangeRow].opened(
        path, version.key, read_change_file, options.reading, MOST_UNPACKED_BYTES
    )
    with of_changes as file:
        file.most_problems = MOST_PROBLEMS
        yield file


def _lines_of(file: CheckedFile[ChangeRow]) -> int:
    """How many lines there are to be read: none of a file that has too many."""
    if file.is_broken_off:
        return 0
    with file.path.open("rb") as text:
        lines = sum(piece.count(b"\n") for piece in iter(lambda: text.read(PIECE), b""))
    if lines <= MOST_LINES:
        return lines
    message = f"has more than {MOST_LINES:,} lines; split it"
    file.break_off(CsvError(file.path, [Problem(None, None, "TOO_LARGE", message)]))
    return 0


class _TooLateError(Exception):
    """There is no time left for what need not be."""


@dataclass(slots=True)
class _Tally:
    """What is known of a file, or of a part of it, beside its problems."""

    rows: int = 0
    added: int = 0
    known: dict[str, int] = field(default_factory=dict)
    is_broken_off: bool = False
    broken_off_at: int | None = None
    notes: list[str] = field(default_factory=list)


@dataclass
class _Taking:
    """One file in one call.

    ``digest`` is of the file as it came. ``file`` has the problems of all parts in the end; where there is but one,
    that is the file itself.
    """

    door: FileDoor
    version: FileVersion
    digest: str
    actor: str
    options: FileOptions
    file: CheckedFile[ChangeRow]
    parts: int
    time: CallTime
    tally: _Tally = field(default_factory=_Tally)
    took: dict[str, float] = field(default_factory=dict)
    """How many seconds the longest part took to check, and to write."""

    def receipt(self) -> Receipt:
        """Take the file, put its receipt, and return it."""
        left_out: Set[int] = frozenset()
        write = self._check_whole() if self.parts == 1 else self._check_parts()
        is_partial = self.options.accept_good and not self.file.is_broken_off
        if self.file.problem_count and is_partial:
            left_out = self.file.items_with_problems()
        if not self.file.problem_count or is_partial:
            write(left_out)
        receipt = self._told(is_partial=is_partial)
        if receipt["status"] == Answer.HELD and self.parts == 1:
            with suppress(_TooLateError):
                receipt["preview"] = self._preview()
        self._put(receipt, left_out)
        return receipt

    # One part

    def _check_whole(self) -> Callable[[Set[int]], None]:
        scheduling = self._scheduling(self.file, is_approved=self.version.is_approved)
        self._check(self.file, scheduling)
        self.tally = _tally_of(self.file, scheduling)
        return lambda left_out: self._count(replace(scheduling, left_out=left_out).write())

    def _scheduling(self, file: CheckedFile[ChangeRow], *, is_approved: bool) -> Scheduling[ChangeRow]:
        source = f"{self.version.key}@{self.version.version}"
        return self.door.stores.scheduling(file.rows, self.actor, source, is_approved=is_approved)

    def _check(self, file: CheckedFile[ChangeRow], scheduling: Scheduling[ChangeRow]) -> None:
        if not file.begins_well():
            return
        try:
            file.check_with(scheduling)
        except TooManyProblemsError:
            message = f"more than {MOST_PROBLEMS:,} things are wrong with it; nothing more of it was looked at"
            file.break_off(CsvError(file.path, [Problem(None, None, "TOO_MANY_PROBLEMS", message)]))

    def _count(self, scheduled: Scheduled) -> None:
        self.tally.added = scheduled.added
        self.tally.known = dict(scheduled.known)

    # Several

    def _check_parts(self) -> Callable[[Set[int]], None]:
        self.tally.notes += self.file.notes
        for number in range(self.parts):
            checked = self._kept("checked", number, self._checked_part)
            self.tally.rows += checked.rows
            self._add_known(checked)
            self.tally.notes += checked.notes
            if checked.is_broken_off:
                self.file.is_broken_off, self.tally.broken_off_at = True, checked.broken_off_at
                break
        return self._write_parts

    def _checked_part(self, number: int) -> tuple[_Tally, Iterable[Problem]]:
        file = self._part(number)
        scheduling = self._scheduling(file, is_approved=self.version.is_approved)
        self._check(file, scheduling)
        return _tally_of(file, scheduling), file.problems()

    def _write_parts(self, left_out: Set[int]) -> None:
        self.tally.known.clear()
        for number in range(self.parts):
            written = self._kept("written", number, partial(self._written_part, left_out))
            self.tally.added += written.added
            self._add_known(written)

    def _written_part(self, left_out: Set[int], number: int) -> tuple[_Tally, Iterable[Problem]]:
        # What is unusual was decided on; an item that has gone since is as one that goes a moment later. What has since
        # become too old may have been written by a call that was killed, and forgotten.
        scheduling = replace(self._scheduling(self._part(number), is_approved=True), allow_old=self.version.is_approved)
        told: list[Problem] = []
        too_old: set[int] = set()

        def keep(refusal: Refusal) -> None:
            assert isinstance(refusal.row, ChangeRow)
            item = hash(refusal.row.key)
            if item in left_out or refusal.code not in _SINCE_THE_CHECK:
                return
            told.append(problem_of(refusal))
            if refusal.code == "TOO_OLD":
                too_old.add(item)

        scheduling.check(Refusals(keep))
        scheduled = replace(scheduling, left_out=left_out | too_old).write()
        return _Tally(added=scheduled.added, known=dict(scheduled.known)), told

    def _add_known(self, of_part: _Tally) -> None:
        self.tally.known = dict(Counter(self.tally.known) + Counter(of_part.known))

    def _part(self, number: int) -> CheckedFile[ChangeRow]:
        read = partial(read_change_file, part=Part(number, self.parts))
        left = MOST_PROBLEMS - self.file.problem_count
        return CheckedFile(self.file.path, self.file.name, read, self.options.reading, most_problems=left)

    def _kept(self, what: str, number: int, work: Callable[[int], tuple[_Tally, Iterable[Problem]]]) -> _Tally:
        """What a call before has left of this work, or else this one does; the problems are the file's from now on."""
        key = self._working_key(what, number)
        lines = self.door.bucket.lines(key)
        if lines is not None:
            return self._absorbed(lines)
        before = self.time.seconds_left()
        seconds = self.took[what] * _MARGIN if what in self.took else FILE_SECONDS
        with self.time.piece(seconds), TemporaryFile() as copy:
            tally, problems = work(number)
            copy.write(json.dumps(asdict(tally)).encode() + b"\n")
            copy.writelines(as_line(problem).encode() for problem in problems)
            self.door.bucket.put_file(key, copy, "application/x-ndjson")
            copy.seek(0)
            self.took[what] = max(self.took.get(what, 0.0), before - self.time.seconds_left())
            return self._absorbed(copy)

    def _absorbed(self, lines: Iterable[bytes]) -> _Tally:
        told = iter(lines)
        tally = _Tally(**json.loads(next(told)))
        for line in told:
            self.file.of_tables.add(Problem(*json.loads(line)))
        return tally

    def _working_key(self, what: str, number: int) -> str:
        return self.version.working_key(f"{what}-{number}-of-{self.parts}")

    # The receipt

    def _told(self, *, is_partial: bool) -> Receipt:
        tally, file, version = self.tally, self.file, self.version
        refused = held = 0
        for _line, problems in groupby(self._of_rows(), key=attrgetter("line")):
            is_held = all(problem.code in _AWAITS_APPROVAL for problem in problems)
            held += is_held
            refused += not is_held
        known = sum(tally.known.values())
        if not file.problem_count:
            status = Answer.ACCEPTED
        elif tally.added or (is_partial and known):
            status = Answer.PARTLY_ACCEPTED
        else:
            status = Answer.REFUSED if refused or file.is_broken_off else Answer.HELD
        return {
            "schema": SCHEMA,
            "status": status.value,
            "key": version.key,
            "version": version.version,
            "rows": tally.rows,
            "added": tally.added,
            "known": known,
            "known_by_status": tally.known,
            "held": held,
            "refused": refused,
            "not_written": max(0, tally.rows - tally.added - known - held - refused),
            "problems": list(documents(islice(file.problems(), REFUSALS_KEPT))),
            "problem_count": file.problem_count,
            "notes": tally.notes if tally.rows or file.problem_count else [*tally.notes, NO_ROWS],
            "taken_at": self.door.stores.clock(),
        }

    def _of_rows(self) -> Iterator[Problem]:
        """The problems of rows: not what is wrong with the file as a whole, or from a line on."""
        return (each for each in self.file.problems() if each.line not in (None, self.tally.broken_off_at))

    def _preview(self) -> Receipt:
        """What the file would do.

        Raises:
            _TooLateError: a preview reads whatever waits until then, which may be more than fits into a call.
        """
        stores, now = self.door.stores, self.door.stores.clock()
        as_of = max(now, max((row.change.effective_at for row in self.file.rows()), default=""))
        preview = Preview(
            *(stores.inventory, stores.changes, as_of, now, stores.allow_negative_stock), progress=self._keep_time
        )
        judged = Judgement()
        for each in preview.of_rows(self.file.rows()):
            judged.add(each)
        unusual = Counter(problem.code for problem in self.file.problems())
        return judgement_document(judged, as_of, unusual)

    def _keep_time(self, _phase: str, _done: int) -> None:
        if self.time.seconds_left() < _LAST_SECONDS:
            raise _TooLateError

    def _put(self, receipt: Receipt, left_out: Set[int]) -> None:
        """Put the receipt, and before it whatever it names."""
        bucket, version, file = self.door.bucket, self.version, self.file
        if file.problem_count:
            self._put_csv(version.problems_key, file.write_problems)
            receipt["problems_key"] = version.problems_key
        if left_out:
            self._put_csv(version.rejects_key, lambda text: file.give_back(text, left_out))
            receipt["rejects_key"] = version.rejects_key
        if receipt["held"] and receipt["status"] in (Answer.HELD, Answer.PARTLY_ACCEPTED):
            bucket.put(version.held_key, {**receipt, "digest": self.digest})
        if version.is_approved and not file.is_broken_off:
            bucket.decided(version, self.digest)
        is_first = bucket.put_first(version.receipt_key, receipt)
        if self.parts > 1:
            bucket.clear(version.working_key(""))
        said = {name: receipt[name] for name in _LOGGED} | {"is_first": is_first, "parts": self.parts}
        codes = Counter(str(each["code"]) for each in cast("list[Receipt]", receipt["problems"]))
        _log.info("file %s", receipt["status"], extra={**said, "codes": dict(codes)})

    def _put_csv(self, key: str, write: Callable[[TextIO], None]) -> None:
        with TemporaryFile("w+", encoding="utf-8", errors="backslashreplace", newline="") as text:
            write(cast("TextIO", text))
            text.flush()
            self.door.bucket.put_file(key, cast("IO[bytes]", text.buffer), "text/csv; charset=utf-8")


_SINCE_THE_CHECK: Final = frozenset({"CHANGE_ID_TAKEN", "TOO_OLD"})
"""The codes of what may be wrong with a part by the time that it is written, and was not when it was checked."""
_MARGIN: Final = 1.5
"""A part may take that much longer than the longest before."""
_LOGGED: Final = ("key", "version", "rows", "added", "known", "held", "refused", "not_written", "problem_count")
_LAST_SECONDS: Final = 60.0
"""So much of a call is left for the receipt and what it names."""


def _tally_of(file: CheckedFile[ChangeRow], scheduling: Scheduling[ChangeRow]) -> _Tally:
    rows = file.row_count - file.is_broken_off
    more = file.clashes.count - len(file.clashes.kept)
    notes = [*file.notes, *file.clashes.kept, *([f"{counted(more, 'more such line')}"] if more else [])]
    known = dict(scheduling.checked.known)
    return _Tally(rows, 0, known, file.is_broken_off, file.broken_off_at, notes)
