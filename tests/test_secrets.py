"""No secret of the environment is in anything that comes out: words of commands, logs, pages, figures, the console, rows.

Every secret here has the same word in it. Where one is written wrongly, no part of it may be quoted either.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import structlog
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from feeds import database, logs
from feeds.cli import main
from feeds.config.environment import Environment, SecretStr, variable
from feeds.errors import FeedsError
from feeds.newsletter.bounces import sources
from feeds.newsletter.transports import smtp_session
from feeds.static.targets import Bucket
from feeds.store.git import explain
from feeds.syndication import pages
from feeds.web.app import create_app
from feeds.web.fast_path import FastPath
from tests.examples import some

WORD = "zqs3cret"
TOKEN = f"{WORD}-of-the-operator"
SECRETS = {
    "FEEDS_SECRET_KEY": f"{WORD}-that-signs-links-0123456789abcdef",
    "FEEDS_OPERATOR_TOKEN": TOKEN,
    "FEEDS_SMTP_URL": f"smtp://sender:{WORD}%20of%20mail@127.0.0.1:1?starttls=0",
    "FEEDS_IMAP_URL": f"imap://reader:{WORD}-of-bounces@127.0.0.1:1/INBOX",
    "AWS_ACCESS_KEY_ID": f"{WORD}id",
    "AWS_SECRET_ACCESS_KEY": f"{WORD}-of-the-bucket",
    "GIT_ASKPASS": f"/nowhere/{WORD}",
}


def is_free_of_secrets(*texts: object) -> None:
    for text in texts:
        shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        assert WORD not in shown, shown[max(0, shown.find(WORD) - 200) : shown.find(WORD) + 100]


# -- a whole site, with all of them set ----------------------------------------


@pytest.fixture
def trusted(site: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Servers of mail and bounces are not there, so that everything that can fail does."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    site.set("newsletter.yaml", 'enabled: true\nfrom: "digest@example.org"\ntransport: smtp\n')
    site.settle("site.yaml", article_url="", base_url="http://localhost", metrics="public")
    for number in range(3):
        site.write(f"{number}.md", tags=["Linux"], translator="geekpi")
    site.write("bad.md", "---\ntitle: [\n---\n")
    site.environment = Environment.read(site.config_dir)
    site.reopen()
    site.rescan()
    return site


NOW = "2020-01-06T08:01:00+08:00"
COMMANDS = [
    *(["status"], ["status", "--json"], ["check"], ["check", "--json"], ["list", "--json"], ["rescan", "--json"], ["opml"]),
    *(["digest", "plan", "--now", NOW], ["digest", "status"], ["digest", "status", "--json"]),
    *(["bounces"], ["subscribers", "list"], ["subscribers", "export"], ["migrate"], ["show", "tags/Linux.atom"]),
    *(["digest", "preview", "--now", NOW], ["export", f"s3://{WORD}?{WORD}"], ["--help"], ["nothing"]),
]  # fmt: skip


def test_commands_say_nothing_of_them_when_they_work_and_when_they_fail(trusted: Any) -> None:
    file = trusted.root / "readers.csv"
    file.write_text("email,confirmed_at,select\nreader@example.org,2019-12-01,tag=Linux\n", "utf-8")
    ended = {}
    for command in [["subscribers", "import", str(file)], *COMMANDS]:
        ran = CliRunner().invoke(main, [*command, "--config", str(trusted.config_dir)])
        is_free_of_secrets(ran.stdout_bytes, ran.stderr_bytes, repr(ran.exception), repr(ran.exc_info))
        ended[" ".join(command)] = (ran.exit_code, ran.output)
    assert ended["status"][0] == ended["status --json"][0] == 0, ended["status"]
    assert ended["bounces"][0] == 1 and "127.0.0.1" in ended["bounces"][1], "the mailbox was asked for"
    assert "reader" in ended["subscribers list"][1] and '"issues"' in ended["digest status --json"][1]


def test_pages_figures_and_the_console_say_nothing_of_them(trusted: Any) -> None:
    client = Client(create_app(trusted.environment))
    assert client.post("/operator/sign-in", data={"token": TOKEN}).status_code == 303
    rooms = ["", "quarantine", "log", "configuration", "issues", "subscribers", "feeds", "feeds/own", "feeds/new"]
    for address in [*(f"/operator/{room}" for room in rooms), "/", "/metrics", "/health", "/ready", "/nothing", "/all.atom"]:
        found = client.get(address)
        assert found.status_code in (200, 404), address
        is_free_of_secrets(found.data, found.headers)
    configuration = client.get("/operator/configuration").text
    assert all(name in configuration for name in SECRETS if name.startswith("FEEDS_")), "their names are shown"
    for token in ("wrong", f"x{TOKEN}"):
        found = client.get("/metrics", headers={"Authorization": f"Bearer {token}"})
        assert found.status_code == 401
        is_free_of_secrets(found.data, found.headers)


def test_rows_of_the_database_hold_none_of_them(trusted: Any) -> None:
    client = Client(create_app(trusted.environment))
    client.post("/operator/sign-in", data={"token": TOKEN})
    client.post("/operator/sign-in", data={"token": f"{WORD} typed wrongly"})
    CliRunner().invoke(main, ["bounces", "--config", str(trusted.config_dir)])
    is_free_of_secrets(trusted.kept(), *(path.read_bytes() for path in (trusted.root / "var").iterdir() if path.is_file()))


@pytest.mark.parametrize("format", ["logfmt", "json", "console"])
def test_a_fault_of_ours_says_nothing_of_them_to_readers_and_in_the_log(
    trusted: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], plain_logs: None, format: str
) -> None:
    """With what a server puts into each request, the whole environment of the process, and a library that quotes."""
    logs.configure(format, secrets=logs.secrets_of(*trusted.environment.secrets))
    application = create_app(trusted.environment)

    def fail(*_arguments: object, **_options: object) -> None:
        raise RuntimeError(f"as never before: {SECRETS['FEEDS_SMTP_URL']} {TOKEN} {SECRETS['FEEDS_SECRET_KEY']}")

    monkeypatch.setattr(pages, "home", fail)
    found = Client(_with_environment(application)).get("/", headers={"Cookie": "operator=x"})
    logging.getLogger("granian").error("a library says %s", f"Bearer {TOKEN}")
    said = capsys.readouterr().err
    assert found.status_code == 500 and "as never before" not in found.text
    assert "as never before" in said and "a library says" in said, "the operator is told"
    is_free_of_secrets(found.data, found.headers, said)


@pytest.fixture
def plain_logs() -> Iterator[None]:
    """As they were before, afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(False)
    structlog.reset_defaults()


def _with_environment(application: FastPath) -> Any:
    return lambda environ, start: application({**SECRETS, **environ}, start)


# -- secrets that are written wrongly ------------------------------------------

_ODD = st.sampled_from(
    ["", "/", "@", ":", "?", "#", "%", "%zz", "[", "]", " ", "'", '"', "\\", "12", "12?", "1/", "&a=", "://", "\n", "é"]
)
PASSWORD = st.tuples(_ODD, _ODD, _ODD, _ODD).map(lambda parts: f"{parts[0]}{parts[1]}{WORD}{parts[2]}{parts[3]}")
SHAPES = st.sampled_from(
    "{}://user:{}@mail.example.org:587 {}://user:{}@host {}:/user:{}@host {}://{} {}://user:{}@ {}//x:{}@h:1 "
    "{}://user:{}@host:99999 {}://user:{}@host:x {}://user:{}@host/path?option=1 {}://user:{}@host?starttls=2#x".split()
)


def told(call: Callable[[str], object], url: str) -> str:
    """What is said of a wrong one; a right one may name what was written as the host, be it a password."""
    try:
        call(url)
    except FeedsError as error:
        return f"{error} {error!r} {error.__cause__!r}"
    return ""


@settings(max_examples=some(200))
@given(scheme=st.sampled_from(["smtp", "smtps", "http", ""]), shape=SHAPES, password=PASSWORD)
def test_an_address_of_a_mail_server_is_never_quoted(scheme: str, shape: str, password: str) -> None:
    is_free_of_secrets(told(smtp_session.parse_servers, shape.format(scheme, password)))


@settings(max_examples=some(200))
@given(scheme=st.sampled_from(["imap", "imaps", "http", ""]), shape=SHAPES, password=PASSWORD)
def test_an_address_of_a_mailbox_is_never_quoted(scheme: str, shape: str, password: str) -> None:
    is_free_of_secrets(told(sources.Account.parse, shape.format(scheme, password)))


DATABASES = st.sampled_from(["postgresql", "postgresql+psycopg", "postgres", "mysql", "sqlit", "", "x y"])


@settings(max_examples=some(200))
@given(scheme=DATABASES, shape=SHAPES, password=PASSWORD)
def test_an_address_of_a_database_is_never_quoted(scheme: str, shape: str, password: str) -> None:
    is_free_of_secrets(told(database.connect, shape.format(scheme, password)))


@pytest.mark.parametrize("read", [smtp_session.parse_servers, sources.Account.parse, database.connect])
def test_what_a_right_address_is_shown_as_leaves_the_password_out(read: Callable[[str], object]) -> None:
    scheme = {smtp_session.parse_servers: "smtps", sources.Account.parse: "imaps", database.connect: "postgresql+psycopg"}[read]
    found = read(
        f"{scheme}://user:{WORD}@mail.example.org/feeds"
        if read is not smtp_session.parse_servers
        else f"smtps://user:{WORD}@mail"
    )
    is_free_of_secrets(found, repr(found))
    assert "mail" in repr(found)


def test_the_environment_shows_none_of_them_when_it_is_printed(tmp_path: Path) -> None:
    url = f"postgresql://user:{WORD}@127.0.0.1/feeds"
    environment = Environment.read(tmp_path, {**SECRETS, "FEEDS_DATABASE_URL": url})
    is_free_of_secrets(repr(environment), str(environment), f"{environment}", copy.copy(environment))


#: Variables that are a secret or hold one, by the fields of the environment.
SECRET_VARIABLES = [variable(field.name) for field in dataclasses.fields(Environment) if isinstance(field.default, SecretStr)]
_SECRET = st.text(st.characters(min_codepoint=33, exclude_characters=":/@"), min_size=12).map("geheim-{}".format)


@given(secrets=st.dictionaries(st.sampled_from(SECRET_VARIABLES), _SECRET, min_size=1))
def test_no_form_of_the_environment_shows_a_secret(secrets: dict[str, str]) -> None:
    """Printed, formatted, dumped, pickled into a message, in the log and in the traceback of a fault."""
    environment = Environment.read(Path("/site/config"), secrets)
    assert set(secrets.values()) <= {*environment.secrets}
    shown = [
        repr(environment),
        str(environment),
        f"{environment!s}",
        str(dataclasses.asdict(environment)),
        json.dumps(dataclasses.asdict(environment), default=str),
    ]
    shown += [repr(dataclasses.astuple(environment)), repr(copy.copy(environment)), repr(environment.__dict__)]
    scrub = logs.Scrub(logs.secrets_of(*environment.secrets))
    shown.append(repr(scrub(None, "info", {"event": "x", "environment": environment, "given": list(secrets.values())})))
    try:
        raise FeedsError(f"not with {environment}")
    except FeedsError as error:
        shown += traceback.format_exception(error)
    for text in shown:
        assert "geheim-" not in text


@given(password=PASSWORD, frame=st.sampled_from(["'{}'", "{}", '"{}"', "‘{}’"]))
def test_an_address_of_a_git_remote_is_never_quoted(password: str, frame: str) -> None:
    password = password.replace("\n", "").replace(" ", "%20") if frame != "'{}'" else password.replace("\n", "")
    url = frame.format(f"https://user:{password}@git.example.org/articles.git")
    is_free_of_secrets(explain(f"fatal: unable to access {url}: Could not resolve host", "/store"))
    is_free_of_secrets(explain(f"fatal: Authentication failed for {url}", "/store"))


@given(password=PASSWORD)
def test_what_is_written_for_a_bucket_is_never_quoted(password: str) -> None:
    for url in (f"s3://{password}", f"s3://key:{password}@bucket", f"s3://bucket/prefix?key={password}", f"S3:/{password}"):
        try:
            Bucket.parse(url, 60)
        except FeedsError as error:
            is_free_of_secrets(error)


def test_the_word_would_be_found(trusted: Any) -> None:
    """Whatever is looked through above would show it."""
    with pytest.raises(AssertionError):
        is_free_of_secrets(quote(TOKEN).encode())
