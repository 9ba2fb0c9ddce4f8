"""The order of names that people know: Latin letters and Han characters in one alphabet, Han characters by their pinyin.

Each character has its commonest reading, as in the collation of CLDR: how a word is really read would take a dictionary of
phrases, forty megabytes in every process that sorts.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from .. import addresses

#: Where names are found that begin with no letter.
OTHER = "#"


@lru_cache(maxsize=1)
def _readings() -> Callable[[str], str]:
    """Character -> its syllable and the number of its tone. Loaded only where names are sorted: it takes 13 MB."""
    os.environ.setdefault("PYPINYIN_NO_PHRASES", "1")  # the library's own switch
    from pypinyin import Style, lazy_pinyin

    return lambda one: str(lazy_pinyin(one, style=Style.TONE3, v_to_u=False)[0])


@lru_cache(maxsize=8192)  # the next sort asks for the same names
def key(name: str) -> tuple[str, str, str]:
    """Sorts names: by letters, then by tones, then as they are written."""
    folded = unicodedata.normalize("NFKC", addresses.fold(name))
    if folded.isascii():
        return folded, "", name
    spelled = [_spelled(one) for one in folded]
    return "".join(letters for letters, _tone in spelled), "".join(tone for _letters, tone in spelled), name


def _spelled(one: str) -> tuple[str, str]:
    """A character's letters, and its tone where it is a Han character."""
    if one.isascii():
        return one, ""
    bare = unicodedata.normalize("NFD", one)[0]
    if bare.isascii():
        return bare, ""
    reading = _readings()(one)
    return (reading.rstrip("12345"), reading[-1]) if reading.isascii() else (one, "")


def initial(name: str) -> str:
    """The letter of the alphabet that a name is found under: A to Z, or OTHER."""
    first = key(name)[0][:1].upper()
    return first if first.isascii() and first.isalpha() else OTHER
