"""The files that a command writes: one takes its place only once it is complete."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from cli.errors import InputError

STANDARD_OUTPUT: Final = Path("/dev/stdout")


def output_path(text: str) -> Path:
    """The type of an argument that names a file to write; `-` is standard output."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return STANDARD_OUTPUT if text == "-" else Path(text)


@contextmanager
def output_file(path: Path) -> Iterator[TextIO]:
    """A file in UTF-8 that takes the place of `path` once it is complete: a failure leaves what was there before."""
    if path == STANDARD_OUTPUT:
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]  # standard output is a file
        yield sys.stdout
        return
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8", newline="") as file:
            yield file
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            yield file
        unfinished.replace(path)
    except FileNotFoundError:
        raise InputError(f"{path}: its folder does not exist") from None
    finally:
        unfinished.unlink(missing_ok=True)
