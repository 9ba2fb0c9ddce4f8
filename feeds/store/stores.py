"""Take the stores of a site as one: the paths and ids of each begin with its prefix, where there are several.

A store without a prefix is as it would be alone, so that a site with one store gets others without any article changing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from ..model import Problem
from . import git_dates
from .generators.find import REMEMBERED, find_site
from .git_dates import DateChanges
from .kinds import GeneratorSite
from .parse_settings import ParseSettings, store_options
from .places import bundle_folders
from .walk import Listing, list_files

if TYPE_CHECKING:
    from ..config.models import Config

#: Why no file of a store without a prefix may lie in a folder of this name.
_TAKEN = "a folder that is called by the prefix of another store is not read; rename it, or take another prefix"


def find_sites(config: Config, kinds: Mapping[str, str]) -> tuple[GeneratorSite, ...]:
    """Return what kind each store is: the one that it was before, unless a generator's own files say otherwise.

    `kinds`: folder -> kind, as the last rescan found it.
    """
    found = []
    for store in config.site.stores:
        options, remembered = store_options(store), kinds.get(store.path, "")
        site = find_site(store.path, options, remembered)
        if options.kind == "auto" and not site.sources and remembered not in ("", site.kind):
            site = replace(find_site(store.path, replace(options, kind=remembered)), why=REMEMBERED)
        found.append(site)
    return tuple(found)


def with_addresses(config: Config, sites: Sequence[GeneratorSite]) -> Config:
    """Return the configuration with articles where their own sites have them, unless it says itself where they are read.

    Articles of a store with a prefix have whole addresses.
    """
    if config.site.article_url or all(site.kind == "archive" for site in sites):
        return config
    base = next((site.base_url for site in sites if not site.prefix and site.kind != "archive"), "")
    return config.model_copy(update={"site": config.site.model_copy(update={"article_url": f"{base}{{permalink}}"})})


@dataclass(frozen=True, slots=True)
class Stores:
    """The settings of each store, in the order of site.yaml."""

    parts: tuple[ParseSettings, ...]

    @classmethod
    def from_config(cls, config: Config, sites: Sequence[GeneratorSite]) -> Stores:
        """Return the stores of a configuration, of which `sites` are the kinds. Raises StoreError."""
        pairs = zip(config.site.stores, sites, strict=True)
        return cls(tuple(ParseSettings.from_config(config, store, site) for store, site in pairs))

    @property
    def key(self) -> str:
        """The key of stored results: it differs wherever the same file might be parsed to something else."""
        return "+".join(part.key for part in self.parts)

    @property
    def reads_dates(self) -> bool:
        """Whether articles have git's dates, which is one setting for all stores."""
        return any(part.dates for part in self.parts)

    def of(self, path: str) -> ParseSettings:
        """Return the store of a file of the catalog, which the first folder of its path tells."""
        return next((part for part in self.parts if part.folder and path.startswith(part.folder)), self._plain)

    @property
    def _plain(self) -> ParseSettings:
        return next((part for part in self.parts if not part.folder), self.parts[0])

    def grouped(self, paths: Iterable[str]) -> Iterator[tuple[ParseSettings, list[str]]]:
        """Yield each store with those of the paths that are its own, if there are any."""
        if len(self.parts) == 1:
            found = {self.parts[0].folder: list(paths)}
        else:
            found = {}
            for path in paths:
                found.setdefault(self.of(path).folder, []).append(path)
        return ((part, found[part.folder]) for part in self.parts if found.get(part.folder))

    def kinds_of(self, paths: Iterable[str]) -> dict[str, str]:
        """Return folder -> kind of the stores that any of the paths belongs to: of an empty folder nothing is known."""
        return {part.root: part.site.kind for part, _paths in self.grouped(paths)}

    def list_files(self) -> Listing:
        """Return the files of all stores. Raises StoreError where one is missing."""
        taken = tuple(part.folder for part in self.parts if part.folder)
        listings = [(part, list_files(os.path.realpath(part.root), part.suffixes)) for part in self.parts]
        if not taken:
            return listings[0][1]
        found = Listing()
        for part, listing in listings:
            for path, stamp in listing.files.items():
                if part.folder or not path.startswith(taken):
                    found.files[part.folder + path] = stamp
            if not part.folder:
                hidden = {path.partition("/")[0] for path in listing.files if path.startswith(taken)}
                listing.problems += [Problem(name, 0, 0, _TAKEN, "store") for name in sorted(hidden)]
            found.problems += [replace(problem, path=part.folder + problem.path) for problem in listing.problems]
            found.unreadable += [part.folder + path for path in listing.unreadable]
            found.ignored += listing.ignored
        return found

    def bundle_folders(self, paths: Iterable[str]) -> frozenset[str]:
        """Return the folders that are one article each, by the paths of all files (`places.bundle_folders`)."""
        found: set[str] = set()
        for part, own in self.grouped(paths):
            folders = bundle_folders(part.site, (path.removeprefix(part.folder) for path in own))
            found |= {part.folder + folder for folder in folders} if part.folder else folders
        return frozenset(found)

    def find_date_changes(self, connection: sa.Connection, mark: str, *, everything: bool = False) -> DateChanges:
        """Compare git's dates with the catalog's, in the repository of each store (`git_dates.find_date_changes`)."""
        if not self.reads_dates:
            return DateChanges()
        marks, found = git_dates.split_mark(mark), {}
        for part in self.parts:
            others = tuple(one.folder for one in self.parts if one.folder and one is not part)
            found[part.folder] = git_dates.find_date_changes(
                connection,
                os.path.realpath(part.root),
                marks.get(part.folder, ""),
                everything=everything,
                folder=part.folder,
                others=others,
            )
        return git_dates.join_changes(found)
