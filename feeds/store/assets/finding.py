"""Find the file of a store that a reference in an article means, for articles that are read here.

What a generator's site publishes has its address there, and keeps it: `serves` says for which references that is so. A
reference that its generator makes an address of the site from is looked for beside the article and in the static folders.
"""

from __future__ import annotations

import functools
import os
import posixpath
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote, unquote

from ..bodies.picture_sizes import Size
from ..kinds import Place
from ..links.references import BUNDLED, Reference
from ..parse_settings import ParseSettings
from ..places import is_held_back
from ..walk import is_leftover
from .kinds import kind_of
from .opening import MISSING, Asset, read_asset, read_data

#: Of one article: files, and bytes of all of them as a multiple of what one may have.
MAX_FILES, MAX_SHARES = 500, 4
#: Files of a vault among which one is looked for by its name alone.
_MAX_NAMES = 200_000
_BRACES = re.compile(r"[{|](?:static|attach|filename)[}|]")


class AssetFinder:
    """The files that the article at `place` refers to; `address` is that of the article on its site, "" for none.

    `now_ns` in nanoseconds, UTC.
    """

    def __init__(self, settings: ParseSettings, place: Place, address: str, now_ns: int) -> None:
        self.settings, self.site, self.kind = settings.assets, settings.site, settings.kind
        self.place, self.now_ns = place, now_ns
        self.root, self._folder, self._max_data = settings.root, settings.folder, settings.max_bytes
        self._is_elsewhere = bool(settings.site.base_url and address)
        #: By path below the store, and what is not published.
        self._read_files: dict[str, Asset] = {}
        self._faults: dict[str, str] = {}
        #: By address: of pictures that were found.
        self.sizes: dict[str, Size] = {}

    @property
    def assets(self) -> list[Asset]:
        """What was looked at, with the paths of the catalog."""
        found = self._read_files.values()
        return [replace(one, path=self._folder + one.path) if self._folder and one.data is None else one for one in found]

    def contained(self, written: str) -> str:
        """Return the path of the address here of a picture that the article itself contains, "" for none."""
        asset = read_data(written.strip(), self._max_data)
        return self._take(asset) if asset and len(self._read_files) < MAX_FILES else ""

    def address(self, written: str, found: Reference, *, is_picture: bool) -> str:
        """Return the path of a file's address here; "" where `written` means no file that is published."""
        text = written.strip()
        if is_picture and text[:5].lower() == "data:":
            return self.contained(text)
        if not self._serves(text, found, is_picture) or len(text) > 2000:
            return ""
        path = text.partition("#")[0].partition("?")[0]
        mark = "" if is_picture else text[len(path) :].partition("#")[2]
        candidates = list(self._candidates(unquote(path), found))
        for candidate in dict.fromkeys(one for path in candidates for one in _spellings(path)):
            if address := self._read(candidate):
                return address + (f"#{quote(mark, safe='=&,:/?-._~%')}" if mark else "")
        if is_picture and path and not path.startswith("/") and not self._is_there(candidates):
            self._faults.setdefault(path, "no file that may be published is there")
        return ""

    def notices(self) -> tuple[str, ...]:
        """Return what was referred to, is there, and is not published, in words."""
        return tuple(f"{path} is not published: {why}" for path, why in self._faults.items())

    def _is_there(self, paths: list[str]) -> bool:
        """Return whether a file is at one of some paths that nothing is published of; its fault has been noted."""
        seen = (self._read_files.get(spelled) for path in paths for spelled in _spellings(path))
        return any(one is not None and one.stamp != MISSING for one in seen)

    def _serves(self, text: str, found: Reference, is_picture: bool) -> bool:
        """Return whether files are published here that this reference may mean.

        Of an article with an address on its site only what a builder of JavaScript gives a name of its own: nobody knows it.
        """
        if self.settings is None or found.kind not in ("file", "site"):
            return False
        if self._is_elsewhere:
            return found.kind == "file" and self.kind.name in BUNDLED
        return self.settings.rooted or not (is_picture and text.startswith("/"))

    def _candidates(self, path: str, found: Reference) -> Iterator[str]:
        """Yield paths below the store at which the file may be, the most probable one first."""
        site = self.site
        folder = posixpath.dirname(site.path_of(self.place.path))
        if found.kind == "file":
            yield posixpath.normpath(found.path)
            if self.kind.name == "obsidian":
                yield from self._by_name(path)
            return
        path = _BRACES.sub("", path)
        content = self.place.root.path if self.place.root else ""
        address = unquote(found.path.partition("#")[0].partition("?")[0]).lstrip("/")
        if path.startswith("/"):
            places = [posixpath.join(one, address) for one in (*site.static, content, "")]
        else:
            beside = posixpath.splitext(posixpath.basename(self.place.path))[0]
            places = [posixpath.join(folder, path), posixpath.join(folder, beside, path)]
            places += [posixpath.join(one, address) for one in (*site.static, content)]
        for full in places:
            full = posixpath.normpath(full)
            if not full.startswith(("..", "/")):
                yield posixpath.relpath(f"/{full}", f"/{site.below}")

    def _by_name(self, path: str) -> Iterator[str]:
        """Yield files of a vault that are called so, those nearest to its top first, as Obsidian takes them."""
        name = posixpath.basename(path)
        if kind_of(name):
            yield path.lstrip("/")
            yield from _files_by_name(self.root, self.now_ns).get(name.casefold(), ())

    def _read(self, path: str) -> str:
        """Return the address of the file at `path`, if it is published; what was seen of it is noted."""
        if path not in self._read_files:
            if kind_of(posixpath.basename(path)) is None or self._is_hidden(path) or path.lower().endswith(self.kind.suffixes):
                return ""
            if len(self._read_files) >= MAX_FILES:
                return ""
            assert self.settings is not None
            left = self.settings.max_bytes * MAX_SHARES - sum(one.size for one in self._read_files.values())
            asset, fault = read_asset(self.root, path, min(self.settings.max_bytes, left), self.now_ns)
            if fault:
                self._faults[path] = fault
            self._take(asset)
        return self._address_of(self._read_files[path])

    def _is_hidden(self, path: str) -> bool:
        """Return whether nothing at a path is published. A generator's static folder may be hidden itself."""
        full = self.site.path_of(path)
        inner = next((full[len(one) + 1 :] for one in self.site.static if one and full.startswith(f"{one}/")), path)
        *folders, name = inner.split("/")
        hidden = ".." in folders or is_leftover(name) or any(is_leftover(one, folder=True) for one in folders)
        return hidden or path.startswith("../") or is_held_back(self.site, path)

    def _take(self, asset: Asset) -> str:
        self._read_files[asset.path] = asset
        if asset.pixels and asset.hash:
            self.sizes[asset.address] = asset.pixels
        return self._address_of(asset)

    @staticmethod
    def _address_of(asset: Asset) -> str:
        return asset.address if asset.hash else ""


def _spellings(path: str) -> Iterator[str]:
    """Yield a path as it is written, then as other systems write it: with backslashes, with accents apart or joined."""
    yield path
    plain = posixpath.normpath(path.replace("\\", "/"))
    yield from (plain,) if plain.isascii() else (plain, *(unicodedata.normalize(form, plain) for form in ("NFC", "NFD")))


@functools.lru_cache(maxsize=2)  # of the rescan under way: `now_ns` is its time
def _files_by_name(root: str, now_ns: int) -> dict[str, tuple[str, ...]]:
    """Return the files of a vault that may be published, by their names without case."""
    found: dict[str, list[str]] = {}
    count = 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not is_leftover(name, folder=True))
        below = os.path.relpath(folder, root)
        for name in names:
            if kind_of(name) and name.isprintable():
                found.setdefault(name.casefold(), []).append(name if below == "." else f"{below}/{name}")
                count += 1
        if count > _MAX_NAMES:
            break
    return {name: tuple(sorted(paths, key=lambda path: (path.count("/"), path))) for name, paths in found.items()}
