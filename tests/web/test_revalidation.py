"""After a rescan: what is kept for readers is brought over to it at once, and never hides a change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from werkzeug.test import Client, EnvironBuilder

from feeds.syndication.editions import MOST_TOUCHED, REMEMBERED, Edition, encode_touched
from feeds.web.app import create_app
from feeds.web.cache import ResponseCache
from feeds.web.fast_path import FastPath
from tests.examples import some

TAGS = ["Linux", "Ubuntu", "内核", "AI", "BSD"]
PEOPLE = ["geekpi", "wxy"]
#: Feeds that a rescan keeps account of, and selections, one of them with a name that may be no term.
ADDRESSES = [
    *("/all.atom", "/tags/Linux.atom", "/tags/Ubuntu.rss", "/tags/BSD.atom", "/translators/wxy.json"),
    *("/select.atom?tag=Linux&tag=Ubuntu", "/select.rss?tag=BSD&tag=Linux", "/select.json?tag=AI&not-tag=Linux"),
    *("/select.atom?all-tag=AI&all-tag=Linux&translator=wxy", "/select.atom?not-tag=Linux", "/select.atom?tag=AI&not-tag=BSD"),
]


class Worker:
    """A web worker that stays over the rescans. `passed` are the addresses that went on to Flask."""

    def __init__(self, site: Any) -> None:
        self.app = create_app(site.environment)
        self.passed: list[str] = []
        self._flask, self.app.app = self.app.app, self._note
        self._client = Client(self.app)

    def _note(self, environ: dict[str, Any], start_response: Any) -> Any:
        self.passed.append(environ["PATH_INFO"])
        return self._flask(environ, start_response)

    def get(self, address: str, etag: str = "") -> tuple[int, str, bytes]:
        """Status, ETag and body; the edition is as new as it can be."""
        self.app.editions.expire()
        headers = {"Accept-Encoding": "gzip"} | ({"If-None-Match": etag} if etag else {})
        answered = self._client.open(EnvironBuilder.from_environ(_environ(address), headers=headers))
        return answered.status_code, answered.headers.get("ETag", ""), answered.get_data()


def _environ(address: str) -> dict[str, Any]:
    path, _, query = address.partition("?")
    return EnvironBuilder(path, query_string=query).get_environ()


@pytest.fixture
def stocked(site: Any) -> Any:
    for number in range(1, 7):
        site.write(f"{number}.md", tags=[TAGS[number % 3]], translator=PEOPLE[number % 2])
    site.rescan()
    return site


@pytest.fixture
def worker(stocked: Any) -> Worker:
    return Worker(stocked)


def test_who_has_the_version_that_is_out_is_answered_without_flask_though_nobody_ever_read_the_feed(worker: Worker) -> None:
    for address in ("/tags/Linux.atom", "/select.atom?tag=Linux&tag=Ubuntu"):
        etag = worker.get(address, "*")[1]
        worker.passed.clear()
        assert worker.get(address, etag)[0] == 304
        assert worker.passed == []
        assert worker.get(address)[0] == 200 and worker.passed, "the bytes have to be made first"
        worker.passed.clear()
        assert worker.get(address)[0] == 200 and worker.passed == []


def test_a_rescan_leaves_what_it_did_not_touch_to_the_fast_path(stocked: Any, worker: Worker) -> None:
    kept = ["/tags/Linux.atom", "/translators/wxy.json", "/select.atom?tag=Linux&tag=Ubuntu"]
    etags = {address: worker.get(address)[1] for address in kept}
    stocked.write("20.md", tags=["BSD"], translator="geekpi")
    stocked.rescan()
    worker.passed.clear()
    assert {address: worker.get(address, etags[address])[0] for address in kept} == dict.fromkeys(kept, 304)
    assert worker.passed == []


def test_what_a_rescan_changed_is_sent_at_once(stocked: Any, worker: Worker) -> None:
    changed = ["/all.atom", "/tags/Linux.atom", "/select.atom?tag=Linux&tag=Ubuntu"]
    etags = {address: worker.get(address)[1] for address in changed}
    stocked.write("3.md", title="Another title", tags=["Linux"], translator="wxy")
    stocked.rescan()
    for address in changed:
        status, etag, _body = worker.get(address, etags[address])
        assert status == 200 and etag != etags[address]


def test_a_selection_whose_name_becomes_a_term_is_asked_for_anew(stocked: Any, worker: Worker) -> None:
    address = "/select.atom?tag=BSD&tag=Linux"
    before = worker.get(address)[1]
    stocked.write("20.md", tags=["BSD"], translator="geekpi")
    stocked.rescan()
    assert worker.get(address, before)[0] == 200


def test_a_change_of_the_configuration_is_asked_for_by_every_feed(stocked: Any, worker: Worker) -> None:
    etag = worker.get("/tags/Linux.atom")[1]
    stocked.settle("site.yaml", rescan_seconds=77)  # feeds stay as they are, but for how long they may be kept
    stocked.rescan()
    worker.passed.clear()
    assert worker.get("/tags/Linux.atom", etag)[0] == 304
    assert worker.passed == ["/tags/Linux.atom"]


# -- any history ---------------------------------------------------------------

ARTICLE = st.fixed_dictionaries(
    {"tags": st.lists(st.sampled_from(TAGS), min_size=1, max_size=3, unique=True), "translator": st.sampled_from(PEOPLE)}
)
STEP = st.tuples(st.integers(1, 7), st.one_of(st.none(), ARTICLE), st.sets(st.sampled_from(ADDRESSES)))


LEFT = {"/select.atom?all-tag=AI&all-tag=Linux&translator=wxy"}


@settings(max_examples=some(8, least=3), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(steps=[(6, {"tags": ["AI"], "translator": "geekpi"}, LEFT), (1, None, set()), (1, None, LEFT)])
@given(steps=st.lists(STEP, min_size=1, max_size=5))
def test_a_worker_that_keeps_what_it_can_answers_as_one_that_keeps_nothing(
    new_site: Callable[..., Any], steps: list[Any]
) -> None:
    """Articles come, change their terms and go; `asked` are the feeds that are asked for between two rescans."""
    site = new_site()
    site.write("1.md", tags=["Linux"], translator="wxy")
    site.rescan()
    worker, forgetful = Worker(site), Worker(site)
    known = {address: worker.get(address)[1] for address in ADDRESSES}
    for number, (article, fields, asked) in enumerate(steps):
        path = site.store / f"{article}.md"
        if fields is not None:
            site.write(path.name, title=f"edition {number}", **fields)
        else:
            path.unlink(missing_ok=True)
        site.rescan()
        forgetful.app.cache.clear()
        for address in sorted(asked):
            status, etag, body = forgetful.get(address)
            expected = (status, etag, body) if known[address] != etag or status != 200 else (304, etag, b"")
            assert worker.get(address, known[address] or '"none"') == expected, address
            known[address] = etag


# -- what is kept of the last generations --------------------------------------


def _editions(*touches: set[int] | None) -> Iterator[Edition]:
    stored = "{}"
    for generation, keys in enumerate(touches, 1):
        stored = encode_touched(stored, generation, keys)
        yield Edition(generation, None, 0, {int(one): frozenset(found) for one, found in json.loads(stored).items()})


def test_what_several_rescans_touched_is_added_up() -> None:
    last = list(_editions({1}, {2, 3}, set(), {3}))[-1]
    assert last.touched_since(1) == {2, 3} and last.touched_since(4) == frozenset()


def test_a_rescan_that_touched_everything_or_too_long_ago_or_in_another_database_leaves_nothing_sure() -> None:
    assert list(_editions({1}, None, {2}))[-1].touched_since(1) is None
    assert list(_editions({1}, set(range(MOST_TOUCHED + 1)), {2}))[-1].touched_since(1) is None
    many = list(_editions(*({one} for one in range(REMEMBERED + 5))))[-1]
    assert many.touched_since(4) is None and many.touched_since(5) is not None
    assert many.touched_since(many.generation + 1) is None


# -- the bound of it -----------------------------------------------------------


def test_a_document_that_has_to_go_leaves_its_validators_and_those_have_a_bound(stocked: Any) -> None:
    worker = Worker(stocked)
    app: FastPath = worker.app
    cache = app.cache
    cache.max_bytes, cache.max_validators = 1, 2
    etags = {address: worker.get(address)[1] for address in ("/all.atom", "/tags/Linux.atom", "/tags/Ubuntu.rss")}
    worker.passed.clear()
    assert all(worker.get(address, etag)[0] == 304 for address, etag in etags.items())
    assert worker.passed == []
    for address in ADDRESSES[:6]:
        worker.get(address)
    kept = cache.entries()
    assert len(kept) == 3 and sum(entry.has_body for entry in kept) == 1
    cache.clear()
    assert cache.entries() == [] and cache.bytes == 0 and isinstance(cache, ResponseCache)
