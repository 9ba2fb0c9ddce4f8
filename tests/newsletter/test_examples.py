"""The examples in docstrings of the newsletter's modules are true."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from feeds import tokens
from feeds.newsletter import bounces
from feeds.newsletter.bounces import parser
from feeds.newsletter.subscribers import email_address, records, signup_requests


@pytest.mark.parametrize("module", [tokens, bounces, parser, email_address, records, signup_requests], ids=lambda m: m.__name__)
def test_examples_of_a_module_run(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert found.attempted and not found.failed
