"""Whatever people send as a file becomes one that can be read again and again: CSV in UTF-8.

What is that already is read where it is. Of what is not (a pipe, gzip, UTF-16, Windows-1252, lines that end as on old
Macs) a temporary copy is made, piece by piece. What is no text at all is refused as what it is.
"""

import codecs
import errno
import gzip
import re
import shutil
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Final, cast

from inventory_updater.intake.csv_format import MAXIMUM_LINE_BYTES, CsvError
from inventory_updater.intake.text_rows import Problem

PIECE: Final = 1 << 20
BEGIN: Final = 1 << 16
"""How much of a file is looked at to see what it is."""

DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_GZIP: Final = b"\x1f\x8b"
_SAVE_AS: Final = "open it there and save it as CSV UTF-8"
_REFUSED: Final[Mapping[bytes, str]] = {
    b"PK\x03\x04": f"is a workbook of a spreadsheet (.xlsx, .ods) or another zip archive; {_SAVE_AS}",
    b"PK\x05\x06": "is an empty zip archive; send the file that should be in it",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": f"is an Excel workbook of the old form (.xls); {_SAVE_AS}",
    b"%PDF": "is a PDF document; export the table as CSV where it came from",
    b"{\\rtf": f"is a text document (.rtf); {_SAVE_AS}",
    b"PAR1": "is a Parquet file; write it as CSV",
    b"SQLite format 3\0": "is an SQLite database; export the table as CSV",
    b"BZh": "is compressed with bzip2; unpack it, or use gzip",
    b"\xfd7zXZ\0": "is compressed with xz; unpack it, or use gzip",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; unpack it, or use gzip",
    b"7z\xbc\xaf\x27\x1c": "is a 7z archive; unpack it",
    b"Rar!": "is a RAR archive; unpack it",
    b"\x89PNG": "is a picture; send the table as CSV",
    b"\xff\xd8\xff": "is a picture; send the table as CSV",
}
_MARKUP: Final[Mapping[bytes, str]] = {
    b"<?xml": f"is XML, as some spreadsheets save tables; {_SAVE_AS}",
    b"<html": f"is a web page, as some systems export tables; {_SAVE_AS}",
    b"<!doctype": f"is a web page, as some systems export tables; {_SAVE_AS}",
    b"<table": f"is a web page, as some systems export tables; {_SAVE_AS}",
    b"[{": "is a list in JSON; write it as CSV, or each of its objects on a line of its own, without the brackets",
}
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# A header is ASCII, so without a mark every other byte of it is 0.
_UTF16_LE: Final = re.compile(rb"(?:[\x09-\x7e]\0){4}")
_UTF16_BE: Final = re.compile(rb"(?:\0[\x09-\x7e]){4}")
_UTF8_LETTER: Final = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")

_SAVE_IN_UTF8: Final = "save it as CSV UTF-8"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file in UTF-8 that can be read again and again.

    Attributes:
        path: where it is.
        notes: what had to be understood about the file that came.
    """

    path: Path
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Refuses:
    """Says what is wrong with a file as a whole."""

    path: Path

    def error(self, code: str, message: str, line: int | None = None) -> CsvError:
        return CsvError(self.path, [Problem(line, None, code, message)])


@contextmanager
def opened_sheet(path: Path, most_unpacked_bytes: int = sys.maxsize) -> Iterator[Sheet]:
    """What is at ``path``, a pipe too, as a sheet. A copy that had to be made is there as long as this context.

    Args:
        path: where it is.
        most_unpacked_bytes: what would become larger than this, unpacked or in UTF-8, is not copied any further.

    Raises:
        CsvError: where there is no file, or none that is text.
    """
    notes: list[str] = []
    with ExitStack() as copies:
        yield Sheet(_sheet(path, notes, copies, _Refuses(path), most_unpacked_bytes), tuple(notes))


def _sheet(path: Path, notes: list[str], copies: ExitStack, refuses: _Refuses, most_unpacked_bytes: int) -> Path:
    try:
        with path.open("rb") as file:
            if not file.seekable():
                path = _copied(file, copies)
        with path.open("rb") as file:
            if file.read(len(_GZIP)) == _GZIP:
                file.seek(0)
                with gzip.open(file) as packed:
                    path = _unpacked(cast("IO[bytes]", packed), copies, refuses, most_unpacked_bytes)
                notes.append("it is unpacked with gzip")
        with path.open("rb") as file:
            encoding, line_end = _recognised(file, notes, refuses)
            if (encoding, line_end) == ("utf-8", b"\n"):
                return path
            copy = _new_copy(copies)
            _copy_in_utf8(file, encoding, line_end, copy, refuses, most_unpacked_bytes)
            return _finished(copy)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise refuses.error("BROKEN_GZIP", f"cannot be unpacked with gzip ({error}); send it again") from None
    except FileNotFoundError:
        raise refuses.error("NO_FILE", "does not exist") from None
    except IsADirectoryError:
        raise refuses.error("NO_FILE", "is a directory, not a file") from None
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        raise refuses.error("NOT_READABLE", f"cannot be read: {error.strerror or error}") from None


def _copied(source: IO[bytes], copies: ExitStack) -> Path:
    copy = _new_copy(copies)
    shutil.copyfileobj(source, copy, PIECE)
    return _finished(copy)


def _unpacked(packed: IO[bytes], copies: ExitStack, refuses: _Refuses, most_bytes: int) -> Path:
    copy = _new_copy(copies)
    while piece := packed.read(PIECE):
        _write(piece, copy, refuses, most_bytes, "once it is unpacked")
    return _finished(copy)


def _write(piece: bytes, copy: IO[bytes], refuses: _Refuses, most_bytes: int, when: str) -> None:
    if copy.tell() + len(piece) > most_bytes:
        raise refuses.error("TOO_LARGE", f"is larger than {most_bytes >> 20} MB {when}; split it")
    copy.write(piece)


def _new_copy(copies: ExitStack) -> IO[bytes]:
    return cast("IO[bytes]", copies.enter_context(NamedTemporaryFile(prefix="inventory-updater-")))


def _finished(copy: IO[bytes]) -> Path:
    copy.flush()
    return Path(copy.name)


def _recognised(file: IO[bytes], notes: list[str], refuses: _Refuses) -> tuple[str, bytes]:
    """The encoding of the text, and what ends its lines."""
    begin = _begin(file)
    file.seek(0)
    for magic, message in _REFUSED.items():
        if begin.startswith(magic):
            raise refuses.error("NOT_CSV", message)
    encoding = next((name for mark, name in _MARKS if begin.startswith(mark)), None)
    if encoding is None and _UTF16_LE.match(begin):
        encoding = "utf-16-le"
    elif encoding is None and _UTF16_BE.match(begin):
        encoding = "utf-16-be"
    if encoding is None or encoding == "utf-8":
        markup = begin[:200].removeprefix(codecs.BOM_UTF8).lstrip().lower()
        for start, message in _MARKUP.items():
            if markup.startswith(start):
                raise refuses.error("NOT_CSV", message)
        encoding = _utf8_or_windows(file, refuses)
        file.seek(0)
        if encoding != "utf-8":
            notes.append("it is read as Windows-1252, since it is not in UTF-8: see that accents and signs are right")
    else:
        notes.append(f"it is in {encoding[:6].upper()}")
    first_end = re.search(r"\r\n?|\n", begin.decode(encoding, "replace"))
    is_of_old_mac = first_end is not None and first_end[0] == "\r"
    if is_of_old_mac:
        notes.append("its lines end in carriage returns")
    return encoding, b"\r" if is_of_old_mac else b"\n"


def _utf8_or_windows(file: IO[bytes], refuses: _Refuses) -> str:
    """The encoding of text without a mark, or with that of UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, has_letters, without_line_end = 1, False, 0
    while piece := file.read(PIECE):
        # Not text, or not with lines: whoever reads the rows says where.
        without_line_end = 0 if b"\n" in piece or b"\r" in piece else without_line_end + len(piece)
        if without_line_end > MAXIMUM_LINE_BYTES:
            return "utf-8"
        if piece.isascii() and not decoder.getstate()[0]:
            line += piece.count(b"\n")
            continue
        try:
            decoder.decode(piece)
        except UnicodeDecodeError as error:
            # Where it counts from is before this piece, if a letter was cut in two by its beginning.
            is_mixed = has_letters or _UTF8_LETTER.search(error.object[: error.start]) is not None
            return _windows_unless_mixed(file, line + error.object[: error.start].count(b"\n"), is_mixed, refuses)
        has_letters = True
        line += piece.count(b"\n")
    if decoder.getstate()[0]:
        return _windows_unless_mixed(file, line, has_letters, refuses)
    return "utf-8"


def _windows_unless_mixed(file: IO[bytes], line: int, is_mixed: bool, refuses: _Refuses) -> str:
    """Windows-1252, if it can be: what is in UTF-8 elsewhere would be read wrong."""
    if is_mixed or b"\0" in _begin(file):
        raise refuses.error("NOT_UTF8", f"is not in UTF-8, as the lines before it are; {_SAVE_IN_UTF8}", line)
    return "cp1252"


def _begin(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read(BEGIN)


def _copy_in_utf8(
    file: IO[bytes], encoding: str, line_end: bytes, copy: IO[bytes], refuses: _Refuses, most_bytes: int
) -> None:
    decoder = codecs.getincrementaldecoder(encoding)()
    line, is_at_end = 1, False
    while not is_at_end:
        piece = file.read(PIECE)
        is_at_end = not piece
        try:
            text = decoder.decode(piece, is_at_end)
        except UnicodeDecodeError as error:
            line += error.object[: error.start].count(line_end)
            name = "Windows-1252" if encoding == "cp1252" else encoding[:6].upper()
            message = f"is in neither UTF-8 nor {name}; {_SAVE_IN_UTF8}"
            raise refuses.error("NOT_UTF8", message, line) from None
        line += text.count(line_end.decode())
        if line_end == b"\r":
            text = text.replace("\r", "\n")
        _write(text.encode(), copy, refuses, most_bytes, "in UTF-8")
