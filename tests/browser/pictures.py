"""`python -m tests.browser.pictures [--write DIR] [--all]`: pictures of the doors for README and docs, from a running demo.

Without --all only those that the documentation shows; with it each page at both widths, in both languages, light and dark, to
look through.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from ..conftest import CHECKOUT, Running
from .live_site import LiveSite

READER = "reader@example.com"


@dataclass(frozen=True)
class Shot:
    """`page` as in PAGES; `width` and `height` in CSS pixels."""

    name: str
    page: str
    width: int = 1280
    language: str = "en"
    scheme: str = "light"
    height: int = 800


PAGES = {
    "home": "/",
    "directory": "/translators/",
    "translator": "/translators/Demo-Max",
    "tag": "/tags/Linux",
    "article": "/articles/146",
    "builder": "/select?tag=Linux&not-tag=C%2B%2B",
    "subscribe": "/subscribe?select=tag%3DLinux",
    "digest": "/digests/monthly-2026-11-01",
    "preferences": "/preferences",
    "next": "/preferences/next",
    "search": "/search?q=Linux",
    "console": "/operator/",
    "quarantine": "/operator/quarantine",
    "readers": "/operator/feeds",
    "own": "/operator/feeds/own",
    "new": "/operator/feeds/new?tag=Linux",
    "subscribers": "/operator/subscribers",
    "issues": "/operator/issues",
    "configuration": "/operator/configuration",
    "log": "/operator/log",
}
SHOWN = [
    Shot("home", "home"),
    Shot("home-zh", "home", language="zh-CN"),
    Shot("home-phone", "home", 375, scheme="dark"),
    Shot("translator", "translator"),
    Shot("builder", "builder"),
    Shot("next", "next", 375),
    Shot("console", "console"),
    Shot("quarantine", "quarantine"),
    Shot("set-up", "new", height=900),
    Shot("set-up-zh", "new", 375, language="zh-CN", scheme="dark"),
]
NEWS = """---
title: 用 systemd 定时器代替 cron
translator: demo-lin
tags: [Linux, systemd]
date: '{date}'
excerpt: 定时任务写成单元文件，日志和依赖就都有了着落。
---
每天凌晨的备份，写成两个文件就够了。
"""


@contextmanager
def running_site() -> Iterator[LiveSite]:
    folder = Path(tempfile.mkdtemp(prefix="feeds-pictures-"))
    started: list[Running] = []

    def start(config_dir: Path, *options: str, environment: dict[str, str]) -> Running:
        started.append(Running(config_dir, folder / "log", *options, environment=environment))
        return started[-1]

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    try:
        live_site = LiveSite(folder / "site", port, start)
        _publish(live_site)
        yield live_site
    finally:
        for one in started:
            one.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _publish(live_site: LiveSite) -> None:
    """Something new since the last digest, live before anybody looks."""
    (live_site.root / "articles" / "900.md").write_text(NEWS.format(date=f"{datetime.now():%Y-%m-%d %H:%M:%S}"), "utf-8")
    live_site.running.wait(lambda: "cron" in live_site.running.request("/all.json")[2].decode("utf-8", "replace"))


def take(browser: Any, live_site: LiveSite, shot: Shot, target: Path, *, whole: bool) -> None:
    context = browser.new_context(
        viewport={"width": shot.width, "height": shot.height},
        color_scheme=shot.scheme,
        locale=shot.language,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.route(lambda url: not url.startswith(live_site.base), lambda route: route.abort())
    context.add_cookies([{"name": "language", "value": shot.language, "url": live_site.base}])
    address = PAGES[shot.page]
    if address.startswith("/operator"):
        live_site.sign_in(page)
    page.goto(live_site.page_of(READER, address))
    page.screenshot(path=target / f"{shot.name}.png", full_page=whole)
    context.close()


def every() -> list[Shot]:
    kinds = product(PAGES, (375, 1280), ("zh-CN", "en"), ("light", "dark"))
    return [
        Shot(f"{page}-{width}-{language}-{scheme}", page, width, language, scheme) for page, width, language, scheme in kinds
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, default=CHECKOUT / "docs" / "pictures")
    parser.add_argument("--all", action="store_true")
    chosen = parser.parse_args()
    chosen.write.mkdir(parents=True, exist_ok=True)
    with running_site() as live_site, sync_playwright() as playwright:
        root = os.geteuid() == 0
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"] if root else [])
        for shot in every() if chosen.all else SHOWN:
            take(browser, live_site, shot, chosen.write, whole=chosen.all)
            print(chosen.write / f"{shot.name}.png")
        browser.close()


if __name__ == "__main__":
    main()
