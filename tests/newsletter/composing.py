"""What the tests of messages share: an issue made by hand, its composer, and a message read as a mail program would."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from feeds.config.models import Config, NamedFeed, Newsletter, Select, Site
from feeds.config.models import FeedSettings as Feeds
from feeds.model import Credit, Issue, IssueArticle, IssueContent, Recipient
from feeds.newsletter.messages.composer import DigestComposer
from feeds.newsletter.messages.dkim import Signer
from feeds.resources import TEMPLATES
from feeds.tokens import Tokens

NOW = 1_767_571_200  # 2026-01-05T00:00:00Z: Monday 08:00 in Shanghai
BASE = "https://feeds.example.org"
TOKENS = Tokens("a secret of the tests")
FOLDER = TEMPLATES / "mail"


def config(site: dict[str, Any] | None = None, **newsletter: Any) -> Config:
    made = {"from": "Linux 中国 <digest@example.org>", "postal_address": "Example Road 1, Example Town"} | newsletter
    kernel = NamedFeed(name="kernel", title="内核与系统", select=Select(tag=("内核",)))
    return Config(
        site=Site(**({"base_url": BASE} | (site or {}))),
        feeds=Feeds(feeds=(kernel,)),
        newsletter=Newsletter.model_validate(made),
    )


def credit(name: str, folder: str = "tags") -> Credit:
    return Credit(name, f"{BASE}/{folder}/{name}", f"{BASE}/{folder}/{name}.atom")


def article(number: int, **fields: Any) -> IssueArticle:
    made = IssueArticle(
        id=str(number),
        url=f"https://example.org/article-{number}-1.html?a=1&b=2",
        title=f"第 {number} 篇：用 systemd 定时器代替 crontab",
        summary="两个小文件代替一行暗号，还能得到日志、状态，以及开机后补跑的机会。",
        picture=f"https://img.example.org/{number}.jpg",
        published=NOW - 3600 * number,
        original=f"https://example.com/original/{number}",
        editor_choice=number == 0,
        authors=(Credit("Ada Example"),),
        translators=(credit("geekpi", "translators"),),
        tags=(credit("Linux"), credit("内核")),
    )
    return replace(made, **fields)


def content(
    articles: Sequence[IssueArticle] | int = 6, queries: dict[int, str] | None = None, **sections: Sequence[int]
) -> IssueContent:
    """`s1=(0, 2)`: ranks of selection 1. Without sections, selection 1 has all."""
    made = tuple(article(number) for number in range(articles)) if isinstance(articles, int) else tuple(articles)
    found = {(0, int(name[1:])): tuple(ranks) for name, ranks in sections.items()} or {(0, 1): tuple(range(len(made)))}
    known = {key: "tag=Linux" for _reach, key in found} | {1: "tag=Linux", 2: "feed=kernel", 3: "tag=a&tag=b", 4: ""}
    issue = Issue(3, "weekly-2026-01-05", "weekly", NOW, "Asia/Shanghai", articles=len(made))
    return IssueContent(issue, made, found, known | (queries or {}))


def composer(
    of: IssueContent | None = None,
    settings: Config | None = None,
    folders: Sequence[Path] = (FOLDER,),
    signer: Signer | None = None,
) -> DigestComposer:
    return DigestComposer(settings or config(), of or content(), TOKENS, folders, signer)


def recipient(*selections: int, **fields: Any) -> Recipient:
    made = Recipient(7, "reader@example.net", "zh-CN", "Asia/Shanghai", 1, 0, selections or (1,))
    return replace(made, **fields)


@dataclass(frozen=True, slots=True)
class Read:
    """A message as a mail program reads it, with plain line ends."""

    message: EmailMessage
    text: str
    html: str

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])


def read(data: bytes) -> Read:
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    assert message.get_content_type() == "multipart/alternative"
    parts = list(message.iter_parts())
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
    assert not any(part.defects for part in parts)
    bodies = [part.get_payload(decode=True).decode("utf-8").replace("\r\n", "\n") for part in parts]
    return Read(message, *bodies)
