"""`feeds completion`: a shell that has its script completes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def program(tmp_path: Path) -> dict[str, str]:
    """An environment in which `feeds` is this checkout's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    feeds = folder / "feeds"
    feeds.write_text(f"#!{sys.executable}\nfrom feeds.cli import main\n\nmain()\n")
    feeds.chmod(0o755)
    root = Path(__file__).resolve().parent.parent
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(root)}


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        (["feeds", "di"], ["digest"]),
        (["feeds", "digest", "p"], ["pause", "plan", "preview"]),
        (["feeds", "rescan", "--fu"], ["--full"]),
        (["feeds", "digest", "preview", "--frequency", "w"], ["weekly"]),
        (["feeds", "completion", ""], ["bash", "fish", "zsh"]),
    ],
)
def test_bash_completes_commands_options_and_values(program: dict[str, str], typed: list[str], found: list[str]) -> None:
    words = " ".join(f"'{word}'" for word in typed)
    script = f"""
        eval "$(feeds completion bash)" 2>/dev/null
        function=$(complete -p feeds | sed -E 's/.*-F (\\S+) feeds/\\1/')
        COMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}
        $function feeds
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "--norc", "-c", script], env=program, capture_output=True, text=True, timeout=60)
    assert sorted(done.stdout.split()) == found, done.stderr


@pytest.mark.parametrize(("shell", "mark"), [("bash", "complete -o nosort"), ("zsh", "#compdef feeds"), ("fish", "complete ")])
def test_each_shell_gets_its_own_script(program: dict[str, str], shell: str, mark: str) -> None:
    done = subprocess.run(["feeds", "completion", shell], env=program, capture_output=True, text=True, timeout=60)
    assert mark in done.stdout and "_FEEDS_COMPLETE" in done.stdout
