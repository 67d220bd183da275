"""A change beside the record that is there: the same, or in what it differs."""

from decimal import Decimal

from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.scheduling import differences, taken_message
from tests.builders import change, moment, record_attributes

MUG = ItemKey("mug", "DC1")
OFFER = change("c1", "price", "2.50", until="20:00", expected=3, not_after="10:00", reason="sale")
RECORD = record_attributes(MUG, OFFER)


def test_the_same_is_the_same_however_another_system_wrote_it() -> None:
    others = {"value": Decimal("2.5"), "effective_at": "2026-03-02T10:00:00+01:00", "until": "2026-03-02T20:00:00Z"}
    assert (differences(OFFER, RECORD), differences(OFFER, RECORD | others)) == ((), ())


def test_whatever_differs_is_named() -> None:
    others: dict[str, object] = {
        "kind": "count",
        "value": "2.50",
        "effective_at": "this morning",
        "until": moment("21:00"),
        "expected": Decimal(4),
        "not_after": None,
        "reason": "no sale",
        "reference": "order 7",
    }
    for name, value in others.items():
        without = {each: stored for each, stored in RECORD.items() if each != name}
        assert differences(OFFER, without if value is None else RECORD | {name: value}) == (name,)


def test_an_id_that_is_taken_is_told_with_what_its_record_says_and_what_can_be_done() -> None:
    of_its_own = "and give the other one an id of its own"
    what_to_do = {
        "PENDING": f"to replace it, cancel it (changes.py cancel), {of_its_own}",
        "OPEN": f"to replace it, cancel it (changes.py cancel), {of_its_own}",
        "APPLIED": "a corrected one needs an id of its own",
        "REJECTED": "to let the recorded one wait again, retry it (changes.py retry --id); to replace it, dismiss it "
        "(changes.py dismiss), and give the corrected one an id of its own",
    }
    for status, advice in what_to_do.items():
        said = taken_message(OFFER, MUG, RECORD | {"status": status, "value": Decimal(2), "reason": "none"})
        assert said == (
            f"change c1 of mug at DC1 is known with another value and reason and is {status}; its record says "
            f"value 2 (here {OFFER.value}), reason none (here {OFFER.reason or 'nothing'}): {advice}"
        )
