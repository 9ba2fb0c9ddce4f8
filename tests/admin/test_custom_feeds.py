"""A feed of the operator's own: put together, named, saved to feeds.yaml, live, changed, removed, taken back."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from feeds.admin import custom_feeds
from feeds.admin.custom_feeds import FeedsFile
from feeds.errors import EditError
from feeds.web.app import create_app
from feeds.web.console import feed_pages
from tests.admin.conftest import Operator


def feeds_file(operator: Operator) -> FeedsFile:
    return FeedsFile(operator.site.runtime.engine, operator.site.runtime.environment)


LINUX = {"name": "linux", "title": "Linux 与内核"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No clock runs here: a page that waits for one would wait in vain."""
    monkeypatch.setattr(feed_pages, "PATIENCE", 0.0)


def test_the_selection_is_put_together_step_by_step(operator: Operator) -> None:
    operator.get("/feeds/new?mode=&facet=tag&term=linux")
    assert operator.page.headers["Location"] == "/operator/feeds/new?tag=linux"
    operator.get("/feeds/new?tag=linux")
    assert "3 articles" in operator.text and "一篇文章" in operator.text
    operator.get("/feeds/new?tag=linux&mode=not-&facet=tag&term=%E5%86%85%E6%A0%B8")
    assert operator.page.headers["Location"] == "/operator/feeds/new?tag=linux&not-tag=%E5%86%85%E6%A0%B8"


def test_what_is_saved_is_written_and_served(operator: Operator) -> None:
    before = operator.yaml.read_text("utf-8")
    operator.save("tag=Linux", description="一句话", limit="5", content="summary", **LINUX)
    assert operator.page.headers["Location"] == "/operator/feeds/own?said=saved"
    text = operator.yaml.read_text("utf-8")
    assert text.startswith(before) and "  - name: linux\n" in text
    operator.site.rescan()
    assert "It is live" in operator.follow().get_data(as_text=True)
    served = operator.client.get("/feeds/linux.json").get_json()
    assert (served["title"].split(" · ")[0], served["description"], len(served["items"])) == ("Linux 与内核", "一句话", 3)


def test_until_the_rescan_the_page_says_that_it_is_not_live_yet(operator: Operator) -> None:
    operator.save("tag=Linux", **LINUX)
    assert "not in force yet" in operator.follow().get_data(as_text=True)
    assert operator.client.get("/feeds/linux.json").status_code == 404


def test_a_change_of_a_feed_keeps_its_address_and_its_comments(operator: Operator) -> None:
    operator.site.set(
        "feeds.yaml", "feeds:\n  - name: kernel   # since 2003\n    title: 内核\n    id: first\n    select: {tag: [内核]}\n"
    )
    operator.site.rescan()
    operator.get("/feeds/new?edit=kernel")
    operator.get(operator.page.headers["Location"].removeprefix("/operator"))
    assert 'value="内核"' in operator.text
    operator.post("/feeds/save", title="内核之外", limit="", content="", description="")
    assert operator.page.status_code == 303
    text = operator.yaml.read_text("utf-8")
    assert "name: kernel   # since 2003" in text and "title: 内核之外" in text and "id: first" in text


def test_a_feed_of_all_articles_can_be_edited_too(operator: Operator) -> None:
    operator.site.set("feeds.yaml", "feeds:\n  - name: news\n    title: News\n")
    operator.site.rescan()
    assert operator.get("/feeds/new?edit=news").status_code == 200 and "5 articles" in operator.text
    assert operator.post("/feeds/save", title="All the news", limit="7", content="", description="").status_code == 303
    assert operator.yaml.read_text("utf-8") == "feeds:\n  - name: news\n    title: All the news\n    limit: 7\n"


def test_who_switches_languages_on_the_answer_to_a_form_finds_the_form_again(operator: Operator) -> None:
    for path, room in {"feeds/save": "feeds/new", "feeds/undo": "feeds/own", "issues/test": "issues"}.items():
        assert operator.get(f"/{path}").headers["Location"] == f"/operator/{room}"
    assert operator.get("/feeds/nothing").status_code == 404


def test_a_removed_feed_is_gone_for_good_if_the_operator_says_so(operator: Operator) -> None:
    operator.get("/feeds/own")
    operator.post("/feeds/remove", gone="yes")
    operator.site.rescan()
    operator.follow()
    assert operator.client.get("/feeds/kernel.atom").status_code == 410


def test_a_removed_feed_may_also_just_be_missing(operator: Operator) -> None:
    operator.get("/feeds/own")
    operator.post("/feeds/remove")
    operator.site.rescan()
    assert operator.client.get("/feeds/kernel.atom").status_code == 404


def test_the_last_changes_can_be_taken_back_one_by_one(operator: Operator) -> None:
    texts = [operator.yaml.read_bytes()]
    for name in ("one", "two"):
        operator.save("tag=Linux", name=name, title=name)
        texts.append(operator.yaml.read_bytes())
    for expected in (texts[1], texts[0]):
        operator.get("/feeds/own")
        operator.post("/feeds/undo")
        assert operator.page.status_code == 303
        assert operator.yaml.read_bytes() == expected
    operator.get("/feeds/own")
    assert "Take back" not in operator.text


def test_an_undo_never_undoes_what_somebody_else_wrote(operator: Operator) -> None:
    operator.save("tag=Linux", **LINUX)
    operator.get("/feeds/own")
    shown = operator.hidden("/feeds/undo")
    edited = operator.yaml.read_text("utf-8") + "# by hand\n"
    operator.site.set("feeds.yaml", edited)
    operator.get("/feeds/own")
    assert "Take back" not in operator.text
    assert operator.post("/feeds/undo", **shown).status_code == 409
    assert operator.yaml.read_text("utf-8") == edited


def test_a_file_that_changed_since_the_form_was_shown_is_not_written(operator: Operator) -> None:
    operator.get("/feeds/new?tag=Linux")
    edited = operator.yaml.read_text("utf-8") + "# by hand\n"
    operator.site.set("feeds.yaml", edited)
    assert operator.post("/feeds/save", **LINUX).status_code == 409
    assert "has been changed since" in operator.text and 'value="Linux 与内核"' in operator.text
    assert operator.yaml.read_text("utf-8") == edited


WRONG = [
    ({"name": ""}, "A name is missing"),
    ({"name": "../x"}, "A name has letters"),
    ({"name": "a b"}, "A name has letters"),
    ({"name": "名"}, "A name has letters"),
    ({"name": "Kernel"}, "of this name already"),
    ({"name": "retired"}, "was retired"),
    ({"title": " "}, "A title is missing"),
    ({"title": "x" * 201}, "200 characters"),
    ({"title": "a\nb"}, "200 characters"),
    ({"limit": "0"}, "1 to 500"),
    ({"limit": "501"}, "1 to 500"),
    ({"limit": "٣"}, "1 to 500"),
    ({"content": "all"}, "not available"),
    ({"select": ""}, "Choose at least one"),
]


def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_written(operator: Operator) -> None:
    text = operator.yaml.read_text("utf-8").replace("gone: []", "gone: [feeds/retired]")
    operator.site.set("feeds.yaml", text)
    for fields, words in WRONG:
        operator.save("tag=Linux", **{**LINUX, **fields})
        assert operator.page.status_code == 400 and words in operator.text, fields
    assert operator.yaml.read_text("utf-8") == text


def test_a_selection_that_cannot_be_is_refused_in_words(operator: Operator) -> None:
    for query in ("colour=red", "tag=", "feed=x&tag=y", "tag=" + "x" * 3000):
        assert operator.get(f"/feeds/new?{query}").status_code == 400
        assert "cannot be used" in operator.text


def test_nothing_is_written_where_another_file_has_a_fault(operator: Operator) -> None:
    operator.get("/feeds/new?tag=Linux")
    operator.site.set("site.yaml", "titel: x\n")
    before = operator.yaml.read_bytes()
    assert operator.post("/feeds/save", **LINUX).status_code == 409
    assert "site.yaml:1:1" in operator.text
    assert operator.yaml.read_bytes() == before


def test_what_only_people_understand_is_left_to_them(operator: Operator) -> None:
    operator.site.set("feeds.yaml", "{feeds: []}\n")
    operator.save("tag=Linux", **LINUX)
    assert operator.page.status_code == 409 and "by hand" in operator.text


def test_a_file_that_is_read_only_says_so_and_what_to_do(operator: Operator) -> None:
    operator.yaml.chmod(0o444)
    operator.get("/feeds/own")
    assert "read-only for the service" in operator.text and str(operator.yaml) in operator.text
    assert "/feeds/remove" not in operator.text
    operator.save("tag=Linux", **LINUX)
    assert operator.page.status_code == 409


def test_a_missing_file_says_so(operator: Operator) -> None:
    operator.yaml.unlink()
    assert "cannot be read" in operator.get("/feeds/own").get_data(as_text=True)


def test_the_rights_of_the_file_stay_and_a_link_stays_a_link(operator: Operator) -> None:
    real = operator.yaml.rename(operator.yaml.with_name("real.yaml"))
    operator.yaml.symlink_to(real)
    real.chmod(0o640)
    operator.save("tag=Linux", **LINUX)
    assert operator.page.status_code == 303
    assert operator.yaml.is_symlink() and stat.S_IMODE(real.stat().st_mode) == 0o640
    assert sorted(path.name for path in operator.yaml.parent.iterdir()) == ["feeds.yaml", "real.yaml", "site.yaml"]


def test_a_power_cut_while_writing_leaves_the_file_as_it_was(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    before = operator.yaml.read_bytes()
    operator.get("/feeds/new?tag=Linux")

    def cut(_descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", cut)
    assert operator.post("/feeds/save", **LINUX).status_code == 409 and "no space" in operator.text
    monkeypatch.undo()
    assert operator.yaml.read_bytes() == before
    assert not list(operator.yaml.parent.glob(".feeds.yaml*"))


def test_the_history_is_bounded_and_nobody_elses_to_read(operator: Operator) -> None:
    here = feeds_file(operator)
    for number in range(custom_feeds.KEPT + 3):
        here.save(here.read().mark, lambda config, text, n=number: (text + f"# {n}\n", {}), number)
    kept = list(Path(operator.site.root, "var", "config").iterdir())
    assert len(kept) == custom_feeds.KEPT
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in kept)


def test_of_two_operators_who_save_at_once_one_is_told(operator: Operator) -> None:
    here, told = feeds_file(operator), []
    mark, start = here.read().mark, threading.Barrier(2)

    def save(word: str) -> None:
        start.wait()
        try:
            here.save(mark, lambda config, text: (text + f"# {word}\n", {}), 1)
        except EditError as error:
            told.append(str(error))

    threads = [threading.Thread(target=save, args=(word,)) for word in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 1 and "changed since" in told[0]


def test_a_change_that_would_touch_another_setting_is_refused(operator: Operator) -> None:
    here, before = feeds_file(operator), operator.yaml.read_bytes()
    with pytest.raises(EditError):
        here.save(here.read().mark, lambda config, text: (text.replace("content: full", "content: summary"), {}), 1)
    assert operator.yaml.read_bytes() == before


def test_the_log_says_what_was_done(operator: Operator) -> None:
    operator.save("tag=Linux", **LINUX)
    operator.get("/feeds/own")
    operator.post("/feeds/undo")
    operator.get("/log")
    assert "Feed added" in operator.text and ">linux<" in operator.text and "Change taken back" in operator.text


def test_the_builder_of_readers_leads_to_the_console_where_there_is_one(operator: Operator, demo: Any) -> None:
    page = operator.client.get("/select?tag=Linux", headers={"Accept": "text/html"}).get_data(as_text=True)
    assert 'href="/operator/feeds/new?tag=Linux"' in page
    without = Client(create_app(demo.environment)).get("/select?tag=Linux")
    assert without.status_code == 200 and "/operator/" not in without.get_data(as_text=True)
