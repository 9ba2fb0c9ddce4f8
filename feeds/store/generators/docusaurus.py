"""Read docusaurus.config.*: the site's address, its languages, each blog and its authors, and where documentation is."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from ..kinds import ContentRoot, GeneratorSite, SiteLanguage
from .code_files import CODE_SUFFIXES, CodeFiles
from .javascript.expressions import result_of
from .literals import Unknown, Value, lookup, text_of, texts_of, titled
from .site_values import base_path, below, site_address

_MAX_PLUGINS = 50


@dataclass(frozen=True, slots=True)
class _Content:
    """A plugin that makes pages of a folder: "blog" or "docs", its id, and its options."""

    name: str
    id: str
    options: dict[str, Value]

    @property
    def folder(self) -> str:
        return text_of(lookup(self.options, "path")) or self.name

    @property
    def route(self) -> str:
        found = lookup(self.options, "routeBasePath")
        return (text_of(found) if isinstance(found, str) else self.name).strip("/")

    @property
    def translated(self) -> str:
        """The name of its folder below the folder of a language."""
        return f"docusaurus-plugin-content-{self.name}" + ("" if self.id == "default" else f"-{self.id}")


def read_docusaurus(root: str) -> GeneratorSite:
    """Return what the configuration of Docusaurus in a folder says."""
    files = CodeFiles(root)
    module = files.module(files.first("docusaurus.config", suffixes=CODE_SUFFIXES))
    config = result_of(module.export()) if module else None
    languages = _languages(config)
    contents = _contents(config)
    roots = tuple(_roots(files, config, contents, languages))
    base = site_address(lookup(config, "url"), lookup(config, "baseUrl"))
    slash = lookup(config, "trailingSlash")
    static = lookup(config, "staticDirectories")
    return GeneratorSite(
        "docusaurus",
        root=root,
        base_url=base,
        base_path=base_path(lookup(config, "url"), lookup(config, "baseUrl")),
        language=languages[0].code,
        languages=languages,
        roots=roots,
        trailing_slash=slash if isinstance(slash, bool) else None,
        authors=tuple(_named_in(files, contents, roots, ("authorsMapPath", "authors.yml"), "name").items()),
        tags=tuple(_named_in(files, contents, roots, ("tags", "tags.yml"), "label").items()),
        include=(),
        exclude=tuple(_excluded(contents)),
        options=titled(config),
        static=tuple(below("", one) for one in texts_of(static)) if isinstance(static, list) else ("static",),
        missing=() if base else ("store.site",),
        sources=tuple(files.sources),
        faults=tuple(files.faults),
    )


def _languages(config: Value) -> tuple[SiteLanguage, ...]:
    """Return the languages, the default one first, with what their addresses begin with."""
    default = text_of(lookup(config, "i18n", "defaultLocale")) or "en"
    codes = dict.fromkeys((default, *texts_of(lookup(config, "i18n", "locales"))))
    base = text_of(lookup(config, "baseUrl")).strip("/")
    found = []
    for code in list(codes)[:100]:
        own = lookup(config, "i18n", "localeConfigs", code)
        at = lookup(own, "baseUrl")
        prefix = at.strip("/").removeprefix(base).strip("/") if isinstance(at, str) else "" if code == default else code
        found.append(SiteLanguage(code, "", prefix, tag=text_of(lookup(own, "htmlLang"))))
    return tuple(found)


def _contents(config: Value) -> list[_Content]:
    """Return the blogs and documentations of presets and plugins. One whose options are hidden has the usual ones."""
    found: list[_Content] = []
    presets = lookup(config, "presets")
    for name, options in _named(presets):
        if name in ("classic", "@docusaurus/preset-classic"):
            for part in ("blog", "docs"):
                own = lookup(options, part)
                if own is not False:
                    found.append(_Content(part, "default", own if isinstance(own, dict) else {}))
    for name, options in _named(lookup(config, "plugins")):
        part = next((part for part in ("blog", "docs") if name.endswith(f"content-{part}")), "")
        if part and isinstance(options, dict):
            found.append(_Content(part, text_of(lookup(options, "id")) or "default", options))
    if isinstance(presets, Unknown) or config is None or isinstance(config, Unknown):
        found += [_Content(part, "default", {}) for part in ("blog", "docs")]
    return found


def _named(plugins: Value) -> Iterator[tuple[str, Value]]:
    """Yield names and options of a list of plugins: "name", or ["name", {...}]; the name of a module ends like it."""
    for one in plugins[:_MAX_PLUGINS] if isinstance(plugins, list) else ():
        parts = one if isinstance(one, list) else [one]
        name = parts[0] if parts else None
        if not isinstance(name, str):  # require.resolve("...")
            name = next(iter(texts_of(list(getattr(name, "arguments", ())))), "")
        yield name, result_of(parts[1]) if len(parts) > 1 else {}


def _roots(
    files: CodeFiles, config: Value, contents: list[_Content], languages: tuple[SiteLanguage, ...]
) -> Iterator[ContentRoot]:
    """Yield the folders of each blog and documentation, in each language; pages are below `src/pages`."""
    folder = text_of(lookup(config, "i18n", "path")) or "i18n"
    for one in contents:
        role = "article" if one.name == "blog" else "page"
        if not one.folder.startswith("..") or role == "article":
            yield ContentRoot(below("", one.folder), role, "", one.route, one.id if role == "article" else "docs")
        for language in languages:
            own = text_of(lookup(config, "i18n", "localeConfigs", language.code, "path")) or language.code
            translated = below(folder, f"{own}/{one.translated}")
            prefix = posixpath.join(language.prefix, one.route).strip("/")
            if files.is_folder(translated):
                yield ContentRoot(translated, role, language.code, prefix, one.id if role == "article" else "docs")
    yield ContentRoot("src/pages", "page")


def _named_in(
    files: CodeFiles, contents: list[_Content], roots: tuple[ContentRoot, ...], option: tuple[str, str], shown: str
) -> dict[str, str]:
    """Return names by key from a file of the blogs, in the default language where they have it.

    `option` is the one that names the file, with its usual name; `shown` is the key of the name in an entry.
    """
    found: dict[str, str] = {}
    for one in (one for one in contents if one.name == "blog"):
        name = text_of(lookup(one.options, option[0])) or option[1]
        folders = [root.path for root in roots if root.collection == one.id and root.role == "article"]
        for folder in folders:
            path = below(folder, name)
            if not files.is_file(path):
                continue
            entries = files.value(path)
            for key, entry in list(entries.items())[:5000] if isinstance(entries, dict) else ():
                if text := text_of(entry) or text_of(lookup(entry, shown)):
                    found.setdefault(key, text)
    return found


def _excluded(contents: list[_Content]) -> Iterator[str]:
    """Yield the globs that blogs leave out, where the configuration has its own."""
    for one in contents:
        if one.name == "blog":
            yield from (f"/{below('', one.folder)}/{glob.lstrip('/')}" for glob in texts_of(lookup(one.options, "exclude")))
