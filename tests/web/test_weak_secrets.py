"""Secrets that can be guessed open nothing, and are named: at the start, by `feeds check`, and where the console would be."""

from __future__ import annotations

import dataclasses
import secrets
import string
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from werkzeug.test import Client

from feeds.check import check
from feeds.config.environment import Environment, SecretStr
from feeds.tokens import new_secret, weakness
from feeds.web.app import create_app

WEAK = [
    "",
    "a",
    "short-0815",
    "x" * 15,
    "x" * 64,
    "0" * 32,
    "ab" * 16,
    "k9#" * 10,
    "Zk3-wbTq" * 4,
    "1234567890123456",
    "0123456789abcdef",
    "abcdefghijklmnopqrstuvwxyz",
    "zyxwvutsrqponmlkji",
    "aabbccddeeffgghhii",
    "passwordpassword1",
    "Password-Password-1",
    "change-me-in-production",
    "CHANGE_ME_CHANGE_ME",
    "your-secret-token-here",
    "operator-token-1234",
    "qwertyuiopasdfghjkl",
    "administrator-token",
    "example-example-example",
    "________________",
    "密密密密密密密密密密密密密密密密",
]


@pytest.mark.parametrize("weak", WEAK)
def test_what_can_be_guessed_is_weak_and_the_reason_does_not_quote_it(weak: str) -> None:
    reason = weakness(weak)
    assert reason and (len(weak) < 4 or weak not in reason)


@given(st.integers(8, 64))
def test_what_is_made_at_random_is_not(size: int) -> None:
    assert weakness(new_secret()) == weakness(secrets.token_urlsafe(size + 8)) == weakness(secrets.token_hex(size + 4)) == ""
    assert weakness("".join(secrets.choice(string.ascii_letters) for _number in range(size + 16))) == ""


@given(st.text(max_size=200), st.integers(1, 9))
def test_any_text_is_judged_and_repeating_it_helps_nobody(text: str, times: int) -> None:
    assume(len(text) < 16)
    assert weakness(text * times)


@pytest.mark.parametrize("weak", [text for text in WEAK if text])
def test_a_weak_token_opens_neither_console_nor_metrics(web_site: Any, weak: str) -> None:
    environment = dataclasses.replace(web_site.environment, operator_token=SecretStr(weak))
    client = Client(create_app(environment))
    page = client.get("/operator/", headers={"Accept-Language": "en"})
    assert page.status_code == 404 and "can be guessed" in page.text and (len(weak) < 9 or weak not in page.text)
    assert client.post("/operator/sign-in", data={"token": weak}).status_code == 404
    header = {"Authorization": f"Bearer {weak}"} if weak.isascii() else {"Authorization": "Bearer x"}
    assert client.get("/metrics", headers=header).status_code == 401


def test_check_names_weak_secrets_and_how_to_make_better_ones(web_site: Any) -> None:
    variables = {"FEEDS_OPERATOR_TOKEN": "change-me-in-production", "FEEDS_SECRET_KEY": "a" * 40}
    found = {
        problem.path: problem
        for problem in check(Environment.read(web_site.config_dir, variables)).problems
        if problem.line == 0
    }
    for name, kind in (("FEEDS_OPERATOR_TOKEN", "config"), ("FEEDS_SECRET_KEY", "hint")):
        assert found[name].kind == kind and "secrets.token_urlsafe" in found[name].reason
        assert variables[name] not in found[name].reason
    strong = {name: new_secret() for name in variables}
    assert not {problem.path for problem in check(Environment.read(web_site.config_dir, strong)).problems} & {*variables}
