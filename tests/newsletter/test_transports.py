"""Transports of other packages: found by entry point, one `send` each, held to the same contract as our own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from feeds.config.environment import Environment
from feeds.config.load import load_config
from feeds.config.models import Config
from feeds.errors import ConfigError, TransportError
from feeds.model import Message, Outcome
from feeds.newsletter.transports import base, choose_transport
from feeds.newsletter.transports.base import PerMessageTransport, send_now
from feeds.plugins import Plugin

from .sending import Post, settings

GROUP = "feeds.transports"


class HttpApi(PerMessageTransport):
    """What a package for a mail provider's HTTP API would have: answers are by the recipient's number."""

    concurrency = 4

    def __init__(self, answers: dict[str, Outcome | Exception] | None = None) -> None:
        self.answers = answers or {}
        self.taken: list[str] = []
        self.in_hand = self.most = 0

    @classmethod
    def configured(cls, config: Config, environment: Environment) -> HttpApi:
        assert config.newsletter.transport == "http-api" and environment.root
        return cls()

    async def check(self) -> str:
        return "an API"

    async def send(self, message: Message) -> Outcome:
        self.in_hand += 1
        self.most = max(self.most, self.in_hand)
        await asyncio.sleep(0.002)
        self.in_hand -= 1
        answer = self.answers.get(message.recipient.partition("@")[0], Outcome("sent", "202 accepted", "body"))
        if isinstance(answer, Exception):
            raise answer
        self.taken.append(message.message_id)
        return answer


def broken(_config: Config, _environment: Environment) -> HttpApi:
    raise KeyError("API_KEY")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = (
        Plugin(GROUP, "broken", "feeds-broken", "1.0", f"{__name__}:broken"),
        Plugin(GROUP, "http-api", "feeds-http-api", "1.0", f"{__name__}:HttpApi.configured"),
    )
    for module in ("feeds.config.models", "feeds.newsletter.transports"):
        monkeypatch.setattr(f"{module}.find_plugins", lambda group: found if group == GROUP else ())


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    made = Post(tmp_path)
    yield made
    made.close()


def test_newsletter_yaml_may_name_an_installed_transport(installed: None, site: Any) -> None:
    site.set("newsletter.yaml", "transport: http-api\n")
    site.rescan()
    assert isinstance(choose_transport(site.runtime.edition().config, site.environment), HttpApi)
    with pytest.raises(TransportError, match=r"package feeds-broken 1\.0: .*KeyError: 'API_KEY'"):
        choose_transport(settings(transport="broken"), site.environment)
    with pytest.raises(TransportError, match="no such transport is installed here"):
        choose_transport(settings(transport="elsewhere"), site.environment)


def test_a_transport_that_is_not_installed_is_a_fault_that_lists_those_that_are(
    site: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    site.set("newsletter.yaml", "transport: smpt\n")
    with pytest.raises(ConfigError) as caught:
        load_config(site.environment)
    assert str(caught.value.faults[0]).endswith(
        "newsletter.yaml:1:12: transport: Input should be 'maildir' or 'smtp': no other transport is installed"
    )
    request.getfixturevalue("installed")
    with pytest.raises(ConfigError, match="'maildir', 'smtp', 'broken' or 'http-api'"):
        load_config(site.environment)
    site.set("newsletter.yaml", "transport: http-api\n")
    stored = load_config(site.environment).model_dump_json(by_alias=True)
    monkeypatch.undo()
    assert Config.model_validate_json(stored).newsletter.transport == "http-api", "other processes go on without the package"


def test_every_message_is_sent_once_and_several_at_the_same_time(post: Post) -> None:
    post.add(50)
    api = HttpApi()
    assert post.deliver(api).sent == 50 and len(set(api.taken)) == 50 == len(api.taken)
    assert api.most == 4 and post.row(7).reply == "202 accepted" and post.issue().status == "done"


def test_what_a_transport_answers_decides_about_each_message(post: Post) -> None:
    post.add(6)
    api = HttpApi(
        {
            "reader1": Outcome("failed", "no such user", "recipient"),
            "reader2": Outcome("retry", "429 slower"),
            "reader3": ConnectionResetError("while\nwaiting"),
        }
    )
    booked: list[int] = []
    tally = post.deliver(api, on_hard_failure=lambda _connection, subscriber, *_what: booked.append(subscriber))
    assert (tally.sent, tally.failed, tally.retry, tally.uncertain) == (3, 1, 1, 1) and booked == [1]
    assert post.row(3).reply == "ConnectionResetError: while waiting", "nobody knows whether it was taken"


def test_a_transport_that_fails_as_a_whole_ends_the_run_and_loses_nothing(post: Post) -> None:
    post.add(20)
    tally = post.deliver(HttpApi({"reader1": TransportError("account suspended")}))
    assert tally.problem == "account suspended" and tally.failed == tally.uncertain == 0
    assert post.row(1).status == "retry" and post.counts()["pending"] >= 10


def test_a_check_that_fails_changes_no_row(post: Post) -> None:
    class Closed(HttpApi):
        async def check(self) -> str:
            raise TransportError("wrong key")

    post.add(3)
    assert post.deliver(Closed()).problem == "wrong key" and post.counts() == {"pending": 3}
    assert send_now(Closed(), [Message("a@example.org", "b@example.org", "<1@x>", b"")]) == [Outcome("retry", "wrong key")]


def test_a_sender_that_an_api_refuses_pauses_the_issue_and_costs_no_subscriber_anything(post: Post) -> None:
    post.add(30)
    refused = Outcome("failed", "sender not verified", "mail")
    tally = post.deliver(HttpApi({f"reader{key}": refused for key in range(1, 31)}))
    assert tally.failed == tally.uncertain == 0 and post.issue().status == "paused"
    assert set(post.counts()) == {"pending", "retry"} and "sender not verified" in post.issue().reason


def test_a_message_that_is_not_answered_before_the_process_must_end_is_uncertain(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "STOP_SECONDS", 0.1)
    stop = threading.Event()

    class Silent(HttpApi):
        async def send(self, message: Message) -> Outcome:
            if len(self.taken) == 3:
                stop.set()
                await asyncio.sleep(60)
            return await super().send(message)

    post.add(40)
    api = Silent()
    api.concurrency = 1
    tally = post.deliver(api, stop=stop)
    assert (tally.sent, tally.uncertain) == (3, 1) and post.counts() == {"sent": 3, "uncertain": 1, "pending": 36}
