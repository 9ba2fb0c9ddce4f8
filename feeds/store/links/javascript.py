"""Make addresses as Docusaurus, Astro, Eleventy, VuePress and VitePress do: mostly by the path of the file. Pure."""

from __future__ import annotations

import posixpath
import re

from .slugs import github_slug, rollup_path
from .url_patterns import Subject, Tokens, expand

_DOCUSAURUS_DATE = re.compile(r"^(?P<folder>.*)(?P<date>\d{4}[-/]\d{1,2}[-/]\d{1,2})[-/]?(?P<text>[^\n]*)$")


def _slashed(one: Subject, path: str) -> str:
    """Return a path with or without a slash at its end as the site has it."""
    if one.site.trailing_slash is None or path == "/":
        return path
    return path.rstrip("/") + ("/" if one.site.trailing_slash else "")


def _joined(*parts: str) -> str:
    return "/" + "/".join(filter(None, (part.strip("/") for part in parts)))


def docusaurus_path(one: Subject) -> str:
    """Return the path of a post, or of a page of documentation, of Docusaurus."""
    if pattern := one.pattern(one.place.section):
        return _slashed(one, expand(one, pattern))
    slug = one.fields.slug
    if not slug and (dated := _DOCUSAURUS_DATE.match(one.place.stem[:500])) and one.root.role == "article":
        slug = f"{dated['date'].replace('-', '/')}/{dated['folder']}{dated['text']}"
    stem = _documentation(one, slug) if one.root.collection == "docs" else slug or one.place.stem
    path = posixpath.normpath(_joined(one.root.prefix, stem))
    return _slashed(one, path + "/" if slug.endswith("/") and path != "/" else path)


_NUMBERED = re.compile(r"^\d+\s*[-_.]+\s*(?=[^-_.\s])(?!\d+[-_.])")


def _documentation(one: Subject, slug: str) -> str:
    """Return the path of a page of documentation: without numbers in front of names; one that stands for its folder is that."""
    *folders, last = (_NUMBERED.sub("", part) for part in one.place.stem.split("/"))
    if slug:
        return slug if slug.startswith("/") else "/".join((*folders, slug))
    return "/".join(folders if last.casefold() in ("readme", *folders[-1:]) else (*folders, last))


def astro_path(one: Subject) -> str:
    """Return the path of an entry of a collection of Astro."""
    own = one.fields.address
    if own.startswith("/"):
        return _slashed(one, own)
    if pattern := one.pattern(one.root.collection, one.place.section):
        return _slashed(one, expand(one, pattern))
    made = one.place.stem if one.root.role == "page" else one.fields.slug or _astro_id(one)
    path = _joined(one.root.prefix, made)
    if one.site.ugly and path != "/":
        return f"{path}.html"
    return path if one.site.trailing_slash is False or path == "/" else path + "/"


def _astro_id(one: Subject) -> str:
    return re.sub("(?:^|/)index$", "", "/".join(map(github_slug, one.place.stem.split("/"))))


ASTRO: Tokens = {"id": _astro_id, "slug": lambda one: one.fields.slug or _astro_id(one)}


def eleventy_path(one: Subject) -> str:
    """Return the path of a template of Eleventy."""
    own = one.fields.address or one.pattern(one.root.collection, one.place.section)
    if own:
        return re.sub(r"(^|/)index\.html$", r"\1", expand(one, own) if ":" in own or "{" in own else own)
    *folders, last = one.place.stem.split("/")
    if not folders or folders[-1] != last:
        folders.append("" if one.place.stem == "index" else last)
    path = _joined(one.root.prefix, *folders)
    return path if path == "/" else path + "/"


ELEVENTY: Tokens = {"slug": lambda one: one.fields.slug or re.sub(r"^\d{4}-\d\d-\d\d-", "", one.tail)}


def vue_path(one: Subject) -> str:
    """Return the path of a page of VuePress or VitePress."""
    own = one.fields.address if one.kind.name == "vuepress" else ""
    if own or (pattern := one.pattern(one.place.section)):
        return expand(one, own or pattern)
    path = _rewritten(one)
    *folders, last = path.split("/")
    if last.lower() in ("index", "") or (last.lower() == "readme" and one.kind.name == "vuepress"):
        return "/".join(("", *folders, ""))
    if one.site.option("slugs") == "vuepress":
        path = rollup_path(path)
    return f"/{path}" if one.site.option("cleanUrls").lower() == "true" else f"/{path}.html"


_PARAMETER = r":(\w+)(?:\([^()]*\))?[*+]?"


def _rewritten(one: Subject) -> str:
    """Return the path below the root without suffix, after VitePress's `rewrites`: lines of two paths with `:name` in them."""
    below = one.below_root
    for line in one.site.option("rewrites").split("\n")[:100]:
        source, _arrow, target = line[:500].partition(" ")
        parts = re.split(_PARAMETER, source)
        names = parts[1::2]
        found = re.fullmatch("(.+?)".join(map(re.escape, parts[::2])), below) if source and len(names) <= 4 else None
        if found:
            values = dict(zip(names, found.groups(), strict=False))
            below = re.sub(_PARAMETER, lambda match, values=values: values.get(match[1], ""), target.strip())  # type: ignore[misc]
            break
    return _joined(one.root.prefix, re.sub(r"\.[^./]*$", "", below)).strip("/")


VUE: Tokens = {
    "slug": lambda one: one.place.name or one.tail,
    "raw": lambda one: one.tail,
    "regular": lambda one: _rewritten(one) + ".html",
}
