"""Bring the work tree that holds the store up to its remote branch: fetch, then fast-forward or nothing.

A tree with changes of its own, or a branch that has diverged, is left exactly as it is, and said to be so. What is on disk is
published in any case.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from ..config import StoreGit
from ..errors import GitError
from .git import Git, plain

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
