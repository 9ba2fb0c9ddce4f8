"""Golden bytes: equal content gives equal bytes, in any process, time zone and locale (how to regenerate: golden.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def written(folder: Path, **environment: str) -> dict[str, bytes]:
    """What golden.py makes in a process of its own."""
    command = [sys.executable, str(HERE / "golden.py"), "--write", str(folder)]
    subprocess.run(command, check=True, env={**os.environ, **environment})
    return files_below(folder)


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "environment",
    [
        {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1"},
        {"TZ": "America/St_Johns", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "4242"},
        {"TZ": "Pacific/Kiritimati", "LC_ALL": "zh_CN.UTF-8", "LANG": "zh_CN.UTF-8"},
    ],
    ids=lambda environment: environment["TZ"],
)
def test_documents_are_byte_for_byte_the_expected_ones_wherever_they_are_made(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    made, expected = written(tmp_path, **environment), files_below(HERE / "expected")
    assert sorted(made) == sorted(expected)
    for name, data in expected.items():
        assert made[name] == data, f"{name} differs: python tests/golden/golden.py --regenerate, then read the difference"


def test_the_golden_store_shows_every_format_and_every_kind_of_feed() -> None:
    names = sorted(files_below(HERE / "expected"))
    assert {Path(name).suffix for name in names} == {".atom", ".rss", ".json"}
    assert {Path(name).parent.name for name in names} == {"", "archive", "en", "feeds", "tags", "translators"}


def test_nothing_of_a_comment_is_in_any_golden_document() -> None:
    for name, data in files_below(HERE / "expected").items():
        for secret in (b"golden-comment-text", b"golden-nickname", b"192.0.2.7"):
            assert secret not in data, name
