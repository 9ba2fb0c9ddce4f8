"""Read astro.config.*, src/content.config.* and the routes in src/pages: address, languages, collections, their routes."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..kinds import ContentRoot, Defaults, GeneratorSite, SiteLanguage
from .code_files import CODE_SUFFIXES, CodeFiles
from .javascript.expressions import result_of
from .literals import Call, Unknown, Value, lookup, text_of, texts_of
from .site_values import base_path, below, site_address

#: Collections of articles, and folders of routes to them.
_BLOGS = ("blog", "blogs", "post", "posts", "_posts", "article", "articles", "news", "writing", "journal")
#: A page for each entry of a collection: `[...slug].astro`, `[slug]/index.astro`.
_DYNAMIC = re.compile(r"^(.*?)/?\[(?:\.\.\.)?(?!lang|locale|page)\w+\](?:/index)?\.astro$", re.IGNORECASE)
_OF_LANGUAGE = re.compile(r"\[(?:\.\.\.)?(?:lang|locale|language)\w*\]", re.IGNORECASE)
_ASKED = re.compile(r"""getCollection\s*(?:<[^<>()]{0,100}>)?\(\s*["']([\w-]+)["']""")
#: Header fields of which a page makes the addresses of entries.
_NAMED = re.compile(r"\.data\.(permalink)\b")
_TEXTS = (".md", ".mdx", ".markdown")


@dataclass(frozen=True, slots=True)
class _Collection:
    """A collection: its folder below the root, and the globs of its loader."""

    name: str
    folder: str
    patterns: tuple[str, ...] = ()
    named: bool = False  # code makes the ids of its entries


def read_astro(root: str) -> GeneratorSite:
    """Return what the configuration of Astro in a folder says."""
    files = CodeFiles(root)
    path = files.first("astro.config", suffixes=CODE_SUFFIXES)
    module = files.module(path)
    config = result_of(module.export()) if module else None
    source = below("", text_of(lookup(config, "srcDir")) or "src")
    base = site_address(lookup(config, "site"), lookup(config, "base"))
    languages = tuple(_languages(config))
    named = list(_named_values(files, source))
    collections = list(_collections(files, source))
    routes = list(_routes(files, source))
    if "@astrojs/starlight" in (files.read(path) or ""):  # its pages stand at the root of the site
        routes.append(("", frozenset({"docs"})))
    roots = [root for one in collections for root in _roots_of(files, one, collections, routes, languages)]
    pages = [ContentRoot(below(source, "pages"), "page")]
    for name in _BLOGS:  # articles that are pages themselves
        if any(path.endswith(_TEXTS) for path in files.walk(below(source, f"pages/{name}"), 1)):
            pages.append(ContentRoot(below(source, f"pages/{name}"), prefix=name, collection=name))
    slash = text_of(lookup(config, "trailingSlash"))
    author = next((name for key, name in named if key == "author"), "")
    return GeneratorSite(
        "astro",
        root=root,
        base_url=base
        or next((found for key, url in named if key == "url" and (found := site_address(url, lookup(config, "base")))), ""),
        base_path=base_path(lookup(config, "site"), lookup(config, "base")),
        language=_default_language(config) or next((code for key, code in named if key == "language"), ""),
        languages=languages,
        roots=(*roots, *pages),
        ugly=lookup(config, "build", "format") == "file",
        trailing_slash={"always": True, "never": False}.get(slash),
        defaults=(Defaults("", "", (("author", author),)),) if author else (),
        exclude=tuple(_excluded(collections)),
        fields=(("address", ("permalink",)),) if any(".permalink" in asked for _, asked in routes) else (),
        static=(below("", text_of(lookup(config, "publicDir")) or "public"),),
        missing=tuple(_missing(config, base, [one for one in collections if one.named or not routes])),
        sources=tuple(files.sources),
        faults=tuple(files.faults),
    )


def _missing(config: Value, base: str, hidden: list[_Collection]) -> Iterator[str]:
    """Yield the keys of site.yaml that code hides; `hidden` are the collections whose addresses it makes."""
    if not base and not isinstance(lookup(config, "site"), str):
        yield "store.site"
    if hidden:
        yield "store.permalink"


# -- the site -----------------------------------------------------------------


def _default_language(config: Value) -> str:
    return text_of(lookup(config, "i18n", "defaultLocale"))


def _languages(config: Value) -> Iterator[SiteLanguage]:
    """Yield the languages of `i18n`, with what their addresses begin with."""
    default = _default_language(config)
    always = lookup(config, "i18n", "routing", "prefixDefaultLocale") is True
    locales = lookup(config, "i18n", "locales")
    for one in locales[:100] if isinstance(locales, list) else ():
        path = text_of(one) or text_of(lookup(one, "path"))
        code = text_of(one) or next(iter(texts_of(lookup(one, "codes"))), path)
        if path:
            yield SiteLanguage(code, "", "" if path == default and not always else path)


def _named_values(files: CodeFiles, source: str) -> Iterator[tuple[str, str]]:
    """Yield url, language and author from the file of constants that themes have: in `SITE`, `siteConfig` or by themselves."""
    stems = (
        below(source, name) for name in ("consts", "constants", "config", "site.config", "siteConfig", "config/site", "site")
    )
    module = files.module(files.first(*stems, suffixes=CODE_SUFFIXES))
    exports = module.exports() if module else {}
    values = exports if isinstance(exports, dict) else {}
    inner = [one for one in values.values() if isinstance(one, dict)]
    for mapping in (*inner, *(one["site"] for one in inner if isinstance(one.get("site"), dict)), values):
        for key, value in mapping.items():
            name = key.lower().removeprefix("site_")
            text = text_of(value) or (text_of(lookup(value, "name")) if name == "author" else "")
            wanted = {
                "website": "url",
                "url": "url",
                "site": "url",
                "lang": "language",
                "locale": "language",
                "author": "author",
            }
            if text and name in wanted:
                yield wanted[name], text


# -- collections ------------------------------------------------------------------


def _collections(files: CodeFiles, source: str) -> Iterator[_Collection]:
    """Yield the collections that are configured, and the folders of `content` where none has a loader of its own."""
    path = files.first(below(source, "content.config"), below(source, "content/config"), suffixes=CODE_SUFFIXES)
    module = files.module(path) if path else None
    found = result_of(module.export("collections")) if module else None
    named = {name: value for name, value in found.items() if name != "..."} if isinstance(found, dict) else {}
    old = {name: _Collection(name, below(source, f"content/{name}")) for name in files.folders(below(source, "content"))}
    for name, value in list(named.items())[:100]:
        loader = lookup(value.arguments[0], "loader") if isinstance(value, Call) and value.arguments else None
        one = _loaded(name, loader)
        if one:
            yield one
        elif (name in old and not isinstance(loader, Unknown)) or name in old:
            yield old[name]
    for name, one in old.items():
        if name not in named and not isinstance(found, dict):
            yield one


def _loaded(name: str, loader: Value) -> _Collection | None:
    """Return the collection of `glob({ base, pattern })`, with the globs below its folder."""
    if not isinstance(loader, Call) or not loader.arguments or not isinstance(loader.arguments[0], dict):
        return None
    base = lookup(loader.arguments[0], "base")
    if base is not None and not isinstance(base, str):
        return None
    patterns = texts_of(lookup(loader.arguments[0], "pattern"))
    folder = below("", base or "")
    if not folder and patterns:  # the folder is in the pattern
        fixed = re.match(r"^(?:[^*?\[\]{}!]*/)?", patterns[0].removeprefix("./"))
        folder = below("", fixed[0] if fixed else "")
        patterns = tuple(one.removeprefix("./").removeprefix(f"{folder}/") for one in patterns)
    named = lookup(loader.arguments[0], "generateId") is not None
    return _Collection(name, folder, patterns, named) if folder or patterns else None


def _excluded(collections: list[_Collection]) -> Iterator[str]:
    """Yield what a collection leaves out: by a pattern with `!`, or, without a loader, names with an underscore."""
    for one in collections:
        for pattern in one.patterns:
            if pattern.startswith("!"):
                yield f"/{below(one.folder, pattern[1:])}"
        if not one.patterns:
            yield f"/{one.folder}/**/_*"


# -- routes ---------------------------------------------------------------------------


def _routes(files: CodeFiles, source: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the folder of each page for entries of a collection (below `pages`), and the collections that it asks for.

    With them are the header fields that it reads addresses from, as `.permalink`.
    """
    pages = below(source, "pages")
    for path in files.walk(pages):
        inner = path[len(pages) + 1 :]
        if found := _DYNAMIC.match(inner):
            noted = len(files.sources)
            text = files.read(path) or ""
            del files.sources[noted:]  # a page is no configuration
            asked = frozenset(_ASKED.findall(text))
            yield found[1], asked | {f".{name}" for name in _NAMED.findall(text)} if asked else asked


def _route_of(one: _Collection, collections: list[_Collection], routes: list[tuple[str, frozenset[str]]]) -> list[str]:
    """Return the folders of the routes to a collection: by the collection asked for, by its name, or the only one of a blog."""
    plain = {name.rstrip("s") for name in (one.name, posixpath.basename(one.folder))}
    fixed = [(folder, posixpath.basename(_OF_LANGUAGE.sub("", folder)).rstrip("s"), asked) for folder, asked in routes]
    asking = [folder for folder, last, asked in fixed if one.name in asked and not _is_listing(folder)]
    named = [folder for folder, last, asked in fixed if last in plain]
    best = [folder for folder in asking if folder in named] or [folder for folder in named] or asking
    if not best and (one.name in _BLOGS or len(collections) == 1):
        blogs = {name.rstrip("s") for name in _BLOGS}
        best = [folder for folder, last, asked in fixed if last in blogs and not asked] or [
            folder for folder, last, asked in fixed if not _OF_LANGUAGE.sub("", folder).strip("/") and not asked
        ]
    return best


def _is_listing(folder: str) -> bool:
    """Return whether a route is one of tags, archives or pages of a list."""
    return any(
        part in ("tag", "tags", "category", "categories", "page", "archive", "archives", "og") for part in folder.split("/")
    )


def _roots_of(
    files: CodeFiles,
    one: _Collection,
    collections: list[_Collection],
    routes: list[tuple[str, frozenset[str]]],
    languages: tuple[SiteLanguage, ...],
) -> Iterator[ContentRoot]:
    """Yield the content roots of a collection: its folder, and the folders of languages in it."""
    positive = [pattern for pattern in one.patterns if not pattern.startswith("!")]
    pattern = positive[0].removeprefix("./") if len(positive) == 1 else "{" + ",".join(positive) + "}" if positive else ""
    found = _route_of(one, collections, routes)
    plain = next((folder for folder in found if "[" not in folder), None)
    prefix = plain if plain is not None else _OF_LANGUAGE.sub("", found[0]).strip("/") if found else one.name
    yield ContentRoot(one.folder, prefix=re.sub("/{2,}", "/", prefix), collection=one.name, pattern=pattern)
    by_language = any(_OF_LANGUAGE.search(folder) for folder in found)
    for language in languages:
        folder = next(
            (name for name in (language.prefix, language.code) if name and files.is_folder(f"{one.folder}/{name}")), ""
        )
        if folder:
            shown = language.prefix if plain is not None else folder
            parts = (shown, prefix) if by_language else (prefix, folder)
            yield ContentRoot(
                f"{one.folder}/{folder}", "article", language.code, "/".join(filter(None, parts)), one.name, pattern
            )
