"""What must be true after a run: the tables and the records are held against the model."""

from typing import Final

from inventory_updater.tables.records import JobStatus, Run
from tests.faults.findings import Finding, Spoilt
from tests.faults.model import Key, derived_of
from tests.faults.small_shop import CANCELLED, SCHEDULED, SmallShop
from tests.faults.state_machine import Job, StateMachine

KINDS: Final = {
    "lost": Finding.LOST,
    "applied_twice": Finding.APPLIED_TWICE,
    "foreign_writes_lost": Finding.FOREIGN_WRITES_LOST,
}


class Audit:
    """Looks through the books of one shop."""

    def __init__(self, shop: SmallShop, machine: StateMachine) -> None:
        self.shop = shop
        self.gate = shop.gate
        self.machine = machine

    def check(self, *jobs: Job) -> None:
        """Hold the table and the records of these runs against the model.

        Raises:
            Spoilt: where something is wrong; the round ends there.
        """
        self.gate.deliver_late_writes()
        stored = self.shop.stored_items()
        for key in sorted({*self.gate.model.items, *stored}):
            difference = self.gate.model.difference(key, stored.get(key))
            if difference is not None:
                kinds = [kind for name, kind in KINDS.items() if getattr(difference, name)]
                for name in KINDS:
                    setattr(self.shop.findings, name, getattr(self.shop.findings, name) + getattr(difference, name))
                self.gate.find(difference.words, *(kinds or [Finding.WRONG_FIGURES]))
        for job in jobs:
            self._check_run(job)
        if self.gate.problems or not self.shop.findings.is_clean:
            raise Spoilt

    def _check_run(self, job: Job) -> None:
        self.shop.findings.runs += 1
        records = self.shop.calm_jobs()
        run = records.run(job.name)
        if job.outcome == "WAIT":
            return
        if run is None or not run.is_settled:
            self.gate.find(f"{job.name} was never settled", Finding.NEVER_SETTLED)
            return
        self.shop.findings.outcomes[run.status.value] += 1
        self.gate.note({"event": "ended", "run": job.name, "status": run.status.value, "tally": _tally_of(run)})
        if records.lease().holder == job.name:
            self.gate.find(f"{job.name} left its lease behind", Finding.LEASE)
        self._check_tally(job, run)
        if run.status is JobStatus.SKIPPED:
            return
        self._check_reports(job, run)
        if run.status in (JobStatus.SUCCEEDED, JobStatus.COMPLETED_WITH_FAILURES) and run.error is None:
            self._check_nothing_is_left(job, run)

    def _moved_items(self, job: Job) -> int:
        """How many items changed their place in the index under this job.

        A scan may meet such an item twice, and it may fail both times: two failures to count, one record to keep.
        """
        moved = {
            str(item)
            for event in self.gate.history
            if event.get("fault") in (SCHEDULED, CANCELLED) and str(event.get("worker")).startswith(f"{job.name}/")
            for item in event.get("items", ())
        }
        return len(moved)

    def _check_tally(self, job: Job, run: Run) -> None:
        truth, told = self.gate.model.truth[job.name], _tally_of(run)
        wrong = {name: (count, truth[name]) for name, count in told.items() if count > truth[name]}
        if run.tally_is_exact:
            wrong = {name: (count, truth[name]) for name, count in told.items() if count != truth[name]}
            failures = list(self.shop.calm_jobs().failures(job.name))
            recorded = {
                "changes_rejected": sum(1 for each in failures if each.change_id is not None),
                "items_failed": sum(1 for each in failures if each.change_id is None),
            }
            for name, count in recorded.items():
                # What could not be recorded is counted all the same, and the run says so.
                if "failures could not be recorded" in (run.error or ""):
                    break
                counted = getattr(run.tally, name)
                met_twice = self._moved_items(job) if name == "items_failed" else 0
                if not counted - met_twice <= count <= counted:
                    wrong[f"{name} recorded"] = (count, counted)
        else:
            self.shop.findings.inexact_tallies += 1
            if job.name not in self.gate.in_doubt and not self._may_doubt(job):
                wrong["tally_is_exact"] = (0, 1)
        if wrong:
            self.shop.findings.wrong_tallies += 1
            self.gate.find(f"{job.name}: told and true are {wrong}, exact is {run.tally_is_exact}", Finding.WRONG_TALLY)

    def _may_doubt(self, job: Job) -> bool:
        """Whether the product may have lost sight of what it wrote."""
        return bool(job.rate or job.statement_rate) and not job.only

    def _check_reports(self, job: Job, run: Run) -> None:
        def say(words: str) -> None:
            self.gate.find(words, Finding.NOT_TOLD)

        is_displaced = run.status is JobStatus.ABANDONED
        if not run.metrics_published_at and not run.metrics_error:
            say(f"{job.name}: no metrics, and no word why")
        if run.metrics_published_at and not job.published and not is_displaced:
            say(f"{job.name}: metrics are marked as published and were not")
        # The alert of an abandoned job that could not be sent is left to the next job.
        is_left = is_displaced and run.alert_error and job.name in self.shop.calm_jobs().lease().displaced
        if not run.alerted_at and not is_left:
            say(f"{job.name}: the alert is not settled")
        earlier = [each for each in self.machine.jobs if each.alerts and each.request.scope == job.request.scope]
        if run.status not in (JobStatus.SUCCEEDED, JobStatus.ABANDONED) and not earlier:
            say(f"{job.name} is {run.status.value} and nobody was told")

    def _check_nothing_is_left(self, job: Job, run: Run) -> None:
        """A run that came through has settled all that was due when it began, or says what it could not."""
        failed = {
            (each.sku, each.location_id) for each in self.shop.calm_jobs().failures(job.name) if each.change_id is None
        }

        def is_settled_elsewhere(key: Key) -> bool:
            # An item that moves within the index while that is being read may be passed over, until the next job.
            touched = self.gate.model.items[key].touched
            return key in failed or (job.request.scope == "due" and touched.get("operator", 0) > job.began)

        left = [
            (key, change_id)
            for key, change_id in self.gate.model.due(job.request.as_of, job.began)
            if not is_settled_elsewhere(key)
        ]
        if left:
            self.shop.findings.lost += len(left)
            self.gate.find(f"{job.name} is {run.status.value} and left {left[:3]} behind", Finding.LOST)
        if job.request.scope != "all":
            return
        for key, item in self.gate.model.items.items():
            is_stale = item.derived != derived_of(item.figures)
            if is_stale and key not in failed and item.touched.get("foreign", 0) <= job.began:
                self.gate.find(f"{job.name} left wrong derived figures at {key}", Finding.WRONG_FIGURES)


def _tally_of(run: Run) -> dict[str, int]:
    names = ("items_updated", "changes_applied", "changes_rejected", "changes_superseded")
    return {name: getattr(run.tally, name) for name in names}
