"""Every command, as its own --help tells of it."""

from __future__ import annotations

from collections.abc import Iterator

import click

from feeds.cli import main

from .words import Unexplained, explained

WIDTH = 100


def page() -> str:
    parts = [_HEAD]
    for context in commands(click.Context(main, info_name="feeds", **main.context_settings)):
        check(context)
        parts.append(f"## {context.command_path}\n\n```text\n{context.get_help()}\n```\n")
    return "\n".join(parts)


def commands(context: click.Context) -> Iterator[click.Context]:
    """The program, its groups and their commands, each before what it holds."""
    context.terminal_width = WIDTH
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            if command and not command.hidden:
                yield from commands(click.Context(command, context, name))


def check(context: click.Context) -> None:
    """Raises Unexplained for a command or an option without help, and for a command without an example."""
    name, command = context.command_path, context.command
    words = explained(name, command.help)
    if not isinstance(command, click.Group) and f"  {name}" not in words:
        raise Unexplained(f"{name} has no example")
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden:
            explained(f"{name} {param.opts[0]}", param.help)


_HEAD = """\
# Commands

What `feeds COMMAND --help` says. Answers go to stdout and everything else to stderr; `--json` answers programs. Exit status: 0
done, 1 a fault was found, 2 wrong usage. `feeds completion` prints completion for bash, zsh and fish.

This page is written by `make reference`, from the code.
"""
