"""Conditional requests and content codings of RFC 9110. Pure: header values in, decisions out.

The one place that evaluates validators, for documents on the fast path and for everything that Flask answers.
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Iterable, Mapping
from datetime import UTC
from functools import lru_cache

ENCODINGS = ("br", "gzip", "identity")  # on equal quality the first one is chosen
#: What a page's bytes depend on besides its address.
VARY = "Accept-Encoding, Accept-Language, Cookie"
SUFFIX = {"identity": "", "gzip": ".gz", "br": ".br"}

_ETAG = re.compile(r'(W/)?"([^"]*)"')
#: Suffixes that intermediaries append when they compress (https://bz.apache.org/bugzilla/show_bug.cgi?id=39727).
_APPENDED = re.compile(r"(?:-gzip|;gzip|--gzip|-br|;br|-df)$")


def etag(digest: str, format: str, encoding: str) -> str:
    """Return a strong entity tag, different for each format and content coding (RFC 9110 section 8.8.3).

    >>> etag("abc123", "atom", "gzip")
    '"abc123.atom.gz"'
    """
    return f'"{digest}.{format}{SUFFIX[encoding]}"'


def etags(digest: str, format: str) -> tuple[str, ...]:
    """Return the entity tags of all codings, in the order of ENCODINGS."""
    return tuple(etag(digest, format, encoding) for encoding in ENCODINGS)


def decide(headers: Mapping[str, str], tags: Iterable[str], current: str, changed: int) -> int:
    """Return 200, 304 or 412, in the order of RFC 9110 section 13.2.2, for GET and HEAD.

    `headers` as in a WSGI environ. `tags` are the entity tags of all codings of the representation: each stands for the same
    content, so a client that kept one is up to date. `current` is the one that a 200 would carry, `changed` its Last-Modified
    in UTC seconds.
    """
    match = headers.get("HTTP_IF_MATCH")
    if match is not None:
        if not _matches(match, tags, weakly=False):
            return 412
    elif (unmodified := _date(headers.get("HTTP_IF_UNMODIFIED_SINCE"))) is not None and changed > unmodified:
        return 412
    none_match = headers.get("HTTP_IF_NONE_MATCH")
    if none_match is not None:
        return 304 if none_match == current or _matches(none_match, tags, weakly=True) else 200
    since = _date(headers.get("HTTP_IF_MODIFIED_SINCE"))
    return 304 if since is not None and changed <= since else 200


def _matches(header: str, tags: Iterable[str], *, weakly: bool) -> bool:
    """Compare entity tags; weakly, a suffix that an intermediary appended does not count."""
    if header.strip() == "*":
        return True
    ours = {tag.strip('"') for tag in tags}
    if weakly:
        return any(_APPENDED.sub("", opaque) in ours for _weak, opaque in _ETAG.findall(header))
    return any(not weak and opaque in ours for weak, opaque in _ETAG.findall(header))


def _date(value: str | None) -> int | None:
    """Parse an HTTP-date to UTC seconds; None for anything else, which is ignored (RFC 9110 section 13.1.3)."""
    if not value:
        return None
    try:
        when = email.utils.parsedate_to_datetime(value)
        return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


def http_date(seconds: int) -> str:
    """Return UTC seconds as an HTTP-date.

    >>> http_date(0)
    'Thu, 01 Jan 1970 00:00:00 GMT'
    """
    return email.utils.formatdate(seconds, usegmt=True)


#: Honest values of Accept-Encoding are shorter; others are not kept in memory.
_MAX_REMEMBERED = 200


def negotiate_encoding(header: str | None) -> str:
    """Return `choose_encoding(header)`, remembered for headers of a usual length."""
    return _remembered(header) if header is None or len(header) <= _MAX_REMEMBERED else choose_encoding(header)


def choose_encoding(header: str | None) -> str:
    """Return the content coding with the highest quality value (section 12.5.3), identity where none is acceptable.

    >>> choose_encoding("gzip;q=0.8, br;q=0.5"), choose_encoding("deflate")
    ('gzip', 'identity')
    """
    if not header:
        return "identity"
    qualities: dict[str, float] = {}
    for part in header.split(","):
        coding, _, parameters = part.partition(";")
        weight = 1.0
        for parameter in parameters.split(";"):
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "q":
                try:
                    weight = min(max(float(value.strip()), 0.0), 1.0)
                except ValueError:
                    weight = 0.0
                break
        qualities[coding.strip().lower()] = weight
    others = qualities.get("*")
    best, chosen = 0.0, "identity"
    for encoding in ENCODINGS:
        quality = qualities.get(encoding, qualities.get("x-" + encoding))
        if quality is None:
            # Identity is acceptable unless it is excluded; a coding that is not listed is not, unless "*" is.
            quality = (others if others is not None else 0.001) if encoding == "identity" else (others or 0.0)
        if quality > best:
            best, chosen = quality, encoding
    return chosen


_remembered = lru_cache(maxsize=512)(choose_encoding)
