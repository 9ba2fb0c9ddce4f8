"""Values that the configurations of generators share: addresses of sites, languages, folders, authors."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from ..headers.source import Value
from ..kinds import Defaults, SiteLanguage
from .configurations import SUFFIXES, as_texts, first_file, member, read_file, read_text

#: Hosts that generators write into a new site, and those of the author's own machine.
_PLACEHOLDERS = ("example.com", "yoursite.com", "localhost", "127.0.0.1", "0.0.0.0", "::1", "")  # noqa: S104  # not to listen on


def site_address(address: object, path: object = "") -> str:
    """Return the address of a site with a path, without a slash at its end; "" for what names no host, or a placeholder's.

    >>> site_address("https://example.org/", "/notes/"), site_address("http://localhost:4000"), site_address(None)
    ('https://example.org/notes', '', '')
    """
    text = _one_line(address)
    try:
        parts = urlsplit(f"https:{text}" if text.startswith("//") else text)
        host = parts.hostname or ""
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or host.removeprefix("www.") in _PLACEHOLDERS:
        return ""
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}{base_path('', path)}".rstrip("/")


def base_path(address: object, path: object = "") -> str:
    """Return the folder of a site on its host, whatever that is: `path`, else that of an address without a host of its own.

    >>> base_path("https://example.org/old", "/notes/"), base_path("http://localhost/notes/"), base_path("/notes/")
    ('/notes', '/notes', '/notes')
    >>> base_path("https://example.org/notes"), base_path("", "./")
    ('', '')
    """
    said = _one_line(path)
    text = said or ("" if site_address(address) else _one_line(address))
    try:
        folder = below("", urlsplit(text).path) if said or "//" in text or text.startswith("/") else ""
    except ValueError:
        return ""
    return f"/{folder}" if folder else ""


def _one_line(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    return "" if re.search(r"\s", text) else text


def language_tag(code: str) -> str:
    """Return a language as documents have it.

    >>> language_tag("zh_cn"), language_tag("EN-us"), language_tag("zh-hans")
    ('zh-CN', 'en-US', 'zh-Hans')
    """
    first, *rest = re.split(r"[-_]", code.strip())
    return "-".join([first.lower(), *(part.title() if len(part) == 4 else part.upper() for part in rest)])


def below(folder: str, path: str) -> str:
    """Return a path below a folder, both below the root, as one without slashes at its ends; ".." may lead up to the root.

    >>> below("content", "./blog/"), below("content", "../_data"), below("a", "../../etc"), below("", ".")
    ('content/blog', '_data', 'etc', '')
    """
    found: list[str] = []
    for part in f"{folder}/{path}".split("/"):
        if part == "..":
            del found[-1:]
        elif part not in ("", "."):
            found.append(part)
    return "/".join(found)


def clean_folder(text: str) -> str | None:
    """Return a folder below the root, without slashes at its ends; None for one that leaves it."""
    path = text.strip().replace("\\", "/")
    return None if ".." in path.split("/") else below("", path)


def domain_of(root: str, *files: str) -> str:
    """Return the address that a CNAME file names, "" without one."""
    for name in files:
        host = (read_text(os.path.join(root, name), 300) or "").strip()
        if re.fullmatch(r"[A-Za-z0-9.-]{4,253}", host):
            return f"https://{host}"
    return ""


def person_name(value: Value) -> str:
    """Return the name of a site's author, which is a text or a mapping."""
    found = member(value, "name", "nick", "title") if isinstance(value, dict) else value
    return ", ".join(as_texts(found)) if isinstance(found, str) else ""


def author_names(value: Value) -> tuple[tuple[str, str], ...]:
    """Return keys and names of an authors file."""
    if not isinstance(value, dict):
        return ()
    return tuple((key, name) for key, one in list(value.items())[:2000] if (name := person_name(one)))


def read_authors(root: str, folder: str) -> tuple[tuple[str, str], ...]:
    """Return keys and names of the authors file in a folder below `root`."""
    name = first_file(root, (f"{folder}/authors{suffix}" for suffix in SUFFIXES))
    read = read_file(os.path.join(root, name)) if name else {}
    return author_names(read if isinstance(read, dict) else {})


def options_of(**values: str) -> tuple[tuple[str, str], ...]:
    """Return options, without those that are not set."""
    return tuple((key, value) for key, value in values.items() if value)


def site_languages(codes: tuple[str, ...], default: str) -> tuple[SiteLanguage, ...]:
    """Return the languages of a site that has several."""
    return tuple(
        SiteLanguage(code, prefix="" if code == default else code, tag=language_tag(code)) for code in codes if codes[1:]
    )


def truth_text(value: bool | None) -> str:
    """Return a truth value as text, "" for none."""
    return "" if value is None else str(value).lower()


def author_default(author: str) -> tuple[Defaults, ...]:
    """Return the site's author as what every file inherits."""
    return (Defaults("", "", (("author", author),)),) if author else ()


def one_text(value: Value) -> str:
    """Return a text, "" for another type."""
    return value.strip() if isinstance(value, str) else ""
