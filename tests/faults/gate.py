"""The gate between the product's clients and the engine: it injects faults and witnesses every write.

Every request of a real botocore client passes here, from the event ``before-send``; those of worker processes come over
HTTP (``proxy.py``). The gate sends it on, or does not, or withholds what the engine answered::

    product ──▶ botocore ──▶ before-send ──▶ GATE ──▶ engine
                                               │  └ the answer: kept, changed, delayed or lost
                                               └ writes of stock pass one at a time: their order is the history

What is done to a request depends only on the seed, the worker, what the request is about and how often the worker has
sent that before; not on which thread comes first.
"""

import contextlib
import json
import random
import re
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from tests.faults.findings import Finding
from tests.faults.model import Event, Key, Model

BATCH: Final = "BatchExecuteStatement"
TRANSACTION: Final = "TransactWriteItems"
WRITES: Final = frozenset({BATCH, TRANSACTION, "PutItem", "UpdateItem", "BatchWriteItem", "DeleteItem"})

LOST_ANSWER: Final = "answer lost after the write landed"
CUT_OFF: Final = "answer cut off in the middle"
DAMAGED: Final = "answer that its checksum refutes"
LATE_LANDING: Final = "write landed after its time-out"
NO_ANSWER: Final = "read time-out before the write"
RESET: Final = "connection reset"
REFUSED: Final = "connection refused"
SLOW: Final = "slow answer"
HTTP_500: Final = "HTTP 500"
HTTP_503: Final = "HTTP 503"
HTTP_500_LANDED: Final = "HTTP 500 after the write landed"
THROTTLED: Final = "request throttled"
JOBS_THROTTLED: Final = "jobs table throttled"
UNPROCESSED: Final = "part of a batch unprocessed"
REPEATED: Final = "write repeated by DynamoDB itself"
INDEX_BEHIND: Final = "index minutes behind"

_OF_ANSWERS: Final = (LOST_ANSWER, CUT_OFF, DAMAGED, LATE_LANDING, NO_ANSWER)
_OF_CONNECTIONS: Final = (RESET, REFUSED, SLOW)
_OF_THE_SERVICE: Final = (HTTP_500, HTTP_503, HTTP_500_LANDED, THROTTLED)
REQUEST_FAULTS: Final = (*_OF_ANSWERS, *_OF_CONNECTIONS, *_OF_THE_SERVICE)

_TOO_FAST: Final = ("ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded")
_PASSING: Final = ("InternalServerError", "TransactionConflict", "ConditionalCheckFailed")
_LASTING: Final = ("ValidationError", "ResourceNotFound", "AccessDenied", "DuplicateItem")
_TOO_LARGE: Final = "ItemCollectionSizeLimitExceeded"
LANDED_ALL_THE_SAME: Final = "InternalServerError after it landed"
STATEMENT_FAULTS: Final = (
    *(f"statement: {code}" for code in (*_TOO_FAST, *_PASSING, _TOO_LARGE, *_LASTING, LANDED_ALL_THE_SAME)),
    f"statement: {REPEATED}",
)
_LANDING: Final = (None, f"statement: {LANDED_ALL_THE_SAME}", f"statement: {REPEATED}")
_OF_TRUTH: Final = ("statement: ConditionalCheckFailed", "statement: DuplicateItem")

_THROTTLING: Final = ("ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded")
_BURST: Final = 4
"""As often as botocore sends a request: a burst makes the product itself see the fault."""

SENDS_A_CALL: Final = 260
"""How often one call may send the same statement: more is a retry without end."""

CONFLICT_CHANGED: Final = "a conflict changed an outcome"
OUTLIVED: Final = "an entry of decided outlived its worker"
LEASE_LOST: Final = "lease lost between two batches"


class WorkerGone(BaseException):
    """This worker is dead: it gets no further request in."""


@dataclass(slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


Send = Callable[[bytes], Reply]


@dataclass
class Worker:
    """Who sends requests: one call of one job, or an operator. ``rate`` is the share of requests that is disturbed."""

    name: str
    run: str | None = None
    as_of: str = ""
    rate: float = 0.0
    statement_rate: float = 0.0
    beside: Callable[["Worker", Key], None] | None = None
    """Called with the items that are about to be written."""
    on_batch: Callable[["Worker", int], None] | None = None
    """Called before each batch with its number."""
    dies_at: tuple[str, int, bool] | None = None
    """Operation, which one of them, and whether it lands before."""
    death: str = ""
    kill: Callable[[], None] | None = None
    throttles_for_good: frozenset[tuple[str, Key]] = frozenset()
    """Items of which one table takes no write: ``inventory`` or ``changes``."""
    load: Callable[[Key], Event] | None = None
    """The event that a landed write of an item stands for, where an operator loads stock."""
    index: Sequence[Mapping[str, Any]] | None = None
    """What the index ``due`` had at an earlier moment, for a worker that sees that."""
    only: tuple[str, ...] = ()
    """The faults that may hit it; all of them where none is named."""
    planned: dict[tuple[Key, str, int], str] = field(default_factory=dict)
    """What it would have decided, had the condition of its write held."""
    is_dead: bool = False
    seen: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Statement:
    """A write of a batch as the gate reads it.

    Attributes:
        raw: the statement itself.
        table: ``inventory`` or ``changes``.
        item: which item it is about.
        change_id: whose record it writes; empty in the inventory.
        sets: what it sets; of a new item or record all of it.
        guard: what its condition names.
    """

    raw: Mapping[str, Any]
    table: str
    item: Key
    change_id: str
    sets: Mapping[str, Any]
    guard: Mapping[str, Any]
    is_new: bool

    @property
    def name(self) -> str:
        return f"{self.table} {self.item} {self.change_id}".rstrip()

    @property
    def decides(self) -> dict[str, tuple[int, str]]:
        """What the item is to remember of its decisions: change id -> attempt and outcome."""
        return {name: (int(each["attempt"]), each["outcome"]) for name, each in self.sets.get("decided", {}).items()}


class Gate:
    """What happens to the requests of one round, and what it has seen."""

    def __init__(self, seed: str, allow_negative: bool) -> None:
        self._seed = seed
        self._allow_negative = allow_negative
        self.model = Model()
        self.history: list[Event] = []
        self.injected: Counter[str] = Counter()
        self.hits: Counter[str] = Counter()
        self.problems: list[str] = []
        self.found: set[Finding] = set()
        self.in_doubt: set[str] = set()
        """Runs of which a worker died, was overtaken or was stopped: only their tally may be less than exact."""
        self.reached: Counter[str] = Counter()
        self.current: Callable[[Statement], dict[str, Any] | None] = lambda _statement: None
        """What a statement writes to, as the engine holds it now."""
        self._dead: set[str] = set()
        self._late: list[Callable[[], Reply]] = []
        self._lock = threading.RLock()
        # Writes to items and records pass one at a time; it is taken before the other lock, never after it.
        self._turn = threading.Lock()

    def random(self, *names: object) -> random.Random:
        """The generator for one decision."""
        return random.Random("/".join([self._seed, *map(str, names)]))

    def find(self, words: str, *kinds: Finding) -> None:
        """Say what is wrong, and of which kinds it is."""
        with self._lock:
            self.problems.append(words)
            self.found.update(kinds)

    def note(self, event: Event) -> None:
        """Write an event into the history, and let the model follow it."""
        with self._lock:
            self.history.append(event)
            self.model.follow(event)

    def inject(self, fault: str, worker: str, **details: object) -> None:
        """Inject a fault that hits at once."""
        with self._lock:
            self.injected[fault] += 1
            self.hit(fault, worker, **details)

    def hit(self, fault: str, worker: str, **details: object) -> None:
        """A fault that was injected before has hit."""
        with self._lock:
            self.hits[fault] += 1
            self.note({"event": "fault", "fault": fault, "worker": worker, **details})

    def foreign(self, send: Callable[[], bool], event: Event) -> None:
        """Another writer's write: it takes its place in the history."""
        with self._turn:
            if send():
                self.note(event)

    def deliver_late_writes(self) -> None:
        """Let the requests arrive whose clients have given them up."""
        while self._late:
            with contextlib.suppress(IndexError):
                self._late.pop(0)()

    def exchange(self, worker: Worker, operation: str, content: bytes, send: Send) -> Reply:
        """One request of a worker, with whatever happens to it.

        Raises:
            botocore.exceptions.HTTPClientError, ConnectionError: what a client would see of a broken network.
            WorkerGone: where the worker is dead.
        """
        if worker.is_dead:
            raise WorkerGone
        request = json.loads(content)
        nth = self._nth(worker.asked, operation)
        if worker.dies_at == (operation, nth, False):
            self._die(worker)
        if operation == BATCH:
            reply = self._batch(worker, request, send)
        else:
            reply = self._other(worker, operation, request, content, send)
        if worker.dies_at == (operation, nth, True):
            self._die(worker)
        if worker.is_dead:
            raise WorkerGone
        return reply

    def _die(self, worker: Worker) -> None:
        with self._lock:
            if not worker.is_dead:
                worker.is_dead = True
                self._dead.add(worker.name)
                if worker.run is not None:
                    self.in_doubt.add(worker.run)
                self.hit(worker.death, worker.name)
                if worker.kill is not None:
                    worker.kill()
        raise WorkerGone

    def _nth(self, counter: Counter[str], name: str) -> int:
        with self._lock:
            counter[name] += 1
            return counter[name]

    def _fault(self, worker: Worker, subject: str, among: Sequence[str], rate: float) -> str | None:
        nth = self._nth(worker.seen, subject)
        among = [fault for fault in among if not worker.only or fault in worker.only]
        if not rate or not among:
            return None
        burst = self.random(worker.name, subject, "burst", (nth - 1) // _BURST)
        if burst.random() < rate / 6:
            return burst.choice(among)
        single = self.random(worker.name, subject, nth)
        return single.choice(among) if single.random() < rate else None

    def _other(self, worker: Worker, operation: str, request: Mapping[str, Any], content: bytes, send: Send) -> Reply:
        """A request that writes nothing to an item or a record, but for a transaction."""
        if request.get("IndexName") == "due" and worker.index is not None:
            shard = request["ExpressionAttributeValues"][":shard"]["S"]
            if self.random(worker.name, shard, self._nth(worker.seen, f"index {shard}")).random() < _BEHIND_SHARE:
                self.inject(INDEX_BEHIND, worker.name)
                return _earlier(request, worker.index)
        subject = f"{operation} {_subject(request)}"
        faults = [fault for fault in REQUEST_FAULTS if fault != LATE_LANDING]
        if operation not in WRITES:
            faults = [fault for fault in faults if fault not in (LOST_ANSWER, HTTP_500_LANDED)]
        if operation in ("BatchWriteItem", "BatchGetItem"):
            faults.append(UNPROCESSED)
            self._interfere(worker, [] if operation == "BatchWriteItem" else _items_read(request))
        if "ConditionExpression" in request:
            faults.append(REPEATED)
        fault = self._fault(worker, subject, faults, worker.rate)
        if fault == THROTTLED and "-jobs-" in str(request):
            fault = JOBS_THROTTLED

        def forward() -> Reply:
            return self._witnessed(worker, operation, request, lambda: send(content))

        if fault is None:
            return forward()
        self.inject(fault, worker.name, operation=operation)
        if fault == UNPROCESSED:
            return _partly(operation, request, send)
        if fault == REPEATED:
            forward()
            return forward()
        return self._disturbed(fault, subject, forward)

    def _witnessed(
        self, worker: Worker, operation: str, request: Mapping[str, Any], forward: Callable[[], Reply]
    ) -> Reply:
        if operation == TRANSACTION:
            with self._turn:
                reply = forward()
                if reply.status == 200:
                    update = request["TransactItems"][1]["Update"]
                    values = {name: _value(each) for name, each in update["ExpressionAttributeValues"].items()}
                    item, change_id = (_value(update["Key"][name]) for name in ("item", "change_id"))
                    self._marked(worker, _item_of(item), change_id, values[":status"], values.get(":was_attempt", 1))
            return reply
        reply = forward()
        is_renewal = request.get("Key", {}).get("job_id") == {"S": "LEASE"} and operation == "UpdateItem"
        if is_renewal and reply.status == 400 and b"ConditionalCheckFailed" in reply.content and worker.seen["batches"]:
            with self._lock:
                self.reached[LEASE_LOST] += 1
        return reply

    def _interfere(self, worker: Worker, keys: Sequence[Key]) -> None:
        if worker.beside is not None:
            for key in dict.fromkeys(keys):
                worker.beside(worker, key)

    def _disturbed(self, fault: str, subject: str, forward: Callable[[], Reply]) -> Reply:
        if fault in (LOST_ANSWER, HTTP_500_LANDED):
            forward()
        if fault in (LOST_ANSWER, LATE_LANDING, NO_ANSWER):
            raise ReadTimeoutError(endpoint_url="the gate")
        if fault == RESET:
            raise ConnectionClosedError(endpoint_url="the gate")
        if fault == REFUSED:
            raise EndpointConnectionError(endpoint_url="the gate")
        if fault in (CUT_OFF, DAMAGED):
            reply = forward()
            return reply if reply.status != 200 else _cut_off(reply) if fault == CUT_OFF else _damaged(reply)
        if fault in (HTTP_500, HTTP_500_LANDED):
            return _error(500, "InternalServerError")
        if fault == HTTP_503:
            return _error(503, "ServiceUnavailable")
        if fault in (THROTTLED, JOBS_THROTTLED):
            return _error(400, self.random(subject, "code").choice(_THROTTLING))
        time.sleep(0.02)
        return forward()

    def _batch(self, worker: Worker, request: dict[str, Any], send: Send) -> Reply:
        """A batch of writes to items or records."""
        statements = [_statement(raw) for raw in request["Statements"]]
        if statements[0].table == "inventory":
            number = self._nth(worker.seen, "batches")
            if worker.on_batch is not None:
                worker.on_batch(worker, number)
        self._interfere(worker, [each.item for each in statements])
        first = statements[0].name
        fault = self._fault(worker, f"batch {first}", REQUEST_FAULTS, worker.rate)
        if fault is None:
            return self._forward(worker, request, statements, send, disturb=True)
        self.inject(fault, worker.name, operation=BATCH, items=[list(each.item) for each in statements])
        if fault == LATE_LANDING:
            # It lands also where the worker has died meanwhile: the request is on its way.
            self._late.append(lambda: self._forward(worker, request, statements, send, is_late=True))
        return self._disturbed(fault, first, lambda: self._forward(worker, request, statements, send))

    def _forward(
        self,
        worker: Worker,
        request: dict[str, Any],
        statements: Sequence[Statement],
        send: Send,
        *,
        disturb: bool = False,
        is_late: bool = False,
    ) -> Reply:
        """Send a batch on, single statements withheld or repeated, and witness what landed."""
        faults: dict[str, str] = {}
        for each in statements:
            if worker.throttles_for_good and self._nth(worker.seen, f"sent {each.name}") > SENDS_A_CALL:
                self.find(f"{worker.name} sends {each.name} again and again", Finding.ENDLESS_RETRY)
                worker.is_dead = True
                raise WorkerGone
            if (each.table, each.item) in worker.throttles_for_good:
                faults[each.name] = "statement: ThrottlingError"
            elif disturb:
                # A condition that failed by mistake would be no fault of DynamoDB's but a lie about a record.
                among = [fault for fault in STATEMENT_FAULTS if each.table == "inventory" or fault not in _OF_TRUTH]
                fault = self._fault(worker, f"statement {each.name}", among, worker.statement_rate)
                if fault is not None:
                    faults[each.name] = fault
        for each in statements:
            if each.name in faults:
                self.inject(faults[each.name], worker.name, operation=BATCH, items=[list(each.item)])
        answers: dict[str, dict[str, Any]] = {}

        def pass_on(some: Sequence[Statement]) -> Reply:
            reply = send(json.dumps({**request, "Statements": [each.raw for each in some]}).encode())
            if reply.status == 200:
                found = json.loads(reply.content)
                for each, answer in zip(some, found["Responses"], strict=True):
                    answers[each.name] = answer
                    if "Error" not in answer:
                        self._landed(worker, each)
                    elif answer["Error"]["Code"] == "ConditionalCheckFailed":
                        worker.planned |= {(each.item, name, at): said for name, (at, said) in each.decides.items()}
            return reply

        sent = [each for each in statements if faults.get(each.name) in _LANDING]
        capacity: list[Any] = []
        if sent:
            with self._turn:
                if worker.is_dead and worker.kill is None and not is_late:
                    raise WorkerGone
                reply = pass_on(sent)
                if reply.status != 200:
                    return reply
                capacity = json.loads(reply.content).get("ConsumedCapacity", [])
                twice = [each for each in sent if faults.get(each.name) == f"statement: {REPEATED}"]
                if twice and pass_on(twice).status != 200:
                    raise ReadTimeoutError(endpoint_url="the gate")
        for each in statements:
            code = faults.get(each.name, "").removeprefix("statement: ")
            if code == LANDED_ALL_THE_SAME and "Error" not in answers[each.name]:
                answers[each.name] = _refused("InternalServerError")
            elif each.name not in answers:
                # The truth of another moment: the condition did not hold, the item is as it is.
                item = self.current(each) if code == "ConditionalCheckFailed" else None
                answers[each.name] = _refused(code, item)
        return _reply({"Responses": [answers[each.name] for each in statements], "ConsumedCapacity": capacity})

    def _landed(self, worker: Worker, statement: Statement) -> None:
        key, sets = statement.item, statement.sets
        if statement.table == "changes":
            self._record_landed(worker, statement)
        elif statement.is_new:
            self.note({"event": "opening", "item": list(key), "attributes": as_json(sets)})
        elif worker.load is not None:
            self.note(worker.load(key))
        else:
            known = self.model.items[key].decided
            decides = {name: (at, said) for name, (at, said) in statement.decides.items() if at not in known[name]}
            for name, (attempt, outcome) in decides.items():
                with self._lock:
                    self.reached[CONFLICT_CHANGED] += worker.planned.get((key, name, attempt), outcome) != outcome
            written: Event = {"item": list(key), "worker": worker.name, "now": sets["updated_at"]}
            written["decides"] = {name: attempt for name, (attempt, _) in decides.items()}
            if worker.run is None:
                self.note({"event": "cancel", **written})
            else:
                rules = {"as_of": worker.as_of, "allow_negative": self._allow_negative}
                self.note({"event": "written", "run": worker.run, **written, **rules})

    def _record_landed(self, worker: Worker, statement: Statement) -> None:
        key, sets, change_id = statement.item, statement.sets, statement.change_id
        if statement.is_new:
            change = {name: as_json(value) for name, value in sets.items() if name in CONTENT}
            self.note({"event": "schedule", "item": list(key), "changes": {change_id: change}})
        elif sets.get("status") == "PENDING" or "dismissed_at" in sets:
            event = "retry" if "status" in sets else "dismiss"
            self.note({"event": event, "item": list(key), "ids": [change_id]})
        else:
            self._marked(worker, key, change_id, sets["status"], statement.guard.get("attempt", 1))

    def _marked(self, worker: Worker, key: Key, change_id: str, status: str, attempt: Any) -> None:
        marked: Event = {"event": "marked", "item": list(key), "id": change_id, "status": status}
        item = self.model.items.get(key)
        decision = item.decided[change_id].get(int(attempt)) if item else None
        with self._lock:
            self.reached[OUTLIVED] += decision is not None and decision.worker in self._dead
        self.note(marked | {"attempt": int(attempt), "worker": worker.name, "run": worker.run})


def as_json(value: Any) -> Any:
    """A stored value as JSON can hold it."""
    if isinstance(value, Mapping):
        return {name: as_json(each) for name, each in value.items()}
    return str(value) if isinstance(value, Decimal) else value


CONTENT: Final = ("kind", "value", "effective_at", "until", "expected", "not_after")
_BEHIND_SHARE: Final = 0.7

_value: Final[Callable[[Any], Any]] = TypeDeserializer().deserialize


def _item_of(name: str) -> Key:
    sku, _, location_id = name.partition("#")
    return sku, location_id


def _statement(raw: Mapping[str, Any]) -> Statement:
    """A statement of the product's: an INSERT of everything, or an UPDATE whose key comes first behind WHERE."""
    text, values = raw["Statement"], [_value(each) for each in raw["Parameters"]]
    table = re.findall(r'"([^"]+)"', text)[0]
    is_new = text.startswith("INSERT")
    guard: dict[str, Any] = {}
    if is_new:
        sets = dict(zip(re.findall(r"'([^']+)': \?", text), values, strict=True))
        named = sets
    else:
        before, behind = text.split(" WHERE ")
        names = re.findall(r'SET "([^"]+)"=\?', before)
        sets = dict(zip(names, values, strict=False))
        named = guard = dict(zip(re.findall(r'"([^"]+)"=\?', behind), values[len(names) :], strict=True))
    if "-changes-" in table:
        return Statement(raw, "changes", _item_of(named["item"]), named["change_id"], sets, guard, is_new)
    return Statement(raw, "inventory", (named["sku"], named["location_id"]), "", sets, guard, is_new)


def _items_read(request: Mapping[str, Any]) -> list[Key]:
    """The items that are about to be read."""
    ((_, wanted),) = request["RequestItems"].items()
    return [(key["sku"]["S"], key["location_id"]["S"]) for key in wanted["Keys"] if "sku" in key]


def _earlier(request: Mapping[str, Any], index: Sequence[Mapping[str, Any]]) -> Reply:
    """What a query of the index ``due`` would have found at that moment."""
    values = {name: _value(each) for name, each in request["ExpressionAttributeValues"].items()}

    def place(entry: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(str(entry[name]) for name in ("due_at", "item", "change_id"))

    after = request.get("ExclusiveStartKey")
    begin = place({name: _value(each) for name, each in after.items()}) if after else ()
    found = sorted(
        (
            entry
            for entry in index
            if entry["due_shard"] == values[":shard"] and entry["due_at"] <= values[":as_of"] and place(entry) > begin
        ),
        key=place,
    )
    page = [
        {name: TypeSerializer().serialize(value) for name, value in each.items()} for each in found[: request["Limit"]]
    ]
    more = {"LastEvaluatedKey": page[-1]} if len(found) > len(page) else {}
    return _reply({"Items": page, "Count": len(page), "ScannedCount": len(page), **more})


def _subject(request: Mapping[str, Any]) -> str:
    """What a request is about, the same in every repetition of the campaign."""
    for name in ("Key", "ExclusiveStartKey", "Item"):
        if name in request:
            keys = {k: v for k, v in request[name].items() if k in ("job_id", "record", "sku", "location_id", "item")}
            return json.dumps(keys, sort_keys=True)
    return str(request.get("Segment", request.get("ExpressionAttributeValues", {}).get(":shard", "")))


def _reply(answer: Mapping[str, Any], status: int = 200) -> Reply:
    return Reply(status, json.dumps(answer).encode())


def _error(status: int, code: str) -> Reply:
    return _reply({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "injected"}, status)


def _refused(code: str, item: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"Error": {"Code": code, "Message": "injected", **({"Item": item} if item else {})}}


def _cut_off(reply: Reply) -> Reply:
    return Reply(200, reply.content[: len(reply.content) // 2])


def _damaged(reply: Reply) -> Reply:
    """An answer that says of everything that it is well, and of every item that it is not there."""
    answer = json.loads(reply.content)
    for name in ("Item", "LastEvaluatedKey", "UnprocessedItems", "UnprocessedKeys"):
        answer.pop(name, None)
    answer |= {name: nothing for name, nothing in (("Items", []), ("Count", 0), ("ScannedCount", 0)) if name in answer}
    responses = answer.get("Responses")
    if isinstance(responses, list):
        answer["Responses"] = [{} for _ in responses]
    elif responses is not None:
        answer["Responses"] = {table: [] for table in responses}
    # The blank makes it another text where nothing was left out.
    return Reply(200, json.dumps(answer).encode() + b" ", {"x-amz-crc32": str(zlib.crc32(reply.content))})


def _partly(operation: str, request: Mapping[str, Any], send: Send) -> Reply:
    """Do the first half of a batch and hand back the rest as unprocessed."""
    ((table, wanted),) = request["RequestItems"].items()
    is_write = operation == "BatchWriteItem"
    entries = wanted if is_write else wanted["Keys"]
    half = len(entries) // 2

    def some(part: list[Any]) -> dict[str, Any]:
        return {table: part if is_write else {**wanted, "Keys": part}}

    answer: dict[str, Any] = {} if is_write else {"Responses": {table: []}}
    if half:
        answer = json.loads(send(json.dumps({**request, "RequestItems": some(entries[:half])}).encode()).content)
    return _reply({**answer, "UnprocessedItems" if is_write else "UnprocessedKeys": some(entries[half:])})
