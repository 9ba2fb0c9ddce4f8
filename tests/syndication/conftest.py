"""Documents of the demo store and of the golden store, rendered once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from feeds.service import FORMATS, Document, Service
from tests.conftest import settle_database

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
Documents = Mapping[tuple[str, str], bytes]


def body_of(service: Service, path: str, format: str) -> bytes:
    found = service.document(service.edition(), path, FORMATS[format])
    assert isinstance(found, Document), f"{path} is {found}"
    assert found.body is not None
    return found.body


def all_documents(service: Service) -> Documents:
    paths = [state.path for state, _selection in service.states()]
    return {(path, format): body_of(service, path, format) for path in paths for format in FORMATS}


@pytest.fixture(scope="session")
def demo_documents(demo: Any) -> Documents:
    """(path, format) -> bytes of every feed of the demo store."""
    return all_documents(demo.service)


@pytest.fixture(scope="session")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Documents]:
    """The same of the golden store, which has every awkward field."""
    import os
    import shutil

    from feeds.config import Environment

    root = tmp_path_factory.mktemp("awkward")
    for name in ("config", "store"):
        shutil.copytree(GOLDEN / name, root / name)
    for path in (root / "store").rglob("*.md"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    settle_database(root)
    service = Service(Environment.read(root / "config", {}))
    service.prepare()
    report = service.rescan(now=1_767_225_600)
    assert (report.articles, report.quarantined) == (6, 0)
    yield all_documents(service)
    service.close()


@pytest.fixture(params=["demo", "awkward"])
def documents(request: pytest.FixtureRequest) -> Documents:
    """Both stores, one after the other."""
    found: Documents = request.getfixturevalue({"demo": "demo_documents", "awkward": "awkward"}[request.param])
    return found


@pytest.fixture(scope="session")
def body() -> Callable[[Service, str, str], bytes]:
    """The bytes of one document: `body(service, "tags/Linux", "atom")`."""
    return body_of
