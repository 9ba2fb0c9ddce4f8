"""Mail addresses: kept as typed, compared and sent normalised. Pure; asks no DNS.

The local part is compared without case (every large provider does), but plus-addressing and dots are the reader's own and stay.
An international domain is kept as people write it and sent as A-labels (RFC 5890). International local parts need SMTPUTF8 all
the way to the reader (RFC 6531), which nobody can promise: they are refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from ...errors import FeedsError

#: RFC 5321, 4.5.3.1.3: a path is 256 octets with its angle brackets.
MAX_OCTETS = 254
#: What input methods put in place of "@" and ".".
_FULL_WIDTH = str.maketrans("＠．。", "@..")


class MailboxError(FeedsError):
    """Not an address that mail can be sent to. `kind`: empty | syntax | international | length; the text does not repeat it."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Mailbox:
    """`address` as typed; `mailbox` as compared; `envelope` as sent, in ASCII; `domain` in A-labels, lower case."""

    address: str
    mailbox: str
    envelope: str
    domain: str


def parse(text: str) -> Mailbox:
    """Blanks around it do not count. Raises MailboxError. Whatever comes back can stand in a header and in an SMTP command."""
    typed = text.strip().translate(_FULL_WIDTH)
    if not typed:
        raise MailboxError("empty", "an e-mail address is missing")
    if len(typed) > MAX_OCTETS:
        raise MailboxError("length", f"the address is longer than {MAX_OCTETS} characters")
    local, _, domain = typed.rpartition("@")
    if not typed.isprintable() or " " in typed or not local:
        raise MailboxError("syntax", "this is no e-mail address; expected for example reader@example.org")
    if not local.isascii():
        raise MailboxError("international", "only letters a to z, digits and signs can stand before the @ of an address")
    return _normalised(local, domain)


def _normalised(local: str, domain: str) -> Mailbox:
    try:
        found = validate_email(
            f"{local}@{domain}", check_deliverability=False, test_environment=True, allow_smtputf8=False, strict=True
        )
    except EmailNotValidError as error:
        raise MailboxError("syntax", f"this is no e-mail address that mail reaches: {_plain(str(error))}") from None
    envelope = f"{local}@{found.ascii_domain}"
    if len(envelope) > MAX_OCTETS or not envelope.isascii():
        raise MailboxError("length", f"the address is longer than {MAX_OCTETS} octets as it is sent")
    shown = domain if domain.isascii() and found.domain.isascii() else found.domain
    return Mailbox(f"{local}@{shown}", envelope.lower(), envelope, found.ascii_domain.lower())


def _plain(reason: str) -> str:
    """The library's words, without what was typed where it quotes that."""
    return reason if reason.isascii() and reason.isprintable() else "the part after the @ has no valid form"
