"""Define the tables of the database. Portable SQL: SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, UniqueConstraint

metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_name)s", "uq": "uq_%(table_name)s_%(column_0_name)s"}
)
#: SQLite counts keys up only in a column of type INTEGER; PostgreSQL wants room beyond 2**31.
Key = BigInteger().with_variant(Integer(), "sqlite")
#: Ordered and compared by code points everywhere: a feed must not change with the locale of a server.
Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _table(name: str, *columns: sa.schema.SchemaItem, **options: Any) -> Table:
    return Table(name, metadata, *columns, **options)


def _required(kind: sa.types.TypeEngine[Any] | type[sa.types.TypeEngine[Any]], *names: str) -> list[Column[Any]]:
    """Return columns of one type that are never NULL, in this order."""
    return [Column(name, kind, nullable=False) for name in names]


#: One row: the generation of the catalog, the configuration it was made with, the key of the parse that made it.
state = _table("state", Column("name", Text, primary_key=True), Column("value", Text, nullable=False))

#: Every file of the store as last seen. `article` is the id of the article it became, empty in quarantine and for what is no
#: article. In UTC seconds or NULL: `due` is when its verdict changes by itself, as an embargo ends; `seen` is when a file was
#: first seen that says no date, which its article keeps.
files = _table(
    "files",
    Column("path", Text, primary_key=True),
    Column("stamp", BigInteger, nullable=False),
    Column("article", Text, nullable=False),
    Column("due", BigInteger, nullable=True),
    Column("seen", BigInteger, nullable=True),
    Index("ix_files_article", "article"),
    Index("ix_files_due", "due"),
    sqlite_with_rowid=False,
)

quarantine = _table(
    "quarantine",
    Column("path", Text, primary_key=True),
    *_required(Integer, "line", "column"),
    *_required(Text, "reason", "kind"),
    Column("since", BigInteger, nullable=False),
)

#: `content` is the digest of the file's published fields, `digest` covers the canonical terms as well.
_TRANSLATED = sa.text("translation <> ''")
#: `names` is JSON: facet -> spellings as written; `terms`: [facet, name, slug] in canonical spelling, so reading needs no join.
#: `first_seen` is when a rescan first met the article; `available` (UTC seconds) and `arrival` (number of that rescan, 0 for
#: the store's first) are what digests go by, and never change once they are past. Translations of one article share
#: `translation`, which is "" where the `language` is not known. `changes` is JSON: what was left out of the body or mended in
#: it -> how often; "" for nothing. `details` is JSON: what `model.Details` says besides its defaults; "" for nothing.
#: `in_feeds` is 0 for an article that is in no feed, though on pages; `in_digests` for one that is in no digest; `pinned`
#: and `part` are as in `model.ParsedArticle`.
#: `linked` is 0 where no link of the body depends on what other articles there are.
_OUT, _PINNED, _LINKED = sa.text("in_feeds = 0"), sa.text("pinned > 0"), sa.text("linked > 0")
articles = _table(
    "articles",
    Column("key", Key, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("position", BigInteger, nullable=False),
    *_required(Text, "path", "url", "permalink", "title", "summary"),
    *_required(BigInteger, "published", "updated"),
    *_required(Text, "original", "picture"),
    *_required(Integer, "comments", "editor_choice"),
    *_required(Text, "names", "terms", "content", "digest"),
    Column("first_seen", BigInteger, nullable=False),
    Column("available", BigInteger, nullable=False, server_default="0"),
    Column("arrival", BigInteger, nullable=False, server_default="0"),
    Column("language", Text, nullable=False, server_default=""),
    Column("translation", Text, nullable=False, server_default=""),
    Column("changes", Text, nullable=False, server_default=""),
    Column("in_feeds", Integer, nullable=False, server_default="1"),
    Column("in_digests", Integer, nullable=False, server_default="1"),
    Column("pinned", Integer, nullable=False, server_default="0"),
    Column("part", Integer, nullable=False, server_default="0"),
    Column("details", Text, nullable=False, server_default=""),
    Column("linked", Integer, nullable=False, server_default="1"),
    Index("ix_articles_position", "position"),
    Index("ix_articles_permalink", "permalink"),
    Index("ix_articles_available", "available"),
    Index("ix_articles_arrival", "arrival"),
    Index("ix_articles_translation", "translation", sqlite_where=_TRANSLATED),
    Index("ix_articles_in_feeds", "in_feeds", sqlite_where=_OUT),
    Index("ix_articles_pinned", "pinned", sqlite_where=_PINNED),
    Index("ix_articles_linked", "linked", sqlite_where=_LINKED),
)

#: Articles that are no more: should one come back, no digest brings it a second time.
departed = _table(
    "departed", Column("id", Text, primary_key=True), *_required(BigInteger, "available", "arrival"), sqlite_with_rowid=False
)

#: Bodies apart from headings, so that lists of articles never touch them.
bodies = _table(
    "bodies",
    Column("article_key", Key, ForeignKey("articles.key"), primary_key=True, autoincrement=False),
    Column("html", Text, nullable=False),
)

#: Files that articles and pages refer to, by the path of the referring file: `hash` (of all bytes) and `name` make the address
#: of one that is published, and are "" for one that is not, which is looked at again when its `stamp` changes. `data` are the
#: bytes of a picture that the article itself contains, whose `path` is no file's; those of others stay in the store.
assets = _table(
    "assets",
    Column("owner", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    *_required(Text, "hash", "name"),
    *_required(BigInteger, "stamp", "size"),
    Column("data", LargeBinary, nullable=True),
    Index("ix_assets_hash", "hash"),
)

#: The Markdown of bodies as programs get it, compressed by zlib; none where they get the HTML.
sources = _table(
    "sources",
    Column("article_key", Key, ForeignKey("articles.key"), primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
    sqlite_with_rowid=False,  # a page of it is no page of `bodies`, should a disk mix them up
)

#: Pages of the store, which are no articles: catalog/pages.py.
pages = _table(
    "pages",
    Column("path", Text, primary_key=True),
    *_required(Text, "id", "url", "permalink", "title", "summary", "html"),
    *_required(BigInteger, "published", "updated"),
    *_required(Text, "original", "picture", "language", "digest"),
    Index("ix_pages_id", "id"),
    Index("ix_pages_permalink", "permalink"),
)

#: When git saw files of the store come and change (UTC seconds, NULL where no commit says), so that only new commits are read.
dated = _table(
    "dated",
    Column("path", Text, primary_key=True),
    Column("first", BigInteger, nullable=True),
    Column("last", BigInteger, nullable=True),
    sqlite_with_rowid=False,
)

#: `folded` is where spellings meet; `name` is the commonest one; `feed_path` the first slug, which the feed's id keeps;
#: `adopted` the first slug of another term, whose feed this one goes on with since an alias renamed it ("" for none); `words`
#: those that searches find it by.
terms = _table(
    "terms",
    Column("key", Key, primary_key=True),
    *_required(Text, "facet", "folded", "name", "slug", "feed_path"),
    Column("articles", Integer, nullable=False),
    Column("adopted", Text, nullable=False, server_default=""),
    Column("words", Text, nullable=False, server_default=""),
    UniqueConstraint("facet", "folded"),
    Index("ix_terms_slug", "facet", "slug"),
)

#: How many articles write a term how.
spellings = _table(
    "spellings",
    Column("term_key", Key, ForeignKey("terms.key"), primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Column("articles", Integer, nullable=False),
    sqlite_with_rowid=False,
)

#: The index that makes `select` a look-up: the articles of a term in the order of time.
memberships = _table(
    "memberships",
    Column("term_key", Key, ForeignKey("terms.key"), primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("article_key", Key, ForeignKey("articles.key"), primary_key=True, autoincrement=False),
    Column("rank", Integer, nullable=False),
    Index("ix_memberships_article", "article_key", "term_key"),
    sqlite_with_rowid=False,
)

#: The articles of a term, and those of a span of time, as bitmaps of keys: only catalog/bitmaps.py reads them.
sets = _table(
    "sets",
    Column("kind", Text, primary_key=True),
    Column("key", Key, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

#: The articles that have a word, of each block of keys (16-bit numbers inside it): only catalog/search_index.py reads them.
postings = _table(
    "postings",
    Column("block", Integer, primary_key=True, autoincrement=False),
    Column("word", Text, primary_key=True),
    Column("articles", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

#: Every feed there is, as the last rescan left it. `changed` is its Last-Modified, `digest` decides its ETags.
feeds = _table(
    "feeds",
    Column("path", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("term_key", Key, nullable=True),
    Column("articles", Integer, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("changed", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)


# -- newsletter ------------------------------------------------------------

#: What people may want, as in an address (`tag=Linux&translator=geekpi`, `feed=kernel`), each text once.
selections = _table("selections", Column("key", Key, primary_key=True), Column("query", Text, nullable=False, unique=True))

#: Addresses with consent. `address` as typed, `mailbox` as compared. Keys are never used again, so an old link means no other.
#: `status`: active | unsubscribed | bounced | complained. `version` goes up to revoke the links sent so far.
#: `bounce_score` is in hundredths, as of `bounced_at`. `previous` has the choices before each change of the last weeks (JSON:
#: `choices`), `changed` the time of the last one.
subscribers = _table(
    "subscribers",
    Column("key", Key, primary_key=True),
    Column("address", Text, nullable=False),
    Column("mailbox", Text, nullable=False, unique=True),
    *_required(Text, "status", "language", "timezone"),
    Column("version", Integer, nullable=False),
    *_required(BigInteger, "created", "confirmed"),
    Column("ended", BigInteger, nullable=True),
    *_required(Text, "reason", "source"),
    Column("bounce_score", Integer, nullable=False),
    Column("bounced_at", BigInteger, nullable=False),
    Column("previous", Text, nullable=True),
    Column("changed", BigInteger, nullable=True),
    sqlite_autoincrement=True,
)

#: Those whose issues are due at the same instants. `day`: 0 (Monday) to 6 for weekly, else -1.
cohorts = _table(
    "cohorts",
    Column("key", Key, primary_key=True),
    Column("frequency", Text, nullable=False),
    Column("day", Integer, nullable=False),
    Column("timezone", Text, nullable=False),
    UniqueConstraint("frequency", "day", "timezone"),
)

#: What a subscriber wants, how often: keys of selections in the subscriber's order, joined by commas. `covered` (UTC seconds)
#: and `arrival` say how far the issues so far have come; `since` is when the subscription was entered.
subscriptions = _table(
    "subscriptions",
    Column("key", Key, primary_key=True),
    Column("subscriber", Key, ForeignKey("subscribers.key"), nullable=False),
    Column("frequency", Text, nullable=False),
    Column("cohort", Key, ForeignKey("cohorts.key"), nullable=False),
    Column("selections", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("covered", BigInteger, nullable=True),
    Column("arrival", BigInteger, nullable=True),
    UniqueConstraint("subscriber", "frequency"),
    Index("ix_subscriptions_cohort", "cohort", "key"),
)

#: Sign-ups that wait for their confirmation. `network`, `mailbox_hash`, and `counted` for the mailbox as limits count it, are
#: salted hashes; `wanted` is JSON.
requests = _table(
    "requests",
    Column("token_hash", Text, primary_key=True),
    *_required(Text, "mailbox_hash", "network"),
    *_required(BigInteger, "created", "expires"),
    Column("used", BigInteger, nullable=True),
    Column("wanted", Text, nullable=False),
    Column("counted", Text, nullable=True),
    Index("ix_requests_counted", "counted", "created"),
    Index("ix_requests_mailbox", "mailbox_hash", "created"),
    Index("ix_requests_network", "network", "created"),
    Index("ix_requests_created", "created"),
)

#: Addresses that nothing may be sent to, by salted hash: survives the erasure of the subscriber, and every import.
suppressions = _table(
    "suppressions",
    Column("mailbox_hash", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
)

#: Single messages (confirmations, receipts), whole, until a transport has taken them.
outbox = _table(
    "outbox",
    Column("key", Key, primary_key=True),
    *_required(Text, "recipient", "message_id", "message", "status"),
    Column("attempts", Integer, nullable=False),
    *_required(BigInteger, "next_at", "created"),
    Column("reply", Text, nullable=False),
    sqlite_autoincrement=True,
)

#: Which cohort was planned for which instant: a pair is planned once, whatever the clock does. `issue` is NULL where nothing
#: was new.
plans = _table(
    "plans",
    Column("cohort", Key, ForeignKey("cohorts.key"), primary_key=True, autoincrement=False),
    Column("due", BigInteger, primary_key=True, autoincrement=False),
    Column("issue", Key, nullable=True),
    Column("planned_at", BigInteger, nullable=False),
)

#: `id` is what its address ends in. `status`: open | paused | cancelled | done. `listed`: shown under /digests/.
issues = _table(
    "issues",
    Column("key", Key, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("frequency", Text, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("planned_at", BigInteger, nullable=False),
    *_required(Text, "status", "reason"),
    *_required(Integer, "listed", "articles"),
    UniqueConstraint("frequency", "due"),
    Index("ix_issues_status", "status"),
    sqlite_autoincrement=True,
)

#: The articles of an issue as they were when it was planned, editor's choice and newest first. `data`: model.IssueArticle.
issue_articles = _table(
    "issue_articles",
    Column("issue", Key, ForeignKey("issues.key"), primary_key=True, autoincrement=False),
    Column("rank", Integer, primary_key=True, autoincrement=False),
    *_required(Text, "article", "data"),
)

#: What each selection got in an issue, for each reach (subscriptions differ in how far they were covered): ranks and commas.
issue_sections = _table(
    "issue_sections",
    Column("issue", Key, ForeignKey("issues.key"), primary_key=True, autoincrement=False),
    Column("reach", Integer, primary_key=True, autoincrement=False),
    Column("selection", Key, ForeignKey("selections.key"), primary_key=True, autoincrement=False),
    Column("ranks", Text, nullable=False),
)

_OPEN = sa.text("status IN ('pending', 'retry', 'sending', 'uncertain')")
#: One issue to one subscriber. `status`: pending | sending | sent | retry | failed | uncertain | cancelled. `owner` is the
#: process that has the row in hand, until `lease` (UTC seconds); `selections` as in subscriptions, when the issue was planned.
deliveries = _table(
    "deliveries",
    Column("issue", Key, ForeignKey("issues.key"), primary_key=True, autoincrement=False),
    Column("subscriber", Key, primary_key=True, autoincrement=False),
    Column("reach", Integer, nullable=False),
    *_required(Text, "selections", "status"),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("owner", Text, nullable=False),
    *_required(BigInteger, "lease", "updated"),
    Column("reply", Text, nullable=False),
    Index("ix_deliveries_subscriber", "subscriber"),
    Index("ix_deliveries_open", "issue", "status", "next_at", sqlite_where=_OPEN),
    sqlite_with_rowid=False,
)

#: Rates of sending that outlive a restart: what is left (thousandths of a message) as of `at` (milliseconds).
buckets = _table("buckets", Column("name", Text, primary_key=True), *_required(BigInteger, "left", "at"))

#: What came back. `message` is the hash of the report, so that one read twice counts once. `kind`: hard | soft | complaint.
bounces = _table(
    "bounces",
    Column("message", Text, primary_key=True),
    *_required(Key, "subscriber", "issue"),
    *_required(Text, "kind", "status", "diagnostic"),
    Column("at", BigInteger, nullable=False),
    Index("ix_bounces_subscriber", "subscriber", "at"),
)

#: Requests of a feed on a day (as `date.toordinal` counts; 0 sums up all days, also those that were purged). `requests` are
#: all; of those, `unchanged` were answered 304, `refused` 429. `sent` in bytes. Nothing here tells one reader from another.
audience = _table(
    "audience",
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("path", Text, primary_key=True),
    Column("format", Text, primary_key=True),
    *_required(BigInteger, "requests", "unchanged", "refused", "sent"),
    sqlite_with_rowid=False,
)

#: The highest number of readers that an aggregator reported on a day. `feed` is its own name for the feed.
readers = _table(
    "readers",
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("path", Text, primary_key=True),
    Column("aggregator", Text, primary_key=True),
    Column("feed", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)


# -- push (WebSub) ---------------------------------------------------------

#: Verified subscriptions. `topic` is the rel=self address that was subscribed to; `wanted` is the digest of its feed as the hub
#: last saw it, `delivered` the one that the callback has. `due` (UTC seconds) is NULL where nothing is owed; `attempts` counts
#: for the digest that is wanted, `failures` in a row since `failing_since`. Callbacks and secrets go into no log.
hub_subscriptions = _table(
    "hub_subscriptions",
    Column("key", Key, primary_key=True),
    *_required(Text, "topic", "callback", "host", "secret"),
    *_required(BigInteger, "created", "expires"),
    *_required(Text, "delivered", "wanted"),
    Column("due", BigInteger, nullable=True),
    *_required(Integer, "attempts", "failures"),
    Column("failing_since", BigInteger, nullable=True),
    Column("problem", Text, nullable=False),
    Column("network", Text, nullable=True),
    UniqueConstraint("topic", "callback"),
    Index("ix_hub_subscriptions_host", "host"),
    Index("ix_hub_subscriptions_expires", "expires"),
    Index("ix_hub_subscriptions_due", "due"),
    sqlite_autoincrement=True,
)

#: What subscribers asked for, until it is verified. `asked` is the topic as they wrote it, `seen` the digest of the feed then.
#: `due` is NULL where verification has failed: such rows stay for a while and count against the limits. `network` is a salted
#: hash of the network that asked, for its share of them.
hub_requests = _table(
    "hub_requests",
    Column("key", Key, primary_key=True),
    *_required(Text, "mode", "topic", "asked", "callback", "host"),
    Column("lease", BigInteger, nullable=False),
    *_required(Text, "secret", "seen"),
    Column("created", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=True),
    Column("attempts", Integer, nullable=False),
    Column("problem", Text, nullable=False),
    Column("network", Text, nullable=True),
    Index("ix_hub_requests_host", "host"),
    Index("ix_hub_requests_due", "due"),
    sqlite_autoincrement=True,
)

#: What an external hub has been notified of: the digest of each feed.
hub_announced = _table(
    "hub_announced", Column("path", Text, primary_key=True), Column("digest", Text, nullable=False), sqlite_with_rowid=False
)


# -- console ---------------------------------------------------------------

#: Who is signed in at /operator/. `id` is a keyed hash of what the cookie holds, so the table opens no door.
operator_sessions = _table("operator_sessions", Column("id", Text, primary_key=True), *_required(BigInteger, "created", "seen"))

#: What was done at /operator/, and refused: `event` is a word, `details` what it was about. `network` is a /24 or a /48.
operator_log = _table(
    "operator_log",
    Column("key", Key, primary_key=True),
    Column("at", BigInteger, nullable=False),
    *_required(Text, "event", "details", "network"),
    Index("ix_operator_log_event", "event", "at"),
    sqlite_autoincrement=True,
)

#: The last rescans that changed something or failed. `report` is JSON, empty where `fault` says what went wrong.
rescans = _table(
    "rescans",
    Column("key", Key, primary_key=True),
    Column("at", BigInteger, nullable=False),
    *_required(Text, "report", "fault"),
    sqlite_autoincrement=True,
)


# -- figures ---------------------------------------------------------------

#: What all processes measured, added up: see counters.py, which alone reads them. `slot` tells the parts of a histogram apart.
measures = _table(
    "measures",
    Column("name", Text, primary_key=True),
    Column("label", Text, primary_key=True),
    Column("slot", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

#: Rows that are too many to be counted whenever a monitor asks: `subject` is a table, `part` an issue (0: all of it), `label` a
#: status. `at` (UTC seconds) is when the clock counted them, `took` (milliseconds) how long that was.
counted = _table(
    "counted",
    Column("subject", Text, primary_key=True),
    Column("part", Key, primary_key=True, autoincrement=False),
    Column("label", Text, primary_key=True),
    *_required(BigInteger, "number", "at", "took"),
    sqlite_with_rowid=False,
)


@sa.event.listens_for(metadata, "before_create")
def _make_postgresql_index_partial(_metadata: MetaData, connection: sa.Connection, **_options: Any) -> None:
    """Said with the index, `postgresql_where` would load SQLAlchemy's dialect of PostgreSQL in every process."""
    if connection.dialect.name == "postgresql":
        [index] = (index for index in deliveries.indexes if index.name == "ix_deliveries_open")
        index.dialect_options["postgresql"]["where"] = _OPEN
