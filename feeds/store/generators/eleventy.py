"""Read .eleventy.js or eleventy.config.*, and the data of folders and of the site: collections, what files inherit, address."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..frontmatter import BadFrontMatter, parse_yaml
from ..kinds import ContentRoot, Defaults, GeneratorSite
from .code_files import CODE_SUFFIXES, CodeFiles
from .javascript.expressions import Function, Module, result_of
from .literals import Unknown, Value, lookup, mappings_in, text_of, texts_of
from .site_values import base_path, below, site_address

#: Tags of folders that make collections of articles; without one of them, those of all folders do.
_BLOGS = ("blog", "post", "posts", "article", "articles", "news", "writing", "journal", "essay", "essays", "entries")
_DATA = ("site", "metadata", "meta", "config", "settings", "global")
_DATA_SUFFIXES = (".json", *CODE_SUFFIXES, ".yaml", ".yml")
_OF_FOLDER = re.compile(r"^(.+?)(?:\.11tydata)?\.json$|^(.+)\.11tydata\.[cm]?js$")
_HEADER = re.compile(r"---[ \t]*\n(.*?\n)---[ \t]*(?:\n|$)", re.DOTALL)
_MAX_GLOBS = 50


def read_eleventy(root: str) -> GeneratorSite:
    """Return what the configuration of Eleventy in a folder says."""
    files = CodeFiles(root)
    module = files.module(files.first(".eleventy", "eleventy.config", suffixes=CODE_SUFFIXES))
    config = _configuration(module)
    names = lookup(config, "dir")
    source = below("", text_of(lookup(names, "input")))
    data = below(source, text_of(lookup(names, "data")) or "_data")
    built = below("", text_of(lookup(names, "output")) or "_site")
    inner = [
        below(source, text_of(lookup(names, name)) or usual) for name, usual in (("includes", "_includes"), ("layouts", ""))
    ]
    called = list(_calls(module))
    layouts = _Layouts(files, inner, called)
    defaults = list(_folder_data(files, source, layouts))
    roots = [ContentRoot(source), *_collections(source, defaults, called)]
    url, language, author = _site_data(files, data, called)
    prefix = text_of(lookup(config, "pathPrefix"))
    base = site_address(url, prefix)
    inherited = (Defaults("", "", (("author", author),)),) if author else ()
    excluded = [f"/{folder}/**" for folder in (data, built, *inner) if folder and folder != source]
    return GeneratorSite(
        "eleventy",
        root=root,
        base_url=base,
        base_path=base_path("", prefix),
        language=language,
        roots=tuple({root.path: root for root in roots}.values()),
        defaults=(*inherited, *defaults),
        exclude=(*excluded, *_ignored(files, source, called)),
        static=_copied(source, called),
        missing=(*(() if base else ("store.site",)), *_hidden_permalinks(files, source)),
        sources=tuple(files.sources),
        faults=tuple(files.faults),
    )


# -- the configuration -------------------------------------------------------------


def _configuration(module: Module | None) -> Value:
    """Return what is exported as `config`, or what the function that is exported returns."""
    if module is None:
        return None
    config = result_of(module.export("config"))
    return config if isinstance(config, dict) else result_of(module.export())


def _calls(module: Module | None) -> Iterator[tuple[str, str, tuple[Value, ...]]]:
    """Yield name, first text and arguments of all calls with a literal as an argument, wherever they are in the code."""
    for name, arguments in module.calls() if module else ():
        yield name, next((one for one in arguments if isinstance(one, str)), ""), arguments


def _collections(
    source: str, defaults: list[Defaults], called: list[tuple[str, str, tuple[Value, ...]]]
) -> Iterator[ContentRoot]:
    """Yield the folders that are collections: by the tags of their data, or by a glob that the code gives."""
    tagged = [
        (one.scope, tag) for one in defaults for key, value in one.values if key == "tags" for tag in value.split("\n")[:1]
    ]
    blogs = [(scope, tag) for scope, tag in tagged if tag.lower() in _BLOGS] or tagged
    for scope, tag in blogs:
        if scope != source and not posixpath.basename(scope).count("*"):
            yield ContentRoot(scope, prefix=_prefix(source, scope), collection=tag)
    collection = ""
    for name, first, arguments in called:
        if name == "addCollection":
            collection = first
        elif name == "getFilteredByGlob" and arguments:
            for glob in texts_of(arguments[0])[:_MAX_GLOBS]:
                folder = below("", re.sub(r"/?[^/]*[*{].*$", "", glob))
                if collection.lower() in _BLOGS and folder != source:
                    yield ContentRoot(folder, prefix=_prefix(source, folder), collection=collection)


def _prefix(source: str, folder: str) -> str:
    return folder[len(source) :].strip("/") if folder.startswith(source) else folder


def _copied(source: str, called: list[tuple[str, str, tuple[Value, ...]]]) -> tuple[str, ...]:
    """Return the folders whose files stand at the root of the site: those that the code says, the root itself, the input."""
    found: list[str] = []
    for name, first, arguments in called:
        if name == "addPassthroughCopy" and arguments and isinstance(arguments[0], dict):
            for folder, target in arguments[0].items():
                if isinstance(target, str) and not below("", target) and "*" not in folder:
                    found.append(below("", folder))
        elif name == "addPassthroughCopy" and first and not f"{below('', first)}/".startswith(f"{source}/"):
            found.append("")
    return tuple(dict.fromkeys((*found, source)))


def _ignored(files: CodeFiles, source: str, called: list[tuple[str, str, tuple[Value, ...]]]) -> Iterator[str]:
    """Yield the globs of .eleventyignore, of .gitignore unless the code leaves it out, and of `ignores.add`."""
    with_git = not any(name == "setUseGitIgnore" and arguments[:1] == (False,) for name, _, arguments in called)
    paths = dict.fromkeys((".eleventyignore", below(source, ".eleventyignore"), *((".gitignore",) if with_git else ())))
    for path in paths:
        folder = posixpath.dirname(path)
        for line in (files.read(path) or "").splitlines()[:1000]:
            pattern = re.sub(r"\\(.)", r"\1", line.strip())
            if pattern and not pattern.startswith(("#", "!")):
                inside = "/" in pattern.rstrip("/")
                yield (
                    f"/{below(folder, pattern)}"
                    if inside
                    else f"/{folder}/**/{pattern.rstrip('/')}"
                    if folder
                    else pattern.rstrip("/")
                )
    for name, first, _ in called:
        if name == "ignores.add" and first:
            yield f"/{below('', first)}"


# -- data ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Layouts:
    """The layouts of a site: the folders that they are in, and the calls that give them other names."""

    files: CodeFiles
    folders: list[str]
    called: list[tuple[str, str, tuple[Value, ...]]]

    def data(self, name: str, depth: int = 3) -> dict[str, Value]:
        """Return what the header of a layout, and those of its own layouts, give to files."""
        aliases = {one[0]: one[1] for call, _, one in self.called if call == "addLayoutAlias" and len(one) == 2}
        name = text_of(aliases.get(name)) or name
        stems = [below(folder, name) for folder in self.folders if folder]
        path = self.files.first(*stems, suffixes=("", ".njk", ".liquid", ".html")) if name and depth else ""
        match = _HEADER.match(self.files.read(path) or "") if path else None
        try:
            own = dict(parse_yaml(match[1], first_line=2)) if match else {}
        except BadFrontMatter:  # what is wrong in a layout is its generator's matter
            own = {}
        above = self.data(text_of(own.get("layout")), depth - 1) if own else {}
        return {**above, **own}


def _folder_data(files: CodeFiles, source: str, layouts: _Layouts) -> Iterator[Defaults]:
    """Yield what the data file of a folder (`blog/blog.json`) or of one file gives to the files: texts, and lists of them."""
    for path in files.walk(source):
        folder, _, name = path.rpartition("/")
        found = _OF_FOLDER.match(name)
        stem = (found[1] or found[2]) if found else ""
        of_folder = stem == (posixpath.basename(folder) or posixpath.basename(files.root)) or (stem == "index" and not folder)
        if not stem or not (of_folder or ".11tydata." in name):
            continue
        if re.search(r"(?:^|/)_(?!posts(?:/|$))", folder):  # data and includes
            continue
        value = files.value(path)
        if isinstance(value, dict) and (layout := layouts.data(text_of(value.get("layout")))):
            tags = [*texts_of(layout.get("tags")), *texts_of(value.get("tags"))]
            value = {**layout, **value, **({"tags": list(tags)} if tags else {})}
        texts = tuple(_texts(value)) if isinstance(value, dict) else ()
        if texts:
            yield Defaults(folder if of_folder else f"{folder}/{stem}.*".lstrip("/"), "", texts)


def _texts(values: dict[str, Value]) -> Iterator[tuple[str, str]]:
    for key, value in list(values.items())[:100]:
        if isinstance(value, bool):
            yield key, str(value).lower()
        elif isinstance(value, (str, int, float)):
            yield key, str(value)
        elif texts := texts_of(value):
            yield key, "\n".join(texts)
        elif key == "author" and (name := text_of(lookup(value, "name"))):
            yield key, name


def _hidden_permalinks(files: CodeFiles, source: str) -> tuple[str, ...]:
    """Return the key of site.yaml that is missing where the data of a folder makes addresses by code."""
    for path in list(files.sources):
        if ".11tydata." in path:
            value = files.value(path)
            if isinstance(value, dict) and isinstance(value.get("permalink"), (Unknown, Function)):
                return ("store.permalink",)
    return ()


def _site_data(files: CodeFiles, data: str, called: list[tuple[str, str, tuple[Value, ...]]]) -> tuple[str, str, str]:
    """Return address, language and author of the site, from its data or from what plugins are told; "" for what is unknown."""
    found = [files.value(path) for stem in _DATA if (path := files.first(f"{data}/{stem}", suffixes=_DATA_SUFFIXES))]
    found += [one for name, _, arguments in called if name == "addPlugin" for one in mappings_in(list(arguments), 1000)]
    mappings = [
        one for value in found for one in (value, lookup(value, "site"), lookup(value, "metadata")) if isinstance(one, dict)
    ]
    urls = (one.get(key) for one in mappings for key in ("url", "baseUrl", "baseURL", "siteUrl", "base", "origin", "domain"))
    url = next((text_of(one) for one in urls if site_address(one)), "")
    languages = (text_of(one.get(key)) for one in mappings for key in ("language", "lang", "locale"))
    authors = (text_of(one.get("author")) or text_of(lookup(one.get("author"), "name")) for one in mappings)
    return url, next(filter(None, languages), ""), next(filter(None, authors), "")
