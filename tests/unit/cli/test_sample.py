import hashlib
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from cli import sample
from inventory_updater.intake.csv_format import ChangeRow, read_change_file, read_stock_file
from inventory_updater.stock.changes import KINDS
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.times import format_time

AROUND = format_time(sample.AROUND)


def rejected_ids(made: sample.Sample, as_of: str) -> list[str]:
    """The due adjustments that find too little on hand, each item worked through in the order of time."""
    on_hand = {row.key: row.on_hand for row in read_stock_file(made.stock_file)}
    rejected = []
    for row in sorted(read_change_file(made.changes_file), key=lambda row: row.change.effective_at):
        assert isinstance(row.change.value, Decimal)
        if row.change.effective_at > as_of:
            continue
        if row.change.kind == "count":
            on_hand[row.key] = row.change.value
        elif row.change.kind == "adjustment" and on_hand[row.key] + row.change.value < 0:
            rejected.append(row.change.change_id)
        elif row.change.kind == "adjustment":
            on_hand[row.key] += row.change.value
    return rejected


def content(made: sample.Sample) -> tuple[bytes, bytes]:
    return made.stock_file.read_bytes(), made.changes_file.read_bytes()


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first = sample.write_sample(tmp_path / "first", items=50, changes=120, seed=3)
    second = sample.write_sample(tmp_path / "second", items=50, changes=120, seed=3)
    assert content(first) == content(second)


def test_the_bytes_stay_the_same_from_one_version_to_the_next(tmp_path: Path) -> None:
    made = sample.write_sample(tmp_path, items=100, changes=200, seed=1)
    assert [hashlib.sha256(text).hexdigest()[:16] for text in content(made)] == ["537d9b06cba636c6", "dda1594d50539a7b"]


def test_another_seed_gives_other_stock_and_other_change_ids(tmp_path: Path) -> None:
    first = sample.write_sample(tmp_path / "first", items=50, changes=120, seed=3)
    second = sample.write_sample(tmp_path / "second", items=50, changes=120, seed=4)
    assert first.stock_file.read_bytes() != second.stock_file.read_bytes()
    ids = [{row.change.change_id for row in read_change_file(made.changes_file)} for made in (first, second)]
    assert not ids[0] & ids[1]


def test_the_stock_of_a_seed_does_not_depend_on_the_changes(tmp_path: Path) -> None:
    few = sample.write_sample(tmp_path / "few", items=50, changes=10, seed=3)
    many = sample.write_sample(tmp_path / "many", items=50, changes=500, seed=3)
    assert few.stock_file.read_bytes() == many.stock_file.read_bytes()


@pytest.mark.parametrize(("items", "changes"), [(0, 0), (1, 0), (1, 1), (1, 100), (7, 25), (1000, 1600)])
def test_the_files_hold_as_many_rows_as_asked_for(tmp_path: Path, items: int, changes: int) -> None:
    made = sample.write_sample(tmp_path, items, changes, seed=5)
    assert (len(read_stock_file(made.stock_file)), len(read_change_file(made.changes_file))) == (items, changes)
    assert (made.items, made.changes) == (items, changes)


@pytest.mark.parametrize("changes", [8, 100, 1600])
def test_even_a_small_sample_has_all_kinds_late_and_future_changes_and_some_to_reject(
    tmp_path: Path, changes: int
) -> None:
    made = sample.write_sample(tmp_path, items=500, changes=changes, seed=5)
    rows = read_change_file(made.changes_file)
    assert {row.change.kind for row in rows} == set(KINDS)
    assert [row for row in rows if row.change.effective_at < "2025-12-20"]
    assert [row for row in rows if row.change.effective_at > "2099"]
    assert made.rejected > 0


@pytest.mark.parametrize("seed", range(5))
def test_what_becomes_of_the_changes_is_known_beforehand(tmp_path: Path, seed: int) -> None:
    made = sample.write_sample(tmp_path, items=200, changes=1000, seed=seed)
    future = [row for row in read_change_file(made.changes_file) if row.change.effective_at > AROUND]
    assert len(rejected_ids(made, as_of=AROUND)) == made.rejected
    assert len(future) == made.future
    assert made.applied + made.rejected + made.future == 1000


def test_adjustments_are_most_of_the_changes(tmp_path: Path) -> None:
    made = sample.write_sample(tmp_path, items=200, changes=1000, seed=2)
    kinds = Counter(row.change.kind for row in read_change_file(made.changes_file))
    assert kinds["adjustment"] > 750


def test_some_late_changes_come_before_a_count_of_their_item(tmp_path: Path) -> None:
    made = sample.write_sample(tmp_path, items=200, changes=1000, seed=2)
    rows = read_change_file(made.changes_file)
    last_count: dict[ItemKey, str] = {}
    for row in rows:
        if row.change.kind == "count" and row.change.effective_at <= AROUND:
            last_count[row.key] = max(row.change.effective_at, last_count.get(row.key, ""))

    def is_late(row: ChangeRow) -> bool:
        return row.change.effective_at < "2025-12-20" and row.change.effective_at <= last_count.get(row.key, "")

    assert sum(map(is_late, rows)) >= 10


def test_no_two_changes_of_an_item_share_a_moment(tmp_path: Path) -> None:
    made = sample.write_sample(tmp_path, items=3, changes=300, seed=2)
    moments = [(row.key, row.change.effective_at) for row in read_change_file(made.changes_file)]
    assert len(moments) == len(set(moments))


def test_due_changes_are_due_around_the_moment_given(tmp_path: Path) -> None:
    around = datetime(2031, 7, 1, tzinfo=UTC)
    made = sample.write_sample(tmp_path, items=100, changes=500, seed=2, around=around)
    times = [row.change.effective_at for row in read_change_file(made.changes_file)]
    due = [time for time in times if time <= format_time(around)]
    assert len(due) == made.applied + made.rejected
    assert min(due) > "2031-05"


def test_an_item_gets_far_less_than_it_may_hold(tmp_path: Path) -> None:
    made = sample.write_sample(tmp_path, items=50, changes=5000, seed=2)
    assert max(Counter(row.key for row in read_change_file(made.changes_file)).values()) < 500


@pytest.mark.parametrize(("items", "changes", "seed"), [(-1, 0, 0), (1, -1, 0), (1, 1, -1)])
def test_a_negative_number_is_refused(tmp_path: Path, items: int, changes: int, seed: int) -> None:
    with pytest.raises(ValueError, match="may not be negative"):
        sample.write_sample(tmp_path, items, changes, seed)


def test_more_changes_than_the_items_may_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 items are too few for 201 changes: 100 an item at most"):
        sample.write_sample(tmp_path, items=2, changes=201, seed=1)
    assert not list(tmp_path.iterdir())
