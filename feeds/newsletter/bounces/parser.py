"""Parse bounce messages: bytes -> `BounceReport`. Pure; no bytes make it raise.

Whom a report is about is told by signed tokens (candidates here; `booking` checks them), never by the addresses in it. What
happened is told, in this order, by a feedback report (ARF, RFC 5965), a delivery status notification (DSN, RFC 3464, 6533), the
text of a mail daemon, and the patterns of flufl.bounce. Text that quotes our own message is not looked at.
"""

from __future__ import annotations

import email
import hashlib
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.policy import Compat32
from email.utils import parseaddr
from itertools import islice

from flufl.bounce import all_failures

from . import BounceReport, Kind

#: How much of a message is read: reports stand before the message that they return.
MAX_BYTES = 512 * 1024
MAX_TEXT = 64 * 1024
MAX_DIAGNOSTIC = 400
MAX_FIELD = 8000
MAX_PARAGRAPHS = 2000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happened: the kind, an enhanced code (RFC 3463) or "", and the words of the server."""

    kind: Kind
    status: str = ""
    diagnostic: str = ""


_TOKEN = re.compile(r"(?<![0-9a-z.])[0-9]{1,12}\.[0-9]{1,16}\.[0-9a-f]{20}(?![0-9a-z])", re.IGNORECASE)
#: A token to unsubscribe; of versions before, `1-1-...`.
_LINK = re.compile(r"(?<![0-9a-z-])(?:u[0-9]{1,16}|[0-9]{1,16}-[0-9]{1,9})-[0-9a-f]{32}(?![0-9a-z])", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s<>,;:\"()]{1,128}@[^\s<>,;:\"()]{1,255}")
#: Where mail servers write whom they delivered to: the envelope first, what the sender wrote last.
_TO = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "X-Delivered-To", "To", "Cc", "Resent-To")
_FROM = ("Return-Path", "X-Envelope-From", "Envelope-From")


def parse_report(raw: bytes) -> BounceReport:
    """Return what `raw` says, of which the first MAX_BYTES count. Line ends do not matter.

    >>> report = parse_report(b"From: mailer-daemon@example.net\\n\\n550 5.1.1 <nobody@example.net>: user unknown\\n")
    >>> report.kind, report.status
    ('hard', '5.1.1')
    """
    raw = raw[:MAX_BYTES].replace(b"\r\n", b"\n")
    # Each paragraph could be a part, or a group of a delivery status.
    ends = [found.start() for found in islice(re.finditer(rb"(?=\n\n)", raw), MAX_PARAGRAPHS)]
    kept = raw[: ends[-1]] if len(ends) == MAX_PARAGRAPHS else raw
    try:
        message = email.message_from_bytes(kept, policy=_SHORT)
        start = email.message_from_bytes(kept[:MAX_TEXT], policy=_SHORT)  # enough where words have to tell
        return _report(message, start, raw)
    except RecursionError:  # parts within parts, by the hundred
        return BounceReport(hashlib.sha256(raw).hexdigest(), "unknown")


class _Short(Compat32):
    """Cut fields at MAX_FIELD, beyond any honest length: the library's ways to take them apart are quadratic."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:MAX_FIELD]


_SHORT = _Short()


def _report(message: Message, start: Message, raw: bytes) -> BounceReport:
    # Of a long message with CRLF only half of MAX_BYTES has surely been read.
    identity = _field(message, "Message-ID").encode("utf-8", "replace") + b"\n" + raw[: MAX_BYTES // 2]
    original, status = _original(message), list(_status_blocks(message))
    is_feedback = message.get_param("report-type") == "feedback-report"
    kinds = {"message/feedback-report"} if is_feedback else set()
    feedback = [_payload(part)[0] for part in _parts(message) if part.get_content_type() in kinds and _payload(part)]
    verdict = _verdict(message, start, status, feedback)
    to = " ".join(_field(message, name) for name in _TO).lower()
    links = f"{to} {_decoded(message, 'Subject').lower()}"
    own_links = _field(original, "List-Unsubscribe").lower() if original is not None else ""
    # All text that may hold a bounce token; a `+` as RFC 3461 writes it is a delimiter, too.
    found = [to, *(_field(block, "Original-Envelope-Id") for block in status)]
    found += [_field(block, "Original-Mail-From") for block in feedback]
    found += [_field(original, name) for name in _FROM] if original is not None else []
    return BounceReport(
        hashlib.sha256(identity).hexdigest(),
        verdict.kind,
        verdict.status,
        one_line(verdict.diagnostic),
        tokens=tuple(dict.fromkeys(_TOKEN.findall(" ".join(found).lower().replace("+2b", "+")))),
        unsubscribe_tokens=tuple(dict.fromkeys(_LINK.findall(links))),
        link_tokens=tuple(dict.fromkeys(_LINK.findall(own_links))),
        recipients=frozenset(_ADDRESS.findall(to)),
    )


#: From the worst to the least: one report may speak of several recipients.
_ORDER = ("hard", "soft", "noted", "none")


def _verdict(message: Message, start: Message, status: list[Message], feedback: list[Message]) -> Verdict:
    if feedback:
        # Not every feedback report complains: `not-spam` (RFC 6430) takes back, `auth-failure` (RFC 6591) is about signatures.
        kind = _field(feedback[0], "Feedback-Type").strip().lower()
        if kind in ("not-spam", "auth-failure", "dkim"):
            return Verdict("none", diagnostic=f"a feedback report of type {kind}")
        return Verdict("complaint", diagnostic=kind or "abuse")
    if status:
        found = [_by_block(block) for block in status if block.get("Action")]
        return min(found, key=lambda verdict: _ORDER.index(verdict.kind)) if found else _by_text(start)
    if message.get_content_type() == "multipart/report" and message.get_param("report-type") == "disposition-notification":
        return Verdict("none", diagnostic="a receipt")
    # Some daemons mark their reports as auto-replied, but name themselves as the sender.
    is_away = _AWAY.match(_decoded(message, "Subject"))
    author = parseaddr(_field(message, "From"))[1].partition("@")[0]
    if message.get("X-Failed-Recipients") or (_DAEMONS.fullmatch(author) and not is_away):
        return _by_text(start)
    # An automatic reply, as RFC 3834 marks it, or as programs did before.
    submitted = _field(message, "Auto-Submitted").partition(";")[0].strip().lower()
    is_marked = any(message.get(name) for name in ("X-Autoreply", "X-Autorespond", "X-Auto-Reply", "X-Vacation"))
    if submitted not in ("", "no") or is_marked or is_away:
        return Verdict("none", diagnostic="an automatic reply")
    if (by_patterns := _by_patterns(start)) is not None:
        return by_patterns
    # Nothing in it tells what it is: mail without a sender comes from a daemon, mail in bulk is not for us.
    if _field(start, "Return-Path").strip() == "<>":
        return _by_text(start)
    bulk = _field(start, "Precedence").strip().lower() in ("auto_reply", "bulk", "junk", "list")
    return Verdict("none", diagnostic="an automatic reply") if bulk else Verdict("unknown")


def _by_block(block: Message) -> Verdict:
    """Return the verdict of one recipient of a delivery status (RFC 3464, 2.3)."""
    action = _field(block, "Action").strip().lower()
    diagnostic = _field(block, "Diagnostic-Code")
    if action in ("delivered", "relayed", "expanded"):
        return Verdict("none", diagnostic=action)
    found = _ENHANCED.search(_field(block, "Status"))
    verdict = classify_reply(diagnostic, found[0] if found else "5.0.0" if action == "failed" else "")
    if action == "delayed" and verdict.kind != "noted":
        return Verdict("soft", verdict.status, verdict.diagnostic or action)
    return verdict


def _by_text(message: Message) -> Verdict:
    """Return what a mail daemon says in words. Without any code it is a passing failure: the token says that mail came back."""
    text = _text(message)
    if found := _REPLY.search(text) or _BARE.search(text):
        return classify_reply(text[found.start(1) : found.start(1) + MAX_DIAGNOSTIC])
    if found := _ENHANCED.search(text):
        return classify_reply(text[max(found.start() - 20, 0) : found.start() + MAX_DIAGNOSTIC], found[0])
    if _FULL.search(text):
        return Verdict("soft", "5.2.2", text)
    if _NOBODY.search(text):
        return Verdict("hard", "5.1.1", text)
    return _by_patterns(message) or Verdict("soft", "", text)


def _by_patterns(message: Message) -> Verdict | None:
    """Return flufl.bounce's opinion; its detectors raise for some messages."""
    logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)  # it logs a traceback before it raises
    try:
        passing, lasting = all_failures(message)
    except Exception:
        return None
    if lasting:
        text = _text(message)
        found = _REPLY.search(text) or _BARE.search(text)
        return classify_reply(text[found.start(1) :] if found else text, "" if found else "5.0.0")
    return Verdict("soft", "4.0.0", _text(message)) if passing else None


# -- codes and words -------------------------------------------------------

#: RFC 3463. Not part of a number of an Internet address or version.
_ENHANCED = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?!\.?\d)")
_REPLY = re.compile(r"(?<![\d.])([45]\d\d[ -]#?[45]\.\d{1,3}\.\d{1,3})(?!\.?\d)")
_BARE = re.compile(r"(?:^|[:：;>\"'(\[]|said|code|错误|返回|提示)[ \t]{0,8}([45][0-5]\d)(?=[ -]|$)", re.MULTILINE)
_FULL = re.compile(
    r"mailbox[^.\n]{0,40}\bfull\b|\bover ?quota|quota[ -](?:is )?exceeded"
    r"|exceed\w*[^.\n]{0,30}\bquota|insufficient[^.\n]{0,10} storage"
    r"|(?:邮箱|信箱|空间|容量)[^。\n]{0,10}(?:已满|不足)|超[过出][^。\n]{0,10}(?:容量|配额)",
    re.IGNORECASE,
)
_NOBODY = re.compile(
    r"\b(?:user|mailbox|recipient|account|address)\b[^.\n]{0,40}\b(?:unknown|not found|invalid|does ?n[o']t exist|not exist)"
    r"|\b(?:no such|unknown|invalid) (?:user|mailbox|recipient|account|address)\b"
    r"|(?:用户|邮箱|收件人|帐号|账号|地址)[^。\n]{0,80}(?:不存在|无效|已注销)",
    re.IGNORECASE,
)
#: Of the sender or the message, not of the address; `MI:SPF` and the like are codes of NetEase's servers.
_POLICY = re.compile(
    r"\b(?:spam|spf|dkim|dmarc|blocked|blocklist\w*|blacklist\w*|block list|black list|reputation|policy|relay\w*|virus|banned"
    r"|unsolicited|content (?:rejected|denied)|mail content|(?:DT|HL|IP|MI|RP|SC|SP):[A-Z]{2,4})\b"
    r"|垃圾邮件|拒收|黑名单|被拒绝|反垃圾",
    re.IGNORECASE,
)
#: Codes that say nothing against the address, and do not count towards its limit: X.1.7 and X.1.8 are about the sender's
#: address, X.2.3, X.3.4 and X.6 about the message; all of X.7 is policy, throttling for a day included.
NOT_THE_ADDRESS = re.compile(r"[45]\.(?:7\..*|1\.[78]|2\.3|3\.4|6\.(?!7$).*)")


def classify_reply(text: str, status: str = "") -> Verdict:
    """Classify a server's words, with the enhanced code (RFC 3463) reported beside them, if any. The more exact code counts.

    Policy and the like are noted; else 4.x.x and a full mailbox (5.2.2) are soft and the rest of 5.x.x is hard. Without an
    exact code the bare reply code (RFC 5321, 4.2) and the words decide.

    >>> classify_reply("550 5.1.1 no such user").kind, classify_reply("552 mailbox full").status
    ('hard', '5.2.2')
    """
    found = _ENHANCED.search(text)
    if found and (not status or status.endswith(".0.0")) and not found[0].startswith("2"):
        status = found[0]
    if status and not status.endswith(".0.0"):
        if NOT_THE_ADDRESS.fullmatch(status):
            return Verdict("noted", status, text)
        return Verdict("soft" if status[0] != "5" or status == "5.2.2" else "hard", status, text)
    found = _BARE.search(text)
    code = found[1] if found else status
    if not code.startswith("5"):
        return Verdict("soft", "4.0.0", text)
    if _FULL.search(text) or code == "552":
        return Verdict("soft", "5.2.2", text)
    if _POLICY.search(text) and not _NOBODY.search(text):
        return Verdict("noted", "5.7.0", text)
    return Verdict("hard", status or "5.0.0", text)


_DAEMONS = re.compile(
    r"(?:mailer[-_.]?daemon|postmaster|mail[-_.]?delivery[-_.]?\w*|bounces?|microsoftexchange\w*)(?:[+=-].*)?", re.IGNORECASE
)
_AWAY = re.compile(r"\s*(?:auto(?:matic)?[ -]?(?:reply|response)|out of (?:the )?office|自动回复|自動回覆|外出)", re.IGNORECASE)

# -- parts -----------------------------------------------------------------


def _parts(message: Message) -> Iterator[Message]:
    """Yield all parts except those of a message within the message."""
    yield message
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        for part in _payload(message):
            yield from _parts(part)


def _payload(message: Message) -> list[Message]:
    payload = message.get_payload()
    return [part for part in payload if isinstance(part, Message)] if isinstance(payload, list) else []


def _status_blocks(message: Message) -> Iterator[Message]:
    """Yield groups of fields of a delivery status; of one for international addresses only the first has been parsed."""
    for part in _parts(message):
        if part.get_content_type() in ("message/delivery-status", "message/global-delivery-status"):
            for block in _payload(part):
                yield block
                rest = block.get_payload()
                groups = re.split(r"\n{2,}", rest.strip("\n"))[:50] if isinstance(rest, str) and rest.strip() else []
                yield from (email.message_from_string(group, policy=_SHORT) for group in groups)


def _original(message: Message) -> Message | None:
    """Return the message that came back, or its header."""
    for part in _parts(message):
        kind = part.get_content_type()
        if part is not message and kind in ("message/rfc822", "message/global"):
            return next(iter(_payload(part)), None)
        if kind in ("text/rfc822-headers", "message/rfc822-headers", "message/global-headers"):
            return next(iter(_payload(part)), None) or email.message_from_string(_decoded_text(part), policy=_SHORT)
    return None


_QUOTED = re.compile(
    r"^[ \t>]{0,8}-{2,}+[^\n]{0,60}(?:copy of|original message|below this line|message header|returned message|原始?邮件)",
    re.IGNORECASE | re.MULTILINE,
)
_MARKUP = re.compile(r"<(?:style|script)\b[^<>]*>[^<]*|<[^<>]*>", re.IGNORECASE)


def _text(message: Message) -> str:
    """Return the words of a report, without the message that it quotes."""
    found = [_decoded_text(part) for part in _parts(message) if part.get_content_type() in ("text/plain", "text/html")]
    return _QUOTED.split("\n".join(found)[:MAX_TEXT], maxsplit=1)[0]


def _decoded_text(part: Message) -> str:
    raw = part.get_payload(decode=True)
    if not isinstance(raw, bytes):
        return ""
    try:
        text = raw[:MAX_TEXT].decode(part.get_content_charset("utf-8"), "replace")
    except (LookupError, ValueError):
        text = raw[:MAX_TEXT].decode("utf-8", "replace")
    return _MARKUP.sub(" ", text) if part.get_content_type() == "text/html" else text


def _field(message: Message, name: str) -> str:
    """Return all fields of this name, as they are written."""
    return " ".join(str(value) for value in message.get_all(name, []))


def _decoded(message: Message, name: str) -> str:
    try:
        return str(make_header(decode_header(_field(message, name))))
    except (HeaderParseError, LookupError, ValueError):
        return _field(message, name)


def one_line(text: str) -> str:
    """Return the beginning of a server's words as one line that any database takes."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+", " ", text[: 2 * MAX_DIAGNOSTIC]).strip()[:MAX_DIAGNOSTIC]
