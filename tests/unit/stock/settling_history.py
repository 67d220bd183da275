"""An item and its records as they live through runs, in memory: what is written is written, what is lost is lost."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from inventory_updater.stock.change_records import read_record
from inventory_updater.stock.item_states import read_state
from inventory_updater.stock.items import InvalidItem
from inventory_updater.stock.settling import Mark, Moment, NeedsAllRecords, Settled, settle
from tests.builders import moment

KEY = {"sku": "mug", "location_id": "DC1"}


def record(change_id: str, kind: str, value: object, at: str, **more: object) -> dict[str, Any]:
    """A record as it is stored; times are of the day of the tests."""
    number = Decimal(value) if isinstance(value, int) else value
    times = {name: moment(str(more.pop(name))) for name in ("until", "not_after") if name in more}
    given = {name: Decimal(each) if isinstance(each, int) else each for name, each in more.items()}
    stored = {"change_id": change_id, "kind": kind, "value": number, "effective_at": moment(at), "status": "PENDING"}
    return stored | {"attempt": Decimal(1)} | times | given


@dataclass
class History:
    """One item with its records."""

    item: dict[str, Any] = field(default_factory=lambda: {**KEY, "on_hand": Decimal(10)})
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    writes: int = 0

    def arrive(self, *records: Mapping[str, Any]) -> None:
        self.records |= {str(each["change_id"]): dict(each) for each in records}

    def run(self, at: str, *, now: str | None = None, marks: bool = True, allow_negative: bool = True) -> None:
        """A run up to a time; without ``marks`` its worker dies once the item is written."""
        instant = Moment(moment(at), moment(now or at), allow_negative)
        while not self._step(instant, marks=marks):
            pass

    def _step(self, instant: Moment, *, marks: bool) -> bool:
        state = read_state(self.item)
        assert not isinstance(state, InvalidItem)
        by_id = {name: read_record(stored) for name, stored in self.records.items()}
        due = [each for each in by_id.values() if not each.status.is_final and each.due_at <= instant.as_of]
        named = [by_id[name] for name in state.decided if name in by_id]
        settled = settle(state, {each.change_id: each for each in [*due, *named]}.values(), instant)
        if isinstance(settled, NeedsAllRecords):
            settled = settle(state, by_id.values(), instant, are_all=True)
        assert isinstance(settled, Settled)
        if settled.write is not None:
            self.writes += 1
            assert all(self.item.get(name) == value for name, value in settled.write.guard.items())
            self.item |= settled.write.sets
            for name in settled.write.removes:
                del self.item[name]
        if marks:
            self.mark(settled.marks)
        return settled.is_finished or not marks

    def mark(self, marks: Iterable[Mark]) -> None:
        for each in marks:
            stored, decision = self.records[each.record.change_id], each.decision
            if (stored.get("status"), stored.get("attempt")) == each.record.stored:
                stored |= {"status": decision.outcome.value, "code": decision.code, "message": decision.message}
                stored |= {"before": decision.before, "after": decision.after}
                if decision.outcome == "OPEN":
                    stored["attempt"] = Decimal(each.record.attempt + 1)

    def statuses(self) -> dict[str, str]:
        return {name: str(stored["status"]) for name, stored in self.records.items()}

    def code(self, change_id: str) -> object:
        return self.records[change_id].get("code")
