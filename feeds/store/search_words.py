"""Make the words by which articles are found: of what is written in them, and of what somebody searches for. Pure and total.

Han, kana, Hangul and the scripts without blanks become pairs of neighbours, other words their stems. Whatever is written in
several ways is folded to one: case, accents, width, Traditional characters. Both databases get the same words (`full_text`).
"""

from __future__ import annotations

import functools
import hashlib
import html
import re
import sys
import threading
import unicodedata
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LIBRARIES = ("opencc", "PyStemmer")
#: Of a word between blanks, as of an address or a text in base64: what comes later is not looked for.
MAX_WORD = 200
#: Of a part of such a word.
MAX_PART = 40
#: Shorter ones are as often names (AWS, iOS) as words in the plural.
MIN_STEMMED = 4
#: How a word of a title, or of a summary, begins: no word of a body begins so.
TITLE, SUMMARY = "=", "~"

# -- characters ------------------------------------------------------------

#: Characters whose words are not told apart by blanks: Han, kana, bopomofo, Hangul, Thai, Lao, Myanmar, Khmer.
_CJK = (
    "\u2e80-\u2fd5\u3005-\u3007\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0eb9\u0ebb-\u0ecd\u1000-\u103f\u1780-\u17b3"
    "\u17b6-\u17d3\U0001b000-\U0001b16f\U00020000-\U000323af"
)
_RUN = re.compile(f"[{_CJK}]+")
#: Signs that join what stands beside them to one word: node.js, TCP/IP, a_b, O'Reilly, AT&T, linux-kernel.
_JOINERS = "-.'_/+#@:&"
#: A word with what joins its parts; ASCII signs, blanks and the punctuation of texts in Chinese end it.
_WORD = re.compile(f"[^\x00-\x22\x24\x25\x28-\x2a,;<=>?\\[-^`{{-\x9f\xa0\u2000-\u206f\u3000-\u303f{_CJK}]+")
#: What ASCII has of these words; its parts may be joined by the same signs.
_SEPARATED = bytes(code if chr(code).isalnum() or chr(code) in _JOINERS else 0x20 for code in range(128)) + b" " * 128
#: Letters and signs of other scripts, of which words may be made.
_OTHER = re.compile(f"[^\x00-\xa5\xa7\xa8\xaa-\xad\xaf\xb1-\xbf\xd7\u2000-\u206f\u2500-\u257f\u3000-\u303f\uff01-\uff65{_CJK}]")
#: Traditional characters that GB 2312 has, too (a test compares): others of its characters stand for themselves.
_FOLDED_IN_GB2312 = "乾吒夥後徵拚捱摺於榘菸薹袷醣麴麽"
#: Marks that Unicode writes over Latin, Greek and Cyrillic letters, and letters that it does not take apart.
_ACCENTS = re.compile("[\u0300-\u036f]")
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th", "ŋ": "n"}
)


@functools.cache
def _unusual() -> re.Pattern[str]:
    """A character that may have to be folded: none of ASCII, punctuation, kana, Hangul, Simplified Chinese."""
    rows = b"".join(bytes((high, low)) for high in range(0xB0, 0xF8) for low in range(0xA1, 0xFF))
    usual = set(rows.decode("gb2312", "ignore")) - set(_FOLDED_IN_GB2312)
    signs = "\x00-\x7f\xa0-\xa9\xab\xac\xae-\xb1\xb4\xb6\xb7\xbb\xbf\xd7\u2010-\u2038\u2190-\u23ff\u2500-\u27bf\u3001-\u3029"
    signs += "\u3041-\u3096\u30a1-\u30fc\uac00-\ud7a3，：；！？（）～、"
    return re.compile(f"[^{signs}{''.join(sorted(usual))}]")


def fold(text: str) -> str:
    """Return a text in which each character stands for all that mean the same to somebody who searches.

    >>> fold("ＬＩＮＵＸ 內核 Café")
    'linux 内核 cafe'
    """
    unusual = _unusual()
    if unusual.search(text):
        text = unicodedata.normalize("NFKC", text)
        text = unusual.sub(lambda match: _folded_character(match[0]), text)
    return text.lower().replace("’", "'")


@functools.lru_cache(maxsize=8192)
def _folded_character(character: str) -> str:
    if _RUN.match(character):
        return _simplified()(character)
    if unicodedata.category(character) == "Cf":  # a soft hyphen, a joiner
        return ""
    # A lower-case i loses its dot, once it was a capital with one.
    bare = _ACCENTS.sub("", unicodedata.normalize("NFD", character).casefold())
    return unicodedata.normalize("NFC", bare.translate(_LETTERS))


@functools.cache
def _simplified() -> Callable[[str], str]:
    """Character -> the simplified one. Loaded where a text has other characters than those: most need no library."""
    from opencc import OpenCC

    converter = OpenCC("t2s")
    return lambda character: str(converter.convert(character))


# -- words of texts --------------------------------------------------------


def text_words(text: str) -> list[str]:
    """Return the words of a text, each once.

    >>> sorted(text_words("Kernels: 内核 C++"))
    ['c++', 'kernel', '内核', '核']
    """
    folded = fold(text)
    runs = "" if folded.isascii() else " ".join(_RUN.findall(folded))
    if runs and len(runs) == len(folded):
        return _pairs(runs)
    return [*set().union(*map(_parts, _written_words(folded))), *(_pairs(runs) if runs else ())]


def _written_words(folded: str) -> set[str]:
    """Return the words that blanks and the like tell apart."""
    if not folded.isascii() and _OTHER.search(folded):
        return set(_WORD.findall(folded))
    return set(folded.encode("ascii", "replace").translate(_SEPARATED).decode("ascii").split())


def _pairs(runs: str) -> list[str]:
    """Return the pairs of neighbours in runs of characters with blanks between them, and the last one of each run by itself."""
    data = f"{runs} ".encode("utf-16-le", "surrogatepass")
    if len(data) != 2 * len(runs) + 2 or sys.byteorder == "big":  # characters that take two units
        return list({runs[at : at + 2].rstrip() for at in range(len(runs)) if runs[at] != " "})
    # As numbers, pairs are told apart in a fifth of the time that texts take. Those of odd places begin one unit later.
    places = (memoryview(data[start : start + (len(data) - start) // 4 * 4]).cast("I") for start in (0, 2))
    apart = array("Q", [pair | 0x0020_0020_0000_0000 for pair in set().union(*places) if pair & 0xFFFF != 0x20])
    return apart.tobytes().decode("utf-16-le").split()


#: A name with signs that mean something (C++, C#); digits; letters with the marks that scripts of India and others write.
_PART = re.compile(
    r"([a-z]+\+\+|(?<![a-z0-9])[a-z]#)|[0-9]+|"
    "(?:[^\\W_0-9]|[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0711-\u074a"
    "\u07a6-\u07b0\u0900-\u0963\u0971-\u0df3\u0f18-\u0f19\u0f35-\u0f39\u0f71-\u0fbc])+|."
)


@functools.lru_cache(maxsize=32768)
def _parts(written: str) -> tuple[str, ...]:
    """Return the words of what blanks tell apart: its parts, and pairs of parts that only a sign joins.

    `node.js` has `node`, `js`, `.js` and `node.js`: it is found by each of them, and told from `js` beside `node`.
    """
    if written.isalpha() and len(written) <= MAX_PART:
        return (stem(written),)
    found: list[str] = []
    before, signs = "", " "
    for match in _PART.finditer(written[:MAX_WORD]):
        part = match[0][:MAX_PART]
        if not (part[0].isalnum() or len(part) > 1 or unicodedata.category(part)[0] in "LMN"):
            signs += part
            if unicodedata.category(part) == "So":
                found.append(part)
            continue
        if match[1] is None:
            part = stem(part)
        elif len(part) > 3:
            found.append(stem(part[:-2]))
        found.append(part)
        if before and (not signs or (len(signs) == 1 and signs in _JOINERS)):
            found.append(f"{before}.{part}")
        if signs[-1:] == "." and part[0].isalpha():
            found.append(f".{part}")
        before, signs = part, ""
    return tuple(found)


@functools.cache
def _english() -> Callable[[str], str]:
    from Stemmer import Stemmer

    stemmer = Stemmer("english", 0)
    lock = threading.Lock()  # a stemmer is not for several threads at once

    def find(word: str) -> str:
        with lock:
            return str(stemmer.stemWord(word))

    return find


def stem(word: str) -> str:
    """Return the stem of an English word; any other word as it is."""
    return _english()(word) if len(word) >= MIN_STEMMED and word.isascii() and word.isalpha() else word


# -- words of articles -----------------------------------------------------

_READING = re.compile(r"<(rt|rp)\b[^>]*>.*?</\1>", re.DOTALL)
_REST = r'(?:\s(?:"[^"]*"|[^">])*)?>'
_INSIDE = re.compile(
    "</?(?:a|abbr|b|bdi|cite|code|data|del|dfn|em|i|ins|kbd|mark|q|ruby|s|samp|small|span|strong|sub|sup|time|tt|u|var|wbr)"
    + _REST
)
_TAG = re.compile("</?[a-z][a-z0-9]*" + _REST)
#: Lines of a text in Chinese go on without a blank.
_LINE_END = re.compile(f"\n(?<=[{_CJK}，。、；：]\n)[ \t]*(?=[{_CJK}])")


def html_text(fragment: str) -> str:
    """Return the text of sanitized HTML, without the readings of ruby; blocks are told apart by blanks.

    >>> html_text("<p>内<b>核</b></p><p>Linux &amp; co</p>")
    ' 内核  Linux & co '
    """
    if "<rt" in fragment:
        fragment = _READING.sub("", fragment)
    text = _TAG.sub(" ", _INSIDE.sub("", fragment))
    return _LINE_END.sub("", html.unescape(text) if "&" in text else text)


def article_words(title: str, summary: str, body: str) -> str:
    """Return the words of an article with blanks between them, each once: of all of it, then of the title, of the summary.

    Those of the title come after TITLE each, those of the summary after SUMMARY. `body` is HTML.

    >>> sorted(article_words("内核", "", "<p>Linux</p>").split())
    ['=内核', '=核', 'linux', '内核', '核']
    """
    found = text_words(f"{title}\n\n{summary}\n\n{html_text(body)}")
    found += [TITLE + word for word in text_words(title)]
    found += [SUMMARY + word for word in text_words(summary)]
    return " ".join(found)


def name_words(name: str) -> str:
    """Return the words of a term's name, with a blank before and after each.

    >>> name_words("TCP/IP")
    ' ip tcp tcp.ip '
    """
    words = sorted(text_words(name))
    return f" {' '.join(words)} " if words else ""


@functools.cache
def key() -> str:
    """Return the key of an index: another one wherever this module or its libraries might give other words."""
    from importlib.metadata import version

    parts = (*map(version, LIBRARIES), unicodedata.unidata_version)
    return hashlib.sha256(repr(parts).encode() + Path(__file__).read_bytes()).hexdigest()[:16]


# -- what is searched for --------------------------------------------------

#: Of a search: characters, and words between blanks.
MAX_LENGTH, MAX_SOUGHT = 100, 8
_SOUGHT = re.compile('"([^"]*)"|“([^”]*)”|「([^」]*)」|(\\S+)')


@dataclass(frozen=True, slots=True)
class Sought:
    """One word of a search, as it is `written` between blanks or in quotes: which words an article must have for it.

    `begins`: characters that some word must begin with. `phrase`: it is in quotes and has several words, in this order.
    """

    written: str
    words: tuple[str, ...]
    begins: tuple[str, ...] = ()
    phrase: bool = False


def clean_query(text: str) -> str:
    """Return the part of a typed text that is searched for: printable, in NFC, within bounds.

    >>> clean_query("  Linux\\t内核 ")
    'Linux 内核'
    """
    printable = "".join(one if one.isprintable() else " " for one in unicodedata.normalize("NFC", text[:MAX_LENGTH]))
    return " ".join(printable.split()[:MAX_SOUGHT])


def sought_words(text: str) -> list[Sought]:
    """Return what is looked for, of a text from `clean_query`; what has no words is left out.

    >>> [(one.words, one.begins) for one in sought_words("內核 云 C++")]
    [(('内核',), ()), ((), ('云',)), (('c++',), ())]
    """
    found = []
    for match in _SOUGHT.finditer(text):
        written = next(filter(None, match.groups()), "")
        folded = fold(written)
        runs = _RUN.findall(folded)
        words = {run[at : at + 2] for run in runs for at in range(len(run) - 1)}
        words.update(*map(_parts, _WORD.findall(folded)))
        begins = tuple(dict.fromkeys(run for run in runs if len(run) == 1))
        if words or begins:
            several = match.lastindex != 4 and len(words) + len(begins) > 1
            found.append(Sought(written, tuple(sorted(words)), begins, several))
    return found


def written_parts(one: Sought) -> list[str]:
    """Return how what is looked for may be written in a folded text, the longest first.

    >>> written_parts(sought_words("Linux操作系统")[0])
    ['操作系统', 'linux', '操作', '作系', '系统']
    """
    folded = fold(one.written)
    runs = _RUN.findall(folded)
    found = [*runs, *_WORD.findall(folded)] if not one.phrase else [folded, *runs, *_WORD.findall(folded)]
    pairs = [run[at : at + 2] for run in runs for at in range(len(run) - 1)]
    return list(dict.fromkeys(part for part in (*found, *pairs) if any(map(str.isalnum, part)) or not part.isascii()))
