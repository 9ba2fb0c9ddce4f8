"""The settings as pydantic models: one class for each file of config/, and `Config`, which holds all three.

All processes of a service agree on one `Config`: the rescan stores it in the database. Models are frozen and refuse unknown
settings. Bounds, defaults and the words of a refusal are here; positions in files are the business of `load`.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import zoneinfo
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from email.utils import parseaddr
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    WrapSerializer,
    create_model,
    model_serializer,
    model_validator,
)

from .. import urls
from ..model import FACETS, FREQUENCIES, PLURALS, Selection
from ..plugins import find_plugins

#: The table to extend for a transport of the project (name -> factory), and the entry point group of other packages.
TRANSPORT_GROUP = "feeds.transports"
TRANSPORTS = {
    "maildir": "feeds.newsletter.transports.base:Maildir.configured",
    "smtp": "feeds.newsletter.transports.smtp:Smtp.configured",
}


#: Settings of the last release that are gone -> what to do. A file that still has one loads; `feeds check` and the log give the
#: hint. An entry stays for one release.
REMOVED: Mapping[str, str] = {
    "newsletter.yaml: bounces.soft_days": "no longer a setting, 30 days are counted together: delete this line"
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _File(_Strict):
    """The settings of one file, in the file itself or as the database keeps them; those that were REMOVED are passed over."""

    file: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _drop_removed(cls, value: Any) -> Any:
        for place in REMOVED:
            file, _, name = place.partition(": ")
            value = _without(value, name.split(".")) if file == cls.file else value
        return value


def _without(value: Any, keys: list[str]) -> Any:
    if not isinstance(value, dict) or keys[0] not in value:
        return value
    rest = {key: inner for key, inner in value.items() if key != keys[0]}
    return rest if len(keys) == 1 else {**rest, keys[0]: _without(value[keys[0]], keys[1:])}


def _zone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"no time zone is called {value!r}; expected a name such as Asia/Shanghai") from None
    return value


def _matching(pattern: str, expected: str) -> AfterValidator:
    """Return the check that the whole of a text matches `pattern`; else it is refused with `expected`."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(expected)
        return value

    return AfterValidator(check)


def _http_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", value):
        raise ValueError("expected an address that begins with http:// or https://")
    return value.rstrip("/")


def _base_url(value: str) -> str:
    if urlsplit(_http_url(value)).path:
        raise ValueError("expected a host and no path: the service's addresses begin at its root")
    return _http_url(value)


def _article_url(value: str) -> str:
    if value in ("", "{permalink}"):  # the latter where a generator does not say where its site is: absolute addresses count
        return value
    names = re.findall(r"{([^{}]*)}", value)
    if not names or any(name not in ("permalink", "id") for name in names):
        raise ValueError("expected {permalink} or {id} in it, for example https://linux.cn{permalink}")
    if value != "{permalink}":  # where files write the whole address
        _http_url(value.partition("{")[0].partition("?")[0])
    return value


#: Names of networks, which may be written in place of addresses such as 10.1.0.0/16.
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


Profile = Annotated[
    str,
    _matching(
        r"(https?://[^\s/?#{}]+[^\s{}]*{name}[^\s{}]*)?",
        "expected an address with {name} in it, for example https://github.com/{name}",
    ),
]
Authority = Annotated[
    str,
    _matching(
        r"[A-Za-z0-9](?:[A-Za-z0-9.@_-]*[A-Za-z0-9])?,\d{4}(?:-\d\d(?:-\d\d)?)?",
        'expected a domain or address and a date, for example "linux.cn,2003" (RFC 4151)',
    ),
]
Language = Annotated[
    str, _matching(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*", "expected a language tag such as zh-CN or en (RFC 5646)")
]
Contact = Annotated[
    str,
    _matching(
        r"((mailto:[!-~]+@|https://|tel:)[!-~]+)?",
        "expected an address such as mailto:security@example.org or https://example.org/security",
    ),
]
Hub = Annotated[
    str,
    _matching(
        r"builtin|none|https?://[A-Za-z0-9.:\[\]-]+(/[!-;=?-~]*)?",
        "expected builtin, none, or the address of another hub such as https://hub.example.org/",
    ),
]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
OptionalUrl = Annotated[str, AfterValidator(lambda value: value and _http_url(value))]
Names = Annotated[tuple[str, ...], Field(min_length=1)]
Clauses = Mapping[str, Names]
Limit = Annotated[int, Field(ge=1, le=500)]


class StoreGit(_Strict):
    """A store in a git work tree: pulling it, and dates from its commits."""

    pull: bool = False
    every_seconds: Annotated[int, Field(ge=1, le=7 * 86400)] = 300
    timeout_seconds: Annotated[int, Field(ge=1, le=3600)] = 30
    dates: bool = False


#: What a store can be: the row of `store.kinds.KINDS` of each name, or the one that its files tell.
StoreKindName = Literal[
    "auto", "archive", "lctt", "hugo", "jekyll", "hexo", "docusaurus", "astro", "eleventy", "vuepress", "vitepress", "pelican",
    "obsidian", "plain",
]  # fmt: skip
#: What header fields can carry: the keys of `store.field_names.FIELDS`.
WANTED = (
    *("title", "date", "updated", "publish", "expiry", "slug", "address", "aliases", "tag", "category", "author", "translator"),
    *("reviewer", "selector", "original", "language", "translation", "series", "summary", "cover", "id", "licence", "part"),
    *("discussion", "media", "media_length", "duration", "transcript", "artwork", "explicit", "episode", "season"),
)
#: Other words for what is wanted, besides facets and their plurals.
_WANTED_TOO: Mapping[str, str] = {
    "dates": "date", "alias": "aliases", "permalink": "address", "url": "address", "excerpt": "summary", "lang": "language",
    "description": "summary", "picture": "cover", "image": "cover", "expires": "expiry", "license": "licence",
    "rights": "licence", "comments": "discussion", "audio": "media", "video": "media", "enclosure": "media",
}  # fmt: skip


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about a name: with the one that was probably meant, where one is like it."""
    close = difflib.get_close_matches(name.lower(), tuple(known), 1, 0.6)
    return f"; did you mean {close[0]}?" if close else ";"


def _known_kind(value: Any) -> Any:
    known = get_args(StoreKindName)
    folded = value.strip().lower() if isinstance(value, str) else ""
    if folded not in known:
        raise ValueError(f"no kind of store is called {value!r}{suggestion(folded, known)} expected one of {', '.join(known)}")
    return folded


def _wanted_fields(value: Any) -> Any:
    """Accept facets in the plural, too, and one header field without a list."""
    if not isinstance(value, dict):
        raise ValueError("expected what is wanted and its header fields, for example {translator: [translated_by]}")
    others = {name: facet.name for name, facet in PLURALS.items()} | dict(_WANTED_TOO)
    found: dict[str, Any] = {}
    for name, fields in value.items():
        wanted = others.get(name.lower(), name.lower())
        if wanted not in (*WANTED, *FACETS):
            known = (*WANTED, *FACETS, *PLURALS)
            raise ValueError(
                f"nothing of an article is called {name!r}{suggestion(name, known)} expected one of {', '.join(WANTED)}"
            )
        if wanted in found:
            raise ValueError(f"{wanted} is there twice: name all of its header fields in one list")
        found[wanted] = [fields] if isinstance(fields, str) else fields
    return found


def _pattern(value: str) -> str:
    """Return the pattern of addresses. Which tokens a kind knows, `feeds check` says."""
    if value and not value.startswith(("/", "http://", "https://")):
        raise ValueError("expected a pattern that begins with a slash, for example /:year/:month/:slug/")
    if any(blank in value for blank in " \t\n") or value.count("{") != value.count("}"):
        raise ValueError("expected a pattern without blanks, with every { closed, for example /:year/:month/:slug/")
    return value


def _below(value: str) -> str:
    """Return a path or glob below the store."""
    parts = value.split("/")
    if not value.strip("/") or value.startswith("/") or "\\" in value or ".." in parts:
        raise ValueError(f"{value!r} is not below the store; expected a path as content/posts/** with slashes, without ..")
    return value


Glob = Annotated[str, AfterValidator(_below)]


def _prefix(value: str) -> str:
    if value and not re.fullmatch(r"[^\W_][\w-]*", value):
        raise ValueError(f"{value!r} cannot begin the paths and ids of a store; expected a word, for example blog")
    return value


class Store(_Strict):
    """The folder of articles, and what is said over its kind and its generator's configuration (docs/stores.md)."""

    path: Annotated[str, Field(min_length=1)] = "demo/articles"
    prefix: Annotated[str, AfterValidator(_prefix)] = ""
    kind: Annotated[StoreKindName, BeforeValidator(_known_kind)] = "auto"
    include: tuple[Glob, ...] = ()
    exclude: tuple[Glob, ...] = ()
    fields: Annotated[Mapping[str, Names], BeforeValidator(_wanted_fields)] = Field(default_factory=dict)
    permalink: Annotated[str, AfterValidator(_pattern)] = ""
    site: OptionalUrl = ""
    timezone: Annotated[str, AfterValidator(lambda value: value and _zone(value))] = ""
    future: Literal["hold", "publish"] | None = None
    languages: Mapping[Language, Glob] = Field(default_factory=dict)
    pages: Literal["ignore", "publish"] = "ignore"

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: Any) -> Any:
        if isinstance(value, str) and value:
            return {"path": value}
        if not isinstance(value, (dict, Store)):
            raise ValueError("expected the folder of the articles, or {path: ..., kind: ...} (docs/stores.md)")
        return value

    @model_serializer(mode="wrap")
    def _as_path(self, write: SerializerFunctionWrapHandler) -> Any:
        return self.path if self == Store(path=self.path) else write(self)


def _several_stores(value: Any) -> Any:
    """Accept one store, as most sites have, without a list."""
    if isinstance(value, (list, tuple)):
        if not value:
            raise ValueError("expected at least one store, for example {path: articles}")
        return value
    return (value,)


def _told_apart(stores: tuple[Store, ...]) -> tuple[Store, ...]:
    """Return stores of which no two read the same files, or give them the same names."""
    prefixes = [store.prefix.lower() for store in stores]
    if len(set(prefixes)) < len(prefixes):
        twice = next(prefix for prefix in prefixes if prefixes.count(prefix) > 1)
        said = f"two stores have the prefix {twice}" if twice else "two stores have no prefix"
        raise ValueError(f"{said}; expected another one for each, for example {{path: notes, prefix: notes}}")
    if len({os.path.normpath(store.path) for store in stores}) < len(stores):
        raise ValueError("two stores are the same folder; name it once, or different folders below it")
    return stores


def _one_or_several(stores: tuple[Store, ...], write: SerializerFunctionWrapHandler) -> Any:
    written = write(stores)
    return written[0] if len(written) == 1 else written


Stores = Annotated[
    tuple[Store, ...],
    BeforeValidator(_several_stores),
    AfterValidator(_told_apart),
    WrapSerializer(_one_or_several),
]


class Parser(_Strict):
    """What one file may cost the process that parses it, before it goes to quarantine."""

    seconds: Annotated[int, Field(ge=1, le=600)] = 10
    megabytes: Annotated[int, Field(ge=128, le=65_536)] = 512


class Files(_Strict):
    """Files beside articles: pictures, sound, archives and so on that articles refer to (docs/stores.md)."""

    publish: bool = True
    max_bytes: Annotated[int, Field(ge=1024, le=1024 * 1024 * 1024)] = 64 * 1024 * 1024


class Removal(_Strict):
    """How many articles may go at once because their files are gone: up to `percent` of all, or `articles` if that is more."""

    percent: Annotated[int, Field(ge=0, le=100)] = 20
    articles: Annotated[int, Field(ge=0)] = 10


class ClientLimits(_Strict):
    """Documents an hour to one client, in each worker process; 0 is no limit. What is counted: web/rate_limit.py."""

    same_version: Annotated[int, Field(ge=0, le=1_000_000)] = 60
    documents: Annotated[int, Field(ge=0, le=10_000_000)] = 6000


class Site(_File):
    """The settings of site.yaml."""

    file = "site.yaml"

    title: Annotated[str, Field(min_length=1, max_length=200)] = "Linux 中国"
    description: str = ""
    base_url: BaseUrl = "http://127.0.0.1:8000"
    service_url: OptionalUrl = ""
    article_url: Annotated[str, AfterValidator(_article_url)] = ""
    image_url: OptionalUrl = "https://img.linux.net.cn"
    id_authority: Authority = "linux.cn,2003"
    timezone: Annotated[str, AfterValidator(_zone)] = "Asia/Shanghai"
    language: Language = "zh-CN"
    rights: str = ""
    icon: OptionalUrl = ""
    logo: OptionalUrl = ""
    stores: Stores = Field(default=(Store(),), alias="store")
    rescan_seconds: Annotated[int, Field(ge=1, le=86400)] = 30
    max_file_bytes: Annotated[int, Field(ge=1024, le=64 * 1024 * 1024)] = 1024 * 1024
    files: Files = Field(default_factory=Files)
    parser: Parser = Field(default_factory=Parser)
    removal: Removal = Field(default_factory=Removal)
    store_git: StoreGit = Field(default_factory=StoreGit)
    workers: bool = False
    trusted_proxies: Annotated[tuple[str, ...], AfterValidator(_networks)] = ("loopback",)
    limits: ClientLimits = Field(default_factory=ClientLimits)
    audience_days: Annotated[int, Field(ge=0, le=36_500)] = 400
    security_contact: Contact = ""
    #: YAML 1.1 reads `off` as false.
    metrics: Annotated[Literal["local", "public", "off"], BeforeValidator(lambda value: "off" if value is False else value)] = (
        "local"
    )

    def store_with(self, prefix: str) -> Store:
        """Return the store that has a prefix; for any other one the store without, or the first."""
        known = {store.prefix: store for store in self.stores}
        return known.get(prefix) or known.get("") or self.stores[0]

    def file_of(self, path: str) -> tuple[Path, str]:
        """Return the store's folder, and where a file of the catalog lies below it."""
        folder, slash, _below = path.partition("/")
        store = self.store_with(folder if slash else "")
        return Path(store.path), path.removeprefix(f"{store.prefix}/") if store.prefix else path


Archive = Literal["year", "month", "none"]


class FacetSettings(_Strict):
    enabled: bool = True
    limit: Limit = 20
    min_articles: Annotated[int, Field(ge=1)] = 1
    archive: Archive = "year"
    profile: Profile = ""


class AllSettings(_Strict):
    limit: Limit = 20
    archive: Archive = "month"


class SelectSettings(_Strict):
    """/select: any selection as a feed."""

    enabled: bool = True
    limit: Limit = 20


def _known_facet_keys(value: Mapping[str, Any]) -> Mapping[str, Any]:
    for facet in value:
        if facet not in FACETS:
            raise ValueError(f"no facet is called {facet!r}; expected one of {', '.join(FACETS)}")
    return value


class Select(_Strict):
    """A selection as it is written: facets at the top, `all` and `not` beside them."""

    if TYPE_CHECKING:  # made below, after one field for each facet of the table
        all: Clauses = Field(default_factory=dict)
        not_: Clauses = Field(default_factory=dict, alias="not")

    @model_validator(mode="after")
    def _known_facets(self) -> Select:
        _known_facet_keys({**self.all, **self.not_})
        return self

    def selection(self) -> Selection:
        """Return what is written as the model of a selection."""
        some = {facet: names for facet in FACETS if (names := getattr(self, facet))}
        return Selection(some, dict(self.all), dict(self.not_))


if not TYPE_CHECKING:
    Select = create_model(
        "Select",
        __base__=Select,
        __module__=__name__,
        __doc__=Select.__doc__,
        **dict.fromkeys(FACETS, (Names | None, None)),
        all=(Clauses, Field(default_factory=dict)),
        not_=(Clauses, Field(default_factory=dict, alias="not")),
    )


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
        """Return what its id is made of: the name that it was published under first."""
        return self.id or self.name


def _unique_names(feeds: tuple[NamedFeed, ...]) -> tuple[NamedFeed, ...]:
    seen: set[str] = set()
    for feed in feeds:
        if feed.name.casefold() in seen:
            raise ValueError(f"two feeds are called {feed.name!r}")
        seen.add(feed.name.casefold())
    if len({feed.permanent for feed in feeds}) < len(feeds):
        raise ValueError("two feeds have the same id; it is that of the one that had it first")
    return feeds


def _finite_aliases(value: Mapping[str, Mapping[str, str]]) -> Mapping[str, Mapping[str, str]]:
    for aliases in value.values():
        steps = {urls.fold(alias): name for alias, name in aliases.items()}
        for alias in aliases:
            urls.follow(steps, alias)
    return value


def _finite_moves(value: Mapping[str, str]) -> Mapping[str, str]:
    steps = _steps(value)
    for path in steps:
        if urls.fold(urls.follow(steps, path)) == path:
            raise ValueError(f"{path!r} is moved to itself")
    return value


class Lease(_Strict):
    """Seconds that a push subscription holds without renewal: `default` where a subscriber asks for none."""

    default: Annotated[int, Field(ge=60)] = 864_000
    min: Annotated[int, Field(ge=1)] = 300
    max: Annotated[int, Field(ge=60, le=31_536_000)] = 2_592_000

    @model_validator(mode="after")
    def _ordered(self) -> Lease:
        if not self.min <= self.default <= self.max:
            raise ValueError("expected min <= default <= max")
        return self


class WebSub(_Strict):
    """Push (docs/push.md): the hub that feeds name, and the limits of the built-in one."""

    hub: Hub = "builtin"
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
        """Return the address of an external hub; "" for the built-in one or none."""
        return "" if self.hub in ("builtin", "none") else self.hub


class FeedSettings(_File):
    """The settings of feeds.yaml."""

    file = "feeds.yaml"

    content: Literal["full", "summary"] = "full"
    ttl_minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    max_bytes: Annotated[int, Field(ge=0)] = 4 * 1024 * 1024
    archives: bool = True
    brotli_archives: bool = False
    source_markdown: bool = False
    export_markdown: bool = False
    facets: Annotated[Mapping[str, FacetSettings], AfterValidator(_known_facet_keys)] = Field(default_factory=dict)
    all: AllSettings = Field(default_factory=AllSettings)
    select: SelectSettings = Field(default_factory=SelectSettings)
    aliases: Annotated[Mapping[str, Mapping[str, str]], AfterValidator(_known_facet_keys), AfterValidator(_finite_aliases)] = (
        Field(default_factory=dict)
    )
    moved: Annotated[Mapping[str, str], AfterValidator(_finite_moves)] = Field(default_factory=dict)
    gone: tuple[str, ...] = ()
    websub: WebSub = Field(default_factory=WebSub)
    feeds: Annotated[tuple[NamedFeed, ...], AfterValidator(_unique_names)] = ()

    def facet(self, name: str) -> FacetSettings:
        """Return the settings in force: a facet that the file does not mention is on for tags and translators only."""
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
        """Parse `07:30`, `mon 08:00`, `1 08:00`. Raises ValueError.

        >>> Cron.parse("weekly", "tue 07:30")
        Cron(hour=7, minute=30, day=1)
        """
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


Sender = Annotated[str, AfterValidator(lambda value: value and _sender(value))]
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
    """Where bounces arrive: a Maildir here, or the IMAP mailbox that FEEDS_IMAP_URL names."""

    address: Sender = ""
    maildir: str = ""
    soft_limit: Annotated[int, Field(ge=1, le=100)] = 5


class SignupLimits(_Strict):
    """Limits against subscription bombing, for all processes together."""

    per_address_a_day: Annotated[int, Field(ge=1)] = 1
    per_address: Annotated[int, Field(ge=1)] = 3
    per_network_an_hour: Annotated[int, Field(ge=1)] = 20
    per_minute: Annotated[int, Field(ge=1)] = 60
    proof_of_work: bool = False


def _transport(value: str, info: ValidationInfo) -> str:
    """Accept an installed transport. Only files are held to it: another process may read a stored one without the package."""
    if value in TRANSPORTS or info.context is None:
        return value
    others = sorted({found.name for found in find_plugins(TRANSPORT_GROUP)} - {*TRANSPORTS})
    if value in others:
        return value
    expected = [repr(name) for name in (*TRANSPORTS, *others)]
    raise ValueError(f"Input should be {', '.join(expected[:-1])} or {expected[-1]}: no other transport is installed")


class Newsletter(_File):
    """The settings of newsletter.yaml."""

    file = "newsletter.yaml"

    enabled: bool = True
    sender: Annotated[str, AfterValidator(_sender), Field(alias="from")] = "Linux 中国 <digest@example.org>"
    reply_to: Sender = ""
    confirmations_from: Sender = ""
    postal_address: str = ""
    list_id: Annotated[str, Field(pattern=r"^([A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+)?$")] = ""
    unsubscribe_mailto: Sender = ""
    transport: Annotated[str, AfterValidator(_transport), Field(examples=list(TRANSPORTS))] = "maildir"
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
        """Return when `frequency` is due, for weekly on another `day` if given. Raises KeyError for one that is not offered."""
        cron = Cron.parse(frequency, self.frequencies[frequency])
        return replace(cron, day=day) if frequency == "weekly" and day >= 0 else cron


class Config(_Strict):
    """All settings that the processes of one service agree on. The paths of stores are absolute."""

    site: Site = Field(default_factory=Site)
    feeds: FeedSettings = Field(default_factory=FeedSettings)
    newsletter: Newsletter = Field(default_factory=Newsletter)

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        """Return the time zone of dates that name none, and of dates on pages."""
        return zoneinfo.ZoneInfo(self.site.timezone)

    @cached_property
    def retired(self) -> Mapping[str, str]:
        """Return `moved` and `gone` in one: folded path of a feed -> the path that it leads to in the end, "" for gone."""
        steps = {**_steps(self.feeds.moved), **_steps(dict.fromkeys(self.feeds.gone, ""))}
        return {path: urls.follow(steps, path) for path in steps}

    def has_feed(self, facet: str, path: str) -> bool:
        """Return whether a term at this path has a page and feeds, here or where they were moved to, if it has articles."""
        return self.feeds.facet(facet).enabled and self.retired.get(urls.fold(path), path) != ""

    def named(self, name: str) -> NamedFeed | None:
        """Return the operator's own feed of that name, also where it has been moved to another."""
        path = self.retired.get(urls.fold(f"feeds/{name}"), f"feeds/{name}")
        return next((feed for feed in self.feeds.feeds if f"feeds/{feed.name}" == path), None)

    @property
    def hub_url(self) -> str:
        """Return the WebSub hub that every feed names; "" for none."""
        return f"{self.site.base_url}/hub" if self.feeds.websub.hub == "builtin" else self.feeds.websub.outside

    @property
    def max_age(self) -> int:
        """Return the seconds that caches may keep an answer: until the next rescan, but 30 to 300."""
        return min(max(self.site.rescan_seconds, 30), 300)

    @property
    def chinese(self) -> bool:
        """Return whether the articles are in Chinese, by the language tag."""
        return self.site.language.lower().startswith("zh")


def _steps(moved: Mapping[str, str]) -> dict[str, str]:
    """Return folded paths, both as the operator writes them and as they are, -> paths; "" stays ""."""
    return {urls.fold(path): new and feed_path(new) for old, new in moved.items() for path in (old.strip("/"), feed_path(old))}


def feed_path(written: str) -> str:
    """Return the path of a feed whose address is written as an operator writes it.

    >>> feed_path("/tags/TCP/IP/")
    'tags/TCP~2FIP'
    """
    folder, _, name = written.strip("/").partition("/")
    facet = PLURALS.get(folder)
    return urls.term_path(facet.name, urls.unslug(name)) if facet and name else written.strip("/")
