"""Files as they come: each a file in UTF-8 that can be read again and again, or refused as what it is."""

import gzip
import os
import threading
from pathlib import Path

import pytest

from inventory_updater.intake import sheets
from inventory_updater.intake.csv_format import CsvError
from inventory_updater.intake.sheets import opened_sheet

TEXT = "sku,description\nMUG,blau \u00e4\n"


def read(path: Path, content: bytes) -> tuple[str, list[str]]:
    """What a file of this content is read as, and the beginnings of what is noted."""
    path.write_bytes(content)
    with opened_sheet(path) as sheet:
        text, is_copy = sheet.path.read_text(encoding="utf-8-sig"), sheet.path != path
    assert sheet.path.exists() != is_copy
    return text, [note.split(":")[0].split(",")[0] for note in sheet.notes]


@pytest.mark.parametrize("piece", [sheets.PIECE, 3])
def test_text_is_read_in_whatever_form_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    path = tmp_path / "file.csv"
    forms = {
        "UTF-8": (TEXT.encode(), []),
        "with a mark": (TEXT.encode("utf-8-sig"), []),
        "gzip": (gzip.compress(TEXT.encode()), ["it is unpacked with gzip"]),
        "UTF-16": (TEXT.encode("utf-16"), ["it is in UTF-16"]),
        "the other UTF-16": (b"\xfe\xff" + TEXT.encode("utf-16-be"), ["it is in UTF-16"]),
        "UTF-16 without a mark": (TEXT.encode("utf-16-le"), ["it is in UTF-16"]),
        "UTF-32": (TEXT.encode("utf-32"), ["it is in UTF-32"]),
        "Windows-1252": (TEXT.encode("cp1252"), ["it is read as Windows-1252"]),
        "Windows-1252 in gzip": (
            gzip.compress(TEXT.encode("cp1252")),
            ["it is unpacked with gzip", "it is read as Windows-1252"],
        ),
        "old Mac": (TEXT.replace("\n", "\r").encode(), ["its lines end in carriage returns"]),
        "old Mac in UTF-16": (
            TEXT.replace("\n", "\r").encode("utf-16"),
            ["it is in UTF-16", "its lines end in carriage returns"],
        ),
        "empty": (b"", []),
    }
    wanted = {name: ("" if name == "empty" else TEXT, notes) for name, (_, notes) in forms.items()}
    monkeypatch.setattr(sheets, "PIECE", piece)
    assert {name: read(path, content) for name, (content, _) in forms.items()} == wanted


def test_a_pipe_is_read_too_packed_or_not(tmp_path: Path) -> None:
    for number, content in enumerate((TEXT.encode(), gzip.compress(TEXT.encode("utf-16")))):
        pipe = tmp_path / f"pipe{number}"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=(content,))
        writer.start()
        with opened_sheet(pipe) as sheet:
            assert [sheet.path.read_text(encoding="utf-8") for _ in range(2)] == [TEXT, TEXT]
        writer.join()


def test_what_is_no_text_is_refused_as_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    begins = {
        b"PK\x03\x04 and more": "is a workbook of a spreadsheet (.xlsx, .ods)",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "is an Excel workbook of the old form (.xls)",
        gzip.compress(b"PK\x03\x04"): "is a workbook of a spreadsheet (.xlsx, .ods)",
        b"%PDF-1.7": "is a PDF document",
        b"\xef\xbb\xbf<!DOCTYPE html>": "is a web page",
        b'[{"sku": 1}]': "is a list in JSON",
        gzip.compress(TEXT.encode())[:-9]: "cannot be unpacked with gzip",
        b"sku\nd\xc3\xa9\nd\xe9\n": "line 3: is not in UTF-8, as the lines before it are",
        b"sku\nd\x81\n": "line 2: is in neither UTF-8 nor Windows-1252",
        b"\xff\xfes\0k\0u\0\n\0\0\xd8a\0": "line 2: is in neither UTF-8 nor UTF-16",
    }
    said = {}
    for content, begin in begins.items():
        with pytest.raises(CsvError) as refused:
            read(path, content)
        said[content] = str(refused.value.problems[0])[: len(begin)]
    assert said == begins
