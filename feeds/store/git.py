"""The store's git repository: pull it, and read from its log when each file was first and last committed.

This is the only place that starts git: without shell, prompt, pager, editor or hook, with the protocols named here, and with a
time limit, after which the whole process group is ended. Output of git is never passed on as it is, because addresses of
remotes may hold credentials: `explain` turns it into a message.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from ..database import chunks
from ..database.tables import dated
from ..errors import GitError
from .parse import UNDATED, FileDates

if TYPE_CHECKING:
    from ..config.models import Config, StoreGit

#: For what needs no network: long, because git that is ended during a checkout leaves half of it behind.
LOCAL_SECONDS = 600.0
_GRACE_SECONDS = 5.0
_STEP_SECONDS = 0.25
#: What operators may set: GIT_DIR and the like would lead to another repository, GIT_TRACE writes addresses to stderr.
_KEPT = frozenset(
    "GIT_CEILING_DIRECTORIES GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM GIT_CONFIG_NOSYSTEM GIT_EXEC_PATH GIT_SSH GIT_SSH_COMMAND "
    "GIT_SSL_CAINFO GIT_SSL_CAPATH GIT_PROXY_SSL_CAINFO".split()
)
PROTOCOLS = ("https", "ssh", "http", "git", "file")
_ENVIRONMENT = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",  # set and empty: neither core.askPass nor SSH_ASKPASS is asked
    "SSH_ASKPASS_REQUIRE": "never",
    "GCM_INTERACTIVE": "never",
    "GIT_EDITOR": ":",
    "GIT_SEQUENCE_EDITOR": ":",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": ":".join(PROTOCOLS),
}
#: Above whatever the repository's own configuration says (https://git-scm.com/docs/git-config). An automatic gc would go on in
#: a process of its own, behind the time limit.
_SETTINGS = (
    "core.hooksPath=/dev/null core.fsmonitor=false core.pager=cat credential.interactive=false gc.auto=0 "
    "maintenance.auto=false submodule.recurse=false fetch.recurseSubmodules=false http.lowSpeedLimit=1 http.lowSpeedTime=60 "
    "log.showSignature=false color.ui=false advice.detachedHead=false merge.autoStash=false".split()
)


@dataclass(frozen=True, slots=True)
class Git:
    """git in one folder. `stop` ends the command that is running, as the time limit does."""

    folder: str
    stop: threading.Event | None = None

    def run_command(self, *arguments: str, seconds: float = LOCAL_SECONDS, ssh: str = "") -> str:
        """Return the output, decoded as names of files are. `ssh` is the command that reaches a remote. Raises GitError."""
        code, output, errors = self._run(arguments, seconds, ssh)
        if code:
            raise GitError(explain(errors, self.folder) or f"git {arguments[0]} ended with {code}")
        return os.fsdecode(output)

    def read_line(self, *arguments: str) -> str:
        """Return one line of output, "" where the command fails."""
        code, output, _errors = self._run(arguments, LOCAL_SECONDS)
        return "" if code else os.fsdecode(output).strip()

    def settings(self) -> dict[str, str]:
        """Return the whole configuration; of repeated keys the last, as git itself has it. Holds credentials."""
        rows = (row.partition("\n") for row in self.run_command("config", "--list", "-z").split("\0") if row)
        return {key: value for key, _line, value in rows}

    def _run(self, arguments: tuple[str, ...], seconds: float, ssh: str = "") -> tuple[int, bytes, bytes]:
        if shutil.which("git") is None:
            raise GitError("git is not installed, or not in PATH")
        options = [word for setting in _SETTINGS for word in ("-c", setting)]
        # Without secrets of ours, and without what leads git elsewhere.
        withheld = [name for name in os.environ if name.startswith(("GIT_", "FEEDS_", "SSH_ASKPASS")) and name not in _KEPT]
        inherited = {name: value for name, value in os.environ.items() if name not in withheld}
        deadline = time.monotonic() + seconds
        try:
            process = subprocess.Popen(  # noqa: S603
                ["git", "--no-pager", *options, *arguments],  # noqa: S607  # the system's, wherever it is
                cwd=self.folder,
                env={**inherited, **_ENVIRONMENT, **({"GIT_SSH_COMMAND": ssh} if ssh else {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # no terminal to prompt on, and a group to end
            )
        except OSError as error:
            raise GitError(f"{self.folder}: {error.strerror}") from None
        with process:
            try:
                while True:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        output, errors = process.communicate(timeout=min(_STEP_SECONDS, seconds))
                        return process.returncode, output, errors
                    if self.stop is not None and self.stop.is_set():
                        raise GitError("ended, because the service is stopping")
                    if time.monotonic() >= deadline:
                        raise GitError(f"no end after {seconds:g} s, so git was ended")
            finally:
                # End the whole group: first ask, so that git takes its lock files away, then kill.
                for number, grace in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, None)):
                    if process.returncode is None:
                        with contextlib.suppress(ProcessLookupError):
                            os.killpg(process.pid, number)
                        with contextlib.suppress(subprocess.TimeoutExpired):
                            process.communicate(timeout=grace)


# -- messages --------------------------------------------------------------

#: In quotation marks up to the last one, because a password may hold blanks and quotation marks, too.
_ADDRESS = re.compile(r"'([A-Za-z][A-Za-z0-9+.-]*)://.*'|['\"]?([A-Za-z][A-Za-z0-9+.-]*)://\S+")
NO_WORK_TREE = "the store is in no git work tree"
#: (what git says, what to tell the operator); {at} is the folder that git names.
_KNOWN = (
    (
        "dubious ownership",
        "git refuses the repository at {at}, because it belongs to another user: as the user that runs this service, "
        "`git config --global --add safe.directory {at}` says that it is all right",
    ),
    ("not a git repository (", NO_WORK_TREE),
    ("must be run in a work tree", "the store is in a bare repository, which has no work tree"),
    ("terminal prompts disabled", "the remote wants a name and a password, and nobody is there to type them"),
    ("Host key verification failed", "ssh does not know the remote's host key: connect once by hand, as the service's user"),
    ("Permission denied (", "the remote refuses this service's ssh key"),
    ("index.lock': File exists", "another git process is at work, or one that was killed has left index.lock behind"),
)
_NOT_OURS = ("remote:", "hint:", "warning:")


def explain(errors: str | bytes, folder: str) -> str:
    """Return what git wrote to stderr as one line without addresses; lines of the remote's own are left out."""
    text = errors.decode("utf-8", "replace") if isinstance(errors, bytes) else errors
    found = re.search(r"dubious ownership in repository at '([^'\n]*)'", text)
    for sign, words in _KNOWN:
        if sign in text:
            return words.format(at=found[1] if found else folder)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(_NOT_OURS)]
    line = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[0] if lines else "")
    # Of an address only the protocol is shown: a name, a password or a token can be anywhere in it.
    shown = _ADDRESS.sub(lambda address: f"{address[1] or address[2]}://…", line)
    return re.sub(r"^(?:fatal|error): ", "", printable(shown))[:300]


def printable(text: str) -> str:
    """Return text without characters that a terminal or a log could take for more than text."""
    return "".join(character if character.isprintable() else " " for character in text)


# -- dates of files --------------------------------------------------------
#
# One `git log` over the commits that are new, never a process for each file. A file that moved keeps its first date. The oldest
# commits of a shallow clone stand for everything before them, so they date nothing.

_COMMIT = "\x01"
SHALLOW = "dates nothing that its oldest commits brought"
#: Renames are looked for among so many files of one commit: the search takes time by the square.
_RENAMES = "-l400"


@dataclass(frozen=True, slots=True)
class Change:
    """One file in one commit. `status` is git's letter; `score` is 100 for a rename that changed nothing."""

    status: str
    path: str
    source: str = ""
    score: int = 0


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit with the articles that it touches; `when` in UTC seconds."""

    id: str
    when: int
    changes: Sequence[Change]


def shallow_commits(git: Git) -> frozenset[str]:
    """Return the commits whose parents a shallow clone has not got."""
    path = Path(git.folder, git.run_command("rev-parse", "--git-path", "shallow").strip())
    try:
        return frozenset(path.read_text("ascii").split())
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError):
        raise GitError("the list of a shallow clone's oldest commits cannot be read") from None


def read_log(git: Git, after: str, until: str, folder: str = "") -> list[Commit]:
    """Return the commits that touch articles below git's folder, parents before children; all up to `until` if not `after`.

    `folder` is put before all paths.
    """
    # A partial clone has not got the old contents, and would fetch each of them to compare it.
    renames = "-M100%" if any(key.endswith(".promisor") for key in git.settings()) else "-M"
    order = ("--topo-order", "--reverse", "--full-history", "--relative")
    shown = (f"--format={_COMMIT}%H %ct", "--name-status", "--no-ext-diff", renames, _RENAMES, "-z")
    commits = f"{after}..{until}" if after else until
    output = git.run_command("log", *order, *shown, commits, "--", ":(icase)*.md", ":(icase)*.markdown")
    log: list[Commit] = []
    changes: list[Change] = []
    tokens = iter(output.split("\0"))
    for token in tokens:
        word = token.lstrip("\n")
        if word.startswith(_COMMIT):
            id, _, when = word.strip().removeprefix(_COMMIT).partition(" ")
            changes = []
            log.append(Commit(id, int(when), changes))
        elif word:
            source = folder + next(tokens) if word[0] in "RC" else ""
            changes.append(Change(word[0], folder + next(tokens), source, int(word[1:] or 0)))
    return log


def apply_commits(
    known: Mapping[str, FileDates], log: Iterable[Commit], shallow: frozenset[str]
) -> dict[str, FileDates | None]:
    """Return the files whose dates differ from `known` after some commits, parents first; None for a file that moved. Pure.

    A file that was deleted is remembered: should it come back, it is as old as it was.
    """
    found: dict[str, FileDates | None] = {}
    for commit in log:
        for change in commit.changes:
            before = found.get(change.path, known.get(change.path))
            if commit.id in shallow:
                found[change.path] = before or UNDATED
            elif change.status == "R":
                source = found.get(change.source, known.get(change.source)) or before or UNDATED
                found[change.source] = None
                found[change.path] = source if change.score == 100 else source.changed(commit.when)
            elif change.status == "A" and before is None:
                found[change.path] = FileDates(commit.when, commit.when)
            elif change.status != "D":
                found[change.path] = (before or UNDATED).changed(commit.when)
    return {path: dates for path, dates in found.items() if dates != known.get(path)}


# -- dates in the catalog: read once, then updated by the commits that are new ---
#
# While the files in which git keeps its branches are unchanged, git is not started at all.


@dataclass(frozen=True, slots=True)
class DateChanges:
    """Files with other dates than the catalog has, None for no dates any more; `mark` is to be stored until the next time."""

    mark: str = ""
    changed: Mapping[str, FileDates | None] = field(default_factory=dict)
    shallow: bool = False
    fault: str = ""
    head: str = ""


@dataclass(frozen=True, slots=True)
class _Mark:
    """Up to which commit the dates are known. `watched` are the files that a new commit would change, with their stamps."""

    store: str = ""
    head: str = ""
    shallow: list[str] = field(default_factory=list)
    watched: Mapping[str, list[int]] = field(default_factory=dict)


def check_mark(text: str) -> None:
    """Raise ValueError or TypeError for a mark that `join_changes` never wrote: git would take its parts for options."""
    for one in split_mark(text).values():
        mark = _Mark(**json.loads(one or "{}"))
        if not re.fullmatch("[0-9a-f]*", mark.head) or not isinstance(mark.watched, dict) or not isinstance(mark.shallow, list):
            raise ValueError("dated")


def split_mark(text: str) -> dict[str, str]:
    """Return the mark of each store by the folder that its paths begin with; of one that is alone, by ""."""
    stored = json.loads(text or "{}")
    return {folder: json.dumps(mark) for folder, mark in stored["stores"].items()} if "stores" in stored else {"": text}


def join_changes(found: Mapping[str, DateChanges]) -> DateChanges:
    """Return the changes of several stores, by the folders that their paths begin with, as those of one."""
    if list(found) == [""]:
        return found[""]
    faults = join_faults({folder.rstrip("/"): changes.fault for folder, changes in found.items()})
    mark = json.dumps(
        {"stores": {folder: json.loads(changes.mark or "{}") for folder, changes in found.items()}}, sort_keys=True
    )
    changed = {path: dates for changes in found.values() for path, dates in changes.changed.items()}
    head = next((changes.head for changes in found.values() if changes.head), "")
    return DateChanges(mark, changed, any(changes.shallow for changes in found.values()), faults, head)


def join_faults(faults: Mapping[str, str]) -> str:
    """Return what is wrong with some stores, by their names. Those in no work tree are left alone, unless all of them are.

    >>> join_faults({"blog": "", "notes": NO_WORK_TREE}), join_faults({"blog": "a bare repository", "notes": NO_WORK_TREE})
    ('', 'blog: a bare repository')
    """
    if all(fault == NO_WORK_TREE for fault in faults.values()):
        return NO_WORK_TREE
    return "; ".join(f"{name}: {fault}" if name else fault for name, fault in faults.items() if fault not in ("", NO_WORK_TREE))


def find_date_changes(
    connection: sa.Connection,
    store: str,
    mark: str,
    *,
    everything: bool = False,
    folder: str = "",
    others: tuple[str, ...] = (),
) -> DateChanges:
    """Compare git's dates with the catalog's. Reads only. Where git fails, the known dates stay valid, and `fault` says why.

    In the catalog the paths of this store begin with `folder`; none of them begins with one of `others`.
    """
    before = _Mark(**json.loads(mark or "{}"))
    same = before.store == store and not everything
    if same and before.watched and _file_stamps(before.watched) == before.watched:
        return DateChanges(mark, shallow=bool(before.shallow), head=before.head)
    try:
        return _read_date_changes(connection, Git(store), before if same else _Mark(), folder, others)
    except GitError as error:
        return DateChanges(mark, shallow=bool(before.shallow), fault=str(error), head=before.head)


def _read_date_changes(connection: sa.Connection, git: Git, before: _Mark, folder: str, others: tuple[str, ...]) -> DateChanges:
    names = ["HEAD", "packed-refs", "shallow", "reftable/tables.list"]
    if branch := git.read_line("symbolic-ref", "--quiet", "HEAD"):
        names.append(branch)
    paths = git.run_command("rev-parse", *(word for name in names for word in ("--git-path", name))).splitlines()
    # The stamps come first: what happens while git reads its log is then seen the next time.
    watched = _file_stamps(os.path.normpath(os.path.join(git.folder, path)) for path in paths)
    head = git.read_line("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    shallow = shallow_commits(git)
    after = json.dumps(asdict(_Mark(git.folder, head, sorted(shallow), watched)), sort_keys=True)
    # The log continues from the commit before, unless that is gone, as after a forced push.
    continues = before.head and head and before.shallow == sorted(shallow)
    known_to = before.head if continues and git.read_line("merge-base", before.head, head) == before.head else ""
    if known_to == head:
        return DateChanges(after, shallow=bool(shallow), head=head)
    log = read_log(git, known_to, head, folder) if head else []
    if known_to:
        touched = {path for commit in log for change in commit.changes for path in (change.path, change.source) if path}
        changed = apply_commits(read_dates(connection, touched), log, shallow)
    else:
        rows = connection.execute(sa.select(dated).where(dated.c.path.startswith(folder, autoescape=True)))
        known = {path: FileDates(first, last) for path, first, last in rows if not path.startswith(others)}
        found = dict.fromkeys(known) | apply_commits({}, log, shallow)
        changed = {path: dates for path, dates in found.items() if known.get(path) != dates}
    return DateChanges(after, changed, bool(shallow), head=head)


def _file_stamps(paths: Iterable[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for path in paths:
        found[path] = []
        with contextlib.suppress(OSError):
            status = os.stat(path)
            found[path] = [status.st_mtime_ns, status.st_ino, status.st_size]
    return found


def read_dates(connection: sa.Connection, paths: Iterable[str]) -> dict[str, FileDates]:
    """Return the dates that the catalog has of some files."""
    queries = (sa.select(dated).where(dated.c.path.in_(part)) for part in chunks(sorted(paths)))
    return {path: FileDates(first, last) for query in queries for path, first, last in connection.execute(query)}


def write_dates(connection: sa.Connection, changed: Mapping[str, FileDates | None]) -> None:
    """Store changed dates, and delete those of files that have none any more."""
    for part in chunks(sorted(changed)):
        connection.execute(sa.delete(dated).where(dated.c.path.in_(part)))
    rows = [{"path": path, "first": dates.first, "last": dates.last} for path, dates in changed.items() if dates]
    if rows:
        connection.execute(sa.insert(dated), rows)


# -- pull: fetch, then fast-forward or nothing -----------------------------
#
# A work tree with changes of its own, or a branch that has diverged, is left as it is, and reported.

#: Where the fetched branch is kept: a name of our own, so that neither remotes nor refspecs need to be understood.
FETCHED = "refs/feeds/upstream"


@dataclass(frozen=True, slots=True)
class Upstream:
    """The branch that the work tree is on, and the branch of a remote that it follows."""

    branch: str
    remote: str
    ref: str


@dataclass(frozen=True, slots=True)
class PullResult:
    """The commit that the work tree is at after a pull ("" where that is not known), or why it did not move."""

    commit: str = ""
    moved: bool = False
    fault: str = ""


def pull(store: str, settings: StoreGit, stop: threading.Event | None = None) -> PullResult:
    """Fetch and fast-forward. Never raises for what git says; the store is then as it was."""
    git = Git(os.path.realpath(store), stop)
    before = ""
    try:
        before = head_commit(git)
        _fast_forward(git, upstream_branch(git), before, settings.timeout_seconds)
        after = head_commit(git)
    except GitError as error:
        return PullResult(before, fault=str(error))
    return PullResult(after, moved=after != before)


def head_commit(git: Git) -> str:
    """Return the commit that the work tree is at; "" where there is none yet. Raises GitError outside a work tree."""
    if git.run_command("rev-parse", "--is-inside-work-tree").strip() != "true":
        raise GitError(NO_WORK_TREE)
    return git.read_line("rev-parse", "--verify", "--quiet", "HEAD^{commit}")


def upstream_branch(git: Git) -> Upstream:
    """Return the branch to pull from. Raises GitError where the work tree follows none."""
    ref = git.read_line("symbolic-ref", "--quiet", "HEAD")
    if not ref:
        raise GitError("the work tree is on no branch (detached HEAD), so there is nothing to pull")
    branch = ref.removeprefix("refs/heads/")
    settings = git.settings()
    remote, merge = (settings.get(f"branch.{branch}.{name}", "") for name in ("remote", "merge"))
    if not remote or not merge:
        raise GitError(f"branch {branch} follows no branch of a remote: git branch --set-upstream-to=origin/{branch} {branch}")
    return Upstream(branch, remote, merge)


def _fast_forward(git: Git, source: Upstream, before: str, seconds: int) -> None:
    options = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-auto-maintenance", "--no-write-fetch-head")
    # The operator's own command for ssh is told not to ask anything; a program that stands in for it cannot be.
    own = os.environ.get("GIT_SSH_COMMAND") or git.settings().get("core.sshcommand", "")
    ssh = "" if not own and os.environ.get("GIT_SSH") else f"{own or 'ssh'} -oBatchMode=yes -oConnectTimeout=20"
    try:
        git.run_command("fetch", *options, "--", source.remote, f"+{source.ref}:{FETCHED}", seconds=seconds, ssh=ssh)
    except GitError as error:
        # A remote can also be written as an address, where its name is expected.
        shown = "its remote" if ":" in source.remote or "/" in source.remote else source.remote
        raise GitError(f"nothing could be fetched from {shown}: {error}") from None
    ahead, behind = 0, 1
    if before:
        ahead, behind = map(int, git.run_command("rev-list", "--left-right", "--count", f"HEAD...{FETCHED}").split())
    if not behind:
        return
    if ahead:
        followed = source.ref.removeprefix("refs/heads/")
        followed = followed if source.remote == "." else f"{source.remote}/{followed}"  # as git shows it: origin/main
        raise GitError(
            f"{source.branch} and {followed} have diverged ({_commits(ahead)} here, {_commits(behind)} there); "
            "the work tree is left as it is: merge or rebase it by hand"
        )
    status = git.run_command("status", "--porcelain=v1", "-z", "--untracked-files=no")
    if changed := [row for row in status.split("\0") if row]:
        raise GitError(
            f"{_commits(behind)} cannot be taken in, because the work tree has changes that are not committed "
            f"({printable(changed[0][3:])}{' and others' if len(changed) > 1 else ''}); it is left as it is"
        )
    git.run_command("merge", "--ff-only", "--quiet", "--no-stat", FETCHED)


def _commits(number: int) -> str:
    return f"{number} commit{'' if number == 1 else 's'}"


# -- the repository's status, for the operator -----------------------------
#
# A pull belongs to a rescan and to its lock, so there are never two; it is over before any transaction begins.

STATE_NAME = "git"


@dataclass(frozen=True, slots=True)
class RepositoryStatus:
    """The last results of pulls and of dates. `tried` and `pulled` in UTC seconds: the last pull, the last good one; or 0."""

    pull: bool = False
    dates: bool = False
    tried: int = 0
    pulled: int = 0
    commit: str = ""
    fault: str = ""
    dates_fault: str = ""
    shallow: bool = False

    @classmethod
    def from_state(cls, stored: Mapping[str, str]) -> RepositoryStatus | None:
        """Return the status that the last rescan stored; None where git is not used."""
        text = stored.get(STATE_NAME, "")
        return cls(**json.loads(text)) if text else None

    def as_json(self) -> str:
        """Return the text to store; "" where git is not used."""
        return json.dumps(asdict(self), ensure_ascii=False) if self.pull or self.dates else ""


def join_pulls(results: Mapping[str, PullResult]) -> PullResult:
    """Return the results of several stores, by their prefixes, as those of one."""
    fault = join_faults({name: found.fault for name, found in results.items()})
    commit = next((found.commit for found in results.values() if found.commit), "")
    return PullResult(commit, any(found.moved for found in results.values()), fault)


def pull_if_due(
    config: Config, stored: Mapping[str, str], now: int, *, at_once: bool, stop: threading.Event | None
) -> tuple[RepositoryStatus, bool]:
    """Pull if the last pull is long enough ago, or `at_once`; `now` in UTC seconds. Return also whether the work tree moved."""
    settings = config.site.store_git
    before = RepositoryStatus.from_state(stored) or RepositoryStatus()
    before = replace(before, pull=settings.pull, dates=settings.dates)
    if not settings.pull:
        return replace(before, fault=""), False
    if not at_once and 0 <= now - before.tried < settings.every_seconds:
        return before, False
    results = {store.prefix: pull(store.path, settings, stop) for store in config.site.stores}
    found = join_pulls(results)
    if found.fault and stop is not None and stop.is_set():
        return before, False  # the next process begins with this pull
    good = before.pulled if found.fault else now
    return replace(before, tried=now, pulled=good, commit=found.commit or before.commit, fault=found.fault), found.moved
