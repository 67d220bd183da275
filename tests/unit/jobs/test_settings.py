"""The function's settings: each variable is read once, and every bad one is named."""

import json
from dataclasses import asdict, replace

import pytest

from inventory_updater.jobs.settings import RENEWAL_SHARE, RETRY_PAUSE_SECONDS, Settings, SettingsError
from inventory_updater.stock.guards import Guards
from tests.builders import ENVIRONMENT


def problems_of(environment: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment(environment)
    return str(raised.value).split("; ")


def test_every_setting_is_read_from_the_variable_of_its_name_and_others_are_nobodys_business() -> None:
    read = Settings.from_environment(ENVIRONMENT | {"PATH": "/bin", "AWS_REGION": "eu-central-1"})

    said = {name.upper(): str(value) for name, value in asdict(replace(read, guards=None)).items()}
    assert said == ENVIRONMENT | {"ALLOW_NEGATIVE_STOCK": "True", "GUARDS": "None"}
    assert read.guards == Guards.read(json.loads(ENVIRONMENT["GUARDS"]))


def test_guards_that_cannot_be_read_are_refused() -> None:
    for text in ("none", "[]", "{}", ENVIRONMENT["GUARDS"].replace("40", "many")):
        assert problems_of(ENVIRONMENT | {"GUARDS": text}) == [
            f"GUARDS must be a JSON object of all guards, not {text[:20]!r}"
        ]


def test_a_missing_variable_names_itself() -> None:
    for variable in ENVIRONMENT:
        without = {name: text for name, text in ENVIRONMENT.items() if name != variable}

        assert problems_of(without) == [f"{variable} is missing"]
        assert problems_of(ENVIRONMENT | {variable: ""}) == [f"{variable} is missing"]


def test_all_problems_are_named_at_once() -> None:
    assert problems_of(ENVIRONMENT | {"SEGMENTS": "0", "ALLOW_NEGATIVE_STOCK": "yes", "JOBS_TABLE": ""}) == [
        "JOBS_TABLE is missing",
        "SEGMENTS must be a whole number from 1 to 40, not '0'",
        "ALLOW_NEGATIVE_STOCK must be true or false, not 'yes'",
    ]


def test_a_number_outside_its_range_is_refused() -> None:
    ranges = {
        "SEGMENTS": (1, 40),
        "PAGE_SIZE": (1, 1000),
        "BATCH_SIZE": (1, 25),
        "WRITE_CONCURRENCY": (1, 32),
        "MAX_WRITE_RATE": (0, 1_000_000),
        "CHANGE_RETENTION_DAYS": (1, 365),
        "JOB_RETENTION_DAYS": (1, 3650),
        "ALL_WAIT_MINUTES": (0, 720),
        "FUNCTION_TIMEOUT_SECONDS": (3, 900),
        "ALARM_FAILED_ITEMS": (1, 1_000_000),
        "ALERT_REPEAT_HOURS": (1, 168),
    }
    for variable, (low, high) in ranges.items():
        for number in (low, high):
            assert getattr(Settings.from_environment(ENVIRONMENT | {variable: str(number)}), variable.lower()) == number
        for number in (low - 1, high + 1):
            problem = f"{variable} must be a whole number from {low} to {high}, not '{number}'"
            assert problems_of(ENVIRONMENT | {variable: str(number)}) == [problem]


def test_what_is_no_whole_number_or_no_truth_value_is_refused() -> None:
    for text in ("many", "4.0", "4 ", "0x4", "1e1", "4,0", "-"):
        problem = f"SEGMENTS must be a whole number from 1 to 40, not {text!r}"
        assert problems_of(ENVIRONMENT | {"SEGMENTS": text}) == [problem]
    for text in ("True", "TRUE", "1", "yes", "on", "0"):
        problem = f"ALLOW_NEGATIVE_STOCK must be true or false, not {text!r}"
        assert problems_of(ENVIRONMENT | {"ALLOW_NEGATIVE_STOCK": text}) == [problem]


def test_false_is_false() -> None:
    assert Settings.from_environment(ENVIRONMENT | {"ALLOW_NEGATIVE_STOCK": "false"}).allow_negative_stock is False


def settings(**values: int) -> Settings:
    return Settings("test", "inventory", "changes", "jobs", **values)  # type: ignore[arg-type]  # none of them is text


def test_a_lease_that_was_nearly_due_for_renewal_outlasts_a_call_that_hangs_and_every_pause_after_it() -> None:
    for timeout in range(3, 901):
        lease = settings(function_timeout_seconds=timeout).lease_seconds
        assert lease * (1 - RENEWAL_SHARE) >= timeout + RETRY_PAUSE_SECONDS, timeout


def test_each_worker_gets_its_share_of_the_write_rate() -> None:
    assert [settings(max_write_rate=rate, segments=4).write_rate_of_one_worker for rate in (10, 0)] == [2.5, 0]


def test_a_page_holds_one_item_and_no_more_than_can_be_written_in_a_quarter_of_a_call() -> None:
    usual = {"page_size": 250, "segments": 4, "function_timeout_seconds": 300}
    pages = {0: 250, 1_000: 250, 10: 187, 1: 18}

    assert {rate: settings(max_write_rate=rate, **usual).items_per_page for rate in pages} == pages
    assert settings(max_write_rate=1, segments=40, function_timeout_seconds=3).items_per_page == 1
