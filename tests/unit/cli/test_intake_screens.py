"""Receipts, the list of files, held files and dead letters as people see them."""

import json
from typing import Any

from rich.console import RenderableType

from cli.dead_letters import Letter
from cli.intake_screens import FILE_COLUMNS, HELD_COLUMNS, LETTER_COLUMNS, letter_screen, receipt_screen
from cli.output import View, rows_screen, text_of
from tests.builders import moment
from tests.screens import check_screen

BUCKET = "inventory-intake-prod-123456789012-eu-west-1"
VERSION = "3HL4kqtJvjVBH40Nrjfkd1XvQ9sQbl7W"

HELD: dict[str, Any] = {
    "schema": 1,
    "status": "HELD",
    "key": "incoming/acme/prices-2026-03-02.csv",
    "version": VERSION,
    "rows": 1_600,
    "added": 0,
    "known": 0,
    "known_by_status": {},
    "held": 2,
    "refused": 0,
    "not_written": 1_598,
    "problems": [
        {
            "line": line,
            "column": "value",
            "value": "1703",
            "code": "PRICE_CHANGE",
            "message": "1703 is 10,000 percent of the price 17.03; MaxPriceChangePercent is 50",
        }
        for line in (7, 1_203)
    ],
    "problem_count": 2,
    "problems_key": f"receipts/acme/prices-2026-03-02.csv.{VERSION}.problems.csv",
    "notes": ["semicolons separate its cells"],
    "preview": {
        "unusual_by_code": {"PRICE_CHANGE": 2},
        "plan_id": "b4c9",
        "as_of": moment("12:00"),
        "items": 1_600,
        "items_changed": 1_588,
        "items_invalid": 0,
        "by_outcome": {"APPLIED": 1_600},
        "prices": {
            "up": 900,
            "up_percent": 3.5,
            "largest": [
                {"sku": "KIT-000123", "location_id": "DC1", "before": "17.03", "after": "1703", "percent": 9_900.0}
            ],
        },
        "late_counts_largest": [],
    },
    "taken_at": moment("12:00"),
}

MESSAGE: dict[str, Any] = {
    "schema": 1,
    "status": "PARTLY_ACCEPTED",
    "rows": 3,
    "added": 1,
    "known": 1,
    "held": 0,
    "refused": 1,
    "not_written": 0,
    "changes": [
        {"index": 0, "change_id": "SO-1", "sku": "MUG", "location_id": "DC1", "result": "ADDED"},
        {"index": 1, "change_id": "SO-2", "sku": "MUG", "location_id": "DC1", "result": "KNOWN", "status": "APPLIED"},
        {"index": 2, "change_id": "SO-3", "sku": "CUP", "location_id": "DC1", "result": "REFUSED"},
    ],
    "problems": [
        {"index": 2, "field": "value", "value": "x", "code": "NOT_A_NUMBER", "message": "'x' is not a number"},
    ],
    "problem_count": 1,
    "message_id": "3a095cf8-800f-497e-aacc-eebc68605727",
    "taken_at": moment("12:00"),
}


def letter() -> Letter:
    return Letter(
        {
            "MessageId": "3a095cf8-800f-497e-aacc-eebc68605727",
            "Body": json.dumps({"changes": [{"change_id": f"SO-{number}\x1b[31m"} for number in range(4)]}),
            "Attributes": {
                "SenderId": "AROAEXAMPLE:checkout",
                "SentTimestamp": "1772445600123",
                "ApproximateFirstReceiveTimestamp": "1772445601000",
                "ApproximateReceiveCount": "6",
            },
            "MessageAttributes": {"shop": {"DataType": "String", "StringValue": "Leeds"}},
        }
    )


def test_the_receipt_of_a_held_file_says_why_and_what_it_would_do() -> None:
    check_screen("intake-held", lambda view: receipt_screen(HELD, view, BUCKET))


def test_the_receipt_of_a_message_says_what_became_of_each_change() -> None:
    check_screen("intake-message", lambda view: receipt_screen(MESSAGE, view, BUCKET))


def test_of_very_many_problems_the_first_fifty_are_shown() -> None:
    (problem,) = MESSAGE["problems"]
    many = HELD | {"problems": [problem | {"line": line} for line in range(1_000)], "problem_count": 12_345}

    said = text_of(receipt_screen(many, View(), BUCKET), View()).splitlines()

    assert sum("NOT_A_NUMBER" in line for line in said) == 50
    assert said[-1] == "... and 12,295 more"


def test_files_are_listed_with_what_became_of_them() -> None:
    waiting = {"key": "incoming/night.csv.gz", "version": VERSION, "status": "WAITING", "put_at": moment("12:01")}
    accepted = HELD | {"key": "incoming/shop.csv", "status": "ACCEPTED", "held": 0, "added": 1_500, "known": 100}

    def draw(view: View) -> RenderableType:
        rows = [[each.get(name) for name in FILE_COLUMNS] for each in (waiting, HELD, accepted)]
        return rows_screen(FILE_COLUMNS, rows, view)

    check_screen("intake-status", draw)


def test_held_files_are_listed_with_the_version_that_was_put_since() -> None:
    again = HELD | {"key": "incoming/shop.csv", "newer_version": "qWe5jDvKp1NnGz8rT0xYb3LcUaHs7MfE"}

    def draw(view: View) -> RenderableType:
        rows = [[each.get(name) for name in HELD_COLUMNS] for each in (HELD, again)]
        return rows_screen(HELD_COLUMNS, rows, view)

    check_screen("intake-held-list", draw)


def test_dead_letters_are_listed_and_shown_without_their_control_characters() -> None:
    document = letter().as_document()

    check_screen(
        "intake-dead-list", lambda view: rows_screen(LETTER_COLUMNS, [[document[n] for n in LETTER_COLUMNS]], view)
    )
    check_screen("intake-dead-show", lambda view: letter_screen(document, view))
