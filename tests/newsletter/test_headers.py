"""Header fields: which there are, how they are written, and that nothing can be smuggled into them."""

from __future__ import annotations

import email
import email.policy
import re
from email.header import decode_header, make_header
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.newsletter.messages import mime
from feeds.newsletter.messages.mime import HeaderError
from feeds.newsletter.messages.transactional import ConfirmationLinks, TransactionalComposer
from feeds.newsletter.subscribers.email_address import parse_address

from .composing import BASE, FOLDER, NOW, TOKENS, article, composer, config, content, read, recipient

TOKEN, LEAVE = TOKENS.preferences(7, 1, NOW), TOKENS.unsubscribe(7)
TRANSACTIONAL = TransactionalComposer(config(), [FOLDER])


def fields(data: bytes) -> dict[str, list[str]]:
    """Names in lower case -> values, unfolded, as they are in the message."""
    head = data.partition(b"\r\n\r\n")[0].decode("ascii")
    found: dict[str, list[str]] = {}
    for line in re.sub(r"\r\n(?=[ \t])", "", head).split("\r\n"):
        name, _, value = line.partition(": ")
        found.setdefault(name.lower(), []).append(value)
    return found


def message(reader: Any = None, **newsletter: Any) -> dict[str, list[str]]:
    return fields(composer(settings=config(**newsletter)).message(reader or recipient(), NOW).data)


def test_there_is_exactly_one_of_each_field() -> None:
    found = message(reply_to="editor@example.org")
    assert {name for name, values in found.items() if len(values) != 1} == set()
    assert set(found) == set(
        "date from to subject message-id mime-version content-type content-language reply-to list-id list-unsubscribe "
        "list-unsubscribe-post list-archive list-help list-owner list-post list-subscribe precedence auto-submitted "
        "x-auto-response-suppress feedback-id".split()
    )


def test_what_the_fields_say() -> None:
    found = {name: values[0] for name, values in message().items()}
    assert parsedate_to_datetime(found["date"]).timestamp() == NOW and found["date"].endswith(" +0000")
    assert found["to"] == "<reader@example.net>"
    assert str(make_header(decode_header(found["from"]))) == "Linux 中国 <digest@example.org>"
    assert re.fullmatch(r"=\?utf-8\?b\?\S+\?= <digest\.example\.org>", found["list-id"])
    assert found["list-unsubscribe"] == f"<{BASE}/unsubscribe/{LEAVE}>"
    assert found["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    assert found["list-help"] == f"<{BASE}/preferences/{TOKEN}>"
    assert found["list-archive"] == f"<{BASE}/digests/>" and found["list-subscribe"] == f"<{BASE}/subscribe>"
    assert found["list-owner"] == "<mailto:digest@example.org>" and found["list-post"] == "NO"
    assert (found["precedence"], found["auto-submitted"]) == ("bulk", "auto-generated")
    assert found["feedback-id"] == "weekly-2026-01-05:weekly:digest:exampleorg"
    assert found["content-language"] == "zh-CN" and message(recipient(language="en"))["content-language"] == ["en"]


def test_an_address_to_unsubscribe_by_mail_comes_second() -> None:
    found = message(unsubscribe_mailto="leave@example.org")["list-unsubscribe"][0]
    assert found == f"<{BASE}/unsubscribe/{LEAVE}>, <mailto:leave@example.org?subject=unsubscribe%20{LEAVE}>"


def test_settings_name_the_list_and_the_senders() -> None:
    found = message(
        **{"from": '"Smith, Joe" <news@example.org>'}, list_id="weekly.example.org", reply_to="Éditeur <reply@example.org>"
    )
    assert found["from"] == ['"Smith, Joe" <news@example.org>']
    assert found["list-id"][0].endswith("<weekly.example.org>")
    assert str(make_header(decode_header(found["reply-to"][0]))) == "Éditeur <reply@example.org>"


def test_the_message_id_is_the_same_however_often_the_message_is_made() -> None:
    one = composer()
    first, later = one.message(recipient(), NOW), composer().message(recipient(language="en", version=2), NOW + 9999)
    other = one.message(recipient(subscriber=8), NOW)
    assert first.message_id == later.message_id == fields(later.data)["message-id"][0] != other.message_id
    assert re.fullmatch(r"<weekly-2026-01-05\.7\.[0-9a-f]{12}@example\.org>", first.message_id)


def test_what_comes_back_says_whom_it_was_for() -> None:
    sender = composer().message(recipient(), NOW).sender
    token = re.fullmatch(r"digest\+(.+)@example\.org", sender)
    assert token and TOKENS.read_bounce(token[1]) == (3, 7)
    own = composer(settings=config(bounces={"address": "bounce@b.example.org"})).message(recipient(), NOW).sender
    assert own == f"bounce+{token[1]}@b.example.org"
    long = composer(settings=config(bounces={"address": f"{'b' * 60}@example.org"}))
    with pytest.raises(HeaderError, match="too long"):
        long.message(recipient(), NOW)


def test_a_domain_of_other_scripts_is_sent_in_a_labels() -> None:
    made = composer().message(recipient(address="reader+x@例子.中国"), NOW)
    assert made.recipient == "reader+x@xn--fsqu00a.xn--fiqs8s"
    assert fields(made.data)["to"] == ["<reader+x@xn--fsqu00a.xn--fiqs8s>"]
    assert "reader+x@例子.中国" in read(made.data).text  # a reader sees it as typed


@pytest.mark.parametrize(
    "address",
    (
        "用户@例子.中国",
        "a@b\r\nBcc: c@d",
        "a@example.org\n",
        "a b@example.org",
        "a@example.org>, <b@example.org",
        "a@@example.org",
        "@example.org",
        "a@",
        "a\x00@example.org",
        f"{'a' * 65}@example.org",
        "a@-example-.org",
        ".a@example.org",
    ),
)
def test_an_address_that_mail_cannot_be_sent_to_is_refused_without_naming_it(address: str) -> None:
    with pytest.raises(HeaderError) as caught:
        composer().message(recipient(address=address), NOW)
    assert address.partition("@")[0] not in str(caught.value) or len(address.partition("@")[0]) < 2


def test_a_site_whose_title_breaks_a_line_is_refused() -> None:
    with pytest.raises(HeaderError, match="List-Id"):
        composer(settings=config({"title": "News\r\nBcc: victim@example.org"}))


def test_a_long_title_makes_a_subject_of_short_words() -> None:
    one = composer(content([article(1, title="内核与系统更新" * 20)]))
    raw = one.message(recipient(), NOW).data
    lines = raw[raw.index(b"Subject:") : raw.index(b"Message-ID:")].split(b"\r\n")[:-1]
    assert len(lines) > 3 and all(len(line) <= 76 for line in lines)
    for line in lines:  # each word holds whole characters
        for word in re.findall(r"=\?utf-8\?b\?\S+\?=", line.decode()):
            assert len(word) <= 75
            ((octets, charset),) = decode_header(word)
            assert isinstance(octets, bytes) and octets.decode(charset or "") != ""
    assert read(raw).subject.startswith("每周文摘：内核与系统更新")


# -- the writing of fields -------------------------------------------------

line = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=200)


@given(value=line | st.sampled_from(("=?utf-8?q?x?=", "a =?b", 'quote " and \\', "x" * 2000, "word " * 300, "é" * 30 + " b")))
def test_free_text_comes_back_as_it_was(value: str) -> None:
    written = mime.text_field("Subject", value)
    assert written.isascii() and all(len(found) <= 76 for found in written.split(b"\r\n"))
    assert all(found[:1] == b" " and found.strip() for found in written.split(b"\r\n")[1:-1])
    found = email.message_from_bytes(written + b"\r\n", policy=email.policy.default)
    assert list(found.keys()) == ["Subject"]
    assert str(found["Subject"]).split() == value.split()


@given(name=line, local=st.from_regex(r"[a-z0-9]([a-z0-9.]{0,10}[a-z0-9])?", fullmatch=True))
def test_a_display_name_comes_back_as_it_was(name: str, local: str) -> None:
    if ".." in local:
        return
    quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    written = mime.mailbox_field("From", f"{quoted} <{local}@example.org>")
    found = email.message_from_bytes(written + b"\r\n", policy=email.policy.default)["From"].addresses
    assert [address.addr_spec for address in found] == [f"{local}@example.org"]
    # Python's reader of addresses keeps the blank between two encoded words, which RFC 2047, 6.2 takes away.
    ((display, _address),) = getaddresses([written.decode().partition(": ")[2].replace("\r\n", "")])
    assert str(make_header(decode_header(display))).split() == name.split()


@given(value=st.text(max_size=80), control=st.sampled_from("\r\n\x00\x1f\x7f\u2028\x85"), at=st.integers(0, 80))
def test_no_field_takes_a_control_character(value: str, control: str, at: int) -> None:
    broken = value[:at] + control + value[at:]
    for write in (mime.text_field, mime.token_field, mime.phrase):
        with pytest.raises(HeaderError):
            write("Subject", broken)
    with pytest.raises(HeaderError):
        mime.mailbox_field("From", f"{broken} <a@example.org>")


@given(address=st.text(max_size=60) | st.emails())
def test_an_envelope_address_is_one_word_of_ascii(address: str) -> None:
    try:
        found = mime.ascii_address(address)
    except HeaderError:
        return
    assert re.fullmatch(r"[!-;=?A-~]+@[A-Za-z0-9.-]+", found)
    assert found.partition("@")[0] == address.rpartition("@")[0]


@pytest.mark.parametrize("name", ("List-Unsubscribe", "List-Id", "Feedback-ID"))
def test_a_token_that_is_no_ascii_or_longer_than_a_line_is_refused(name: str) -> None:
    for value in ("<https://例子.example/>", "<https://example.org/" + "a" * 998 + ">"):
        with pytest.raises(HeaderError):
            mime.token_field(name, value)


def test_a_transactional_message_leaves_tokens_alone_and_encodes_what_is_text() -> None:
    title, token, other_token = "内核与系统更新" * 20, "a1b2c3d4" * 12, "b1c2d3e4" * 12
    links = ConfirmationLinks(token, other_token)
    one, other = (TransactionalComposer(config({"title": title}), [FOLDER]) for _again in range(2))
    made = one.confirmation(parse_address("a@example.org"), links, "zh-CN", NOW)
    assert made == other.confirmation(parse_address("a@example.org"), links, "zh-CN", NOW)
    assert f"List-Unsubscribe: <{BASE}/unsubscribe/{other_token}>\r\n".encode() in made.data
    assert max(map(len, made.data.partition(b"Subject:")[2].partition(b"List-")[0].split(b"\r\n"))) <= 78
    assert read(made.data).subject == f"请确认订阅：{title} 文摘"


@given(token=st.from_regex(r"[A-Za-z0-9_-]{24,150}", fullmatch=True), language=st.sampled_from(("zh-CN", "en")))
def test_a_token_of_any_length_stands_in_both_parts(token: str, language: str) -> None:
    links = ConfirmationLinks(token, token[::-1])
    found = read(TRANSACTIONAL.confirmation(parse_address("a@example.org"), links, language, NOW).data)
    assert f"{BASE}/confirm/{token}\n" in found.text and f'"{BASE}/confirm/{token}"' in found.html
    assert found.message["List-Unsubscribe"] == f"<{BASE}/unsubscribe/{token[::-1]}>"
