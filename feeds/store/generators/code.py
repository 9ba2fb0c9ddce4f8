"""Read the configuration of generators whose configuration is code: the readers of their kinds, for `generators.find_site`.

A reader takes the absolute folder that holds the marker, reads literals there, runs nothing and raises nothing. All paths that
it returns are below that folder. What code hides is named in `missing`, what cannot be read in `faults`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from ..kinds import GeneratorSite
from .astro import read_astro
from .docusaurus import read_docusaurus
from .eleventy import read_eleventy
from .pelican import read_pelican
from .vue import read_vitepress, read_vuepress

READERS: Mapping[str, Callable[[str], GeneratorSite]] = MappingProxyType(
    {
        "docusaurus": read_docusaurus,
        "astro": read_astro,
        "eleventy": read_eleventy,
        "vuepress": read_vuepress,
        "vitepress": read_vitepress,
        "pelican": read_pelican,
    }
)
