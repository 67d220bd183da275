import hashlib
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from cli import sample
from inventory_updater.intake.csv_format import ChangeRow, read_change_file, read_stock_file
from inventory_updater.stock.changes import KINDS
from inventory_updater.stock.times import format_time

AROUND = format_time(sample.AROUND)


def made_changes(directory: Path, items: int, changes: int, seed: int = 2) -> list[ChangeRow]:
    return read_change_file(sample.write_sample(directory, items, changes, seed).changes_file)


def count_rejected(made: sample.Sample) -> int:
    """How many due adjustments find too little on hand, each item worked through in the order of time."""
    on_hand = {row.key: row.on_hand for row in read_stock_file(made.stock_file)}
    rejected = 0
    for row in sorted(read_change_file(made.changes_file), key=lambda row: row.change.effective_at):
        kind, value = row.change.kind, row.change.value
        assert isinstance(value, Decimal)
        if row.change.effective_at <= AROUND and kind in ("adjustment", "count"):
            after = value + on_hand[row.key] if kind == "adjustment" else value
            rejected += after < 0
            on_hand[row.key] = after if after >= 0 else on_hand[row.key]
    return rejected


def test_the_same_seed_gives_the_same_bytes_from_one_version_to_the_next(tmp_path: Path) -> None:
    made = sample.write_sample(tmp_path, items=100, changes=200, seed=1)
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest()[:16] for file in (made.stock_file, made.changes_file)]
    assert hashes == ["537d9b06cba636c6", "dda1594d50539a7b"]


def test_the_stock_depends_on_the_seed_and_not_on_the_changes_and_the_change_ids_on_both(tmp_path: Path) -> None:
    first, more, other = (
        sample.write_sample(tmp_path / f"{seed}-{changes}", items=50, changes=changes, seed=seed)
        for seed, changes in ((3, 120), (3, 500), (4, 120))
    )
    assert first.stock_file.read_bytes() == more.stock_file.read_bytes() != other.stock_file.read_bytes()
    ids = [{row.change.change_id for row in read_change_file(made.changes_file)} for made in (first, other)]
    assert ids[0].isdisjoint(ids[1])


def test_the_files_hold_as_many_rows_as_asked_for(tmp_path: Path) -> None:
    for size in ((0, 0), (1, 0), (1, 1), (1, 100), (7, 25), (1000, 1600)):
        made = sample.write_sample(tmp_path, *size, seed=5)
        assert (len(read_stock_file(made.stock_file)), len(read_change_file(made.changes_file))) == size
        assert (made.items, made.changes) == size


@pytest.mark.parametrize("changes", [8, 100, 1600])
def test_even_a_small_sample_has_changes_of_every_special_sort(tmp_path: Path, changes: int) -> None:
    made = sample.write_sample(tmp_path, items=500, changes=changes, seed=5)
    rows = read_change_file(made.changes_file)
    assert {row.change.kind for row in rows} == set(KINDS)
    times = [row.change.effective_at for row in rows]
    assert min(times) < "2025-12-20"  # sent late
    assert max(times) > "2099"
    assert made.rejected > 0


@pytest.mark.parametrize("seed", range(5))
def test_what_becomes_of_the_changes_is_known_beforehand(tmp_path: Path, seed: int) -> None:
    made = sample.write_sample(tmp_path, items=200, changes=1000, seed=seed)
    future = [row for row in read_change_file(made.changes_file) if row.change.effective_at > AROUND]
    assert (count_rejected(made), len(future)) == (made.rejected, made.future)
    assert made.applied + made.rejected + made.future == 1000


def test_adjustments_are_most_of_the_changes_and_some_late_ones_precede_a_count(tmp_path: Path) -> None:
    rows = sorted(made_changes(tmp_path, items=200, changes=1000), key=lambda row: row.change.effective_at)
    assert Counter(row.change.kind for row in rows)["adjustment"] > 750
    counted = {row.key: row.change.effective_at for row in rows if row.change.kind == "count"}
    late = [row for row in rows if row.change.effective_at < "2025-12-20"]
    assert sum(row.change.effective_at < counted.get(row.key, "") < AROUND for row in late) >= 10


def test_no_two_changes_of_an_item_share_a_moment(tmp_path: Path) -> None:
    rows = made_changes(tmp_path, items=3, changes=300)
    assert len({(row.key, row.change.effective_at) for row in rows}) == 300


def test_due_changes_are_due_around_the_moment_given(tmp_path: Path) -> None:
    around = datetime(2031, 7, 1, tzinfo=UTC)
    made = sample.write_sample(tmp_path, items=100, changes=500, seed=2, around=around)
    times = [row.change.effective_at for row in read_change_file(made.changes_file)]
    assert sum(time <= format_time(around) for time in times) == made.applied + made.rejected
    assert min(times) > "2031-05"


def test_an_item_gets_far_less_than_it_may_hold(tmp_path: Path) -> None:
    rows = made_changes(tmp_path, items=50, changes=5000)
    assert max(Counter(row.key for row in rows).values()) < 500


def test_numbers_that_cannot_be_are_refused(tmp_path: Path) -> None:
    for numbers in ((-1, 0, 0), (1, -1, 0), (1, 1, -1)):
        with pytest.raises(ValueError, match="may not be negative"):
            sample.write_sample(tmp_path, *numbers)
    with pytest.raises(ValueError, match="2 items are too few for 201 changes: 100 an item at most"):
        sample.write_sample(tmp_path, items=2, changes=201, seed=1)
    assert not list(tmp_path.iterdir())
