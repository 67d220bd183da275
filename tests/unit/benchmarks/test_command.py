"""The benchmarks' command, in small: what it measures is not looked at, only that it is all there."""

import json
from pathlib import Path

import pytest

from benchmark import main
from benchmarks.peers import DELIVERING, LANES, LOADING, LOOP, PEERS, PRODUCT, SCHEDULING, TRANSACTIONS
from cli.exit_codes import EXIT_BAD_INPUT, EXIT_FAILED


@pytest.mark.slow
def test_every_peer_settles_the_same_changes(tmp_path: Path) -> None:
    results = tmp_path / "bench.json"
    options = ("--only", "end_to_end,at_a_distance", "--items", "200", "--rounds", "1")

    assert main(["quick", *options, "--results", str(results)]) == 0

    found = json.loads(results.read_text(encoding="utf-8"))
    assert found[0].keys() == {"comparison", "engine", "name", "unit", "value", "times_better", "case", "machine"}
    near, far = (
        {(one["name"], one["unit"]): one for one in found if (one["comparison"], one["engine"]) == where}
        for where in (("end_to_end", "instant"), ("at_a_distance", "10 ms away"))
    )
    assert len(near) + len(far) == len(found)
    units = {name: one["value"] for (name, unit), one in near.items() if unit == "write_units_per_item"}
    # The item, its record, and the index that the record leaves.
    assert units == dict.fromkeys(PEERS, 3.0) | {TRANSACTIONS: 6.0}
    assert near[PRODUCT, "cpu_us_per_item"]["times_better"] > 0
    assert {one["times_better"] for one in found if one["name"] == LOOP} == {1.0, None}
    # Twenty items, one after the other, each ten milliseconds away.
    assert far[LOOP, "wall_seconds"]["value"] > 20 * 0.01


@pytest.mark.slow
def test_what_is_counted_and_what_doors_and_partitions_take_is_measured_too(tmp_path: Path) -> None:
    results = tmp_path / "bench.json"
    options = ("--only", "idle_job,doors,partitions", "--items", "60", "--rounds", "1")

    assert main(["quick", *options, "--results", str(results)]) == 0

    found = {
        (one["comparison"], one["name"], one["unit"]): one["value"]
        for one in json.loads(results.read_text(encoding="utf-8"))
    }
    assert found["idle_job", "nothing due", "queries_of_shards"] == 64
    assert found["idle_job", "nothing due", "other_requests"] <= 8
    assert (
        found["idle_job", "200 due", "write_units"] == 3 * 200 + found["idle_job", "200 due", "write_units_of_records"]
    )
    # A record and its entry in the index; an item.
    assert found["doors", SCHEDULING, "write_units_per_item"] == 2
    assert found["doors", DELIVERING, "write_units_per_item"] == 2
    assert found["doors", LOADING, "write_units_per_item"] == 1
    assert {name for comparison, name, _ in found if comparison == "partitions"} == set(LANES)


@pytest.mark.parametrize(
    "wrong", [("--only", "speed"), ("--peers", "nobody"), ("--rounds", "0"), ("--items", "many"), ("--loud",)]
)
def test_bad_usage_is_refused(wrong: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["quick", *wrong])

    assert refused.value.code == EXIT_BAD_INPUT
    assert wrong[-1].lstrip("-") in capsys.readouterr().err


def test_without_results_there_is_nothing_to_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["docs", "--results", str(tmp_path / "bench.json")]) == EXIT_FAILED

    assert "holds no results" in capsys.readouterr().err
