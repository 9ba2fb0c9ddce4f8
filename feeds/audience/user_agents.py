"""Parse how many readers an aggregator fetches for, as its User-Agent reports: `Feedly/1.0 (...; 12 subscribers; ...)`. Pure.

There is no standard, but a custom that Google Reader began (https://support.feedpress.com/article/110-how-to-be-a-good-feed-fetcher):
name, number and, with luck, the aggregator's own number of the feed. Only names in this module are stored, so that nobody can
write words of their own into the tables; all others are `OTHER`. The User-Agents of tests/audience/cases are real.
"""

from __future__ import annotations

import re
from typing import NamedTuple

OTHER = "other"
#: Higher numbers are not believed.
MAX_READERS = 10_000_000
MAX_LENGTH = 500

#: What a User-Agent holds -> the product's name. The first to appear counts: Feedly's ends with "like FeedFetcher-Google".
_PRODUCTS = {
    "aolreader": "AOL Reader", "bazqux": "BazQux", "bloglines": "Bloglines",
    "bloglovin": "Bloglovin", "commafeed": "CommaFeed", "digg feed fetcher": "Digg Reader",
    "dreamwidth": "Dreamwidth", "fastladder": "Fastladder", "feed wrangler": "Feed Wrangler",
    "feedbin": "Feedbin", "feedfetcher-google": "Google", "feedhq": "FeedHQ",
    "feedly": "Feedly", "feedspot": "Feedspot", "feedsubs": "Feedsubs",
    "g2reader": "G2Reader", "hanrss": "HanRSS", "inoreader": "Inoreader",
    "kouio": "kouio", "livedoor feedfetcher": "livedoor Reader", "livejournal": "LiveJournal",
    "netvibes": "Netvibes", "newsblur": "NewsBlur", "newsgatoronline": "NewsGator",
    "newsify": "Newsify", "overcast": "Overcast", "playerfm": "Player FM",
    "postrank": "PostRank", "theoldreader": "The Old Reader", "xianguo": "鲜果",
    "zhuaxia": "抓虾",
}  # fmt: skip
_PRODUCT = re.compile("|".join(re.escape(token) for token in _PRODUCTS), re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\d.,])(\d{1,3}(?:,\d{3})+|\d{1,9})\s+(?:subscriber|reader)(?:s|\(s\))?(?![a-z])", re.IGNORECASE)
_FEED = re.compile(r"feed-?id[=:]\s*([A-Za-z0-9]{1,40})(?![A-Za-z0-9])|/site/(\d{1,20})/", re.IGNORECASE)


class ReaderReport(NamedTuple):
    """A number of readers. `feed` is the aggregator's own name for the feed; "" where it gives none."""

    aggregator: str
    feed: str
    readers: int


def may_report_readers(agent: str) -> bool:
    """Return whether a User-Agent is worth parsing: quick, for every request."""
    return "ubscriber" in agent or " readers" in agent


def parse_reader_report(agent: str) -> ReaderReport | None:
    """Return the readers that a User-Agent reports, None where it reports no number, or one that cannot be.

    >>> parse_reader_report("Feedly/1.0 (+http://www.feedly.com/fetcher.html; 12 subscribers; like FeedFetcher-Google)")
    ReaderReport(aggregator='Feedly', feed='', readers=12)
    """
    agent = agent[:MAX_LENGTH]
    number = _NUMBER.search(agent)
    readers = int(number[1].replace(",", "")) if number else 0
    if not 0 < readers <= MAX_READERS:
        return None
    product = _PRODUCT.search(agent)
    if product is None:
        return ReaderReport(OTHER, "", readers)
    feed = _FEED.search(agent)
    return ReaderReport(_PRODUCTS[product[0].lower()], (feed[1] or feed[2]) if feed else "", readers)
