"""Bad input at every door: a clear error, nothing written, and nothing of an item in the log."""

import contextlib
import json
import logging
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, cast

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inventory_updater import handler
from inventory_updater.dynamodb.values import to_attribute_values
from inventory_updater.intake.change_files import read_change_file
from inventory_updater.intake.csv_format import CsvError, read_stock_file
from inventory_updater.intake.text_rows import Problem
from inventory_updater.jobs.closing import close_job
from inventory_updater.jobs.opening import open_job
from inventory_updater.jobs.requests import BadRequestError
from inventory_updater.jobs.settings import Settings
from inventory_updater.jobs.worker import update_segment
from inventory_updater.stock.items import ItemKey, item_id
from inventory_updater.tables.records import JobStatus
from tests.builders import (
    ENVIRONMENT,
    Stocked,
    change,
    item_attributes,
    moment,
    mugs,
    record_attributes,
    stocked,
    with_a_sale,
)
from tests.refusals import refusal
from tests.shop import Shop, put_items
from tests.strategies import dynamodb_values, texts

OPEN: Final = {"action": "open", "job_id": "job-1", "started_at": "2026-03-02T12:00:00Z", "input": {"scope": "due"}}
UPDATE: Final = {"action": "update", "job_id": "job-1", "segment": 0}
CLOSE: Final = {**OPEN, "action": "close", "error": {"Error": "", "Cause": ""}}

SECRET: Final = "recipe-of-the-secret-sauce"

json_values: Final[st.SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=6), values, max_size=3),
    max_leaves=6,
)


class Context:
    aws_request_id = "11111111-2222-3333-4444-555555555555"
    function_name = "inventory-updater-test"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


class Untouched:
    """Services that nobody may use: an event that is bad is refused before anything else happens."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a bad event came as far as {name}")


# The event


def spoilt(event: Mapping[str, Any], path: tuple[str, ...], value: Any) -> Any:
    """The event with another value at the end of this path."""
    name, *rest = path
    return {**event, name: spoilt(event[name], tuple(rest), value) if rest else value}


def bad_events() -> st.SearchStrategy[Any]:
    def other_than(is_good: Callable[[Any], bool]) -> st.SearchStrategy[Any]:
        return json_values.filter(lambda value: not is_good(value))

    not_text = other_than(lambda value: isinstance(value, str))
    bad_ids = st.sampled_from(["", "x" * 2_000, "a\nb", "half \ud800", "\0", "é" * 500])
    begin: list[Mapping[str, Any]] = [OPEN, CLOSE]
    every: list[Mapping[str, Any]] = [OPEN, UPDATE, CLOSE]
    bad: list[tuple[list[Mapping[str, Any]], tuple[str, ...], st.SearchStrategy[Any]]] = [
        (every, ("action",), other_than(lambda value: value in ("open", "update", "close"))),
        (every, ("job_id",), not_text | bad_ids),
        (begin, ("started_at",), not_text | st.text(max_size=30)),
        (begin, ("input",), other_than(lambda value: isinstance(value, dict) and value.get("scope") in ("due", "all"))),
        (begin, ("input", "as_of"), other_than(lambda value: value is None)),
        (begin, ("input", "dry_run"), json_values),
        (begin, ("input", "cursor"), json_values),
        ([UPDATE], ("segment",), other_than(lambda value: isinstance(value, int) and not isinstance(value, bool))),
    ]
    return st.one_of(
        other_than(lambda value: isinstance(value, dict)),
        *(st.builds(spoilt, st.sampled_from(events), st.just(path), value) for events, path, value in bad),
    )


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(event=bad_events())
def test_a_bad_event_is_refused_by_name_before_anything_is_touched(monkeypatch: pytest.MonkeyPatch, event: Any) -> None:
    monkeypatch.setattr(handler, "services", Untouched)

    with pytest.raises(BadRequestError) as refused:
        handler.handle(event, Context())

    assert len(str(refused.value)) < 300


def test_a_cursor_in_an_event_leads_nowhere(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.put(with_a_sale())
    monkeypatch.setattr(handler, "services", lambda: shop.set_up_with(page_size=1).services)
    # More than one page, so that opening does not settle it.
    shop.put(*mugs(3))
    handler.handle(OPEN, Context())

    answer = handler.handle({**UPDATE, "cursor": {"sku": "zzz", "location_id": "zzz"}}, Context())

    assert answer == {"done": True}
    assert shop.item()["on_hand"] == 7


def test_a_foreign_cursor_in_the_record_fails_the_job_by_name_and_writes_nothing(shop: Shop) -> None:
    shop = shop.set_up_with(page_size=1)
    shop.put(with_a_sale(), *mugs(3))
    request = shop.request()
    open_job(shop.services, request)
    segment = shop.services.jobs.begin_call(request.job_id, 0)
    shop.client.update_item(
        TableName=shop.services.jobs.name,
        Key={"job_id": {"S": request.job_id}, "record": {"S": "SEGMENT#000"}},
        UpdateExpression="SET lanes_begun = :all, cursors = :cursors",
        ExpressionAttributeValues={":all": {"N": "64"}, ":cursors": {"M": {"0": {"M": {"order": {"S": "4711"}}}}}},
    )
    before = shop.items()

    with pytest.raises(ClientError, match=r"(?i)ValidationException.* start(ing)? key"):
        update_segment(shop.services, request.job_id, segment.number)
    assert shop.items() == before
    assert close_job(shop.services, request) is JobStatus.FAILED
    run = shop.services.jobs.run(request.job_id)
    assert re.match(r"segment 0: .* start(ing)? key", (run and run.error) or "", re.IGNORECASE)


# Settings


@settings(max_examples=300)
@given(
    variable=st.sampled_from(sorted(ENVIRONMENT)),
    text=st.text(max_size=12) | st.integers().map(str) | st.just("9" * 5_000) | st.just("٣"),
)
def test_a_setting_is_taken_or_refused_by_name(variable: str, text: str) -> None:
    environment = {**ENVIRONMENT, variable: text}

    problem = refusal(Settings.from_environment, environment)

    if problem is not None:
        assert problem.startswith(variable)
        assert len(problem) < 300
        return
    found = getattr(Settings.from_environment(environment), variable.lower())
    if isinstance(found, int):
        assert found == {"true": True, "false": False}.get(text) or found == int(text)
    else:
        assert found == text


# Files


HEADER: Final = b"change_id,sku,location_id,kind,value,effective_at,reason,reference\n"
ROW: Final = b"c1,MUG,LEEDS,adjustment,-12,2026-01-05T12:00:00Z,sale,order 7\n"


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(content=st.binary(max_size=300), place=st.integers(0, len(HEADER + ROW)), has_header=st.booleans())
def test_whatever_is_in_a_file_it_is_read_or_told_in_lines_of_one_problem_each(
    tmp_path: Path, content: bytes, place: int, has_header: bool
) -> None:
    good = HEADER + ROW if has_header else b""
    path = tmp_path / "changes.csv"
    path.write_bytes(good[:place] + content + good[place:])

    for read in (read_change_file, read_stock_file):
        problems: list[str] = []
        try:
            problems += [f"{path}: {each}" for each in read(path) if isinstance(each, Problem)]
        except CsvError as error:
            problems += str(error).splitlines()
        assert all(each.startswith(str(path)) for each in problems)
        assert all(len(each) < len(str(path)) + 700 for each in problems)


@pytest.mark.parametrize("start", [b"x", b'"', HEADER + b'"', b"\xff\xfe", b"PK\x03\x04\0\0"], ids=repr)
def test_a_hundred_megabytes_that_are_no_csv_file_are_refused_without_being_read(tmp_path: Path, start: bytes) -> None:
    path = tmp_path / "changes.csv"
    with path.open("wb") as file:
        file.writelines([start, *[b"x" * 1_000_000] * 100])

    with pytest.raises(CsvError):
        list(read_change_file(path))


# Items

NAMES: Final = sorted({*item_attributes(), "last_set", "windows", "decided", "base_unit_price", "base_reorder_point"})
odd_numbers: Final = st.sampled_from(
    [Decimal("-0"), Decimal("9" * 38), Decimal("-" + "9" * 38), Decimal("1E+100"), Decimal("1E-100"), Decimal("1E+125")]
)


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(data=st.lists(st.tuples(st.sampled_from(NAMES), dynamodb_values | odd_numbers | texts), min_size=1, max_size=8))
def test_whatever_is_in_an_item_it_is_planned_or_recorded_and_never_spoilt(
    shop: Shop, caplog: pytest.LogCaptureFixture, data: list[tuple[str, Any]]
) -> None:
    caplog.set_level(logging.DEBUG, logger="inventory_updater")
    sale = change("sale", "adjustment", -3, reason=SECRET)
    for number, (name, value) in enumerate(data):
        item = item_attributes() | {"description": SECRET}
        if name not in ("sku", "location_id"):
            item[name] = value
        with contextlib.suppress(ClientError):  # an engine refuses, for one, a map with an empty name in it
            shop.put(Stocked(item | {"sku": f"sku-{number}"}, (sale,)))
    before = shop.items()

    run = shop.run(scope="all", as_of=moment("12:00"))

    failed = {(each.sku, each.location_id): each for each in shop.services.jobs.failures(run.job_id)}
    after = shop.items()
    for key, stored in before.items():
        failure = failed.get(key)
        if failure is not None and failure.change_id is None and shop.statuses(*key)["sale"] == "PENDING":
            assert after[key] == stored, "an item that failed is left as it was"
            assert len(failure.message) < 300
        else:
            assert shop.statuses(*key)["sale"] != "PENDING"
            assert after[key]["description"] == stored["description"]
    assert run.status in (JobStatus.SUCCEEDED, JobStatus.COMPLETED_WITH_FAILURES)
    assert SECRET not in caplog.text + "".join(json.dumps(vars(record), default=str) for record in caplog.records)
    for key in after:
        named = {"sku": key[0], "location_id": key[1]}
        shop.client.delete_item(TableName=shop.tables.inventory, Key=to_attribute_values(named))
        record = {"item": item_id(ItemKey(*key)), "change_id": "sale"}
        shop.client.delete_item(TableName=shop.tables.changes, Key=to_attribute_values(record))


RECORD_NAMES: Final = sorted(
    {*record_attributes(ItemKey("mug", "DC1"), change("sale")), "until", "expected", "not_after", "reason", "job_id"}
    - {"item", "change_id", "sku", "location_id", "due_shard", "due_at"}
)


@pytest.mark.slow_on("dynamodb_local")
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(spoilt=st.lists(st.tuples(st.sampled_from(RECORD_NAMES), dynamodb_values | odd_numbers | texts), min_size=1))
def test_whatever_is_in_a_record_it_is_settled_by_itself(shop: Shop, spoilt: list[tuple[str, Any]]) -> None:
    key = ItemKey("mug", "DC1")
    shop.put(item_attributes())
    names = [f"c{number}" for number in range(len(spoilt))]
    with contextlib.suppress(ClientError):  # an engine refuses, for one, a map with an empty name in it
        for name, (attribute, value) in zip(names, spoilt, strict=True):
            put_items(shop.client, shop.tables.changes, [record_attributes(key, change(name)) | {attribute: value}])
    shop.schedule(key, change("sale", "adjustment", -3))

    run = shop.run(as_of=moment("12:00"))

    assert run.status in (JobStatus.SUCCEEDED, JobStatus.COMPLETED_WITH_FAILURES)
    assert shop.records()["sale"]["status"] in ("APPLIED", "REJECTED", "SUPERSEDED")
    for record in shop.records().values():
        named = {"item": item_id(key), "change_id": record["change_id"]}
        shop.client.delete_item(TableName=shop.tables.changes, Key=to_attribute_values(named))


@pytest.mark.slow
def test_an_item_with_2500_changes_is_worked_off(shop: Shop) -> None:
    shop.put(stocked(*(change(f"c{number:04}", "adjustment", 1, "09:00") for number in range(2_500))))

    first, second = shop.run(), shop.run()

    assert shop.item()["on_hand"] == 2_510
    assert (first.tally.changes_applied, second.tally.changes_applied) == (2_500, 0)
    assert len(cast("dict[str, object]", shop.item()["decided"])) <= 100


def test_an_item_of_400_kilobytes_is_written_or_fails_alone(shop: Shop) -> None:
    large = with_a_sale("large")
    shop.put(Stocked({**large.attributes, "notes": "x" * 395_000}, large.changes), with_a_sale())

    run = shop.run("job-1")

    assert shop.item()["on_hand"] == 7
    failed = [each.sku for each in shop.services.jobs.failures("job-1")]
    assert failed in ([], ["large"])
    assert shop.item("large")["on_hand"] == (10 if failed else 7)
    assert run.tally.items_failed == len(failed)


def test_a_record_of_the_jobs_table_that_makes_no_sense_stops_its_job_alone(shop: Shop) -> None:
    shop.put(with_a_sale())
    senseless = to_attribute_values({"job_id": "job-1", "record": "RUN", "status": "DANCING"})
    shop.client.put_item(TableName=shop.services.jobs.name, Item=senseless)

    with pytest.raises(Exception, match="DANCING"):
        shop.run("job-1")
    assert shop.item()["on_hand"] == 10
    shop.clock.goes_on(shop.services.settings.lease_seconds + 1)
    assert shop.run("job-2").status is JobStatus.SUCCEEDED
