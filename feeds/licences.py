"""Read licences as people write them: "CC BY-SA 4.0" and the address of its deed are one. Pure."""

from __future__ import annotations

import html
import re
import unicodedata
from typing import NamedTuple

from .model import Details


class Licence(NamedTuple):
    """A licence by its name and its address; one of the two may be "", both are where nothing is said."""

    name: str = ""
    url: str = ""


UNSAID = Licence()
_DEED = re.compile(
    r"(?:https?:)?//(?:www\.)?creativecommons\.org/(licenses|publicdomain)/([a-z+-]+)/([1-4]\.[05])(?:/([a-z]{2}))?(?![a-z])",
    re.I,
)
#: Who says one of these means a licence of Creative Commons.
_SAID = re.compile(r"(?<![a-z])cc(?![a-z])|(?<![a-z])cc[- ]?(?:by|0|zero)(?![a-z])|creative ?commons|知识共享|創用|创用", re.I)
#: Elements of a licence, as one word each: in words, in codes.
_WORDS = (
    (re.compile(r"attribution|署名|姓名标示|姓名標示|(?<![a-z])by(?![a-z])", re.I), "by"),
    (re.compile(r"non-?commercial(?:ly)?|非商业性?(?:使用)?|非商業性?|(?<![a-z])nc(?![a-z])", re.I), "nc"),
    (re.compile(r"no ?-?deriv(?:ative)?s?|禁止演绎|禁止改作|(?<![a-z])nd(?![a-z])", re.I), "nd"),
    (re.compile(r"share-?alike|相同方式共享|相同方式分享|(?<![a-z])sa(?![a-z])", re.I), "sa"),
)
_ZERO = re.compile(r"(?<![a-z])cc[- ]?(?:0|zero)(?![.0-9])", re.I)
_VERSION = re.compile(
    r"(?<![\d.])([1-4]\.[05])(?![\d.])(?:[- ]+(cn|tw|hk|us|uk|de|fr|es|it|jp|nl|pl|br|au|nz|ca|at|ch)(?![a-z]))?", re.I
)
_CODES = ("by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd")
_LINK = re.compile(r"""<a\s[^<>]*?href=["']?([^"'\s<>]+)[^<>]*>(.*?)</a>|\[([^\[\]]*)\]\(<?([^\s()<>]+)>?\)""", re.I | re.S)
_ADDRESS = re.compile(r"https?://[^\s<>\"']+", re.I)
_TAGS = re.compile(r"<[^<>]*>")
#: What says whether a notice is shown, and names no licence.
_NO_NAMES = frozenset("true false yes no on off 0 1 none null ~ default custom".split())


def read_licence(text: str) -> Licence:
    """Return the licence that a text names, with the address of its deed where it is one of Creative Commons.

    >>> read_licence("CC BY-SA 4.0")
    Licence(name='CC BY-SA 4.0', url='https://creativecommons.org/licenses/by-sa/4.0/')
    >>> read_licence("http://creativecommons.org/licenses/by-nc/3.0/cn/deed.zh").name
    'CC BY-NC 3.0 CN'
    >>> read_licence("© 2024 Ada Example")
    Licence(name='© 2024 Ada Example', url='')
    """
    text = " ".join(html.unescape(text[:1000]).split())
    if text.lower().strip("\"'") in _NO_NAMES:
        return UNSAID
    if deed := _DEED.search(text):
        return _commons(deed[2].lower(), deed[3], (deed[4] or "").lower(), is_public=deed[1].lower() == "publicdomain")
    address = ""
    if link := _LINK.search(text):
        address = link[1] or link[4]
        text = _LINK.sub(r"\2\3", text)
    elif found := _ADDRESS.search(text):
        address, text = found[0].rstrip(".,;)"), text.replace(found[0], "").strip(" ()<>:,;")
    text = _TAGS.sub("", text).strip()
    plain = unicodedata.normalize("NFKC", text).replace("_", "-").replace("–", "-")
    if _SAID.search(plain) or plain.lower() in _CODES:
        if _ZERO.search(plain):
            return _commons("zero", "1.0", "", is_public=True)
        code = "-".join(word for pattern, word in _WORDS if pattern.search(plain))
        if code in _CODES:
            version = _VERSION.search(plain)
            return _commons(code, version[1] if version else "4.0", (version[2] or "").lower() if version else "")
    return Licence(text[:200], address if address.lower().startswith(("http://", "https://")) else "")


def _commons(code: str, version: str, country: str, *, is_public: bool = False) -> Licence:
    """Return a licence of Creative Commons. `country` is that of one made for its law, "" for none."""
    if is_public:
        name = f"CC0 {version}" if code == "zero" else f"Public Domain Mark {version}"
        return Licence(name, f"https://creativecommons.org/publicdomain/{code}/{version}/")
    end = f"{country}/" if country else ""
    name = " ".join(filter(None, ("CC", code.upper(), version, country.upper())))
    return Licence(name, f"https://creativecommons.org/licenses/{code}/{version}/{end}")


def is_commons(licence: Licence) -> bool:
    """Return whether a licence is one of Creative Commons, whose address every reader of feeds knows."""
    return _DEED.match(licence.url) is not None


def differing_licence(details: Details, site: str) -> Licence:
    """Return the licence that an article has in place of that of its site, which is as its settings say; empty for none."""
    own, usual = Licence(details.licence, details.licence_url), read_licence(site)
    is_same = own.url == usual.url if own.url and usual.url else own.name == usual.name
    return UNSAID if is_same else own
