import csv
import hashlib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli import sample
from inventory_updater.intake.change_files import read_change_file
from inventory_updater.intake.csv_format import read_stock_file
from inventory_updater.intake.text_rows import ChangeRow, StockRow
from inventory_updater.stock.change_records import Status, read_record
from inventory_updater.stock.changes import KINDS
from inventory_updater.stock.item_states import read_state
from inventory_updater.stock.items import InvalidItem
from inventory_updater.stock.settling import Moment, Settled, settle
from inventory_updater.stock.times import format_time
from tests.builders import item_attributes, record_attributes

AROUND = format_time(sample.AROUND)


def changes_of(made: sample.Sample) -> list[ChangeRow]:
    return [row for row in read_change_file(made.changes_file) if isinstance(row, ChangeRow)]


def stock_of(made: sample.Sample) -> list[StockRow]:
    return [row for row in read_stock_file(made.stock_file) if isinstance(row, StockRow)]


def made_changes(directory: Path, items: int, changes: int, seed: int = 2) -> list[ChangeRow]:
    return changes_of(sample.write_sample(directory, items, changes, seed))


def outcomes(made: sample.Sample) -> Counter[Status]:
    """What each item decides about its changes, all at once, at the moment of the sample."""
    counts: Counter[Status] = Counter()
    changes = changes_of(made)
    for row in stock_of(made):
        state = read_state(item_attributes(row.on_hand, reserved=row.reserved, unit_price=row.unit_price))
        assert not isinstance(state, InvalidItem)
        records = [read_record(record_attributes(row.key, each.change)) for each in changes if each.key == row.key]
        settled = settle(state, records, Moment(AROUND, AROUND), are_all=True)
        assert isinstance(settled, Settled)
        assert settled.is_finished
        counts.update(decision.outcome for decision in settled.decided.values())
        counts[Status.PENDING] += len(records) - len(settled.decided)
    return counts


def test_the_same_seed_gives_the_same_bytes_from_one_version_to_the_next(tmp_path: Path) -> None:
    made = sample.write_sample(tmp_path, items=100, changes=200, seed=1)
    files = (made.stock_file, made.changes_file, made.delivery_file)
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest()[:16] for file in files]
    assert hashes == ["537d9b06cba636c6", "def119d65236f309", "aa471fc06b1d25a0"]


def test_the_delivery_can_be_read_and_is_for_items_of_the_stock(tmp_path: Path) -> None:
    made = sample.write_sample(tmp_path, items=12, changes=20, seed=1)
    delivered = list(read_change_file(made.delivery_file))
    few = sample.write_sample(tmp_path / "few", items=3, changes=0, seed=1)

    assert [row.key for row in delivered if isinstance(row, ChangeRow)] == [row.key for row in stock_of(made)][:10]
    assert len(list(read_change_file(few.delivery_file))) == 3


def test_the_stock_depends_on_the_seed_and_not_on_the_changes_and_the_change_ids_on_both(tmp_path: Path) -> None:
    first, more, other = (
        sample.write_sample(tmp_path / f"{seed}-{changes}", items=50, changes=changes, seed=seed)
        for seed, changes in ((3, 120), (3, 500), (4, 120))
    )
    assert first.stock_file.read_bytes() == more.stock_file.read_bytes() != other.stock_file.read_bytes()
    ids = [{row.change.change_id for row in changes_of(made)} for made in (first, other)]
    assert ids[0].isdisjoint(ids[1])


def test_the_files_hold_as_many_rows_as_asked_for(tmp_path: Path) -> None:
    for size in ((0, 0), (1, 0), (1, 1), (1, 100), (7, 25), (1000, 1600)):
        made = sample.write_sample(tmp_path, *size, seed=5)
        assert (len(stock_of(made)), len(changes_of(made))) == size
        assert (made.items, made.changes) == size


def test_nothing_in_the_files_is_wrong_or_clashes(tmp_path: Path) -> None:
    made = sample.write_sample(tmp_path, items=200, changes=2000, seed=6)
    read = [*read_stock_file(made.stock_file), *read_change_file(made.changes_file)]
    assert [row for row in read if not isinstance(row, ChangeRow | StockRow)] == []


@pytest.mark.parametrize("changes", [10, 100, 1600])
def test_even_a_small_sample_has_changes_of_every_special_sort(tmp_path: Path, changes: int) -> None:
    made = sample.write_sample(tmp_path, items=500, changes=changes, seed=5)
    rows = changes_of(made)
    assert {row.change.kind for row in rows} == set(KINDS)
    times = [row.change.effective_at for row in rows]
    assert min(times) < "2025-12-20"  # sent late
    assert max(times) > "2099"
    with made.changes_file.open(encoding="utf-8", newline="") as file:
        filled = {name for row in csv.DictReader(file) for name, cell in row.items() if cell}
    assert filled >= {"until", "expected", "not_after"}
    assert made.rejected > 0


@pytest.mark.parametrize("seed", range(5))
def test_what_becomes_of_the_changes_is_known_beforehand(tmp_path: Path, seed: int) -> None:
    made = sample.write_sample(tmp_path, items=200, changes=1000, seed=seed)
    expected = {Status.APPLIED: made.applied, Status.OPEN: made.opened, Status.REJECTED: made.rejected}
    assert outcomes(made) == expected | {Status.PENDING: made.pending}
    assert made.applied + made.opened + made.rejected + made.pending == 1000


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
    times = [row.change.effective_at for row in changes_of(made)]
    assert sum(time <= format_time(around) for time in times) == 500 - made.pending
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
