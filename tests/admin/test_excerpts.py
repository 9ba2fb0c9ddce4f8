"""The lines of a file in quarantine: what helps is shown, what people wrote in comments is not, however the file is damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.admin import reports
from tests.examples import some
from tests.test_privacy import COMMENTS, DAMAGES, FOOTER, SECRETS, SHAPES


def shown(text: str) -> str:
    """All that could ever be seen of a file."""
    number = text.count("\n") + text.count("\r") + 1
    seen = [row for line in range(1, number + 2 * reports.AROUND, reports.AROUND) for row in reports.excerpt(text, line)]
    return "\n".join(row.text or "" for row in seen)


@given(COMMENTS, st.sampled_from(sorted(DAMAGES)), st.integers(0, 10**6), st.booleans())
@settings(max_examples=some(150))
def test_no_comment_is_shown_however_the_file_is_damaged(
    text_of: Any, comments: Any, damage: str, at: int, footer: bool
) -> None:
    text = text_of("1.md", comments_data=comments, body="正文。" + (FOOTER if footer else ""))
    damaged = DAMAGES[damage](text, at)[:60_000]
    assert not SECRETS.search(shown(damaged).encode("utf-8", "replace")), damage


@given(SHAPES)
@settings(max_examples=some(50))
def test_no_comment_is_shown_whatever_its_shape(text_of: Any, comments: Any) -> None:
    assert not SECRETS.search(shown(text_of("1.md", comments_data=comments)).encode("utf-8", "replace"))


def test_the_line_that_is_meant_is_shown_with_its_neighbours(text_of: Any) -> None:
    text = text_of("1.md", comments_data=[], title="一篇文章", tags=["Linux", "内核"])
    line = next(number for number, row in enumerate(text.split("\n"), 1) if row.startswith("title:"))
    found = reports.excerpt(text, line)
    assert [row.number for row in found] == list(range(line - 3, line + 4))
    assert found[3].text == "title: 一篇文章" and "- 内核" in [row.text for row in found]


def test_lines_behind_the_comments_and_of_the_body_are_shown(text_of: Any) -> None:
    comments = [{"date": "2024-01-01", "message": "zqsecret", "postip": "203.0.113.9", "username": "zqsecret"}]
    text = text_of("1.md", comments_data=comments, body="- 第一\n- 第二")
    seen = shown(text)
    assert "title: 一篇文章" in seen and "- 第二" in seen and "zqsecret" not in seen
    assert any(row.text is None for row in reports.excerpt(text, 6))


def test_a_long_line_is_cut() -> None:
    [row] = reports.excerpt("x" * 1000, 1)
    assert row.text == "x" * reports.WIDTH and row.cut


@pytest.mark.parametrize("path", ["missing.md", "../outside.md", "/etc/hostname"])
def test_nothing_is_read_outside_of_the_store(tmp_path: Path, path: str) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "outside.md").write_text("secret", "utf-8")
    assert reports.read_excerpt(tmp_path / "store", path, 1) == ()


def test_a_link_out_of_the_store_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "outside.md").write_text("secret", "utf-8")
    (tmp_path / "store" / "1.md").symlink_to(tmp_path / "outside.md")
    assert reports.read_excerpt(tmp_path / "store", "1.md", 1) == ()
