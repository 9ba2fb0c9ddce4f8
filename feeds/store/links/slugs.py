"""Make parts of addresses out of titles and names as each generator does. Pure.

Each function names what it follows. The results are not percent-encoded: `permalinks` does that for the whole address.
"""

from __future__ import annotations

import re
import unicodedata

_HUGO_KEPT = frozenset("./\\_#+~-@")
_HEX = frozenset("0123456789abcdefABCDEF")


def hugo_path(text: str, keep_case: bool = False) -> str:
    """Return a path as Hugo makes it: lower case, blanks as one hyphen, without most punctuation (`helpers.MakePathSanitized`).

    >>> hugo_path("Posts/你好 World, (C#) a--b - c")
    'posts/你好-world-c#-a--b-c'
    """
    made: list[str] = []
    blank = hyphen = False
    for at, char in enumerate(text):
        escape = char == "%" and len(text) > at + 2 and text[at + 1] in _HEX and text[at + 2] in _HEX
        if char.isalpha() or char in _HUGO_KEPT or escape or unicodedata.category(char) in ("Nd", "Mn", "Mc", "Me"):
            hyphen = char == "-"
            if blank and not hyphen:
                made.append("-")
            blank = False
            made.append(char)
        elif made and not hyphen and char.isspace():
            blank = True
    path = "".join(made)
    return path if keep_case else path.lower()


_JEKYLL = re.compile(r"[\W_]+")
_JEKYLL_PRETTY = re.compile(r"[^\w.~!$&'()+,;=@]+")


def jekyll_slug(text: str, *, pretty: bool = False, cased: bool = False) -> str:
    """Return a slug as Jekyll's `Utils.slugify` does in its modes "default" and "pretty".

    >>> jekyll_slug("Nested Cats (C++)"), jekyll_slug("Nested Cats (C++)", pretty=True, cased=True)
    ('nested-cats-c', 'Nested-Cats-(C++)')
    """
    made = (_JEKYLL_PRETTY if pretty else _JEKYLL).sub("-", text).removeprefix("-").removesuffix("-")
    return made if cased else made.lower()


_HEXO = re.compile(r"[\x00-\x1f]")
_HEXO_REPLACED = re.compile(r"[\s~`!@#$%^&*()\-_+=\[\]{}|\\;:\"'<>,.?/]+")


def hexo_slug(text: str) -> str:
    """Return a slug as `slugize` of hexo-util does: accents off, punctuation and blanks as one hyphen, case kept.

    >>> hexo_slug("Wörter & 中文!")
    'Worter-中文'
    """
    return _HEXO_REPLACED.sub("-", _HEXO.sub("", _without_accents(text))).strip("-")


_GITHUB_KEPT = frozenset(("Nd", "Nl", "Mn", "Mc", "Me", "Pc"))


def github_slug(text: str) -> str:
    """Return a slug as github-slugger does, which Astro makes ids with: lower case, no punctuation, each blank a hyphen.

    >>> github_slug("Third Note, v1.2 – 中文")
    'third-note-v12--中文'
    """
    kept = (char for char in text.lower() if char in " -" or char.isalpha() or unicodedata.category(char) in _GITHUB_KEPT)
    return "".join(kept).replace(" ", "-")


_CONTRACTION = re.compile(r"(?<=[a-z\d])['’](?=[st](?:\s|$))")


def eleventy_slug(text: str) -> str:
    """Return a slug as Eleventy's filter `slugify` does: ASCII in lower case, all else as one hyphen.

    >>> eleventy_slug("Ann's Café & Bar")
    'anns-cafe-and-bar'
    """
    lower = _CONTRACTION.sub("", _without_accents(text.replace("&", " and ").replace("ß", "ss")).lower())
    return re.sub(r"[^a-z\d]+", "-", lower).strip("-")


#: What Pelican's own library, which is under the GPL, writes in another way.
_ASCII = str.maketrans(
    {**dict.fromkeys("しシ", "shi"), **dict.fromkeys("ちチ", "chi"), **dict.fromkeys("っつッツ", "tsu"), "ー": "-", "Є": "Ie"}
)


def pelican_slug(text: str, *, unicode: bool = False, keep_case: bool = False) -> str:
    """Return a slug as Pelican does by default: in ASCII (`unicode` keeps other letters), words, blanks as one hyphen.

    >>> pelican_slug("Die Größe: 中文 & more")
    'die-grosse-zhong-wen-more'
    """
    made = unicodedata.normalize("NFKC", re.sub(r"<[^<>]*>", "", text))
    if not unicode and not made.isascii():
        from text_unidecode import unidecode  # a table of a third of a megabyte, which other kinds do without

        made = unidecode(made.translate(_ASCII))
    made = re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", made).strip())
    return made if keep_case else made.lower()


#: Latin letters that do not decompose into another one and a mark.
_PLAIN = str.maketrans(
    {"ß": "s", "Æ": "AE", "æ": "ae", "Ø": "O", "ø": "o", "Œ": "OE", "œ": "oe", "Ł": "L", "ł": "l", "Đ": "D", "đ": "d"}
)


def _without_accents(text: str) -> str:
    if text.isascii():
        return text
    plain = (char for char in unicodedata.normalize("NFD", text) if not "\u0300" <= char <= "\u036f")
    return unicodedata.normalize("NFC", "".join(plain)).translate(_PLAIN)


def quartz_path(path: str) -> str:
    """Return the path of a note as Quartz has it in addresses: hyphens for blanks, words for `&` and `%`.

    >>> quartz_path("Seeds & soil/What grows? 100%")
    'Seeds--and--soil/What-grows-100-percent'
    """
    return re.sub(r"[?#]", "", re.sub(r"\s", "-", path).replace("&", "-and-").replace("%", "-percent"))


def rollup_path(path: str) -> str:
    """Return a path as Rollup, and with it VuePress 2, names files: an underscore for what some disks do not take.

    >>> rollup_path("posts/C++, again")
    'posts/C___ again'
    """
    return re.sub(r'[\x00-\x1f"#$%&*+,:;<=>?[\]^`{|}\x7f]', "_", path)
