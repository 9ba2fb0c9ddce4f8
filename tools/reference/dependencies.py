"""docs/reference/dependencies.md: every package that an installation has, under which licence, and what for.

A package that the locks bring and this list does not know is an error, and so is a line without a package.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from .words import Unexplained

ROOT = Path(__file__).resolve().parents[2]
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)

#: In SPDX words. Each package is a work of its own that is installed beside this one: the LGPL only asks that it can be
#: replaced.
LICENCES = frozenset(
    "MIT MIT-0 BSD-2-Clause BSD-3-Clause Apache-2.0 ISC PSF-2.0 Unlicense LGPL-3.0-or-later LGPL-3.0-only MPL-2.0 "
    "Artistic-1.0-Perl".split()
)

#: What the lock brings: (licence, what for).
PACKAGES: Mapping[str, tuple[str, str]] = {
    "aiohappyeyeballs": ("PSF-2.0", "of aiohttp: connecting over IPv4 and IPv6"),
    "aiohttp": ("Apache-2.0 AND MIT", "calls to WebSub subscribers"),
    "aiosignal": ("Apache-2.0", "of aiohttp"),
    "alembic": ("MIT", "migrations of the database"),
    "annotated-types": ("MIT", "of pydantic"),
    "anyio": ("MIT", "of watchfiles"),
    "apscheduler": ("MIT", "the clock"),
    "asgiref": ("BSD-3-Clause", "of Procrastinate"),
    "atpublic": ("Apache-2.0", "of flufl.bounce"),
    "attrs": ("MIT", "of aiohttp"),
    "babel": ("BSD-3-Clause", "names of time zones, and at build time the words of pages and mails"),
    "blinker": ("MIT", "of Flask"),
    "brotli": ("MIT", "compression of documents"),
    "cffi": ("MIT-0", "of cryptography"),
    "click": ("BSD-3-Clause", "commands"),
    "comrak": ("MIT", "Markdown"),
    "croniter": ("MIT", "of Procrastinate"),
    "cryptography": ("Apache-2.0 OR BSD-3-Clause", "DKIM signatures"),
    "css-inline": ("MIT", "styles of digests"),
    "deflate": ("MIT", "compression of documents as gzip"),
    "dnspython": ("ISC", "of email-validator; asks no DNS here"),
    "email-validator": ("Unlicense", "addresses of subscribers"),
    "feedgen": ("BSD-2-Clause OR LGPL-3.0-or-later", "Atom and RSS"),
    "flask": ("BSD-3-Clause", "HTTP"),
    "flufl-bounce": ("Apache-2.0", "reports of mail servers"),
    "frozenlist": ("Apache-2.0", "of aiohttp"),
    "granian": ("BSD-3-Clause", "the web server"),
    "idna": ("BSD-3-Clause", "international domains"),
    "importlib-metadata": ("Apache-2.0", "of pygal"),
    "itsdangerous": ("BSD-3-Clause", "signed links"),
    "jinja2": ("BSD-3-Clause", "templates"),
    "lazy-importer": ("Apache-2.0", "of importlib-metadata"),
    "lxml": ("BSD-3-Clause", "XML"),
    "mako": ("MIT", "of Alembic"),
    "markdown-it-py": ("MIT", "of Rich"),
    "markupsafe": ("BSD-3-Clause", "of Jinja2"),
    "mdurl": ("MIT", "of Rich"),
    "multidict": ("Apache-2.0", "of aiohttp"),
    "nh3": ("MIT", "sanitising of HTML"),
    "opencc": ("Apache-2.0", "Traditional characters as Simplified, for search"),
    "packaging": ("Apache-2.0 OR BSD-2-Clause", "of several"),
    "procrastinate": ("MIT", "extra `scale`: jobs of many machines"),
    "prometheus-client": ("Apache-2.0 AND BSD-2-Clause", "figures for monitors"),
    "propcache": ("Apache-2.0", "of aiohttp"),
    "psycopg": ("LGPL-3.0-only", "extras `postgresql` and `scale`: PostgreSQL"),
    "psycopg-binary": ("LGPL-3.0-only", "of psycopg: its part in C"),
    "psycopg-pool": ("LGPL-3.0-only", "extra `scale`"),
    "pycparser": ("BSD-3-Clause", "of cffi"),
    "pydantic": ("MIT", "settings"),
    "pydantic-core": ("MIT", "of pydantic"),
    "pygal": ("LGPL-3.0-or-later", "plots of the console"),
    "pygments": ("BSD-2-Clause", "colours of code on pages"),
    "pypinyin": ("MIT", "order of Han characters"),
    "pyroaring": ("MIT", "sets of articles"),
    "pystemmer": ("MIT OR BSD-3-Clause", "stems of English words, for search"),
    "python-dateutil": ("Apache-2.0 OR BSD-3-Clause", "of feedgen"),
    "python-dotenv": ("BSD-3-Clause", "settings of the environment in a file"),
    "pyyaml": ("MIT", "front matter and settings"),
    "rapidfuzz": ("MIT", "what a search may have meant"),
    "rich": ("MIT", "tables and bars on terminals"),
    "ruamel-yaml": ("MIT", "feeds.yaml, changed by the console"),
    "selectolax": ("MIT", "the tree of a body, by lexbor"),
    "sqlalchemy": ("MIT", "the database"),
    "structlog": ("MIT OR Apache-2.0", "logs"),
    "text-unidecode": ("Artistic-1.0-Perl", "addresses of Pelican, which are in ASCII"),
    "typing-extensions": ("PSF-2.0", "of several"),
    "typing-inspection": ("MIT", "of pydantic"),
    "tzdata": ("Apache-2.0", "time zones"),
    "tzlocal": ("MIT", "of APScheduler"),
    "watchfiles": ("MIT", "a bell where files change"),
    "werkzeug": ("BSD-3-Clause", "of Flask"),
    "yarl": ("Apache-2.0", "addresses of WebSub callbacks"),
    "zipp": ("MIT", "of importlib-metadata"),
}
#: What extras bring that the lock has not.
EXTRAS: Mapping[str, Mapping[str, tuple[str, str]]] = {"s3": {"obstore": ("MIT", "export into a bucket")}}


def pinned(lock: str) -> set[str]:
    """Names of packages in a file of locks, each pinned to one version by its hashes."""
    return set(_PINNED.findall((ROOT / lock).read_text("utf-8")))


def declared() -> tuple[set[str], dict[str, set[str]]]:
    """What pyproject.toml asks for by itself, and by each extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = {name: set(map(_name, wanted)) for name, wanted in project.get("optional-dependencies", {}).items()}
    return set(map(_name, project["dependencies"])), extras


def _name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]).lower()


def page() -> str:
    _check("requirements.lock", pinned("requirements.lock"), set(PACKAGES))
    own, extras = declared()
    for name, wanted in extras.items():
        _check(f"the extra {name}", wanted - set(PACKAGES), set(EXTRAS.get(name, {})))
    lines = [*_INTRODUCTION, *_table(PACKAGES, own)]
    for name, packages in sorted(EXTRAS.items()):
        lines += ["", f"## Extra `{name}`", "", *_table(packages, extras[name])]
    return "\n".join(lines) + "\n"


def _check(where: str, there: set[str], known: set[str]) -> None:
    for name in sorted(there ^ known):
        what = "has no line" if name in there else "is not there any more"
        raise Unexplained(f"{name} of {where} {what} in tools/reference/dependencies.py: licence, and what it is for")


def _table(packages: Mapping[str, tuple[str, str]], own: set[str]) -> Iterator[str]:
    """Packages that the project asks for itself are bold."""
    yield from ("| package | licence | what for |", "|---|---|---|")
    for name, (licence, what) in packages.items():
        yield f"| {f'**{name}**' if name in own else name} | {licence} | {what} |"


_INTRODUCTION = """\
# Dependencies

Written from the locks by `make reference`: every package of an installation, the ones that the project asks for itself in
bold. Each is pinned to one version by its hashes (`requirements.lock`; `requirements-dev.lock` for tests and tools), and
pip is told to take nothing else. A new one without a line here, or under a licence that does not go with the MIT licence of
this project, fails a test. None is copied into the project: they are installed beside it, so that those under the LGPL can
be replaced.

`make audit` checks all that without the network. `make advisories` asks the public advisory service about every pinned
version; it needs the internet, and is no part of the tests.
""".splitlines()
