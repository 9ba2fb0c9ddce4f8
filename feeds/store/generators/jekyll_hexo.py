"""What Jekyll and Hexo say about a site in configuration files that are data; Hugo's are in `hugo_files`.

Each reader takes the absolute folder of the generator and returns a `GeneratorSite` whose paths are below it. It reads a few
files of bounded size, and a file that cannot be read is a fault in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from ..headers.source import Value
from ..kinds import ContentRoot, Defaults, GeneratorSite
from .configurations import Configuration, as_flag, as_texts, first_file, flattened, member
from .site_values import (
    author_default,
    author_names,
    base_path,
    clean_folder,
    domain_of,
    language_tag,
    one_text,
    options_of,
    person_name,
    read_authors,
    site_address,
    site_languages,
    truth_text,
)

# -- Jekyll -----------------------------------------------------------------------


def read_jekyll(root: str) -> GeneratorSite:
    """Return what _config.yml says."""
    name = first_file(root, ("_config.yml", "_config.yaml", "_config.toml"))
    config = Configuration().with_file(root, name) if name else Configuration()
    source = clean_folder(config.text("source")) or ""
    collections = config.at("collections")
    named: dict[str, Value] = collections if isinstance(collections, dict) else dict.fromkeys(as_texts(collections), "")
    language = config.text("lang") or config.text("locale") or config.text("language") or config.text("default_lang")
    codes = config.texts("languages")
    base = config.text("baseurl")
    address = site_address(config.text("url")) or domain_of(root, f"{source}/CNAME".strip("/"))
    return GeneratorSite(
        kind="jekyll",
        root=root,
        base_url=site_address(address, base),
        base_path=base_path(config.text("url"), base),
        timezone=config.text("timezone"),
        language=language_tag(language) if language else "",
        languages=site_languages(codes, language),
        roots=tuple(_jekyll_roots(config, source, named)),
        permalinks=tuple(_jekyll_permalinks(config, named)),
        future=config.flag("future"),
        drafts=config.flag("show_drafts") or False,
        defaults=(*author_default(person_name(config.at("author"))), *_jekyll_defaults(config, source)),
        authors=read_authors(root, f"{source}/{config.text('data_dir') or '_data'}".strip("/"))
        or author_names(config.at("authors")),
        exclude=tuple(_below(source, one) for one in config.texts("exclude")),
        static=(source,),
        options=options_of(
            title=config.text("title"),
            excerpt_separator=config.text("excerpt_separator"),
            unpublished=truth_text(config.flag("unpublished")),
            source=source,
            collections_dir=clean_folder(config.text("collections_dir")) or "",
        ),
        sources=config.sources,
        faults=config.faults,
    )


def _below(folder: str, glob: str) -> str:
    return f"/{folder}/{glob.strip('/')}" if folder else f"/{glob.strip('/')}"


def _jekyll_roots(config: Configuration, source: str, collections: dict[str, Value]) -> Iterator[ContentRoot]:
    yield ContentRoot(source)
    folder = clean_folder(config.text("collections_dir")) or ""
    above = f"{source}/{folder}".strip("/")
    if folder:
        yield ContentRoot(above)
    for name, value in collections.items():
        if name != "posts" and as_flag(member(value, "output")):
            yield ContentRoot(f"{above}/_{name}".strip("/"), role="page", collection=name)
    for name in config.texts("include"):
        inner = clean_folder(name)
        if inner and inner.startswith("_") and inner != "_posts":
            yield ContentRoot(f"{source}/{inner}".strip("/"), role="page")


def _jekyll_permalinks(config: Configuration, collections: dict[str, Value]) -> Iterator[tuple[str, str]]:
    posts = one_text(member(collections.get("posts", ""), "permalink")) or config.text("permalink")
    if posts:
        yield "", posts
    for name, value in collections.items():
        if name != "posts" and (pattern := one_text(member(value, "permalink"))):
            yield name, pattern


def _jekyll_defaults(config: Configuration, source: str) -> Iterator[Defaults]:
    """Yield defaults, those of the shorter paths first, as the longer ones win."""
    entries = config.at("defaults")
    found = []
    for one in entries[:200] if isinstance(entries, list) else ():
        scope = member(one, "scope")
        values = member(one, "values")
        path = one_text(member(scope, "path")).strip("/")
        if isinstance(values, dict):
            path = f"{source}/{path}".strip("/")
            found.append(Defaults(path, one_text(member(scope, "type")), tuple(flattened(values))))
    yield from sorted(found, key=lambda one: len(one.scope))


# -- Hexo -------------------------------------------------------------------------

_NEW_POST = {
    ":year": r"(?P<year>\d{4})",
    ":month": r"(?P<month>\d{2})",
    ":i_month": r"(?P<month>\d{1,2})",
    ":day": r"(?P<day>\d{2})",
    ":i_day": r"(?P<day>\d{1,2})",
    ":title": r"(?P<rest>.+)",
    ":name": r"(?P<rest>.+)",
    ":hash": r"[0-9a-f]+",
}


def read_hexo(root: str) -> GeneratorSite:
    """Return what _config.yml says."""
    name = first_file(root, ("_config.yml", "_config.yaml", "_config.json"))
    config = Configuration().with_file(root, name) if name else Configuration()
    source = clean_folder(config.text("source_dir") or "source") or "source"
    codes = tuple(code for code in config.texts("language") if code != "default")
    permalink = config.text("permalink")
    new_post = config.text("new_post_name")
    return GeneratorSite(
        kind="hexo",
        root=root,
        base_url=_hexo_address(config, domain_of(root, f"{source}/CNAME")),
        base_path=base_path(config.text("url"), config.text("root")),
        timezone=config.text("timezone"),
        language=language_tag(codes[0]) if codes else "",
        languages=site_languages(codes, codes[0] if codes else ""),
        roots=(ContentRoot(f"{source}/_posts"), ContentRoot(source, role="page")),
        permalinks=(("", permalink if permalink.startswith("/") else f"/{permalink}"),) if permalink else (),
        future=config.flag("future"),
        drafts=config.flag("render_drafts") or False,
        defaults=author_default(person_name(config.at("author"))),
        exclude=tuple(_below(source, one) for key in ("exclude", "ignore", "skip_render") for one in config.texts(key)),
        name_dates=tuple(_hexo_dates(new_post)),
        static=(source,),
        options=options_of(
            title=config.text("title"),
            post_asset_folder=truth_text(config.flag("post_asset_folder")),
            new_post_name=new_post,
            default_category=config.text("default_category"),
            trailing_index=truth_text(config.flag("pretty_urls", "trailing_index")),
            trailing_html=truth_text(config.flag("pretty_urls", "trailing_html")),
            date_format=config.text("date_format"),
            permalink_defaults="\n".join(f"{key}={value}" for key, value in flattened(config.table("permalink_defaults"))),
            category_map="\n".join(f"{key}={value}" for key, value in flattened(config.table("category_map"))),
            tag_map="\n".join(f"{key}={value}" for key, value in flattened(config.table("tag_map"))),
        ),
        sources=config.sources,
        faults=config.faults,
    )


def _hexo_address(config: Configuration, domain: str) -> str:
    """Return `url`, else the domain, with `root` where that names a folder and `url` does not."""
    address = site_address(config.text("url")) or domain
    return address if urlsplit(address).path else site_address(address, config.text("root"))


def _hexo_dates(new_post: str) -> Iterator[str]:
    """Yield the pattern of names that `new_post_name` makes, where there are dates in them."""
    name = re.sub(r"\.\w+$", "", new_post.strip("/"))[:100]
    tokens = re.findall(r":\w+", name)
    if ":year" not in tokens or not set(tokens) <= _NEW_POST.keys():
        return
    made, seen = "^", set()
    for part in re.split(r"(:\w+)", name):
        pattern = _NEW_POST.get(part) or re.escape(part)
        group = re.match(r"\(\?P<(\w+)>", pattern)
        made += pattern if group is None else f"(?:{pattern[group.end() :]}" if group[1] in seen else pattern
        seen.add(group[1] if group else "")
    yield f"{made}$"
