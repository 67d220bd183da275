"""The files of a command line: read again and again, with all that is wrong told at once."""

import os
import threading
from pathlib import Path

import pytest

from cli.errors import ProblemsFound
from cli.input_files import InputFile, input_file
from inventory_updater.intake.change_files import read_change_file
from inventory_updater.intake.refusals import RowsChangedError
from inventory_updater.intake.text_rows import ChangeRow

HEADER = "change_id,sku,location_id,kind,value,effective_at\n"


def lines(count: int, value: str = "3") -> str:
    return HEADER + "".join(f"c{number},MUG,LEEDS,count,{value},2026-03-02T08:00:00Z\n" for number in range(count))


def change_file(directory: Path, content: str) -> InputFile[ChangeRow]:
    path = directory / "changes.csv"
    path.write_text(content, encoding="utf-8")
    return InputFile(path, "changes.csv", read_change_file)


def test_a_pipe_is_read_again_and_again_and_its_copy_is_removed(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(lines(3),))
    writer.start()
    with input_file(pipe, read_change_file) as file:
        assert (file.check(), len(list(file.rows())), len(list(file.rows()))) == (3, 3, 3)
        assert (file.name, file.source, file.path.exists()) == (str(pipe), "pipe", True)
    writer.join()
    assert not file.path.exists()


def test_a_file_is_read_where_it_is_and_what_is_none_has_that_as_its_problem(tmp_path: Path) -> None:
    path = change_file(tmp_path, lines(1)).path
    said = {}
    for each in (path, tmp_path, tmp_path / "nowhere.csv"):
        with input_file(each, read_change_file) as file:
            assert file.path == each
            said[each.name] = (file.begins_well(), [problem.code for problem in file.problems()])
    assert said == {path.name: (True, []), tmp_path.name: (False, ["NO_FILE"]), "nowhere.csv": (False, ["NO_FILE"])}


def test_problems_and_clashes_are_told_up_to_fifty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ProblemsFound) as found:
        change_file(tmp_path, lines(70, "many") + "\0").check()
    told = str(found.value).splitlines()
    assert told[0].startswith("changes.csv: line 2, column value: 'many' is not a number")
    assert (len(told), told[-1]) == (51, "... and 21 more problems")

    assert change_file(tmp_path, lines(70)).check() == 70
    noted = capsys.readouterr().err.splitlines()
    assert noted[0].startswith("note: changes.csv: line 3: sets the count of the same item at the same moment")
    assert (len(noted), noted[-1]) == (51, "note: changes.csv: 19 more such lines")


def test_a_file_that_is_another_one_by_now_is_told(tmp_path: Path) -> None:
    file = change_file(tmp_path, lines(3))
    file.check()
    change_file(tmp_path, lines(3, "many"))
    with pytest.raises(RowsChangedError):
        list(file.rows())
