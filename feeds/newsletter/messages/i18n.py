"""The mails' own words and dates in the reader's language: msgids are English, the catalog is a PO file read by Babel."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.messages.pofile import read_po

CATALOG = Path(__file__).resolve().parents[2] / "locale" / "zh_CN" / "LC_MESSAGES" / "mail.po"
_WEEKDAYS = "一二三四五六日"


class Words:
    """`language` is a reader's tag: whatever is not Chinese reads English."""

    def __init__(self, language: str) -> None:
        self.chinese = language.lower().startswith("zh")
        self.tag = "zh-CN" if self.chinese else "en"
        self._known = _catalog() if self.chinese else {}

    def translate(self, text: str) -> str:
        return self._known.get(text, text)

    def day(self, when: int, zone: ZoneInfo) -> str:
        """The date (of UTC seconds) as people in that zone write it."""
        local = datetime.fromtimestamp(when, zone)
        return f"{local.year} 年 {local.month} 月 {local.day} 日" if self.chinese else f"{local.day} {local:%B} {local.year}"

    def date(self, when: int, zone: ZoneInfo) -> str:
        """The same with the day of the week."""
        local = datetime.fromtimestamp(when, zone)
        if self.chinese:
            return f"{self.day(when, zone)} 星期{_WEEKDAYS[local.weekday()]}"
        return f"{local:%A}, {self.day(when, zone)}"


def _catalog() -> dict[str, str]:
    with CATALOG.open("rb") as file:
        catalog = read_po(file, locale="zh_CN")
    return {str(message.id): str(message.string) for message in catalog if message.id and message.string}
