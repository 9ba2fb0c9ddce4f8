"""Addresses that lead elsewhere or nowhere any more, as configuration of the servers that serve a static tree. Pure.

A table from address (decoded, with a slash) to address (encoded), or to GONE.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from .. import addresses
from ..config import Config, feed_path
from .formats import FORMATS
from .leaves import OWN

GONE = "gone"


def of_config(config: Config) -> dict[str, str]:
    """`moved` and `gone`: pages and documents, at both ways of writing an address."""
    found: dict[str, str] = {}
    moves = [*config.feeds.moved.items(), *((path, "") for path in config.feeds.gone)]
    for written, new in moves:
        for old in (written.strip("/"), feed_path(written)):
            for extension in ("", *(format.extension for format in FORMATS.values())):
                target = addresses.encode(feed_path(new)) if new else ""
                found[f"/{old}{extension}"] = f"/{target}{extension}" if new else GONE
    return found


def of_permalinks(lines: Iterable[str]) -> dict[str, str]:
    """Articles link to each other by permalink. A line is the slug of an article's page and its permalink, newest first."""
    found: dict[str, str] = {}
    for line in lines:
        slug, _, permalink = line.rpartition(" ")
        if permalink.startswith("/"):
            found.setdefault(permalink, f"/articles/{addresses.encode(slug)}")
    return found


def for_nginx(table: Mapping[str, str]) -> bytes:
    """For the `http` block. Keys compare without regard to the case of ASCII letters; `$` would begin a variable."""
    rows = sorted(table.items())
    longest = max((len(old.encode()) for old, _new in rows), default=0)
    bucket = max(128, 1 << (longest + 64).bit_length())
    lines = [
        f"map_hash_bucket_size {bucket};",
        f"map_hash_max_size {max(2048, 4 * len(rows))};",
        "map $uri $feeds_elsewhere {",
        '  default "";',
        *(f"  {_quoted(old)} {_quoted(new.replace('$', '%24'))};" for old, new in rows),
        "}",
    ]
    return ("\n".join(lines) + "\n").encode()


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def for_caddy(table: Mapping[str, str]) -> bytes:
    """For a site block."""
    lines = [
        "map {path} {feeds_elsewhere} {",
        *(f"\t{_for_caddy(old)} {_for_caddy(new)}" for old, new in sorted(table.items())),
        '\tdefault ""',
        "}",
    ]
    return ("\n".join(lines) + "\n").encode()


def as_json(table: Mapping[str, str]) -> bytes:
    """For whatever else."""
    return (json.dumps(dict(sorted(table.items())), ensure_ascii=False, indent=0) + "\n").encode()


#: Files of the table, each with its form.
FILES = {f"{OWN}/nginx.conf": for_nginx, f"{OWN}/redirects.caddy": for_caddy, f"{OWN}/redirects.json": as_json}


def _for_caddy(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("{", "\\{").replace("}", "\\}") + '"'
