"""/.well-known/security.txt (RFC 9116): there when it is set, in a static site, too."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import Client

from feeds.config.load import load_config
from feeds.config.models import Site
from feeds.errors import ConfigError
from feeds.web.security_txt import security_txt

PATH = "/.well-known/security.txt"
CONTACT = "mailto:security@example.org"


def test_there_is_none_unless_it_is_set(site: Any, make_client: Callable[[Any], Client]) -> None:
    site.rescan()
    assert make_client(site).get(PATH).status_code == 404


def test_it_names_the_contact_and_expires_within_a_year(site: Any, make_client: Callable[[Any], Client]) -> None:
    site.settle("site.yaml", security_contact=CONTACT, base_url="https://feeds.example", language="en")
    site.rescan()
    answered = make_client(site).get(PATH)
    assert answered.status_code == 200 and answered.content_type == "text/plain; charset=utf-8"
    fields = dict(line.split(": ", 1) for line in answered.text.splitlines())
    assert list(fields) == ["Contact", "Expires", "Preferred-Languages", "Canonical"]
    assert fields["Contact"] == CONTACT and fields["Canonical"] == f"https://feeds.example{PATH}"
    assert fields["Preferred-Languages"] == "en, zh"
    left = datetime.fromisoformat(fields["Expires"]) - datetime.now(UTC)
    assert timedelta(days=150) < left < timedelta(days=365)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)))
def test_at_any_time_it_expires_in_half_a_year_at_the_start_of_a_month(now: datetime) -> None:
    now = now.replace(tzinfo=UTC)
    text = security_txt(Site(security_contact=CONTACT), now.timestamp())
    expires = datetime.fromisoformat(text.partition("Expires: ")[2].partition("\n")[0])
    assert timedelta(days=180) <= expires - now <= timedelta(days=215) and expires.day == 1


@pytest.mark.parametrize(
    "wrong", ["security@example.org", "http://example.org/", "mailto:", "https://a b", "mailto:a@b\nExpires: x"]
)
def test_a_contact_that_is_none_is_refused_with_its_place(site: Any, wrong: str) -> None:
    site.settle("site.yaml", security_contact=wrong)
    with pytest.raises(ConfigError, match=r"site\.yaml"):
        load_config(site.environment)
