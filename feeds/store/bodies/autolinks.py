"""Find bare addresses in text, also where Chinese words follow without a blank. Pure, in time by the length of the text.

GitHub's rule for extended autolinks (https://github.github.com/gfm/#autolinks-extension-) runs on up to the next blank, which
in Chinese is at the end of the sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

#: Letters of other scripts than Latin, without marks and signs.
_LETTER = r"[^\x00-\x7f\W\u2000-\u206f\u3000-\u303f\uff00-\uffef]"
_ASCII = r"[A-Za-z0-9\-._~:/?#@!$&'()*+,;=%|\[\]]"
#: Behind a sign that divides a path, letters go on with the address (`/wiki/自由软件`); behind a word they are the sentence.
_WEB = re.compile(
    rf"(?<![A-Za-z0-9@/.+:_=-])(?:(?:https?|ftp)://(?=[^\s/])|www\.(?=[A-Za-z0-9-]+\.[A-Za-z]))"
    rf"(?:{_LETTER}+(?=\.)|{_ASCII})(?:{_ASCII}|(?<=[/=_-]){_LETTER}+)*",
    re.IGNORECASE,
)
_MAIL = re.compile(
    r"(?<![A-Za-z0-9._%+:/@-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}(?![\w:/@-])"
)
#: Accounts of machines in examples of commands; nobody reads their mail.
_ACCOUNTS = re.compile(r"(?:root|user|username|git|admin|pi|ubuntu|vagrant)@", re.IGNORECASE)
_HOST = re.compile(r"(?:[^/?#@]*@)?(\[[0-9a-f:.]+\]|[^/?#:@\s]+)(?::\d{1,5})?(?=[/?#]|$)", re.IGNORECASE)
#: Hosts that only the reader's own machine or network has.
_LOCAL = re.compile(
    r"(?:localhost|127\.|10\.|192\.168\.|0\.0\.0\.0|172\.(?:1[6-9]|2\d|3[01])\.)|.*\.(?:local|localhost|localdomain)$"
)
_MAX_ADDRESS = 2000


@dataclass(frozen=True, slots=True)
class Autolink:
    """An address in a text, from `start` to `end`, and what a link to it names."""

    start: int
    end: int
    address: str


def find_addresses(text: str) -> Iterator[Autolink]:
    """Yield the bare addresses in a text, in order.

    >>> [one.address for one in find_addresses("见 https://linux.cn/article-1.html，或www.example.org。")]
    ['https://linux.cn/article-1.html', 'http://www.example.org']
    >>> [one.address for one in find_addresses("访问https://linux.cn/查看 (http://a.example/b_(c))")]
    ['https://linux.cn/', 'http://a.example/b_(c)']
    """
    found = [match for pattern in (_WEB, _MAIL) for match in pattern.finditer(text)] if "@" in text else _WEB.finditer(text)
    last = 0
    for match in sorted(found, key=lambda one: one.start()):
        if match.start() < last:
            continue
        if match.re is _MAIL:
            if not _ACCOUNTS.match(match[0]):
                yield Autolink(match.start(), match.end(), f"mailto:{match[0]}")
                last = match.end()
            continue
        shown = _without_sentence(match[0])
        rest = shown.partition("://")[2] or shown
        if len(shown) <= _MAX_ADDRESS and _is_public(rest):
            yield Autolink(match.start(), match.start() + len(shown), shown if "://" in shown else f"http://{shown}")
            last = match.start() + len(shown)


def _without_sentence(address: str) -> str:
    """Return an address without the words and signs of the sentence around it."""
    if root := re.match(r"(?:[a-z]+://)?[^/]+/(?=[^\x00-\x7f])", address, re.IGNORECASE):
        address = root[0]
    surplus = {")": address.count(")") - address.count("("), "]": address.count("]") - address.count("[")}
    end = len(address)
    while end and ((last := address[end - 1]) in ".,;:!?'*_~|&$([" or surplus.get(last, 0) > 0):
        if last in "([":
            surplus[")" if last == "(" else "]"] += 1
        elif last in surplus:
            surplus[last] -= 1
        end -= 1
    return address[:end]


def _is_public(rest: str) -> bool:
    """Return whether what follows `://` begins with a host that others can reach."""
    match = _HOST.match(rest)
    if match is None:
        return False
    host = match[1].lower().rstrip(".")
    if host.startswith("["):
        return True
    return "." in host and ".." not in host and host[-1].isalnum() and host[0].isalnum() and not _LOCAL.match(host)
