"""The repository that a store in git lies in: pulled when that is due, and what the operator is told of it.

A pull belongs to a rescan and to its lock, so there are never two; it is over before any transaction begins.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from ..config import Config
from ..library.dating import Outlook
from ..library.pull import pull

STATE = "git"


@dataclass(frozen=True, slots=True)
class Repository:
    """What is known of it. `tried` and `pulled` in UTC seconds: the last pull, and the last one that went well; 0 for never.

    `shallow`: the oldest commits are missing, so what they brought has no date.
    """

    pull: bool = False
    dates: bool = False
    tried: int = 0
    pulled: int = 0
    commit: str = ""
    fault: str = ""
    dates_fault: str = ""
    shallow: bool = False

    @classmethod
    def read(cls, stored: Mapping[str, str]) -> Repository | None:
        """As the last rescan left it; None where git is not used."""
        text = stored.get(STATE, "")
        return cls(**json.loads(text)) if text else None

    def written(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False) if self.pull or self.dates else ""

    def with_dates(self, found: Outlook) -> Repository:
        return replace(self, commit=found.head or self.commit, dates_fault=found.fault, shallow=found.shallow)


def brought_up_to_date(
    config: Config, stored: Mapping[str, str], now: int, *, at_once: bool, stop: threading.Event | None
) -> tuple[Repository, bool]:
    """Pull if the last one is long enough ago, or `at_once`. Whether that changed the work tree comes second."""
    settings = config.site.store_git
    before = Repository.read(stored) or Repository()
    before = replace(before, pull=settings.pull, dates=settings.dates)
    if not settings.pull:
        return replace(before, fault=""), False
    if not at_once and 0 <= now - before.tried < settings.every_seconds:
        return before, False
    found = pull(config.site.store, settings, stop)
    if found.fault and stop is not None and stop.is_set():
        return before, False  # the next process begins with this pull
    good = before.pulled if found.fault else now
    return replace(before, tried=now, pulled=good, commit=found.commit or before.commit, fault=found.fault), found.moved
