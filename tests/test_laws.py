"""Who may import whom, and who owns which library (`feeds/__init__.py`, design section 3): read from the sources."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "feeds"

#: Floors of the house, lowest first; a package imports from lower floors only, so no two packages import each other.
FLOORS: list[set[str]] = [
    {"errors"},
    {"fair_share", "faults", "i18n", "logs", "model", "plugins", "private_files", "process_pool", "resources"} | {"tokens"},
    {"licences"},
    {"feed_extensions"},
    {"feed_formats"},
    {"database", "urls"},
    {"config", "counters", "selections"},
    {"audience", "store"},
    {"catalog"},
    {"syndication"},
    {"runtime", "websub"},
    {"newsletter"},
    {"audit_log", "check", "worker"},
    {"file_watch", "rescan"},
    {"admin", "monitoring"},
    {"scheduler", "web"},
    {"static"},
    {"cli"},
    {"__main__"},
]
#: What a package may ask of a lower one where not all of it is its business, by the exact module.
ALLOWED: dict[tuple[str, str], set[str]] = {
    # Readers of the index never see how files are read, and articles are asked for through these.
    ("syndication", "store"): {"store.markdown", "store.parse", "store.search_words"},
    ("syndication", "catalog"): {
        "catalog.listing",
        "catalog.pages",
        "catalog.queries",
        "catalog.related",
        "catalog.related_terms",
        "catalog.highlights",
        "catalog.search",
        "catalog.sort_key",
        "catalog.suggestions",
        "catalog.terms",
    },
    ("newsletter", "catalog"): {"catalog.queries"},
    ("web", "catalog"): {"catalog.assets", "catalog.highlights", "catalog.queries"},
}
#: Packages that know nothing of each other, whatever their floors.
STRANGERS: set[tuple[str, str]] = {
    ("newsletter", "websub"),
    ("newsletter", "audience"),
    ("newsletter", "store"),
    ("websub", "catalog"),
    ("websub", "store"),
    ("web", "database"),
    ("web", "store"),
    ("web", "rescan"),
    ("web", "static"),
}
#: Library -> modules that may import it (a package name stands for all of its modules).
OWNERS: dict[str, set[str]] = {
    "feedgen": {"feed_extensions", "feed_formats"},
    "comrak": {"store.markdown"},
    "selectolax": {"store.bodies.nodes"},
    "nh3": {"store.addresses", "store.markdown"},
    "pyroaring": {"catalog.bitmaps", "catalog.related", "catalog.search", "catalog.search_index", "database.migrations"},
    "pypinyin": {"catalog.terms"},
    "opencc": {"store.search_words"},
    "Stemmer": {"store.search_words"},
    "rapidfuzz": {"catalog.suggestions"},
    "text_unidecode": {"store.links.slugs"},
    "apscheduler": {"scheduler"},
    "watchfiles": {"file_watch"},
    "granian": {"web.server"},
    "flask": {"web", "static.pages"},
    "werkzeug": {"web", "static.pages"},
    "jinja2": {"web", "newsletter.messages"},
    "babel": {"i18n"},
    "click": {"cli"},
    "rich": {"cli"},
    "alembic": {"database"},
    "yaml": {"config.load", "store.frontmatter", "store.headers.languages"},
    "pydantic": {"config"},
    "ruamel": {"config.edit"},
    "pygal": {"web.charts"},
    "brotli": {"syndication.documents"},
    "deflate": {"store.parse", "syndication.documents"},
    "lxml": {"feed_extensions", "feed_formats", "syndication"},
    "aiohttp": {"websub.http"},
    "yarl": {"websub.http"},
    "obstore": {"static.targets"},
    "sqlalchemy": {"database", "counters", "scheduler", "store", "catalog", "audience", "syndication", "websub", "newsletter"}
    | {"runtime", "audit_log", "file_watch", "rescan", "check", "admin", "monitoring", "static"},
    "procrastinate": {"database.jobs", "worker"},
    "psycopg": {"database"},
    "dotenv": {"config.environment"},
    "itsdangerous": {"tokens"},
    "css_inline": {"newsletter.messages"},
    "idna": {"newsletter.messages"},
    "prometheus_client": {"web.views.monitoring"},
    "email_validator": {"newsletter.subscribers.email_address"},
    "flufl": {"newsletter.bounces.parser"},
    "cryptography": {"newsletter.messages.dkim"},
    "structlog": {"logs", "scheduler", "worker", "web", "cli", "newsletter", "counters", "websub"},
}
#: SQLAlchemy's makers of engines and of tables.
DDL = {"create_engine", "Table", "MetaData", "Column", "Index", "create_all"}


def _name(path: Path) -> str:
    parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@functools.cache
def syntax(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text("utf-8"))


@functools.cache
def imports(name: str) -> frozenset[str]:
    """Dotted names: `feeds.catalog.queries`, `flask`; `from x import y` gives `x.y` where that is a module of ours."""
    return frozenset(_imports(name))


def _imports(name: str) -> Iterator[str]:
    package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(syntax(name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1] if package else []
                base = ".".join(["feeds", *filter(None, above), *filter(None, [base])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner.removeprefix("feeds.") in MODULES else base


def ours(name: str) -> set[str]:
    return {found.removeprefix("feeds.") for found in imports(name) if found.startswith("feeds.")}


def room(module: str) -> str:
    return module.partition(".")[0]


def floor(module: str) -> int:
    return next(index for index, rooms in enumerate(FLOORS) if room(module) in rooms)


def owned(module: str, owners: set[str]) -> bool:
    return any(module == owner or module.startswith(f"{owner}.") for owner in owners)


def test_the_reader_of_imports_sees_what_is_there() -> None:
    assert "catalog.queries" in ours("syndication.documents") and "config.environment" in ours("runtime")
    assert "yaml" in imports("config.load") and "runtime" in ours("cli.common")
    assert len(MODULES) > 30


def is_checked(name: str) -> bool:
    return bool(name) and not name.startswith("database.migrations")


@pytest.mark.parametrize("name", [name for name in MODULES if is_checked(name)])
def test_a_module_imports_only_from_the_floors_below(name: str) -> None:
    for other in ours(name):
        if room(other) == room(name):
            continue
        assert floor(other) < floor(name), f"{name} imports {other}"
        assert (room(name), room(other)) not in STRANGERS, f"{name} imports {other}"
        allowed = ALLOWED.get((room(name), room(other)))
        assert allowed is None or other in allowed, f"{name} imports {other}, and not one of {sorted(allowed or ())}"


def test_every_package_has_a_floor_and_every_rule_names_what_there_is() -> None:
    assert {room(name) for name in MODULES if is_checked(name)} == set().union(*FLOORS)
    assert set().union(*ALLOWED.values()) <= set(MODULES)


def test_no_module_imports_itself_by_way_of_others() -> None:
    edges = {name: ours(name) - {name} for name in MODULES if is_checked(name)}
    packages = {name for name in MODULES if MODULES[name].name == "__init__.py"}
    edges = {name: {other for other in others if other not in packages} for name, others in edges.items()}
    while free := [name for name, others in edges.items() if not others & edges.keys()]:
        for name in free:
            del edges[name]
    assert edges == {}, "a circle"


@pytest.mark.parametrize("library", sorted(OWNERS))
def test_a_library_is_used_by_its_owner_only(library: str) -> None:
    users = {name for name in MODULES if library in {found.partition(".")[0] for found in imports(name)}}
    assert users, "an owner that does not use it"
    assert {name for name in users if not owned(name, OWNERS[library])} == set()


def test_the_database_is_the_only_owner_of_engines_and_tables() -> None:
    for name, tree in ((name, syntax(name)) for name in MODULES):
        if room(name) == "database":
            continue
        called = {
            node.func.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in ("sa", "sqlalchemy")
        }
        assert not called & DDL, name


def test_every_third_party_library_is_declared() -> None:
    declared = (PACKAGE.parent / "pyproject.toml").read_text("utf-8")
    assert set(OWNERS) - {"werkzeug", "yaml", "dotenv"} <= {name for name in OWNERS if f'"{name.replace("_", "-")}' in declared}
    assert '"pyyaml' in declared and '"python-dotenv' in declared  # werkzeug is Flask's own


def test_nothing_reads_the_clock_but_the_doors() -> None:
    """`now` is an argument; only doors and measurements of duration may ask what time it is."""
    for name, tree in ((name, syntax(name)) for name in MODULES):
        if room(name) in ("cli", "scheduler", "worker", "web", "check"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                asked = f"{node.value.id}.{node.attr}"
                assert asked not in ("time.time", "datetime.now", "datetime.utcnow", "date.today", "time.localtime"), (
                    name,
                    asked,
                )


def test_every_module_begins_by_saying_what_it_is() -> None:
    for name, tree in ((name, syntax(name)) for name in MODULES):
        assert name == "__main__" or ast.get_docstring(tree), name
