"""Say what a link or a picture of a body leads to, by the rules of the generator it was written for. Pure and total.

Browsers resolve links against the address of a page; some generators resolve them against the file, or against a folder.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from urllib.parse import unquote, urljoin, urlsplit

from ..kinds import GeneratorSite, Place, StoreKind
from .permalinks import encode_path
from .slugs import pelican_slug

_MAX_REFERENCE = 4000
#: Generators that build pictures beside a file under names of their own, so that nothing but the file is known.
BUNDLED = frozenset({"docusaurus", "astro", "vuepress", "vitepress"})
#: Those without addresses of their own: all is relative to the file.
_FILES = frozenset({"obsidian", "plain", "lctt", "archive"})
#: Those that put the path of the site before addresses that begin with "/".
_BASED = frozenset({"docusaurus", "vuepress", "vitepress"})
_TEXTS = (".md", ".markdown", ".mdx", ".mkd", ".rst", ".org")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_BRACES = re.compile(r"[{|](static|attach|filename|author|category|tag|index)[}|](.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a link or picture leads to.

    `kind` says what `path` is: "article" another text of the store and "file" any other file, both relative to the store's
    folder (with ".." where they lie beside it, in the generator's); "site" an address from the root of the host,
    percent-encoded; "absolute" and "relative" what is to be left as it is written. `mark` is the query and fragment of an
    article, with "?" or "#". A file that is not at `path` may be another one of the same name: so do wikilinks find notes.
    """

    kind: str
    path: str
    mark: str = ""


def resolve_reference(
    site: GeneratorSite, kind: StoreKind, place: Place, address: str, reference: str, is_picture: bool = False
) -> Reference:
    """Return what `reference` in the article at `place` leads to. `address` is the article's own, of `permalinks.address_of`.

    >>> from feeds.store.kinds import KINDS
    >>> place = Place("content/posts/lake/index.md", "article")
    >>> resolve_reference(GeneratorSite("hugo"), KINDS["hugo"], place, "/posts/lake/", "bridge.png", is_picture=True)
    Reference(kind='site', path='/posts/lake/bridge.png', mark='')
    """
    text = reference.strip()
    if len(text) > _MAX_REFERENCE or not text or text[0] in "#?":
        return Reference("relative", text)
    if kind.name == "pelican" and (match := _BRACES.match(unquote(text))):
        return _braced(site, place, address, match[1], match[2])
    text = text.removeprefix("pathname://") if kind.name == "docusaurus" else text
    if text.startswith(("//", "\\")) or _SCHEME.match(text):
        return Reference("absolute", text)
    path, mark = _split(text)
    if alias := re.match(r"(?:@site|[~@]|(?=src/))/?(?=[^/])", path) if kind.name in BUNDLED else None:
        return _aliased(site, kind, path[alias.end() :], alias[0], text)
    if path.lower().endswith(_TEXTS) and not is_picture:
        found = _below_store(site, _file(site, place, path))
        return Reference("relative", text) if found is None else Reference("article", found, mark)
    if path.startswith("/"):
        return Reference("site", _based(site, path, kind.name in _BASED or (kind.name == "jekyll" and is_picture)) + mark)
    beside = kind.name in BUNDLED and (is_picture or _is_file(path))
    if beside or kind.name in _FILES or not address:
        found = _below_store(site, _file(site, place, path))
        return Reference("relative", text) if found is None else Reference("file", found)
    return Reference("site", _joined(site, address, _without_asset_folder(site, kind, place, path)) + mark)


def _split(text: str) -> tuple[str, str]:
    """Return the path, decoded, and what begins with "?" or "#"."""
    at = min((found for found in (text.find("?"), text.find("#")) if found >= 0), default=len(text))
    return unquote(text[:at]), text[at:]


def _is_file(path: str) -> bool:
    """Return whether a name has a suffix that no page has."""
    suffix = posixpath.splitext(path)[1].lower()
    return re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) is not None and suffix not in (".html", ".htm")


def _file(site: GeneratorSite, place: Place, path: str) -> str:
    """Return the path of a file below the generator's root; one that begins with "/" is below the content root."""
    if path.startswith("/"):
        return posixpath.join(place.root.path if place.root else "", path.lstrip("/"))
    return posixpath.join(site.below, posixpath.dirname(place.path), path)


def _below_store(site: GeneratorSite, path: str) -> str | None:
    """Return a path below the generator's root as one relative to the store's folder; None where it leads out of the root."""
    path = posixpath.normpath(path)
    if path.startswith(("..", "/")) or "\0" in path:
        return None
    return posixpath.relpath(f"/{path}", f"/{site.below}")


def _base(site: GeneratorSite) -> str:
    try:
        return urlsplit(site.base_url).path.rstrip("/")
    except ValueError:
        return ""


def _based(site: GeneratorSite, path: str, prepend: bool) -> str:
    base = _base(site)
    inside = not prepend or path == base or path.startswith(f"{base}/")
    full = posixpath.normpath(path if inside else base + path).lstrip("/")
    return encode_path(f"/{full}/" if path.endswith("/") and full else f"/{full}")


def _joined(site: GeneratorSite, address: str, path: str) -> str:
    """Return a path that is relative to an article's address; above the root of a host there is nothing, as in browsers."""
    if address.startswith("/"):
        address = _base(site) + address
    else:
        address = "/" + address.partition("://")[2].partition("/")[2]
    return "/" + urljoin(address, "./" + encode_path(path).removeprefix("/")).lstrip("/")


def _without_asset_folder(site: GeneratorSite, kind: StoreKind, place: Place, path: str) -> str:
    """Leave out the folder of a post's own files, which Hexo moves to its address; editors write it."""
    if kind.name == "hexo" and site.option("post_asset_folder").lower() == "true":
        return path.removeprefix("./").removeprefix(f"{place.stem.rpartition('/')[2]}/")
    return path


def _aliased(site: GeneratorSite, kind: StoreKind, path: str, alias: str, text: str) -> Reference:
    """Return what `@site/static/x`, `~/assets/x`, `@/x` and `src/x` mean to builders of JavaScript."""
    root = "" if alias.startswith("@site") or path.startswith("src/") else "src"
    full = posixpath.normpath(posixpath.join(root, path))
    for folder in site.static or ("static",):
        if kind.name == "docusaurus" and full.startswith(f"{folder}/"):
            return Reference("site", _based(site, full[len(folder) :], True))
    found = _below_store(site, full)
    if found is None:
        return Reference("relative", text)
    return Reference("article" if found.lower().endswith(_TEXTS) else "file", found)


def _braced(site: GeneratorSite, place: Place, address: str, word: str, rest: str) -> Reference:
    """Return what Pelican's `{static}`, `{attach}`, `{filename}` and links to lists mean."""
    path, mark = _split(rest.strip())
    if word == "index":
        return Reference("site", _based(site, "/", True))
    if word in ("author", "category", "tag"):
        return Reference("site", _based(site, f"/{word}/{pelican_slug(path)}.html", True))
    full = posixpath.normpath(_file(site, place, path))
    if word == "filename" and full.lower().endswith(_TEXTS):
        found = _below_store(site, full)
        return Reference("relative", rest) if found is None else Reference("article", found, mark)
    if word == "attach" and address:
        return Reference("site", _joined(site, address, posixpath.basename(full)))
    root = place.root.path if place.root else ""
    inner = full[len(root) :] if root and full.startswith(f"{root}/") else f"/{full}"
    return Reference("site", _based(site, inner, True)) if not inner.startswith("/..") else Reference("relative", rest)
