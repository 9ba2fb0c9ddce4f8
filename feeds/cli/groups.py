"""How `feeds --help` lists its commands: by what they are for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click


class Sections(click.Group):
    """A group whose `sections` (heading -> names) order the list; a command that no section names comes last."""

    sections: Mapping[str, Sequence[str]] = {}

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        named = {name for names in self.sections.values() for name in names}
        others = [name for name in self.list_commands(ctx) if name not in named]
        width = max(map(len, self.commands))
        for heading, names in {**self.sections, "More": others}.items():
            rows = [
                (name.ljust(width), command.get_short_help_str(formatter.width - width - 6))
                for name in names
                if (command := self.get_command(ctx, name)) and not command.hidden
            ]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)
