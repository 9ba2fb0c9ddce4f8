"""What Hugo's configuration and section pages say about a site."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..headers.source import Value
from ..kinds import ContentRoot, Defaults, GeneratorSite, SiteLanguage
from .configurations import (
    SUFFIXES,
    Configuration,
    as_flag,
    as_texts,
    first_file,
    flattened,
    list_names,
    member,
    parse,
    read_text,
)
from .site_values import (
    author_default,
    base_path,
    clean_folder,
    language_tag,
    one_text,
    options_of,
    person_name,
    read_authors,
    site_address,
    truth_text,
)

#: The day that `:filename` takes from a name.
_FILENAME_DATE = r"(?:^|/)(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)(?:[-_ ]?(?P<rest>[^/]+))?$"
_HUGO_FILES = tuple(f"{name}{suffix}" for name in ("hugo", "config") for suffix in SUFFIXES)
#: Taxonomies whose terms are a facet here; a site may call the header field otherwise.
_FACETS = ("tag", "category", "author", "series", "translator")


def read_hugo(root: str) -> GeneratorSite:
    """Return what hugo.* or config.*, config/_default and config/production say, and the cascades of sections."""
    config = _hugo_configuration(root)
    languages = tuple(_hugo_languages(config))
    codes = [one.code for one in languages]
    code = config.text("defaultContentLanguage") or ("en" if "en" in codes else codes[0] if codes else "")
    roots = tuple(_hugo_roots(root, config, languages)) or (ContentRoot(""),)
    dates = config.texts("frontmatter", "date")
    main = as_texts(config.at("mainSections") or config.at("params", "mainSections"))
    ugly = config.at("uglyURLs")
    pages = tuple(_section_pages(root, roots))
    author = person_name(config.at("params", "author")) or person_name(config.at("author"))
    address = config.text("baseURL") or config.text("base_url")
    site = GeneratorSite(
        kind="hugo",
        root=root,
        base_url=site_address(address),
        base_path=base_path(address),
        timezone=config.text("timeZone"),
        language=code or language_tag(config.text("languageCode") or config.text("locale")),
        languages=languages if len(languages) > 1 else (),
        roots=roots,
        permalinks=tuple(_hugo_permalinks(config)),
        ugly=as_flag(ugly) or False,
        ugly_sections=tuple(key for key, value in ugly.items() if as_flag(value)) if isinstance(ugly, dict) else (),
        keep_case=config.flag("disablePathToLower") or False,
        future=config.flag("buildFuture"),
        drafts=config.flag("buildDrafts") or False,
        date_fields=dates,
        name_dates=(_FILENAME_DATE,) if ":filename" in dates else (),
        defaults=(*author_default(author), *_hugo_cascades(config, roots, pages)),
        authors=read_authors(root, "data"),
        exclude=tuple(_hugo_ignored(config)),
        static=config.texts("staticDir") or ("static",),
        fields=tuple(_hugo_fields(config)),
        options=options_of(
            title=config.text("title"),
            main_sections=",".join(main),
            top_level="" if main else _truth_of_top(root, roots),
            sections="\n".join(_sections(roots, (folder for folder, _ in pages))),
            default_in_subfolder=truth_text(config.flag("defaultContentLanguageInSubdir")),
            build_expired=truth_text(config.flag("buildExpired")),
        ),
        sources=config.sources,
        faults=config.faults,
    )
    return _as_zola(site) if config.text("base_url") and not config.text("baseURL") else site


def _hugo_configuration(root: str) -> Configuration:
    config = Configuration()
    if name := first_file(root, _HUGO_FILES):
        config = config.with_file(root, name)
    for folder in ("config/_default", "config/production"):
        for name in list_names(os.path.join(root, folder), 100):
            base, _, suffix = name.rpartition(".")
            if f".{suffix}" not in SUFFIXES:
                continue
            # `params.toml` holds the members of `params`, `params.en.toml` those of a language's.
            key, _, language = base.partition(".")
            names: tuple[str, ...] = () if key in ("config", "hugo") else (key,)
            names = ("languages", language, *(name for name in names if name != "languages")) if language else names
            config = config.with_file(root, f"{folder}/{name}", *names)
    return config


def _hugo_languages(config: Configuration) -> Iterator[SiteLanguage]:
    default = config.text("defaultContentLanguage")
    in_subfolder = config.flag("defaultContentLanguageInSubdir")
    disabled = config.texts("disableLanguages")
    found = [(code, value) for code, value in config.table("languages").items() if isinstance(value, dict)]
    found.sort(key=lambda one: _weight(member(one[1], "weight")))
    default = default or (found[0][0] if found and "en" not in dict(found) else "en")
    for code, value in found:
        if code in disabled or as_flag(member(value, "disabled")):
            continue
        said = member(value, "languageCode", "locale")
        yield SiteLanguage(
            code,
            folder=clean_folder(one_text(member(value, "contentDir"))) or "",
            prefix="" if code.lower() == default.lower() and not in_subfolder else code.lower(),
            timezone=one_text(member(value, "timeZone")),
            tag=language_tag(one_text(said)) if said else language_tag(code),
        )


def _weight(value: Value) -> int:
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?\d{1,6}", value) else 0


def _hugo_roots(root: str, config: Configuration, languages: Iterable[SiteLanguage]) -> Iterator[ContentRoot]:
    mounts = member(config.at("module"), "mounts")
    mounted = False
    for mount in mounts if isinstance(mounts, list) else ():
        target = clean_folder(one_text(member(mount, "target"))) or ""
        source = clean_folder(one_text(member(mount, "source")))
        if source is not None and (target == "content" or target.startswith("content/")):
            mounted = True
            inner = target[len("content/") :]
            language = one_text(member(mount, "lang"))
            yield ContentRoot(source, language=language, prefix=inner, collection=inner.partition("/")[0])
    if mounted:
        return
    folders = {one.folder: one.code for one in languages if one.folder}
    yield from (ContentRoot(folder, language=code) for folder, code in folders.items())
    folder = clean_folder(config.text("contentDir") or "content")
    if folders and all(one.folder for one in languages):
        return
    if folder is not None and folder not in folders and os.path.isdir(os.path.join(root, folder)):
        yield ContentRoot(folder)


def _hugo_permalinks(config: Configuration) -> Iterator[tuple[str, str]]:
    """Yield sections and patterns of the site, and those of its languages with their code and a colon in front."""
    yield from _patterns(config.at("permalinks"))
    for code, value in config.table("languages").items():
        yield from ((f"{code}:{section}", pattern) for section, pattern in _patterns(member(value, "permalinks")))


def _patterns(value: Value) -> Iterator[tuple[str, str]]:
    """Yield sections and patterns: of `posts: pattern`, `page: {posts: pattern}`, or a list of patterns with their targets."""
    for key, one in value.items() if isinstance(value, dict) else ():
        if isinstance(one, str) and one:
            yield key, one
        elif isinstance(one, dict) and key.lower() == "page":
            yield from ((section, text) for section, text in one.items() if isinstance(text, str) and text)
    found: dict[str, str] = {}
    for one in value[:200] if isinstance(value, list) else ():
        target, pattern = member(one, "target"), one_text(member(one, "pattern"))
        path = re.fullmatch(r"\{?/?(?:([^{},*]+)/)?\*\*?\}?", one_text(member(target, "path")) or "**")
        if path and pattern and one_text(member(target, "kind")).lower() in ("", "page"):
            codes = as_texts(member(member(member(target, "sites"), "matrix"), "languages")) or ("",)
            for code in codes:
                found.setdefault(f"{code}:{path[1] or ''}" if code else path[1] or "", pattern)  # the first one counts
    yield from found.items()


def _hugo_fields(config: Configuration) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the header fields that the configuration names: taxonomies, and those of dates."""
    for singular, plural in config.table("taxonomies").items():
        if isinstance(plural, str) and plural and singular.lower() in _FACETS:
            yield singular.lower(), (plural, singular)
    for wanted, key in (("updated", "lastmod"), ("publish", "publishDate"), ("expiry", "expiryDate")):
        if names := tuple(one for one in config.texts("frontmatter", key) if not one.startswith(":")):
            yield wanted, names


def _hugo_ignored(config: Configuration) -> Iterator[str]:
    """Yield globs for `ignoreFiles`, which are patterns of Go: as far as they are literal."""
    for pattern in config.texts("ignoreFiles"):
        text = re.sub(r"\\([^A-Za-z0-9])", r"\1", pattern.removeprefix("^").removeprefix(".*"))
        end = "" if text.endswith("$") else "*"
        text = text.removesuffix("$").removesuffix(".*").strip("/")
        if text and not re.search(r"[*?\[\](){}|+\\]", text):
            yield text if pattern.startswith("^") and "/" in text else f"**/*{text}{end}" if "/" in text else f"*{text}{end}"
    if folder := clean_folder(config.text("publishDir")):
        yield f"/{folder}"


def _truth_of_top(root: str, roots: Iterable[ContentRoot]) -> str:
    """Return "true" where more articles lie in no section than in any: then they are articles, too."""
    for one in roots:
        names = list_names(os.path.join(root, one.path))
        texts = sum(name.lower().endswith((".md", ".markdown")) and not name.startswith(("_", "README")) for name in names)
        largest = 0
        for name in [name for name in names if name.endswith("/")][:500]:
            inside = list_names(os.path.join(root, one.path, name))
            bundle = any(file.startswith("index.") for file in inside)
            texts += bundle
            largest = largest if bundle else max(largest, len(inside))
        if texts >= 5 and texts > largest:
            return "true"
    return ""


def _as_zola(site: GeneratorSite) -> GeneratorSite:
    """Return the site as Zola has it, a cousin: `path` is the address, and a day is no part of a name."""
    fields = (
        ("address", ("path",)),
        ("tag", ("taxonomies.tags",)),
        ("category", ("taxonomies.categories",)),
        ("author", ("taxonomies.authors",)),
    )
    permalinks = (("", "/:sections/:name/"),)
    options = (*(one for one in site.options if one[0] != "main_sections"), ("top_level", "true"))
    return replace(site, fields=fields, permalinks=permalinks, name_dates=(_FILENAME_DATE,), options=options)


_MAX_FOLDERS, _MAX_SECTIONS, _MAX_HEADER = 200, 60, 64 * 1024


def _hugo_cascades(config: Configuration, roots: Iterable[ContentRoot], pages: Iterable[tuple[str, str]]) -> Iterator[Defaults]:
    """Yield what the configuration and the section pages hand down to the pages below them, the outer ones first."""
    for one in roots:
        yield from _cascade(config.at("cascade"), one.path)
    for folder, text in pages:
        if "cascade" in text and isinstance(fields := _header(text), dict):
            yield from _cascade(member(fields, "cascade"), folder)


def _sections(roots: Iterable[ContentRoot], folders: Iterable[str]) -> Iterator[str]:
    """Yield the sections that have a page, below their content roots."""
    paths = [f"{one.path}/" if one.path else "" for one in roots]
    for folder in folders:
        inner = next((folder[len(path) :] for path in sorted(paths, key=len, reverse=True) if folder.startswith(path)), "")
        if inner:
            yield inner


def _section_pages(root: str, roots: Iterable[ContentRoot]) -> Iterator[tuple[str, str]]:
    """Yield folders with a section page and its text: the outer ones first, a bounded number."""
    folders = [one.path for one in roots]
    seen = sections = 0
    while folders and seen < _MAX_FOLDERS and sections < _MAX_SECTIONS:
        folder = folders.pop(0)
        seen += 1
        for name in list_names(os.path.join(root, folder)):
            path = f"{folder}/{name}" if folder else name
            if name.endswith("/"):
                folders.append(path[:-1])
            elif name.startswith("_index.") and (text := read_text(os.path.join(root, path), _MAX_HEADER)):
                sections += 1
                yield folder, text


def _header(text: str) -> dict[str, Value] | str:
    """Return the header of a section page, or why it cannot be read."""
    text = text.lstrip()
    for fence, suffix in (("---", ".yaml"), ("+++", ".toml")):
        if text.startswith(fence):
            return parse(text[3:].partition(f"\n{fence}")[0], suffix)
    return "no header"


def _cascade(value: Value, folder: str) -> Iterator[Defaults]:
    """Yield the values of a cascade: a mapping, or a list of them, each with a target's path."""
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, dict):
            continue
        target = member(one, "target", "_target")
        path = one_text(member(target, "path")).strip("/")
        path = path.removeprefix("{").removesuffix("}") if "," not in path else path
        scope = f"{folder}/{path}".strip("/") if path and not path.startswith("**") else folder
        if isinstance(target, dict) and not path and target.keys() - {"path"}:
            continue  # for a kind of page, a language or an environment
        values = {key: inner for key, inner in one.items() if key.lower() not in ("target", "_target")}
        params = member(values, "params")
        if isinstance(params, dict):
            values = {**{key: inner for key, inner in values.items() if key.lower() != "params"}, **params}
        if found := tuple(flattened(values)):
            yield Defaults(scope, "", found)
