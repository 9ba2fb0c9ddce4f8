"""Documents are compressed as they are asked for, kept so, and counted as what they take."""

from __future__ import annotations

import gzip
import random
import threading
from collections.abc import Callable

import brotli
import pytest

from feeds.feed_formats import load_formats
from feeds.syndication.documents import compress
from feeds.syndication.lookup import Document
from feeds.web import cache as module
from feeds.web.cache import CachedDocument, ResponseCache

UNPACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "br": brotli.decompress, "identity": bytes}


def document(name: str = "all", *, changed: int = 1, body: bool = True) -> CachedDocument:
    text = random.Random(name).randbytes(20_000).hex().encode() if body else None
    found = Document(name, load_formats()["atom"], "digest", changed, text, "https://feeds.example", 1)
    return CachedDocument.of(found, 60)


def ask(cached: CachedDocument, coding: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    status, answered, body = cached.respond({"HTTP_ACCEPT_ENCODING": coding, **headers})
    return status, dict(answered), body


@pytest.fixture
def compressed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The codings that documents were compressed in, in order; compression itself goes on."""
    made: list[str] = []

    def counted(data: bytes, encoding: str) -> bytes:
        made.append(encoding)
        return compress(data, encoding)

    monkeypatch.setattr(module, "compress", counted)
    return made


def test_gzip_is_the_same_each_time_and_any_reader_unpacks_it() -> None:
    for text in (b"", b"x", b"<feed/>" * 10_000, random.Random(1).randbytes(300_000)):
        assert compress(text, "gzip") == compress(text, "gzip") and gzip.decompress(compress(text, "gzip")) == text
        assert compress(text, "gzip")[4:8] == bytes(4), "no time inside"


def test_nothing_is_compressed_that_nobody_asked_for_and_each_coding_once(compressed: list[str]) -> None:
    cached = document()
    assert ask(cached, "gzip", HTTP_IF_NONE_MATCH=cached.etags[0])[0] == 304 and compressed == []
    for coding in ("identity", "gzip", "br", "gzip", "identity"):
        status, headers, body = ask(cached, coding)
        assert status == 200 and headers["Content-Length"] == str(len(body))
        assert headers.get("Content-Encoding", "identity") == coding
        assert UNPACK[coding](body) == ask(cached, "identity")[2]
    assert sorted(compressed) == ["br", "gzip", "identity"]


@pytest.mark.parametrize("first", ["gzip", "br", "identity"])
def test_codings_are_made_of_whichever_is_kept(first: str) -> None:
    cached, plain = document(), ask(document(), "identity")[2]
    ask(cached, first)
    assert list(cached.bodies) == [first] and cached.plain is None
    assert all(UNPACK[coding](ask(cached, coding)[2]) == plain for coding in UNPACK)


def test_a_document_of_the_future_is_kept_too_and_its_date_is_not() -> None:
    cached = document(changed=1 << 40)
    assert ask(cached, "gzip")[2] == ask(cached, "gzip")[2] and list(cached.bodies) == ["gzip"] and cached.responses == {}


def test_the_bytes_in_memory_are_counted_also_those_of_codings_asked_for_later() -> None:
    cache, cached = ResponseCache(1 << 20), document()
    ask(cached, "gzip")
    cache.put("all", cached)
    cache.put("other", document("other", body=False))
    for coding in ("gzip", "br", "identity"):
        ask(cached, coding)
        assert cache.bytes == cached.size == module._OVERHEAD + sum(map(len, cached.bodies.values()))
    cache.put("all", document())
    assert cache.bytes == module._OVERHEAD + 40_000


def test_a_coding_asked_for_later_is_within_the_bound_of_all() -> None:
    kept = {name: document(name) for name in "abc"}
    cache = ResponseCache(sum(one.size for one in kept.values()))
    for name, cached in kept.items():
        ask(cached, "identity")
        cache.put(name, cached)
    ask(kept["c"], "gzip")
    assert cache.bytes <= cache.max_bytes and not cache.entries()[-1].has_body
    assert cache.get("a") is not kept["a"] and cache.get("b") is kept["b"]
    before = cache.bytes
    ask(kept["a"], "br")
    assert cache.bytes == before, "it is kept no more"


def test_threads_that_ask_at_once_wait_for_one_compression(compressed: list[str]) -> None:
    cached, bodies = document(), list[bytes]()
    threads = [threading.Thread(target=lambda: bodies.append(ask(cached, "br")[2])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert compressed == ["br"] and len(set(bodies)) == 1 and len(bodies) == 4
