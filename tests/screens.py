"""Screens as golden text: what people see at 80 and at 120 columns."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from rich.console import RenderableType

from cli.output import View, text_of

SCREENS: Final = Path(__file__).parent / "unit" / "cli" / "screens"
BERLIN: Final = ZoneInfo("Europe/Berlin")


def check_screen(name: str, draw: Callable[[View], RenderableType]) -> None:
    """Hold a screen against its files NAME-80.txt and NAME-120.txt, and each of its lines against the width.

    With WRITE_SCREENS=1 in the environment the files are written anew: look at what has changed.
    """
    for width in (80, 120):
        view = View(width, BERLIN)
        text = text_of(draw(view), view)
        file = SCREENS / f"{name}-{width}.txt"
        if os.environ.get("WRITE_SCREENS"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8")
        assert [line for line in text.splitlines() if len(line) >= width] == []
