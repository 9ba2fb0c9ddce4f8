"""What the guard of the store holds back, as the `state` table keeps it between rescans, and the operator's word on it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from ..config import Config
from ..library import guard
from ..library.guard import Guard
from ..library.scan import Look, Taken

STATE, LATELY, ACCEPTED = "held", "removed_lately", "removals_accepted"


@dataclass(frozen=True, slots=True)
class Held:
    """Articles whose files are gone, still published since `since` (UTC seconds). `mark` names these very files."""

    articles: int
    published: int
    since: int
    mark: str

    @classmethod
    def read(cls, stored: Mapping[str, str]) -> Held | None:
        """As the last rescan left it; None where nothing is held."""
        text = stored.get(STATE, "")
        return cls(**json.loads(text)) if text else None

    @property
    def in_words(self) -> str:
        """For the operator: what is the matter, and what to do."""
        return (
            f"the files of {self.articles} of {self.published} articles are gone from the store; these articles stay published "
            "until the files are back, or until `feeds rescan --accept-removals` says that they may go"
        )


def is_let_go(stored: Mapping[str, str]) -> bool:
    """Whether the operator has accepted in the console that what is held goes."""
    held = Held.read(stored)
    return held is not None and stored.get(ACCEPTED) == held.mark


def is_accepted(stored: Mapping[str, str], found: Look) -> bool:
    """Whether the files that are gone now are those, and no others, that were let go."""
    return is_let_go(stored) and stored[ACCEPTED] == guard.mark(found.changes.removed)


def let_go(stored: Mapping[str, str], mark: str) -> dict[str, str]:
    """What to remember where the operator accepts what `mark` names; {} where something else is held by now."""
    held = Held.read(stored)
    return {ACCEPTED: mark} if held is not None and held.mark == mark else {}


def guard_of(config: Config, stored: Mapping[str, str], now: int, *, accepted: bool, moved: bool) -> Guard:
    limits = config.site.removal
    lately = sum(number for _at, number in _lately(stored, now))
    return Guard(limits.percent, limits.articles, lately, accepted, moved)


def marks(stored: Mapping[str, str], taken: Taken, rule: Guard, published: int, now: int) -> dict[str, str]:
    """What to remember after a rescan that wrote. What the operator has accepted counts against nothing later."""
    before = Held.read(stored)
    held = ""
    if taken.held:
        since = before.since if before else now
        held = json.dumps(asdict(Held(len(taken.held), published, since, guard.mark(taken.held))))
    lately = [] if rule.accepted else [*_lately(stored, now), *([(now, taken.counts.removed)] if taken.counts.removed else [])]
    word = {ACCEPTED: ""} if stored.get(ACCEPTED) else {}  # one that was given meanwhile is the next rescan's
    return {STATE: held, LATELY: json.dumps(lately), **word}


def _lately(stored: Mapping[str, str], now: int) -> list[tuple[int, int]]:
    """(when, how many articles) of the rescans within the window; none from ahead, where a clock has been set back."""
    rows = json.loads(stored.get(LATELY) or "[]")
    return [(at, number) for at, number in rows if now - guard.WINDOW_SECONDS < at <= now]
