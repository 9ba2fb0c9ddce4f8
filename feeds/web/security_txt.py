"""Write /.well-known/security.txt (RFC 9116): whom to tell of a fault in the service."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from ..config.models import Config, Site


def security_txt(site: Site, now: float) -> str:
    """Return the file at `now` (UTC seconds), "" where `security_contact` is not set.

    It expires after six to seven months, at the start of a month: a service that runs always has a fresh one, and an export
    writes it once a month.

    >>> print(security_txt(Site(security_contact="mailto:security@example.org", language="en"), 0), end="")
    Contact: mailto:security@example.org
    Expires: 1970-08-01T00:00:00Z
    Preferred-Languages: en, zh
    Canonical: http://127.0.0.1:8000/.well-known/security.txt
    """
    if not site.security_contact:
        return ""
    today = datetime.fromtimestamp(now, UTC)
    years, month = divmod(today.month + 6, 12)
    languages = "zh, en" if site.language.lower().startswith("zh") else "en, zh"
    return (
        f"Contact: {site.security_contact}\n"
        f"Expires: {today.year + years}-{month + 1:02}-01T00:00:00Z\n"
        f"Preferred-Languages: {languages}\n"
        f"Canonical: {site.base_url}/.well-known/security.txt\n"
    )


def current_security_txt(config: Config) -> str:
    """Return the file as it is now, for the service and for a static site; "" for none."""
    return security_txt(config.site, time.time())
