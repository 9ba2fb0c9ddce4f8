"""Subscription bombing: what one address, one network and everybody together can cause, in any number of processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest
import sqlalchemy as sa
import structlog.testing
from hypothesis import given
from hypothesis import strategies as st

from feeds.database import tables
from feeds.newsletter import NewsletterContext
from feeds.newsletter.subscribers import signup
from feeds.newsletter.subscribers.preferences import WishError
from feeds.newsletter.subscribers.signup import SignupForm
from feeds.runtime import Runtime
from feeds.tokens import Tokens
from tests import forking

from .club import DAY, NOW, Club


@pytest.fixture
def club(site: Any) -> Club:
    return Club(site)


def test_an_address_gets_one_confirmation_a_day_however_it_is_written(club: Club) -> None:
    for address in ("reader@example.org", "Reader@Example.org", " READER@example.org "):
        club.sign_up(address)
    assert len(club.letters()) == 1
    club.sign_up(now=NOW + DAY - 1)
    assert len(club.letters()) == 1
    club.sign_up(now=NOW + DAY)
    assert len(club.letters()) == 2


def test_an_address_gets_three_confirmations_until_it_confirms(club: Club) -> None:
    for day in range(5):
        club.sign_up(now=NOW + day * DAY)
    assert len(club.letters()) == 3
    assert signup.confirm(club.context, club.token(), NOW + 5 * DAY - 100) is not None
    for day in range(6, 12):
        club.sign_up(now=NOW + day * DAY)
    assert len(club.letters()) == 3 + 1 + 3, "a receipt, and room for three more"


def test_a_network_has_its_own_limit_and_others_are_not_held_up(club: Club) -> None:
    club.settle(signup={"per_network_an_hour": 4})
    for number in range(10):
        club.sign_up(f"a{number}@example.org", ip=f"192.0.2.{number}")
    assert len(club.letters()) == 4
    club.sign_up("b@example.org", ip="198.51.100.1")
    club.sign_up("c@example.org", ip="2001:db8:1:2::3")
    assert len(club.letters()) == 6
    club.sign_up("d@example.org", ip="192.0.2.99", now=NOW + 3600)
    assert len(club.letters()) == 7


def test_where_all_networks_together_have_reached_their_limit_each_still_has_its_share(club: Club) -> None:
    club.settle(signup={"per_minute": 6})
    for number in range(10):
        club.sign_up(f"a{number}@example.org", ip="198.51.100.1")
    assert len(club.letters()) == 6, "one network alone may use it all"
    for number in range(100):
        club.sign_up(f"b{number}@example.org", ip=f"10.{number}.0.1")
    assert len(club.letters()) == 106, "a network that has had nothing is never refused its first"
    for number in range(100):
        club.sign_up(f"c{number}@example.org", ip=f"10.{number}.0.1")
    assert len(club.letters()) == 106
    club.sign_up("d@example.org", ip="198.51.100.1", now=NOW + 60)
    assert len(club.letters()) == 107


@pytest.mark.parametrize(
    ("first", "others"),
    [
        ("reader@example.org", ["reader+1@example.org", "Reader+a.b@Example.org", "reader++@example.org"]),
        ("reader+news@example.org", ["reader@example.org", "reader+@example.org"]),
        ("a.reader@gmail.com", ["areader@gmail.com", "A.R.eader+x@gmail.com", "are.ader@googlemail.com"]),
        ("areader@googlemail.com", ["a.reader@gmail.com", "areader+1+2@gmail.com"]),
    ],
)
def test_one_mailbox_counts_once_however_its_address_is_varied(club: Club, first: str, others: list[str]) -> None:
    club.sign_up(first)
    for address in others:
        club.sign_up(address)
    assert len(club.letters()) == 1
    for number in range(3):
        club.sign_up(others[0], now=NOW + (number + 1) * DAY)
    assert len(club.letters()) == 3, "until it confirms"


def test_mailboxes_that_are_not_the_same_count_for_themselves(club: Club) -> None:
    for address in ("a.b@example.org", "ab@example.org", "+ab@example.org", "ab@gmail.com", "ab@mail.gmail.com"):
        club.sign_up(address)
    assert len(club.letters()) == 5


def test_a_stamp_is_good_for_one_sign_up_and_the_same_one_again_is_answered_as_before(club: Club) -> None:
    stamp = signup.make_stamp(club.context.tokens, "192.0.2.1", NOW)
    for _click in range(3):
        club.sign_up(stamp=stamp)
    assert len(club.letters()) == 1
    for number in range(3):
        with pytest.raises(WishError) as found:
            club.sign_up(f"other{number}@example.org", stamp=stamp, ip=f"10.{number}.0.1")
        assert found.value.field == "form"
    assert len(club.letters()) == 1
    assert signup.confirm(club.context, club.token(), NOW) is not None
    with pytest.raises(WishError):
        club.sign_up("late@example.org", stamp=stamp, now=NOW + DAY)


@given(ips=st.lists(st.ip_addresses(), min_size=2, max_size=2), age=st.integers(0, 10**6))
def test_a_stamp_is_of_the_network_that_it_was_made_for(ips: list[Any], age: int) -> None:
    tokens, (mine, other) = Tokens("secret"), map(str, ips)
    stamp = signup.make_stamp(tokens, mine, NOW)
    assert signup.stamp_age(tokens, stamp, mine, NOW + age) == age
    same = signup.network_prefix(mine) == signup.network_prefix(other)
    assert (signup.stamp_age(tokens, stamp, other, NOW) is not None) == same
    assert signup.make_stamp(tokens, mine, NOW) != stamp
    assert signup.stamp_age(Tokens("another"), stamp, mine, NOW) is None
    nonce, _dot, rest = stamp.partition(".")
    for forged in ("", ".", rest, nonce, f"{nonce[::-1]}x.{rest}", f"{nonce}.{rest}0", f".{rest}"):
        assert signup.stamp_age(tokens, forged, mine, NOW) is None


def test_a_limited_sign_up_is_silent_and_its_log_names_no_address(club: Club) -> None:
    with structlog.testing.capture_logs() as said:
        club.sign_up()
        club.sign_up()
    assert said == [{"event": "signup_held", "limit": "per_address_a_day", "log_level": "info"}]


def test_neither_addresses_nor_networks_are_kept_by_the_limits(club: Club) -> None:
    club.sign_up()
    ((mailbox_hash, network),) = club.rows(sa.select(tables.requests.c.mailbox_hash, tables.requests.c.network))
    assert mailbox_hash == club.site.runtime.tokens().salted("reader@example.org")
    assert network == club.site.runtime.tokens().salted("network:192.0.2.0/24")
    assert b"192.0.2" not in club.dump()


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", ""),
        ("unknown", ""),
        ("1.2.3.4, 5.6.7.8", ""),
    ],
)
def test_a_network_is_a_part_of_an_address(ip: str, network: str) -> None:
    assert signup.network_prefix(ip) == network


@given(st.text(max_size=50))
def test_any_text_in_place_of_an_address_is_borne(text: str) -> None:
    assert signup.network_prefix(text) == "" or "/" in signup.network_prefix(text)


# -- several processes -----------------------------------------------------

CHILD = """
import sys
from pathlib import Path
from feeds.config.environment import Environment
from feeds.newsletter import NewsletterContext
from feeds.newsletter.subscribers.signup import SignupForm, sign_up
from feeds.runtime import Runtime
runtime = Runtime(Environment.read(Path(sys.argv[1]), {}))
context, now = NewsletterContext.of(runtime, runtime.edition().config), int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    sign_up(context, SignupForm(f"{sys.argv[2]}{number}@example.org", ["tag=Linux"], "weekly", ip="192.0.2.1"), now)
    sign_up(context, SignupForm("victim@example.org", ["tag=Linux"], "weekly", ip=f"198.51.{number}.1"), now)
"""


def test_limits_hold_for_two_processes_together(club: Club) -> None:
    club.settle(signup={"per_network_an_hour": 15, "per_minute": 1000})
    command = [sys.executable, "-c", CHILD, str(club.site.config_dir)]
    children = [
        forking.Popen([*command, name, str(NOW)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for name in "ab"
    ]
    for child in children:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    assert [child.wait(60) for child in children] == [0, 0]
    recipients = [row[0] for row in club.rows(sa.select(tables.outbox.c.recipient))]
    assert recipients.count("victim@example.org") == 1
    assert len(recipients) == 15 + 1


def test_limits_hold_for_threads(club: Club) -> None:
    start = threading.Barrier(6)
    services = [Runtime(club.site.environment) for _ in range(6)]

    def work(runtime: Runtime) -> None:
        context = NewsletterContext.of(runtime, club.config)
        start.wait()
        for _ in range(5):
            signup.sign_up(context, SignupForm("reader@example.org", ["tag=Linux"], "weekly", ip="192.0.2.1"), NOW)

    threads = [threading.Thread(target=work, args=(runtime,)) for runtime in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(club.letters()) == 1
    for runtime in services:
        runtime.close()


# -- signed times and the proof of work ------------------------------------


def test_a_stamp_tells_its_age_and_cannot_be_made_by_others() -> None:
    tokens, others = Tokens("secret"), Tokens("other")
    stamp = tokens.timestamp("signup", NOW)
    assert tokens.timestamp_age("signup", stamp, NOW + 5) == 5
    assert others.timestamp_age("signup", stamp, NOW) is None and tokens.timestamp_age("login", stamp, NOW) is None
    for forged in ("", "x", stamp[:-1], stamp.replace(str(NOW), str(NOW - 10)), stamp + "0", "１" + stamp[1:]):
        assert tokens.timestamp_age("signup", forged, NOW) is None


def solve(stamp: str, address: str) -> str:
    return next(str(number) for number in range(10_000_000) if signup.is_proof_of_work(stamp, address, str(number)))


def test_a_proof_of_work_is_asked_for_where_the_operator_wants_it(club: Club) -> None:
    club.settle(signup={"proof_of_work": True})
    stamp = club.context.tokens.timestamp("signup", NOW)
    for proof in ("", "0", "-1", "x", "１", "9" * 5000):
        with pytest.raises(WishError) as found:
            club.sign_up(stamp=stamp, proof=proof)
        assert found.value.field == "proof"
    answer = solve(stamp, "reader@example.org")
    with pytest.raises(WishError):
        club.sign_up("other@example.org", stamp=stamp, proof=answer)
    club.sign_up(stamp=stamp, proof=answer)
    assert len(club.letters()) == 1
