"""The JSON Schemas: they say what the code says, let through what it takes, and promise what it answers."""

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from cli.engine import CHECKOUT
from inventory_updater.intake.calls import LIFE
from inventory_updater.intake.messages import NAMES, read_changes
from inventory_updater.intake.receipts import SCHEMA, Answer, Result
from inventory_updater.intake.refusals import REFUSALS_KEPT
from inventory_updater.intake.text_rows import (
    CHANGE_COLUMNS,
    MAXIMUM_REMARK_BYTES,
    REQUIRED_CHANGE_COLUMNS,
    ChangeRow,
)
from inventory_updater.intake.withdrawing import cancel_changes, dismiss_changes, retry_changes
from inventory_updater.reports import results
from inventory_updater.stock.attributes import as_json
from inventory_updater.stock.change_records import WINDOW_KINDS, Status
from inventory_updater.stock.changes import KINDS, MAXIMUM_ID_BYTES
from inventory_updater.stock.items import StockStatus
from inventory_updater.stock.levels import item_document
from inventory_updater.stock.scheduling import UNKNOWN
from inventory_updater.tables.change_table import REJECTED_SHARD, SHARDS
from inventory_updater.tables.inventory_table import SCOPES
from inventory_updater.tables.protocol import Protocol
from inventory_updater.tables.records import JobStatus, Run, Tally
from tests.builders import change, item_attributes, moment
from tests.fakes.warehouse import MUG, Warehouse, items_with_work, mug
from tests.schemas import FOLDER, not_said, not_taken, schemas

CONTRACT: Final = (CHECKOUT / "docs" / "contract.md").read_text(encoding="utf-8")


def part(name: str, *path: str | int) -> Any:
    """What a schema says at a place."""
    found: Any = schemas()[name]
    for step in path:
        found = found[step]
    return found


def fields(name: str, *path: str | int) -> list[str]:
    return list(part(name, *path, "properties"))


# What they are


def test_every_schema_is_one_is_named_after_its_file_and_is_linked_to_in_the_contract() -> None:
    assert len(schemas()) > 10
    for name, schema in schemas().items():
        Draft202012Validator.check_schema(schema)
        assert (schema["$id"], schema["$schema"]) == (f"{name}.json", Draft202012Validator.META_SCHEMA["$id"])
        assert (FOLDER / schema["$id"]).exists()
        assert f"(schemas/{name}.json)" in CONTRACT, name


# What they say


def test_the_fields_and_limits_of_a_change_are_those_of_the_code() -> None:
    properties = part("change", "properties")

    assert tuple(properties) == CHANGE_COLUMNS
    assert tuple(part("change", "required")) == REQUIRED_CHANGE_COLUMNS
    assert tuple(properties["kind"]["enum"]) == KINDS
    lengths = {name: said["maxLength"] for name, said in properties.items() if "maxLength" in said}
    assert lengths == dict.fromkeys(NAMES, MAXIMUM_ID_BYTES) | dict.fromkeys(
        ("reason", "reference"), MAXIMUM_REMARK_BYTES
    )
    assert part("change", "allOf", 0, "if", "properties", "kind", "enum") == [
        kind for kind in KINDS if kind not in WINDOW_KINDS
    ]


def test_the_calls_name_changes_as_the_code_does() -> None:
    for name in ("call.cancel", "call.status"):
        assert tuple(fields(name, "properties", "changes", "items")) == NAMES
        assert {said["maxLength"] for said in part(name, "properties", "changes", "items", "properties").values()} == {
            MAXIMUM_ID_BYTES
        }
    assert [part(f"call.{action}", "properties", "action", "const") for action in ("cancel", "schedule", "show")] == [
        *("cancel", "schedule", "show")
    ]
    # What may be said of a call by its caller is not for whoever may send a message.
    assert set(fields("call.schedule")) - set(fields("message")) == {"action", "accept_unusual"}


def test_what_may_come_of_a_request_is_what_the_code_knows() -> None:
    for name in ("receipt.call", "receipt.file"):
        assert part(name, "properties", "status", "enum") == [answer.value for answer in Answer]
        assert part(name, "properties", "problems", "maxItems") == REFUSALS_KEPT
        assert {result.lower() for result in Result} <= set(fields(name))
    statuses = [status.value for status in Status]
    a_change = ("properties", "changes", "items", "properties")
    assert part("receipt.call", *a_change, "result", "enum") == [result.value for result in Result]
    assert part("receipt.call", *a_change, "status", "enum") == statuses
    assert part("receipt.file", "properties", "known_by_status", "propertyNames", "enum") == statuses
    assert part("change-record", "properties", "status", "enum") == statuses
    for name in ("answer.cancel", "answer.status"):
        assert part(name, *a_change, "status", "enum") == [*statuses, UNKNOWN]
    assert tuple(part("answer.status", *a_change))[len(NAMES) + 2 :] == LIFE
    shows = part("answer.show", "properties", "item", "anyOf", 1, "properties")
    assert shows["stock_status"]["enum"] == [status.value for status in StockStatus]


def test_a_record_has_the_fields_and_shards_of_the_code() -> None:
    assert set(fields("change-record")) >= {*CHANGE_COLUMNS, *LIFE}
    pattern = part("change-record", "properties", "due_shard", "pattern")
    assert [shard for shard in (*SHARDS, REJECTED_SHARD) if not re.search(pattern, shard)] == []
    assert not re.search(pattern, str(len(SHARDS)))


def test_a_result_is_of_a_job_that_has_ended_and_counts_what_the_code_counts() -> None:
    run = Run("job", JobStatus.RUNNING, "due", "manual", moment("08:00"), moment("08:00"), segments=1)
    has_ended = [status.value for status in JobStatus if replace(run, status=status).has_metrics]

    assert part("job-result", "properties", "status", "enum") == has_ended
    assert part("job-result", "properties", "scope", "enum") == list(SCOPES)
    assert tuple(fields("job-result", "properties", "counts")) == results.COUNTS


def test_every_answer_says_the_version_that_the_code_has() -> None:
    versions = {
        name: said["properties"]["schema"]["const"] for name, said in schemas().items() if "schema" in fields(name)
    }

    assert versions == {
        **dict.fromkeys(("answer.cancel", "answer.show", "answer.status", "receipt.call", "receipt.file"), SCHEMA),
        "job-result": results.SCHEMA,
    }


# What they let through

TIMES: Final = st.sampled_from(
    [
        *("2027-03-02T08:30:00+01:00", "2027-03-02t08:30:00z", "2027-03-02 08:30:00.123456Z", moment("08:00")),
        *(
            "2027-03-02T08:30:00-0530",
            "9999-12-31T23:59:59Z",
            "2027-03-02T08:30:00",
            "2027-03-02",
            "2027-02-30T08:30:00Z",
        ),
    ]
)
LATER: Final = st.sampled_from(["2028-01-01T00:00:00Z", "2029-12-31T23:59:59.5+14:00", "", None])
TEXTS: Final = st.text(min_size=1, max_size=70).map(str.strip)
IDS: Final = st.sampled_from(["mug", "DC1", "x" * 64, "x" * 65, "\u00e9" * 40]) | TEXTS
VALUES: Final[st.SearchStrategy[object]] = st.one_of(
    *(st.integers(-5), st.integers(-5, 10**40).map(str), st.floats(0, 1e9).map(lambda value: round(value, 3))),
    *(st.decimals(-5, places=3).map(str), st.floats()),
    st.sampled_from(["", "1e5", "1,5", "+.5", "7.", "-0.000", "9" * 40, "\u0661", None, True, []]),
)
CHANGES: Final = st.fixed_dictionaries(
    {
        "change_id": IDS,
        "sku": IDS,
        "location_id": IDS,
        "kind": st.sampled_from([*KINDS, *KINDS, "sale"]),
        "value": VALUES,
        "effective_at": TIMES,
    },
    optional={
        "until": LATER,
        "expected": VALUES,
        "not_after": LATER,
        "reason": st.text(max_size=140).map(str.strip) | st.none(),
        "reference": st.text(max_size=140).map(str.strip) | st.none(),
    },
)


@given(CHANGES)
def test_what_the_code_takes_as_a_change_the_schema_lets_through(said: Mapping[str, object]) -> None:
    [read, *_] = read_changes([said])

    if isinstance(read, ChangeRow):
        assert not_taken("change", said) == []


def test_what_the_schema_refuses_of_a_change_the_code_refuses() -> None:
    good = {
        "change_id": "c1",
        "sku": "mug",
        "location_id": "DC1",
        "kind": "price",
        "value": 1,
        "effective_at": moment("08:00"),
    }
    bad: list[dict[str, object]] = [
        *({name: value for name, value in good.items() if name != missing} for missing in REQUIRED_CHANGE_COLUMNS),
        *({**good, name: "x" * 65} for name in NAMES),
        *({**good, name: "x" * 129} for name in ("reason", "reference")),
        *({**good, "value": value} for value in ("1e5", "", None, True, "1,5")),
        *({**good, "effective_at": value} for value in ("2027-03-02", "2027-03-02T08:30:00", 0, None)),
        *({**good, "kind": kind, "until": "2099-01-01T00:00:00Z"} for kind in ("adjustment", "count")),
        {**good, "kind": "adjustment", "expected": 0},
        {**good, "kind": "sale"},
        {**good, "actor": "me"},
    ]

    assert (not_taken("change", good), isinstance(next(read_changes([good])), ChangeRow)) == ([], True)
    assert [said for said in bad if not not_taken("change", said)] == []
    assert [said for said in bad if isinstance(next(read_changes([said])), ChangeRow)] == []


def test_a_message_and_the_receipt_of_a_file_are_as_the_schemas_say() -> None:
    wanted = {
        "change_id": "c1",
        "sku": "mug",
        "location_id": "DC1",
        "kind": "count",
        "value": 4,
        "effective_at": moment("08:00"),
    }
    receipt = {
        "schema": 1,
        "status": "REFUSED",
        "key": "incoming/monday.csv",
        "version": "3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY",
        "rows": 2,
        "added": 0,
        "known": 0,
        "known_by_status": {},
        "held": 0,
        "refused": 1,
        "not_written": 1,
        "problems": [{"line": 2, "column": "value", "value": "1,5", "code": "NOT_A_NUMBER", "message": "no number"}],
        "problem_count": 1,
        "problems_key": "receipts/monday.csv.3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY.problems.csv",
        "notes": [],
        "taken_at": moment("08:00"),
    }

    assert not_taken("message", {"changes": [wanted], "accept_good": True}) == []
    assert not_taken("message", {"changes": [wanted], "accept_unusual": True}) != []
    assert not_said("receipt.file", receipt) == []
    assert not_said("receipt.file", {**receipt, "status": "LOST"}) != []


# What they promise


def test_every_example_of_the_contract_is_as_its_schema_says() -> None:
    blocks = [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```$", CONTRACT, re.MULTILINE | re.DOTALL)]
    calls = [(each, answer) for each, answer in itertools.pairwise(blocks) if "action" in each]
    actions = {call["action"] for call, _ in calls}
    [result] = [each for each in blocks if "counts" in each]

    assert actions == {"schedule", "cancel", "status", "show"}
    for call, answer in calls:
        action = call["action"]
        # One example shows what becomes of a call with a bad change in it.
        is_good = action != "schedule" or answer["status"] == "ACCEPTED"
        assert (not_taken(f"call.{action}", call) == []) is is_good
        assert not_said("receipt.call" if action == "schedule" else f"answer.{action}", answer) == []
    assert not_said("job-result", result) == []


def test_an_item_is_shown_as_the_schema_says_even_one_that_cannot_be_read() -> None:
    items = {
        "good": item_attributes(on_hand=40, unit_price=10),
        "without a price": item_attributes(on_hand=40, unit_price=None),
        "no number": {**item_attributes(), "on_hand": "many"},
        "too exact": {**item_attributes(), "on_hand": Decimal("9e40"), "reserved": Decimal("0.1")},
    }
    shown = {name: json.loads(json.dumps(item_document(item), default=as_json)) for name, item in items.items()}

    assert [name for name, item in shown.items() if item["problem"]] == ["no number", "too exact"]
    for name, item in shown.items():
        assert (name, not_said("answer.show", {"schema": SCHEMA, "item": item})) == (name, [])
    assert not_said("answer.show", {"schema": SCHEMA, "item": {**shown["good"], "on_hand": "many"}}) != []


def test_every_record_that_the_product_writes_is_as_the_schema_says() -> None:
    warehouse = Warehouse()
    warehouse.put(
        mug(
            change("sold", value=-3),
            change("sale", "price", 5, "09:00", until="11:00"),
            change("open", "price", 4, "09:00", until="20:00"),
            change("counted", "count", 7, "09:30", expected=7),
            change("older", "count", 6, "08:30"),
            change("oversold", value=-99, at="10:00"),
            change("retried", value=-99, at="10:01"),
            change("dismissed", value=-99, at="10:02"),
            change("waits", "safety_stock", 1, "20:00"),
            change("cancelled", "price", 3, "20:00"),
        ),
        *items_with_work(2),
    )
    services = warehouse.services
    protocol = Protocol(services.dynamodb, services.inventory, services.changes, {"cancelled_by": "call:1"})
    warehouse.run_job()
    warehouse.schedule(MUG, change("late", value=1, at="07:00"))
    warehouse.run_job("job-2")
    list(cancel_changes(protocol, [((MUG, "cancelled"), None)], services.now))
    retry_changes(services.dynamodb, services.changes, {MUG: ["retried"]}, services.now())
    dismiss_changes(services.dynamodb, services.changes, {MUG: ["dismissed"]}, services.now(), actor="ann")

    written = {name: json.loads(json.dumps(record, default=as_json)) for name, record in warehouse.records().items()}

    assert {record["status"] for record in written.values()} == {status.value for status in Status}
    assert {name: problems for name, record in written.items() if (problems := not_said("change-record", record))} == {}


def test_every_result_that_the_product_publishes_is_as_the_schema_says() -> None:
    warehouse = Warehouse()
    warehouse.put(*items_with_work(1))
    warehouse.run_job("small")
    warehouse.open_with(*items_with_work(3))
    warehouse.close("States.Timeout: too slow")
    run = Run(
        *("job", JobStatus.ABANDONED, "all", "schedule", moment("08:00"), moment("08:00"), 4, moment("09:00"), 3600.5),
        tally=Tally(changes_rejected=1),
        error="found without a live lease",
    )

    published = [*warehouse.results.published, results.result_of(run, "prod", "jobs")]

    assert [each["status"] for each in published] == ["SUCCEEDED", "FAILED", "ABANDONED"]
    assert [problems for each in published if (problems := not_said("job-result", each))] == []
