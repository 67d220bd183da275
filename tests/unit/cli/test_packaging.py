"""The function's package."""

import os
import re
import time
import zipfile
from pathlib import Path

import pytest

from cli.packaging import build_package


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    package = tmp_path / "src" / "inventory_updater"
    (package / "__pycache__").mkdir(parents=True)
    (package / "handler.py").write_text("def handle(): ...\n", encoding="utf-8")
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "__pycache__" / "handler.cpython-313.pyc").write_bytes(b"compiled")
    return tmp_path / "src"


def test_equal_files_make_equal_packages_whenever_and_however_they_were_written(sources: Path, tmp_path: Path) -> None:
    first = build_package(tmp_path / "first", sources)
    handler = sources / "inventory_updater" / "handler.py"
    handler.chmod(0o600)
    os.utime(handler, (time.time() + 86400, time.time() + 86400))
    second = build_package(tmp_path / "second", sources)

    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.key == second.key


def test_new_code_is_a_new_key(sources: Path, tmp_path: Path) -> None:
    before = build_package(tmp_path / "build", sources)
    (sources / "inventory_updater" / "handler.py").write_text("def handle(): return 1\n", encoding="utf-8")
    after = build_package(tmp_path / "build", sources)

    assert before.key != after.key
    assert re.fullmatch(r"inventory-updater/[0-9a-f]{64}\.zip", after.key)


def test_a_package_holds_the_code_and_nothing_else_readable_by_lambda(sources: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(build_package(tmp_path / "build", sources).path) as archive:
        entries = archive.infolist()

    assert [entry.filename for entry in entries] == ["inventory_updater/__init__.py", "inventory_updater/handler.py"]
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
