"""Files and messages: each has its receipt, and comes again only where a service is in trouble."""

import gzip
import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from inventory_updater.intake import bucket_files
from inventory_updater.intake.bucket import FileVersion, short_name
from inventory_updater.stock.items import ItemKey
from tests.builders import change, item_attributes
from tests.fakes.doorstep import Doorstep, notification
from tests.fakes.dynamodb import failed_request
from tests.fakes.warehouse import MUG, Warehouse

pytestmark = pytest.mark.usefixtures("without_pauses")

HEADER = "change_id,sku,location_id,kind,value,effective_at\n"
SOON = "2026-03-02T20:00:00Z"


def rows(*names: str, sku: str = "mug", kind: str = "adjustment", value: object = -3) -> str:
    return "".join(f"{name},{sku},DC1,{kind},{value},{SOON}\n" for name in names)


def wanted(change_id: str, sku: object = "mug", value: object = -3) -> dict[str, object]:
    said = {"change_id": change_id, "sku": sku, "location_id": "DC1", "kind": "adjustment", "value": value}
    return {**said, "effective_at": SOON}


@pytest.fixture
def door(warehouse: Warehouse) -> Doorstep:
    warehouse.put(item_attributes(on_hand=40, unit_price=10), item_attributes(sku="cup", on_hand=40, unit_price=10))
    return Doorstep(warehouse)


def taken(door: Doorstep, content: bytes | str, name: str = "day.csv", **metadata: str) -> Any:
    version = door.put(name, content, **metadata)
    door.deliver_all()
    receipt = door.receipt(version)
    parts = [receipt[each] for each in ("added", "known", "held", "refused", "not_written")]
    assert receipt["rows"] == sum(parts), receipt
    return receipt


# Files


def test_a_file_is_scheduled_and_its_receipt_says_so(door: Doorstep, warehouse: Warehouse) -> None:
    first = taken(door, HEADER + rows("c1", "c2") + rows("c3", sku="cup"))
    again = taken(door, HEADER + rows("c1", "c2") + rows("c3", sku="cup"))

    assert (first["status"], first["rows"], first["added"]) == ("ACCEPTED", 3, 3)
    assert (again["status"], again["known"], again["known_by_status"]) == ("ACCEPTED", 3, {"PENDING": 3})
    record = warehouse.services.changes.stored([(MUG, "c1")])[MUG, "c1"]
    assert record["actor"] == "principal:AWS:AIDAEXAMPLE"
    assert record["source"] == "incoming/day.csv@version.000001"
    assert not door.bucket.keys("held/") + door.bucket.keys("working/")


def test_json_lines_packed_files_and_decimal_commas_are_files_too(door: Doorstep) -> None:
    lines = "\n".join(json.dumps(wanted(f"j{number}")) for number in range(3))
    semicolons = (HEADER + rows("d1", value="-1,5")).replace(",", ";").replace("1;5", "1,5")

    assert taken(door, lines)["added"] == 3
    assert taken(door, gzip.compress((HEADER + rows("g1")).encode()))["added"] == 1
    assert taken(door, semicolons, decimal_comma="true")["added"] == 1


@pytest.mark.parametrize("lines_a_part", [2, 100])
def test_a_file_without_rows_is_taken_and_its_receipt_says_that_it_has_none(door: Doorstep, lines_a_part: int) -> None:
    door.lines_a_part = lines_a_part
    for blank in ("", "\n\n\n", ",,,,,\n\n,,,,,\n"):
        receipt = taken(door, HEADER + blank)
        assert (receipt["status"], receipt["rows"], receipt["notes"]) == (
            "ACCEPTED",
            0,
            ["it has a header and no rows"],
        )

    # Where all rows are of one item, the other parts have none.
    assert taken(door, HEADER + rows("c1", "c2", "c3", "c4"))["notes"] == []
    refused = taken(door, HEADER.replace("change_id,", ""))
    assert (refused["status"], refused["notes"]) == ("REFUSED", [])


def test_one_bad_row_keeps_the_file_out_and_has_its_line(door: Doorstep, warehouse: Warehouse) -> None:
    receipt = taken(door, HEADER + rows("c1") + rows("c2", value="many") + rows("c3", sku="pot"))

    assert (receipt["status"], receipt["refused"], receipt["not_written"]) == ("REFUSED", 2, 1)
    assert [(each["line"], each["column"], each["code"]) for each in receipt["problems"]] == [
        (3, "value", "NOT_A_NUMBER"),
        (4, "sku", "UNKNOWN_ITEM"),
    ]
    problems = door.bucket.content(receipt["problems_key"]).decode().splitlines()
    assert problems[0] == "line,column,value,code,message"
    assert len(problems) == 3
    assert not warehouse.statuses()
    assert door.told == [receipt]


def test_with_accept_good_whole_items_are_taken_and_the_rest_is_given_back(
    door: Doorstep, warehouse: Warehouse
) -> None:
    receipt = taken(door, HEADER + rows("c1") + rows("c2", value="x") + rows("c3", sku="cup"), accept_good="true")

    assert (receipt["status"], receipt["added"], receipt["refused"], receipt["not_written"]) == (
        *("PARTLY_ACCEPTED", 1),
        *(1, 1),
    )
    assert set(warehouse.statuses()) == {"c3"}
    again = taken(door, HEADER + rows("c2", value="x") + rows("c3", sku="cup"), accept_good="true")
    assert (again["status"], again["known"], again["refused"]) == ("PARTLY_ACCEPTED", 1, 1)
    rejects = door.bucket.content(receipt["rejects_key"]).decode().splitlines()
    assert [each.split(",")[0] for each in rejects] == ["change_id", "c1", "c2"]


def test_what_is_unusual_is_held_with_its_preview_until_it_is_approved(door: Doorstep, warehouse: Warehouse) -> None:
    content = HEADER + rows("c1", kind="price", value=1_000) + rows("c2", sku="cup")
    other = door.put("day.csv.v2", HEADER + rows("o1", kind="price", value=1_000))
    held = door.put("day.csv", content)
    door.deliver_all()

    receipt = door.receipt(held)
    assert (receipt["status"], receipt["held"], receipt["not_written"]) == ("HELD", 1, 1)
    assert (receipt["preview"]["items_changed"], receipt["preview"]["unusual_by_code"]) == (2, {"PRICE_CHANGE": 1})
    assert door.bucket.keys("held/") == [other.held_key, held.held_key]
    assert not warehouse.statuses()

    approved = door.approve(held)
    door.deliver_all()

    assert (door.receipt(approved)["status"], door.receipt(approved)["added"]) == ("ACCEPTED", 2)
    assert door.bucket.keys("held/") == [other.held_key]
    assert door.receipt(held) == receipt


def test_who_approves_one_version_has_not_decided_on_another(door: Doorstep, warehouse: Warehouse) -> None:
    monday = door.put("day.csv", HEADER + rows("c1", kind="price", value=1_000))
    again = door.put("day.csv", HEADER + rows("c1", kind="price", value=1_000))
    tuesday = door.put("day.csv", HEADER + rows("c2", kind="price", value=2_000))
    door.deliver_all()
    assert door.bucket.keys("held/") == [monday.held_key, again.held_key, tuesday.held_key]

    door.approve(monday)
    door.deliver_all()

    assert set(warehouse.statuses()) == {"c1"}
    assert door.bucket.keys("held/") == [tuesday.held_key]


def test_a_file_that_was_turned_down_does_not_wait_again_when_its_message_comes_twice(
    door: Doorstep, warehouse: Warehouse
) -> None:
    held = door.put("day.csv", HEADER + rows("c1", kind="price", value=1_000))
    queued = dict(door.queue)
    door.deliver_all()
    receipt = door.receipt(held)
    door.bucket.delete_object(Bucket=door.bucket.name, Key=held.held_key)

    door.queue |= queued
    door.deliver_all()

    assert (door.bucket.keys("held/"), door.receipt(held)) == ([], receipt)
    assert not warehouse.statuses()


def test_an_approval_is_not_taken_once_more_when_what_it_did_may_be_forgotten(
    door: Doorstep, warehouse: Warehouse
) -> None:
    held = door.put("day.csv", HEADER + rows("c1", kind="price", value=1_000))
    door.deliver_all()
    approved = door.approve(held)
    queued = dict(door.queue)
    door.deliver_all()
    warehouse.clock.goes_on(60 * 86_400)
    warehouse.dynamodb.delete_item(
        TableName=warehouse.tables.changes, Key={"item": {"S": "mug#DC1"}, "change_id": {"S": "c1"}}
    )
    door.bucket.delete_object(Bucket=door.bucket.name, Key=approved.receipt_key)

    door.queue |= queued
    door.deliver_all()

    assert [each["code"] for each in door.receipt(approved)["problems"]] == ["APPROVED_LONG_AGO"]
    assert not warehouse.statuses()


def test_a_file_taken_in_part_waits_for_its_unusual_rows_and_one_that_is_refused_does_not(door: Doorstep) -> None:
    content = HEADER + rows("c1", kind="price", value=1_000) + rows("c2", sku="cup")
    partly = taken(door, content, "partly.csv", accept_good="true")
    refused = taken(door, content + rows("c3", sku="cup", value="x"), "refused.csv")

    assert (partly["status"], partly["held"], refused["status"], refused["held"]) == (
        "PARTLY_ACCEPTED",
        1,
        "REFUSED",
        1,
    )
    assert door.bucket.keys("held/") == [FileVersion(partly["key"], partly["version"]).held_key]


def test_what_may_have_been_taken_and_forgotten_is_held_too(door: Doorstep, warehouse: Warehouse) -> None:
    old = rows("c1", kind="price", value=1_000).replace(SOON, "2001-01-01T00:00:00Z")
    content = HEADER + old + rows("c2")
    held = door.put("day.csv", content)
    door.deliver_all()

    receipt = door.receipt(held)
    assert (receipt["status"], receipt["held"], [each["code"] for each in receipt["problems"]]) == (
        *("HELD", 1),
        ["TOO_OLD"],
    )
    # No option of a command is to be had here.
    assert receipt["problems"][0]["message"].endswith(": it may have been settled and forgotten")
    assert not warehouse.statuses()

    approved = door.approve(held)
    door.deliver_all()

    assert (door.receipt(approved)["status"], door.receipt(approved)["added"]) == ("ACCEPTED", 2)
    assert not door.bucket.keys("held/")


def test_metadata_that_makes_no_sense_is_told_as_it_came(door: Doorstep) -> None:
    problems = taken(door, HEADER, accept_good="yes", number_rows="n" * 50)["problems"]
    assert [(each["column"], each["value"]) for each in problems] == [
        ("accept-good", "yes"),
        ("number-rows", "n" * 40 + "..."),
    ]


def test_what_cannot_be_read_has_a_receipt_that_says_why(door: Doorstep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_files, "MOST_UNPACKED_BYTES", 1 << 20)
    monkeypatch.setattr(bucket_files, "MOST_LINES", 2_000)
    monkeypatch.setattr("inventory_updater.intake.bucket.MOST_BYTES", 1 << 18)
    contents: dict[str, tuple[bytes, dict[str, str]]] = {
        "EMPTY_FILE": (b"", {}),
        "NO_HEADER": (b"hello\n", {}),
        "TOO_LARGE in UTF-8": (gzip.compress((b"\x80" * 1_000 + b"\n") * 500), {}),
        "TOO_LARGE lines": (b"sku\n" * 2_001, {}),
        "TOO_LARGE packed": (gzip.compress(b"\0" * (1 << 21)), {}),
        "TOO_LARGE": (b"x" * (1 << 19), {}),
        "NOT_CSV": (b"PK\x03\x04", {}),
        "BAD_METADATA": (b"", {"accept_good": "yes", "time_zone": "Nowhere", "ids_from": "a", "number_rows": "b"}),
    }
    for name, (content, metadata) in contents.items():
        receipt = taken(door, content, **metadata)
        assert receipt["status"] == "REFUSED", name
        assert (receipt["rows"], receipt["problems"][0]["code"]) == (0, name.split()[0])


def test_what_is_archived_has_a_receipt_that_says_so(door: Doorstep) -> None:
    version = door.put("day.csv", HEADER + rows("c1"))
    gets = itertools.count(1)

    def happens(operation: str, do: Any) -> Any:
        if operation == "get_object" and next(gets) == 2:  # after the question whether there is a receipt
            raise failed_request("InvalidObjectState", 403)
        return do()

    door.bucket.happens = happens
    door.deliver_all()

    receipt = door.receipt(version)
    assert (receipt["status"], [each["code"] for each in receipt["problems"]]) == ("REFUSED", ["ARCHIVED"])


def test_a_receipt_has_the_first_thousand_problems_and_the_file_beside_it_all(door: Doorstep) -> None:
    receipt = taken(door, HEADER + rows(*(f"c{number}" for number in range(1_001)), value="x"))

    assert (len(receipt["problems"]), receipt["problem_count"]) == (1_000, 1_001)
    assert len(door.bucket.content(receipt["problems_key"]).splitlines()) == 1_002


@pytest.mark.parametrize("lines_a_part", [1_000, 2])
def test_more_problems_than_are_kept_end_the_file(
    warehouse: Warehouse, lines_a_part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_files, "MOST_PROBLEMS", 5)
    content = HEADER + "".join(rows(f"c{number}", sku=f"sku-{number}", value="x") for number in range(20))
    receipt = taken(Doorstep(warehouse, lines_a_part), content, accept_good="true")
    assert (receipt["status"], receipt["problem_count"]) == ("REFUSED", 6)
    assert "TOO_MANY_PROBLEMS" in {each["code"] for each in receipt["problems"]}


@pytest.mark.parametrize(
    "name",
    [
        *("a b+c%20.csv", 'ü/😀/\n\t<&>".csv', "x" * 1_000, "é" * 505, "deep/" * 100 + "f.csv"),
        *("messages/x", "a.b.", "day.csv/"),
    ],
)
def test_whatever_a_file_is_called_its_receipt_is_found(door: Doorstep, name: str) -> None:
    version = door.put(name, HEADER + rows("c1", value="x"))
    door.deliver_all()
    assert door.receipt(version)["key"] == f"incoming/{name}"
    assert len(version.problems_key.encode()) <= 1024
    assert short_name(name) == name or len(short_name(name).encode()) <= 937


def test_what_concerns_nobody_is_dropped(door: Doorstep) -> None:
    gone = FileVersion("incoming/day.csv", "version.9")
    door.bucket.store("incoming/day.csv", b"")
    there = [FileVersion(key, door.bucket.store(key, b"")) for key in ("working/x", "incoming/tagged")]
    said: Any = notification(gone, FileVersion("incoming/never", "version.1"), *there)
    said["Records"][-1]["eventName"] = "ObjectTagging:Put"
    folder = FileVersion("incoming/folder/", door.bucket.store("incoming/folder/", b""))
    test_event = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "inventory-intake-test"}
    for each in (test_event, said, notification(folder, size=0)):
        door.send(each)
    assert door.deliver_all() == 1
    assert not door.bucket.keys("receipts/")


# Messages


def test_a_message_has_the_receipt_of_a_call(door: Doorstep, warehouse: Warehouse) -> None:
    good = door.send({"changes": [wanted("m1"), wanted("m2", "cup")]})
    bad = door.send({"changes": [wanted("m3"), wanted("m4", value="x")], "accept_good": False})
    partly = door.send({"changes": [wanted("m5"), wanted("m6", "pot")], "accept_good": True})
    door.deliver_all()

    assert [door.message_receipt(each)["status"] for each in (good, bad, partly)] == [
        "ACCEPTED",
        "REFUSED",
        "PARTLY_ACCEPTED",
    ]
    receipt = door.message_receipt(good)
    assert (receipt["message_id"], [each["result"] for each in receipt["changes"]]) == (good, ["ADDED", "ADDED"])
    record = warehouse.services.changes.stored([(MUG, "m1")])[MUG, "m1"]
    assert (record["actor"], record["source"]) == ("principal:AROAEXAMPLE:shop", f"message:{good}")


def test_a_message_that_makes_no_sense_has_a_receipt(door: Doorstep) -> None:
    bodies = [
        "",
        "{",
        "[]",
        "7",
        "[" * 10_000,
        "9" * 5_000,
        '{"changes": 7}',
        '{"changes": [], "accept_unusual": true}',
        '{"changes": [], "Records": []}',
        '{"changes": [], "Event": "s3:TestEvent"}',
    ]
    bodies += ['{"changes": [], "accept_good": 1}', '{"Records": 7}', '{"Records": [7]}', '{"Records": [{"s3": {}}]}']
    named = [FileVersion("incoming/x", ""), FileVersion("incoming/" + "x" * 1_024, "v"), FileVersion("", "v")]
    bodies += [json.dumps(notification(each)) for each in named]
    bodies.append(bodies[-1].replace('"key": ""', '"key": "incoming/\\ud800"'))
    ids = [door.send(each) for each in bodies]
    while door.queue:
        assert not door.deliver()
    for message_id, body in zip(ids, bodies, strict=True):
        receipt = door.message_receipt(message_id)
        assert (receipt["status"], receipt["problem_count"]) == ("REFUSED", 1), body


def test_however_deep_a_field_is_nested_there_is_a_receipt(door: Doorstep) -> None:
    for depth in range(800, 1_000, 5):  # there is a depth that can just be read, and not be written
        said = json.dumps(wanted("m1")).replace('"mug"', "[" * depth + "]" * depth)
        file, message = door.put("deep.jsonl", said), door.send(f'{{"changes": [{said}]}}')
        door.deliver_all()
        assert [door.receipt(file)["status"], door.message_receipt(message)["status"]] == ["REFUSED"] * 2


# Twice


def test_what_was_answered_is_not_taken_when_it_comes_again_though_it_could_be_by_now(
    door: Doorstep, warehouse: Warehouse
) -> None:
    refused = door.put("day.csv", HEADER + rows("c1", sku="pot"))
    held = door.put("dear.csv", HEADER + rows("c2", kind="price", value=1_000))
    message = door.send({"changes": [wanted("m1", "pot")]})
    queued = dict(door.queue)
    door.deliver_all()
    receipts = [door.receipt(refused), door.receipt(held), door.message_receipt(message)]
    told = list(door.told)

    warehouse.put(item_attributes(sku="pot", on_hand=4), item_attributes(on_hand=40, unit_price=1_000))
    door.queue |= queued
    door.deliver_all()

    assert not warehouse.statuses()
    assert [door.receipt(refused), door.receipt(held), door.message_receipt(message)] == receipts
    assert [each["key"] for each in door.told] == [each["key"] for each in told] * 2


def test_a_notification_of_another_bucket_is_none(door: Doorstep) -> None:
    version = FileVersion("incoming/day.csv", door.bucket.store("incoming/day.csv", (HEADER + rows("c1")).encode()))
    said: Any = notification(version)
    said["Records"][0]["s3"]["bucket"]["name"] = "another"
    message_id = door.send(said)
    door.deliver_all()

    assert [each["code"] for each in door.message_receipt(message_id)["problems"]] == ["BAD_MESSAGE"]
    assert door.bucket.keys("receipts/") == [f"receipts/messages/{message_id}.json"]


# Trouble


def test_what_comes_twice_keeps_its_first_receipt(door: Doorstep) -> None:
    version = door.put("day.csv", HEADER + rows("c1"))
    message_id = door.send({"changes": [wanted("m1")]})
    sent = dict(door.queue)
    door.deliver_all()
    first = door.receipt(version), door.message_receipt(message_id)

    door.queue.update(sent)
    door.deliver_all()

    assert (door.receipt(version), door.message_receipt(message_id)) == first
    assert [each["added"] for each in first] == [1, 1]


def test_trouble_with_one_message_is_not_that_of_the_others(door: Doorstep, caplog: pytest.LogCaptureFixture) -> None:
    refused = failed_request("AccessDenied")

    def refuses(_operation: str, do: Any) -> Any:
        if "put_object" in _operation and len(door.bucket.keys("receipts/")) == 1:
            raise refused
        return do()

    good, bad = door.send({"changes": [wanted("m1")]}), door.send({"changes": [wanted("m2")]})
    door.bucket.happens = refuses

    assert door.deliver() == [bad]
    (said,) = [each for each in caplog.records if each.message == "message failed"]
    assert (vars(said)["error"], vars(said)["code"]) == ("ClientError", "AccessDenied")
    door.bucket.happens = lambda _operation, do: do()
    assert door.deliver() == []
    assert [door.message_receipt(each)["status"] for each in (good, bad)] == ["ACCEPTED", "ACCEPTED"]
    assert door.message_receipt(bad)["known"] == 1


def test_that_nobody_can_be_told_does_not_fail_a_file(door: Doorstep, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_of_the_receipt: object) -> None:
        raise ClientError({"Error": {"Code": "Throttling"}}, "Publish")

    monkeypatch.setattr(door, "told", type("Deaf", (), {"append": fails})())
    assert taken(door, HEADER + rows("c1"))["status"] == "ACCEPTED"


def test_a_conflict_over_a_receipt_passes_by_itself(door: Doorstep) -> None:
    conflicts = [failed_request("ConditionalRequestConflict")] * 2

    def happens(operation: str, do: Any) -> Any:
        if operation == "put_object" and conflicts:
            raise conflicts.pop()
        return do()

    door.bucket.happens = happens
    assert taken(door, HEADER + rows("c1"))["added"] == 1
    assert not conflicts


# Time


def test_a_preview_that_takes_too_long_is_left_out_of_the_receipt(door: Doorstep, warehouse: Warehouse) -> None:
    version = door.put("day.csv", HEADER + rows("c1", kind="price", value=1_000))
    batch = [{"messageId": each, "body": body} for each, body in door.queue.items()]
    asked: list[str] = []
    warehouse.happens = lambda operation, _request: asked.append(operation)

    # What waits is asked for by queries, and takes nearly all of the call.
    door.intake().take(batch, lambda: 20.0 if "query" in asked else 300.0)

    receipt = door.receipt(version)
    assert (receipt["status"], "preview" in receipt, "query" in asked) == ("HELD", False, True)


@pytest.mark.parametrize("allow_negative_stock", [False, True])
def test_a_preview_plans_as_jobs_do(door: Doorstep, allow_negative_stock: bool) -> None:
    version = door.put("day.csv", HEADER + rows("c1", kind="price", value=1_000) + rows("c2", value=-99))
    intake = door.intake()
    stores = replace(intake.stores, allow_negative_stock=allow_negative_stock)
    message = {"messageId": "m1", "body": door.queue.popitem()[1]}

    replace(intake, files=replace(intake.files, stores=stores)).take([message], lambda: 300.0)

    rejected = {} if allow_negative_stock else {"INSUFFICIENT_STOCK": 1}
    assert door.receipt(version)["preview"]["rejected_by_code"] == rejected


def test_a_file_in_parts_has_no_preview(warehouse: Warehouse) -> None:
    warehouse.put(*(item_attributes(on_hand=1_000, unit_price=10, sku=f"sku-{number}") for number in range(7)))
    receipt = taken(
        Doorstep(warehouse, lines_a_part=20), many(40) + rows("dear", sku="sku-1", kind="price", value=5_000)
    )
    assert (receipt["status"], "preview" in receipt) == ("HELD", False)


def test_what_there_is_no_time_for_is_sent_again(door: Doorstep) -> None:
    files = [door.put(f"{number}.csv", HEADER + rows(f"c{number}")) for number in range(3)]
    message = door.send({"changes": [wanted("m1")]})
    door.call_seconds = 100

    assert door.deliver() == []
    assert door.message_receipt(message)["status"] == "ACCEPTED"
    assert len(door.queue) == 3
    assert door.deliver_all() == 3
    assert [door.receipt(each)["added"] for each in files] == [1, 1, 1]


def test_what_failed_has_used_time_up_too(door: Doorstep) -> None:
    fails, waits = (door.put(name, HEADER + rows(name)) for name in ("fails", "waits"))
    door.call_seconds = 100

    def breaks(_operation: str, _do: Any) -> Any:
        door.bucket.happens = lambda _operation, do: do()
        raise failed_request("InternalError")

    door.bucket.happens = breaks

    assert door.deliver() == ["message-1"]
    assert not door.bucket.keys("receipts/")
    assert door.deliver_all() == 2
    assert [door.receipt(each)["added"] for each in (fails, waits)] == [1, 1]


def test_a_message_that_there_is_no_time_for_comes_again_by_itself(door: Doorstep) -> None:
    first, second = (door.send({"changes": [wanted(name)]}) for name in ("m1", "m2"))
    door.call_seconds = 30

    assert door.deliver() == [second]
    assert door.deliver() == []
    assert [door.message_receipt(each)["added"] for each in (first, second)] == [1, 1]


def test_all_files_of_a_notification_go_on_in_another_call(door: Doorstep) -> None:
    files = [
        FileVersion(key, door.bucket.store(key, (HEADER + rows(key[-1])).encode()))
        for key in ("incoming/a", "incoming/b", "incoming/c")
    ]
    door.send(notification(*files))
    door.call_seconds = 100

    assert door.deliver_all() == 3
    assert [door.receipt(each)["added"] for each in files] == [1, 1, 1]


def many(count: int, items: int = 7) -> str:
    return HEADER + "".join(rows(f"c{number}", sku=f"sku-{number % items}") for number in range(count))


@pytest.mark.parametrize(("seconds_between_looks", "calls_needed"), [(0, 1), (50, 6), (500, 12)])
def test_a_large_file_is_taken_in_parts_by_as_many_calls_as_it_needs(
    warehouse: Warehouse, seconds_between_looks: int, calls_needed: int
) -> None:
    warehouse.put(*(item_attributes(on_hand=1_000, sku=f"sku-{number}") for number in range(7)))
    door = Doorstep(warehouse, lines_a_part=20)
    door.seconds_between_looks = seconds_between_looks
    version = door.put("day.csv", many(100))

    calls = door.deliver_all()

    receipt = door.receipt(version)
    assert calls == calls_needed
    assert (receipt["status"], receipt["rows"], receipt["added"]) == ("ACCEPTED", 100, 100)
    assert len(warehouse.statuses()) == 100
    assert not door.bucket.keys("working/")


def test_a_large_file_that_is_put_again_is_known_once(warehouse: Warehouse) -> None:
    warehouse.put(*(item_attributes(on_hand=1_000, sku=f"sku-{number}") for number in range(7)))
    door = Doorstep(warehouse, lines_a_part=20)
    assert taken(door, many(60))["added"] == 60

    again, more = taken(door, many(60)), taken(door, many(60) + rows("new", sku="sku-1") + rows("bad", sku="pot"))

    assert (again["status"], again["added"], again["known_by_status"]) == ("ACCEPTED", 0, {"PENDING": 60})
    assert (more["status"], more["known"], more["refused"], more["not_written"]) == ("REFUSED", 60, 1, 1)


@pytest.mark.parametrize("lines_a_part", [1_000, 10])
def test_a_file_that_cannot_be_read_to_its_end_is_not_taken_in_part(warehouse: Warehouse, lines_a_part: int) -> None:
    warehouse.put(*(item_attributes(on_hand=1_000, sku=f"sku-{number}") for number in range(7)))
    receipt = taken(Doorstep(warehouse, lines_a_part), many(60) + '"never ends', accept_good="true")

    assert (receipt["status"], receipt["problem_count"], receipt["problems"][0]["line"]) == ("REFUSED", 1, 62)
    assert not warehouse.statuses()


def test_an_id_that_is_taken_between_check_and_write_is_told_and_the_rest_written(warehouse: Warehouse) -> None:
    warehouse.put(*(item_attributes(on_hand=1_000, sku=f"sku-{number}") for number in range(7)))
    door = Doorstep(warehouse, lines_a_part=20)
    door.seconds_between_looks = 500  # a call for each piece
    version = door.put("day.csv", many(40))
    while len(door.bucket.keys("working/")) < 3:
        door.deliver()

    warehouse.schedule(ItemKey("sku-5", "DC1"), change("c5", "adjustment", -9))
    door.deliver_all()

    receipt = door.receipt(version)
    assert (receipt["status"], receipt["rows"], receipt["added"], receipt["refused"]) == ("PARTLY_ACCEPTED", 40, 39, 1)
    assert [each["code"] for each in receipt["problems"]] == ["CHANGE_ID_TAKEN"]


def test_what_becomes_too_old_before_its_part_is_written_is_held(warehouse: Warehouse) -> None:
    warehouse.put(*(item_attributes(on_hand=1_000, sku=f"sku-{number}") for number in range(7)))
    door = Doorstep(warehouse, lines_a_part=20)
    door.seconds_between_looks = 500  # a call for each piece
    version = door.put("day.csv", many(40) + rows("next-year", sku="sku-6").replace("2026", "2027"))
    while len(door.bucket.keys("working/")) < 3:
        door.deliver()

    warehouse.clock.goes_on(60 * 86_400)
    door.deliver_all()

    receipt = door.receipt(version)
    assert (receipt["status"], receipt["added"], receipt["held"], receipt["not_written"]) == ("HELD", 0, 40, 1)
    assert {each["code"] for each in receipt["problems"]} == {"TOO_OLD"}
    assert not warehouse.statuses()
    assert door.bucket.keys("held/") == [version.held_key]


def test_what_is_wrong_is_the_same_in_parts_as_in_one(warehouse: Warehouse) -> None:
    content = many(60) + rows("bad", sku="sku-1", value="x") + rows("c2", sku="sku-2") + "a,b\n"
    content += rows("dear", sku="sku-3", kind="price", value=5_000)
    told = []
    for lines_a_part, good in ((1_000, "false"), (10, "false"), (1_000, "true"), (10, "true")):
        warehouse.clear()
        warehouse.put(*(item_attributes(on_hand=1_000, unit_price=10, sku=f"sku-{number}") for number in range(6)))
        warehouse.schedule(ItemKey("sku-5", "DC1"), change("c5", "adjustment", -9))
        door = Doorstep(warehouse, lines_a_part)
        receipt = taken(door, content, accept_good=good)
        rejects = door.bucket.content(receipt["rejects_key"]) if good == "true" else b""
        told.append(({**receipt, "taken_at": ""}, rejects, door.bucket.content(receipt["problems_key"])))

    assert told[0] == told[1]
    assert told[2] == told[3]
    assert (told[0][0]["status"], told[2][0]["status"]) == ("REFUSED", "PARTLY_ACCEPTED")


@pytest.mark.slow
def test_of_a_hundred_thousand_rows_the_bad_one_is_named_or_the_others_taken(warehouse: Warehouse) -> None:
    warehouse.put(*(item_attributes(on_hand=1_000, sku=f"sku-{number}") for number in range(1_000)))
    lines = many(100_000, items=1_000).splitlines(keepends=True)
    lines[1_001] = rows("bad", sku="sku-7", value="x")  # in the place of a row of sku-0

    refused = taken(Doorstep(warehouse), "".join(lines))
    partly = taken(Doorstep(warehouse, lines_a_part=4_000), "".join(lines[:10_001]), accept_good="true")

    assert (refused["status"], refused["rows"], refused["refused"]) == ("REFUSED", 100_000, 1)
    assert [(each["line"], each["column"]) for each in refused["problems"]] == [(1_002, "value")]
    assert (partly["status"], partly["added"]) == ("PARTLY_ACCEPTED", 9_989)
    assert (partly["refused"], partly["not_written"]) == (1, 10)
    assert len(warehouse.statuses()) == 9_989
