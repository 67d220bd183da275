"""The gate between the product's clients and the engine: it injects faults and witnesses every write.

Every request of a real botocore client passes here, from the event ``before-send``; those of worker processes come over
HTTP (``proxy.py``). The gate sends it on, or does not, or withholds what the engine answered::

    product ──▶ botocore ──▶ before-send ──▶ GATE ──▶ engine
                                               │  └ the answer: kept, changed, delayed or lost
                                               └ writes to the inventory pass one at a time: their order is the history

What is done to a request depends only on the seed, the worker, what the request is about and how often the worker has
sent that before; not on which thread comes first.
"""

import json
import random
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from tests.faults.findings import Finding
from tests.faults.model import Event, Key, Model

BATCH: Final = "BatchExecuteStatement"
WRITES: Final = frozenset({BATCH, "PutItem", "UpdateItem", "BatchWriteItem", "DeleteItem"})

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

_OF_ANSWERS: Final = (LOST_ANSWER, CUT_OFF, DAMAGED, LATE_LANDING, NO_ANSWER)
_OF_CONNECTIONS: Final = (RESET, REFUSED, SLOW)
_OF_THE_SERVICE: Final = (HTTP_500, HTTP_503, HTTP_500_LANDED, THROTTLED)
REQUEST_FAULTS: Final = (*_OF_ANSWERS, *_OF_CONNECTIONS, *_OF_THE_SERVICE)

_TOO_FAST: Final = ("ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded")
_PASSING: Final = ("InternalServerError", "TransactionConflict", "ConditionalCheckFailed")
_LASTING: Final = ("ValidationError", "ResourceNotFound", "AccessDenied", "DuplicateItem")
_TOO_LARGE: Final = "ItemCollectionSizeLimitExceeded"
LANDED_ALL_THE_SAME: Final = "InternalServerError after it landed"
STATEMENT_FAULTS: Final = tuple(
    f"statement: {code}" for code in (*_TOO_FAST, *_PASSING, _TOO_LARGE, *_LASTING, LANDED_ALL_THE_SAME)
)

_THROTTLING: Final = ("ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded")
_BURST: Final = 4
"""As often as botocore sends a request: a burst makes the product itself see the fault."""

SENDS_A_CALL: Final = 260
"""How often one call may send the same item: more is a retry without end."""


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
    throttles_for_good: frozenset[Key] = frozenset()
    intent: Callable[[Key], Event] | None = None
    """The event that a landed write of an operator stands for."""
    only: tuple[str, ...] = ()
    """The faults that may hit it; all of them where none is named."""
    is_dead: bool = False
    seen: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)


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
        self.current_item: Callable[[Key], dict[str, Any] | None] = lambda _key: None
        """An item as the engine holds it now."""
        self._late: list[Callable[[], Reply]] = []
        self._lock = threading.RLock()
        # Writes to the inventory pass one at a time; it is taken before the other lock, never after it.
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
        """A request that writes nothing to the inventory."""
        subject = f"{operation} {_subject(request)}"
        faults = [fault for fault in REQUEST_FAULTS if fault != LATE_LANDING]
        if operation not in WRITES:
            faults = [fault for fault in faults if fault not in (LOST_ANSWER, HTTP_500_LANDED)]
        if operation in ("BatchWriteItem", "BatchGetItem"):
            faults.append(UNPROCESSED)
        fault = self._fault(worker, subject, faults, worker.rate)
        if fault == THROTTLED and "-jobs-" in str(request):
            fault = JOBS_THROTTLED
        if fault is None:
            return send(content)
        self.inject(fault, worker.name, operation=operation)
        if fault == UNPROCESSED:
            return _partly(operation, request, send)
        return self._disturbed(fault, subject, lambda: send(content))

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
        """A batch of writes to the inventory."""
        keys = [_key_of(statement) for statement in request["Statements"]]
        number = self._nth(worker.seen, "batches")
        if worker.on_batch is not None:
            worker.on_batch(worker, number)
        if worker.beside is not None:
            for key in keys:
                worker.beside(worker, key)
        fault = self._fault(worker, f"batch {keys[0]}", REQUEST_FAULTS, worker.rate)
        if fault is None:
            return self._forward(worker, request, keys, send, disturb=True)
        self.inject(fault, worker.name, operation=BATCH, items=[list(key) for key in keys])
        if fault == LATE_LANDING:
            # It lands also where the worker has died meanwhile: the request is on its way.
            self._late.append(lambda: self._forward(worker, request, keys, send, is_late=True))
        return self._disturbed(fault, str(keys[0]), lambda: self._forward(worker, request, keys, send))

    def _forward(
        self,
        worker: Worker,
        request: dict[str, Any],
        keys: Sequence[Key],
        send: Send,
        *,
        disturb: bool = False,
        is_late: bool = False,
    ) -> Reply:
        """Send a batch on, single statements withheld, and witness what landed."""
        faults: dict[Key, str] = {}
        for key in keys:
            if worker.throttles_for_good and self._nth(worker.seen, f"sent {key}") > SENDS_A_CALL:
                self.find(f"{worker.name} sends {key} again and again", Finding.ENDLESS_RETRY)
                worker.is_dead = True
                raise WorkerGone
            if key in worker.throttles_for_good:
                faults[key] = "statement: ThrottlingError"
            elif disturb:
                fault = self._fault(worker, f"statement {key}", STATEMENT_FAULTS, worker.statement_rate)
                if fault is not None:
                    faults[key] = fault
        for key, fault in faults.items():
            self.inject(fault, worker.name, operation=BATCH, items=[list(key)])
        landing = f"statement: {LANDED_ALL_THE_SAME}"
        sent = [
            (key, statement)
            for key, statement in zip(keys, request["Statements"], strict=True)
            if faults.get(key, landing) == landing
        ]
        answers: dict[Key, dict[str, Any]] = {}
        capacity: list[Any] = []
        if sent:
            with self._turn:
                if worker.is_dead and worker.kill is None and not is_late:
                    raise WorkerGone
                reply = send(json.dumps({**request, "Statements": [statement for _, statement in sent]}).encode())
                if reply.status != 200:
                    return reply
                answer = json.loads(reply.content)
                capacity = answer.get("ConsumedCapacity", [])
                for (key, _), each in zip(sent, answer["Responses"], strict=True):
                    answers[key] = each
                    if "Error" not in each:
                        self._landed(worker, key)
        for key, fault in faults.items():
            code = fault.removeprefix("statement: ")
            error: dict[str, Any] = {"Code": code, "Message": "injected"}
            if fault == landing:
                error["Code"] = "InternalServerError"
                if "Error" in answers[key]:
                    error = answers[key]["Error"]
            elif code == "ConditionalCheckFailed":
                # The truth of another moment: the condition did not hold, the item is as it is.
                item = self.current_item(key)
                error |= {"Item": item} if item else {}
            answers[key] = {"TableName": "inventory", "Error": error}
        return _reply({"Responses": [answers[key] for key in keys], "ConsumedCapacity": capacity})

    def _landed(self, worker: Worker, key: Key) -> None:
        if worker.run is not None:
            written = {"event": "written", "item": list(key), "run": worker.run, "worker": worker.name}
            self.note(written | {"as_of": worker.as_of, "allow_negative": self._allow_negative})
        elif worker.intent is not None:
            self.note(worker.intent(key))


def _subject(request: Mapping[str, Any]) -> str:
    """What a request is about, the same in every repetition of the campaign."""
    for name in ("Key", "ExclusiveStartKey", "Item"):
        if name in request:
            keys = {k: v for k, v in request[name].items() if k in ("job_id", "record", "sku", "location_id")}
            return json.dumps(keys, sort_keys=True)
    return str(request.get("Segment", ""))


def _key_of(statement: Mapping[str, Any]) -> Key:
    """The item that an UPDATE names: its key comes first behind WHERE."""
    before, _ = statement["Statement"].split(" WHERE ")
    first = before.count("?")
    sku, location_id = statement["Parameters"][first : first + 2]
    return sku["S"], location_id["S"]


def _reply(answer: Mapping[str, Any], status: int = 200) -> Reply:
    return Reply(status, json.dumps(answer).encode())


def _error(status: int, code: str) -> Reply:
    return _reply({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "injected"}, status)


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
