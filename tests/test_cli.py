"""The operator's verbs as a program: exit status, JSON as the contract has it, answers on stdout and the rest on stderr."""

from __future__ import annotations

import gzip
import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import brotli
import click
import pytest
from click.testing import CliRunner
from lxml import etree

from feeds.audience import requests
from feeds.audience.requests import Batch, Counts
from feeds.cli import main
from feeds.syndication import editions, lookup

from . import forking

Result = subprocess.CompletedProcess[str]
COMMANDS = (
    "serve",
    "health",
    "clock",
    "worker",
    "backup",
    "restore",
    "rescan",
    "check",
    "status",
    "migrate",
    "list",
    "show",
    "opml",
    "export",
    "init",
    "bounces",
    "completion",
)
GROUPS = {
    "digest": {"plan", "preview", "send", "status", "retry", "pause", "resume", "cancel"},
    "subscribers": {"add", "import", "export", "list", "erase"},
}
WITH_CONFIG = [name for name in COMMANDS if name not in ("init", "completion")]


def verbs() -> list[tuple[str, ...]]:
    return [(name,) for name in COMMANDS] + [(group, verb) for group in GROUPS for verb in sorted(GROUPS[group])]


def feeds(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> Result:
    """The program in a process of its own, in a pipe."""
    command = [sys.executable, "-m", "feeds", *map(str, arguments)]
    return forking.run(command, capture_output=True, text=True, cwd=cwd, timeout=60, env={**os.environ, **environment})


def invoke(*arguments: str | Path) -> Any:
    """The same in this process, which is quicker."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def config(site: Any) -> Path:
    """Three good articles and nothing published yet."""
    for number, tags in enumerate((["Linux", "C++"], ["Linux"], ["once"]), start=1):
        site.write(f"{number}.md", tags=tags, translator="geekpi", title=f"Title {number}")
    folder: Path = site.config_dir
    return folder


@pytest.fixture
def published(site: Any, config: Path) -> Path:
    site.rescan()
    return config


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have a site of their own."""
    for name in [name for name in os.environ if name.startswith("FEEDS_")]:
        monkeypatch.delenv(name)


# -- help and usage --------------------------------------------------------


def test_there_is_a_command_for_each_verb_and_all_are_listed() -> None:
    context = click.Context(main)
    assert set(main.list_commands(context)) == {*COMMANDS, *GROUPS}
    text = invoke("--help").stdout
    for name in (*COMMANDS, *GROUPS):
        assert f"\n  {name}" in text
    for group, names in GROUPS.items():
        found = main.get_command(context, group)
        assert isinstance(found, click.Group) and set(found.commands) == names


@pytest.mark.parametrize("words", verbs(), ids=" ".join)
def test_every_command_explains_itself_and_each_of_its_options(words: tuple[str, ...]) -> None:
    found = invoke(*words, "--help")
    assert found.exit_code == 0
    assert found.stdout.startswith("Usage:")
    command: click.Command = main
    for word in words:
        assert isinstance(command, click.Group)
        inner = command.get_command(click.Context(command), word)
        assert inner is not None
        command = inner
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden and parameter.name != "port":
            assert parameter.help, f"{words} {parameter.name}"
    assert invoke(*words, "-h").stdout == found.stdout


def test_help_is_quick_and_needs_no_configuration(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "feeds", "--help"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (found.returncode, found.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["rescan", "--nonsense"],
        ["rescan", "surplus"],
        ["show"],
        ["export"],
        ["init"],
        ["serve", "--port", "0"],
        ["serve", "--port", "x"],
        ["serve", "--workers", "0"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2(arguments: list[str]) -> None:
    found = invoke(*arguments)
    assert found.exit_code == 2
    assert "Usage:" in found.stderr
    assert found.stdout == ""


@pytest.mark.parametrize("name", WITH_CONFIG)
def test_a_folder_without_configuration_is_named_in_one_line(tmp_path: Path, name: str) -> None:
    extra = {"show": ["all.atom"], "export": [tmp_path / "out"], "backup": ["f"], "restore": ["f"]}.get(name, [])
    found = invoke(name, "--config", tmp_path / "nothing", *extra)
    assert found.exit_code == 1
    assert found.stdout == ""
    assert found.stderr.startswith(f"feeds: {tmp_path / 'nothing'}: no such folder")
    assert found.stderr.count("\n") == 1


# -- rescan, check, status -------------------------------------------------


def test_rescan_says_in_json_what_the_contract_names(site: Any, config: Path) -> None:
    site.write("bad.md", "no front matter")
    first = feeds("rescan", "--config", config, "--json")
    assert first.returncode == 0, first.stderr
    report = json.loads(first.stdout)
    assert {"articles", "added", "changed", "removed", "unchanged", "quarantined", "seconds"} <= report.keys()
    assert (report["articles"], report["added"], report["quarantined"]) == (3, 3, 1)
    site.write("1.md", tags=["Linux"], title="Edited")
    (site.store / "3.md").unlink()
    second = json.loads(feeds("rescan", "--config", config, "--json").stdout)
    assert [second[name] for name in ("articles", "added", "changed", "removed", "unchanged")] == [2, 0, 1, 1, 1]
    third = json.loads(feeds("rescan", "--config", config, "--json").stdout)
    assert [third[name] for name in ("articles", "added", "changed", "removed", "unchanged")] == [2, 0, 0, 0, 2]
    full = json.loads(feeds("rescan", "--full", "--config", config, "--json").stdout)
    assert [full[name] for name in ("articles", "added", "changed", "removed")] == [2, 0, 0, 0]


def test_rescan_names_files_in_quarantine_with_their_places(site: Any, config: Path) -> None:
    site.write("deep/bad.md", "---\ntitle: [\n---\n")
    found = feeds("rescan", "--config", config)
    assert found.returncode == 0
    assert "3 articles (3 added" in found.stdout
    assert "deep/bad.md:" in found.stderr
    assert "Traceback" not in found.stderr


def test_rescan_with_a_bad_configuration_goes_on_with_the_last_good_one_and_fails(site: Any, published: Path) -> None:
    site.set("feeds.yaml", "colour: red\n")
    site.write("4.md", tags=["new"])
    found = feeds("rescan", "--config", published, "--json")
    assert found.returncode == 1
    assert json.loads(found.stdout)["added"] == 1
    assert f"{published / 'feeds.yaml'}:1:1: colour: unknown setting" in found.stderr


def test_a_store_that_is_missing_fails_and_keeps_what_is_published(site: Any, published: Path) -> None:
    site.store.rename(site.root / "away")
    found = feeds("rescan", "--config", published)
    assert found.returncode == 1
    assert str(site.store) in found.stderr
    assert len(json.loads(feeds("list", "--config", published, "--json").stdout)) > 3


def test_check_finds_nothing_where_nothing_is_wrong_and_touches_nothing(site: Any, config: Path) -> None:
    found = feeds("check", "--config", config, "--json")
    assert found.returncode == 0, found.stdout
    said = json.loads(found.stdout)
    assert said["ok"] is True and said["problems"] == [] and said["ignored"] == 0 and "hints" not in said
    assert site.runtime.read(editions.load_generation) == -1


@pytest.mark.parametrize(
    ("file", "text", "place"),
    [
        ("site.yaml", "title: x\nbase_url: ftp://x\n", "site.yaml:2:11: base_url: expected an address"),
        ("site.yaml", "titel: x\n", "site.yaml:1:1: titel: unknown setting"),
        ("site.yaml", "title: [\n", "site.yaml:2:1: not YAML"),
        ("site.yaml", "timezone: Mars/Olympus\n", "site.yaml:1:11: timezone: no time zone"),
        ("feeds.yaml", "facets:\n  tag: {limit: 0}\n", "feeds.yaml:2:16: facets.tag.limit:"),
        ("feeds.yaml", "facets: {colour: {}}\n", "feeds.yaml:1:9: facets: no facet is called 'colour'"),
        ("feeds.yaml", "gone: [nonsense]\n", "feeds.yaml:1:8: moved/gone: 'nonsense' is no feed's address"),
    ],
)
def test_check_names_a_fault_of_the_configuration_by_file_line_and_column(
    site: Any, config: Path, file: str, text: str, place: str
) -> None:
    site.set(file, text)
    found = feeds("check", "--config", config)
    assert found.returncode == 1
    assert str(config / place) in found.stdout


def test_check_hints_at_a_setting_of_the_last_release_and_finds_no_fault(site: Any, config: Path) -> None:
    site.set("newsletter.yaml", "enabled: false\nbounces: {soft_days: 10}\n")
    text = feeds("check", "--config", config)
    assert text.returncode == 0 and text.stderr == "no faults\n"
    assert f"\n{config}/newsletter.yaml:2:11: bounces.soft_days: no longer a setting" in text.stdout
    found = json.loads(feeds("check", "--config", config, "--json").stdout)
    assert found["ok"] is True and found["problems"] == []
    assert [hint["line"] for hint in found["hints"]] == [2]


def test_check_counts_what_was_left_out_and_lists_it_article_by_article(site: Any, config: Path) -> None:
    for number in range(1, 6):
        site.write(f"film-{number}.md", body='<iframe src="https://player.example.org/1"></iframe>\n\n' * number)
    site.write("script.md", body="words <script>alert(1)</script> <svg><path/></svg>")
    text = feeds("check", "--config", config)
    assert text.returncode == 0
    assert "17 places in 6 articles left out or mended" in text.stdout
    assert "noticed      <iframe>: a link instead (5 articles)" in text.stdout, "how often does not tell articles apart"
    assert "... and 2 more files: <iframe>: a link instead" in text.stdout
    said = feeds("check", "--config", config, "--verbose").stdout
    assert "more files" not in said
    assert f"{site.store}/film-1.md\n    <iframe>: a link instead\n{site.store}/film-2.md\n" in said
    assert f"{site.store}/film-5.md\n    <iframe>: a link instead (5)\n" in said
    lines = said.partition(f"{site.store}/script.md\n")[2].splitlines()[:2]
    assert sorted(lines) == ["    <script>: left out", "    <svg>: left out"]
    rows = json.loads(feeds("check", "--config", config, "--json").stdout)["files"]
    changes = {Path(path).name: row.get("changes") for path, row in rows.items()}
    assert changes["film-5.md"] == {"<iframe>: a link instead": 5}
    assert changes["1.md"] is None


def test_check_names_every_fault_at_once_in_text_and_json(site: Any, config: Path) -> None:
    site.write("bad.md", "---\ntitle: [\n---\n")
    site.write("binary.md", b"---\ntitle: \xff\n---\n")
    text = feeds("check", "--config", config)
    assert text.returncode == 1
    found = feeds("check", "--config", config, "--json")
    assert found.returncode == 1
    answer = json.loads(found.stdout)
    assert answer["ok"] is False
    assert [set(problem) for problem in answer["problems"]] == [{"path", "line", "column", "reason"}] * 2
    for problem in answer["problems"]:
        assert Path(problem["path"]).is_file()
        assert f"{problem['path']}:{problem['line']}:{problem['column']}: {problem['reason']}" in text.stdout
    assert "2 faults" in text.stderr


def test_status_holds_all_that_rescan_reports_and_the_quarantine(site: Any, config: Path) -> None:
    site.write("bad.md", "nothing")
    feeds("rescan", "--config", config)
    answer = json.loads(feeds("status", "--config", config, "--json").stdout)
    assert {"articles", "added", "changed", "removed", "unchanged", "quarantined", "seconds"} <= answer.keys()
    assert (answer["articles"], answer["quarantined"]) == (3, 1)
    assert [problem["path"] for problem in answer["problems"]] == ["bad.md"]
    text = feeds("status", "--config", config)
    assert text.returncode == 0
    assert "3 articles" in text.stdout
    assert "bad.md:1:1:" in text.stdout


def test_status_shows_who_asked_for_what_lately(site: Any, config: Path) -> None:
    site.rescan()
    text = feeds("status", "--config", config)
    assert "requests" not in text.stdout, "nothing to tell, nothing told"
    day = int(time.time()) // 86400 + 719_163
    counts = {(day, "tags/内核", "atom"): Counts(200, 150, 2, 3_000_000), (day, "all", "rss"): Counts(4, 0, 0, 400_000)}
    site.runtime.count(requests.add_batch, Batch(counts, {(day, "all", "Feedly", ".rss"): 12}))
    text = feeds("status", "--config", config).stdout
    assert "last 7 days: 204 requests, 74% unchanged, 2 refused, 3.4 MB, 12 readers reported (12 by Feedly)" in text
    assert "tags/内核  200 requests, 75% unchanged" in text
    answer = json.loads(feeds("status", "--config", config, "--json").stdout)["audience"]
    assert (answer["days"], answer["requests"], answer["bytes"], answer["readers"]) == (7, 204, 3_400_000, 12)
    assert [row["path"] for row in answer["feeds"]] == ["tags/内核", "all"]
    assert answer["feeds"][0]["formats"] == {"atom": 200} and answer["aggregators"] == {"Feedly": 12}


def test_status_of_a_site_that_was_never_rescanned_is_no_fault(config: Path) -> None:
    answer = feeds("status", "--config", config, "--json")
    assert answer.returncode == 0
    assert json.loads(answer.stdout)["articles"] == 0


def test_migrate_can_be_repeated(config: Path) -> None:
    for _ in range(2):
        found = feeds("migrate", "--config", config)
        assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("already at ")


# -- list, show, opml ------------------------------------------------------


def test_list_says_in_json_what_the_contract_names(published: Path) -> None:
    rows = json.loads(invoke("list", "--config", published, "--json").stdout)
    by_path = {row["path"]: row for row in rows}
    assert set(by_path) == {"all", "tags/Linux", "tags/C++", "tags/once", "translators/geekpi"}
    assert {"path", "title", "articles", "updated", "selection"} <= by_path["tags/Linux"].keys()
    assert by_path["tags/Linux"]["selection"] == {"tag": ["Linux"]}
    assert by_path["translators/geekpi"]["selection"] == {"translator": ["geekpi"]}
    assert by_path["all"]["selection"] == {}
    assert by_path["tags/Linux"]["articles"] == 2
    assert by_path["tags/Linux"]["updated"] == "2020-01-01T19:04:05+00:00"


def test_list_of_a_named_feed_shows_its_selection_as_it_is_written(site: Any, config: Path) -> None:
    select = "{tag: [Linux], all: {tag: [C++]}, not: {translator: [nobody]}}"
    site.set("feeds.yaml", f"feeds:\n  - name: mine\n    title: Mine\n    select: {select}\n")
    site.rescan()
    rows = json.loads(invoke("list", "--config", config, "--json").stdout)
    selection = next(row["selection"] for row in rows if row["path"] == "feeds/mine")
    assert selection == {"tag": ["Linux"], "all": {"tag": ["C++"]}, "not": {"translator": ["nobody"]}}


def test_list_for_people_has_a_line_for_each_feed(published: Path) -> None:
    lines = invoke("list", "--config", published).stdout.splitlines()
    assert len(lines) == 5
    assert lines[0].split()[0] == "all"


@pytest.mark.parametrize("format", ["atom", "rss", "json"])
def test_show_prints_the_bytes_of_a_document(site: Any, published: Path, format: str) -> None:
    from feeds.feed_formats import load_formats

    found = CliRunner().invoke(main, ["show", f"tags/C++.{format}", "--config", str(published)])
    assert found.exit_code == 0
    assert (
        found.stdout_bytes
        == site.runtime.read(lookup.find_document, site.runtime.edition(), "tags/C++", load_formats()[format]).body
    )
    assert found.stderr == ""


def test_show_understands_another_spelling_and_says_where_the_feed_is(published: Path) -> None:
    found = invoke("show", "/tags/LINUX.atom", "--config", published)
    assert found.exit_code == 0
    assert "feeds: /tags/LINUX is at /tags/Linux" in found.stderr
    assert found.stdout.startswith("<?xml")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("tags/Linux", "expected an address that ends in .atom, .rss or .json"),
        ("tags/nothing.atom", "no feed has the address /tags/nothing"),
        ("nothing.atom", "no feed has the address /nothing"),
        ("tags/retired.atom", "is gone"),
    ],
)
def test_show_of_what_is_not_there_fails_with_the_reason(site: Any, config: Path, path: str, reason: str) -> None:
    site.set("feeds.yaml", "gone: [tags/retired]\n")
    site.rescan()
    found = invoke("show", path, "--config", config)
    assert (found.exit_code, found.stdout) == (1, "")
    assert reason in found.stderr


def test_show_before_the_first_rescan_says_so(config: Path) -> None:
    found = invoke("show", "all.atom", "--config", config)
    assert found.exit_code == 1
    assert "nothing is published yet" in found.stderr


def test_opml_lists_all_feeds_or_those_of_one_facet(published: Path) -> None:
    for arguments, expected in (([], 5), (["tag"], 3), (["tags"], 3), (["translator"], 1)):
        found = CliRunner().invoke(main, ["opml", *arguments, "--config", str(published)])
        assert found.exit_code == 0
        outlines = [outline for outline in etree.fromstring(found.stdout_bytes).iter("outline") if outline.get("xmlUrl")]
        assert len(outlines) == expected
    wrong = invoke("opml", "colour", "--config", published)
    assert wrong.exit_code == 1
    assert "no facet is called 'colour'" in wrong.stderr


# -- export ----------------------------------------------------------------


def test_export_writes_the_documents_that_show_prints_and_the_second_time_nothing(published: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = json.loads(invoke("export", out, "--config", published, "--json").stdout)
    assert first["written"] == len([path for path in out.rglob("*") if path.is_file()]) - 2, "all but the lock and the manifest"
    for path in ("all.atom", "tags/C++.rss", "translators/geekpi.json"):
        shown = CliRunner().invoke(main, ["show", path, "--config", str(published)]).stdout_bytes
        assert (out / path).read_bytes() == shown
        assert gzip.decompress((out / f"{path}.gz").read_bytes()) == shown
        assert brotli.decompress((out / f"{path}.br").read_bytes()) == shown
    assert (out / "tags.opml").is_file()
    second = json.loads(invoke("export", out, "--config", published, "--json").stdout)
    assert second == {"written": 0, "unchanged": first["written"], "removed": 0, "failed": 0}


def test_export_removes_the_files_of_a_term_that_is_gone(site: Any, published: Path, tmp_path: Path) -> None:
    invoke("export", tmp_path / "out", "--config", published)
    (site.store / "3.md").unlink()
    site.rescan()
    found = invoke("export", tmp_path / "out", "--config", published)
    assert "12 removed" in found.stdout, "three formats and a page, in three codings each"
    assert not list((tmp_path / "out" / "tags").glob("once*"))


def test_export_without_compression_writes_plain_files_only(published: Path, tmp_path: Path) -> None:
    invoke("export", tmp_path / "out", "--no-compress", "--config", published)
    suffixes = {path.suffix for path in (tmp_path / "out").rglob("*.*")}
    assert {".atom", ".rss", ".json", ".opml", ".html"} <= suffixes and not suffixes & {".gz", ".br"}


def test_export_says_which_page_a_template_spoils_and_ends_with_1(site: Any, published: Path, tmp_path: Path) -> None:
    own = site.root / "templates" / "web"
    own.mkdir(parents=True)
    (own / "about.html").write_text("{{ nothing }}")
    found = invoke("export", tmp_path / "out", "--config", published)
    assert found.exit_code == 1
    assert found.stderr.startswith("feeds: about/feeds.html cannot be made: ")
    assert found.stderr.rstrip().endswith("about.html:1: UndefinedError: 'nothing' is undefined")
    assert (tmp_path / "out" / "all.atom").is_file()


def test_export_can_follow_the_rescans(site: Any, published: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "feeds", "export", "--follow", "--json", "--config", str(published), str(out)]
    process = forking.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["written"] > 0
        site.write("1.md", tags=["Linux"], title="A new title")
        site.rescan()
        assert json.loads(process.stdout.readline())["written"] > 0
        assert "A new title" in (out / "all.html").read_text()
    finally:
        process.terminate()
        assert process.wait(15) == 0


def test_one_process_rescans_and_exports_again_and_again(site: Any, tmp_path: Path) -> None:
    """A store that is away for a moment is said, and does not end it."""
    out, away = tmp_path / "out", site.root / "away"
    site.settle("site.yaml", rescan_seconds=1)
    site.write("1.md", tags=["Linux"])
    command = [sys.executable, "-m", "feeds", "rescan", "--watch", "--export", out, "--feeds-only", "--no-compress", "--json"]
    command += ["--config", site.config_dir]
    process = forking.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stderr is not None
        first = json.loads(process.stdout.readline())
        assert first["added"] == 1 and first["export"]["written"] > 0
        site.store.rename(away)
        assert process.stderr.readline().startswith("feeds: ")
        away.rename(site.store)
        site.write("1.md", tags=["Linux"], title="A new title")
        second = json.loads(process.stdout.readline())
        assert second["changed"] == 1 and second["export"]["removed"] == second["export"]["failed"] == 0
        assert "A new title" in (out / "all.atom").read_text() and not (out / "index.html").exists()
    finally:
        process.terminate()
        assert process.wait(15) == 0


def test_a_rescan_exports_also_where_it_found_nothing_new(published: Path, tmp_path: Path) -> None:
    found = invoke("rescan", "--export", tmp_path / "out", "--feeds-only", "--no-compress", "--config", published)
    assert found.exit_code == 0 and " files written" in found.stdout
    assert (tmp_path / "out" / "all.atom").is_file()


@pytest.mark.parametrize("name", ["s3://", "s3://UPPER/x", "s3://key:secret@bucket/x", "https://example.org/x", "gs://bucket"])
def test_export_refuses_a_place_that_is_none_without_repeating_it(published: Path, name: str) -> None:
    found = invoke("export", name, "--config", published)
    assert found.exit_code == 1
    assert found.stderr.startswith("feeds: expected a folder or s3://BUCKET/PREFIX")
    assert "secret" not in found.stderr + found.stdout


# -- where it is used ------------------------------------------------------


def test_the_environment_names_the_configuration_and_overrides_settings(site: Any, config: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.md").write_text("---\ntitle: Only one\ntags: [x]\n---\n")
    database = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    environment = {
        "FEEDS_CONFIG": str(config),
        "FEEDS_STORE": "other",
        "FEEDS_BASE_URL": "https://env.example/",
        "FEEDS_DATABASE_URL": database,
    }
    report = feeds("rescan", "--json", cwd=tmp_path, **environment)
    assert json.loads(report.stdout)["articles"] == 1, report.stderr
    assert "https://env.example/all.atom" in feeds("show", "all.atom", cwd=tmp_path, **environment).stdout
    assert (tmp_path / "elsewhere.db").is_file()
    assert site.runtime.read(editions.load_generation) == -1


def test_no_progress_bar_and_no_colours_are_in_a_pipe(site: Any, config: Path, tmp_path: Path) -> None:
    for number in range(10, 200):
        site.write(f"{number}.md", tags=["many"])
    for found in (
        feeds("rescan", "--config", config, TERM="xterm-256color"),
        feeds("export", tmp_path / "out", "--config", config, TERM="xterm-256color"),
    ):
        assert found.returncode == 0
        assert "\x1b" not in found.stdout + found.stderr
        assert "\r" not in found.stdout + found.stderr
        assert found.stderr == ""


def test_a_progress_bar_is_on_a_terminal_and_stdout_stays_clean(site: Any, config: Path, tmp_path: Path) -> None:
    for number in range(10, 200):
        site.write(f"{number}.md", tags=["many"])
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "feeds", "rescan", "--json", "--config", str(config)]
    try:
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
        found = forking.run(command, stdout=subprocess.PIPE, stderr=theirs, timeout=60, env=environment)
    finally:
        os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # the other side is closed
        pass
    finally:
        os.close(ours)
    assert json.loads(found.stdout)["added"] == 193
    assert b"Reading articles" in shown


def test_an_answer_into_a_closed_pipe_is_no_traceback(published: Path) -> None:
    command = f"{sys.executable} -m feeds list --config '{published}' | head -c 1 >/dev/null"
    found = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in found.stderr


def test_nothing_that_a_command_says_holds_the_text_of_a_comment(site: Any, config: Path) -> None:
    comments = [{"date": "2020-01-01", "message": "very-secret-words", "postip": "192.0.2.99", "username": "secret-nick"}]
    site.write("5.md", tags=["Linux"], comments_data=comments)
    site.write("6.md", "---\ncomments_data:\n- message: very-secret-words\n  postip: [192.0.2.99\n---\n")
    said = ""
    for arguments in (["check"], ["rescan"], ["status"], ["status", "--json"], ["list"], ["show", "all.json"], ["opml"]):
        found = invoke(*arguments, "--config", config)
        said += found.stdout + found.stderr
    assert "6.md" in said
    for secret in ("very-secret-words", "192.0.2.99", "secret-nick"):
        assert secret not in said
