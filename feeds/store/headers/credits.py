"""Take the credits of translation projects out of a body: who wrote, translated and checked it, and where the original is.

They stand before the text: as a list in a quote (gold-miner, freeCodeCamp), as lines `译者=` after a header (SwiftGG), in bold
(kubernetes.io); or after it, as `via:` and lines below (GCTT). What is in code is never read. What the projects' templates hold
(`译者ID`, `链接`) is empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .source import Source, Value

#: What a credit says -> how it is labelled; "" is left out of the body and kept nowhere.
_LABELS_BY_FIELD = {
    "fromurl": "原文地址 原文链接 原文连接 原文网址 原文 原文出自 英文原文 原文來源 原文来源 原文連結 原文網址 原视频地址 "
    "原视频链接 链接 阅读原文 via",
    "author": "原文作者 原作者 作者 原文作者们",
    "translator": "译者 翻译者 翻译 译 翻译人员 譯者 翻譯 訳者 翻訳者 翻訳 translator translators translaters",
    "reviewer": "校对者 校对 校对人 校对人员 审校 审校者 审校人 校對 校對者 審校 校正者 校阅 reviewer reviewers proofreader "
    "proofreaders",
    "selector": "选题 选题者 定稿 定稿人 選題",
    "permalink": "本文永久链接 永久链接 首发于 已发布 发布于 译文链接 译文地址",
    "title": "标题 译文标题 中文标题",
    "original_date": "原文日期 原文发表日期 原文发布日期",
    "": "译文出自 状态 原文审校 校对状态 译文来源 出自 原文标题",
}
_LABELS = {label: name for name, labels in _LABELS_BY_FIELD.items() for label in labels.split()}
_PEOPLE = frozenset({"author", "translator", "reviewer", "selector"})
_ADDRESSES = frozenset({"fromurl", "permalink"})
#: Labels that nobody begins a sentence with.
_SURE = frozenset(label for label, name in _LABELS.items() if name not in ("author", "title", "")) - set(
    "via 翻译 翻譯 译 原文 审校 链接 reviewer reviewers translator translators".split()
)
#: What templates hold, and what is written where there is nobody.
_PLACEHOLDERS = frozenset(
    "译者id 校对者id 选题者id 译者 校对者 作者 作者名 原作者 标题 链接 主页 作者链接 原文链接 来源链接 待认领 待翻译 待校对 "
    "认领中 翻译中 校对中 无 暂无 空 none null n/a - -- — 译者名 校对者名 译者主页 校对者主页 title 姓名 名字".split()
)
_MAX_VALUE = 1000
#: Lines that are looked at before and after the text.
_HEAD, _TAIL = 80, 60

_HINT = re.compile("作者|[译譯訳]|校[对對]|原文|首发于|已发布|^via", re.MULTILINE)
_LINE = re.compile(
    r"[ \t\u3000\ufeff]{0,3}+(?P<quote>>[ \t]*+)?(?P<item>[*+-][ \t]++)?(?P<bold>\*\*|__)?[ \t]*+"
    r"(?P<label>[^\s:：=*_\[\]()<>`#|/]{1,12})[ \t\u3000]*+(?:\*\*|__)?[ \t\u3000]*+"
    r"(?P<sign>[:：=]|(?=\[))[ \t\u3000]*+(?:\*\*|__)?(?P<value>.*)"
)
_IN_A_ROW = re.compile(r"(?<=[^\s>*+-])[\s\u3000,，、]+(?=(?:作者|译者|校对|选题)[^\s：:\[]{0,3}[：:])")
_BARE_VIA = re.compile(r"via[ \t]+(?P<value><?https?://\S+)", re.IGNORECASE)
#: Credits of which the label is the link.
_LINKED_LABEL = re.compile(
    r"[ \t>*+-]{0,8}\[(?P<label>原文|原文链接|原文地址|阅读原文|英文原文)\](?P<value>\(https?://[^()\s]+\))[ \t]*"
)
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(?P<title>\S.*?)(?:[ \t]+#+)?[ \t]*")
_UNDERLINE = re.compile(r" {0,3}=+[ \t]*")
_RULE = re.compile(r" {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})")
_CODE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)")
_DEFINITION = re.compile(r" {0,3}\[[^\]]{1,200}\]:")
_NOTE = re.compile(
    r"本文由.{0,300}(?:原创编译|翻译|荣誉推出|编译)|如果发现译文存在错误|是一个翻译优质|荣誉推出[。.]?[ \t]*$|"
    r"本译文由|本文由 SwiftGG 翻译组翻译"
)
_PICTURE = re.compile(r"[ \t]*(?:!\[[^\]]*\]\([^)]*\)|<img\b[^>]*>)[ \t]*")


@dataclass(frozen=True, slots=True)
class Credits:
    """What credits say as header fields, the text without them, and the title of the original ("" where it is not said).

    People are lists of names. A translator who is asked for and not named is an empty text, and `untranslated` holds the label.
    """

    fields: dict[str, Value]
    body: str
    original_title: str = ""


def find_credits(body: str) -> Credits | None:
    """Return the credits of a body; None where it has none.

    >>> find = find_credits("> * 原文地址：[Doors](https://example.org/doors)\\n> * 译者：[甲](https://example.org/a)、乙\\n\\n推。\\n")
    >>> find.fields, find.body, find.original_title
    ({'fromurl': 'https://example.org/doors', 'translator': ['甲', '乙']}, '推。\\n', 'Doors')
    """
    if not _HINT.search(body):
        return None
    lines = body.split("\n")
    head, removed = _head(lines)
    tail, more = _tail(lines, max(removed, default=-1) + 1)
    if not head and not tail:
        return None  # a note alone says nothing
    fields, title = _fields([*head, *tail])
    removed |= more
    kept = [line for number, line in enumerate(lines) if number not in removed]
    return Credits(fields, "\n".join(kept).lstrip("\n"), title)


class CreditsForm:
    """A file without a header that has credits. Its title is its heading, which leaves the body, else the original's title."""

    name = "credits"
    expected = "credits of a translation (原文地址, 译者)"

    def recognizes(self, text: str) -> bool:
        """Return whether there are credits."""
        return not text.startswith("[#]:") and find_credits(text) is not None  # LCTT's own header says more

    def read(self, text: str, path: str) -> Source:
        """Return what the credits say, and the text without them."""
        found = find_credits(text)
        assert found is not None
        title, body = take_heading(found.body)
        if title := title or str(found.fields.get("title", "")) or found.original_title:
            found.fields["title"] = title
        return Source(found.fields, body, self.name)


def with_credits(source: Source) -> Source:
    """Return a source with the credits of its body as fields, where its header does not say them itself."""
    found = find_credits(source.body)
    if found is None:
        return source
    said = {_LABELS.get(key, key.lower().removesuffix("s")) for key, value in source.fields.items() if value}
    said.add("permalink")  # such a file has an address of its own
    fields = {**source.fields, **{key: value for key, value in found.fields.items() if key not in said}}
    if "translator" in said:
        fields.pop("untranslated", None)
    return Source(fields, found.body, f"{source.form} + credits", source.notices, source.lines)


def take_heading(body: str) -> tuple[str, str]:
    """Return the heading that a text begins with (behind rules and pictures), "" without one, and the text without it."""
    lines = body.split("\n")
    for number, line in enumerate(lines[:_HEAD]):
        if found := _heading(line):
            return _plain(found["title"]), "\n".join(lines[:number] + lines[number + 1 :]).lstrip("\n")
        if not line.strip() or _RULE.fullmatch(line) or _PICTURE.fullmatch(line) or line.lstrip().startswith("<!--"):
            continue
        if number + 1 < len(lines) and _UNDERLINE.fullmatch(lines[number + 1]):
            return _plain(line), "\n".join(lines[:number] + lines[number + 2 :]).lstrip("\n")
        break
    return "", body


def _heading(line: str) -> re.Match[str] | None:
    return _HEADING.fullmatch(line) if len(line) <= _MAX_VALUE else None


def _plain(title: str) -> str:
    """Return a heading's text: without a link or emphasis around all of it, and escapes."""
    title = title.strip()[:_MAX_VALUE]
    if found := re.fullmatch(r"\[([^\[\]]+)\]\([^()\s]*\)", title) or re.fullmatch(r"\*\*([^*]+)\*\*", title):
        title = found[1].strip()
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", title)


# -- where they stand ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Credit:
    label: str
    value: str
    marked: bool  # in bold, or an item of a list in a quote

    @property
    def field(self) -> str:
        return _LABELS[self.label]


def _credit(line: str) -> _Credit | None:
    line = line[: 4 * _MAX_VALUE]
    found = _LINE.fullmatch(line)
    if found is None or (not found["sign"] and not found["item"]):
        if via := _BARE_VIA.fullmatch(line.strip()):
            return _Credit("via", via["value"], False)
        linked = _LINKED_LABEL.fullmatch(line)
        return _Credit(linked["label"], "]" + linked["value"], True) if linked else None
    label = found["label"].lower()
    if label not in _LABELS:
        return None
    value = found["value"].strip()[:_MAX_VALUE].strip("* \t\u3000")
    if _LABELS[label] in _PEOPLE and len(value) > 100 and "](" not in value:
        return None  # a sentence
    return _Credit(label, value, bool(found["bold"] or (found["quote"] and found["item"])))


def _credits(line: str) -> list[_Credit]:
    """Return the credits of a line: one, or people in a row (`作者：[a](u) 译者：[b](u)`); none where it is another line."""
    parts = _IN_A_ROW.split(line[: 4 * _MAX_VALUE])
    found = [credit for part in parts if (credit := _credit(part))]
    return found if len(found) == len(parts) else []


def _head(lines: list[str]) -> tuple[list[_Credit], set[int]]:
    """Return the credits before the text and the lines that they take. A heading, pictures and comments may stand before them.

    So may a few lines of text, if what follows says who translated what.
    """
    found: list[_Credit] = []
    removed: set[int] = set()
    waiting: set[int] = set()  # what is part of the block if a credit follows
    others = 0
    comment = False
    for number, line in enumerate(lines):
        if (number > _HEAD and not comment) or number in removed:
            continue
        text = line.strip(" \t>\u3000\ufeff")
        if comment or text.startswith("<!--"):
            comment = "-->" not in line
        elif credits := _credits(line):
            last = credits[-1]
            if last.value.count("[") > last.value.count("]") and number + 1 < len(lines):  # a link on two lines
                credits[-1] = _Credit(last.label, (last.value + lines[number + 1])[:_MAX_VALUE], last.marked)
                removed.add(number + 1)
            found += credits
            removed |= waiting | {number}
            waiting = set()
        elif not text or (found and len(waiting) < 5 and len(line) < _MAX_VALUE and _LINE.fullmatch(line)):
            waiting.add(number)
        elif found or _CODE.match(line) or others > 8:
            break
        else:
            others += not (_heading(line) or _PICTURE.fullmatch(line) or _RULE.fullmatch(line))
            waiting = set()
    names = {one.field for one in found}
    sure = len(names) > 2 and "translator" in names if others else _is_block(found)
    return (found, removed) if sure else ([], set())


def _is_block(found: list[_Credit]) -> bool:
    if any(one.label in _SURE or one.marked for one in found):
        return True
    return len({one.field for one in found}) >= 2


def _tail(lines: list[str], start: int) -> tuple[list[_Credit], set[int]]:
    """Return the credits after the text, in order, and the lines that they take; notes and a rule before them, too."""
    found: list[_Credit] = []
    removed: set[int] = set()
    notes: set[int] = set()
    waiting: set[int] = set()  # blank lines and rules
    others = 0
    last = _end_of_text(lines, start, waiting)
    for number in range(last, max(start, last - _TAIL) - 1, -1):
        line = lines[number]
        if not line.strip(" \t>\u3000"):
            waiting.add(number)
        elif _RULE.fullmatch(line):
            waiting.add(number)
            if found:
                removed |= waiting
                break
        elif credits := _credits(line) or ([_Credit("via", line, False)] if found and _ADDRESS.fullmatch(line.strip()) else []):
            found += reversed(credits)
            removed |= waiting | {number}
            waiting = set()
        elif _NOTE.search(line[: 2 * _MAX_VALUE]):
            removed |= waiting | {number}
            notes |= set() if others else waiting | {number}
            waiting = set()
        elif found and len(waiting) < 5 and len(line) < 200 and _LINE.fullmatch(line):
            waiting.add(number)  # another label within the block
        elif found or _CODE.match(line) or others > 5:
            break
        else:
            others += not _DEFINITION.match(line)
            waiting = set()
    found.reverse()
    names = {one.field for one in found}
    sure = "translator" in names and ("fromurl" in names or len(names) >= 2)
    if not (sure or (not others and any(one.label == "via" for one in found))):
        found, removed = [], notes
    if removed and _open_code(lines, min(removed)):
        return [], set()
    return found, removed


def _end_of_text(lines: list[str], start: int, blank: set[int]) -> int:
    """Return the last line before definitions of links; `blank` gets the blank lines right behind it."""
    last = len(lines) - 1
    while last > start and (not lines[last].strip() or _DEFINITION.match(lines[last])):
        if lines[last].strip():
            blank.clear()
        else:
            blank.add(last)
        last -= 1
    return last


def _open_code(lines: list[str], end: int) -> bool:
    """Return whether a block of code that begins before line `end` is open there."""
    fence = ""
    for line in lines[:end]:
        if found := _CODE.match(line):
            mark, rest = found.groups()
            if not fence:
                fence = mark
            elif mark[0] == fence[0] and len(mark) >= len(fence) and not rest.strip():
                fence = ""
    return bool(fence)


# -- what they say -----------------------------------------------------------------


_ADDRESS = re.compile(r"https?://[^\s<>\"'）]+")
_TARGET = re.compile(r"\]\(<?(?P<url>[^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*)")
_LINKED = re.compile(r"\[([^\[\]]*)\](?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\]]*\])?")
_BETWEEN = re.compile(r"[、,，;；|]|[ \t]+(?:/|&|和|与|and)[ \t]+|[ \t]{2,}")
_CHINESE = re.compile(r"[ \t]*[\u4e00-\u9fff]{2,4}(?:[ \t]+[\u4e00-\u9fff]{2,4})+[ \t]*")
_ASIDE = re.compile(r"[(（][^()（）]*(?:[)）]|$)")


def _fields(found: Iterable[_Credit]) -> tuple[dict[str, Value], str]:
    """Return credits as header fields, and the original's title. Of two addresses the first counts; people add up."""
    fields: dict[str, Value] = {}
    people: dict[str, list[str]] = {}
    labels: dict[str, str] = {}
    title = ""
    for credit in found:
        name = credit.field
        if name in _PEOPLE:
            people.setdefault(name, []).extend(_names(credit.value))
            labels.setdefault(name, credit.label)
        elif name in _ADDRESSES:
            if (address := _address(credit.value)) and name not in fields:
                fields[name] = address
            title = title or (_link_text(credit.value) if name == "fromurl" else "")
        elif name and credit.value:
            fields.setdefault(name, credit.value)
    for name, names in people.items():
        if names:
            fields[name] = list(dict.fromkeys(names))
    if "translator" in people and not people["translator"]:
        fields |= {"translator": "", "untranslated": labels["translator"]}
    return fields, title


def _address(value: str) -> str:
    target = _TARGET.search(value)
    if target and "://" in target["url"]:
        return target["url"]
    found = _ADDRESS.search(value)
    return found[0].rstrip("*,，。;；)]") if found else ""


def _link_text(value: str) -> str:
    start, end = value.find("["), value.rfind("](")
    text = (value[start + 1 : end] if 0 <= start < end else value).strip("[]() \t")
    return "" if text.lower() in _PLACEHOLDERS or "://" in text else text


def _names(value: str) -> Iterator[str]:
    """Yield the names of a credit: the texts of links, else what stands between commas."""
    links: list[str] = []

    def keep(found: re.Match[str]) -> str:
        links.append(found[1])
        return f"\0{len(links) - 1}\0"

    value = re.sub(r"<[^<>]*>|\\(?=[_*\-])", "", value.replace("\0", ""))
    named = _LINKED.sub(keep, value)
    for part in _BETWEEN.split(_ASIDE.sub("", named) if _ASIDE.sub("", named).strip() else named):
        linked = re.findall("\0(\\d+)\0", part)
        for text in [links[int(one)] for one in linked] if linked else part.split() if _CHINESE.fullmatch(part) else [part]:
            name = text.strip().strip("*`@。").strip()
            if name and name.lower() not in _PLACEHOLDERS and "://" not in name:
                yield name
