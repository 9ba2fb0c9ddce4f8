"""config/*.yaml and FEEDS_* -> Config, or every fault with its place."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel

from feeds import resources
from feeds.config.environment import Environment, find_differences, secret_variables
from feeds.config.load import load_config, parse_yaml, removed_settings
from feeds.config.models import WANTED, Config, FacetSettings, FeedSettings, Site, Store, feed_path
from feeds.errors import ConfigError, FeedsError
from feeds.model import FACETS
from feeds.store.field_names import FIELDS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "config"
    made.mkdir()
    (made / "site.yaml").write_text("store: articles\n")
    (made / "feeds.yaml").write_text("")
    return made


def read(folder: Path, **environ: str) -> Config:
    return load_config(Environment.read(folder, environ))


def faults(folder: Path, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        read(folder, **environ)
    return [str(fault).removeprefix(f"{folder}/") for fault in error.value.faults]


# -- the default files -------------------------------------------------------


@pytest.mark.parametrize(("file", "model"), [("site.yaml", Site), ("feeds.yaml", FeedSettings)])
def test_the_default_files_name_every_setting_with_its_default(file: str, model: type[BaseModel]) -> None:
    text = (resources.DEFAULT_CONFIG / file).read_text("utf-8")
    assert set(yaml.safe_load(text)) == {field.alias or name for name, field in model.model_fields.items()}
    problems: list[Any] = []
    found = parse_yaml(text, file, model, problems)
    assert not problems and isinstance(found, model)
    plain = model()
    for name in set(model.model_fields) - {"facets", "feeds"}:
        assert getattr(found, name) == getattr(plain, name), name
    if isinstance(found, FeedSettings):
        assert set(found.facets) == set(FACETS)
        assert {name: found.facet(name) for name in FACETS} == {name: FeedSettings().facet(name) for name in FACETS}


@pytest.mark.parametrize("file", ["site.yaml", "feeds.yaml"])
def test_every_setting_in_the_default_files_is_explained(file: str) -> None:
    for line in (resources.DEFAULT_CONFIG / file).read_text("utf-8").splitlines():
        if re.match(r"[a-z_]+:", line):
            assert "#" in line, line


def test_the_default_files_show_every_setting_of_a_facet() -> None:
    text = (resources.DEFAULT_CONFIG / "feeds.yaml").read_text("utf-8")
    shown = set().union(*(yaml.safe_load(text)["facets"].values()))
    assert shown == set(FacetSettings.model_fields)


def test_the_files_of_the_design_are_understood(folder: Path) -> None:
    (folder / "site.yaml").write_text(
        """title: Linux 中国
base_url: http://127.0.0.1:8000            # where this service is reached
article_url: https://linux.cn{permalink}
image_url: https://img.linux.net.cn
id_authority: "linux.cn,2003"
timezone: Asia/Shanghai
language: zh-CN
store: demo/articles
rescan_seconds: 30
""",
        "utf-8",
    )
    (folder / "feeds.yaml").write_text(
        """content: full                              # full | summary
facets:
  tag: {limit: 20, min_articles: 1}
  translator: {limit: 20}
  author: {enabled: false}
aliases: {tag: {UBUNTU: Ubuntu}}
moved: {tags/旧名: tags/新名}
gone: [tags/retired]
feeds:
  - name: kernel
    title: 内核与系统
    select: {tag: [内核, systemd], all: {tag: [AI]}, not: {translator: [ChatGPT]}}
""",
        "utf-8",
    )
    found = read(folder)
    assert found.site.stores[0].path == str(folder.parent / "demo" / "articles")
    [named] = found.feeds.feeds
    assert named.select.selection().as_json() == {
        "tag": ["内核", "systemd"],
        "all": {"tag": ["AI"]},
        "not": {"translator": ["ChatGPT"]},
    }
    assert found.retired == {"tags/旧名": "tags/新名", "tags/retired": ""}


# -- faults ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("titel: x", "site.yaml:1:1: titel: unknown setting"),
        ("title: x\n  \nstore: y\nport: 80", "site.yaml:4:1: port: unknown setting"),
        ("title: ''", "site.yaml:1:8: title: String should have at least 1 character"),
        ("title: 5", "site.yaml:1:8: title: Input should be a valid string"),
        ("title: null", "site.yaml:1:8: title: Input should be a valid string"),
        ("title: [x]", "site.yaml:1:8: title: Input should be a valid string"),
        ("rescan_seconds: soon", "site.yaml:1:17: rescan_seconds: Input should be a valid integer"),
        ("rescan_seconds: 0", "site.yaml:1:17: rescan_seconds: Input should be greater than or equal to 1"),
        ("timezone: Mars/Olympus", "site.yaml:1:11: timezone: no time zone is called 'Mars/Olympus'"),
        ("timezone: ../../etc/passwd", "site.yaml:1:11: timezone: no time zone"),
        ("language: 中文", "site.yaml:1:11: language: expected a language tag"),
        ("id_authority: linux.cn", "site.yaml:1:15: id_authority: expected a domain"),
        ("base_url: linux.cn", "site.yaml:1:11: base_url: "),
        ("base_url: ftp://linux.cn", "site.yaml:1:11: base_url: "),
        ("article_url: https://linux.cn/x", "site.yaml:1:14: article_url: expected {permalink} or {id}"),
        ("article_url: https://linux.cn/{slug}", "site.yaml:1:14: article_url: expected {permalink} or {id}"),
        ("article_url: 'x{permalink}'", "site.yaml:1:14: article_url: "),
        ("max_file_bytes: 10", "site.yaml:1:17: max_file_bytes: Input should be greater"),
        ("store: ''", "site.yaml:1:8: store: "),
        ("store: 7", "site.yaml:1:8: store: expected the folder of the articles, or {path: ..., kind: ...}"),
        ("store: [a, 7]", "site.yaml:1:12: store.1: expected the folder"),
        ("store: {path: a, kind: hugoo}", "site.yaml:1:24: store.kind: no kind of store is called 'hugoo'; did you mean hugo?"),
        (
            "store: {path: a, kind: wordpress}",
            "site.yaml:1:24: store.kind: no kind of store is called 'wordpress'; expected one of",
        ),
        ("store:\n  path: a\n  knd: hugo", "site.yaml:3:3: store.knd: unknown setting"),
        ("store: {permalink: ':year/:slug'}", "site.yaml:1:20: store.permalink: expected a pattern that begins with a slash"),
        ("store: {permalink: '/{slug'}", "site.yaml:1:20: store.permalink: expected a pattern without blanks"),
        ("store: {include: [../x]}", "site.yaml:1:19: store.include.0: '../x' is not below the store"),
        ("store: {exclude: [/etc/**]}", "site.yaml:1:19: store.exclude.0: '/etc/**' is not below the store"),
        ("store: {exclude: old}", "site.yaml:1:18: store.exclude: "),
        (
            "store: {fields: {titel: [x]}}",
            "site.yaml:1:17: store.fields: nothing of an article is called 'titel'; did you mean title?",
        ),
        ("store: {fields: {tag: []}}", "site.yaml:1:23: store.fields.tag: "),
        ("store: {fields: {tag: [a], tags: [b]}}", "site.yaml:1:17: store.fields: tag is there twice"),
        ("store: {fields: [a]}", "site.yaml:1:17: store.fields: expected what is wanted and its header fields"),
        ("store: {timezone: Mars/Olympus}", "site.yaml:1:19: store.timezone: no time zone is called"),
        ("store: {site: blog.example.org}", "site.yaml:1:15: store.site: expected an address that begins with http"),
        ("store: {future: maybe}", "site.yaml:1:17: store.future: Input should be 'hold' or 'publish'"),
        ("store: {languages: {zh: ../zh}}", "site.yaml:1:25: store.languages.zh: '../zh' is not below the store"),
        ("- a\n- b", "site.yaml:1:1: Input should be a valid dictionary"),
        ("just text", "site.yaml:1:1: Input should be a valid dictionary"),
        ("title: x\ntitle: y", "site.yaml:2:1: not YAML: 'title' is set twice"),
        ("title: [x\nstore: y", "site.yaml:2:6: not YAML: "),
        ("title: x\n\tstore: y", "site.yaml:2:1: not YAML: "),
        ("title: {{permalink}}", "site.yaml:1:9: not YAML: a key must be text"),
        ("title: x\nyes: no", "site.yaml:2:1: not YAML: a key must be text"),
        ("title: &x [*x]", "site.yaml:1:12: not YAML: aliases are not allowed"),
        ("title: !!python/name:os.system ''", "site.yaml:1:8: not YAML: "),
        ("title: '\x01'", "site.yaml:1:1: not YAML: "),
        ("store: 2020-02-30", "site.yaml:1:1: not YAML: "),
    ],
)
def test_a_fault_in_a_file_is_named_with_its_place(folder: Path, text: str, fault: str) -> None:
    (folder / "site.yaml").write_text(text, "utf-8")
    [found] = faults(folder)
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("content: some", "feeds.yaml:1:10: content: Input should be 'full' or 'summary'"),
        ("facets: {colour: {}}", "feeds.yaml:1:9: facets: no facet is called 'colour'"),
        ("facets:\n  tag: {limit: 1000}", "feeds.yaml:2:16: facets.tag.limit: "),
        ("facets:\n  tag: {limmit: 10}", "feeds.yaml:2:9: facets.tag.limmit: unknown setting"),
        ("aliases: {tags: {a: b}}", "feeds.yaml:1:10: aliases: no facet is called 'tags'"),
        ("aliases: {tag: {1: b}}", "feeds.yaml:1:17: not YAML: a key must be text; put it in quotes"),
        ("moved: [a]", "feeds.yaml:1:8: moved: "),
        ("gone: tags/x", "feeds.yaml:1:7: gone: "),
        ("feeds:\n- name: a b\n  title: x", "feeds.yaml:2:9: feeds.0.name: "),
        ("feeds:\n- title: x", "feeds.yaml:2:3: feeds.0.name: Field required"),
        ("feeds:\n- {name: a, title: x, select: {tags: [x]}}", "feeds.yaml:2:32: feeds.0.select.tags: unknown setting"),
        ("feeds:\n- {name: a, title: x, select: {tag: Linux}}", "feeds.yaml:2:37: feeds.0.select.tag: "),
        ("feeds:\n- {name: a, title: x, select: {tag: []}}", "feeds.yaml:2:37: feeds.0.select.tag: "),
        (
            "feeds:\n- {name: a, title: x, select: {tag: [No]}}",
            "feeds.yaml:2:38: feeds.0.select.tag.0: Input should be a valid string",
        ),
        (
            "feeds:\n- {name: a, title: x, select: {not: {who: [x]}}}",
            "feeds.yaml:2:31: feeds.0.select: no facet is called 'who'",
        ),
        ("feeds:\n- {name: a, title: x}\n- {name: A, title: y}", "feeds.yaml:2:1: feeds: two feeds are called 'A'"),
    ],
)
def test_a_fault_in_feeds_yaml_is_named_with_its_place(folder: Path, text: str, fault: str) -> None:
    (folder / "feeds.yaml").write_text(text, "utf-8")
    [found] = faults(folder)
    assert found.startswith(fault)


def test_all_faults_are_named_at_once(folder: Path) -> None:
    (folder / "site.yaml").write_text("titel: x\nlanguage: 5\nrescan_seconds: -1\n")
    (folder / "feeds.yaml").write_text("content: some\nmore: 1\n")
    found = faults(folder, FEEDS_BASE_URL="nowhere")
    assert sorted(line.split(": ")[0] for line in found) == sorted(
        ["site.yaml:1:1", "site.yaml:2:11", "site.yaml:3:17", "feeds.yaml:1:10", "feeds.yaml:2:1", "FEEDS_BASE_URL:1:1"]
    )


@pytest.mark.parametrize("file", ["site.yaml", "feeds.yaml"])
def test_a_missing_file_says_how_to_make_one(folder: Path, file: str) -> None:
    (folder / file).unlink()
    [found] = faults(folder)
    assert found.startswith(f"{file}:1:1: no such file") and "feeds init" in found


def test_a_file_that_is_no_text_is_a_fault(folder: Path) -> None:
    (folder / "site.yaml").write_bytes("title: 中国".encode("gbk"))
    assert faults(folder) == ["site.yaml:1:1: not UTF-8 (byte 7)"]
    (folder / "site.yaml").unlink()
    (folder / "site.yaml").mkdir()
    assert faults(folder) == ["site.yaml:1:1: Is a directory"]


def test_empty_files_mean_all_defaults(folder: Path) -> None:
    (folder / "site.yaml").write_text("# nothing\n")
    found = read(folder)
    assert found.feeds == FeedSettings()
    assert found.site == Site(store=Store(path=str(folder.parent / "demo" / "articles")))


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.dates()
SETTINGS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3), max_leaves=6
)


@given(st.dictionaries(st.sampled_from([*Site.model_fields, *FeedSettings.model_fields, "other"]), SETTINGS, max_size=4))
def test_any_value_is_a_configuration_or_a_fault_with_a_place(values: dict[str, Any]) -> None:
    text = yaml.safe_dump(values, allow_unicode=True)
    _check(text)


@given(st.text(max_size=80))
@example("[" * 500)
@example("a: &a\n  b: *a")
@example("<<: {title: x}")
@example("? {a: b}\n: c")
def test_any_text_is_a_configuration_or_a_fault_with_a_place(text: str) -> None:
    _check(text)


def _check(text: str) -> None:
    for kind in (Site, FeedSettings):
        problems: list[Any] = []
        found = parse_yaml(text, "x.yaml", kind, problems)
        assert (found is None) == bool(problems)
        assert all(problem.line >= 1 and problem.column >= 1 and problem.reason for problem in problems)


# -- environment -------------------------------------------------------------


def test_relative_paths_are_taken_from_the_sites_root(folder: Path) -> None:
    assert read(folder).site.stores[0].path == str(folder.parent / "articles")
    assert Environment.read(folder, {}).database_url.get_secret_value() == f"sqlite:///{folder.parent}/var/feeds.db"
    assert (
        Environment.read(folder, {"FEEDS_DATABASE_URL": "sqlite:///x.db"}).database_url.get_secret_value()
        == f"sqlite:///{folder.parent}/x.db"
    )
    assert (
        Environment.read(folder, {"FEEDS_DATABASE_URL": "sqlite:////x/y.db"}).database_url.get_secret_value()
        == "sqlite:////x/y.db"
    )
    assert (
        Environment.read(folder, {"FEEDS_DATABASE_URL": "postgresql://h/d"}).database_url.get_secret_value()
        == "postgresql://h/d"
    )


def test_an_absolute_store_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    (folder / "site.yaml").write_text(f"store: {tmp_path}/elsewhere/../x\n")
    assert read(folder).site.stores[0].path == f"{tmp_path}/x"


def test_the_environment_is_above_the_files(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = read(folder, FEEDS_STORE="mine", FEEDS_BASE_URL="https://feeds.example/")
    assert found.site.stores[0].path == str(tmp_path / "mine"), "from where the command is given"
    assert found.site.base_url == "https://feeds.example"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert read(folder, FEEDS_STORE="~/a").site.stores[0].path == str(tmp_path / "home" / "a")


def test_an_empty_variable_is_none_at_all(folder: Path) -> None:
    plain = read(folder)
    assert read(folder, FEEDS_STORE="", FEEDS_BASE_URL="", FEEDS_DATABASE_URL="") == plain


def test_a_configuration_survives_being_stored(folder: Path) -> None:
    (folder / "feeds.yaml").write_text("feeds: [{name: a, title: 甲, select: {tag: [x], not: {tag: [y]}}}]", "utf-8")
    found = read(folder)
    assert Config.model_validate_json(found.model_dump_json(by_alias=True)) == found


def test_a_setting_of_the_last_release_is_a_hint_and_no_fault(folder: Path) -> None:
    (folder / "newsletter.yaml").write_text("bounces:\n  soft_limit: 3\n  soft_days: 10\n")
    assert read(folder).newsletter.bounces.soft_limit == 3
    [hint] = removed_settings(Environment.read(folder, {}))
    assert str(hint).startswith(f"{folder}/newsletter.yaml:3:3: bounces.soft_days: no longer a setting")


def test_a_stored_configuration_of_the_last_release_can_be_read() -> None:
    old = {"newsletter": {"bounces": {"soft_limit": 3, "soft_days": 10}}}
    assert Config.model_validate_json(json.dumps(old)).newsletter.bounces.soft_limit == 3


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("tags/TCP/IP", "tags/TCP~2FIP"),
        ("/tags/TCP~2FIP", "tags/TCP~2FIP"),
        ("tags/.NET", "tags/~2ENET"),
        ("feeds/kernel", "feeds/kernel"),
        ("all", "all"),
        ("translators/wxy", "translators/wxy"),
    ],
)
def test_an_operator_may_write_an_address_as_it_reads(written: str, path: str) -> None:
    assert feed_path(written) == path


# -- .env ----------------------------------------------------------------------


def test_the_file_beside_config_speaks_where_the_environment_says_nothing(folder: Path) -> None:
    (folder.parent / ".env").write_text(
        "# a comment\nFEEDS_SECRET_KEY='pa$$word ${HOME}'\nexport FEEDS_DATABASE_URL=sqlite:////a/b.db\nOTHER=1\n"
    )
    found = Environment.read(folder, {})
    assert (found.secret_key.get_secret_value(), found.database_url.get_secret_value()) == (
        "pa$$word ${HOME}",
        "sqlite:////a/b.db",
    )
    over = Environment.read(folder, {"FEEDS_DATABASE_URL": "sqlite:////c.db", "FEEDS_SECRET_KEY": ""})
    assert (over.secret_key.get_secret_value(), over.database_url.get_secret_value()) == ("pa$$word ${HOME}", "sqlite:////c.db")


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        (b"FEEDS_SECRET_KEY\n", "1:1", "expected NAME=value"),
        (b"# one\n\n  FEEDS_SECRET_KEY zqs3cret\n", "3:3", "expected NAME=value"),
        (
            b"FEEDS_STORE=a\nFEEDS_SECRET_KEY='zqs3cret\nFEEDS_LOG=json\n",
            "2:1",
            "a quote is not closed, or something follows it",
        ),
        (b'FEEDS_SECRET_KEY="zqs3cret\\"\n', "1:1", "a quote is not closed, or something follows it"),
        (b"FEEDS_SECRET_KEY='zqs3cret' and more\n", "1:1", "a quote is not closed, or something follows it"),
        (b"FEEDS_SECRET_KEY: zqs3cret\n", "1:1", "expected NAME=value"),
        (b"=zqs3cret\n", "1:1", "expected NAME=value"),
        (b"A=1\r\nFEEDS_SECRET_KEY='zqs\0cret'\r\n", "2:1", "a zero byte is in no text"),
        (b"A=1\nFEEDS_SECRET_KEY=\xff\xfe\n", "2:18", "not UTF-8"),
    ],
)
def test_a_line_that_no_reader_understands_is_named_by_its_place_without_its_value(
    folder: Path, text: bytes, place: str, reason: str
) -> None:
    (folder.parent / ".env").write_bytes(text)
    with pytest.raises(ConfigError) as refused:
        Environment.read(folder, {})
    assert str(refused.value) == f"{folder.parent}/.env:{place}: {reason}"


def test_a_file_that_cannot_be_read_is_named_and_not_passed_over(folder: Path) -> None:
    (folder.parent / ".env").mkdir()
    with pytest.raises(ConfigError, match=r"\.env:1:1: cannot be read: Is a directory"):
        Environment.read(folder, {})


#: What systemd, Compose, `podman run --env-file` and Kubernetes' `--from-env-file` read alike, and we as well.
ALIKE = {
    "plain": "abc123-._~:/?@!*+,;()",
    "an address": "smtp://user:p%40ss%23word@mail.example.org:587?starttls=0",
    "several addresses": "smtp://a@one.example.org smtp://b@two.example.org",
    "an equals sign": "a2V5==",
    "Chinese": "口令",
    "a number sign inside": "a#b",
}


@pytest.mark.parametrize("value", ALIKE.values(), ids=list(ALIKE))
def test_a_plain_value_is_what_stands_after_the_equals_sign_for_every_reader(folder: Path, value: str) -> None:
    (folder.parent / ".env").write_text(f"# for all\n\nFEEDS_SECRET_KEY={value}\n", "utf-8")
    assert Environment.read(folder, {}).secret_key.get_secret_value() == value
    assert find_differences(folder.parent / ".env") == []


@pytest.mark.parametrize("value", ["a b # c", "$HOME ${HOME}", 'say "x"', "  ends in blanks  ", "a;b", "`id`"])
def test_in_single_quotes_a_value_is_what_it_is_for_systemd_and_compose_as_well(folder: Path, value: str) -> None:
    (folder.parent / ".env").write_text(f"FEEDS_SECRET_KEY='{value}'\n; systemd's other comment\n", "utf-8")
    assert Environment.read(folder, {}).secret_key.get_secret_value() == value
    assert find_differences(folder.parent / ".env") == []


@pytest.mark.parametrize(
    "line",
    [
        "FEEDS_SECRET_KEY=a b  # a comment",
        r"FEEDS_SECRET_KEY=a\b",
        "FEEDS_SECRET_KEY=a$b",
        'FEEDS_SECRET_KEY=a"b',
        "FEEDS_SECRET_KEY=it's",
        r'FEEDS_SECRET_KEY="a\nb"',
        'FEEDS_SECRET_KEY="a$b"',
        r"FEEDS_SECRET_KEY='a\'b'",
        "FEEDS_SECRET_KEY='a' # a comment",
        "export FEEDS_SECRET_KEY=a",
    ],
)
def test_a_line_that_others_would_read_otherwise_is_a_hint_of_the_check(folder: Path, line: str) -> None:
    (folder.parent / ".env").write_text(f"# first\n\n{line}\n")
    [hint] = find_differences(folder.parent / ".env")
    assert str(hint).startswith(f"{folder.parent}/.env:3:1: FEEDS_SECRET_KEY: systemd or Compose would read this otherwise")
    assert Environment.read(folder, {}).secret_key


def test_a_secret_may_be_the_text_of_a_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("zqs3cret from a file\n")
    (folder.parent / "secrets").mkdir()
    (folder.parent / "secrets" / "token").write_text("zqs3cret\r\n")
    (folder.parent / ".env").write_text("FEEDS_OPERATOR_TOKEN_FILE=secrets/token\nFEEDS_SMTP_URL_FILE=/nowhere\n")
    said = {"FEEDS_SECRET_KEY_FILE": str(tmp_path / "key"), "FEEDS_SMTP_URL": "smtp://mail.example.org"}
    with pytest.raises(FeedsError, match="FEEDS_SMTP_URL_FILE: /nowhere: cannot be read: No such file"):
        Environment.read(folder, said)
    (folder.parent / ".env").write_text("FEEDS_OPERATOR_TOKEN_FILE=secrets/token\nFEEDS_SECRET_KEY=of the file .env\n")
    found = Environment.read(folder, said)
    assert found.secret_key.get_secret_value() == "zqs3cret from a file", "the environment is over `.env`, in either form"
    assert found.operator_token.get_secret_value() == "zqs3cret", "relative to the folder that holds config/"
    assert {"zqs3cret from a file", "zqs3cret"} <= set(found.secrets)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff", b"zqs\0cret", b"zqs" * 30_000, None])
def test_a_file_without_a_secret_in_it_is_a_fault_and_is_not_quoted(
    folder: Path, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    with pytest.raises(FeedsError) as refused:
        Environment.read(folder, {"FEEDS_SECRET_KEY_FILE": str(tmp_path / "key")})
    assert str(refused.value).startswith(f"FEEDS_SECRET_KEY_FILE: {tmp_path / 'key'}: ") and "zqs" not in str(refused.value)


def test_a_secret_is_given_once(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FeedsError, match="FEEDS_SECRET_KEY and FEEDS_SECRET_KEY_FILE are both set"):
        Environment.read(folder, {"FEEDS_SECRET_KEY": "a", "FEEDS_SECRET_KEY_FILE": "b"})


def test_every_variable_that_is_or_holds_a_secret_may_be_a_file() -> None:
    names = ("DATABASE_URL", "SMTP_URL", "IMAP_URL", "SECRET_KEY", "OPERATOR_TOKEN")
    assert set(secret_variables()) >= {f"FEEDS_{name}" for name in names}


# -- the store -----------------------------------------------------------------


def test_fields_may_be_named_by_facets_in_the_plural_and_need_no_list(folder: Path) -> None:
    (folder / "site.yaml").write_text(
        "store: {path: a, kind: Hugo, fields: {Tags: [keywords], translators: by, permalink: [link], series: [part_of]}}\n"
    )
    [store] = read(folder).site.stores
    assert store.kind == "hugo"
    assert store.fields == {"tag": ("keywords",), "translator": ("by",), "address": ("link",), "series": ("part_of",)}


def test_an_address_may_be_what_the_files_write_as_a_whole(folder: Path) -> None:
    (folder / "site.yaml").write_text("article_url: '{permalink}'\nstore: a\n")
    assert read(folder).site.article_url == "{permalink}"


def test_what_can_be_wanted_of_a_header_is_what_the_store_reads() -> None:
    assert set(WANTED) == set(FIELDS)


def test_a_store_of_which_nothing_is_said_but_its_folder_is_stored_as_text() -> None:
    assert json.loads(Site(store=(Store(path="a"),)).model_dump_json(by_alias=True))["store"] == "a"
    assert json.loads(Site(store=(Store(path="a", kind="hugo"),)).model_dump_json(by_alias=True))["store"]["kind"] == "hugo"
