"""The benchmarks' command, in small: what it measures is not looked at, only that it is all there."""

import json
from pathlib import Path

import pytest

from benchmark import EXIT_BAD_INPUT, EXIT_FAILED, main
from benchmarks.peers import LOOP, PEERS, PRODUCT, TRANSACTIONS


def test_every_peer_makes_the_same_updates(tmp_path: Path) -> None:
    results = tmp_path / "bench.json"

    options = ("--only", "end_to_end,at_a_distance", "--items", "200", "--rounds", "1")
    assert main(["quick", *options, "--results", str(results)]) == 0

    found = json.loads(results.read_text(encoding="utf-8"))
    assert found[0].keys() == {"comparison", "engine", "name", "unit", "value", "times_better", "case", "machine"}
    compared = {entry["name"] for entry in found if entry["engine"] == "instant"}
    assert compared == set(PEERS)
    # Twenty items, one after the other, each ten milliseconds away.
    far = {
        entry["name"]: entry["value"] for entry in found if entry["unit"] == "wall_seconds" and "ms" in entry["engine"]
    }
    assert far[LOOP] > 20 * 0.01
    headline = [
        entry
        for entry in found
        if entry["name"] == PRODUCT
        and (entry["comparison"], entry["engine"], entry["unit"]) == ("end_to_end", "instant", "cpu_us_per_item")
    ]
    assert len(headline) == 1
    assert headline[0]["times_better"] > 0
    assert {entry["times_better"] for entry in found if entry["name"] == LOOP} == {1.0, None}
    units = {
        entry["name"]: entry["value"]
        for entry in found
        if (entry["unit"], entry["engine"]) == ("write_units_per_item", "instant")
    }
    assert units == dict.fromkeys(PEERS, 1.0) | {TRANSACTIONS: 2.0}


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
