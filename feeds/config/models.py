"""config/*.yaml and FEEDS_* -> `Config` and `Environment`. The only reader of either.

Unknown keys and bad values are named by file:line:column, all at once. `Config` is what every process of a service must
agree on, so the rescan stores it in the database; `Environment` is this process's own (addresses of databases, secrets)
and is never stored.
"""

from __future__ import annotations

import ipaddress
import os
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from email.utils import parseaddr
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from .. import urls
from ..errors import ConfigError, Fault
from ..model import FACETS, PLURALS, Selection

FILES = ("site.yaml", "feeds.yaml", "newsletter.yaml")
Model = TypeVar("Model", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _zone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"no time zone is called {value!r}; expected a name such as Asia/Shanghai") from None
    return value


def _http_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", value):
        raise ValueError("expected an address that begins with http:// or https://")
    return value.rstrip("/")


def _base_url(value: str) -> str:
    if urlsplit(_http_url(value)).path:
        raise ValueError("expected a host and no path: the service's addresses begin at its root")
    return _http_url(value)


def _optional_url(value: str) -> str:
    return value and _http_url(value)


def _article_url(value: str) -> str:
    if not value:
        return value
    names = re.findall(r"{([^{}]*)}", value)
    if not names or any(name not in ("permalink", "id") for name in names):
        raise ValueError("expected {permalink} or {id} in it, for example https://linux.cn{permalink}")
    _http_url(value.partition("{")[0].partition("?")[0])
    return value


def _profile(value: str) -> str:
    if value and not re.fullmatch(r"https?://[^\s/?#{}]+[^\s{}]*{name}[^\s{}]*", value):
        raise ValueError("expected an address with {name} in it, for example https://github.com/{name}")
    return value


def _authority(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.@_-]*[A-Za-z0-9])?,\d{4}(?:-\d\d(?:-\d\d)?)?", value):
        raise ValueError('expected a domain or address and a date, for example "linux.cn,2003" (RFC 4151)')
    return value


def _language(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*", value):
        raise ValueError("expected a language tag such as zh-CN or en (RFC 5646)")
    return value


#: Words for networks, beside such as 10.1.0.0/16.
NETWORKS: Mapping[str, tuple[str, ...]] = {
    "loopback": ("127.0.0.0/8", "::1/128"),
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"),
}


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for network in value:
        try:
            NETWORKS.get(network) or ipaddress.ip_network(network)
        except ValueError:
            raise ValueError(f"{network!r} is no network; expected {', '.join(NETWORKS)} or such as 10.1.0.0/16") from None
    return value


def _off(value: object) -> object:
    """YAML 1.1 reads `off` as false."""
    return "off" if value is False else value


BaseUrl = Annotated[str, AfterValidator(_base_url)]
OptionalUrl = Annotated[str, AfterValidator(_optional_url)]
Names = Annotated[tuple[str, ...], Field(min_length=1)]
Clauses = Mapping[str, Names]
Limit = Annotated[int, Field(ge=1, le=500)]


class StoreGit(_Strict):
    """What a store that lies in a git work tree is used for."""

    pull: bool = False
    every_seconds: Annotated[int, Field(ge=1, le=7 * 86400)] = 300
    timeout_seconds: Annotated[int, Field(ge=1, le=3600)] = 30
    dates: bool = False


class Removal(_Strict):
    """How many articles may go at once because their files are gone: up to `percent` of all, or `articles` if that is more."""

    percent: Annotated[int, Field(ge=0, le=100)] = 20
    articles: Annotated[int, Field(ge=0)] = 10


class ClientLimits(_Strict):
    """Documents an hour to one client, in each worker process; 0 is no limit. What is counted: web/limits.py."""

    same_version: Annotated[int, Field(ge=0, le=1_000_000)] = 60
    documents: Annotated[int, Field(ge=0, le=10_000_000)] = 6000


class Site(_Strict):
    """site.yaml"""

    title: Annotated[str, Field(min_length=1, max_length=200)] = "Linux 中国"
    description: str = ""
    base_url: BaseUrl = "http://127.0.0.1:8000"
    service_url: OptionalUrl = ""
    article_url: Annotated[str, AfterValidator(_article_url)] = ""
    image_url: OptionalUrl = "https://img.linux.net.cn"
    id_authority: Annotated[str, AfterValidator(_authority)] = "linux.cn,2003"
    timezone: Annotated[str, AfterValidator(_zone)] = "Asia/Shanghai"
    language: Annotated[str, AfterValidator(_language)] = "zh-CN"
    rights: str = ""
    icon: OptionalUrl = ""
    logo: OptionalUrl = ""
    store: Annotated[str, Field(min_length=1)] = "demo/articles"
    rescan_seconds: Annotated[int, Field(ge=1, le=86400)] = 30
    max_file_bytes: Annotated[int, Field(ge=1024, le=64 * 1024 * 1024)] = 1024 * 1024
    removal: Removal = Field(default_factory=Removal)
    store_git: StoreGit = Field(default_factory=StoreGit)
    workers: bool = False
    trusted_proxies: Annotated[tuple[str, ...], AfterValidator(_networks)] = ("loopback",)
    limits: ClientLimits = Field(default_factory=ClientLimits)
    audience_days: Annotated[int, Field(ge=0, le=36_500)] = 400
    metrics: Annotated[Literal["local", "public", "off"], BeforeValidator(_off)] = "local"


Archive = Literal["year", "month", "none"]


class FacetSettings(_Strict):
    enabled: bool = True
    limit: Limit = 20
    min_articles: Annotated[int, Field(ge=1)] = 1
    archive: Archive = "year"
    profile: Annotated[str, AfterValidator(_profile)] = ""


class AllSettings(_Strict):
    limit: Limit = 20
    archive: Archive = "month"


class SelectSettings(_Strict):
    """/select: any selection as a feed."""

    enabled: bool = True
    limit: Limit = 20


class Select(_Strict):
    """A selection as it is written: facets at the top, `all` and `not` beside them."""

    tag: Names | None = None
    translator: Names | None = None
    author: Names | None = None
    selector: Names | None = None
    reviewer: Names | None = None
    category: Names | None = None
    all: Clauses = Field(default_factory=dict)
    not_: Clauses = Field(default_factory=dict, alias="not")

    @model_validator(mode="after")
    def _known_facets(self) -> Select:
        for facet in (*self.all, *self.not_):
            if facet not in FACETS:
                raise ValueError(f"no facet is called {facet!r}; expected one of {', '.join(FACETS)}")
        return self

    def selection(self) -> Selection:
        some = {facet: names for facet in FACETS if (names := getattr(self, facet))}
        return Selection(some, dict(self.all), dict(self.not_))


class NamedFeed(_Strict):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    title: Annotated[str, Field(min_length=1, max_length=200)]
    description: str = ""
    id: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$")] = ""
    select: Select = Field(default_factory=Select)
    limit: Limit = 20
    archive: Archive = "year"
    content: Literal["full", "summary"] | None = None

    @property
    def permanent(self) -> str:
        """What its id is made of: the name that it was published under first."""
        return self.id or self.name


def _known_facet_keys(value: Mapping[str, Any]) -> Mapping[str, Any]:
    for facet in value:
        if facet not in FACETS:
            raise ValueError(f"no facet is called {facet!r}; expected one of {', '.join(FACETS)}")
    return value


def _unique_names(feeds: tuple[NamedFeed, ...]) -> tuple[NamedFeed, ...]:
    seen: set[str] = set()
    for feed in feeds:
        if feed.name.casefold() in seen:
            raise ValueError(f"two feeds are called {feed.name!r}")
        seen.add(feed.name.casefold())
    if len({feed.permanent for feed in feeds}) < len(feeds):
        raise ValueError("two feeds have the same id; it is that of the one that had it first")
    return feeds


def _ending_aliases(value: Mapping[str, Mapping[str, str]]) -> Mapping[str, Mapping[str, str]]:
    for aliases in value.values():
        steps = {urls.fold(alias): name for alias, name in aliases.items()}
        for alias in aliases:
            urls.follow(steps, alias)
    return value


def _ending_moves(value: Mapping[str, str]) -> Mapping[str, str]:
    steps = _steps(value)
    for path in steps:
        if urls.fold(urls.follow(steps, path)) == path:
            raise ValueError(f"{path!r} is moved to itself")
    return value


def _hub(value: str) -> str:
    if value not in ("builtin", "none") and not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+(/[!-;=?-~]*)?", value):
        raise ValueError("expected builtin, none, or the address of another hub such as https://hub.example.org/")
    return value


class Lease(_Strict):
    """How long a push subscription holds without renewal, in seconds: `default` for who asks for nothing."""

    default: Annotated[int, Field(ge=60)] = 864_000
    min: Annotated[int, Field(ge=1)] = 300
    max: Annotated[int, Field(ge=60, le=31_536_000)] = 2_592_000

    @model_validator(mode="after")
    def _ordered(self) -> Lease:
        if not self.min <= self.default <= self.max:
            raise ValueError("expected min <= default <= max")
        return self


class WebSub(_Strict):
    """Push (docs/push.md): which hub feeds name, and the bounds of the built-in one."""

    hub: Annotated[str, AfterValidator(_hub)] = "builtin"
    allow_private_callbacks: bool = False
    lease_seconds: Lease = Field(default_factory=Lease)
    max_subscriptions: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    max_subscriptions_per_host: Annotated[int, Field(ge=1, le=1_000_000)] = 5_000
    max_pending: Annotated[int, Field(ge=1, le=100_000)] = 2_000
    max_pending_per_host: Annotated[int, Field(ge=1, le=100_000)] = 200
    parallel: Annotated[int, Field(ge=1, le=1_000)] = 100
    parallel_per_host: Annotated[int, Field(ge=1, le=1_000)] = 20
    timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 10
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 8
    drop_after_failures: Annotated[int, Field(ge=1)] = 10
    drop_after_hours: Annotated[int, Field(ge=0)] = 72

    @property
    def outside(self) -> str:
        """The address of a hub that is not ours; "" if there is none."""
        return "" if self.hub in ("builtin", "none") else self.hub


class FeedSettings(_Strict):
    """feeds.yaml"""

    content: Literal["full", "summary"] = "full"
    ttl_minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    facets: Annotated[Mapping[str, FacetSettings], AfterValidator(_known_facet_keys)] = Field(default_factory=dict)
    all: AllSettings = Field(default_factory=AllSettings)
    select: SelectSettings = Field(default_factory=SelectSettings)
    aliases: Annotated[Mapping[str, Mapping[str, str]], AfterValidator(_known_facet_keys), AfterValidator(_ending_aliases)] = (
        Field(default_factory=dict)
    )
    moved: Annotated[Mapping[str, str], AfterValidator(_ending_moves)] = Field(default_factory=dict)
    gone: tuple[str, ...] = ()
    websub: WebSub = Field(default_factory=WebSub)
    feeds: Annotated[tuple[NamedFeed, ...], AfterValidator(_unique_names)] = ()

    def facet(self, name: str) -> FacetSettings:
        """The settings in force: a facet that the file does not mention is on for tags and translators only."""
        return self.facets.get(name) or FacetSettings(enabled=name in ("tag", "translator"))


_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Cron:
    """When issues are due, in a subscriber's own time. `day`: 0 (Monday) to 6 for weekly, 1 to 31 for monthly."""

    hour: int
    minute: int
    day: int = -1

    @classmethod
    def parse(cls, frequency: str, text: str) -> Cron:
        """`07:30`, `mon 08:00`, `1 08:00`. Raises ValueError."""
        *days, clock = text.lower().split()
        found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", clock) if text.strip() else None
        if found is None or len(days) != (frequency != "daily"):
            raise ValueError(f"{text!r} is no time for {frequency}; expected for example {_EXAMPLES[frequency]!r}")
        day = -1
        if frequency == "weekly":
            if days[0][:3] not in _DAYS:
                raise ValueError(f"{days[0]!r} is no day of the week; expected one of {', '.join(_DAYS)}")
            day = _DAYS.index(days[0][:3])
        elif frequency == "monthly":
            if not days[0].isdecimal() or not 1 <= int(days[0]) <= 31:
                raise ValueError(f"{days[0]!r} is no day of a month; expected 1 to 31")
            day = int(days[0])
        return cls(int(found[1]), int(found[2]), day)


FREQUENCIES = ("daily", "weekly", "monthly")
_EXAMPLES = {"daily": "07:30", "weekly": "mon 08:00", "monthly": "1 08:00"}


def _frequencies(value: Mapping[str, str]) -> Mapping[str, str]:
    for frequency, text in value.items():
        if frequency not in FREQUENCIES:
            raise ValueError(f"no frequency is called {frequency!r}; expected {', '.join(FREQUENCIES)}")
        Cron.parse(frequency, text)
    if not value:
        raise ValueError("expected at least one of daily, weekly, monthly")
    return value


def _sender(value: str) -> str:
    form = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"
    if not re.fullmatch(form, parseaddr(value)[1]) or not value.isprintable():
        raise ValueError('expected an address such as "Linux 中国 <digest@example.org>"')
    return value


def _optional_sender(value: str) -> str:
    return value and _sender(value)


Sender = Annotated[str, AfterValidator(_optional_sender)]
Rate = Annotated[float, Field(ge=0, le=100_000)]


class Dkim(_Strict):
    """Signing in the process; without `domain` the mail server signs. Keys are PEM files, paths from the site's root."""

    domain: str = ""
    rsa_selector: str = ""
    rsa_key: str = ""
    ed25519_selector: str = ""
    ed25519_key: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Dkim:
        pairs = ((self.rsa_selector, self.rsa_key), (self.ed25519_selector, self.ed25519_key))
        if self.domain and not any(selector and key for selector, key in pairs):
            raise ValueError("expected rsa_selector and rsa_key, or ed25519_selector and ed25519_key, beside domain")
        if any(bool(selector) != bool(key) for selector, key in pairs):
            raise ValueError("expected a selector and a key together")
        return self


class BounceSettings(_Strict):
    """Where reports of failed deliveries arrive: a Maildir here, or the IMAP mailbox that FEEDS_IMAP_URL names."""

    address: Sender = ""
    maildir: str = ""
    soft_limit: Annotated[int, Field(ge=1, le=100)] = 5
    soft_days: Annotated[int, Field(ge=1, le=365)] = 30


class SignupLimits(_Strict):
    """Against subscription bombing. Hold for all processes together."""

    per_address_a_day: Annotated[int, Field(ge=1)] = 1
    per_address: Annotated[int, Field(ge=1)] = 3
    per_network_an_hour: Annotated[int, Field(ge=1)] = 20
    per_minute: Annotated[int, Field(ge=1)] = 60
    proof_of_work: bool = False


class Newsletter(_Strict):
    """newsletter.yaml"""

    enabled: bool = True
    sender: Annotated[str, AfterValidator(_sender), Field(alias="from")] = "Linux 中国 <digest@example.org>"
    reply_to: Sender = ""
    confirmations_from: Sender = ""
    postal_address: str = ""
    list_id: Annotated[str, Field(pattern=r"^([A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+)?$")] = ""
    unsubscribe_mailto: Sender = ""
    transport: Literal["maildir", "smtp"] = "maildir"
    maildir: str = "var/maildir"
    frequencies: Annotated[Mapping[str, str], AfterValidator(_frequencies)] = Field(default_factory=lambda: dict(_EXAMPLES))
    max_articles: Annotated[int, Field(ge=1, le=200)] = 30
    late_hours: Annotated[int, Field(ge=0, le=8760)] = 48
    on_uncertain: Literal["hold", "resend"] = "hold"
    rate: Rate = 0
    domain_rate: Rate = 0
    connections: Annotated[int, Field(ge=1, le=500)] = 10
    messages_per_connection: Annotated[int, Field(ge=1, le=10_000)] = 100
    retry_hours: Annotated[int, Field(ge=1, le=240)] = 48
    max_errors: Annotated[int, Field(ge=1)] = 100
    confirm_hours: Annotated[int, Field(ge=1, le=720)] = 72
    signup: SignupLimits = Field(default_factory=SignupLimits)
    bounces: BounceSettings = Field(default_factory=BounceSettings)
    dkim: Dkim = Field(default_factory=Dkim)

    def cron(self, frequency: str, day: int = -1) -> Cron:
        """When `frequency` is due; a weekly subscriber may have chosen another `day`. KeyError for one that is not offered."""
        cron = Cron.parse(frequency, self.frequencies[frequency])
        return replace(cron, day=day) if frequency == "weekly" and day >= 0 else cron


class Config(_Strict):
    """Everything the processes of one service agree on. `site.store` is absolute."""

    site: Site = Field(default_factory=Site)
    feeds: FeedSettings = Field(default_factory=FeedSettings)
    newsletter: Newsletter = Field(default_factory=Newsletter)

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.site.timezone)

    @cached_property
    def retired(self) -> Mapping[str, str]:
        """`moved` and `gone` in one: folded path of a feed -> where it is in the end, "" for gone."""
        steps = {**_steps(self.feeds.moved), **_steps(dict.fromkeys(self.feeds.gone, ""))}
        return {path: urls.follow(steps, path) for path in steps}

    def has_feed(self, facet: str, path: str) -> bool:
        """Whether a term at this path has a page and feeds, here or where they were moved to, if it has articles."""
        return self.feeds.facet(facet).enabled and self.retired.get(urls.fold(path), path) != ""

    def named(self, name: str) -> NamedFeed | None:
        """The operator's own feed of that name, also where it has been moved to another."""
        path = self.retired.get(urls.fold(f"feeds/{name}"), f"feeds/{name}")
        return next((feed for feed in self.feeds.feeds if f"feeds/{feed.name}" == path), None)

    @property
    def hub_url(self) -> str:
        """The WebSub hub that every feed names; "" for none."""
        return f"{self.site.base_url}/hub" if self.feeds.websub.hub == "builtin" else self.feeds.websub.outside

    @property
    def max_age(self) -> int:
        """Seconds that caches may keep an answer: as long as the next rescan may be away, within reason."""
        return min(max(self.site.rescan_seconds, 30), 300)

    @property
    def chinese(self) -> bool:
        return self.site.language.lower().startswith("zh")


def as_yaml(selection: Selection, title: str) -> str:
    """A selection as an entry of `feeds:` in feeds.yaml, for people to copy."""
    names = [name for part in (selection.any, selection.all) for clause in part.values() for name in clause]
    words = re.findall(r"[A-Za-z0-9]+", " ".join(names).lower())
    head = {"name": "-".join(words)[:40].strip("-") or "selection", "title": title}
    lines = _yaml_lines(head, flow=False) + _yaml_lines({"select": selection.as_json()}, flow=None)
    return "feeds:\n" + "".join(f"  {'  ' if number else '- '}{line}\n" for number, line in enumerate(lines))


def _yaml_lines(value: Mapping[str, object], *, flow: bool | None) -> list[str]:
    return yaml.safe_dump(value, allow_unicode=True, sort_keys=False, default_flow_style=flow, width=1000).splitlines()


def _steps(moved: Mapping[str, str]) -> dict[str, str]:
    """Folded paths, as an operator writes them and as they are, -> paths; "" stays "", and leads nowhere."""
    return {urls.fold(path): new and feed_path(new) for old, new in moved.items() for path in (old.strip("/"), feed_path(old))}


def feed_path(written: str) -> str:
    """The path of a feed whose address is written as an operator writes it: `tags/TCP/IP` for `tags/TCP~2FIP`."""
    folder, _, name = written.strip("/").partition("/")
    facet = PLURALS.get(folder)
    return urls.term_path(facet.name, urls.unslug(name)) if facet and name else written.strip("/")


class Environment(BaseModel):
    """FEEDS_*: of this process alone. `root` is the folder that holds config/, templates/ and var/."""

    model_config = ConfigDict(frozen=True)
    config_dir: Path
    database_url: str = Field(
        repr=False,
        description="where everything is kept: `sqlite:///PATH` (a relative one is taken from the folder that holds `config/`) "
        "or `postgresql://USER:PASSWORD@HOST/NAME`",
    )
    store: str = Field(default="", description="over `store`; a relative path is taken from where the command is given")
    base_url: str = Field(default="", description="over `base_url`")
    smtp_url: str = Field(
        default="",
        repr=False,
        description="what carries mail with `transport: smtp`: `smtp://user:pass@host:587` (STARTTLS is required unless "
        "`?starttls=0`), `smtps://` for TLS from the first byte; several are separated by blanks",
    )
    imap_url: str = Field(
        default="", repr=False, description="mailbox that bounces are read from: `imaps://user:pass@host/INBOX`"
    )
    secret_key: str = Field(
        default="",
        repr=False,
        description="signs the links in mails; where it is not set, a secret that the database keeps does",
    )
    operator_token: str = Field(
        default="",
        repr=False,
        description="opens the console, `/operator/`, and as bearer `/metrics` from anywhere; without it there is no console",
    )
    log: str = Field(
        default="auto",
        description="shape of the log on stderr, one event a line: `console` for eyes, `logfmt`, `json`; `auto` is the first "
        "on a terminal and logfmt elsewhere; `--log-format` is over it",
    )
    access_log: bool = Field(default=False, description="`1`: an event for each request; the same as `--access-log`")

    @property
    def root(self) -> Path:
        return self.config_dir.parent

    @property
    def secrets(self) -> tuple[str, ...]:
        """Settings that are a secret, or hold one."""
        return (self.smtp_url, self.imap_url, self.database_url, self.secret_key, self.operator_token)

    def located(self, url: str) -> str:
        """Another database, named as FEEDS_DATABASE_URL names this one."""
        return _located(url, self.root)

    @classmethod
    def read(cls, config_dir: Path, environ: Mapping[str, str] = os.environ) -> Environment:
        """`environ` goes over the file `.env` beside `config/`, which is read as it is: no `$` in it means anything."""
        config_dir = config_dir.absolute()
        environ = {**_dot_env(config_dir.parent / ".env"), **{name: value for name, value in environ.items() if value}}
        url = environ.get("FEEDS_DATABASE_URL") or "sqlite:///var/feeds.db"
        return cls(
            config_dir=config_dir,
            database_url=_located(url, config_dir.parent),
            store=environ.get("FEEDS_STORE", ""),
            base_url=environ.get("FEEDS_BASE_URL", ""),
            smtp_url=environ.get("FEEDS_SMTP_URL", ""),
            imap_url=environ.get("FEEDS_IMAP_URL", ""),
            secret_key=environ.get("FEEDS_SECRET_KEY", ""),
            operator_token=environ.get("FEEDS_OPERATOR_TOKEN", ""),
            log=environ.get("FEEDS_LOG", "auto"),
            access_log=environ.get("FEEDS_ACCESS_LOG", "") not in ("", "0"),
        )


def _located(url: str, root: Path) -> str:
    path = url.removeprefix("sqlite:///")
    return url if path == url or path.startswith("/") else f"sqlite:///{root / path}"


def _dot_env(path: Path) -> dict[str, str]:
    """Settings of the environment for who types commands: a service manager reads the same file."""
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    return {name: value for name, value in dotenv_values(path, interpolate=False, encoding="utf-8").items() if value}


def load(environment: Environment, instead: Mapping[str, str] | None = None) -> Config:
    """Read all files. Raises ConfigError with every fault found; returns nothing half-read.

    `instead`: texts that stand for files, by name: what would be in force if they were written.
    """
    faults: list[Fault] = []
    texts = instead or {}
    site = _file(environment, "site.yaml", Site, faults, texts)
    feeds = _file(environment, "feeds.yaml", FeedSettings, faults, texts)
    newsletter = _file(environment, "newsletter.yaml", Newsletter, faults, texts)
    overrides = _overrides(environment, faults)
    if site is not None and site.workers and environment.database_url.startswith("sqlite"):
        faults.append(Fault("site.yaml", 1, 1, "workers: true needs PostgreSQL, and FEEDS_DATABASE_URL names an SQLite file"))
    if faults or site is None or feeds is None or newsletter is None:
        raise ConfigError(faults)
    site = site.model_copy(update=overrides)
    store = overrides.get("store") or str(environment.root / Path(site.store).expanduser())
    return Config(site=site.model_copy(update={"store": os.path.normpath(store)}), feeds=feeds, newsletter=newsletter)


def _overrides(environment: Environment, faults: list[Fault]) -> dict[str, str]:
    """FEEDS_STORE is taken from where the command was given, as a shell user expects."""
    found: dict[str, str] = {}
    if environment.store:
        found["store"] = os.path.abspath(os.path.expanduser(environment.store))
    if environment.base_url:
        try:
            found["base_url"] = _base_url(environment.base_url)
        except ValueError as error:
            faults.append(Fault("FEEDS_BASE_URL", 1, 1, str(error)))
    return found


def _file(
    environment: Environment, name: str, kind: type[Model], faults: list[Fault], texts: Mapping[str, str]
) -> Model | None:
    path = environment.config_dir / name
    if name in texts:
        return parse(texts[name], str(path), kind, faults)
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        if name == "newsletter.yaml":  # sites of before the newsletter go on, without one
            return kind.model_validate({"enabled": False})
        faults.append(Fault(str(path), 1, 1, "no such file; `feeds init DIR` writes one with every setting"))
        return None
    except UnicodeDecodeError as error:
        faults.append(Fault(str(path), 1, 1, f"not UTF-8 (byte {error.start})"))
        return None
    except OSError as error:
        faults.append(Fault(str(path), 1, 1, error.strerror or "cannot be read"))
        return None
    return parse(text, str(path), kind, faults)


def parse(text: str, path: str, kind: type[Model], faults: list[Fault]) -> Model | None:
    """One YAML text as `kind`; faults are appended with their places."""
    try:
        _refuse_aliases(text)
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
        places = dict(_places(node)) if node else {}
        value = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        faults.append(Fault(path, line, column, f"not YAML: {error.problem or error.context}"))
        return None
    except (yaml.YAMLError, ValueError) as error:
        faults.append(Fault(path, 1, 1, f"not YAML: {error}".splitlines()[0]))
        return None
    try:
        return kind.model_validate({} if value is None else value)
    except ValidationError as error:
        found = error.errors()
        outer = {item["loc"][:length] for item in found for length in range(len(item["loc"]))}
        # Where every member of a list is bad, the list counts as empty, too; that says nothing new.
        faults.extend(_fault(path, places, item) for item in found if item["loc"] not in outer)
        return None


def refusal(kind: type[BaseModel], setting: str, value: object) -> str:
    """What `kind` has against a value of one of its settings; "" if nothing."""
    try:
        kind.model_validate({setting: value})
    except ValidationError as error:
        return str(error.errors()[0]["msg"]).removeprefix("Value error, ")
    return ""


def place(path: Path, *keys: str | int) -> tuple[int, int]:
    """Line and column of a setting in a file that `load` has taken; of the file's beginning where it is not written there."""
    try:
        node = yaml.compose(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
        return dict(_places(node)).get(keys, (1, 1)) if node else (1, 1)
    except (OSError, ValueError, yaml.YAMLError):
        return 1, 1


def lines(path: Path) -> Mapping[tuple[str | int, ...], int]:
    """The line of each setting that a file writes, by its keys; empty for a file that cannot be read."""
    try:
        node = yaml.compose(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
        return {keys: line for keys, (line, _column) in _places(node)} if node else {}
    except (OSError, ValueError, yaml.YAMLError):
        return {}


def _refuse_aliases(text: str) -> None:
    """They could make a small file a huge value, and a setting that is written twice hard to find."""
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            mark: Any = event.start_mark
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=mark)


_Key = tuple[str | int, ...]


def _places(node: yaml.Node, at: _Key = ()) -> Iterator[tuple[_Key, tuple[int, int]]]:
    yield at, (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise yaml.MarkedYAMLError(problem="a key must be text; put it in quotes", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value!r} is set twice", problem_mark=key.start_mark)
            seen.add(key.value)
            yield (*at, key.value, "[key]"), (key.start_mark.line + 1, key.start_mark.column + 1)
            yield from _places(value, (*at, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _places(value, (*at, index))


def _fault(path: str, places: Mapping[_Key, tuple[int, int]], item: Any) -> Fault:
    where = tuple(part for part in item["loc"])
    unknown = item["type"] == "extra_forbidden"
    place = places.get((*where, "[key]")) if unknown else None
    known = where
    while place is None and known:
        place = places.get(known)
        known = known[:-1]
    line, column = place or places.get((), (1, 1))
    name = ".".join(str(part) for part in where)
    reason = "unknown setting" if unknown else item["msg"].removeprefix("Value error, ")
    return Fault(path, line, column, f"{name}: {reason}" if name else reason)
