"""The examples in docstrings of the store and the catalog run."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from feeds.catalog import related, search, sort_key, terms
from feeds.store import frontmatter, markdown, walk


@pytest.mark.parametrize("module", [frontmatter, markdown, walk, related, search, sort_key, terms], ids=lambda one: one.__name__)
def test_the_examples_in_docstrings_run(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert found.attempted and not found.failed
