"""Find what kind of store a folder is: by the files that mark a generator of sites, else by a sample of its articles.

`find_site` reads files, a bounded number of bounded size, once in a rescan.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from ..kinds import KINDS, Defaults, GeneratorSite, PathRule, SiteLanguage, StoreOptions
from .code import READERS as CODE_READERS
from .configurations import list_names, read_text
from .hugo import read_hugo
from .jekyll_hexo import read_hexo, read_jekyll
from .obsidian import read_obsidian
from .site_values import clean_folder, language_tag, site_address

#: A reader of what a generator says about the site in a folder.
Reader = Callable[[str], GeneratorSite]
READERS: Mapping[str, Reader] = MappingProxyType(
    {"hexo": read_hexo, "jekyll": read_jekyll, "hugo": read_hugo, "obsidian": read_obsidian, **CODE_READERS}
)


def find_site(folder: str, options: StoreOptions = StoreOptions(), remembered: str = "") -> GeneratorSite:
    """Return the kind of the store in `folder`, what its generator's configuration says, and what `options` say over it.

    `remembered` is the kind that it was before, "" for none: an archive stays one until a generator's files are in it. A folder
    that cannot be read is a plain one; nothing that a file says raises an exception.
    """
    folder = os.path.realpath(folder)
    site = _find(folder, options.kind, remembered)
    return _in_tags(_with_options(_with_language_folders(site, options), options))


#: Why a store is of the kind that it was before.
REMEMBERED = "it has been one before; no generator's file says otherwise"


def _find(folder: str, wanted: str, remembered: str) -> GeneratorSite:
    """Return the site of a wanted kind, or of the first that fits: in the folder, by a sample, in those above, or below."""
    here = _marker(folder, wanted)
    if here and (here != _VAULT or wanted == "obsidian"):
        return _read(folder, folder, *here)
    if wanted == "auto" and remembered == "archive":  # no sample of it has to be read
        return _without_generator(folder, remembered, REMEMBERED)
    if wanted in ("auto", "archive", "lctt", "plain"):
        kind, why, identity = _sampled(folder) if wanted in ("auto", "lctt") else ("", "", "")
        kind, why = (kind, why) if wanted == "auto" else (wanted, "site.yaml says so")
        if kind == "lctt" and wanted == "auto" and _sampled(folder.rpartition("/")[0])[0] == "archive":
            kind, why, identity = "archive", "the folder above is an archive", ""
        if kind:
            return _without_generator(folder, kind, why, identity)
    for above in _folders_above(folder):
        if found := _marker(above, wanted):
            site = _read(above, folder, *found)
            if found != _VAULT and _holds(site):
                return site
    for below in _folders_below(folder):
        if (found := _marker(f"{folder}/{below}", wanted)) and (found != _VAULT or not here):
            return _read(f"{folder}/{below}", folder, *found)
    if here:
        return _read(folder, folder, *here)
    if wanted == "auto":
        return _without_generator(folder, "plain", "no generator's files are in the folder or above it")
    return _read(folder, folder, wanted, "site.yaml says so")


# -- markers -------------------------------------------------------------------


def _marker(folder: str, wanted: str) -> tuple[str, str] | None:
    """Return the first kind whose marker is in a folder, and the marker in words; None without one."""
    names = frozenset(list_names(folder))
    for kind, marks in MARKS:
        if wanted in ("auto", kind) and (found := marks(folder, names)):
            return kind, f"{found} is in the folder"
    return None


def _named(pattern: str) -> Callable[[str, frozenset[str]], str]:
    """Return a mark: a name in the folder that fits a pattern."""
    fits = re.compile(pattern).fullmatch

    def find(folder: str, names: frozenset[str]) -> str:
        return next((name.rstrip("/") for name in sorted(names) if fits(name)), "")

    return find


_JEKYLL_CONFIG = ("_config.yml", "_config.yaml", "_config.toml")


def _hexo_mark(folder: str, names: frozenset[str]) -> str:
    config = next((name for name in ("_config.yml", "_config.yaml", "_config.json") if name in names), "")
    if not config:
        return ""
    if os.path.isdir(f"{folder}/source/_posts"):
        return f"{config} beside source/_posts"
    package = (read_text(f"{folder}/package.json", 65536) or "") if "package.json" in names else ""
    if re.search(r'"hexo"\s*:', package):
        return f"{config} beside a package.json with hexo"
    if "scaffolds/" in names and "source/" in names:
        return f"{config} beside scaffolds and source"
    return ""


def _jekyll_mark(folder: str, names: frozenset[str]) -> str:
    for name in _JEKYLL_CONFIG:
        if name in names:
            return name
    if "Gemfile" in names and re.search(
        r"""gem\s*\(?\s*["'](?:jekyll|github-pages)["']""", read_text(f"{folder}/Gemfile", 65536) or ""
    ):
        return "a Gemfile with jekyll"
    return ""


def _hugo_mark(folder: str, names: frozenset[str]) -> str:
    for suffix in ("toml", "yaml", "yml", "json"):
        if (name := f"hugo.{suffix}") in names:
            return name
    for suffix in ("toml", "yaml", "yml", "json"):
        if (name := f"config.{suffix}") in names:
            if "content/" in names:
                return f"{name} beside content"
            if re.search(r'^\s*"?base_?url"?\s*[=:]', read_text(f"{folder}/{name}", 65536) or "", re.IGNORECASE | re.MULTILINE):
                return f"{name} with baseURL"
    if "config/" in names and os.path.isdir(f"{folder}/config/_default"):
        return "config/_default"
    return ""


#: The order in which kinds are tried, and what tells that a folder is one.
MARKS: tuple[tuple[str, Callable[[str, frozenset[str]], str]], ...] = (
    ("docusaurus", _named(r"docusaurus\.config\.[cm]?[jt]s")),
    ("hexo", _hexo_mark),
    ("jekyll", _jekyll_mark),
    ("hugo", _hugo_mark),
    ("pelican", _named(r"pelicanconf\.py")),
    ("astro", _named(r"astro\.config\.[cm]?[jt]s")),
    ("eleventy", _named(r"eleventy\.config\.[cm]?[jt]s|\.eleventy\.[cm]?js")),
    ("vitepress", _named(r"\.vitepress/")),
    ("vuepress", _named(r"\.vuepress/")),
    ("jekyll", _named(r"_posts/")),  # others have this folder, too
    ("obsidian", _named(r"quartz\.config\.(?:[cm]?[jt]s|ya?ml)")),
    ("obsidian", _named(r"\.obsidian/")),
)
#: The mark of a vault, whose notes some other generator may publish.
_VAULT = ("obsidian", ".obsidian is in the folder")
#: How far above a store that is in no git checkout a generator is looked for, and how far at most.
_LEVELS, _MAX_LEVELS = 2, 12
#: Folders of a repository in which a site's generator may be.
_SITE_FOLDERS = ("docs/", "doc/", "website/", "site/", "blog/", "www/", "web/", "src/", "source/", "pages/", "content/")


def _folders_above(folder: str) -> list[str]:
    """Return the folders above, as far as the git checkout that the store is in reaches."""
    found: list[str] = []
    at = folder
    while not os.path.exists(f"{at}/.git") and len(found) < _MAX_LEVELS:
        above = at.rpartition("/")[0] or "/"
        if above == at:
            return found[:_LEVELS]
        found.append(at := above)
    return found if os.path.exists(f"{at}/.git") else found[:_LEVELS]


#: A repository may have so many texts beside its site that are not called as those of all repositories are.
_MAX_BESIDE = 5


def _folders_below(folder: str) -> list[str]:
    """Return the folders that may hold the site of a repository: where little else in it looks like articles."""
    names = list_names(folder)
    texts = [name for name in names if name.lower().endswith((".md", ".markdown")) and not re.match(r"[A-Z_-]+(?:\.|$)", name)]
    return [] if len(texts) > _MAX_BESIDE else [name[:-1] for name in _SITE_FOLDERS if name in names]


def _read(root: str, folder: str, kind: str, why: str) -> GeneratorSite:
    """Return what the generator in `root` says about the store in `folder`, which is the same, below it or above it."""
    reader = READERS.get(kind)
    site = reader(root) if reader else GeneratorSite(kind)
    if root == folder:
        return replace(site, kind=kind, why=why, root=folder)
    if folder.startswith(f"{root}/"):
        below = folder[len(root) + 1 :]
        return replace(site, kind=kind, why=why.replace("the folder", f"a folder above {below}"), root=root, below=below)
    inner = root[len(folder) + 1 :]
    return replace(_moved_below(site, inner), kind=kind, why=why.replace("the folder", inner), root=folder)


def _moved_below(site: GeneratorSite, inner: str) -> GeneratorSite:
    """Return a site whose paths are below a folder above its own."""

    def move(path: str) -> str:
        return f"{inner}/{path}".rstrip("/")

    return replace(
        site,
        roots=tuple(replace(one, path=move(one.path)) for one in site.roots),
        languages=tuple(replace(one, folder=move(one.folder) if one.folder else "") for one in site.languages),
        defaults=tuple(Defaults(move(one.scope), one.type, one.values) for one in site.defaults),
        exclude=tuple(_glob_below(inner, one) for one in site.exclude),
        include=tuple(_glob_below(inner, one) for one in site.include),
        rules=tuple(replace(one, paths=tuple(_glob_below(inner, glob) for glob in one.paths)) for one in site.rules),
        static=tuple(move(one) for one in site.static),
        sources=tuple(move(one) for one in site.sources),
    )


def _glob_below(folder: str, glob: str) -> str:
    """Return a glob for the files of a folder."""
    if not folder:
        return glob
    return f"/{folder}/{glob.lstrip('/')}" if "/" in glob.rstrip("/") else f"/{folder}/**/{glob}"


def _holds(site: GeneratorSite) -> bool:
    """Return whether the store is content of a generator that was found above it."""
    below = site.below
    if site.kind == "jekyll":
        return "_posts" in below.split("/") or any(one.path and _nested(one.path, below) for one in site.roots)
    return any(_nested(one.path, below) for one in site.roots)


def _nested(one: str, other: str) -> bool:
    return not one or one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


# -- a sample of articles --------------------------------------------------------

_SAMPLE, _SAMPLE_BYTES, _SAMPLE_FOLDERS = 20, 65536, 60
_ARCHIVE = re.compile(r"^(?:comments_data|count)[ \t]*:", re.MULTILINE)
_LCTT_LINE = re.compile(r"\[#\]:[ \t]*[A-Za-z-]+[ \t]*:")
_VIA = re.compile(r"^via[ \t]*[:：][ \t]*<?https?://", re.MULTILINE | re.IGNORECASE)
_TRANSLATOR = re.compile(r"^[>*\s-]{0,8}(?:译者|译文出自)[^：:=\n]{0,12}[：:=]", re.MULTILINE)
_CREDITS = re.compile(r"^[>*\s-]{0,8}(?:原文地址|原文链接|首发于|已发布)[ \t]*[：:=]", re.MULTILINE)
#: Folders of a translation project that hold what has not been published, where another is called `published`.
_STAGES = ("sources", "source", "translating", "translated", "reviewed", "reviewing", "proofreading")


def _sampled(folder: str) -> tuple[str, str, str]:
    """Return the archive's kind or a translation project's, why, and what identifies articles where the kind says otherwise.

    All are "" where a sample of articles shows neither. Only LCTT's own files have names that are unlike in all folders.
    """
    seen: Counter[str] = Counter()
    for text in _sample(folder):
        seen["all"] += 1
        if text.startswith("---") and _ARCHIVE.search(text[: text.find("\n---", 3)]):
            seen["archive"] += 1
        elif _LCTT_LINE.match(text):
            seen["lctt"] += 1
        elif _TRANSLATOR.search(text) and (_VIA.search(text) or _CREDITS.search(text[:2000])):
            seen["credits"] += 1
    credits = seen["lctt"] + seen["credits"]
    if seen["archive"] and seen["archive"] * 4 >= seen["all"] and seen["archive"] >= credits:
        return (
            "archive",
            f"{seen['archive']} of {seen['all']} files in a sample have the archive's fields (count, comments_data)",
            "",
        )
    if credits and credits * 4 >= seen["all"]:
        return (
            "lctt",
            f"{credits} of {seen['all']} files in a sample have the credits of a translation project",
            ("path" if seen["credits"] > seen["lctt"] else ""),
        )
    return "", "", ""


def _sample(folder: str) -> Iterator[str]:
    """Yield the texts of some articles: a few of each folder, as many folders as are needed, in the order of their names."""
    folders, read, seen = [folder], 0, 0
    while folders and read < _SAMPLE and seen < _SAMPLE_FOLDERS:
        at = folders.pop()
        seen += 1
        names = [name for name in list_names(at, 2000) if name[0] not in "._" and name != "node_modules/"]
        texts = [name for name in names if name.lower().endswith((".md", ".markdown")) and not _PROJECT_FILE.match(name)]
        for name in texts[:3]:
            if read < _SAMPLE and (text := read_text(f"{at}/{name}", _SAMPLE_BYTES)) is not None:
                read += 1
                yield text.lstrip("\n")
        folders.extend(f"{at}/{name[:-1]}" for name in reversed([name for name in names if name.endswith("/")][:200]))


_PROJECT_FILE = re.compile(r"README|LICEN[SC]E|CONTRIBUTING|CHANGELOG|SUMMARY|.*template", re.IGNORECASE)


def _without_generator(folder: str, kind: str, why: str, identity: str = "") -> GeneratorSite:
    """Return the site of a folder of files: nothing but their kind is known."""
    site = GeneratorSite(kind, why, folder, options=(("identity", identity),) if identity else ())
    if kind == "lctt" and "published/" in list_names(folder):
        reason = "not yet reviewed: include says published/ (unless configured)"
        site = replace(site, rules=(PathRule("withheld", reason, folders=_STAGES, within="site", top=True),))
    return site


# -- languages in folders -----------------------------------------------------------

_CODES = frozenset(
    "en zh ja ko fr de es pt ru it nl pl tr uk vi id ar fa he hi th cs sv da fi nb hu ro bg el sk sl hr sr ca et lv lt".split()
) | frozenset("ms bn ta te ur uz kk az ka hy mn ne km my gl eu cy ga".split())
_CODE = re.compile(r"([a-z]{2})(?:[-_](?:[a-z]{2}|hans|hant))?", re.IGNORECASE)
_NAMES = MappingProxyType(
    dict(
        pair.split("=")
        for pair in (
            "english=en chinese=zh japanese=ja korean=ko french=fr german=de spanish=es portuguese=pt russian=ru italian=it"
            " ukrainian=uk arabic=ar bengali=bn hindi=hi turkish=tr vietnamese=vi indonesian=id polish=pl dutch=nl"
        ).split()
    )
)
_NO_LANGUAGE = re.compile(
    r"[._]|(?:assets|static|images?|img|media|files|css|js|javascripts|stylesheets|public|scripts)/", re.IGNORECASE
)


def _with_language_folders(site: GeneratorSite, options: StoreOptions) -> GeneratorSite:
    """Add the languages that folders at the top of the content are called by, where nothing else says which there are."""
    if site.languages or options.languages or site.kind in ("archive", "hugo", "docusaurus"):
        return site
    found: list[SiteLanguage] = []
    for root in site.roots:
        if root.role != "article" or root.language:
            continue
        names = [name for name in list_names(f"{site.root}/{root.path}") if name.endswith("/") and not _NO_LANGUAGE.match(name)]
        codes = {name[:-1]: code for name in names if (code := _language_of(name[:-1]))}
        if len(codes) >= 4 or (len(codes) >= 2 and len(codes) * 2 >= len(names)):
            found += [SiteLanguage(code, f"{root.path}/{name}".lstrip("/"), prefix=name) for name, code in codes.items()]
    return replace(site, languages=tuple(found[:200]))


def _language_of(name: str) -> str:
    match = _CODE.fullmatch(name)
    return language_tag(name) if match and match[1].lower() in _CODES else _NAMES.get(name.lower(), "")


# -- what site.yaml says over it ------------------------------------------------------


def _in_tags(site: GeneratorSite) -> GeneratorSite:
    """Return the site with languages as documents have them, and without time zones that nobody knows."""
    faults = []
    zones = {one.timezone for one in site.languages} | {site.timezone}
    for zone in sorted(zones - {""}):
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            faults.append("a time zone of the configuration is not known")
            zones.discard(zone)
    return replace(
        site,
        timezone=site.timezone if site.timezone in zones else "",
        language=language_tag(site.language),
        languages=tuple(
            replace(one, code=language_tag(one.code), timezone=one.timezone if one.timezone in zones else "")
            for one in site.languages
        ),
        roots=tuple(replace(one, language=language_tag(one.language)) for one in site.roots),
        faults=(*site.faults, *dict.fromkeys(faults)),
    )


def _with_options(site: GeneratorSite, options: StoreOptions) -> GeneratorSite:
    """Return the site with what the operator says, which is below the store's folder."""
    below = site.below
    said: dict[str, object] = {"prefix": options.prefix}
    if options.site:
        address = site_address(options.site) or options.site.rstrip("/")
        said["base_url"] = address + ("" if urlsplit(address).path else site.base_path)
    if options.timezone:
        said["timezone"] = options.timezone
    if options.future:
        said["future"] = options.future == "publish"
    if options.permalink:
        said["permalinks"] = (("", options.permalink),)
    if options.languages:
        said["languages"] = tuple(_said_languages(site, options.languages))
    # What is withheld because code decides about it, or a project does, is so until somebody says what is published.
    in_code = "store.exclude" in site.missing
    is_chosen = bool((options.include and (in_code or site.kind == "lctt")) or (options.exclude and in_code))
    settled = ("store.exclude",) if is_chosen else ()
    missing = [one for one in site.missing if one not in settled and not getattr(options, one.removeprefix("store."), "")]
    base = said.get("base_url", site.base_url)
    if KINDS[site.kind].address and not base and "store.site" not in missing:
        missing.append("store.site")
    return replace(
        site,
        rules=tuple(one for one in site.rules if one.state != "withheld") if is_chosen else site.rules,
        include=tuple(_glob_below(below, one) for one in options.include) or site.include,
        exclude=(*site.exclude, *(_glob_below(below, one) for one in options.exclude)),
        fields=(*options.fields, *site.fields),
        missing=tuple(missing),
        defaults=tuple(_without_addresses(site.defaults)) if options.permalink else site.defaults,
        **said,  # type: ignore[arg-type]
    )


def _without_addresses(defaults: Iterable[Defaults]) -> Iterator[Defaults]:
    """Yield what files inherit but addresses, where the operator says a pattern of them."""
    for one in defaults:
        yield replace(one, values=tuple((key, value) for key, value in one.values if key != "permalink"))


def _said_languages(site: GeneratorSite, languages: Iterable[tuple[str, str]]) -> Iterator[SiteLanguage]:
    known = {one.code: one for one in site.languages}
    for code, folder in languages:
        inner = clean_folder(folder) or ""
        path = f"{site.below}/{inner}".strip("/") if inner else ""
        old = known.get(code, SiteLanguage(code, prefix="" if code == site.language else code, tag=language_tag(code)))
        yield replace(old, folder=path)
