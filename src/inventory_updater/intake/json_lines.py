"""Changes as JSON lines: an object with the fields of a change on each line. https://jsonlines.org/

Each object is understood as one that a system sends (``messages.py``): an unknown field is refused, times have a zone
and numbers a point. A file is read as one of CSV is: line by line, and lines of up to 100,000 bytes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

from inventory_updater.intake.csv_format import Keep, Note, Table
from inventory_updater.intake.messages import object_row
from inventory_updater.intake.text_rows import CHANGE_COLUMNS, Problem, TextRow

_ONE_A_LINE: Final = "a change is an object with its fields, all of it on one line"


def _item_of(said: Mapping[str, object]) -> tuple[str, str]:
    """What tells the items of a file apart, whatever is wrong with their names."""
    sku, location = (said.get(name) for name in ("sku", "location_id"))
    return sku.strip() if isinstance(sku, str) else "", location.strip() if isinstance(location, str) else ""


class JsonLines(Table):
    """The objects of a file as rows. What is no object is a row without cells, and a problem."""

    form: ClassVar[str] = "file of JSON lines"

    def __init__(self, path: Path) -> None:
        super().__init__(path, "file of JSON lines", (), CHANGE_COLUMNS)
        self.header = list(CHANGE_COLUMNS)

    def rows(self, keep: Keep | None = None) -> Iterator[TextRow | Problem | Note]:
        for line, text in enumerate(self._lines(0), 1):
            if not text.strip():
                continue
            row = self._understood(line, text, keep)
            if row is not None:
                yield row

    def read_header(self) -> Sequence[str]:
        return self.header

    def row_on(self, line: int) -> TextRow:
        row = self._understood(line, next(self._lines_from(line), "{}"))
        return row if isinstance(row, TextRow) else object_row(line, {})

    def _understood(self, line: int, text: str, keep: Keep | None = None) -> TextRow | Problem | None:
        """The row on a line; None where its item is not to be kept, as of most lines where a file is read in parts."""
        try:
            said = json.loads(text)
        except json.JSONDecodeError as error:
            why = f"{error.msg} at character {error.pos + 1}"
        except ValueError:
            why = "a number with too many digits"
        except RecursionError:
            why = "too many brackets within brackets"
        else:
            if isinstance(said, Mapping):
                return object_row(line, said) if keep is None or keep(*_item_of(said)) else None
            return Problem(line, None, "NOT_AN_OBJECT", f"is no object; {_ONE_A_LINE}")
        return Problem(line, None, "NOT_JSON", f"cannot be read as JSON: {why}; {_ONE_A_LINE}")
