"""The intake killed at each of its requests in turn, and then once more: nothing is lost, and nothing doubled."""

import itertools
import json
from collections.abc import Callable, Iterator

import pytest

from tests.builders import item_attributes
from tests.fakes.doorstep import Doorstep
from tests.fakes.warehouse import Warehouse
from tests.simulation.faults import ProcessDied

pytestmark = pytest.mark.usefixtures("without_pauses")

HEADER = "change_id,sku,location_id,kind,value,effective_at\n"
SOON = "2026-03-02T20:00:00Z"
ROWS = 30


def row(number: int, value: object = -1) -> dict[str, object]:
    said = {"change_id": f"c{number}", "sku": f"sku-{number % 5}", "location_id": "DC1", "kind": "adjustment"}
    return {**said, "value": value, "effective_at": SOON}


FILE = HEADER + "".join(",".join(map(str, row(number).values())) + "\n" for number in range(ROWS))
BAD_ROW = ",".join(map(str, row(ROWS, "x").values())) + "\n"
DEAR_ROW = f"dear,sku-1,DC1,price,5000,{SOON}\n"

Deed = Callable[[Doorstep], Callable[[], dict[str, object]]]
"""Puts or sends something, and returns what says its receipt."""


def file_of(content: str, **metadata: str) -> Deed:
    def put(door: Doorstep) -> Callable[[], dict[str, object]]:
        version = door.put("day.csv", content, **metadata)
        return lambda: door.receipt(version)

    return put


def approved(door: Doorstep) -> Callable[[], dict[str, object]]:
    held = door.put("day.csv", FILE + DEAR_ROW)
    door.deliver_all()
    version = door.approve(held)
    return lambda: door.receipt(version)


def message(door: Doorstep) -> Callable[[], dict[str, object]]:
    message_id = door.send({"changes": [row(number) for number in range(ROWS)]})
    return lambda: door.message_receipt(message_id)


DEEDS: dict[str, tuple[Deed, int, str, int]] = {
    # what is done, lines a part, the status of its receipt, and how many changes there are then
    "file": (file_of(FILE), 1_000, "ACCEPTED", ROWS),
    "file in parts": (file_of(FILE), 10, "ACCEPTED", ROWS),
    "file with a bad row": (file_of(FILE + BAD_ROW), 1_000, "REFUSED", 0),
    "file taken in part": (file_of(FILE + BAD_ROW, accept_good="true"), 1_000, "PARTLY_ACCEPTED", ROWS * 4 // 5),
    "file in parts taken in part": (file_of(FILE + BAD_ROW, accept_good="true"), 10, "PARTLY_ACCEPTED", ROWS * 4 // 5),
    "file that is held": (file_of(FILE + DEAR_ROW), 1_000, "HELD", 0),
    "file that is approved": (approved, 1_000, "ACCEPTED", ROWS + 1),
    "message": (message, 1_000, "ACCEPTED", ROWS),
}


def opened(deed: Deed, lines_a_part: int) -> tuple[Doorstep, Callable[[], dict[str, object]]]:
    warehouse = Warehouse()
    warehouse.put(*(item_attributes(on_hand=1_000, unit_price=10, sku=f"sku-{number}") for number in range(5)))
    door = Doorstep(warehouse, lines_a_part)
    door.seconds_between_looks = 50  # a file in parts takes several calls
    return door, deed(door)


def deaths(deed: Deed, lines_a_part: int) -> Iterator[tuple[Doorstep, Callable[[], dict[str, object]], str]]:
    """The deed, with the process killed at each of its requests, before and after that is done."""
    for number in itertools.count(2):
        request, is_done = number // 2, bool(number % 2)
        door, receipt = opened(deed, lines_a_part)
        door.dies_at(request, is_done=is_done)
        try:
            door.deliver_all()
        except ProcessDied:
            yield door, receipt, f"killed {'after' if is_done else 'before'} request {request}"
        else:
            return


QUICK = ("file with a bad row", "message", "file taken in part")


@pytest.mark.parametrize(
    "name", [each if each in QUICK else pytest.param(each, marks=pytest.mark.slow) for each in DEEDS]
)
def test_killed_at_any_request_and_delivered_again_the_work_is_done_once(name: str) -> None:
    deed, lines_a_part, status, changes = DEEDS[name]
    undisturbed, _ = opened(deed, lines_a_part)
    undisturbed.deliver_all()
    killed = 0
    for door, receipt, when in deaths(deed, lines_a_part):
        killed += 1
        door.all_is_well()
        door.deliver_all()

        said = receipt()
        there = json.loads(json.dumps(said))
        assert (said["status"], len(door.warehouse.statuses())) == (status, changes), when
        assert there["added"] + there["known"] == changes, when
        assert there["rows"] == sum(there[each] for each in ("added", "known", "held", "refused", "not_written")), when
        assert door.bucket.keys() == undisturbed.bucket.keys(), when
        assert not door.queue, when
    assert killed >= 10
