"""What a new site must know, and how each answer is checked: by the configuration's own rules, at once."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click

from ..config.load import setting_fault
from ..config.models import Newsletter, Site

#: Answer of who wants no newsletter.
NONE = "none"
#: By name of the question.
Answers = dict[str, str]


@dataclass(frozen=True, slots=True)
class Question:
    """About one setting. `usual` makes the answer that is offered, from the answers before it."""

    name: str
    setting: str
    model: type[Site] | type[Newsletter]
    text: str
    usual: Callable[[Answers], str]

    @property
    def file(self) -> str:
        return "site.yaml" if self.model is Site else "newsletter.yaml"

    def check(self, answer: str) -> str:
        """The answer as it is to be written. Raises click.BadParameter with the words of the configuration."""
        if (self.name, answer) in (("store", ""), ("sender", NONE)):
            return answer
        if self.name == "store":
            answer = str(Path(answer).expanduser().absolute())
        if reason := setting_fault(self.model, self.setting, answer):
            raise click.BadParameter(reason)
        return answer


def _domain(answers: Answers) -> str:
    """Of the site; "" where readers do not reach it by one."""
    host = urlsplit(answers.get("base_url", "")).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host if "." in host else ""
    return ""


def _authority(answers: Answers) -> str:
    domain = _domain(answers)
    return f"{domain},{datetime.datetime.now(datetime.UTC).year}" if domain else Site().id_authority


def _sender(answers: Answers) -> str:
    domain = _domain(answers)
    return f"digest@{domain}" if domain else Newsletter().sender


def _zone(answers: Answers) -> str:
    return Site().timezone if answers.get("language", "").lower().startswith("zh") else "UTC"


def _same(text: str) -> Callable[[Answers], str]:
    return lambda _answers: text


QUESTIONS = (
    Question("store", "store", Site, "Folder of your articles (empty: the demo articles)", _same("")),
    Question("title", "title", Site, "Name of the site", _same(Site().title)),
    Question("language", "language", Site, "Language of the articles, such as zh-CN or en", _same(Site().language)),
    Question("timezone", "timezone", Site, "Time zone of dates that name none, such as Asia/Shanghai", _zone),
    Question("base_url", "base_url", Site, "Address at which readers reach it", _same(Site().base_url)),
    Question(
        "id_authority", "id_authority", Site, "Domain, and a year in which it was yours: in permanent ids, for ever", _authority
    ),
    Question(
        "article_url", "article_url", Site, "Where articles are read: https://example.org{permalink} (empty: here)", _same("")
    ),
    Question("image_url", "image_url", Site, "Host of pictures whose address begins with / (empty: the site's own)", _same("")),
    Question("sender", "from", Newsletter, f"Sender of digests by mail ({NONE}: no digests)", _sender),
)
