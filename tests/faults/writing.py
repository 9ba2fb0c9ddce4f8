"""A plugin of pytest, for `make faults`: `-p tests.faults.writing --write-reliability docs/reliability.md`.

A test says with `record_property("shown", words)` what its run showed. The page is written where every fault heals.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from .reliability import faults, page


class Writer:
    def __init__(self, target: Path) -> None:
        self.target = target
        self.shown: dict[str, str] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.when == "call" and report.passed:
            name = getattr(item, "originalname", item.name)
            self.shown[name] = dict(report.user_properties).get("shown", "it heals")  # type: ignore[arg-type]
        return report

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        missing = sorted({fault.test for fault in faults()} - self.shown.keys())
        if exitstatus or missing:
            print(f"\nnothing written: {', '.join(missing) or 'a test has failed'}")
            session.exitstatus = exitstatus or pytest.ExitCode.TESTS_FAILED
            return
        self.target.write_text(page(self.shown), "utf-8")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-reliability", metavar="FILE", type=Path, help="write the page, if every fault heals")


def pytest_configure(config: pytest.Config) -> None:
    if target := config.getoption("--write-reliability"):
        config.pluginmanager.register(Writer(target))
