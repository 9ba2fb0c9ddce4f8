"""Whatever happens to a store between rescans, the catalog is the one that a first rescan of the same store would make.

Random operations on files, a rescan after each few, then the comparison with a catalog from scratch: same articles, terms,
counts, selections, and the same bytes of all feeds.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from feeds import database, urls
from feeds.catalog import queries
from feeds.catalog.sort_key import Window
from feeds.config.models import Site
from feeds.database import tables
from feeds.feed_formats import load_formats
from feeds.model import Article, Selection
from feeds.selections import Aliases, condition, matches, term_keys
from feeds.syndication import editions, lookup
from tests.examples import some

PATHS = [f"{folder}{name}.md" for folder in ("", "2020/01/", "深/") for name in ("a", "b", "c")]
#: One spelling each: which of several is shown depends on what was published first, on purpose.
TAGS = ["Linux", "内核", "C++", "TCP/IP", "K8s", "Kubernetes", "a.atom"]
PEOPLE = ["", "wxy", "geekpi", "wxy, geekpi", "geekpi、Ada"]
DATES = ["2020-01-01 00:00:00", "2020-01-01 00:00:00", "2021-06-01 12:00:00", "2019-03-03 03:03:03"]
ALIASES = [{}, {"tag": {"K8s": "Kubernetes"}}, {"tag": {"K8s": "云", "内核": "Linux"}}]
BROKEN = ["", "---\n", "---\ntitle: [\n---\n", "# 正文", "\udcff"]

FIELDS = st.fixed_dictionaries(
    {
        "tags": st.lists(st.sampled_from(TAGS), max_size=3),
        "translator": st.sampled_from(PEOPLE),
        "date": st.sampled_from(DATES),
        "title": st.sampled_from(["甲", "乙", "丙"]),
        "body": st.sampled_from(["正文", "![](/a.png)", "*强调*"]),
    }
)


SELECTIONS = [
    Selection({"tag": ("Linux", "内核")}),
    Selection({"tag": ("Linux", "K8s"), "translator": ("geekpi",)}),
    Selection({}, {"tag": ("Linux", "内核")}),
    Selection({}, {}, {"tag": ("Linux",)}),
    Selection({"translator": ("wxy", "Ada")}, {}, {"tag": ("C++", "Kubernetes")}),
]


def everything(runtime: Any) -> dict[str, Any]:
    """All that can be read from a catalog except times of change and the paths of files."""
    edition = runtime.edition()
    with runtime.reading() as connection:
        found = queries.select(connection, Site(), queries.Clauses(), Window(1000))
        terms = [known.term for facet in ("tag", "translator", "author") for known in queries.terms_of(connection, facet)]
        kept = [known.feed_path for facet in ("tag", "translator") for known in queries.terms_of(connection, facet)]
        counts = dict(queries.term_counts(connection))
        selected = [selected_ids(connection, edition.config, found, selection) for selection in SELECTIONS]
    states = [
        (row.path, row.title, row.articles, row.updated, row.digest, selected)
        for row, selected in runtime.read(lookup.list_feeds)
    ]
    bytes_ = {
        row[0] + format.extension: runtime.read(lookup.find_document, edition, row[0], format).body
        for row in states
        for format in load_formats().values()
    }
    return {
        "articles": found,
        "terms": terms,
        "ids": kept,
        "counts": counts,
        "states": states,
        "bytes": bytes_,
        "selected": selected,
    }


def selected_ids(connection: Any, config: Any, found: list[Article], selection: Selection) -> list[str]:
    """What the catalog selects, which is what a look at every article selects."""
    aliases = Aliases.from_config(config.feeds.aliases)
    clauses = queries.resolve(connection, aliases, selection)
    ids = [article.id for article in queries.select(connection, Site(), clauses, Window(1000))]
    assert ids == [article.id for article in found if matches(condition(selection, aliases), term_keys(article))]
    assert queries.count(connection, clauses) == len(ids)
    assert [article.id for article in queries.select(connection, Site(), clauses, Window(2))] == ids[:2]
    if len(ids) > 1:
        cursor = next(article.position for article in found if article.id == ids[0])
        assert [article.id for article in queries.select(connection, Site(), clauses, Window(1, cursor))] == ids[1:2]
    return ids


class Store(RuleBasedStateMachine):
    """`good` is the store as its last good versions are: what must be published."""

    make_site: Any

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="feeds-test-"))
        self.site = self.make_site(self.folder / "site")
        self.other = self.make_site(self.folder / "other")
        self.good: dict[str, bytes] = {}
        self.ids: dict[str, int] = {}
        self.numbers = itertools.count(1)
        self.pending = False

    def teardown(self) -> None:
        self.site.remove()
        self.other.remove()
        shutil.rmtree(self.folder)

    def _put(self, path: str, fields: dict[str, Any]) -> None:
        self.good[path] = self.site.write(path, id=self.ids[path], **fields).read_bytes()

    @initialize(fields=st.lists(FIELDS, max_size=4))
    def some_articles(self, fields: list[dict[str, Any]]) -> None:
        for path, chosen in zip(PATHS, fields, strict=False):
            self.ids[path] = next(self.numbers)
            self._put(path, chosen)
        self.rescan_and_compare()

    @rule(path=st.sampled_from(PATHS), fields=FIELDS)
    def write(self, path: str, fields: dict[str, Any]) -> None:
        self.ids.setdefault(path, next(self.numbers))
        self._put(path, fields)

    @rule(path=st.sampled_from(PATHS), fields=FIELDS)
    def replace_by_another_article(self, path: str, fields: dict[str, Any]) -> None:
        self.ids[path] = next(self.numbers)
        self._put(path, fields)

    @precondition(lambda self: self.good)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(sorted(self.good)))
        (self.site.store / path).unlink()
        del self.good[path], self.ids[path]

    @precondition(lambda self: self.good)
    @rule(data=st.data(), to=st.sampled_from(PATHS))
    def rename(self, data: st.DataObject, to: str) -> None:
        path = data.draw(st.sampled_from(sorted(self.good)))
        if to in self.good:
            return
        (self.site.store / to).parent.mkdir(parents=True, exist_ok=True)
        (self.site.store / path).rename(self.site.store / to)
        self.good[to], self.ids[to] = self.good.pop(path), self.ids.pop(path)

    @precondition(lambda self: len(self.good) > 1)
    @rule(data=st.data())
    def swap(self, data: st.DataObject) -> None:
        one, other = data.draw(st.lists(st.sampled_from(sorted(self.good)), min_size=2, max_size=2, unique=True))
        self.site.write(one, self.good[other])
        self.site.write(other, self.good[one])
        self.good[one], self.good[other] = self.good[other], self.good[one]
        self.ids[one], self.ids[other] = self.ids[other], self.ids[one]

    @precondition(lambda self: self.good)
    @rule(data=st.data())
    def touch(self, data: st.DataObject) -> None:
        self.site.write(path := data.draw(st.sampled_from(sorted(self.good))), self.good[path])

    @precondition(lambda self: self.good)
    @rule(data=st.data(), text=st.sampled_from(BROKEN))
    def break_and_rescan_and_mend(self, data: st.DataObject, text: str) -> None:
        self.rescan_and_compare()
        path = data.draw(st.sampled_from(sorted(self.good)))
        self.site.write(path, text.encode("utf-8", "surrogateescape"))
        self.compare(broken=[path])
        self.site.write(path, self.good[path])

    @rule(aliases=st.sampled_from(ALIASES))
    def other_aliases(self, aliases: dict[str, Any]) -> None:
        self.site.settle("feeds.yaml", aliases=aliases)

    @rule()
    def restart(self) -> None:
        self.site.reopen()

    @rule()
    def rescan_and_compare(self) -> None:
        self.compare(broken=[])

    def compare(self, broken: list[str]) -> None:
        report = self.site.rescan(accept_removals=True)
        assert report.articles == len(self.good)
        assert [problem.path for problem in self.site.runtime.read(queries.list_problems)] == broken
        shutil.rmtree(self.other.store)
        for path, text in self.good.items():
            self.other.write(path, text)
        self.other.set("feeds.yaml", (self.site.config_dir / "feeds.yaml").read_text("utf-8"))
        self.other.forget()
        self.other.store.mkdir(exist_ok=True)
        self.other.reopen()
        self.other.rescan()
        self.show_what_was_shown()
        found, expected = everything(self.site.runtime), everything(self.other.runtime)
        for part in expected:
            if part != "ids":  # an id keeps the first address; with one spelling each that is the present one but for aliases
                assert found[part] == expected[part], part
        assert set(found["bytes"]) == {
            path + x for path in (row[0] for row in found["states"]) for x in (".atom", ".rss", ".json")
        }

    def show_what_was_shown(self) -> None:
        """Give the other site the `updated` of this one's feeds, which never goes back; all else must follow from the files."""
        with database.reading(self.site.runtime.engine) as connection:
            shown = connection.execute(sa.select(tables.feeds.c.path, tables.feeds.c.updated)).all()
        with database.writing(self.other.runtime.engine) as connection:
            for path, updated in shown:
                connection.execute(sa.update(tables.feeds).where(tables.feeds.c.path == path).values(updated=updated))
            editions.save_state(connection, {"shown": ""})
        self.other.rescan()


class Crowd(RuleBasedStateMachine):
    """A few ids, many files that claim them, tags in several spellings, broken files."""

    make_site: Any

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="feeds-test-"))
        self.site = self.make_site(self.folder / "site")
        self.files: dict[str, tuple[int, str, list[str]] | None] = {}  # path -> id, title, tags; None: broken
        self.ever: dict[str, set[tuple[int, str, tuple[str, ...]]]] = {}  # good versions of a path that is there
        self.numbers = itertools.count(1)

    def teardown(self) -> None:
        self.site.remove()
        shutil.rmtree(self.folder)

    @rule(
        path=st.sampled_from(PATHS),
        id=st.integers(1, 4),
        tags=st.lists(st.sampled_from(["Linux", "LINUX", "linux", "内核", "GNOME", "Gnome"]), max_size=3),
    )
    def write(self, path: str, id: int, tags: list[str]) -> None:
        title = f"{next(self.numbers)}"
        self.site.write(path, id=id, title=title, tags=tags)
        self.files[path] = (id, title, tags)
        first = {urls.fold(tag): tag for tag in reversed(tags)}
        self.ever.setdefault(path, set()).add((id, title, tuple(first.values())))

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(sorted(self.files)))
        (self.site.store / path).unlink()
        del self.files[path]

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def damage(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(sorted(self.files)))
        self.site.write(path, b"---\n")
        self.files[path] = None

    @precondition(lambda self: len(self.files) > 1)
    @rule(data=st.data())
    def swap(self, data: st.DataObject) -> None:
        one, other = data.draw(st.lists(st.sampled_from(sorted(self.files)), min_size=2, max_size=2, unique=True))
        texts = (self.site.store / one).read_bytes(), (self.site.store / other).read_bytes()
        self.site.write(one, texts[1])
        self.site.write(other, texts[0])
        self.files[one], self.files[other] = self.files[other], self.files[one]
        merged = self.ever.get(one, set()) | self.ever.get(other, set())
        self.ever[one] = self.ever[other] = merged

    @rule()
    def rescan(self) -> None:
        self.site.rescan(accept_removals=True)
        for path in self.ever.keys() - self.files.keys():  # what goes and comes back in between was never seen to go
            del self.ever[path]
        self.check()

    def check(self) -> None:
        with self.site.runtime.reading() as connection:
            found = queries.select(connection, Site(), queries.Clauses(), Window(100))
            tags = {known.term.name: known.term.articles for known in queries.terms_of(connection, "tag")}
            for known in queries.terms_of(connection, "tag"):
                clauses = queries.resolve(connection, Aliases.from_config({}), Selection({"tag": (known.term.name,)}))
                assert len(queries.select(connection, Site(), clauses, Window(100))) == known.term.articles
        published = {int(article.id): article for article in found}
        claimed = {file[0] for file in self.files.values() if file is not None}
        assert claimed <= set(published), "an id that a good file claims is published"
        versions = {(id, title) for rows in self.ever.values() for id, title, _tags in rows}
        assert {(id, article.title) for id, article in published.items()} <= versions, "by a file that is there"
        recount = Counter(urls.fold(term.name) for article in found for term in article.of("tag"))
        assert {urls.fold(name): number for name, number in tags.items()} == recount
        # every file is an article or listed
        listed = {problem.path for problem in self.site.runtime.read(queries.list_problems)}
        assert {path for path, file in self.files.items() if file is None} <= listed <= set(self.files)
        assert len(published) >= len(self.files) - len(listed)
        spelled: dict[str, Counter[str]] = {}
        by_version = {(id, title): names for rows in self.ever.values() for id, title, names in rows}
        for id, article in published.items():
            for name in by_version[id, article.title]:
                spelled.setdefault(urls.fold(name), Counter())[name] += 1
        for name in tags:
            counts = spelled[urls.fold(name)]
            assert counts[name] == max(counts.values()), "the commonest spelling"


@pytest.mark.parametrize(("machine", "examples"), [(Store, 8), (Crowd, 30)])
def test_random_histories(machine: type[RuleBasedStateMachine], examples: int, new_site: Any) -> None:
    machine.make_site = staticmethod(type(new_site()))
    chosen = settings(max_examples=some(examples, least=3), stateful_step_count=20, report_multiple_bugs=False)
    run_state_machine_as_test(machine, settings=chosen)
