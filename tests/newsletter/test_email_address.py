"""Addresses: as typed, compared, sent; nothing that could end a header or a command comes through."""

from __future__ import annotations

import email.policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.newsletter.subscribers.email_address import MAX_OCTETS, EmailAddressError, parse_address

ATEXT = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+/=?^_`{|}~-"
locals_ = st.lists(st.text(ATEXT, min_size=1, max_size=12), min_size=1, max_size=4).map(".".join)
labels = st.text("abcdefghijklmnopqrstuvwxyz0123456789例子中国é", min_size=1, max_size=10).filter(
    lambda label: not label.isdecimal()
)


@pytest.mark.parametrize(
    ("typed", "address", "mailbox", "envelope"),
    [
        ("reader@example.org", "reader@example.org", "reader@example.org", "reader@example.org"),
        ("  Reader@Example.ORG\n", "Reader@Example.ORG", "reader@example.org", "Reader@example.org"),
        ("a.b+news@example.org", "a.b+news@example.org", "a.b+news@example.org", "a.b+news@example.org"),
        ("o'neil@example.test", "o'neil@example.test", "o'neil@example.test", "o'neil@example.test"),
        ("a@例子.中国", "a@例子.中国", "a@xn--fsqu00a.xn--fiqs8s", "a@xn--fsqu00a.xn--fiqs8s"),
        ("a@xn--fsqu00a.xn--fiqs8s", "a@例子.中国", "a@xn--fsqu00a.xn--fiqs8s", "a@xn--fsqu00a.xn--fiqs8s"),
        ("a＠example。org", "a@example.org", "a@example.org", "a@example.org"),
    ],
)
def test_an_address_is_kept_as_typed_and_compared_normalised(typed: str, address: str, mailbox: str, envelope: str) -> None:
    found = parse_address(typed)
    assert (found.address, found.mailbox, found.envelope) == (address, mailbox, envelope)
    assert found.domain == envelope.rpartition("@")[2].lower()


@pytest.mark.parametrize(
    ("typed", "kind"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("reader", "syntax"),
        ("@example.org", "syntax"),
        ("reader@", "syntax"),
        ("reader@localhost", "syntax"),
        ("a b@example.org", "syntax"),
        ('"a b"@example.org', "syntax"),
        ("a@[192.0.2.1]", "syntax"),
        ("Ada <ada@example.org>", "syntax"),
        ("a@example.org, b@example.org", "syntax"),
        (".a@example.org", "syntax"),
        ("a..b@example.org", "syntax"),
        ("用户@例子.中国", "international"),
        ("a@" + "b" * 260, "length"),
        ("a" * 65 + "@example.org", "syntax"),
        ("a@example.org\r\nBcc: b@example.org", "syntax"),
        ("a\n@example.org", "syntax"),
        ("a@exam\u202eple.org", "syntax"),
        ("a\x00@example.org", "syntax"),
    ],
)
def test_what_mail_cannot_be_sent_to_is_refused_with_its_kind(typed: str, kind: str) -> None:
    with pytest.raises(EmailAddressError) as found:
        parse_address(typed)
    assert found.value.kind == kind
    assert str(found.value).isprintable()


@given(local=locals_, domain=st.lists(labels, min_size=1, max_size=3).map(".".join))
def test_what_is_accepted_is_the_same_again(local: str, domain: str) -> None:
    try:
        found = parse_address(f"{local}@{domain}.org")
    except EmailAddressError:
        return
    assert found.envelope.isascii() and len(found.envelope) <= MAX_OCTETS
    assert parse_address(found.envelope).mailbox == found.mailbox == parse_address(found.address).mailbox
    assert parse_address(found.address) == found
    assert found.address.startswith(local + "@")


@given(
    st.text(max_size=60).map(lambda text: text.replace("Q", "@").replace("W", ".org"))
    | st.text('a@.\r\n\0 <>,;:"\\é', max_size=30)
)
def test_nothing_gets_into_a_header_by_an_address(text: str) -> None:
    try:
        found = parse_address(text)
    except EmailAddressError:
        return
    for value in (found.envelope, found.address, found.mailbox):
        assert not set(value) & set('\r\n\0 <>,;:"\\()[]'), repr(value)
    message = EmailMessage(policy=email.policy.SMTP)
    message["To"] = found.envelope
    assert message.as_bytes() == f"To: {found.envelope}\r\n\r\n".encode() or len(found.envelope) > 70
