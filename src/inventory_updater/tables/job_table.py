"""The jobs table: lease, runs, progress and failures. The only place that knows the table.

A lease is taken and renewed under the condition that nobody else holds it. The timeline of two jobs::

    job A  ──take────renew────renew──x (killed)
    LEASE  ──held by A───────────────────until──▶ free for others
    job B                       ──held──wait──────take: A is displaced, and settled as ABANDONED

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from botocore.exceptions import ClientError

from inventory_updater.dynamodb.pacing import batched
from inventory_updater.dynamodb.reading import READ_LIMIT, query, read_keys
from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_values
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.items import ItemKey, item_id, key_of
from inventory_updater.stock.times import format_time
from inventory_updater.tables.records import (
    RUN,
    Failure,
    JobStatus,
    LastAlert,
    Lease,
    Run,
    Segment,
    SettledChange,
    Tally,
    optional_text,
    read_run,
    read_segment,
    run_attributes,
    segment_attributes,
    segment_record,
)

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import QueryInputTypeDef, WriteRequestOutputTypeDef

RUNS_INDEX: Final = "jobs-by-start"
LEASE: Final = "LEASE"
ALERT: Final = "ALERT"
FINISH: Final = "FINISH"
STUCK: Final = "STUCK"
PAGE: Final = "PAGE#"
FAILURE: Final = "FAILURE#"
_LEASE_TRIES: Final = 5
_WRITE_REQUEST_LIMIT: Final = 25
_UNPROCESSED_TRIES: Final = 12
_SETTLED_A_RECORD: Final = 500
_STUCK_FOR: Final = timedelta(days=2)


class LeaseLostError(Exception):
    """Another job holds the lease: this one may not write any more."""


class SegmentTakenError(Exception):
    """Another call works on this segment: this one's tally no longer counts."""


class JobTable:
    """The jobs table of one environment."""

    def __init__(
        self,
        client: "DynamoDBClient",
        name: str,
        *,
        retention_days: int,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self.name = name
        self._retention = timedelta(days=retention_days)
        self._clock = clock
        self._sleep = sleep

    # Lease

    def lease(self) -> Lease:
        """The lease as it stands."""
        return _read_lease(self._get(LEASE, LEASE) or {})

    def take_lease(self, job_id: str, seconds: float) -> Lease:
        """Take the lease for ``job_id``, or leave it to who holds it.

        Returns:
            The lease as it stands then: look at its ``holder``, and settle the jobs in ``displaced``.
        """
        seen = Lease()
        for _ in range(_LEASE_TRIES):
            now = self._clock()
            if not seen.is_open_to(job_id, format_time(now)):
                return seen
            names: dict[str, str] = {"#holder": "holder"}
            values: dict[str, object] = {":me": job_id, ":until": format_time(now + timedelta(seconds=seconds))}
            expression = "SET #holder = :me, held_until = :until"
            if seen.holder is None:
                condition = "attribute_not_exists(#holder)"
            else:
                condition = "#holder = :seen AND held_until = :seen_until"
                values |= {":seen": seen.holder, ":seen_until": seen.held_until}
                if seen.holder != job_id:
                    expression += " ADD displaced :displaced"
                    values[":displaced"] = {seen.holder}
            taken, stored = self._update(LEASE, LEASE, expression, condition, values, names)
            seen = _read_lease(stored)
            if taken:
                return seen
        raise TimeoutError("the lease changed hands too often while it was being taken")

    def renew_lease(self, job_id: str, seconds: float) -> None:
        """Hold the lease for ``seconds`` more.

        Raises:
            LeaseLostError: where ``job_id`` does not hold it any more.
        """
        until = self._clock() + timedelta(seconds=seconds)
        values = {":me": job_id, ":until": format_time(until)}
        expression, names = "SET held_until = :until", {"#holder": "holder"}
        is_held, stored = self._update(LEASE, LEASE, expression, "#holder = :me", values, names)
        if not is_held:
            raise LeaseLostError(f"the lease is held by {stored.get('holder', 'nobody')}")

    def free_lease(self, job_id: str, *, is_owed: bool = False) -> None:
        """Give the lease back, if ``job_id`` holds it; what is still owed of it is left to the next job."""
        expression, values = "REMOVE #holder, held_until", {":me": job_id}
        if is_owed:
            expression += " ADD displaced :owed"
            values |= {":owed": {job_id}}  # type: ignore[dict-item]  # a string set
        self._update(LEASE, LEASE, expression, "#holder = :me", values, {"#holder": "holder"})

    def forget_displaced(self, job_id: str) -> None:
        """Take a displaced job off the lease, once it is settled."""
        self._update(LEASE, LEASE, "DELETE displaced :settled", None, {":settled": {job_id}})

    # Runs

    def run(self, job_id: str) -> Run | None:
        """The RUN record of a job; ``None`` where there is none, or it has expired."""
        stored = self._get(job_id, RUN)
        return None if stored is None or self._has_expired(stored) else read_run(stored)

    def runs(self, limit: int = 25) -> Iterator[Run]:
        """The newest runs first, as the index knows them (eventually consistent)."""
        request: QueryInputTypeDef = {
            "TableName": self.name,
            "IndexName": RUNS_INDEX,
            "KeyConditionExpression": "record_type = :run",
            "ExpressionAttributeValues": {":run": {"S": RUN}},
            "ScanIndexForward": False,
        }
        found = 0
        for stored in query(self._client, request):
            if found == limit:
                return
            if not self._has_expired(stored):
                found += 1
                yield read_run(stored)

    def start_run(self, run: Run) -> Run:
        """Write a RUN record where there is none; the record as it stands then, which says that it was opened again."""
        stored = run_attributes(run) | {"expires_at": self._expiry()}
        try:
            self._client.put_item(
                TableName=self.name,
                Item=to_attribute_values(stored),
                ConditionExpression="attribute_not_exists(job_id)",
            )
        except ClientError as error:
            if not _is_condition_failure(error):
                raise
            values = {":yes": True, ":running": JobStatus.RUNNING.value}
            _, found = self._update(
                run.job_id, RUN, "SET is_reopened = :yes", "#status = :running", values, {"#status": "status"}
            )
            return read_run(found or stored)
        return run

    def settle_run(self, settled: Run) -> Run:
        """Give a RUNNING run its final status and figures; one that is settled already stays as it is.

        One that was opened again stays RUNNING where its tally is said to be exact.
        """
        values: dict[str, object] = {f":{name}": value for name, value in run_attributes(settled).items()}
        names = {f"#{name[1:]}": name[1:] for name in values if name not in (":job_id", ":record")}
        expression = "SET " + ", ".join(f"{alias} = :{name}" for alias, name in names.items())
        used = {f":{name}": values[f":{name}"] for name in names.values()} | {":running": JobStatus.RUNNING.value}
        condition = "#status = :running" + (" AND attribute_not_exists(is_reopened)" if settled.tally_is_exact else "")
        is_done, found = self._update(settled.job_id, RUN, expression, condition, used, names)
        return settled if is_done else read_run(found)

    def mark_run(self, run: Run, **marks: str) -> Run:
        """Note on the RUN that a step of closing is done, in its fields ``metrics_published_at`` and the like."""
        expression = "SET " + ", ".join(f"{name} = :{name}" for name in marks)
        self._update(run.job_id, RUN, expression, None, {f":{name}": value for name, value in marks.items()})
        return replace(run, **marks)  # type: ignore[arg-type]  # marks are text fields

    def may_go_on(self, job_id: str) -> bool:
        """Whether a job runs and nobody has asked it to stop."""
        answer = self._client.get_item(
            TableName=self.name,
            Key=to_attribute_values({"job_id": job_id, "record": RUN}),
            ConsistentRead=True,
            ProjectionExpression="#status, stop_reason",
            ExpressionAttributeNames={"#status": "status"},
        )
        found = from_attribute_values(answer.get("Item", {}))
        return found.get("status") == JobStatus.RUNNING and "stop_reason" not in found

    def request_stop(self, job_id: str, reason: str) -> None:
        """Ask the workers of a job that runs to write no further batch."""
        values = {":reason": reason, ":running": JobStatus.RUNNING.value}
        self._update(job_id, RUN, "SET stop_reason = :reason", "#status = :running", values, {"#status": "status"})

    # Finishes

    def note_finish(self, scope: str, moment: str) -> None:
        """Remember when a job of this scope last finished; kept without TTL, one a scope."""
        condition = "attribute_not_exists(finished_at) OR finished_at < :moment"
        self._update(FINISH, scope, "SET finished_at = :moment", condition, {":moment": moment})

    def last_finish(self, scope: str, now: str) -> str:
        """When a job of this scope last finished; where none ever has, when that was first asked."""
        condition = "attribute_not_exists(finished_at)"
        _, found = self._update(FINISH, scope, "SET finished_at = :now", condition, {":now": now})
        return str(found["finished_at"])

    # Segments

    def segment(self, job_id: str, number: int) -> Segment:
        """How far a segment has come; a fresh one where no call has begun."""
        stored = self._get(job_id, segment_record(number))
        return Segment(job_id, number) if stored is None else read_segment(stored)

    def segments(self, job_id: str, count: int) -> list[Segment]:
        """All segments of a job, fresh ones included."""
        begun = {segment.number: segment for segment in map(read_segment, self._records(job_id, "SEGMENT#"))}
        return [begun.get(number, Segment(job_id, number)) for number in range(count)]

    def begin_call(self, job_id: str, number: int) -> Segment:
        """Claim a segment for one call; one that needs no further call is left as it is.

        Raises:
            SegmentTakenError: where another call claimed it at the same moment.
        """
        before = self.segment(job_id, number)
        if before.is_done or before.was_cut_short:
            return before
        claimed = replace(
            before,
            call=before.call + 1,
            call_is_open=True,
            call_token=uuid4().hex,
            error=None,
            saves=0,
            tally=before.tally + Tally(calls=1),
            tally_is_exact=before.tally_is_exact and not before.call_is_open,
        )
        return self._write_segment(claimed, "call_token = :seen", {":seen": before.call_token})

    def save_segment(self, segment: Segment) -> Segment:
        """Save the progress of the call that holds the segment.

        Raises:
            SegmentTakenError: where another call has claimed the segment or saved it meanwhile.
        """
        condition = "call_token = :mine AND saves = :seen"
        values = {":mine": segment.call_token, ":seen": segment.saves}
        return self._write_segment(replace(segment, saves=segment.saves + 1), condition, values)

    def note_segment_error(self, segment: Segment, error: str) -> None:
        """Keep the reason why a call failed, for whoever looks at the job."""
        values = {":mine": segment.call_token, ":error": error}
        self._update(
            segment.job_id,
            segment_record(segment.number),
            "SET #error = :error",
            "call_token = :mine",
            values,
            {"#error": "error"},
        )

    def _write_segment(self, segment: Segment, condition: str, values: Mapping[str, object]) -> Segment:
        segment = replace(segment, updated_at=format_time(self._clock()))
        stored = segment_attributes(segment) | {"expires_at": self._expiry()}
        try:
            self._client.put_item(
                TableName=self.name,
                Item=to_attribute_values(stored),
                ConditionExpression=f"attribute_not_exists(job_id) OR ({condition})",
                ExpressionAttributeValues=to_attribute_values(values),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if not _is_condition_failure(error):
                raise
            found = read_segment(_item_of(error))
            if (found.call_token, found.saves) != (segment.call_token, segment.saves):
                raise SegmentTakenError(f"segment {segment.number} of {segment.job_id} has another worker") from None
            # This very save had landed; only its answer was lost.
        return segment

    # Settled changes

    def record_settled(self, segment: Segment, changes: Sequence[SettledChange]) -> None:
        """Record which changes the call that holds the segment settled since it last saved it."""
        save = f"{PAGE}{segment.number:03}#{segment.call:05}#{segment.saves:05}"
        self._put_many(
            {
                "job_id": segment.job_id,
                "record": f"{save}#{number:02}",
                "settled": [f"{each.outcome}#{item_id(each.key)}#{each.change_id}" for each in page],
                "expires_at": self._expiry(),
            }
            for number, page in enumerate(batched(changes, _SETTLED_A_RECORD))
        )

    def settled(self, job_id: str) -> Iterator[SettledChange]:
        """Every change that a job settled, window by window twice: when it opened and when it closed."""
        for stored in self._records(job_id, PAGE):
            for text in stored["settled"]:  # type: ignore[attr-defined]  # a list, as it was recorded
                outcome, sku, location_id, change_id = text.split("#", 3)
                yield SettledChange(key_of(f"{sku}#{location_id}"), change_id, outcome)

    # Failures

    def record_failures(self, job_id: str, segment: int, failures: Iterable[Failure]) -> None:
        """Record failures of a segment; recording one again changes nothing."""
        unique = {failure.digest: failure for failure in failures}
        self._put_many(
            {
                "job_id": job_id,
                "record": f"{FAILURE}{segment:03}#{digest}",
                "sku": failure.sku,
                "location_id": failure.location_id,
                "code": failure.code,
                "message": failure.message,
                "expires_at": self._expiry(),
            }
            | ({"change_id": failure.change_id} if failure.change_id is not None else {})
            for digest, failure in unique.items()
        )

    def note_stuck(self, failures: Iterable[Failure]) -> set[ItemKey]:
        """Remember for two days which items failed, and why; those of them that had failed so before.

        Of a change that was rejected there is no before: it does not wait any more.
        """
        items = {f"{one.digest}#{one.code}": one for one in failures if one.change_id is None}
        known: set[ItemKey] = set()
        for batch in batched(items, READ_LIMIT):
            keys = [{"job_id": STUCK, "record": record} for record in batch]
            found = read_keys(
                self._client, self.name, keys, is_consistent=False, rounds=_UNPROCESSED_TRIES, sleep=self._sleep
            )
            known |= {items[str(one["record"])].key for one in found if not self._has_expired(one)}
        expires_at = int((self._clock() + _STUCK_FOR).timestamp())
        self._put_many({"job_id": STUCK, "record": record, "expires_at": expires_at} for record in items)
        return known

    def _put_many(self, records: Iterable[Attributes]) -> None:
        requests: list[WriteRequestOutputTypeDef] = [
            {"PutRequest": {"Item": to_attribute_values(record)}} for record in records
        ]
        tries = 0
        while requests:
            answer = self._client.batch_write_item(RequestItems={self.name: requests[:_WRITE_REQUEST_LIMIT]})
            unprocessed = list(answer.get("UnprocessedItems", {}).get(self.name, []))
            requests = unprocessed + requests[_WRITE_REQUEST_LIMIT:]
            tries = tries + 1 if unprocessed else 0
            if tries == _UNPROCESSED_TRIES:
                raise TimeoutError(f"table {self.name} did not take {len(requests)} failure records")
            if tries:
                self._sleep(min(0.05 * 2**tries, 2.0))

    def failures(self, job_id: str) -> Iterator[Failure]:
        """The recorded failures of a job, at most 1,000."""
        for stored in self._records(job_id, FAILURE):
            yield Failure(
                str(stored["sku"]),
                str(stored["location_id"]),
                optional_text(stored, "change_id"),
                str(stored["code"]),
                str(stored["message"]),
            )

    # Alerts

    def last_alert(self, scope: str) -> LastAlert:
        """What the last job of this scope had failed with."""
        stored = self._get(ALERT, scope) or {}
        return LastAlert(str(stored.get("signature", "")), str(stored.get("sent_at", "")))

    def save_alert(self, scope: str, alert: LastAlert) -> None:
        """Remember what a job of this scope failed with, for the next one to compare; kept without TTL, one a scope."""
        stored = {"job_id": ALERT, "record": scope, "signature": alert.signature, "sent_at": alert.sent_at}
        self._client.put_item(TableName=self.name, Item=to_attribute_values(stored))

    # Requests

    def _expiry(self) -> int:
        return int((self._clock() + self._retention).timestamp())

    def _has_expired(self, stored: Attributes) -> bool:
        # TTL deletes late, so readers look for themselves.
        expires_at = stored.get("expires_at")
        return isinstance(expires_at, Decimal) and expires_at <= int(self._clock().timestamp())

    def _get(self, job_id: str, record: str) -> Attributes | None:
        key = to_attribute_values({"job_id": job_id, "record": record})
        answer = self._client.get_item(TableName=self.name, Key=key, ConsistentRead=True)
        return from_attribute_values(answer["Item"]) if "Item" in answer else None

    def _records(self, job_id: str, prefix: str) -> Iterator[Attributes]:
        """The records of a job whose names begin with ``prefix``, as they are now."""
        request: QueryInputTypeDef = {
            "TableName": self.name,
            "KeyConditionExpression": "job_id = :job AND begins_with(#record, :prefix)",
            "ExpressionAttributeNames": {"#record": "record"},
            "ExpressionAttributeValues": {":job": {"S": job_id}, ":prefix": {"S": prefix}},
            "ConsistentRead": True,
        }
        return query(self._client, request)

    def _update(
        self,
        job_id: str,
        record: str,
        expression: str,
        condition: str | None,
        values: Mapping[str, object],
        names: Mapping[str, str] | None = None,
    ) -> tuple[bool, Attributes]:
        """Update a record; whether its condition held, and the record as it is then (``{}`` if missing)."""
        try:
            answer = self._client.update_item(
                TableName=self.name,
                Key=to_attribute_values({"job_id": job_id, "record": record}),
                UpdateExpression=expression,
                ExpressionAttributeValues=to_attribute_values(values),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **({"ConditionExpression": condition} if condition else {}),  # type: ignore[arg-type]
                **({"ExpressionAttributeNames": dict(names)} if names else {}),  # type: ignore[arg-type]
            )
        except ClientError as error:
            if not _is_condition_failure(error):
                raise
            return False, _item_of(error)
        return True, from_attribute_values(answer["Attributes"])


def _read_lease(stored: Attributes) -> Lease:
    return Lease(
        optional_text(stored, "holder"),
        str(stored.get("held_until", "")),
        frozenset(stored.get("displaced", ())),  # type: ignore[call-overload]  # a string set
    )


def _is_condition_failure(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"


def _item_of(error: ClientError) -> Attributes:
    return from_attribute_values(error.response.get("Item", {}))  # type: ignore[arg-type]  # not in the stubs
