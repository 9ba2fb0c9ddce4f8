"""Imitations of real stores, each with what its own generator publishes: `cases/*/expected.json` says what each file is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from feeds import check
from feeds.check import Findings

from ..conftest import Site

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.parent.name for path in CASES.glob("*/expected.json"))
#: What `expected.json` may say of an article, besides its state.
SAID = ("title", "date", "updated", "tags", "categories", "authors", "translators", "reviewers", "original", "aliases")


def expected(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CASES / name / "expected.json").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def portraits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Findings, dict[str, Any]]]:
    """What `feeds check` says of each case, with nothing in site.yaml but the folder."""
    site = Site(tmp_path_factory.mktemp("cases") / "site")
    found = {}
    for name in NAMES:
        folder = site.root / name
        shutil.copytree(CASES / name, folder)
        (folder / "expected.json").unlink()
        # What has no generator has the zone of this service; the others have their own, whatever this one's is.
        wanted = expected(name)
        zone = wanted["timezone"] if wanted["kind"] in ("auto", "plain", "obsidian") else "Asia/Tokyo"
        # Where articles are read does not stand in these configurations: a line that `feeds check` asks for.
        store = {"path": str(folder), **({"site": wanted["base_url"]} if name in ("eleventy", "vuepress") else {})}
        site.settle("site.yaml", store=store, article_url="", image_url="", timezone=zone)
        said = check.check(site.environment)
        assert said.portraits and said.site, (name, said.problems)
        found[name] = (said, said.portraits[0].as_json(said.site))
    site.remove()
    return found


FILES = [(name, path) for name in NAMES for path in expected(name)["files"]]


@pytest.mark.parametrize(("name", "path"), FILES, ids=[f"{name}/{path}" for name, path in FILES])
def test_a_file_is_what_its_generator_makes_of_it(
    name: str, path: str, portraits: dict[str, tuple[Findings, dict[str, Any]]]
) -> None:
    wanted, row = expected(name)["files"][path], portraits[name][1]["files"].get(path)
    assert row is not None, "no word about this file"
    assert row["state"] == wanted["state"], row
    if wanted["state"] != "published":
        assert row["reason"]
        return
    for field in SAID:
        value = wanted.get(field)
        if value is None and field not in ("updated",):
            continue
        if field == "date" and not str(value)[:1].isdigit():
            continue  # by git or by when it was seen: test_dates_stay
        assert row.get(field) == value, field
    if wanted["link"] == "own page":
        assert row["link"].startswith("https://feeds.example/articles/")
    elif wanted["link"].startswith("https://"):
        assert row["link"] == wanted["link"]
    if (language := wanted.get("language")) is not None:
        assert row["language"] == language
    if (picture := wanted["picture"]) != "*":
        alternative = wanted.get("note", "").partition("picture_alternative accepted: ")[2]
        assert row["picture"] in (picture, alternative or picture)


@pytest.mark.parametrize("name", NAMES)
def test_the_kind_is_found_by_itself(name: str, portraits: dict[str, tuple[Findings, dict[str, Any]]]) -> None:
    portrait = portraits[name][1]
    if (kind := expected(name)["kind"]) != "auto":
        assert portrait["kind"] == kind, portrait["why"]
    assert portrait["why"]


@pytest.mark.parametrize("name", NAMES)
def test_no_file_is_passed_over_in_silence(name: str, portraits: dict[str, tuple[Findings, dict[str, Any]]]) -> None:
    rows = portraits[name][1]["files"]
    for path in sorted(CASES.joinpath(name).rglob("*")):
        if path.suffix.lower() in (".md", ".markdown", ".mdx"):
            assert path.relative_to(CASES / name).as_posix() in rows


@pytest.mark.parametrize("name", [name for name in NAMES if "published" in str(expected(name)["files"])])
def test_only_what_a_publisher_should_mend_is_a_fault(name: str, portraits: dict[str, tuple[Findings, dict[str, Any]]]) -> None:
    faults = {problem.path for problem in portraits[name][0].problems if problem.kind not in ("hint",)}
    quarantined = {path for path, file in expected(name)["files"].items() if file["state"] == "quarantined"}
    assert {path for path in faults if path.endswith((".md", ".mdx", ".markdown"))} == {
        path for path in faults if any(path.endswith(one) for one in quarantined)
    }
