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
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import GitError

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


SHALLOW = "dates nothing that its oldest commits brought"


def shallow_commits(git: Git) -> frozenset[str]:
    """Return the commits whose parents a shallow clone has not got."""
    path = Path(git.folder, git.run_command("rev-parse", "--git-path", "shallow").strip())
    try:
        return frozenset(path.read_text("ascii").split())
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError):
        raise GitError("the list of a shallow clone's oldest commits cannot be read") from None


def join_faults(faults: Mapping[str, str]) -> str:
    """Return what is wrong with some stores, by their names. Those in no work tree are left alone, unless all of them are.

    >>> join_faults({"blog": "", "notes": NO_WORK_TREE}), join_faults({"blog": "a bare repository", "notes": NO_WORK_TREE})
    ('', 'blog: a bare repository')
    """
    if all(fault == NO_WORK_TREE for fault in faults.values()):
        return NO_WORK_TREE
    return "; ".join(f"{name}: {fault}" if name else fault for name, fault in faults.items() if fault not in ("", NO_WORK_TREE))


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
