"""The system's git, run so that no repository makes it do more than it is asked: the only place that starts it.

No shell, prompt, pager, editor or hook; only the protocols named here; a time limit, after which it is ended with all that it
began. What git writes is never passed on as it is, because addresses of remotes may hold credentials: `in_words` is what
becomes of it.
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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import sqlalchemy as sa

from ..config.models import Config, StoreGit
from ..database.tables import dated
from ..errors import GitError

#: For what needs no network: long, because git that is ended amid a checkout leaves half of it behind.
LOCAL_SECONDS = 600.0
_GRACE_SECONDS = 5.0
_STEP_SECONDS = 0.25
#: What of git's own variables is the operator's to set; GIT_DIR and its like would lead to another repository, and GIT_TRACE
#: and its like write addresses to stderr.
_KEPT = {
    "GIT_CEILING_DIRECTORIES",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_EXEC_PATH",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_PROXY_SSL_CAINFO",
}
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
#: Above whatever the repository's own configuration says (https://git-scm.com/docs/git-config).
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.pager=cat",
    "credential.interactive=false",
    "gc.auto=0",  # would go on in a process of its own, behind the time limit
    "maintenance.auto=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
    "log.showSignature=false",
    "color.ui=false",
    "advice.detachedHead=false",
    "merge.autoStash=false",
)


@dataclass(frozen=True, slots=True)
class Git:
    """git in one folder. `stop` ends what runs, as the time limit does."""

    folder: str
    stop: threading.Event | None = None

    def run(self, *arguments: str, seconds: float = LOCAL_SECONDS, ssh: str = "") -> str:
        """Its answer; names of files come back as the file system has them. Raises GitError in words for the operator.

        `ssh` is the command that reaches a remote, if one is to be reached.
        """
        code, answer, said = self._finish(self._start(arguments, ssh), seconds)
        if code:
            raise GitError(in_words(said, self.folder) or f"git {arguments[0]} ended with {code}")
        return os.fsdecode(answer)

    def ask(self, *arguments: str) -> str:
        """One line, "" where git has no answer."""
        code, answer, _said = self._finish(self._start(arguments, ""), LOCAL_SECONDS)
        return "" if code else os.fsdecode(answer).strip()

    def settings(self) -> dict[str, str]:
        """All of its configuration; of repeated keys the last, as git itself has it. Holds credentials."""
        rows = (row.partition("\n") for row in self.run("config", "--list", "-z").split("\0") if row)
        return {key: value for key, _line, value in rows}

    def _start(self, arguments: tuple[str, ...], ssh: str) -> subprocess.Popen[bytes]:
        if shutil.which("git") is None:
            raise GitError("git is not installed, or not in PATH")
        options = [word for setting in _SETTINGS for word in ("-c", setting)]
        environment = {**_inherited(), **_ENVIRONMENT, **({"GIT_SSH_COMMAND": ssh} if ssh else {})}
        try:
            return subprocess.Popen(  # noqa: S603
                ["git", "--no-pager", *options, *arguments],  # noqa: S607  # the system's, wherever it is
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # no terminal to prompt on, and a group to end
            )
        except OSError as error:
            raise GitError(f"{self.folder}: {error.strerror}") from None

    def _finish(self, process: subprocess.Popen[bytes], seconds: float) -> tuple[int, bytes, bytes]:
        deadline = time.monotonic() + seconds
        with process:
            try:
                while True:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        answer, said = process.communicate(timeout=min(_STEP_SECONDS, seconds))
                        return process.returncode, answer, said
                    if self.stop is not None and self.stop.is_set():
                        raise GitError("ended, because the service is stopping")
                    if time.monotonic() >= deadline:
                        raise GitError(f"no end after {seconds:g} s, so git was ended")
            finally:
                _end(process)


def _inherited() -> dict[str, str]:
    """This process's environment without secrets of ours and without what leads git elsewhere."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or not name.startswith(("GIT_", "FEEDS_", "SSH_ASKPASS"))
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    """The whole group: first asked, so that git takes its lock files away, then killed."""
    if process.returncode is not None:
        return
    for number, seconds in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=seconds)
            return


# -- git's words -----------------------------------------------------------

#: In quotation marks up to the last one, because a password may hold blanks and quotation marks, too.
_ADDRESS = re.compile(r"'([A-Za-z][A-Za-z0-9+.-]*)://.*'|['\"]?([A-Za-z][A-Za-z0-9+.-]*)://\S+")
#: (what git says, what to do about it); {at} is the folder that git names.
_KNOWN = (
    (
        "dubious ownership",
        "git refuses the repository at {at}, because it belongs to another user: as the user that runs this service, "
        "`git config --global --add safe.directory {at}` says that it is all right",
    ),
    ("not a git repository (", "the store is in no git work tree"),
    ("must be run in a work tree", "the store is in a bare repository, which has no work tree"),
    ("terminal prompts disabled", "the remote wants a name and a password, and nobody is there to type them"),
    ("Host key verification failed", "ssh does not know the remote's host key: connect once by hand, as the service's user"),
    ("Permission denied (", "the remote refuses this service's ssh key"),
    ("index.lock': File exists", "another git process is at work, or one that was killed has left index.lock behind"),
)


def in_words(said: str | bytes, folder: str) -> str:
    """What git wrote to stderr, in one line without addresses; lines of the remote's own are left out."""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    found = re.search(r"dubious ownership in repository at '([^'\n]*)'", text)
    for sign, words in _KNOWN:
        if sign in text:
            return words.format(at=found[1] if found else folder)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(_NOT_OURS)]
    line = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[0] if lines else "")
    return re.sub(r"^(?:fatal|error): ", "", plain(without_addresses(line)))[:300]


_NOT_OURS = ("remote:", "hint:", "warning:")


def plain(text: str) -> str:
    """Without what a terminal or a log could take for more than text."""
    return "".join(character if character.isprintable() else " " for character in text)


def without_addresses(text: str) -> str:
    """Of an address only the protocol is shown: a name, a password or a token can be anywhere in it."""
    return _ADDRESS.sub(lambda found: f"{found[1] or found[2]}://…", text)


# Since when git knows the files of a store, and when it last saw them change. Pure but for asking git.
#
# One `git log` over the commits that are new, never a process for each file. A file that moved keeps its first date; a move
# that
# changes nothing is no modification. The oldest commits of a shallow clone stand for all that was before them, so they date
# nothing.

_COMMIT = "\x01"
#: What to say of a shallow clone.
SHALLOW = "dates nothing that its oldest commits brought"
#: Renames are looked for among so many files of one commit: the search takes time by the square.
_RENAMES = "-l400"


@dataclass(frozen=True, slots=True)
class Dates:
    """UTC seconds of the first and the last commit of a file; None where no commit says."""

    first: int | None = None
    last: int | None = None


UNDATED = Dates()


@dataclass(frozen=True, slots=True)
class Change:
    """One file in one commit. `status` is git's letter; `score` is 100 for a rename that changed nothing."""

    status: str
    path: str
    source: str = ""
    score: int = 0


@dataclass(frozen=True, slots=True)
class Commit:
    id: str
    when: int
    changes: tuple[Change, ...]


def shallow_ids(git: Git) -> frozenset[str]:
    """The commits whose parents a shallow clone has not got."""
    path = Path(git.folder, git.run("rev-parse", "--git-path", "shallow").strip())
    try:
        return frozenset(path.read_text("ascii").split())
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError):
        raise GitError("the list of a shallow clone's oldest commits cannot be read") from None


def commits(git: Git, after: str, until: str) -> Iterator[Commit]:
    """Those that touch articles below git's folder, parents before children; `after` is "" for all of them."""
    # A partial clone has not got the old contents, and would fetch each of them to compare it.
    renames = "-M100%" if any(key.endswith(".promisor") for key in git.settings()) else "-M"
    answer = git.run(
        "log",
        "--topo-order",
        "--reverse",
        "--full-history",
        "--relative",
        f"--format={_COMMIT}%H %ct",
        "--name-status",
        "--no-ext-diff",
        renames,
        _RENAMES,
        "-z",
        f"{after}..{until}" if after else until,
        "--",
        "*.md",
        "*.markdown",
    )
    return read_log(answer)


def read_log(text: str) -> Iterator[Commit]:
    """The answer of `git log -z --name-status` with a header line for each commit."""
    tokens = iter(text.split("\0"))
    header = ""
    changes: list[Change] = []
    for token in tokens:
        word = token.lstrip("\n")
        if word.startswith(_COMMIT):
            if header:
                yield _commit(header, changes)
            header, changes = word, []
        elif word:
            status, score = word[0], word[1:]
            source = next(tokens) if status in "RC" else ""
            changes.append(Change(status, next(tokens), source, int(score or 0)))
    if header:
        yield _commit(header, changes)


def _commit(header: str, changes: Sequence[Change]) -> Commit:
    id, _, when = header.strip().removeprefix(_COMMIT).partition(" ")
    return Commit(id, int(when), tuple(changes))


def paths_of(log: Sequence[Commit]) -> set[str]:
    """All files that some commits name."""
    return {path for commit in log for change in commit.changes for path in (change.path, change.source) if path}


def fold(known: Mapping[str, Dates], log: Sequence[Commit], shallow: frozenset[str]) -> dict[str, Dates | None]:
    """What some commits, parents first, make of what was known: the files whose dates are others now, None for one that moved.

    A file that was deleted is remembered: should it come back, it is as old as it was.
    """
    found: dict[str, Dates | None] = {}
    for commit in log:
        for change in commit.changes:
            before = found[change.path] if change.path in found else known.get(change.path)
            if commit.id in shallow:
                found[change.path] = before or UNDATED
            elif change.status == "R":
                source = found[change.source] if change.source in found else known.get(change.source)
                found[change.source] = None
                found[change.path] = _moved(source, before, change, commit.when)
            elif change.status == "A":
                found[change.path] = Dates(commit.when, commit.when) if before is None else _changed(before, commit.when)
            elif change.status != "D":
                found[change.path] = _changed(before or UNDATED, commit.when)
    return {path: dates for path, dates in found.items() if dates != known.get(path)}


def _changed(before: Dates, when: int) -> Dates:
    return Dates(before.first, max(when, before.last or when))


def _moved(source: Dates | None, replaced: Dates | None, change: Change, when: int) -> Dates:
    old = source or replaced or UNDATED
    return old if change.score == 100 else _changed(old, when)


# The dates that git gives files, kept in the catalog: read once, brought up to date by the commits that are new.
#
# While the files in which git keeps its branches are as they were, nothing is asked of git at all.

_CHUNK = 400


@dataclass(frozen=True, slots=True)
class Outlook:
    """What git has to say against what the catalog knows. `mark` is to be kept until the next time; "" where dates are off.

    `changed`: files whose dates are others now, None for no longer any.
    """

    mark: str = ""
    changed: Mapping[str, Dates | None] = field(default_factory=dict)
    shallow: bool = False
    fault: str = ""
    head: str = ""


@dataclass(frozen=True, slots=True)
class _Mark:
    """Up to which commit the dates are known. `watched` are the files that a new commit would change, with their stamps."""

    store: str = ""
    head: str = ""
    shallow: tuple[str, ...] = ()
    watched: Mapping[str, list[int]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> _Mark:
        found = json.loads(text or "{}")
        return cls(**{**found, "shallow": tuple(found["shallow"])}) if found else cls()

    def written(self) -> str:
        values = {"store": self.store, "head": self.head, "shallow": list(self.shallow), "watched": self.watched}
        return json.dumps(values, sort_keys=True)


def look(connection: sa.Connection, store: str, mark: str, *, everything: bool = False) -> Outlook:
    """Reads only. Where git has no answer, what is known goes on to hold, and `fault` says why."""
    before = _Mark.read(mark)
    if before.store == store and not everything and before.watched and _stamps(before.watched) == before.watched:
        return Outlook(mark, shallow=bool(before.shallow), head=before.head)
    try:
        return _look(connection, Git(store), before if before.store == store and not everything else _Mark())
    except GitError as error:
        return Outlook(mark, shallow=bool(before.shallow), fault=str(error), head=before.head)


def _look(connection: sa.Connection, git: Git, before: _Mark) -> Outlook:
    watched = _stamps(_watched(git))  # before git is asked: what happens meanwhile is seen the next time
    head = git.ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    shallow = tuple(sorted(shallow_ids(git)))
    after = _Mark(git.folder, head, shallow, watched)
    known_to = before.head if before.shallow == shallow and _is_ancestor(git, before.head, head) else ""
    if known_to == head:
        return Outlook(after.written(), shallow=bool(shallow), head=head)
    log = list(commits(git, known_to, head)) if head else []
    if known_to:
        changed = fold(known(connection, paths_of(log)), log, frozenset(shallow))
    else:
        changed = _against(_all_known(connection), fold({}, log, frozenset(shallow)))
    return Outlook(after.written(), changed, bool(shallow), head=head)


def _is_ancestor(git: Git, before: str, after: str) -> bool:
    """False, too, where the commit of before is no more, as after a forced push."""
    return bool(before and after) and git.ask("merge-base", before, after) == before


def _watched(git: Git) -> list[str]:
    names = ["HEAD", "packed-refs", "shallow", "reftable/tables.list"]
    if branch := git.ask("symbolic-ref", "--quiet", "HEAD"):
        names.append(branch)
    found = git.run("rev-parse", *(word for name in names for word in ("--git-path", name)))
    return [os.path.normpath(os.path.join(git.folder, path)) for path in found.splitlines()]


def _stamps(paths: Iterable[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            found[path] = []
        else:
            found[path] = [status.st_mtime_ns, status.st_ino, status.st_size]
    return found


def _against(known: Mapping[str, Dates], found: Mapping[str, Dates | None]) -> dict[str, Dates | None]:
    gone: dict[str, Dates | None] = dict.fromkeys(known.keys() - found.keys())
    return gone | {path: dates for path, dates in found.items() if known.get(path) != dates}


# -- rows ------------------------------------------------------------------


def known(connection: sa.Connection, paths: Iterable[str]) -> dict[str, Dates]:
    """What the catalog has of some files."""
    found: dict[str, Dates] = {}
    wanted = sorted(paths)
    for start in range(0, len(wanted), _CHUNK):
        rows = connection.execute(sa.select(dated).where(dated.c.path.in_(wanted[start : start + _CHUNK])))
        found.update((path, Dates(first, last)) for path, first, last in rows)
    return found


def _all_known(connection: sa.Connection) -> dict[str, Dates]:
    return {path: Dates(first, last) for path, first, last in connection.execute(sa.select(dated))}


def write(connection: sa.Connection, changed: Mapping[str, Dates | None]) -> None:
    paths = sorted(changed)
    for start in range(0, len(paths), _CHUNK):
        connection.execute(sa.delete(dated).where(dated.c.path.in_(paths[start : start + _CHUNK])))
    rows = [{"path": path, "first": dates.first, "last": dates.last} for path, dates in changed.items() if dates]
    if rows:
        connection.execute(sa.insert(dated), rows)


def forget(connection: sa.Connection) -> None:
    """Dates from git are switched off."""
    connection.execute(sa.delete(dated))


# Bring the work tree that holds the store up to its remote branch: fetch, then fast-forward or nothing.
#
# A tree with changes of its own, or a branch that has diverged, is left exactly as it is, and said to be so. What is on disk is
# published in any case.

#: Where the fetched branch is kept: a name of our own, so that neither remotes nor refspecs need to be understood.
FETCHED = "refs/feeds/upstream"


@dataclass(frozen=True, slots=True)
class Upstream:
    """The branch that the work tree is on, and what it follows."""

    branch: str
    remote: str
    ref: str

    @property
    def name(self) -> str:
        branch = self.ref.removeprefix("refs/heads/")
        return branch if self.remote == "." else f"{self.remote}/{branch}"


@dataclass(frozen=True, slots=True)
class Pulled:
    """What came of one pull: the commit that the work tree is at now ("" where that is not known), or why it is still there."""

    commit: str = ""
    moved: bool = False
    fault: str = ""


def pull(store: str, settings: StoreGit, stop: threading.Event | None = None) -> Pulled:
    """Never raises for what git says; the store is then as it was."""
    git = Git(os.path.realpath(store), stop)
    before = ""
    try:
        before = head(git)
        _fast_forward(git, upstream(git), before, settings.timeout_seconds)
        after = head(git)
    except GitError as error:
        return Pulled(before, fault=str(error))
    return Pulled(after, moved=after != before)


def head(git: Git) -> str:
    """The commit that the work tree is at; "" where there is none yet."""
    if git.run("rev-parse", "--is-inside-work-tree").strip() != "true":
        raise GitError("the store is in no git work tree")
    return git.ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}")


def upstream(git: Git) -> Upstream:
    """Raises GitError where there is nothing to pull from."""
    ref = git.ask("symbolic-ref", "--quiet", "HEAD")
    if not ref:
        raise GitError("the work tree is on no branch (detached HEAD), so there is nothing to pull")
    branch = ref.removeprefix("refs/heads/")
    settings = git.settings()
    remote, merge = (settings.get(f"branch.{branch}.{name}", "") for name in ("remote", "merge"))
    if not remote or not merge:
        raise GitError(f"branch {branch} follows no branch of a remote: git branch --set-upstream-to=origin/{branch} {branch}")
    return Upstream(branch, remote, merge)


def _fast_forward(git: Git, source: Upstream, before: str, seconds: int) -> None:
    _fetch(git, source, seconds)
    ahead, behind = _distance(git) if before else (0, 1)
    if not behind:
        return
    if ahead:
        raise GitError(
            f"{source.branch} and {source.name} have diverged ({_commits(ahead)} here, {_commits(behind)} there); "
            "the work tree is left as it is: merge or rebase it by hand"
        )
    changed = [row for row in git.run("status", "--porcelain=v1", "-z", "--untracked-files=no").split("\0") if row]
    if changed:
        raise GitError(
            f"{_commits(behind)} cannot be taken in, because the work tree has changes that are not committed "
            f"({plain(changed[0][3:])}{' and others' if len(changed) > 1 else ''}); it is left as it is"
        )
    git.run("merge", "--ff-only", "--quiet", "--no-stat", FETCHED)


def _fetch(git: Git, source: Upstream, seconds: int) -> None:
    options = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-auto-maintenance", "--no-write-fetch-head")
    try:
        git.run("fetch", *options, "--", source.remote, f"+{source.ref}:{FETCHED}", seconds=seconds, ssh=_ssh(git.settings()))
    except GitError as error:
        raise GitError(f"nothing could be fetched from {_shown(source.remote)}: {error}") from None


def _shown(remote: str) -> str:
    """A remote can also be written as an address, where its name is expected."""
    return "its remote" if ":" in remote or "/" in remote else remote


def _ssh(settings: Mapping[str, str]) -> str:
    """The operator's own command for ssh, told not to ask anything; "" where a program of the operator's stands in for it."""
    own = os.environ.get("GIT_SSH_COMMAND") or settings.get("core.sshcommand", "")
    if not own and os.environ.get("GIT_SSH"):
        return ""
    return f"{own or 'ssh'} -oBatchMode=yes -oConnectTimeout=20"


def _distance(git: Git) -> tuple[int, int]:
    """How many commits HEAD has that the remote has not, and the other way round."""
    ahead, behind = git.run("rev-list", "--left-right", "--count", f"HEAD...{FETCHED}").split()
    return int(ahead), int(behind)


def _commits(number: int) -> str:
    return f"{number} commit{'' if number == 1 else 's'}"


# The repository that a store in git lies in: pulled when that is due, and what the operator is told of it.
#
# A pull belongs to a rescan and to its lock, so there are never two; it is over before any transaction begins.

STATE = "git"


@dataclass(frozen=True, slots=True)
class Repository:
    """What is known of it. `tried` and `pulled` in UTC seconds: the last pull, and the last one that went well; 0 for never.

    `shallow`: the oldest commits are missing, so what they brought has no date.
    """

    pull: bool = False
    dates: bool = False
    tried: int = 0
    pulled: int = 0
    commit: str = ""
    fault: str = ""
    dates_fault: str = ""
    shallow: bool = False

    @classmethod
    def read(cls, stored: Mapping[str, str]) -> Repository | None:
        """As the last rescan left it; None where git is not used."""
        text = stored.get(STATE, "")
        return cls(**json.loads(text)) if text else None

    def written(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False) if self.pull or self.dates else ""

    def with_dates(self, found: Outlook) -> Repository:
        return replace(self, commit=found.head or self.commit, dates_fault=found.fault, shallow=found.shallow)


def brought_up_to_date(
    config: Config, stored: Mapping[str, str], now: int, *, at_once: bool, stop: threading.Event | None
) -> tuple[Repository, bool]:
    """Pull if the last one is long enough ago, or `at_once`. Whether that changed the work tree comes second."""
    settings = config.site.store_git
    before = Repository.read(stored) or Repository()
    before = replace(before, pull=settings.pull, dates=settings.dates)
    if not settings.pull:
        return replace(before, fault=""), False
    if not at_once and 0 <= now - before.tried < settings.every_seconds:
        return before, False
    found = pull(config.site.store, settings, stop)
    if found.fault and stop is not None and stop.is_set():
        return before, False  # the next process begins with this pull
    good = before.pulled if found.fault else now
    return replace(before, tried=now, pulled=good, commit=found.commit or before.commit, fault=found.fault), found.moved
