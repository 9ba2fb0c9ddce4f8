"""`feeds init`: a new site. On a terminal it asks for what no option says; in a pipe it asks nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from ..config.models import Site
from .common import Command, command
from .prompts import NONE, QUESTIONS, Answers, Question


def _options(function: Command) -> Command:
    for question in reversed(QUESTIONS):
        name = f"--{question.name.replace('_', '-')}"
        function = click.option(name, help=f"{question.text}.", callback=_checked(question))(function)
    return function


def _checked(question: Question) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    return lambda _context, _option, answer: None if answer is None else question.check(answer)


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@_options
@click.option("--templates/--no-templates", default=True, show_default=True, help="Copy the templates, for you to change.")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing, on a terminal, too: take the defaults.")
@command
def init(folder: Path, templates: bool, yes: bool, **given: str | None) -> None:
    """Make a new site in FOLDER.

    config/ with every setting explained, templates/ to change, and without a store the demo articles. On a terminal it asks for
    what no option says; in a pipe, and with --yes, the defaults of config/*.yaml are taken. Nothing that exists is overwritten.
    Copied templates stay as they are when a new version brings others: --no-templates copies none, so that all come with the
    program.

    \b
    Examples:
      feeds init site
      feeds init site --yes                      # the demo, at http://127.0.0.1:8000
      feeds init site --store ~/archive/content --title "My articles" --base-url https://feeds.example.org
    """
    from ..config.init import make_site

    answers = {name: answer for name, answer in given.items() if answer is not None}
    if not yes and sys.stdin.isatty() and sys.stderr.isatty():
        answers = _ask(folder, answers)
    for line in make_site(folder, _settings(answers), demo=not answers.get("store"), templates=templates):
        click.echo(line)
    for line in _next_steps(folder, answers):
        click.echo(line)


def _ask(folder: Path, given: Answers) -> Answers:
    """Every question that no option answers; none about a file that is there and stays."""
    answers = dict(given)
    for question in QUESTIONS:
        if question.name in given or (folder / "config" / question.file).exists():
            continue
        if question.name != "store" and not answers.get("store"):
            break  # the demo needs no more
        usual = question.usual(answers)
        answers[question.name] = click.prompt(
            question.text, default=usual, show_default=bool(usual), value_proc=_asked(question), err=True
        )
    return answers


def _asked(question: Question) -> Callable[[str], str]:
    def checked(answer: str) -> str:
        found = question.check(answer.strip())
        if question.name == "store" and found and not Path(found).is_dir():
            raise click.BadParameter(f"{found}: no such folder")
        return found

    return checked


def _settings(answers: Answers) -> dict[str, dict[str, str | bool]]:
    """As make_site takes them; without a store the default of the file stays."""
    chosen: dict[str, dict[str, str | bool]] = {"site.yaml": {}, "newsletter.yaml": {}}
    for question in QUESTIONS:
        answer = answers.get(question.name)
        if answer is None or (question.name == "store" and not answer):
            continue
        if question.name == "sender" and answer == NONE:
            chosen["newsletter.yaml"]["enabled"] = False
        else:
            chosen[question.file][question.setting] = answer
    return chosen


def _next_steps(folder: Path, answers: Answers) -> Iterator[str]:
    config = folder / "config"
    yield f"next: feeds serve --config {config}      # then {answers.get('base_url') or Site().base_url}/"
    yield f"      feeds check --config {config}      # every fault in configuration and articles"
    if answers.get("store") and "id_authority" not in answers:
        yield f"      set base_url and id_authority in {config / 'site.yaml'} before the first readers come"
