"""Read the settings of an Obsidian vault, and the configuration of Quartz, which makes a site of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..kinds import ContentRoot, Defaults, GeneratorSite, PathRule
from .code_files import CODE_SUFFIXES, CodeFiles
from .javascript.expressions import result_of
from .literals import Call, Value, lookup, text_of, texts_of
from .site_values import below, site_address

_TEMPLATES = (
    (".obsidian/templates.json", "folder"),
    (".obsidian/plugins/templater-obsidian/data.json", "templates_folder"),
    (".obsidian/daily-notes.json", "template"),
)
#: Filters of Quartz that leave out drafts, and what does not ask to be published.
_FILTERS, _ASKED = ("removedrafts",), "explicitpublish"
#: The address in the configuration that every site of Quartz begins with.
_PLACEHOLDER = "quartz.jzhao.xyz"
#: What a note without the field says where nothing is published that does not ask for it.
_UNASKED = "false"


def read_obsidian(root: str) -> GeneratorSite:
    """Return what the settings of a vault say, or those of Quartz, whose vault is its folder `content`."""
    files = CodeFiles(root)
    path = files.first("quartz.config", suffixes=(*CODE_SUFFIXES, ".yaml", ".yml"))
    site = _quartz(files, path) if path else GeneratorSite("obsidian", root=root)
    vault = "content" if path else ""
    garden = below(vault, ".obsidian/plugins/digitalgarden")
    asked = (Defaults("", "", (("dg-publish", _UNASKED),)),) if files.is_folder(garden) else ()
    return replace(
        site,
        rules=(*_templates(files, vault), *site.rules),
        defaults=(*site.defaults, *asked),
        sources=tuple(files.sources),
        faults=tuple(files.faults),
    )


def _templates(files: CodeFiles, vault: str) -> Iterator[PathRule]:
    """Yield what leaves out the folders and files of templates that the settings of a vault name."""
    for name, key in _TEMPLATES:
        path = below(vault, name)
        found = text_of(lookup(files.value(path), key)).strip() if files.is_file(path) else ""
        if folder := below("", found):
            inner = f"/{below(vault, folder)}"
            yield PathRule("ignored", "template", paths=(inner, f"{inner}.md"), within="site")


# -- Quartz ------------------------------------------------------------------------


def _quartz(files: CodeFiles, path: str) -> GeneratorSite:
    """Return what the configuration of Quartz says: address, language, what it leaves out, which field is the date."""
    module = None if path.endswith((".yaml", ".yml")) else files.module(path)
    config = result_of(module.export()) if module else files.value(path)
    said = lookup(config, "configuration")
    host = text_of(lookup(said, "baseUrl")).strip()
    base = site_address(host if "://" in host or not host else f"https://{host}") if host != _PLACEHOLDER else ""
    filters = list(_filters(config))
    hidden = [name for name in filters if not any(known in name.lower() for known in (*_FILTERS, _ASKED))]
    # Nobody knows what such a filter holds back, so it holds back all until the operator says what it is.
    unknown = PathRule("withheld", f"a filter in code ({', '.join(hidden)[:200]})", paths=("/content",), within="site")
    by_publication = text_of(lookup(said, "defaultDateType")) == "published"
    dates = (
        ("published", "publishDate", "date", "created") if by_publication else ("created", "date", "published", "publishDate")
    )
    return GeneratorSite(
        "obsidian",
        root=files.root,
        base_url=base,
        timezone="UTC",
        language=text_of(lookup(said, "locale")),
        roots=(ContentRoot("content"),),
        permalinks=(("", "/:path"),),
        defaults=(Defaults("", "", (("publish", _UNASKED),)),) if any(_ASKED in name.lower() for name in filters) else (),
        exclude=tuple(f"/{below('content', glob)}" for glob in texts_of(lookup(said, "ignorePatterns"))),
        static=("content",),
        options=(("slugs", "quartz"),),
        fields=(("date", dates),),
        rules=(unknown,) if hidden else (),
        missing=(*(() if base else ("store.site",)), *(("store.exclude",) if hidden else ())),
    )


def _filters(config: Value) -> Iterator[str]:
    """Yield the names of what filters notes: calls in code; in YAML the one plugin that is known, without its hyphen."""
    filters = lookup(config, "plugins", "filters")
    for one in filters[:100] if isinstance(filters, list) else ():
        yield (one.name.removeprefix("Plugin.") if isinstance(one, Call) else "") or "a function"
    plugins = lookup(config, "plugins")
    for one in plugins[:200] if isinstance(plugins, list) else ():
        source = text_of(lookup(one, "source")).lower().replace("-", "")
        if _ASKED in source and text_of(lookup(one, "enabled")).lower() != "false":
            yield _ASKED
