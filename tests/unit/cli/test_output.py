import argparse
import csv
import io
import json
import time
from collections.abc import Sequence
from datetime import UTC
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from cli import progress as progressing
from cli.command_line import CommandLine
from cli.output import View, counted, figures_screen, note, print_json, print_rows, rows_screen, text_of, time_text

AT_NOON = "2026-07-05T12:00:00.250000Z"
BERLIN = ZoneInfo("Europe/Berlin")
JOBS = ("job_id", "status", "started_at", "reserved", "updated", "error")
ROWS: Sequence[Sequence[object]] = [
    ("manual-1", "SUCCEEDED", AT_NOON, None, 1600, None),
    (
        "x" * 64,
        "COMPLETED_WITH_FAILURES",
        None,
        None,
        3,
        "the disk of the machine was full, and nobody had looked",
    ),
]


def listed(columns: Sequence[str], rows: Sequence[Sequence[object]], options: argparse.Namespace) -> int:
    print_rows(columns, rows, options)
    return 0


def test_json_is_one_document_with_counts_as_numbers_and_quantities_as_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    document = {"items": 3, "on_hand": Decimal("1E+3"), "price": Decimal("2.50"), "ids": {"b", "a"}, "none": None}
    print_json(document, argparse.Namespace(where={}))
    assert json.loads(capsys.readouterr().out) == {
        "items": 3,
        "on_hand": "1000",
        "price": "2.50",
        "ids": ["a", "b"],
        "none": None,
    }


def test_csv_has_the_rows_as_they_are_stored(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    line = CommandLine("A script.")
    rows = [('a "b", c', 1600, Decimal("1E+3"), True, None, AT_NOON), ("Rosé\nchair", 0, None, False, 0.5, "")]
    columns = ("sku", "items", "on_hand", "dry_run", "seconds", "at")
    line.add_verb("list", lambda options: listed(columns, rows, options), "list", has_rows=True)
    assert line.main(["list", "--csv"]) == 0
    text = capfdbinary.readouterr().out.decode()
    assert text.startswith("sku,items,on_hand,dry_run,seconds,at\r\n")
    assert list(csv.reader(io.StringIO(text, newline="")))[1:] == [
        ['a "b", c', "1600", "1000", "true", "", AT_NOON],
        ["Rosé\nchair", "0", "", "false", "0.5", ""],
    ]


def test_rows_are_a_table_where_it_fits_and_blocks_elsewhere() -> None:
    assert text_of(rows_screen(JOBS, ROWS[:1], View(80, BERLIN), "Jobs"), View(80)) == (
        "Jobs\n"
        "job_id    status     started_at                 updated\n"
        "───────────────────────────────────────────────────────\n"
        "manual-1  SUCCEEDED  2026-07-05 14:00:00+02:00    1,600\n"
    )
    assert text_of(rows_screen(JOBS, ROWS, View(80, BERLIN)), View(80)) == (
        "manual-1  SUCCEEDED\n"
        "  started_at: 2026-07-05 14:00:00+02:00   updated: 1,600\n"
        f"{'x' * 64}\n"
        "  status: COMPLETED_WITH_FAILURES   updated: 3\n"
        "  error: the disk of the machine was full, and nobody had looked\n"
    )


@pytest.mark.parametrize("width", [70, 80, 100, 120, 200])
def test_whatever_the_width_ids_are_whole_and_no_line_fills_it(width: int) -> None:
    lines = text_of(rows_screen(JOBS, ROWS, View(width)), View(width)).splitlines()
    assert max(map(len, lines)) < width
    assert all(any(str(row[0]) in line for line in lines) for row in ROWS)


def test_without_a_terminal_an_entry_is_a_line() -> None:
    header, _rule, *lines = text_of(rows_screen(JOBS, ROWS, View()), View()).splitlines()
    assert header.split() == ["job_id", "status", "started_at", "updated", "error"]
    assert [line.split()[:2] for line in lines] == [list(row[:2]) for row in ROWS]


def test_no_rows_are_told() -> None:
    assert text_of(rows_screen(JOBS, [], View(80), "Jobs"), View(80)) == "Jobs\nnone\n"


def test_a_status_is_coloured_on_a_terminal_unless_colours_are_unwanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = CommandLine("A script.", lambda options: listed(JOBS, ROWS[:1], options))
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich believe in a terminal
    monkeypatch.setenv("TERM", "xterm")
    assert line.main([]) == 0
    assert "\x1b[32mSUCCEEDED" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    assert line.main([]) == 0
    assert "\x1b[32m" not in capsys.readouterr().out


def test_text_is_shown_as_it_is_and_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    rows: Sequence[Sequence[object]] = [["[red]MUG[/red]\x1b[2J", Decimal("1E+3")], [":smile:", None]]
    for screen in (rows_screen(["sku", "on_hand"], rows, View(80)), figures_screen([("sku", rows[0][0])], View(80))):
        assert "[red]MUG[/red]\\x1b[2J" in text_of(screen, View(80))
    assert "File a\\x1b[2J.csv" in text_of(figures_screen([], View(80), "File a\x1b[2J.csv"), View(80))
    assert ":smile:" in text_of(rows_screen(["sku", "on_hand"], rows, View(80)), View(80))
    note("left out: \x1b[2J")
    assert capsys.readouterr().err == "left out: \\x1b[2J\n"


def test_times_are_to_the_second_by_the_clock_of_the_zone_or_as_stored() -> None:
    assert time_text(AT_NOON, BERLIN) == "2026-07-05 14:00:00+02:00"
    assert time_text(AT_NOON.replace("-07-", "-01-"), BERLIN) == "2026-01-05 13:00:00+01:00"
    assert time_text(AT_NOON, UTC) == AT_NOON
    assert time_text("noon", BERLIN) == "noon"


def test_a_time_whose_clock_leaves_the_calendar_is_shown_as_stored() -> None:
    assert time_text("9999-12-31T23:59:59.999999Z", BERLIN) == "9999-12-31T23:59:59.999999Z"


def test_one_is_not_counted_as_many() -> None:
    assert [counted(number, "change") for number in (0, 1, 1600)] == ["0 changes", "1 change", "1,600 changes"]


def test_quick_work_shows_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with progressing.progress(total=2) as tell:
        tell("writing", 1)
    assert capsys.readouterr().err == ""


def test_progress_appears_when_the_work_takes_longer_and_its_clock_runs_through_all_phases(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich believe in a terminal
    monkeypatch.setattr(progressing, "SECONDS_WITHOUT_PROGRESS", 0.01)
    with progressing.progress(total=2) as tell:
        tell("checking", 2)
        tell("writing", 1)
        time.sleep(1.2)
    captured = capsys.readouterr()
    assert "writing" in captured.err
    assert "0:00:01" in captured.err
    assert captured.out == ""
