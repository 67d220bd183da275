"""Changes as JSON lines: read as a file of CSV is, with the same findings, and each object as one that is sent."""

import gzip
import itertools
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory_updater.intake.change_files import Part, is_json_lines, read_change_file, table_of_any_kind
from inventory_updater.intake.csv_format import LINES_A_MARK, MAXIMUM_LINE_BYTES, Clash, CsvError
from inventory_updater.intake.input_files import CheckedFile
from inventory_updater.intake.text_rows import ChangeRow, Problem

SALE: Mapping[str, object] = {
    "change_id": "c1",
    "sku": "MUG",
    "location_id": "LEEDS",
    "kind": "adjustment",
    "value": -3,
    "effective_at": "2026-03-02T08:00:00+01:00",
}


def written(folder: Path, *objects: object, begin: str = "") -> Path:
    path = folder / "changes.jsonl"
    lines = [each if isinstance(each, str) else json.dumps(each) for each in objects]
    path.write_text(begin + "\n".join(lines), encoding="utf-8")
    return path


def codes(path: Path) -> list[tuple[int | None, str | None, str]]:
    return [(each.line, each.column, each.code) for each in read_change_file(path) if isinstance(each, Problem)]


def test_an_object_on_a_line_is_a_change_whatever_is_around_it(tmp_path: Path) -> None:
    path = written(
        tmp_path, SALE, "", "  " + json.dumps({**SALE, "change_id": "c2", "value": "2.50"}), begin="\ufeff\n"
    )

    first, second = (each for each in read_change_file(path) if isinstance(each, ChangeRow))

    assert (first.line, str(first.key), first.change.effective_at) == (2, "MUG at LEEDS", "2026-03-02T07:00:00.000000Z")
    assert (second.line, str(second.change.value)) == (4, "2.50")


def test_packed_and_in_utf16_it_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "changes"
    for content in (gzip.compress(json.dumps(SALE).encode()), json.dumps(SALE).encode("utf-16")):
        path.write_bytes(content)
        with CheckedFile[ChangeRow].opened(path, "changes", read_change_file) as file:
            assert [row.change.change_id for row in file.rows()] == ["c1"]


def test_what_only_lines_together_show_is_told_with_the_first_of_them(tmp_path: Path) -> None:
    others = [{**SALE, "change_id": f"o{number}"} for number in range(LINES_A_MARK * 2)]
    price = {**SALE, "change_id": "p1", "kind": "price"} | {"value": 5}
    path = written(
        tmp_path, *others, SALE, price, {**price, "change_id": "p2"}, SALE, {**SALE, "change_id": "c1\u200b"}
    )

    found = [each for each in read_change_file(path) if not isinstance(each, ChangeRow)]

    (clash,) = [each for each in found if isinstance(each, Clash)]
    duplicate, *rest = [each for each in found if isinstance(each, Problem)]
    assert (clash.line, clash.first_line) == (35, 34)
    assert (duplicate.line, duplicate.code, "line 33" in duplicate.message) == (36, "DUPLICATE_ID", True)
    assert {each.code for each in rest} <= {"INVISIBLE_CHARACTER", "LOOKS_LIKE_ANOTHER"}
    assert rest


def test_what_is_wrong_has_its_line_and_its_field(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {**SALE, "value": "1,5", "effective_at": "tomorrow"},
        {**SALE, "sku": 7, "quantity": 1},
        '{"change_id": "c',
        "[1, 2]",
        '{"value": ' + "9" * 5_000 + "}",
        '{"a": ' + "[" * 50_000,
        {**SALE, "change_id": "c9"},
    )
    assert codes(path) == [
        (1, "value", "NOT_A_NUMBER"),
        (1, "effective_at", "NO_TIME"),
        (2, "sku", "WRONG_TYPE"),
        (2, "quantity", "UNKNOWN_FIELD"),
        (3, None, "NOT_JSON"),
        (4, None, "NOT_AN_OBJECT"),
        (5, None, "NOT_JSON"),
        (6, None, "NOT_JSON"),
    ]


def test_a_line_that_is_too_long_ends_it(tmp_path: Path) -> None:
    path = written(tmp_path, SALE, {**SALE, "reason": "x" * MAXIMUM_LINE_BYTES})
    with pytest.raises(CsvError, match="longer than"):
        list(read_change_file(path))


def test_rows_are_given_back_as_cells_of_a_change_file(tmp_path: Path) -> None:
    path = written(tmp_path, {**SALE, "value": 1.5, "reason": None, "sku": 7}, "{")
    table = table_of_any_kind(path)
    assert [row.cells[:7] for row in table.as_they_came()] == [
        ["c1", "7", "LEEDS", "adjustment", "1.5", "2026-03-02T08:00:00+01:00", ""],
        ["", "", "", "", "", "", ""],
    ]


def test_each_item_is_in_one_part_and_what_belongs_to_none_in_the_first(tmp_path: Path) -> None:
    skus = [f"sku-{number}" for number in range(50)]
    path = written(tmp_path, *({**SALE, "sku": sku} for sku in skus), "{", *({**SALE, "sku": sku} for sku in skus))

    parts = [list(read_change_file(path, part=Part(number, 3))) for number in range(3)]

    found = [[each.key.sku for each in part if isinstance(each, ChangeRow)] for part in parts]
    assert sorted(itertools.chain(*found)) == sorted(skus)
    assert all(found)
    assert [sum(isinstance(each, Problem) and each.code == "NOT_JSON" for each in part) for part in parts] == [1, 0, 0]
    assert sum(isinstance(each, Problem) and each.code == "DUPLICATE_ID" for part in parts for each in part) == 50


@given(text=st.text(max_size=200) | st.binary(max_size=200))
def test_whatever_follows_a_brace_is_read_or_told(tmp_path_factory: pytest.TempPathFactory, text: str | bytes) -> None:
    path = tmp_path_factory.mktemp("lines") / "changes"
    content = text.encode(errors="replace") if isinstance(text, str) else text
    path.write_bytes(b"{" + content)
    assert is_json_lines(path)
    with CheckedFile[ChangeRow].opened(path, "changes", read_change_file) as file:
        rows = len(list(file.rows()))
        told = list(file.problems())
    assert rows + len(told) > 0
    assert all(len(str(each)) < 700 for each in told)
