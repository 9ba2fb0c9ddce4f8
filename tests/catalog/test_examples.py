"""The examples in docstrings of the store and the catalog run."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from feeds.catalog import related, search, sort_key, terms
from feeds.store import frontmatter, markdown, walk

MODULES = (frontmatter, markdown, walk, related, search, sort_key, terms)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_examples_in_docstrings_run(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert found.attempted and not found.failed
