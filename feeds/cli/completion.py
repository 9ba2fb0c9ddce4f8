"""`feeds completion`: what a shell needs to complete commands, options and their values."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command()
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a SHELL.

    \b
    Examples:
      feeds completion bash > /etc/bash_completion.d/feeds
      feeds completion zsh > ~/.zfunc/_feeds             # a folder that fpath names
      feeds completion fish > ~/.config/fish/completions/feeds.fish
    """
    program = context.find_root().command
    click.echo(SHELLS[shell](program, {}, "feeds", "_FEEDS_COMPLETE").source())
