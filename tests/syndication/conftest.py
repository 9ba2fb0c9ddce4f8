"""Documents of the demo store and of the golden store, rendered once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from feeds import rescan
from feeds.feed_formats import load_formats
from feeds.runtime import Runtime
from feeds.syndication import lookup
from feeds.syndication.lookup import Document
from tests.conftest import settle_database

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
Documents = Mapping[tuple[str, str], bytes]


def body_of(runtime: Runtime, path: str, format: str) -> bytes:
    found = runtime.read(lookup.find_document, runtime.edition(), path, load_formats()[format])
    assert isinstance(found, Document), f"{path} is {found}"
    assert found.body is not None
    return found.body


def all_documents(runtime: Runtime) -> Documents:
    paths = [state.path for state, _selection in runtime.read(lookup.list_feeds)]
    return {(path, format): body_of(runtime, path, format) for path in paths for format in load_formats()}


@pytest.fixture(scope="session")
def demo_documents(demo: Any) -> Documents:
    """(path, format) -> bytes of every feed of the demo store."""
    return all_documents(demo.runtime)


@pytest.fixture(scope="session")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Documents]:
    """The same of the golden store, which has every awkward field."""
    import os
    import shutil

    from feeds.config.environment import Environment

    root = tmp_path_factory.mktemp("awkward")
    for name in ("config", "store"):
        shutil.copytree(GOLDEN / name, root / name)
    for path in (root / "store").rglob("*.md"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    settle_database(root)
    runtime = Runtime(Environment.read(root / "config", {}))
    runtime.prepare()
    report = rescan.rescan(runtime.engine, runtime.environment, now=1_767_225_600)
    assert (report.articles, report.quarantined) == (6, 0)
    yield all_documents(runtime)
    runtime.close()


@pytest.fixture(params=["demo", "awkward"])
def documents(request: pytest.FixtureRequest) -> Documents:
    """Both stores, one after the other."""
    found: Documents = request.getfixturevalue({"demo": "demo_documents", "awkward": "awkward"}[request.param])
    return found


@pytest.fixture(scope="session")
def body() -> Callable[[Runtime, str, str], bytes]:
    """The bytes of one document: `body(service, "tags/Linux", "atom")`."""
    return body_of
