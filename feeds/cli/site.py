"""Set up: `feeds init`, `migrate`, `backup`, `restore`, `completion`.

`init` asks on a terminal for what no option says, and nothing in a pipe. Each answer is checked at once by the rules of the
configuration; what is offered is what the store's own configuration says.
"""

from __future__ import annotations

import datetime
import ipaddress
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from ..errors import FeedsError, StoreError
from .common import CONFIG, JSON, Command, command, echo, log_to_stderr, open_runtime, print_json, read_environment, show_count
from .portrait import proposals, short_lines

if TYPE_CHECKING:
    from ..config.models import Config
    from ..store.portrait import Portrait

#: The answer of an operator who wants no newsletter.
NONE = "none"
SHELLS: Mapping[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
#: By name of the question.
Answers = dict[str, str]


@dataclass(frozen=True, slots=True)
class Question:
    """About one setting of `file`."""

    name: str
    setting: str
    text: str
    file: str = "site.yaml"

    def offer(self, answers: Answers, proposed: Answers) -> str:
        """Return the answer to offer: by the answers before or by the store where they tell, else the default."""
        from ..config.models import Newsletter, Site

        domain = _domain(answers)
        if self.name in proposed and not (self.name in ("id_authority", "sender") and domain):
            return proposed[self.name]
        match self.name:
            case "store" | "image_url":
                return ""
            case "timezone" if not answers.get("language", "").lower().startswith("zh"):
                return "UTC"
            case "id_authority" if domain:
                return f"{domain},{datetime.datetime.now(datetime.UTC).year}"
            case "sender":
                return f"digest@{domain}" if domain else Newsletter().sender
        return str(getattr(Site(), self.setting))

    def check(self, answer: str) -> str:
        """Return the answer as it is to be written. Raises click.BadParameter with the words of the configuration."""
        from ..config.load import setting_fault
        from ..config.models import Newsletter, Site

        if (self.name, answer) in (("store", ""), ("site", ""), ("sender", NONE)):
            return answer
        if self.name == "store":
            answer = str(Path(answer).expanduser().absolute())
        setting, value = ("store", {"path": "x", "site": answer}) if self.name == "site" else (self.setting, answer)
        if reason := setting_fault(Site if self.file == "site.yaml" else Newsletter, setting, value):
            raise click.BadParameter(reason)
        return answer


def _domain(answers: Answers) -> str:
    """Return the domain of the site; "" where readers do not reach it by one."""
    host = urlsplit(answers.get("base_url", "")).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host if "." in host else ""
    return ""


QUESTIONS = (
    Question("store", "store", "Folder of your articles (empty: the demo articles)"),
    Question("title", "title", "Name of the site"),
    Question("language", "language", "Language of the articles, such as zh-CN or en"),
    Question("timezone", "timezone", "Time zone of dates that name none, such as Asia/Shanghai"),
    Question("base_url", "base_url", "Address at which readers reach it"),
    Question("id_authority", "id_authority", "Domain, and a year in which it was yours: in permanent ids, for ever"),
    Question("site", "site", "Address of the site that the articles are written for (empty: they are read here)"),
    Question("article_url", "article_url", "Where articles are read: https://example.org{permalink} (empty: here)"),
    Question("image_url", "image_url", "Host of pictures whose address begins with / (empty: the site's own)"),
    Question("sender", "from", f"Sender of digests by mail ({NONE}: no digests)", "newsletter.yaml"),
)


def _options(function: Command) -> Command:
    for question in reversed(QUESTIONS):

        def checked(
            _context: click.Context, _option: click.Parameter, answer: str | None, question: Question = question
        ) -> str | None:
            return None if answer is None else question.check(answer)

        name = f"--{question.name.replace('_', '-')}"
        function = click.option(name, help=f"{question.text}.", callback=checked)(function)
    return function


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@_options
@click.option("--templates/--no-templates", default=True, show_default=True, help="Copy the templates, for you to change.")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing, on a terminal, too: take the defaults.")
@command
def init(folder: Path, templates: bool, yes: bool, **given: str | None) -> None:
    """Make a new site in FOLDER.

    config/ with every setting explained, templates/ to change, and without a store the demo articles. A store is looked at
    first: the folder of a Hugo, Jekyll, Hexo, Docusaurus, Astro, Eleventy, VuePress, VitePress or Pelican site, an Obsidian
    vault, or any folder of Markdown files. What its configuration says (title, address, time zone, language) is proposed. On a
    terminal it asks for what no option says; in a pipe, and with --yes, what is proposed and the defaults of config/*.yaml are
    taken. Nothing that exists is overwritten. Copied templates stay as they are when a new version brings others:
    --no-templates copies none, so that all come with the program.

    \b
    Examples:
      feeds init site
      feeds init site --yes                      # the demo, at http://127.0.0.1:8000
      feeds init site --store ~/blog             # a site as its generator publishes it
      feeds init site --store ~/archive/content --title "My articles" --base-url https://feeds.example.org
    """
    from ..resources import make_site

    answers = {name: answer for name, answer in given.items() if answer is not None}
    asks = not yes and sys.stdin.isatty() and sys.stderr.isatty()
    interview = Interview(folder, answers)
    if asks:
        interview.ask()
    else:
        interview.fill()
    answers = interview.answers
    for line in make_site(folder, _settings(answers, interview.proposed), demo=not answers.get("store"), templates=templates):
        echo(line)
    for line in (*_next_steps(folder, answers), *interview.missing):
        echo(line)


class Interview:
    """The answers for a new site: `answers` are given or asked for, `proposed` are by what the store is."""

    def __init__(self, folder: Path, given: Answers) -> None:
        self._folder, self._given = folder, given
        self.answers, self.proposed = dict(given), Answers()
        self._portrait: Portrait | None = None
        self._has_addresses = False

    def ask(self) -> None:
        """Ask every question that no option answers; none about a file that exists and stays."""
        self._look(err=True)
        for question in QUESTIONS:
            if question.name in self._given or self._stays(question.file):
                continue
            if self._is_needless(question.name):
                self.answers |= {name: value for name, value in self.proposed.items() if name == question.name}
                continue
            if question.name != "store" and not self.answers.get("store"):
                break  # the demo needs no others

            def checked(answer: str, question: Question = question) -> str:
                found = question.check(answer.strip())
                if question.name == "store" and found and not Path(found).is_dir():
                    raise click.BadParameter(f"{found}: no such folder")
                return found

            words, offer = question.text, question.offer(self.answers, self.proposed)
            answer = click.prompt(words, default=offer, show_default=bool(offer), value_proc=checked, err=True)
            self.answers[question.name] = answer
            if question.name == "store":
                self._look(err=True)

    def fill(self) -> None:
        """Take what the store proposes where no option says it."""
        self._look(err=False)
        for question in QUESTIONS:
            if question.name in self.proposed and question.name not in self.answers:
                self.answers[question.name] = question.offer(self.answers, self.proposed)

    def _stays(self, file: str) -> bool:
        return (self._folder / "config" / file).exists()

    def _is_needless(self, name: str) -> bool:
        """Return whether the kind of the store makes a question superfluous."""
        return name in ("article_url", "image_url") if self._has_addresses else name == "site"

    def _look(self, *, err: bool) -> None:
        """Look at the store, and say in a line or two what it is."""
        from ..check import look_at
        from ..store.kinds import KINDS

        if not (path := self.answers.get("store")) or self._stays("site.yaml") or not Path(path).is_dir():
            return
        try:
            portrait = look_at(self._config(path))
        except StoreError as error:
            echo(str(error), err=True)
            return
        for line in short_lines(portrait):
            echo(line, err=err)
        kind = portrait.settings.site.kind
        if kind == "archive":
            return
        self._portrait = portrait
        self._has_addresses = bool(KINDS[kind].address) or kind in ("vuepress", "vitepress", "astro", "docusaurus", "eleventy")
        self.proposed = {name: value for name, value in proposals(portrait).items() if _is_valid(name, value)}

    def _config(self, path: str) -> Config:
        from ..config.models import Config, Site, Store

        store = Store(path=path, site=self.answers.get("site", ""))
        return Config(site=Site(store=(store,), timezone=self.answers.get("timezone", Site().timezone)))

    @property
    def missing(self) -> list[str]:
        """What neither the store nor an answer says, with the line of site.yaml that would."""
        if self._portrait is None or not (path := self.answers.get("store")):
            return []
        found = self._portrait.mend(self._config(path).site)
        return [text for line, why in found for text in (f"missing: {why}. In site.yaml:", f"  {line}")]


def _is_valid(name: str, value: str) -> bool:
    """Return whether what a store proposes is an answer that the configuration takes."""
    try:
        next(question for question in QUESTIONS if question.name == name).check(value)
    except click.BadParameter:
        return False
    return True


def _settings(answers: Answers, proposed: Answers) -> dict[str, dict[str, object]]:
    """Return the answers as make_site takes them; without a store the default of the file stays.

    `store` is a mapping only where more is to be said of it than its folder, and than its own configuration says.
    """
    chosen: dict[str, dict[str, object]] = {"site.yaml": {}, "newsletter.yaml": {}}
    for question in QUESTIONS:
        answer = answers.get(question.name)
        if answer is None or question.name == "site" or (question.name == "store" and not answer):
            continue
        if question.name == "sender" and answer == NONE:
            chosen["newsletter.yaml"]["enabled"] = False
        else:
            chosen[question.file][question.setting] = answer
    if proposed:  # the example is about the archive's tags
        chosen["feeds.yaml"] = {"feeds": []}
    site, path = answers.get("site", ""), answers.get("store")
    if path and site and site != proposed.get("site"):
        chosen["site.yaml"]["store"] = {"path": path, "site": site}
    return chosen


def _next_steps(folder: Path, answers: Answers) -> Iterator[str]:
    from ..config.models import Site

    config = folder / "config"
    yield f"next: feeds serve --config {config}      # then {answers.get('base_url') or Site().base_url}/"
    yield f"      feeds check --config {config}      # every fault in configuration and articles"
    if answers.get("store") and answers.get("id_authority", "localhost").startswith("localhost"):
        yield f"      set base_url and id_authority in {config / 'site.yaml'} before the first readers come"


FILE = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))


@click.command()
@CONFIG
@click.option(
    "--from", "source", metavar="URL", help="Carry everything over from this database, for example sqlite:///var/feeds.db"
)
@command
def migrate(config_dir: Path, source: str | None) -> None:
    """Bring the database's tables up to this version. Safe to repeat; going back is refused.

    With --from, everything of another database is carried over into the one that FEEDS_DATABASE_URL names, which must have
    nothing in it yet: subscribers, marks of delivery, ids of feeds, all of it, or nothing. From that instant the other one
    takes in nothing any more, so that no service that still runs on it can lose what it is told; it stays as it was otherwise.

    \b
    Examples:
      feeds migrate --config site/config
      FEEDS_DATABASE_URL=postgresql://feeds@db/feeds feeds migrate --from sqlite:///var/feeds.db
    """
    from .. import database
    from ..database import backup as backups
    from ..database import identity
    from ..newsletter.subscribers.restored import Departed
    from ..runtime import Runtime

    environment = read_environment(config_dir)
    log_to_stderr(environment)
    if source:  # before a database is made
        with backups.open_engine(environment.locate(source)) as old:
            backups.check_source(old, database.connect(environment.database_url.get_secret_value()))
        database.connect(
            environment.database_url.get_secret_value(), create=True
        ).dispose()  # a site that moves has one already
    runtime = Runtime(environment, create=True)
    try:
        before, after = database.migrate(runtime.engine)
        echo(f"already at {after}" if before == after else f"migrated {before or 'an empty database'} -> {after}")
        if source:
            people = Departed(runtime.departures, environment.secret_key.get_secret_value(), int(time.time()))

            def settle(copied: Any) -> None:
                people.settle(copied)
                identity.continue_site(copied, runtime.watch.folder)

            with backups.open_engine(environment.locate(source)) as old, show_count("carrying over") as progress:
                counts = backups.carry_over(old, runtime.engine, progress, settle)
            identity.note(runtime.engine, runtime.watch.folder)
            echo(f"carried over: {backups.summary(counts)}")
            echo("start every process with the new FEEDS_DATABASE_URL; the old database is closed, and may be kept")
    finally:
        runtime.close()


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@CONFIG
@JSON
@click.option("--keep", type=click.IntRange(1), help="Where FILE is a folder: delete older copies in it, all but so many.")
@command
def backup(file: Path, config_dir: Path, as_json: bool, keep: int | None) -> None:
    """Copy the database to FILE, as it is at one instant, while everything goes on.

    FILE is an SQLite database, whatever the service keeps its own in, for its owner alone: there are addresses of people in
    it. Settings and templates are files of yours, and not in it. An existing file is never overwritten. In a folder the copy is
    named by the time, in UTC: `feeds-2026-06-01T033000Z.db`.

    \b
    Examples:
      feeds backup /backup/feeds-$(date +%F).db
      feeds backup --keep 30 /backup
    """
    from ..database import backup as backups

    folder = file if file.is_dir() else None
    if keep and not folder:
        raise click.UsageError(f"--keep wants a folder that exists: {file}")
    if folder:
        file = backups.dated_path(folder, int(time.time()))
    with open_runtime(config_dir) as runtime, show_count("copying") as progress:
        counts = backups.back_up(runtime.engine, file, progress, runtime.environment.root / "var")
    deleted = backups.delete_older(folder, keep) if folder and keep else []
    if as_json:
        noted = {"deleted": list(map(str, deleted))} if keep else {}
        print_json({"file": str(file), "bytes": file.stat().st_size, "rows": counts, **noted})
    else:
        echo(f"{file}: {backups.summary(counts)}")
        if deleted:
            echo(f"{len(deleted)} older {'copies' if len(deleted) > 1 else 'copy'} deleted")


@click.command()
@FILE
@CONFIG
@JSON
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@command
def restore(file: Path, config_dir: Path, as_json: bool, yes: bool) -> None:
    """Put back what `feeds backup` has copied to FILE, in place of what is in the database now.

    All or nothing, under a service that runs, and also where the database is damaged or missing: feeds are as they were, at
    once. What is replaced is copied first, beside the database. People who have left since FILE was made do not come back, and
    what was sent since is not sent again. Issues that were not finished then wait for `feeds digest resume` or `cancel`.

    \b
    Examples:
      feeds restore /backup/feeds-2026-06-01.db
      feeds restore feeds.db --yes
    """
    from .. import rescan
    from ..database import backup as backups
    from ..database import restore as restores
    from ..newsletter.subscribers.restored import Departed
    from ..runtime import Runtime

    environment = read_environment(config_dir)
    if not yes and not sys.stdin.isatty():
        raise FeedsError("what is in the database is replaced: add --yes to do so where nobody can be asked")
    if not yes:
        click.confirm("What is in the database is replaced. Go on?", abort=True, err=True)
    runtime, now = Runtime(environment), int(time.time())
    try:
        secret = runtime.environment.secret_key.get_secret_value()
        people = Departed(runtime.departures, secret, now)
        with show_count("restoring") as progress:
            options = restores.RestoreOptions(
                file, people, rescan.check_marks, runtime.folder, now, runtime.watch.folder, progress
            )
            done = restores.restore(runtime.engine, options)
    finally:
        runtime.close()
    if as_json:
        since = {"left_since": done.left, "came_since": done.later}
        print_json({"file": str(file), "rows": done.rows, "safety_copy": done.safety, **since})
        return
    echo(f"restored: {backups.summary(done.rows)}")
    if done.safety:
        echo(f"what was there before: {done.safety}")
    if done.left:
        echo(f"{done.left} subscribers had left since, and stay away")
    if done.later:
        echo(f"{done.later} subscribers came since: they are in that copy alone")
    echo("`feeds rescan` takes in what has changed since; `feeds digest status` lists the issues that wait")


@click.command()
@command
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
