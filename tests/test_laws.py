"""Who may import whom, and who owns which library (`feeds/__init__.py`, design section 3): read from the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "feeds"

#: Floors of the house, lowest first; a room imports from its own floor's row below or from lower floors only.
FLOORS: list[set[str]] = [
    {"errors"},
    {"logs", "model", "share"},
    {"addresses"},
    {"config", "database", "processes", "selections", "setup"},
    {"copying", "edits", "jobs", "measures", "origins"},
    {"library"},
    {"audience", "syndication", "newsletter"},
    {"service"},
    {"schedule", "tasks", "web"},
    {"cli"},
    {"__main__"},
]
#: What departments on one floor, or rooms below, may still ask of each other, by the exact module.
ALLOWED: dict[str, set[str]] = {
    # One door for readers, and the names that resolve what an operator wrote.
    "syndication": {"library.catalog", "library.vocabulary"},
    "newsletter": {"library.catalog", "library.matching"},
}
#: Library -> modules that may import it (a package name stands for all of its modules).
OWNERS: dict[str, set[str]] = {
    "feedgen": {"syndication.formats"},
    "comrak": {"library.body"},
    "nh3": {"library.body"},
    "pyroaring": {"library.sets", "migrations"},
    "pypinyin": {"library.collation"},
    "apscheduler": {"schedule"},
    "watchfiles": {"schedule"},
    "granian": {"web.server"},
    "flask": {"web"},
    "werkzeug": {"web"},
    "jinja2": {"web", "newsletter"},
    "babel": {"web", "newsletter"},
    "click": {"cli"},
    "rich": {"cli"},
    "alembic": {"database", "migrations"},
    "yaml": {"config", "library.frontmatter"},
    "pydantic": {"config"},
    "ruamel": {"edits"},
    "pygal": {"web.operator.plots"},
    "brotli": {"syndication.documents"},
    "lxml": {"syndication"},
    "aiohttp": {"syndication.websub.wire"},
    "yarl": {"syndication.websub.wire"},
    "obstore": {"syndication.bucket"},
    "sqlalchemy": {"copying", "database", "jobs", "measures", "schedule", "migrations"}
    | {"library", "audience", "syndication", "newsletter", "service"},
    "procrastinate": {"jobs", "tasks"},
    "psycopg": {"database"},
    "dotenv": {"config"},
    "itsdangerous": {"newsletter.tokens"},
    "css_inline": {"newsletter.forms"},
    "idna": {"newsletter.mime"},
    "prometheus_client": {"web.metrics"},
    "email_validator": {"newsletter.mailboxes"},
    "flufl": {"newsletter.reports"},
    "cryptography": {"newsletter.dkim"},
    "structlog": {"logs", "schedule", "tasks", "web", "cli", "newsletter", "service", "syndication.websub"},
}
#: SQLAlchemy's makers of engines and of tables.
DDL = {"create_engine", "Table", "MetaData", "Column", "Index", "create_all"}


def _name(path: Path) -> str:
    parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}


def imports(name: str) -> Iterator[str]:
    """Dotted names: `feeds.library.catalog`, `flask`; `from x import y` gives `x.y` where that is a module of ours."""
    package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(TREES[name]):
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
    assert "library.catalog" in ours("syndication.documents") and "config" in ours("service")
    assert "yaml" in set(imports("config")) and "service" in ours("cli")
    assert len(MODULES) > 30


@pytest.mark.parametrize("name", [name for name in MODULES if name and not name.startswith("migrations")])
def test_a_module_imports_only_from_the_floors_below(name: str) -> None:
    for other in ours(name):
        if room(other) == room(name):
            continue
        assert floor(other) < floor(name), f"{name} imports {other}"
        if room(other) == "library" and room(name) in ALLOWED:
            assert other in ALLOWED[room(name)], f"{name} imports {other}, and {room(name)} reads through library.catalog"


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) == "web"])
def test_the_web_asks_the_service_and_no_department(name: str) -> None:
    assert not {room(other) for other in ours(name)} & {"library", "database", "audience"}, ours(name)


def test_rooms_of_the_library_do_not_import_in_a_circle() -> None:
    for package in ("library", "audience", "syndication", "newsletter", "service", "web", "cli"):
        edges = {
            name: {o for o in ours(name) if room(o) == package and o != package} for name in MODULES if room(name) == package
        }
        edges.pop(package, None)
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
    for name, tree in TREES.items():
        if name == "database" or name.startswith("migrations"):
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
    for name, tree in TREES.items():
        if room(name) in ("cli", "schedule", "tasks", "web") or name == "service.check":
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                asked = f"{node.value.id}.{node.attr}"
                assert asked not in ("time.time", "datetime.now", "datetime.utcnow", "date.today", "time.localtime"), (
                    name,
                    asked,
                )


def test_every_module_begins_by_saying_what_it_is() -> None:
    for name, tree in TREES.items():
        assert name == "__main__" or ast.get_docstring(tree), name
