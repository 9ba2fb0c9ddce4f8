"""Show past issues to everyone: the archive's pages and its feed. Nothing in them is about any reader."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from ... import urls
from ...config.models import Config
from ...database.tables import issues
from ...feed_formats import Content, Entry, load_formats
from ...model import Issue, IssueArticle, IssueContent
from ...syndication.feed_states import program_version
from ...syndication.pages import adjacent_pages
from . import planning
from .sections import title_and_page

#: Issues on a page of the archive.
PAGE_SIZE = 50
_TITLES = {
    "daily": ("每日文摘", "Daily digest"),
    "weekly": ("每周文摘", "Weekly digest"),
    "monthly": ("每月文摘", "Monthly digest"),
}


@dataclass(frozen=True, slots=True)
class ArchivedIssue:
    """An issue in the list: `titles` of its first articles; `date` in the time zone of those whom it was made for."""

    issue: Issue
    date: datetime
    titles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ArchivePage:
    """Issues, and the numbers of the pages beside this one."""

    rows: list[ArchivedIssue]
    number: int | None
    older: int | None
    newer: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """Articles under one heading; without a heading where nothing was chosen."""

    heading: str
    link: str
    articles: tuple[IssueArticle, ...]


@dataclass(frozen=True, slots=True)
class IssuePage:
    """One issue of the archive, as a whole or what some selections take of it."""

    issue: Issue
    date: datetime
    parts: tuple[Part, ...]


def archive_page(connection: sa.Connection, number: int | None = None) -> ArchivePage | None:
    """Return a page of the archive, newest first; numbered ones are older, as with articles. None where it has none."""
    query = sa.select(sa.func.count()).select_from(issues).where(*planning.LISTED)
    count = int(connection.execute(query).scalar() or 0)
    last = urls.older_pages(count, PAGE_SIZE)
    if number is not None and number > last:
        return None
    skip, limit = (0, count - last * PAGE_SIZE) if number is None else (count - number * PAGE_SIZE, PAGE_SIZE)
    rows = []
    for issue in planning.listed_issues(connection, limit, skip):
        first = planning.load_articles(connection, issue.key, 3)
        rows.append(ArchivedIssue(issue, _date(issue), tuple(article.title for article in first)))
    return ArchivePage(rows, number, *adjacent_pages(number, last))


def issue_page(
    connection: sa.Connection, config: Config, id: str, *, reach: int, keys: Sequence[int], language: str
) -> IssuePage | None:
    """Return an issue with all that was new, or what some selections take of it, as a message links to it."""
    issue = planning.find_issue(connection, id)
    if issue is None or issue.status == "cancelled":
        return None
    content = planning.load_content(connection, issue.key, keys)
    found = [(key, content.sections[reach, key]) for key in dict.fromkeys(keys) if (reach, key) in content.sections]
    parts = tuple(make_part(config, content, key, ranks, language) for key, ranks in found)
    return IssuePage(issue, _date(issue), parts or (Part("", "", content.articles),))


def make_part(config: Config, content: IssueContent, selection: int, ranks: Sequence[int], language: str) -> Part:
    """Return articles of an issue under the title of a selection, which links to its page if it has one."""
    title, path, own = title_and_page(config, content.queries[selection], language)
    return Part(title, urls.url("", path, query=own) if path else "", tuple(content.articles[rank] for rank in ranks))


def _date(issue: Issue) -> datetime:
    return datetime.fromtimestamp(issue.due, ZoneInfo(issue.timezone))


def archive_feed(connection: sa.Connection, config: Config) -> bytes:
    """Return `/digests.atom`: an entry for each of the newest issues, with links to its articles."""
    found = planning.listed_issues(connection, 20)
    site = config.site
    return load_formats()["atom"].render(
        Content(
            id=urls.feed_id(site.id_authority, "digests"),
            title=f"{'往期文摘' if config.chinese else 'Past digests'} · {site.title}",
            subtitle=f"{site.title} 的邮件文摘" if config.chinese else f"Digests of {site.title}",
            updated=datetime.fromtimestamp(max((issue.planned_at for issue in found), default=0), UTC),
            language=site.language,
            author=site.title,
            base=site.base_url,
            page=f"{site.base_url}/digests/",
            address=f"{site.base_url}/digests.atom",
            hub="",  # issues are pushed by mail
            icon=site.icon or f"{site.base_url}/static/icon.png",
            logo=site.logo,
            rights=site.rights,
            ttl_minutes=config.feeds.ttl_minutes,
            version=program_version(),
            entries=[_entry(connection, config, issue) for issue in found],
        )
    )


def _entry(connection: sa.Connection, config: Config, issue: Issue) -> Entry:
    articles = planning.load_articles(connection, issue.key)
    links = "".join(f'<li><a href="{html.escape(one.url)}">{html.escape(one.title)}</a></li>\n' for one in articles)
    when = datetime.fromtimestamp(issue.planned_at, UTC)
    return Entry(
        id=urls.feed_id(config.site.id_authority, f"digests/{issue.id}"),
        url=f"{config.site.base_url}/digests/{issue.id}",
        title=f"{_TITLES[issue.frequency][not config.chinese]} · {_date(issue):%Y-%m-%d}",
        summary="",
        content=f"<ul>\n{links}</ul>",
        published=when,
        updated=when,
        authors=(),
        translators=(),
        credits=(),
        categories=(),
        via="",
        enclosure=None,
        comments=0,
    )
