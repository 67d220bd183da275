"""What must be true after a run: the tables and the records are held against the model."""

from collections import Counter
from typing import Final

from inventory_updater.jobs.pages import NEGATIVE
from inventory_updater.tables.records import JobStatus, Run
from tests.faults.findings import Finding, Spoilt
from tests.faults.model import FINAL, Difference, Key, derived_of
from tests.faults.small_shop import SmallShop
from tests.faults.state_machine import Job, StateMachine

KINDS: Final = {
    "lost": Finding.LOST,
    "applied_twice": Finding.APPLIED_TWICE,
    "foreign_writes_lost": Finding.FOREIGN_WRITES_LOST,
    "wrong_records": Finding.WRONG_RECORD,
}
_OF_CHANGES: Final = ("changes_applied", "changes_opened", "changes_rejected", "changes_superseded")


class Audit:
    """Looks through the books of one shop."""

    def __init__(self, shop: SmallShop, machine: StateMachine) -> None:
        self.shop = shop
        self.gate = shop.gate
        self.machine = machine

    def check(self, *jobs: Job) -> None:
        """Hold the tables and the records of these runs against the model.

        Raises:
            Spoilt: where something is wrong; the round ends there.
        """
        self.gate.deliver_late_writes()
        items, records = self.shop.stored_items(), self.shop.stored_records()
        for problem in self.gate.model.problems:
            self._blame(problem)
        self.gate.model.problems.clear()
        for key in sorted({*self.gate.model.items, *items, *self.gate.model.records, *records}):
            difference = self.gate.model.difference(key, items.get(key), records.get(key, {}))
            if difference is not None:
                self._blame(difference)
        for job in jobs:
            self._check_run(job)
        if self.gate.problems or not self.shop.findings.is_clean:
            raise Spoilt

    def _blame(self, difference: Difference) -> None:
        kinds = [kind for name, kind in KINDS.items() if getattr(difference, name)]
        for name in KINDS:
            setattr(self.shop.findings, name, getattr(self.shop.findings, name) + getattr(difference, name))
        self.gate.find(difference.words, *(kinds or [Finding.WRONG_FIGURES]))

    def _check_run(self, job: Job) -> None:
        self.shop.findings.runs += 1
        jobs = self.shop.calm_jobs()
        run = jobs.run(job.name)
        if run is None or not run.is_settled:
            self.gate.find(f"{job.name} was never settled", Finding.NEVER_SETTLED)
            return
        self.shop.findings.outcomes[run.status.value] += 1
        self.gate.note({"event": "ended", "run": job.name, "status": run.status.value, "tally": _tally_of(run)})
        if jobs.lease().holder == job.name:
            self.gate.find(f"{job.name} left its lease behind", Finding.LEASE)
        self._check_tally(job, run)
        if run.status is JobStatus.SKIPPED:
            return
        self._check_reports(job, run)
        if run.has_finished and run.error is None and run.stop_reason is None:
            self._check_nothing_is_left(job, run)

    def _check_tally(self, job: Job, run: Run) -> None:
        """The tally and the pages say what the records were made to say: all of it, or so much at least."""
        jobs = self.shop.calm_jobs()
        truth, told = self.gate.model.truth[job.name], _tally_of(run)
        pages = Counter((*each.key, each.change_id, str(each.outcome)) for each in jobs.settled(job.name))
        settled = self.gate.model.settled[job.name]
        is_recorded = "failures could not be recorded" not in (run.error or "")
        wrong = {name: (count, truth[name]) for name, count in told.items() if count > truth[name]}
        if pages - settled:
            wrong["pages"] = (len(pages - settled), 0)
        if run.tally_is_exact:
            wrong |= {name: (told[name], truth[name]) for name in _OF_CHANGES if told[name] != truth[name]}
            failures = list(jobs.failures(job.name))
            if is_recorded:
                recorded = {
                    "changes_rejected": len({(each.key, each.change_id) for each in failures if each.change_id}),
                    "items_failed": sum(1 for each in failures if each.change_id is None and each.code != NEGATIVE),
                }
                rejected = {entry[:3] for entry in settled if entry[3] == "REJECTED"}
                if recorded["changes_rejected"] != len(rejected):
                    wrong["changes_rejected recorded"] = (recorded["changes_rejected"], len(rejected))
                if recorded["items_failed"] > run.tally.items_failed:
                    wrong["items_failed recorded"] = (recorded["items_failed"], run.tally.items_failed)
                if pages != settled:
                    wrong["pages"] = (pages.total(), settled.total())
        else:
            self.shop.findings.inexact_tallies += 1
            if job.name not in self.gate.in_doubt and not self._may_doubt(job):
                wrong["tally_is_exact"] = (0, 1)
        if wrong:
            self.shop.findings.wrong_tallies += 1
            self.gate.find(f"{job.name}: told and true are {wrong}, exact is {run.tally_is_exact}", Finding.WRONG_TALLY)

    def _may_doubt(self, job: Job) -> bool:
        """Whether the product may have lost sight of what it wrote."""
        # Of scope all two workers may meet on an item: the one finds a mark of its job's that it has not made.
        return job.request.scope == "all" or bool(
            job.rate or job.statement_rate or job.beside or job.throttles_for_good
        )

    def _check_reports(self, job: Job, run: Run) -> None:
        def say(words: str) -> None:
            self.gate.find(words, Finding.NOT_TOLD)

        is_displaced = run.status is JobStatus.ABANDONED
        if not run.metrics_published_at and not run.metrics_error:
            say(f"{job.name}: no metrics, and no word why")
        if run.metrics_published_at and not job.published and not is_displaced:
            say(f"{job.name}: metrics are marked as published and were not")
        was_heard = any(each.results[job.name] for each in self.machine.jobs)
        if run.has_result and not was_heard and not run.result_error and not job.is_aborted:
            say(f"{job.name}: nothing was heard of it, and no word why")
        if run.result_published_at and not was_heard:
            say(f"{job.name}: its result is marked as published and was not")
        # The alert of an abandoned job that could not be sent is left to the next job.
        is_left = is_displaced and run.alert_error and job.name in self.shop.calm_jobs().lease().displaced
        # An execution that is stopped before its closing could try again has an alarm of its own.
        if not run.alerted_at and not is_left and not (job.is_aborted and run.alert_error):
            say(f"{job.name}: the alert is not settled")
        earlier = [each for each in self.machine.jobs if each.alerts and each.request.scope == job.request.scope]
        if run.status not in (JobStatus.SUCCEEDED, JobStatus.ABANDONED) and not earlier:
            say(f"{job.name} is {run.status.value} and nobody was told")

    def _check_nothing_is_left(self, job: Job, run: Run) -> None:
        """A run that came through has settled all that was due when it began, or says what it could not."""
        failed = {each.key for each in self.shop.calm_jobs().failures(job.name) if each.change_id is None}

        def may_be_left(key: Key) -> bool:
            # What the index did not show yet, the next job sees.
            return key in failed or job.index is not None

        left = [
            (key, change_id)
            for key, change_id in self.gate.model.due(job.request.as_of, job.began)
            if not may_be_left(key)
        ]
        if left:
            self.shop.findings.lost += len(left)
            self.gate.find(f"{job.name} is {run.status.value} and left {left[:3]} behind", Finding.LOST)
        if job.request.scope != "all":
            return
        for key, item in self.gate.model.items.items():
            is_stale = item.derived != derived_of(item.figures)
            touched = max(item.touched.get(name, 0) for name in ("foreign", "opening"))
            if is_stale and key not in failed and touched <= job.began:
                self.gate.find(f"{job.name} left wrong derived figures at {key}", Finding.WRONG_FIGURES)

    def check_everything_is_said(self, as_of: str) -> None:
        """After a calm run nothing is due any more, and no record waits whose item has decided."""
        model = self.gate.model
        left = list(model.due(as_of, model.moment))
        left += [
            (key, name)
            for key, item in model.items.items()
            for name, record in model.records[key].items()
            if record.status not in FINAL and record.attempt in item.decided[name] and record.due_at <= as_of
        ]
        if left:
            self.shop.findings.lost += len(left)
            self.gate.find(f"after a calm run {left[:3]} are still waiting", Finding.LOST)


def _tally_of(run: Run) -> dict[str, int]:
    return {name: getattr(run.tally, name) for name in ("items_updated", *_OF_CHANGES)}
