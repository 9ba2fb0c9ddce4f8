"""What a path alone says about a file of a store: article, page, withheld or ignored, its language, and the date in its name.

Pure: the rules are data, in the row of the kind (`kinds.KINDS`) and in what the site's configuration says.
"""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date

from .kinds import COMMON_RULES, KINDS, ContentRoot, GeneratorSite, PathRule, Place, StoreKind

_NOTHING: frozenset[str] = frozenset()
#: Texts that some generator reads and no kind here does: the reason names their suffix.
_OTHER_TEXTS = (
    *(".markdown", ".org", ".rst", ".adoc", ".asciidoc", ".textile", ".txt", ".mdx", ".mkd", ".html", ".njk", ".ipynb"),
    ".rmd",
)
#: In templates and layouts; a page of this kind has source that means nothing without its generator.
_MARKUP = (".html", ".htm")
_README = re.compile(r"README(?:[._ -].*)?|(?i:readme)(?:[._-][A-Za-z]{2}(?:[-_][A-Za-z]{2,4})?)?")
_PROJECT = re.compile(
    r"(?:LICEN[SC]E|CONTRIBUTING|CHANGELOG|CODE[_-]OF[_-]CONDUCT|SECURITY|SUMMARY|CLAUDE|AGENTS)"
    r"(?:[._-][A-Za-z]{2}(?:[-_][A-Za-z]{2,4})?)?"
)


def place_of(site: GeneratorSite, path: str, bundles: Collection[str] = _NOTHING) -> Place:
    """Return what the path of a file (relative to the store) says about it. `bundles` are those of `bundle_folders`.

    >>> site = GeneratorSite("jekyll")
    >>> place_of(site, "travel/_posts/2024-05-12-harbour.md").stem, place_of(site, "_drafts/idea.md").state
    ('travel/2024-05-12-harbour', 'withheld')
    """
    kind = KINDS[site.kind]
    full = site.path_of(path)
    root = _root_of(site, full)
    file = _File(path, full, root)
    state, reason = _outer_state(site, kind, file)
    if root is None:
        return Place(path, state, reason)
    stem, language = _stem(site, kind, file)
    section = _section(kind, file, stem)
    day, name = _date_in(site, kind, stem)
    undated = ""
    if not state:
        state, reason, undated = _inner_state(site, kind, file, bundles)
    if state == "article" and kind.undated_name and not day:
        state, reason, undated = "ignored", kind.undated_name, ""
    if state == "page" and file.suffix in _MARKUP:
        state, reason = "ignored", "a template"
    return Place(path, state, reason, section, stem, language, root, day, name, undated)


def bundle_folders(site: GeneratorSite, paths: Iterable[str]) -> frozenset[str]:
    """Return the folders that are one article each, by the paths of all files (relative to the store), for `place_of`.

    Hugo's have an index file, whatever else is in them; elsewhere an index file has to be the only text in a folder and below.
    """
    kind = KINDS[site.kind]
    if not (kind.leaf_bundles or kind.index):
        return _NOTHING
    found: set[str] = set()
    others: set[str] = set()
    for path in paths:
        folder, _, name = path.rpartition("/")
        if not name.lower().endswith(kind.suffixes):
            continue
        if folder and _split_language(site, name.rpartition(".")[0])[0].lower() == "index" and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
        if kind.index:
            while folder and folder not in others:
                others.add(folder)
                folder = folder.rpartition("/")[0]
    return frozenset(found - others)


@dataclass(slots=True)
class _File:
    """A path: below the store, below the site's root (`full`) and below its content root (`inner`); `base` has no suffix."""

    path: str
    full: str
    root: ContentRoot | None
    inner: str = field(init=False)
    name: str = field(init=False)
    base: str = field(init=False)
    suffix: str = field(init=False)

    def __post_init__(self) -> None:
        self.inner = self.full[len(self.root.path) + 1 :] if self.root and self.root.path else self.full
        self.name = self.full.rpartition("/")[2]
        base, dot, suffix = self.name.rpartition(".")
        self.base, self.suffix = (base, f".{suffix.lower()}") if dot and base else (self.name, "")


def _root_of(site: GeneratorSite, full: str) -> ContentRoot | None:
    """Return the innermost content root of a file; what `include` names is content wherever it is."""
    best = None
    for one in site.roots:
        if (not one.path or full.startswith(f"{one.path}/")) and (best is None or len(one.path) > len(best.path)):
            best = one
    if best:
        return best
    return ContentRoot("") if any(matches(full, pattern) for pattern in site.include) else None


# -- states -----------------------------------------------------------------------


def _outer_state(site: GeneratorSite, kind: StoreKind, file: _File) -> tuple[str, str]:
    """Return a state and its reason, as far as no content root is needed; ("", "") where nothing speaks against the file."""
    if file.path.startswith(".") or "/." in file.path:
        return "ignored", "hidden file" if file.name.startswith(".") else "hidden folder"
    if found := _rules_state(site, "site", file.full):
        return found
    if any(matches(file.full, pattern) for pattern in site.exclude):
        return "ignored", "excluded"
    if site.include and not any(matches(file.full, pattern) for pattern in site.include):
        return "ignored", "not included"
    if file.suffix not in kind.suffixes:
        return "ignored", f"{file.suffix} is not read" if file.suffix in _OTHER_TEXTS else "no article"
    if file.root is None:
        return "ignored", kind.outside
    if found := _rules_state(site, "root", file.inner):
        return found
    if kind.readme and (_README.fullmatch(file.base) or _is_of_project(file)):
        return "ignored", kind.readme
    if file.root.pattern and not matches(file.inner, file.root.pattern):
        underscore = " underscores" if file.name.startswith("_") else " it"
        return "ignored", f"pattern of the collection leaves out{underscore}"
    return "", ""


def is_held_back(site: GeneratorSite, path: str) -> bool:
    """Return whether a file beside articles lies where nothing is published: in a folder for drafts, or in what is excluded."""
    full = site.path_of(path)
    root = _root_of(site, full)
    inner = _File(path, full, root).inner
    found = (_rules_state(site, "site", full), _rules_state(site, "root", inner))
    return any(one is not None and one[0] == "withheld" for one in found) or any(matches(full, one) for one in site.exclude)


def _is_of_project(file: _File) -> bool:
    """Return whether a file tells of a repository: in capitals everywhere, in any case where it is not in a folder."""
    base = file.base if "/" in file.full else file.base.upper()
    return _PROJECT.fullmatch(base) is not None


def _first_rule(rules: Iterable[PathRule], path: str) -> tuple[str, str] | None:
    """Return state and reason of the first rule that fits."""
    *folders, name = path.lower().split("/")
    for rule in rules:
        if rule.paths and not any(matches(path, glob) for glob in rule.paths):
            continue
        seen = [one for one in (folders[:1] if rule.top else folders) if one not in rule.unless]
        in_folder = not rule.folders or any(_name_fits(one, glob) for glob in rule.folders for one in seen)
        named = not rule.files or (
            any(_name_fits(name, glob) for glob in rule.files) and not (rule.top and folders and not rule.folders)
        )
        if in_folder and named:
            return rule.state, rule.reason
    return None


@functools.cache
def _kind_rules(kind: str, within: str) -> tuple[tuple[PathRule, ...], re.Pattern[str]]:
    """Return the rules of a kind, and a pattern without which none of them fits a path in lower case."""
    row = KINDS[kind]
    rules = tuple(rule for rule in (*(COMMON_RULES if row.readme else ()), *row.rules) if rule.within == within)
    parts = [f"(?:^|/){_segment(glob)}{'/' if rule.folders else '$'}" for rule in rules for glob in rule.folders or rule.files]
    return rules, re.compile("|".join(parts) or r"(?!)")


def _segment(glob: str) -> str:
    return re.escape(glob).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")


def _rules_state(site: GeneratorSite, within: str, path: str) -> tuple[str, str] | None:
    """Return what the rules of the site, then those of its kind, say about a path."""
    if site.rules and (found := _first_rule((rule for rule in site.rules if rule.within == within), path)):
        return found
    rules, screen = _kind_rules(site.kind, within)
    return _first_rule(rules, path) if screen.search(path.lower()) else None


def _inner_state(site: GeneratorSite, kind: StoreKind, file: _File, bundles: Collection[str]) -> tuple[str, str, str]:
    """Return state, reason, and the reason if the file has no date, of a file that nothing speaks against."""
    assert file.root is not None
    if file.root.role == "page":
        return "page", "page", ""
    folder = file.path.rpartition("/")[0]
    is_index = _split_language(site, file.base)[0].lower() in kind.indexes
    if kind.leaf_bundles:
        return _hugo_state(site, kind, file, bundles)
    if is_index and kind.index and folder not in bundles:
        return "page", kind.index, ""
    folders = file.inner.lower().split("/")[:-1]
    if kind.articles:
        if file.root.collection in kind.articles or any(one in kind.articles for one in folders):
            return "article", "", ""
        if any(one.collection in kind.articles for one in site.roots):
            return "page", "another collection", ""
    if kind.tagged and _has_folder_tags(site, file.full):
        return "article", "", ""
    if kind.tagged and not file.root.collection and any(one.collection for one in site.roots):
        return "page", kind.undated_reason, ""
    if kind.otherwise == "page":
        return "page", "page", ""
    needs_date = kind.otherwise == "dated" and site.option("undated") != "article"
    return "article", "", kind.undated_reason if needs_date else ""


def _hugo_state(site: GeneratorSite, kind: StoreKind, file: _File, bundles: Collection[str]) -> tuple[str, str, str]:
    """Return what a file is in a site of sections, and of folders whose index file owns the others."""
    folder = file.path.rpartition("/")[0]
    if _split_language(site, file.base)[0].lower() == "index":
        folder = folder.rpartition("/")[0]
    while folder:
        if folder in bundles:
            return "ignored", "resource of a bundle", ""
        folder = folder.rpartition("/")[0]
    stem, _ = _stem(site, kind, file)
    section = stem.partition("/")[0] if "/" in stem else ""
    main = site.option("main_sections")
    if not section and not site.option("top_level"):
        return "page", "top-level page", "undated top-level page"
    if main and section and section not in main.split(","):
        return "page", "another section", ""
    return "article", "", kind.undated_reason


def _has_folder_tags(site: GeneratorSite, full: str) -> bool:
    return any(
        key == "tags" and value and (not one.scope or full.startswith(f"{one.scope}/"))
        for one in site.defaults
        for key, value in one.values
    )


# -- names ------------------------------------------------------------------------


def _stem(site: GeneratorSite, kind: StoreKind, file: _File) -> tuple[str, str]:
    """Return the stem of a file and its language."""
    folder = _without_language_folder(site, file).rpartition("/")[0]
    base, named = _split_language(site, file.base)
    if kind.unnamed:
        folder = "/".join(one for one in folder.split("/") if one not in kind.unnamed)
    stem = f"{folder}/{base}" if folder else base
    if folder and base.lower() in kind.indexes:
        stem = folder
    root = file.root.language if file.root else ""
    return stem, named or _language_folder(site, file)[1] or root or site.language


def _split_language(site: GeneratorSite, base: str) -> tuple[str, str]:
    """Split the language off a name without suffix: only one that the site names is one."""
    name, dot, end = base.rpartition(".")
    if dot and name and site.languages:
        for language in site.languages:
            if end.lower() in (language.code.lower(), language.tag.lower() or language.code.lower()):
                return name, language.code
    return base, ""


def _language_folder(site: GeneratorSite, file: _File) -> tuple[str, str]:
    """Return the folder (below the site's root) and the code of the language that a file's folder says."""
    if not site.languages:
        return "", ""
    inside = [one for one in site.languages if one.folder and file.full.startswith(f"{one.folder}/")]
    found = max(inside, key=lambda one: len(one.folder), default=None)
    return (found.folder, found.code) if found else ("", "")


def _without_language_folder(site: GeneratorSite, file: _File) -> str:
    """Return the path below the content root, and below the folder of the language where that is in it."""
    folder, _ = _language_folder(site, file)
    root = file.root.path if file.root else ""
    inside = folder[len(root) + 1 :] if root and folder.startswith(f"{root}/") else "" if root else folder
    return file.inner[len(inside) + 1 :] if inside else file.inner


def _section(kind: StoreKind, file: _File, stem: str) -> str:
    """Return the collection, the folders above one that is no part of the stem, or the first folder of the stem."""
    if file.root and file.root.collection:
        return file.root.collection
    folders = file.inner.split("/")[:-1]
    for name in kind.unnamed:
        if name in folders:
            return "/".join(folders[: folders.index(name)])
    return stem.partition("/")[0] if "/" in stem else ""


def _date_in(site: GeneratorSite, kind: StoreKind, stem: str) -> tuple[tuple[int, ...], str]:
    """Return the date that a stem has, () where it has none, and the last part of the stem without it."""
    for pattern in (*site.name_dates, *kind.dates):
        if match := _date_pattern(pattern).search(stem):
            groups = match.groupdict()
            year, month, day = (int(groups.get(part) or 1) or 1 for part in ("year", "month", "day"))
            try:
                day_of = date(year if year > 99 else year + 2000, month, day)
            except ValueError:
                continue
            rest = groups.get("rest")
            return (day_of.year, day_of.month, day_of.day), rest or stem.rpartition("/")[2]
    return (), stem.rpartition("/")[2]


@functools.lru_cache(maxsize=256)
def _date_pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


# -- globs of whole paths -------------------------------------------------------


def matches(path: str, pattern: str) -> bool:
    """Return whether a path, or a folder of it, fits a glob with `**` and `{a,b}`; without a slash, a name at any depth.

    >>> [matches("posts/2019/a.md", glob) for glob in ("posts/**", "**/2019/**", "*.md", "2019", "/2019", "posts/*.{md,mdx}")]
    [True, True, True, True, False, False]
    """
    parts = tuple(path.split("/"))
    return any(_fits(parts, one) for one in _alternatives(pattern))


@functools.lru_cache(maxsize=1024)
def _alternatives(pattern: str) -> tuple[tuple[str, ...], ...]:
    """Return the globs that a pattern with braces stands for, each as its names; "**" for any number of folders."""
    done: list[tuple[str, ...]] = []
    todo = [pattern[:400]]
    while todo and len(done) < 64:
        one = todo.pop()
        if (match := re.search(r"\{([^{}]*)\}", one)) and len(todo) < 64:
            todo.extend(one[: match.start()] + word + one[match.end() :] for word in match[1].split(",")[:32])
            continue
        anchored = "/" in one.rstrip("/")
        names = [name for name in one.split("/") if name not in ("", ".")]
        if names:
            done.append((*(() if anchored else ("**",)), *names))
    return tuple(done)


def _fits(parts: tuple[str, ...], names: tuple[str, ...]) -> bool:
    """Return whether the names fit a path, or a folder that it is in."""
    states = {0}  # numbers of names that are used up, over all ways
    for part in parts:
        states = _closure(states, names)
        if len(names) in states:
            return True
        states = {at + (names[at] != "**") for at in states if names[at] == "**" or _name_fits(part, names[at])}
        if not states:
            return False
    return len(names) in states or (names[-1] == "**" and len(names) - 1 in states)


def _closure(states: set[int], names: tuple[str, ...]) -> set[int]:
    """Add the states in which "**" stands for no folder."""
    found = set(states)
    for at in sorted(states):
        while at < len(names) - 1 and names[at] == "**":
            at += 1
            found.add(at)
    return found


@functools.lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(glob.replace("[^", "[!")))


def _name_fits(name: str, glob: str) -> bool:
    return _pattern(glob).match(name) is not None
