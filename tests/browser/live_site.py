"""A whole site as a stranger finds it: a real service with its clock, mail in a Maildir, issues that are out, a broken file."""

from __future__ import annotations

import email
import email.policy
import re
import shutil
import time
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import yaml

from feeds import rescan
from feeds.config.environment import Environment
from feeds.newsletter import NewsletterContext, digests
from feeds.newsletter.subscribers import importer, signup
from feeds.runtime import Runtime
from tests.conftest import settle_database

TOKEN = "a token that only the operator has"
#: Monday 2026-11-02 08:00 in Shanghai: all demo articles are older.
ISSUE = 1_793_577_600
CHECKOUT = Path(__file__).resolve().parents[2]
BROKEN = "---\ntitle: A header that nobody closed\ntags: [Linux\ndate: '2026-01-01'\n---\nText.\n"


class LiveSite:
    """`running` is the service; `reader` the token of a subscriber's own pages."""

    def __init__(self, root: Path, port: int, start: Callable[..., Any]) -> None:
        self.root = root
        self._copy(port)
        settle_database(root)
        self.environment = Environment.read(root / "config", {})
        runtime = Runtime(self.environment)
        runtime.prepare()
        rescan.rescan(runtime.engine, runtime.environment, now=ISSUE - 60 * 86400)
        self._fill(runtime)
        runtime.close()
        secrets = {"FEEDS_OPERATOR_TOKEN": TOKEN}
        self.running = start(root / "config", "--workers", "1", "--port", str(port), environment=secrets)
        self.running.port, self.running.base = port, f"http://127.0.0.1:{port}"
        self.base: str = self.running.base
        self.running.ready()

    def _copy(self, port: int) -> None:
        shutil.copytree(CHECKOUT / "config", self.root / "config")
        shutil.copytree(CHECKOUT / "demo" / "articles", self.root / "articles")
        (self.root / "articles" / "broken.md").write_text(BROKEN, "utf-8")
        self.settle("site.yaml", store="articles", base_url=f"http://127.0.0.1:{port}")
        self.settle("newsletter.yaml", signup={"per_network_an_hour": 1000, "per_minute": 1000})

    def settle(self, name: str, **settings: Any) -> None:
        """Set some top-level keys of a configuration file."""
        path = self.root / "config" / name
        found = yaml.safe_load(path.read_text("utf-8")) or {}
        path.write_text(yaml.safe_dump({**found, **settings}, allow_unicode=True, sort_keys=False), "utf-8")

    def _fill(self, runtime: Runtime) -> None:
        config = runtime.edition().config
        assert config is not None
        context = NewsletterContext.of(runtime, config)
        with (CHECKOUT / "demo" / "readers.csv").open("rb") as file:
            importer.import_csv(context, file, "readers.csv", now=ISSUE - 86400 * 400)
        for now in (ISSUE - 86400 * 300, ISSUE):
            digests.plan(context, now, written_at=now)
            digests.send(context, lambda at=now: at)  # type: ignore[misc]

    def page_of(self, reader: str, page: str) -> str:
        """The address of a page; those of one subscriber are under the token that the mail to that reader brought."""
        kind, _, rest = page.lstrip("/").partition("/")
        if kind not in ("preferences", "unsubscribe"):
            return self.base + page
        own = self.link(reader, kind)
        return own + (f"/{rest}" if rest else "")

    def join(self, address: str) -> str:
        """The address of a new subscriber's own page, without a browser. The message to confirm is the service's clock's."""
        runtime = Runtime(self.environment)
        config = runtime.edition().config
        assert config is not None
        context = NewsletterContext.of(runtime, config)
        form = signup.SignupForm(address, ("tag=Linux",), frequency="weekly", timezone="UTC", language="en", ip="192.0.2.7")
        signup.sign_up(context, form, int(time.time()))
        found = signup.confirm(context, self.link(address, "confirm").rpartition("/")[2], int(time.time()))
        assert found is not None
        runtime.close()
        return f"{self.base}/preferences/{found.token}"

    def sign_in(self, page: Any) -> None:
        """As the operator, in a browser's page."""
        page.goto(self.base + "/operator/")
        page.fill("main input[type=password]", TOKEN)
        page.click("main button")
        page.wait_for_url("**/operator/")

    # -- mail ---------------------------------------------------------------

    def letters(self) -> list[EmailMessage]:
        folder = self.root / "var" / "maildir" / "new"
        paths = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns) if folder.is_dir() else []
        return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in paths]

    def link(self, address: str, kind: str, seconds: float = 30, known: str = "") -> str:
        """The newest link of a kind in a message to an address, as soon as the clock has sent another than is `known`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for letter in reversed([each for each in self.letters() if address in str(each["To"])]):
                body = letter.get_body(("plain",))
                found = re.search(rf"http://\S+/{kind}/\S+", body.get_content()) if body else None
                if found and (link := found[0].rstrip(">.,")).rpartition("/")[2] not in known:
                    return link
            time.sleep(0.1)
        raise AssertionError(f"no link to {kind} came to {address}:\n{self.running.log()}")
