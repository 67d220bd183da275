"""Malformed files and messages, whatever is in them: each has a receipt, and nothing of them is in the log."""

import gzip
import json
import logging
import zlib
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.builders import item_attributes
from tests.fakes.doorstep import BUCKET, Doorstep
from tests.fakes.warehouse import Warehouse

SECRET: Final = "recipe-of-the-secret-sauce"
HEADER: Final = "change_id,sku,location_id,kind,value,effective_at,reason"
GOOD: Final = {
    "change_id": "c1",
    "sku": "mug",
    "location_id": "DC1",
    "kind": "adjustment",
    "value": -1,
    "effective_at": "2026-03-02T20:00:00Z",
    "reason": SECRET,
}

# Anything that UTF-8 can hold, as S3 allows it in a key.
names: Final = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
json_values: Final[st.SearchStrategy[Any]] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([SECRET, 10**400, "9" * 5_000, "\ud800", "=cmd|' /C calc'!A0", "0x10", "1e999", ""]),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=6), values, max_size=3),
    max_leaves=6,
)
objects: Final = st.builds(
    lambda spoilt, gone: {name: each for name, each in {**GOOD, **spoilt}.items() if name not in gone},
    st.dictionaries(st.sampled_from(list(GOOD)) | st.text(max_size=5), json_values, max_size=3),
    st.sets(st.sampled_from(list(GOOD)), max_size=2),
)
cells: Final = st.text(max_size=12) | st.sampled_from([SECRET, *map(str, GOOD.values()), '"', "9" * 300, "=1+1", "\0"])
headers: Final = [
    HEADER,
    HEADER.replace(",", ";"),
    "",
    ",".join(f"c{number}" for number in range(1_000)),
    HEADER + ",sku",
]
tables: Final = st.builds(
    lambda header, rows, end, joint: end.join([header, *map(joint.join, rows)]),
    st.sampled_from(headers),
    st.lists(st.lists(cells, max_size=9), max_size=5),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([",", ";", "\t"]),
)
lines: Final = st.lists(objects | json_values, max_size=4).map(lambda said: "\n".join(map(json.dumps, said)))
ends: Final = st.integers(0, 300)
texts: Final = st.one_of(
    tables.map(str.encode),
    lines.map(str.encode),
    st.builds(lambda text, end: text.encode()[:end], lines, ends),
    tables.map(lambda text: text.encode("utf-16")),
    st.binary(max_size=300).map(lambda content: SECRET.encode() + content),
)
contents: Final = st.one_of(
    texts,
    texts.map(gzip.compress),
    texts.map(lambda content: gzip.compress(content)[:-3]),
    texts.map(lambda content: b"\x1f\x8b" + zlib.compress(content)),
    st.sampled_from([b"a,b\n", b"\n", b'{"a":1}\n']).map(lambda each: gzip.compress(each * 100)),
    st.just(gzip.compress(b"\0" * 2_000_000)),
)
metadata: Final = st.dictionaries(
    st.sampled_from(["accept-good", "decimal-comma", "time-zone", "ids-from", "number-rows", "other"]),
    st.sampled_from(["true", "false", "Europe/Berlin", "sku,value", "reason", "", "../../etc", SECRET, "x" * 99]),
    max_size=3,
)
keys: Final = json_values | st.sampled_from(
    [SECRET, f"incoming/{SECRET}", "incoming/x", "approved/%00", "receipts/x", "incoming/%ff", "incoming/" * 200]
)


def notified(key: object, version: object, event: object) -> str:
    of_object = {"key": key, "versionId": version}
    return json.dumps({"Records": [{"eventName": event, "s3": {"bucket": {"name": BUCKET}, "object": of_object}}]})


orders: Final = st.lists(objects | json_values, max_size=4).map(lambda changes: json.dumps({"changes": changes}))
bodies: Final = st.one_of(
    st.text(max_size=50),
    json_values.map(json.dumps),
    orders,
    st.builds(lambda text, end: text[:end], orders, ends),
    st.dictionaries(
        st.sampled_from(["changes", "accept_good", "accept_unusual", "Records", "Event", "x"]), json_values, max_size=3
    ).map(json.dumps),
    st.builds(notified, keys, json_values, json_values | st.just("ObjectCreated:Put")),
)


def assert_taken(
    warehouse: Warehouse, name: str, content: bytes, said: dict[str, str], body: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    warehouse.clear()
    warehouse.put(item_attributes(on_hand=40, unit_price=10))
    step = Doorstep(warehouse, lines_a_part=3)
    version = step.put(name, content, **said)
    message = step.send(body)
    while step.queue:
        assert not step.deliver(), caplog.records

    there = step.bucket.keys("")
    assert {each.partition("/")[0] for each in there} <= {"incoming", "receipts", "held"}
    receipt = step.receipt(version)
    counts = [receipt[each] for each in ("added", "known", "held", "refused", "not_written")]
    assert receipt["rows"] == sum(counts), receipt
    assert receipt["status"] in ("ACCEPTED", "PARTLY_ACCEPTED", "HELD", "REFUSED")
    assert (receipt["status"] == "ACCEPTED") == (not receipt["problem_count"])
    key = f"receipts/messages/{message}.json"
    of_message = step.message_receipt(message) if key in there else {"added": 0}
    assert receipt["added"] + of_message["added"] == len(step.warehouse.dynamodb.items(step.warehouse.tables.changes))
    assert SECRET not in caplog.text + "".join(str(vars(record)) for record in caplog.records)


of_anything: Final = given(name=names, content=contents, said=metadata, body=bodies)


@pytest.mark.usefixtures("without_pauses")
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@example(name="x", content=b"", said={}, body=notified(f"incoming/{SECRET}", SECRET, "ObjectCreated:Put"))
@of_anything
def test_whatever_is_put_and_sent_has_a_receipt(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture, name: str, content: bytes, said: dict[str, str], body: str
) -> None:
    caplog.set_level(logging.DEBUG, logger="inventory_updater")
    assert_taken(warehouse, name, content, said, body, caplog)


@pytest.mark.slow
@pytest.mark.parametrize("thousand", range(10))
@pytest.mark.usefixtures("without_pauses")
@settings(max_examples=1_000, suppress_health_check=list(HealthCheck))
@of_anything
def test_ten_thousand_times_whatever_is_put_and_sent_has_a_receipt(
    thousand: int,  # noqa: ARG001  # a test of its own has a time of its own
    warehouse: Warehouse,
    caplog: pytest.LogCaptureFixture,
    name: str,
    content: bytes,
    said: dict[str, str],
    body: str,
) -> None:
    caplog.set_level(logging.DEBUG, logger="inventory_updater")
    assert_taken(warehouse, name, content, said, body, caplog)
