"""Read .vuepress/config.* and .vitepress/config.*: address, languages, patterns of addresses, and what is left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..kinds import ContentRoot, Defaults, GeneratorSite, PathRule, SiteLanguage
from .code_files import CODE_SUFFIXES, CodeFiles
from .javascript.expressions import result_of
from .literals import Unknown, Value, lookup, mappings_in, text_of, texts_of, titled
from .site_values import base_path, below, site_address

#: Where plugins and themes of VuePress have the address of the site.
_HOSTS = ("hostname", "canonical", "canonical_base", "canonicalBase", "domain", "siteUrl")
_CONFIGS = ("config", "config/index")


def read_vuepress(root: str) -> GeneratorSite:
    """Return what the configuration of VuePress in a folder says: the versions 1 and 2, and their blogs."""
    files = CodeFiles(root)
    config, site = _read(files, "vuepress")
    hosts = (one.get(name) for one in mappings_in(config) for name in _HOSTS)
    base = next((found for host in hosts if (found := site_address(_with_scheme(host), lookup(config, "base")))), "")
    pattern = text_of(lookup(config, "permalink")) or text_of(lookup(config, "permalinkPattern"))
    blogs = list(_blogs(config))
    globs = texts_of(lookup(config, "pagePatterns")) or texts_of(lookup(config, "patterns"))
    author = lookup(config, "theme")
    return replace(
        site,
        base_url=base,
        base_path=base_path("", lookup(config, "base")),
        roots=(*site.roots, *(root for root, _ in blogs)),
        permalinks=(*((("", pattern),) if pattern else ()), *((root.collection, url) for root, url in blogs)),
        defaults=tuple(_author(mappings_in(author))),
        exclude=(*site.exclude, *(glob[1:] for glob in globs if glob.startswith("!"))),
        rules=tuple(_encrypted(config)),
        options=(
            *titled(config),
            *((("undated", "article"),) if _said(files, "vuepress-theme-hope") else ()),  # by the day of its first commit
            *((("slugs", "vuepress"),) if _said(files, "defineUserConfig") else ()),
        ),
        static=(".vuepress/public",),
        missing=() if base else ("store.site",),
        sources=tuple(files.sources),
        faults=tuple(files.faults),
    )


def _said(files: CodeFiles, word: str) -> bool:
    """Return whether a word, which names a theme or the version 2, is in the configuration or in that of the theme."""
    stems = (".vuepress/theme", *(f".vuepress/{name}" for name in _CONFIGS))
    paths = filter(None, (files.first(stem) for stem in stems))
    return any(word in (files.read(path) or "") for path in paths)


def read_vitepress(root: str) -> GeneratorSite:
    """Return what the configuration of VitePress in a folder says."""
    files = CodeFiles(root)
    config, site = _read(files, "vitepress")
    source = below("", text_of(lookup(config, "srcDir")))
    themes = lookup(config, "themeConfig")
    hosts = (lookup(config, "sitemap", "hostname"), *(one.get(name) for one in mappings_in(themes) for name in _HOSTS))
    base = next((found for host in hosts if (found := site_address(_with_scheme(host), lookup(config, "base")))), "")
    rewrites = lookup(config, "rewrites")
    hidden = isinstance(config, dict) and (isinstance(rewrites, Unknown) or isinstance(lookup(rewrites, "..."), Unknown))
    lines = (
        [f"{key} {value}" for key, value in rewrites.items() if isinstance(value, str)] if isinstance(rewrites, dict) else []
    )
    built = below("", text_of(lookup(config, "outDir")))
    return replace(
        site,
        base_url=base,
        base_path=base_path("", lookup(config, "base")),
        roots=tuple(replace(one, path=below(source, one.path)) for one in site.roots),
        exclude=(
            *(f"/{below(source, glob)}" for glob in texts_of(lookup(config, "srcExclude"))),
            *((f"/{built}/**",) if built else ()),
        ),
        static=(below(source, "public"),),
        options=(
            *titled(config),
            ("cleanUrls", str(lookup(config, "cleanUrls") in (True, "with-subfolders", "without-subfolders")).lower()),
            ("rewrites", "\n".join(lines)[:20_000]),
        ),
        missing=(*(() if base else ("store.site",)), *(("store.permalink",) if hidden else ())),
        sources=tuple(files.sources),
        faults=tuple(files.faults),
    )


def _read(files: CodeFiles, kind: str) -> tuple[Value, GeneratorSite]:
    """Return the configuration, and what both generators have: languages, a content root for each, the site that is built."""
    stems = [f".{kind}/{name}" for name in _CONFIGS]
    path = files.first(*stems, suffixes=(*CODE_SUFFIXES, ".json", ".yml", ".yaml"))
    config = files.value(path) if path else None
    config = lookup(config, "default") if isinstance(config, dict) and "default" in config else config
    config = result_of(config)
    default = text_of(lookup(config, "lang"))
    languages = list(_languages(config, default))
    first = next((one.code for one in languages if not one.folder), "")
    language = first or default
    roots = [ContentRoot("", language=language)]
    roots += [ContentRoot(one.folder, language=one.code, prefix=one.prefix) for one in languages if one.folder]
    built = below("", text_of(lookup(config, "dest"))) if not text_of(lookup(config, "dest")).startswith("..") else ""
    return config, GeneratorSite(
        kind,
        root=files.root,
        language=language,
        languages=tuple(languages),
        roots=tuple(roots),
        exclude=(f"/{built}/**",) if built else (),
    )


def _languages(config: Value, default: str) -> Iterator[SiteLanguage]:
    """Yield the languages of `locales`, by folders: VuePress's `/en/`, VitePress's `en`; `/` and `root` have none."""
    locales = lookup(config, "locales")
    for key, own in list(locales.items())[:100] if isinstance(locales, dict) else ():
        folder = "" if key == "root" else below("", key)
        link = text_of(lookup(own, "link"))
        code = text_of(lookup(own, "lang")) or (folder if folder else default)
        if code and not key.startswith("...") and not link.startswith("http"):
            yield SiteLanguage(code, folder, folder)


def _with_scheme(host: Value) -> Value:
    """Return the address of a host that may be written without `https://`."""
    return f"https://{host}" if isinstance(host, str) and "://" not in host and "." in host and "/" not in host else host


def _blogs(config: Value) -> Iterator[tuple[ContentRoot, str]]:
    """Yield the folders of @vuepress/plugin-blog of version 1 with the patterns of their addresses."""
    for one in mappings_in(config):
        directories = one.get("directories")
        for entry in directories[:20] if isinstance(directories, list) else ():
            folder = below("", text_of(lookup(entry, "dirname")))
            if folder:
                url = text_of(lookup(entry, "itemPermalink")) or "/:year/:month/:day/:slug"
                yield ContentRoot(folder, collection=text_of(lookup(entry, "id")) or folder), url


def _author(mappings: Iterator[dict[str, Value]]) -> Iterator[Defaults]:
    """Yield the author of the site that the options of the theme name, for articles that name none."""
    for one in mappings:
        author = one.get("author")
        if name := text_of(author) or text_of(lookup(author, "name")):
            yield Defaults("", "", (("author", name),))
            return


def _encrypted(config: Value) -> Iterator[PathRule]:
    """Yield what withholds the files that the theme shows to those only who know a password."""
    for one in mappings_in(config):
        encrypt = one.get("encrypt")
        if not isinstance(encrypt, dict):
            continue
        if lookup(encrypt, "global") is True:
            yield PathRule("withheld", "encrypted", files=("*",), within="site")
        secret = lookup(encrypt, "config")
        for path in list(secret)[:200] if isinstance(secret, dict) else ():
            *folders, name = below("", path).lower().split("/")
            stem = name.removesuffix(".html")
            if path.endswith("/") and stem:
                yield PathRule("withheld", "encrypted", folders=(stem,))
            elif stem:
                yield PathRule("withheld", "encrypted", folders=tuple(folders[-1:]), files=(f"{stem}.*",))
