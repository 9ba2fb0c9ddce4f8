"""The SMTP client: addresses of servers, TLS, log-in, pipelining, replies in any pieces."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.config.environment import Environment
from feeds.config.models import Config
from feeds.errors import TransportError
from feeds.model import Message, Outcome
from feeds.newsletter.transports import choose_transport, smtp_session
from feeds.newsletter.transports.base import send_now
from feeds.newsletter.transports.smtp import EnvelopeError, Smtp, encode_body, encode_envelope

from .sending import log_in, serving, smtp
from .servers import free_port, make_certificate

PASSWORD = "s3cret/ä"
QUOTED = "s3cret%2F%C3%A4"


def message(number: int = 1, data: bytes = b"Subject: x\r\n\r\ntext\r\n", **fields: str) -> Message:
    fields = {"sender": f"digest+1.{number}@example.org", "recipient": f"r{number}@example.org", **fields}
    return Message(message_id=f"<1.{number}@example.org>", data=b"Message-ID: <1.%d@example.org>\r\n" % number + data, **fields)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(make_certificate())
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


# -- replies ---------------------------------------------------------------

_text = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f\x85"), max_size=40)
_reply = st.tuples(st.integers(200, 599), st.lists(_text, min_size=1, max_size=4))


def wire(code: int, lines: list[str], end: bytes = b"\r\n") -> bytes:
    marks = ["-"] * (len(lines) - 1) + [" "]
    return b"".join(f"{code}{mark}{line}".encode() + end for mark, line in zip(marks, lines, strict=True))


@given(st.lists(_reply, max_size=6), st.lists(st.integers(0, 400), max_size=12), st.sampled_from([b"\r\n", b"\n"]))
def test_replies_are_the_same_in_whatever_pieces_they_come(said: list[Any], cuts: list[int], end: bytes) -> None:
    stream = b"".join(wire(code, lines, end) for code, lines in said)
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    parser = smtp_session.ReplyParser()
    found = [reply for a, b in pairwise(places) for reply in parser.feed(stream[a:b])]
    assert [(reply.code, list(reply.lines)) for reply in found] == said
    assert parser.is_empty
    assert all("\n" not in reply.text and reply.text.startswith(str(reply.code)) for reply in found)


@given(st.binary(max_size=200))
def test_any_bytes_are_replies_or_a_reply_error(data: bytes) -> None:
    parser = smtp_session.ReplyParser()
    with contextlib.suppress(smtp_session.ReplyError):
        for reply in parser.feed(data):
            assert reply.text.isprintable()


@pytest.mark.parametrize(
    "data",
    [b"HTTP/1.1 400 Bad\r\n", b"250-a\r\n251 b\r\n", b"99 x\r\n", b"2500 x\r\n", b"x" * 9000, b"250-a\r\n" * 300, b"250_x\r\n"],
)
def test_what_is_no_smtp_is_refused(data: bytes) -> None:
    with pytest.raises(smtp_session.ReplyError):
        smtp_session.ReplyParser().feed(data)


def test_a_reply_is_shown_in_one_printable_line() -> None:
    [reply] = smtp_session.ReplyParser().feed(b"550-5.1.1 no\x1b[31m\r\n550 user \xff\r\n")
    assert reply.text == "550 5.1.1 no [31m user \ufffd" and reply.code == 550 and not reply.is_transient


# -- envelopes and bodies --------------------------------------------------


def test_the_envelope_names_size_and_asks_for_reports_only_where_that_is_offered() -> None:
    assert encode_envelope(message(), {}) == (b"MAIL FROM:<digest+1.1@example.org>\r\n", b"RCPT TO:<r1@example.org>\r\n")
    size = len(message().data)
    mail, rcpt = encode_envelope(message(recipient="a+b=c@example.org"), {"DSN": "", "SIZE": "1000"})
    assert mail == f"MAIL FROM:<digest+1.1@example.org> SIZE={size} RET=HDRS ENVID=1.1\r\n".encode()
    assert rcpt == b"RCPT TO:<a+b=c@example.org> NOTIFY=FAILURE ORCPT=rfc822;a+2Bb+3Dc@example.org\r\n"


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("用户@example.org", "5.6.7"),
        ("a b@example.org", "5.1.3"),
        ("a@example.org>\r\nRCPT TO:<b@example.org", "5.1.3"),
        ("a@example.org\r\nDATA", "5.1.3"),
        ("", "5.1.3"),
        ("x" * 300 + "@example.org", "5.1.3"),
    ],
)
def test_an_address_that_smtp_cannot_carry_fails_without_touching_the_line(address: str, status: str) -> None:
    with pytest.raises(EnvelopeError, match=status):
        encode_envelope(message(recipient=address), {})


def test_a_message_above_the_servers_limit_fails_before_it_is_sent() -> None:
    encode_envelope(message(), {"SIZE": "0"})
    with pytest.raises(EnvelopeError, match=r"5\.3\.4"):
        encode_envelope(message(), {"SIZE": "20"})


def test_dots_are_stuffed_and_the_end_is_added() -> None:
    assert encode_body(b".a\r\n.\r\n..b\r\nc.") == b"..a\r\n..\r\n...b\r\nc.\r\n.\r\n"
    assert encode_body(b"a\r\n") == b"a\r\n.\r\n"


@pytest.mark.parametrize("data", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\r\nb", b"a\n\r\n", b"a\r\n.\n.\r\n", b"a\r"])
def test_bare_line_ends_never_leave(data: bytes) -> None:
    with pytest.raises(EnvelopeError, match=r"5\.6\.0"):
        encode_body(data)


@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\r", b"").replace(b"\n", b"")), max_size=8))
def test_a_server_reads_the_lines_that_were_sent_and_no_command(lines: list[bytes]) -> None:
    data = b"".join(line + b"\r\n" for line in lines)
    sent = encode_body(data).split(b"\r\n")
    end = sent.index(b".")
    assert sent[end:] == [b".", b""]
    assert [line.removeprefix(b".") for line in sent[:end]] == lines


def test_bad_messages_fail_alone() -> None:
    with serving() as server:
        bad = [
            message(2, b"Subject: x\r\n\r\na\n.\r\n"),
            message(3, recipient="用户@example.org"),
            message(4, recipient="a\r\nb@c"),
        ]
        outcomes = send_now(smtp(server.url), [message(1), *bad, message(5)])
    assert [outcome.status for outcome in outcomes] == ["sent", "failed", "failed", "failed", "sent"]
    assert len(server.ids) == 2


# -- addresses of servers --------------------------------------------------


def test_addresses_of_servers_are_read_with_their_options() -> None:
    one, two, three = smtp_session.parse_servers(
        f"smtp://me%40example.org:{QUOTED}@mail.example.org  smtps://b.example.org?ehlo=a.example.net&rate=2.5&timeout=9 "
        "smtp://[::1]?starttls=0&verify=0"
    )
    assert (one.host, one.port, one.user, one.password, one.starttls) == (
        "mail.example.org",
        587,
        "me@example.org",
        PASSWORD,
        True,
    )
    assert (two.port, two.implicit_tls, two.ehlo, two.rate, two.timeout) == (465, True, "a.example.net", 2.5, 9)
    assert (three.host, three.port, three.starttls, three.verify) == ("::1", 25, False, False)
    assert PASSWORD not in repr(one)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "empty"),
        ("mail.example.org", "expected smtp://"),
        ("http://mail.example.org", "expected smtp://"),
        ("smtp://", "expected smtp://"),
        ("smtp://u:p/w@mail.example.org", "%2F"),
        ("smtp://u:p@h:port", "%2F"),
        ("smtp://mail.example.org?tls=1", "an option that there is not"),
        ("smtp://mail.example.org?starttls=no", "starttls= expects 0 or 1"),
        ("smtp://mail.example.org?rate=fast", "rate= expects a number"),
        ("smtp://mail.example.org?rate=-1", "rate= expects a number"),
        ("smtp://mail.example.org?ehlo=a%0D%0Ab", "ehlo="),
        ("smtp://mail.example.org?verify=0", "verify=0 is for servers on this machine"),
        ("smtp://user:hidden@mail.example.org?starttls=0", "a password needs TLS"),
        ("smtp://a smtp://user:hidden@b?x=1", "address 2"),
    ],
)
def test_a_wrong_address_is_named_without_its_password(url: str, reason: str) -> None:
    with pytest.raises(TransportError, match=reason.replace("?", r"\?")) as caught:
        smtp_session.parse_servers(url)
    assert "hidden" not in str(caught.value) and "\n" not in str(caught.value)


def test_the_transport_is_the_one_that_the_configuration_names(tmp_path: Path) -> None:
    config = Config.model_validate({"newsletter": {"transport": "smtp", "connections": 7, "messages_per_connection": 9}})
    bare = Environment.read(tmp_path / "config", {})
    with pytest.raises(TransportError, match="FEEDS_SMTP_URL is not set"):
        choose_transport(config, bare)
    chosen = choose_transport(config, Environment.read(tmp_path / "config", {"FEEDS_SMTP_URL": "smtps://mail.example.org"}))
    assert isinstance(chosen, Smtp) and (chosen.connections, chosen.per_connection) == (7, 9)
    assert "Maildir" in repr(choose_transport(Config(), bare))


# -- TLS and log-in --------------------------------------------------------


def problem(url: str) -> str:
    """What `check` says against a server; `send_now` says the same and sends nothing."""
    with pytest.raises(TransportError) as caught:
        asyncio.run(smtp(url).check())
    [outcome] = send_now(smtp(url), [message()])
    assert outcome.status == "retry" and outcome.reply == str(caught.value)
    assert "\n" not in outcome.reply and "s3cret" not in outcome.reply
    return outcome.reply


def test_starttls_is_required_and_its_absence_is_said_clearly() -> None:
    with serving() as server:
        assert "offers no STARTTLS" in problem(f"smtp://127.0.0.1:{server.port}") and not server.taken


def test_mail_goes_through_starttls_with_a_certificate_that_is_verified(certificate: Path, tls: ssl.SSLContext) -> None:
    with serving(options={"tls_context": tls, "require_starttls": True}) as server:
        url = f"smtp://localhost:{server.port}?cafile={certificate}"
        outcomes = send_now(smtp(url), [message(number) for number in range(1, 6)])
        assert asyncio.run(smtp(url).check()) == f"localhost:{server.port}: TLS, no log-in"
    assert [outcome.status for outcome in outcomes] == ["sent"] * 5 and all(taken.tls for taken in server.taken)


def test_mail_goes_through_tls_from_the_start(certificate: Path, tls: ssl.SSLContext) -> None:
    with serving(options={"ssl_context": tls}) as server:
        [outcome] = send_now(smtp(f"smtps://127.0.0.1:{server.port}?cafile={certificate}"), [message()])
        assert outcome.status == "sent"
        assert "certificate is not accepted" in problem(f"smtps://127.0.0.1:{server.port}")
        [outcome] = send_now(smtp(f"smtps://127.0.0.1:{server.port}?verify=0"), [message()])
        assert outcome.status == "sent"


def test_a_certificate_that_nobody_vouches_for_is_refused(tls: ssl.SSLContext) -> None:
    with serving(options={"tls_context": tls}) as server:
        assert "certificate is not accepted: self-signed" in problem(f"smtp://127.0.0.1:{server.port}")
    assert not server.taken


def test_a_certificate_for_another_name_is_refused(certificate: Path, tls: ssl.SSLContext) -> None:
    with serving(options={"tls_context": tls}) as server:
        url = f"smtp://127.0.0.2:{server.port}?cafile={certificate}"
        with socket.create_server(("127.0.0.2", server.port)) as listener, forwarding(listener, server.port):
            assert "certificate is not accepted: IP address mismatch" in problem(url)


@contextlib.contextmanager
def forwarding(listener: socket.socket, port: int) -> Iterator[None]:
    """The server behind `port`, under another address of this machine."""

    def copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def run() -> None:
        with contextlib.suppress(OSError):
            while True:
                inner, _address = listener.accept()
                outer = socket.create_connection(("127.0.0.1", port))
                for pair in ((inner, outer), (outer, inner)):
                    threading.Thread(target=copy, args=pair, daemon=True).start()

    threading.Thread(target=run, daemon=True).start()
    yield


def test_a_server_that_speaks_ahead_of_tls_is_refused() -> None:
    injected = [b"220 hi\r\n", b"250-me\r\n250 STARTTLS\r\n", b"220 go\r\n250 injected\r\n"]
    with script(lambda _line, number: injected[number] if number < 3 else b"") as (port, _lines):
        assert "ahead of TLS" in problem(f"smtp://127.0.0.1:{port}")


@pytest.mark.parametrize("excluded", [[], ["PLAIN"]])
def test_it_logs_in_with_plain_or_login(certificate: Path, tls: ssl.SSLContext, excluded: list[str]) -> None:
    known = log_in(b"me@example.org", PASSWORD.encode())
    options = {"tls_context": tls, "authenticator": known, "auth_required": True, "auth_exclude_mechanism": excluded}
    with serving(options=options) as server:
        url = f"smtp://me%40example.org:{QUOTED}@localhost:{server.port}?cafile={certificate}"
        assert [outcome.status for outcome in send_now(smtp(url), [message()])] == ["sent"]
        assert asyncio.run(smtp(url).check()).endswith("TLS, logged in")
        assert "535" in problem(url.replace(QUOTED, "s3cret"))
    assert server.taken[0].user == "me@example.org"


def test_no_password_goes_to_a_server_that_offers_no_log_in() -> None:
    with script(lambda _line, number: [b"220 hi\r\n", b"250 me\r\n"][number]) as (port, lines):
        assert "offers no AUTH" in problem(f"smtp://me:s3cret@127.0.0.1:{port}?starttls=0")
    assert not any(b"s3cret" in line or base64.b64encode(b"\0me\0s3cret") in line for line in lines)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([b"554 no service\r\n"], "does not let us in: 554 no service"),
        ([b"220 hi\r\n", b"502 no\r\n"], "refuses EHLO: 502 no"),
        ([b"SSH-2.0-OpenSSH\r\n"], "not an SMTP reply"),
        ([b""], "no answer in time"),
        ([b"220 hi\r\n", b"250 STARTTLS\r\n"], "offers no STARTTLS"),
        ([b"220 hi\r\n", b"250-a\r\n250 STARTTLS\r\n", b"454 no TLS today\r\n"], "refuses STARTTLS: 454 no TLS today"),
    ],
)
def test_a_server_that_cannot_be_used_is_named_with_its_own_words(answers: list[bytes], reason: str) -> None:
    with script(lambda _line, number: answers[number] if number < len(answers) else b"") as (port, _lines):
        patience = 0.3 if reason == "no answer in time" else 20  # a busy machine answers late
        said = problem(f"smtp://127.0.0.1:{port}?timeout={patience}")
        assert reason in said and said.startswith(f"127.0.0.1:{port}")


# -- pipelining ------------------------------------------------------------


@contextlib.contextmanager
def script(answer: Callable[[bytes, int], bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """A server whose words are all given: `answer(line, number)`, number 0 is the greeting. Bodies are not looked into."""
    lines: list[bytes] = []
    loop = asyncio.new_event_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = 0
        writer.write(answer(b"", 0))
        while line := await reader.readline():
            lines.append(line)
            number += 1
            writer.write(answer(line, number))

    port = free_port()
    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", port))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield port, lines
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@dataclass
class Sink(asyncio.Protocol):
    """Takes pipelined mail and remembers what came in one piece. `refuse`: command -> reply, for the n-th of its kind;

    after an empty one it says nothing any more."""

    refuse: dict[tuple[bytes, int], bytes] = field(default_factory=dict)
    offers: tuple[bytes, ...] = (b"PIPELINING", b"DSN", b"SIZE 100000")
    pieces: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    log: list[bytes] = field(default_factory=list)
    counts: dict[bytes, int] = field(default_factory=dict)
    silent: bool = False

    def __call__(self) -> Sink:
        self.rest, self.in_body = b"", False
        return self

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)
        self.rest += data
        said = b""
        while b"\r\n" in self.rest:
            if self.in_body:
                end = (b"\r\n" + self.rest).find(b"\r\n.\r\n")
                if end < 0:
                    break
                content, self.rest = self.rest[:end], self.rest[end + 3 :]
                self.in_body = False
                self.bodies.append(content)
                said += self._reply(b".", b"250 taken\r\n")
                continue
            line, _end, self.rest = self.rest.partition(b"\r\n")
            self.log.append(line)
            said += self._command(line)
        if not self.silent:
            self.transport.write(said)

    def _command(self, line: bytes) -> bytes:
        verb = line[:4].upper()
        if verb == b"EHLO":
            return b"250-sink\r\n" + b"".join(b"250-" + offer + b"\r\n" for offer in self.offers) + b"250 HELP\r\n"
        said = self._reply(verb, b"354 go on\r\n" if verb == b"DATA" else b"250 OK\r\n")
        self.in_body = verb == b"DATA" and said.startswith(b"354")
        return said

    def _reply(self, verb: bytes, usual: bytes) -> bytes:
        self.counts[verb] = self.counts.get(verb, 0) + 1
        said = self.refuse.get((verb, self.counts[verb]), usual)
        self.silent = self.silent or not said
        return said


@contextlib.contextmanager
def sinking(sink: Sink) -> Iterator[str]:
    loop, port = asyncio.new_event_loop(), free_port()
    server = loop.run_until_complete(loop.create_server(sink, "127.0.0.1", port))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"smtp://127.0.0.1:{port}?starttls=0"
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def send_to(sink: Sink, number: int, **options: Any) -> list[Outcome]:
    with sinking(sink) as url:
        return send_now(smtp(url, connections=1, **options), [message(one) for one in range(1, number + 1)])


def test_the_end_of_one_message_and_the_envelope_of_the_next_share_a_write() -> None:
    sink = Sink()
    assert [outcome.status for outcome in send_to(sink, 4)] == ["sent"] * 4
    shared = [piece for piece in sink.pieces if b"\r\n.\r\nMAIL FROM" in piece]
    assert len(shared) == 3 and all(piece.endswith(b"DATA\r\n") for piece in shared)
    assert b"RSET" not in sink.log and sink.log[-1] == b"QUIT"
    assert b"MAIL FROM:<digest+1.1@example.org> SIZE=51 RET=HDRS ENVID=1.1" in sink.log


def test_without_the_offer_every_command_waits_for_its_reply() -> None:
    sink = Sink(offers=())
    assert [outcome.status for outcome in send_to(sink, 3)] == ["sent"] * 3
    assert all(piece.count(b"\r\n") == 1 for piece in sink.pieces if piece[:4] in (b"MAIL", b"RCPT", b"DATA"))
    assert not any(b"MAIL" in piece[4:] for piece in sink.pieces)


@pytest.mark.parametrize("offers", [(b"PIPELINING",), ()])
@pytest.mark.parametrize("verb", [b"MAIL", b"RCPT", b"DATA", b"."])
@pytest.mark.parametrize(("said", "status"), [(b"550 5.1.1 no\r\n", "failed"), (b"450-4.2.0 not\r\n450 now\r\n", "retry")])
def test_a_refusal_at_any_point_concerns_one_message_only(
    offers: tuple[bytes, ...], verb: bytes, said: bytes, status: str
) -> None:
    sink = Sink(refuse={(verb, 2): said}, offers=offers)
    assert [outcome.status for outcome in send_to(sink, 4)] == ["sent", status, "sent", "sent"]
    assert [b"<1.%d@example.org>" % number in content for number, content in zip((1, 3, 4), bodies(sink, verb), strict=True)]
    assert (b"RSET" in sink.log) == (verb != b"."), "after an error, and only then"


def bodies(sink: Sink, verb: bytes) -> list[bytes]:
    """What was taken: not the lone dot of a refused message, not the body that was refused."""
    whole = [content for content in sink.bodies if content]
    return whole if verb != b"." else [whole[0], *whole[2:]]


def test_a_refused_recipient_whose_data_is_asked_for_is_ended_by_a_lone_dot() -> None:
    sink = Sink(refuse={(b"RCPT", 2): b"550 no such user\r\n"})
    outcomes = send_to(sink, 3)
    assert [(outcome.status, outcome.stage) for outcome in outcomes] == [
        ("sent", "body"),
        ("failed", "recipient"),
        ("sent", "body"),
    ]
    assert sink.bodies[1] == b"" and outcomes[1].reply == "550 no such user"


def test_a_connection_carries_so_many_messages_and_says_goodbye() -> None:
    sink = Sink()
    send_to(sink, 7, per_connection=3)
    ends = [index for index, line in enumerate(sink.log) if line == b"QUIT"]
    assert len(ends) == 3 and [sum(line.startswith(b"MAIL") for line in sink.log[: end + 1]) for end in ends] == [3, 6, 7]


def test_a_reply_that_does_not_come_leaves_the_message_uncertain() -> None:
    sink = Sink(refuse={(b".", 1): b""})
    with sinking(sink) as url:
        outcomes = send_now(smtp(f"{url}&timeout=0.3", connections=1), [message(1), message(2)])
    assert outcomes[0].status == "uncertain" and "no reply in time" in outcomes[0].reply


def test_454_halves_the_connections_and_the_run_goes_on() -> None:
    with serving(data=lambda _id, number: "454 Throttling failure" if number == 5 else None) as server:
        outcomes = send_now(smtp(server.url, connections=8), [message(number) for number in range(1, 60)])
    assert sorted(outcome.status for outcome in outcomes) == ["retry", *["sent"] * 58]


def test_one_message_outside_of_every_issue() -> None:
    with serving() as server:
        assert send_now(smtp(server.url), [message()]) == [Outcome("sent", "250 OK", "body")]
