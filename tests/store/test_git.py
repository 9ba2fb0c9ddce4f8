"""A store in git: pulled before a rescan, safely; dates that articles lack from their commits. Real repositories throughout."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds import check as check_
from feeds.catalog import queries
from feeds.catalog.sort_key import Window
from feeds.config.models import Site
from feeds.feed_formats import load_formats
from feeds.monitoring import health
from feeds.store import git, git_dates
from feeds.store.git_dates import Change, Commit
from feeds.syndication import lookup
from feeds.web.app import create_app
from tests import forking
from tests.examples import some

START = 1_600_000_000  # 2020-09-13T12:26:40Z: the first commit; each is a day later than the one before
DAY = 86400


class Repository:
    """A work tree; `commit` takes in all that lies there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.when = START - DAY

    def git(self, *words: str, check: bool = True) -> str:
        identity = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in self._who().items()}
        environment = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        done = subprocess.run(["git", *words], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout

    def _who(self) -> dict[str, str]:
        return {"NAME": "Ada Example", "EMAIL": "ada@example.org", "DATE": f"{self.when} +0800"}

    def commit(self, message: str = "A change") -> int:
        self.when += DAY
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.when

    def write(self, path: str, text: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")


class Shared(Repository):
    """An author's clone of a bare remote. `push` makes what it has everybody's."""

    def __init__(self, root: Path) -> None:
        self.remote = root / "remote.git"
        folder = root / "author"
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", self.remote], check=True)
        subprocess.run(["git", "init", "--quiet", "--initial-branch=main", folder], check=True)
        super().__init__(folder)
        self.git("remote", "add", "origin", str(self.remote))

    def push(self, *options: str) -> None:
        self.git("push", "--quiet", "--set-upstream", *options, "origin", "main")

    def publish(self, path: str, text: str) -> int:
        self.write(path, text)
        when = self.commit()
        self.push()
        return when

    def clone(self, folder: Path, *options: str) -> Repository:
        subprocess.run(["git", "clone", "--quiet", *options, str(self.remote), folder], check=True)
        made = Repository(folder)
        made.when = self.when
        return made


@pytest.fixture(autouse=True)
def _needs_git(tool: Callable[[str], str]) -> None:
    tool("git")


@pytest.fixture
def shared(tmp_path: Path, text_of: Any) -> Shared:
    """A remote with one article."""
    made = Shared(tmp_path)
    made.publish("content/1.md", text_of("1.md", title="The first"))
    return made


@pytest.fixture
def store(site: Any, shared: Shared) -> Repository:
    """A clone as the site's store, pulled at every rescan."""
    made = shared.clone(site.root / "archive")
    use(site, pull=True)
    return made


def use(site: Any, store: str = "archive/content", **options: Any) -> None:
    site.settle("site.yaml", store=store, store_git={"every_seconds": 30, "timeout_seconds": 20, **options})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The verbs that git was started with by the service."""
    verbs: list[str] = []
    really = git.Git._run

    def running(self: git.Git, arguments: tuple[str, ...], seconds: float, ssh: str = "") -> Any:
        verbs.append(arguments[0])
        return really(self, arguments, seconds, ssh)

    monkeypatch.setattr(git.Git, "_run", running)
    return verbs


def titles(site: Any) -> set[str]:
    body = site.runtime.read(lookup.find_document, site.runtime.edition(), "all", load_formats()["json"]).body
    return {item["title"] for item in json.loads(body)["items"]}


def repository(site: Any) -> dict[str, Any]:
    found = site.runtime.read(health.catalog_status)["store_git"]
    assert isinstance(found, dict)
    return found


def fault(site: Any) -> str:
    site.rescan()
    return str(repository(site)["fault"])


def feeds(*words: Any, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "feeds", *map(str, words)]
    return forking.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **environ})


# -- pulling -----------------------------------------------------------------


def test_a_commit_pushed_upstream_is_in_the_feed_after_the_next_rescan(
    site: Any, shared: Shared, store: Repository, text_of: Any
) -> None:
    site.rescan()
    assert titles(site) == {"The first"}
    shared.publish("content/2.md", text_of("2.md", title="The second"))
    report = site.rescan()
    assert (report.added, titles(site)) == (1, {"The first", "The second"})
    found = repository(site)
    assert found["commit"] == shared.git("rev-parse", "HEAD").strip()
    assert (found["fault"], found["tried"], found["pulled"]) == ("", site.now, site.now)


def test_an_article_taken_away_upstream_leaves_the_feed(site: Any, shared: Shared, store: Repository, text_of: Any) -> None:
    shared.publish("content/2.md", text_of("2.md", title="The second"))
    site.rescan()
    shared.git("rm", "--quiet", "content/1.md")
    shared.commit()
    shared.push()
    site.rescan()
    assert titles(site) == {"The second"}


def test_without_the_setting_no_git_is_ever_started(
    site: Any, shared: Shared, store: Repository, text_of: Any, asked: list[str]
) -> None:
    use(site, pull=False)
    shared.publish("content/2.md", text_of("2.md"))
    site.rescan()
    assert asked == []
    assert titles(site) == {"The first"}
    assert site.runtime.read(health.catalog_status)["store_git"] is None


def test_a_pull_happens_once_in_its_time_however_many_rescans_there_are(
    site: Any, shared: Shared, store: Repository, text_of: Any
) -> None:
    use(site, pull=True, every_seconds=300)
    site.rescan()
    first = site.now
    shared.publish("content/2.md", text_of("2.md", title="The second"))
    site.rescan(now=first + 299)
    assert (titles(site), repository(site)["tried"]) == ({"The first"}, first)
    site.rescan(now=first + 300)
    assert (titles(site), repository(site)["tried"]) == ({"The first", "The second"}, first + 300)


def test_a_pull_can_be_asked_for_at_once(site: Any, shared: Shared, store: Repository, text_of: Any) -> None:
    use(site, pull=True, every_seconds=86400)
    site.rescan()
    shared.publish("content/2.md", text_of("2.md", title="The second"))
    site.rescan(pull=True)
    assert "The second" in titles(site)


def test_after_the_clock_was_set_back_the_store_is_pulled_again(site: Any, store: Repository) -> None:
    use(site, pull=True, every_seconds=300)
    site.rescan(now=site.now + 10**6)
    site.rescan(now=site.now - 10**5)
    assert repository(site)["tried"] == site.now


def test_a_tree_without_news_stays_untouched(site: Any, store: Repository) -> None:
    site.rescan()
    before = {path: path.stat().st_mtime_ns for path in store.folder.rglob("*.md")}
    assert site.rescan().changed == 0
    assert {path: path.stat().st_mtime_ns for path in store.folder.rglob("*.md")} == before


def test_a_branch_that_has_diverged_is_left_as_it_is_and_said_to_be_so(
    site: Any, shared: Shared, store: Repository, text_of: Any
) -> None:
    store.write("content/3.md", text_of("3.md", title="Ours"))
    store.commit()
    ours = store.git("rev-parse", "HEAD")
    for number in (4, 5):
        shared.publish(f"content/{number}.md", text_of(f"{number}.md", title="Theirs"))
    assert fault(site).startswith("main and origin/main have diverged (1 commit here, 2 commits there); the work tree is left")
    assert titles(site) == {"The first", "Ours"}
    assert store.git("rev-parse", "HEAD") == ours
    assert store.git("status", "--porcelain") == ""


def test_commits_that_are_not_pushed_yet_are_no_fault(site: Any, store: Repository, text_of: Any) -> None:
    store.write("content/3.md", text_of("3.md", title="Ours"))
    store.commit()
    assert fault(site) == ""
    assert titles(site) == {"The first", "Ours"}


def test_a_tree_with_changes_of_its_own_is_left_as_it_is_and_what_lies_there_is_published(
    site: Any, shared: Shared, store: Repository, text_of: Any
) -> None:
    store.write("content/1.md", text_of("1.md", title="Edited here"))
    shared.publish("content/2.md", text_of("2.md", title="The second"))
    said = fault(site)
    assert "1 commit cannot be taken in" in said and "content/1.md" in said
    assert titles(site) == {"Edited here"}
    store.git("checkout", "--quiet", "content/1.md")
    assert fault(site) == ""
    assert titles(site) == {"The first", "The second"}


def test_a_file_that_git_does_not_know_is_no_hindrance(site: Any, shared: Shared, store: Repository, text_of: Any) -> None:
    store.write("content/draft.md", text_of("draft.md", title="Not committed"))
    shared.publish("content/2.md", text_of("2.md", title="The second"))
    assert fault(site) == ""
    assert titles(site) == {"The first", "The second", "Not committed"}


def test_a_remote_that_is_gone_keeps_what_is_published_until_it_is_back(
    site: Any, shared: Shared, store: Repository, text_of: Any
) -> None:
    site.rescan()
    good = site.now
    shared.publish("content/2.md", text_of("2.md", title="The second"))
    away = shared.remote.rename(shared.remote.with_name("away"))
    store.write("content/3.md", text_of("3.md", title="Local"))
    assert fault(site).startswith("nothing could be fetched from origin: ")
    assert titles(site) == {"The first", "Local"}
    assert repository(site)["pulled"] == good
    away.rename(shared.remote)
    assert fault(site) == ""
    assert titles(site) == {"The first", "Local", "The second"}


def test_an_empty_repository_takes_its_first_commit(site: Any, tmp_path: Path, text_of: Any) -> None:
    shared = Shared(tmp_path)
    shared.clone(site.root / "archive")
    use(site, store="archive", pull=True, dates=True)
    shared.publish("1.md", text_of("1.md", title="The first"))
    assert fault(site) == ""
    assert titles(site) == {"The first"}


def test_a_configuration_that_comes_with_the_pull_is_in_force_at_once(site: Any, shared: Shared, store: Repository) -> None:
    before = (site.config_dir / "feeds.yaml").read_text("utf-8")
    shared.publish("feeds.yaml", before)
    site.rescan()
    (site.config_dir / "feeds.yaml").unlink()
    (site.config_dir / "feeds.yaml").symlink_to(store.folder / "feeds.yaml")
    shared.publish("feeds.yaml", f"{before}feeds: [{{name: mine, title: Mine}}]\n")
    site.rescan()
    assert "feeds/mine" in {row.path for row, _selection in site.runtime.read(lookup.list_feeds)}


# -- what stands in the way ---------------------------------------------------


def _detach(store: Repository) -> None:
    store.git("checkout", "--quiet", "--detach")


def _follow_nothing(store: Repository) -> None:
    store.git("branch", "--unset-upstream")


def _no_repository(store: Repository) -> None:
    shutil.rmtree(store.folder / ".git")


def _foreign(store: Repository) -> None:
    if os.geteuid():
        pytest.skip("only root can give a repository to somebody else")
    for path in (store.folder, store.folder / ".git"):
        os.chown(path, 12345, 12345)


_HINDRANCES = [
    (_detach, "the work tree is on no branch (detached HEAD)"),
    (_follow_nothing, "branch main follows no branch of a remote: git branch --set-upstream-to=origin/main main"),
    (_no_repository, "the store is in no git work tree"),
    (_foreign, "git config --global --add safe.directory "),
]


@pytest.mark.parametrize(("hinder", "words"), _HINDRANCES)
def test_what_stands_in_the_way_is_said_in_words_by_rescan_status_and_check(
    site: Any, store: Repository, hinder: Callable[[Repository], None], words: str
) -> None:
    hinder(store)
    environ = {"GIT_CEILING_DIRECTORIES": str(site.root), "HOME": str(site.root), "SUDO_UID": ""}
    site.close()
    done = feeds("rescan", "--config", site.config_dir, **environ)
    assert done.returncode == 1
    assert "feeds: the store was not pulled: " in done.stderr and words in done.stderr
    assert "1 articles (1 added" in done.stdout
    text = feeds("status", "--config", site.config_dir).stdout
    assert "fault: the store was not pulled" in text and words in text
    found = json.loads(feeds("check", "--config", site.config_dir, "--json", **environ).stdout)
    [problem] = found["problems"]
    assert words in problem["reason"] and problem["reason"].startswith("store_git.pull: ")
    line = Path(problem["path"]).read_text("utf-8").splitlines()[problem["line"] - 1]
    assert line[problem["column"] - 1 :] == "true"


def test_without_git_the_store_is_published_as_it_is(site: Any, store: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(site.root))
    assert fault(site) == "git is not installed, or not in PATH"
    assert titles(site) == {"The first"}
    assert ["git is not installed" in problem.reason for problem in check_.check(site.runtime.environment).problems] == [True]


def test_a_lock_left_behind_is_named(site: Any, shared: Shared, store: Repository, text_of: Any) -> None:
    (store.folder / ".git" / "index.lock").touch()
    shared.publish("content/2.md", text_of("2.md"))
    assert "has left index.lock behind" in fault(site)


def test_check_finds_nothing_to_say_of_a_good_clone(site: Any, store: Repository) -> None:
    use(site, pull=True, dates=True)
    assert check_.check(site.runtime.environment).problems == ()


def test_status_tells_commit_and_last_pull_in_text_and_json(site: Any, store: Repository) -> None:
    site.rescan()
    commit = store.git("rev-parse", "HEAD").strip()
    found = json.loads(feeds("status", "--config", site.config_dir, "--json").stdout)["store_git"]
    assert found == {
        "pull": True,
        "dates": False,
        "tried": site.now,
        "pulled": site.now,
        "commit": commit,
        "fault": "",
        "dates_fault": "",
        "shallow": False,
    }
    assert f"store at commit {commit[:12]}, last pull 20" in feeds("status", "--config", site.config_dir).stdout


# -- remotes that do harm ------------------------------------------------------


@contextlib.contextmanager
def silent_server() -> Iterator[tuple[int, threading.Event, threading.Event]]:
    """Takes a connection and never answers: the port, an event at the first connection, and one when that was given up."""
    arrived, left = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                connection, _address = server.accept()
                with connection:
                    while connection.recv(4096):
                        arrived.set()
                left.set()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1], arrived, left


@pytest.mark.parametrize("protocol", ["git", "http"])
def test_a_remote_that_never_answers_is_given_up_and_what_is_here_is_published(
    site: Any, store: Repository, text_of: Any, protocol: str
) -> None:
    use(site, pull=True, timeout_seconds=1)
    store.write("content/2.md", text_of("2.md", title="Local"))
    with silent_server() as (port, arrived, left):
        store.git("remote", "set-url", "origin", f"{protocol}://127.0.0.1:{port}/archive.git")
        said = fault(site)
        assert arrived.is_set()
        assert left.wait(10), "git still holds the connection"
    assert said == "nothing could be fetched from origin: no end after 1 s, so git was ended"
    assert titles(site) == {"The first", "Local"}


def test_while_a_remote_does_not_answer_readers_are_served_and_a_stop_ends_the_wait(site: Any, store: Repository) -> None:
    from werkzeug.test import Client

    site.rescan()
    client = Client(create_app(site.environment))
    use(site, pull=True, timeout_seconds=600)
    stop = threading.Event()
    with silent_server() as (port, arrived, left):
        store.git("remote", "set-url", "origin", f"git://127.0.0.1:{port}/archive.git")
        rescan = threading.Thread(target=lambda: site.rescan(stop=stop))
        rescan.start()
        assert arrived.wait(20)
        assert client.get("/all.atom").status_code == 200
        assert client.get("/tags/Linux.json").status_code == 200
        assert rescan.is_alive()
        stop.set()
        rescan.join(30)
        assert not rescan.is_alive()
        assert left.wait(10)
    found = repository(site)
    assert (found["fault"], found["tried"]) == ("", found["pulled"]), "the next process pulls at once"


SECRETS = ("ada-of-the-remote", "hunter2", "t0ken")


@contextlib.contextmanager
def tattling_server(status: int) -> Iterator[int]:
    """Refuses, and says in its answer all that it was told."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"{self.path} {self.headers} {' '.join(SECRETS)}\n".encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain")
            self.send_header("WWW-Authenticate", 'Basic realm="hunter2"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize("status", [401, 403, 404, 500])
@pytest.mark.parametrize("address", ["http://{0}:{1}@127.0.0.1:{port}/{2}/a.git?key={2}", "http://{1}@127.0.0.1:{port}/a.git"])
def test_credentials_in_the_address_of_a_remote_are_shown_nowhere(
    site: Any, store: Repository, running: Callable[..., Any], status: int, address: str
) -> None:
    with tattling_server(status) as port:
        url = address.format(*SECRETS, port=port)
        store.git("remote", "set-url", "origin", url)
        site.rescan()
        said = [feeds("rescan", "--pull", "--config", site.config_dir)]
        said += [feeds("status", *words, "--config", site.config_dir) for words in ((), ("--json",))]
        said += [feeds("check", "--config", site.config_dir)]
    assert "nothing could be fetched from origin" in said[0].stderr
    assert "nothing could be fetched from origin" in said[1].stdout
    everything = "".join(done.stdout + done.stderr for done in said) + site.kept()
    assert [secret for secret in SECRETS if secret in everything] == []


def test_the_clock_logs_a_failed_pull_once_and_without_credentials(site: Any, store: Repository, running: Any) -> None:
    site.settle("site.yaml", rescan_seconds=1)
    use(site, pull=True, every_seconds=1)
    with tattling_server(403) as port:
        store.git("remote", "set-url", "origin", "http://{}:{}@127.0.0.1:{port}/a.git".format(*SECRETS, port=port))
        service = running(site.config_dir, "--workers", "1").ready()
        service.wait(lambda: "pull_failed" in service.log())
        tried = repository(site)["tried"]
        service.wait(lambda: repository(site)["tried"] > tried + 1)
        service.stop()
    assert service.log().count("pull_failed") == 1
    assert "nothing could be fetched from origin" in service.log()
    assert [secret for secret in SECRETS if secret in service.log()] == []


def test_a_commit_pushed_upstream_is_served_by_a_running_service(
    site: Any, shared: Shared, store: Repository, running: Any, text_of: Any
) -> None:
    site.settle("site.yaml", rescan_seconds=1)
    use(site, pull=True, every_seconds=1)
    service = running(site.config_dir, "--workers", "1").ready()
    shared.publish("content/2.md", text_of("2.md", title="Pushed meanwhile"))
    service.wait(lambda: b"Pushed meanwhile" in service.request("/all.atom")[2], 30)
    commit = shared.git("rev-parse", "HEAD").strip()
    service.wait(lambda: f"commit={commit[:12]}" in service.log())
    service.stop()


def test_nobody_is_asked_for_a_password(site: Any, store: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "asked"
    program = executable(tmp_path / "askpass", f"touch {marker}; echo secret")
    for name in ("GIT_ASKPASS", "SSH_ASKPASS"):
        monkeypatch.setenv(name, str(program))
    store.git("config", "core.askPass", str(program))
    with tattling_server(401) as port:
        store.git("remote", "set-url", "origin", f"http://127.0.0.1:{port}/a.git")
        assert fault(site).endswith("the remote wants a name and a password, and nobody is there to type them")
    assert not marker.exists()


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_ssh_is_told_to_ask_nothing_and_the_operators_own_command_is_kept(
    site: Any, store: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    own = executable(tmp_path / "own-ssh", f'echo "$@" >> {seen}; echo "Permission denied (publickey)." >&2; exit 255')
    store.git("remote", "set-url", "origin", "ssh://git@127.0.0.1/archive.git")
    store.git("config", "core.sshCommand", f"{own} -i key")
    assert fault(site).endswith("the remote refuses this service's ssh key")
    assert "-i key -oBatchMode=yes" in seen.read_text()
    store.git("config", "--unset", "core.sshCommand")
    executable(tmp_path / "bin" / "ssh", f'echo plain "$@" >> {seen}; exit 255')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert fault(site).startswith("nothing could be fetched from origin: ")
    assert "plain -oBatchMode=yes" in seen.read_text()


HOOKS = ("post-merge", "post-checkout", "pre-merge-commit", "reference-transaction", "post-index-change", "pre-auto-gc")


def test_hooks_and_watchers_of_the_repository_are_not_run(
    site: Any, shared: Shared, store: Repository, tmp_path: Path, text_of: Any
) -> None:
    marker = tmp_path / "run"
    for name in HOOKS:
        executable(store.folder / ".git" / "hooks" / name, f"echo {name} >> {marker}")
        executable(shared.folder / "hooks" / name, f"echo tracked {name} >> {marker}")
    shared.commit()
    shared.push()
    site.rescan()
    assert fault(site) == "" and not marker.exists()
    store.git("config", "core.hooksPath", "hooks")
    store.git("config", "core.fsmonitor", str(executable(tmp_path / "watcher", f"echo watcher >> {marker}")))
    shared.publish("content/2.md", text_of("2.md", title="The second"))
    assert fault(site) == "" and "The second" in titles(site)
    assert not marker.exists()
    shared.publish("content/3.md", text_of("3.md"))
    store.git("pull", "--quiet", "--ff-only")
    assert {"watcher", "tracked post-merge"} <= set(marker.read_text().splitlines()), "these hooks do run by hand"


def test_a_submodule_is_not_followed(site: Any, shared: Shared, store: Repository, tmp_path: Path, text_of: Any) -> None:
    (tmp_path / "other").mkdir()
    other = Shared(tmp_path / "other")
    other.publish("9.md", text_of("9.md", title="In a submodule"))
    shared.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other.remote), "content/sub")
    shared.commit()
    shared.push()
    assert fault(site) == ""
    assert titles(site) == {"The first"}
    assert list((store.folder / "content" / "sub").iterdir()) == []


@pytest.mark.parametrize("address", ["ext::sh -c 'touch {marker}'", "fd::17"])
def test_a_protocol_that_runs_programs_is_refused(site: Any, store: Repository, tmp_path: Path, address: str) -> None:
    marker = tmp_path / "run"
    store.git("remote", "set-url", "origin", address.format(marker=marker))
    store.git("config", "protocol.allow", "always")
    assert "not allowed" in fault(site)
    assert not marker.exists()


def test_variables_of_another_repository_lead_nowhere(
    site: Any, shared: Shared, store: Repository, tmp_path: Path, text_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.publish("content/2.md", text_of("2.md", title="The second"))
    trace = tmp_path / "trace"
    for name, value in (("GIT_DIR", "/nonexistent"), ("GIT_INDEX_FILE", "/nonexistent/index"), ("GIT_TRACE", str(trace))):
        monkeypatch.setenv(name, value)
    site.rescan()
    monkeypatch.undo()
    assert repository(site)["fault"] == ""
    assert titles(site) == {"The first", "The second"}
    assert not trace.exists()


@pytest.mark.parametrize(
    "text",
    [
        "fatal: unable to access 'https://ada:hunter2@h.example/t0ken.git/': Could not resolve host: h.example",
        "fatal: unable to access 'https://ada:it's hunter2@h.example/': gone",
        "fatal: Authentication failed for 'https://hunter2@h.example/a.git/'",
        "error: RPC failed at HTTPS://x:p@ss/hunter2@h.example:8443/t0ken?private_token=t0ken; result=22",
        "remote: your token t0ken is not valid\nfatal: unable to access",
        "warning: url has plaintext credentials hunter2\nfatal: no",
    ],
)
def test_no_part_of_an_address_survives(text: str) -> None:
    said = git.explain(text, "/store")
    assert said and not [secret for secret in SECRETS if secret in said]


@given(st.text())
def test_whatever_git_says_is_one_printable_line(text: str) -> None:
    said = git.explain(text, "/store")
    assert said == "" or said.isprintable()


# -- dates ---------------------------------------------------------------------


def bare(title: str, **fields: str) -> str:
    """An article without any date but those given."""
    lines = "".join(f"{name}: '{value}'\n" for name, value in fields.items())
    return f"---\ntitle: {title}\n{lines}---\n\nText.\n"


def dates(site: Any) -> dict[str, tuple[int, int]]:
    """id -> (published, updated) of all that is published."""
    with site.runtime.reading() as connection:
        found = queries.select(connection, Site(), queries.Clauses(), Window(10**6), with_html=False)
    return {article.id: (int(article.published.timestamp()), int(article.updated.timestamp())) for article in found}


@pytest.fixture
def dated(site: Any) -> Repository:
    """A repository of one's own as the site's store, which takes dates from it."""
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", site.root / "archive"], check=True)
    use(site, store="archive", dates=True)
    return Repository(site.root / "archive")


def test_an_article_without_dates_takes_them_from_its_first_and_its_last_commit(site: Any, dated: Repository) -> None:
    dated.write("a.md", bare("A"))
    first = dated.commit()
    dated.write("b.md", bare("B"))
    second = dated.commit()
    site.rescan()
    assert dates(site) == {"a": (first, first), "b": (second, second)}
    dated.write("a.md", bare("A, edited"))
    third = dated.commit()
    site.rescan()
    assert dates(site) == {"a": (first, third), "b": (second, second)}
    body = site.runtime.read(lookup.find_document, site.runtime.edition(), "all", load_formats()["atom"]).body.decode()
    assert f"<published>{datetime.fromtimestamp(first, UTC).isoformat()}</published>" in body
    assert f"<updated>{datetime.fromtimestamp(third, UTC).isoformat()}</updated>" in body


def test_header_name_and_folder_are_above_the_commit_and_the_commit_is_above_the_files_own_time(
    site: Any, dated: Repository
) -> None:
    dated.write("header.md", bare("Header", date="2019-05-06 00:00:00+00:00"))
    dated.write("both.md", bare("Both", date="2019-05-06 00:00:00+00:00", updated="2019-06-07 00:00:00+00:00"))
    dated.write("20190203 name.md", bare("Name"))
    dated.write("2018/04/folder.md", bare("Folder"))
    dated.write("plain.md", bare("Plain"))
    when = dated.commit()
    site.settle("site.yaml", timezone="UTC")
    for path in dated.folder.rglob("*.md"):
        os.utime(path, (when + 10**6, when + 10**6))
    site.rescan()

    def at(*day: int) -> int:
        return int(datetime(*day, tzinfo=UTC).timestamp())

    assert dates(site) == {
        "header": (at(2019, 5, 6), when),
        "both": (at(2019, 5, 6), at(2019, 6, 7)),
        "20190203 name": (at(2019, 2, 3), when),
        "2018/04/folder": (at(2018, 4, 1), when),
        "plain": (when, when),
    }


def test_a_file_that_is_committed_later_takes_its_date_then(site: Any, dated: Repository) -> None:
    dated.write("a.md", bare("A"))
    dated.commit()
    dated.write("b.md", bare("B"))
    os.utime(dated.folder / "b.md", (START + 50 * DAY, START + 50 * DAY))
    site.rescan()
    assert dates(site)["b"] == (START + 50 * DAY, START + 50 * DAY)
    when = dated.commit()
    report = site.rescan()
    assert report.changed == 1
    assert dates(site)["b"] == (when, when)


def test_a_file_that_moves_keeps_its_dates_and_one_that_changes_with_it_keeps_its_first(site: Any, dated: Repository) -> None:
    text = bare("A") + "A line that stays.\n" * 20
    dated.write("old/a.md", text)
    dated.write("old/b.md", text.replace("A", "B"))
    first = dated.commit()
    dated.git("mv", "old", "new")
    dated.commit()
    site.rescan()
    assert dates(site) == {"new/a": (first, first), "new/b": (first, first)}
    dated.git("mv", "new/a.md", "a.md")
    dated.write("a.md", text + "One more line.\n")
    moved = dated.commit()
    site.rescan()
    assert dates(site) == {"a": (first, moved), "new/b": (first, first)}
    dated.write("new/a.md", bare("Another article altogether").replace("title", "id: other\ntitle"))
    new = dated.commit()
    site.rescan()
    assert dates(site)["other"] == (new, new), "a path that is free again is a new file"


def test_an_article_that_comes_back_is_as_old_as_it_was(site: Any, dated: Repository) -> None:
    dated.write("a.md", bare("A"))
    dated.write("b.md", bare("Quite another text"))
    first = dated.commit()
    (dated.folder / "a.md").unlink()
    dated.commit()
    site.rescan()
    dated.git("checkout", "--quiet", "HEAD~1", "--", "a.md")
    back = dated.commit()
    site.rescan()
    assert dates(site)["a"] == (first, back)


def test_a_store_below_the_top_and_awkward_names_are_dated(site: Any, dated: Repository) -> None:
    names = [
        "with blank.md",
        "内核.md",
        'quote".md',
        "line\nbreak.md",
        "tab\t.md",
        "\x01.md",
        "A100.md",
        "-M.markdown",
        "LOUD.MD",
        "L.Markdown",
    ]
    use(site, store="archive/deep/content", dates=True)
    dated.write("elsewhere.md", bare("Elsewhere"))
    dated.commit()
    for number, name in enumerate(names):
        dated.write(f"deep/content/{name}", bare(f"N{number}").replace("title", f"id: n{number}\ntitle"))
    when = dated.commit()
    site.rescan()
    assert dates(site) == {f"n{number}": (when, when) for number in range(len(names))}


def test_the_oldest_commit_of_a_shallow_clone_dates_nothing_and_that_is_said(site: Any, shared: Shared) -> None:
    shared.publish("content/a.md", bare("A"))
    first = shared.publish("content/b.md", bare("B"))
    edited = shared.publish("content/a.md", bare("A, edited"))
    subprocess.run(["git", "clone", "--quiet", "--depth=2", f"file://{shared.remote}", site.root / "archive"], check=True)
    use(site, dates=True)
    for path in (site.root / "archive").rglob("*.md"):
        os.utime(path, (START + 90 * DAY, START + 90 * DAY))
    site.rescan()
    assert dates(site)["b"] == (START + 90 * DAY, START + 90 * DAY)
    assert dates(site)["a"] == (START + 90 * DAY, START + 90 * DAY), "a change before publication does not count"
    assert repository(site)["shallow"] is True
    assert "a shallow clone, which dates nothing" in feeds("status", "--config", site.config_dir).stdout
    [problem] = [found for found in check_.check(site.runtime.environment).problems if found.kind != "hint"]
    assert problem.reason.startswith("store_git.dates: a shallow clone") and "git fetch --unshallow" in problem.reason
    Repository(site.root / "archive").git("fetch", "--quiet", "--unshallow")
    site.rescan()
    assert repository(site)["shallow"] is False
    assert dates(site)["b"] == (first, first)
    assert dates(site)["a"] == (first - DAY, edited)


def test_an_unchanged_head_asks_nothing_of_git_and_reads_no_file(site: Any, dated: Repository, asked: list[str]) -> None:
    dated.write("a.md", bare("A"))
    dated.commit()
    site.rescan()
    assert asked.count("log") == 1
    asked.clear()
    (dated.folder / "b.md").write_text(bare("B"))
    for _ in range(2):
        site.rescan()
    assert asked == []


def test_new_commits_cost_one_log_of_the_new_ones_only(
    site: Any, dated: Repository, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[Commit]] = []
    really = git_dates.apply_commits
    monkeypatch.setattr(git_dates, "apply_commits", lambda known, log, shallow: seen.append(log) or really(known, log, shallow))
    for number in range(5):
        dated.write(f"{number}.md", bare(f"N{number}"))
        dated.commit()
    site.rescan()
    dated.write("0.md", bare("Edited"))
    dated.commit()
    site.rescan()
    assert asked.count("log") == 2
    assert [len(log) for log in seen] == [5, 1]


def test_a_history_that_was_rewritten_is_read_again(site: Any, dated: Repository) -> None:
    dated.write("a.md", bare("A"))
    dated.commit()
    site.rescan()
    dated.when += 7 * DAY
    dated.git("commit", "--quiet", "--amend", "--no-edit")
    site.rescan()
    assert dates(site) == {"a": (dated.when, dated.when)}


def test_switched_off_again_articles_have_the_dates_of_their_files(site: Any, dated: Repository) -> None:
    dated.write("a.md", bare("A"))
    when = dated.commit()
    os.utime(dated.folder / "a.md", (when + 10 * DAY, when + 10 * DAY))
    site.rescan()
    use(site, store="archive", dates=False)
    site.rescan()
    assert dates(site) == {"a": (when + 10 * DAY, when + 10 * DAY)}
    use(site, store="archive", dates=True)
    site.rescan()
    assert dates(site) == {"a": (when, when)}


def test_where_git_has_no_answer_the_known_dates_hold(site: Any, dated: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    dated.write("a.md", bare("A"))
    when = dated.commit()
    site.rescan()
    dated.write("a.md", bare("A, edited"))
    os.utime(dated.folder / "a.md", (when + 9 * DAY, when + 9 * DAY))
    dated.commit()
    monkeypatch.setenv("PATH", str(site.root))
    site.rescan()
    assert dates(site) == {"a": (when, when)}
    assert repository(site)["dates_fault"] == "git is not installed, or not in PATH"
    monkeypatch.undo()
    site.rescan()
    assert dates(site) == {"a": (when, when + DAY)}
    assert repository(site)["dates_fault"] == ""


def test_a_linked_work_tree_and_packed_branches_are_seen_to_move(site: Any, dated: Repository) -> None:
    dated.write("a.md", bare("A"))
    first = dated.commit()
    dated.git("worktree", "add", "--quiet", "-b", "site", "../linked")
    use(site, store="linked", dates=True)
    linked = Repository(site.root / "linked")
    linked.when = dated.when
    site.rescan()
    assert dates(site) == {"a": (first, first)}
    linked.write("a.md", bare("A, edited"))
    second = linked.commit()
    site.rescan()
    assert dates(site) == {"a": (first, second)}
    linked.git("pack-refs", "--all")
    site.rescan()
    linked.write("a.md", bare("A, edited again"))
    third = linked.commit()
    site.rescan()
    assert dates(site) == {"a": (first, third)}


def test_a_merged_branch_brings_the_dates_of_its_own_commits(site: Any, dated: Repository) -> None:
    dated.write("a.md", bare("A"))
    dated.commit()
    dated.git("checkout", "--quiet", "-b", "side")
    dated.write("b.md", bare("B"))
    side = dated.commit()
    dated.git("checkout", "--quiet", "main")
    dated.write("c.md", bare("C"))
    main = dated.commit()
    site.rescan()
    dated.when += DAY
    dated.git("merge", "--quiet", "--no-edit", "side")
    site.rescan()
    assert (dates(site)["b"], dates(site)["c"]) == ((side, side), (main, main))


_PATHS = st.sampled_from(["a.md", "b.md", "x/a.md", "x/b.md"])
_EDITS = st.lists(st.tuples(st.sampled_from("write delete rename edit".split()), _PATHS, _PATHS, st.booleans()), max_size=12)


@settings(max_examples=some(12, least=3))
@given(edits=_EDITS)
def test_dates_brought_up_to_date_are_those_of_a_catalog_from_scratch(
    edits: list[tuple[str, str, str, bool]], new_site: Callable[..., Any]
) -> None:
    site, other = new_site(), new_site()
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", site.root / "archive"], check=True)
    store = Repository(site.root / "archive")
    use(site, store="archive", dates=True)
    use(other, store=str(store.folder), dates=True)
    for number, (what, path, target, look) in enumerate(edits):
        apply(store, what, path, target, number)
        store.commit()
        if look:
            site.rescan(accept_removals=True)
    site.rescan(accept_removals=True)
    other.rescan()
    assert dates(site) == dates(other)


def apply(store: Repository, what: str, path: str, target: str, number: int) -> None:
    file, other = store.folder / path, store.folder / target
    if what == "write" or not file.exists():
        store.write(path, bare(f"N{number}").replace("title", f"id: {path.replace('/', '-')}{number}\ntitle"))
    elif what == "edit":
        store.write(path, file.read_text() + f"{number}\n")
    elif what == "delete":
        file.unlink()
    elif not other.exists():
        other.parent.mkdir(exist_ok=True)
        file.rename(other)


_CHANGES = st.lists(
    st.builds(Change, st.sampled_from("AMDTR"), _PATHS, _PATHS, st.sampled_from([60, 100])), min_size=1, max_size=4
)
_LOGS = st.lists(st.builds(Commit, st.uuids().map(str), st.integers(-(10**10), 10**12), _CHANGES.map(tuple)), max_size=12)


@given(log=_LOGS, cut=st.integers(0, 12))
def test_any_history_folds_in_two_parts_as_it_does_at_once(log: list[Commit], cut: int) -> None:
    shallow = frozenset(commit.id for commit in log[:1])
    whole = {path: found for path, found in git_dates.apply_commits({}, log, shallow).items() if found}
    early = {path: found for path, found in git_dates.apply_commits({}, log[:cut], shallow).items() if found}
    late = git_dates.apply_commits(early, log[cut:], shallow)
    assert {path: found for path, found in {**early, **late}.items() if found} == whole
    for found in whole.values():
        assert found.first is None or found.last is None or found.first <= found.last
