"""A site whose readers sign up the way they do: what is mailed to them is read back from the outbox."""

from __future__ import annotations

import email
import email.policy
import re
from email.message import EmailMessage
from typing import Any

import sqlalchemy as sa

from feeds import database
from feeds.database import tables
from feeds.newsletter import NewsletterContext
from feeds.newsletter.subscribers import owner, records, signup
from feeds.newsletter.subscribers.signup import SignupForm

Site = Any
NOW = 1_767_571_200  # 2026-01-05T00:00:00Z
DAY = 86400
NEWSLETTER = """\
enabled: true
from: "Linux 中国 <digest@example.org>"
frequencies: {daily: "07:30", weekly: "mon 08:00", monthly: "1 08:00"}
signup: {per_address_a_day: 1, per_address: 3, per_network_an_hour: 20, per_minute: 60}
"""
FEEDS = """\
facets:
  tag: {limit: 20}
  translator: {limit: 20}
feeds:
  - {name: kernel, title: 内核与系统, select: {tag: [Linux]}}
"""


class Club:
    """`context` is what web and commands use; `letters` all mail so far."""

    def __init__(self, site: Site) -> None:
        self.site = site
        site.set("newsletter.yaml", NEWSLETTER)
        site.set("feeds.yaml", FEEDS)
        site.settle("site.yaml", base_url="http://localhost")
        site.write("1.md", tags=["Linux", "内核"], translator="geekpi")
        site.write("2.md", tags=["Ubuntu", "AI"], translator="wxy")
        site.rescan()

    @property
    def config(self) -> Any:
        return self.site.runtime.edition().config

    @property
    def context(self) -> NewsletterContext:
        return NewsletterContext.of(self.site.runtime, self.config)

    def settle(self, **settings: Any) -> None:
        self.site.settle("newsletter.yaml", **settings)
        self.site.rescan()

    # -- what readers do ----------------------------------------------------

    def sign_up(self, address: str = "reader@example.org", *selects: str, now: int = NOW, **more: Any) -> None:
        values = {"frequency": "weekly", "timezone": "Asia/Shanghai", "language": "zh-CN", "ip": "192.0.2.7", **more}
        signup.sign_up(self.context, SignupForm(address, selects or ("tag=Linux",), **values), now)

    def join(self, address: str = "reader@example.org", *selects: str, now: int = NOW, **more: Any) -> str:
        """Sign up and confirm: the token of the subscriber's own page."""
        self.sign_up(address, *selects, now=now, **more)
        found = signup.confirm(self.context, self.token(), now + 60)
        assert found is not None
        return found.token

    def owner_link(self, token: str, now: int = NOW + 600) -> str:
        """The owner's link, as it is mailed to one who has this token."""
        assert owner.request_link(self.context, token, now)
        return link(self.letters()[-1], "preferences")

    # -- what they got ------------------------------------------------------

    def letters(self) -> list[EmailMessage]:
        texts = self.rows(sa.select(tables.outbox.c.message).order_by(tables.outbox.c.key))
        return [email.message_from_bytes(text.encode("ascii"), policy=email.policy.default) for (text,) in texts]  # type: ignore[misc]

    def token(self) -> str:
        """Of the newest confirmation."""
        return next(found for letter in reversed(self.letters()) if (found := link(letter, "confirm")))

    def leaving(self) -> str:
        """The token to unsubscribe in the newest letter of a subscriber."""
        found = (link(letter, "unsubscribe") for letter in reversed(self.letters()))
        return next(token for token in found if token.startswith("u"))

    # -- what is kept -------------------------------------------------------

    def rows(self, query: Any) -> list[Any]:
        with database.reading(self.site.runtime.engine) as connection:
            return list(connection.execute(query).all())

    def count(self, table: sa.Table) -> int:
        return int(self.rows(sa.select(sa.func.count()).select_from(table))[0][0])

    def wanted(self) -> dict[str, dict[str, list[str]]]:
        """Active address -> frequency -> selections."""
        return {
            one["email"]: {row["frequency"]: row["select"] for row in one["subscriptions"]}
            for one in records.list_subscribers(self.context.engine)
            if one["status"] == "active"
        }

    def status(self, address: str = "reader@example.org") -> str:
        everyone = records.list_subscribers(self.context.engine)
        return next((one["status"] for one in everyone if one["email"] == address), "unknown")

    def everything(self) -> list[list[Any]]:
        """All that the newsletter's tables hold, to tell whether anything changed."""
        names = ("subscribers", "subscriptions", "requests", "suppressions", "outbox", "deliveries", "selections", "cohorts")
        return [[tuple(row) for row in self.rows(sa.select(tables.metadata.tables[name]))] for name in names]

    def dump(self) -> bytes:
        """All that is kept: every row, and where that is a file, the file with all that is in its log."""
        with self.site.runtime.engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.exec_driver_sql("VACUUM")
        files = (path for path in (self.site.root / "var").glob("*") if path.is_file())
        return self.site.kept().encode() + b"".join(path.read_bytes() for path in files)


def link(letter: EmailMessage, kind: str) -> str:
    """The token of a link in the text of a letter; "" if there is none."""
    body = letter.get_body(("plain",))
    assert body is not None
    found = re.search(rf"/{kind}/(\S+)", body.get_content())
    return found[1] if found else ""
