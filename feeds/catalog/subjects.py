"""Say what an article is about: the words of its title and summary, and the site of the original, as numbers. Pure.

Han characters count by twos, which needs no dictionary: two articles about 防火墙 share 防火 and 火墙. Pairs with a character
that only joins others (的, 在, 如何) say nothing of a subject, nor do the commonest words of English.
"""

from __future__ import annotations

import functools
import itertools
import re
import struct
import unicodedata
import zlib
from collections.abc import Iterator

#: The last bits of a number say where it is from: a word of the title or of the summary alone, or the site of the original; and
#: whether it is a pair of Han characters.
TITLE, SUMMARY, SITE, PAIR = 0, 1, 2, 4
#: So many words of a title, and of a summary, count: no article is about more.
MOST_OF_TITLE, MOST_OF_SUMMARY = 40, 80

_WORD = re.compile(r"[\u3400-\u9fff]+|[^\W_\u3400-\u9fff]+(?:['\u2019][^\W_\u3400-\u9fff]+)*[+#]*")
_SITE = re.compile(r"https?://(?:www\.)?([^/?#:@]+)", re.IGNORECASE)
_JOINS = frozenset(
    "的了在是和与个一这那你我们他它她及或有以并中下上为从到将如何对可不会能也都就而被把让使用之其些此该么吗呢吧啊请来去又还更最很太已经过着地得第每做想要说看给多什几好大小新"
)
_COMMON = frozenset(
    "a about all an and are as at be been but by can do does for from get has have how i if in into is it its more most my new "
    "no not of on one or our out part should so some that the their them there these they this to top up us use using vs was "
    "we what when where which who why will with without you your".split()
)


def words_of(text: str) -> list[str]:
    """Return the words that say what a text is about, each once, in their order: case and width folded, Han characters by twos.

    >>> words_of("如何在 Linux 下配置防火墙？The C++ way")
    ['linux', '配置', '置防', '防火', '火墙', 'c++', 'way']
    """
    return list(dict.fromkeys(_words(unicodedata.normalize("NFKC", text).casefold())))


def _words(text: str) -> Iterator[str]:
    for found in _WORD.finditer(text):
        word = found[0]
        if "\u3400" <= word[0] <= "\u9fff":
            for one, following in itertools.pairwise(word):
                if one not in _JOINS and following not in _JOINS:
                    yield one + following
        elif len(word) > 1 and not word.isdecimal() and word not in _COMMON:
            yield word


def subject_of(title: str, summary: str, original: str) -> tuple[int, ...]:
    """Return the numbers of an article: of the words of its title, of the other words of its summary, of the original's site.

    >>> [number % 8 for number in subject_of("Rust 入门", "学习 Rust", "https://www.rust-lang.org/learn")]
    [0, 4, 5, 2]
    """
    named = words_of(title)[:MOST_OF_TITLE]
    more = [word for word in words_of(summary)[:MOST_OF_SUMMARY] if word not in set(named)]
    site = _SITE.match(original)
    found = [_number(word) + TITLE for word in named] + [_number(word) + SUMMARY for word in more]
    return tuple(dict.fromkeys(found + ([_number(site[1].lower()) + SITE] if site else [])))


@functools.lru_cache(maxsize=16384)  # the same words are in most titles
def _number(word: str) -> int:
    """A number of 32 bits with TITLE and, maybe, PAIR; of a million pairs of words two or three share one."""
    return zlib.crc32(word.encode()) & ~7 | (PAIR if "\u3400" <= word[0] <= "\u9fff" else 0)


def listed(number: int) -> int:
    """Return the number by which articles are looked up: words of a summary are looked for in titles."""
    return number - SUMMARY if number % 4 == SUMMARY else number


def asked(number: int) -> int:
    """Return the number that a word of a title has in summaries; that of anything else is its own."""
    return number + SUMMARY if number % 4 == TITLE else number


def pack(numbers: tuple[int, ...]) -> bytes:
    """Return numbers as the database keeps them."""
    return struct.pack(f"<{len(numbers)}I", *numbers)


def unpack(data: bytes) -> tuple[int, ...]:
    """Return the numbers of `pack`."""
    return struct.unpack(f"<{len(data) // 4}I", data)
