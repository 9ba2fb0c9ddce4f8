"""The system's git, run so that no repository makes it do more than it is asked: the only place that starts it.

No shell, prompt, pager, editor or hook; only the protocols named here; a time limit, after which it is ended with all that it
began. What git writes is never passed on as it is, because addresses of remotes may hold credentials: `in_words` is what
becomes of it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass

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
