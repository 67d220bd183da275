"""The benchmarks' command, in small: what it measures is not looked at, only that it is all there."""

import json
from pathlib import Path

import pytest

from benchmark import main
from benchmarks.peers import LOOP, PEERS, PRODUCT, TRANSACTIONS
from cli.exit_codes import EXIT_BAD_INPUT, EXIT_FAILED


def test_every_peer_makes_the_same_updates(tmp_path: Path) -> None:
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
    assert units == dict.fromkeys(PEERS, 1.0) | {TRANSACTIONS: 2.0}
    assert near[PRODUCT, "cpu_us_per_item"]["times_better"] > 0
    assert {one["times_better"] for one in found if one["name"] == LOOP} == {1.0, None}
    # Twenty items, one after the other, each ten milliseconds away.
    assert far[LOOP, "wall_seconds"]["value"] > 20 * 0.01


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
