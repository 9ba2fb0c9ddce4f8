"""Parse and normalise e-mail addresses. Pure; looks nothing up in DNS.

The local part is compared without case (every large provider does), but plus-addressing and dots are part of the address.
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


class EmailAddressError(FeedsError):
    """Not an address that mail can be sent to. `kind`: empty | syntax | international | length; the text does not repeat it."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class EmailAddress:
    """`address` as typed; `mailbox` as compared; `envelope` as sent, in ASCII; `domain` in A-labels, lower case."""

    address: str
    mailbox: str
    envelope: str
    domain: str


def parse_address(text: str) -> EmailAddress:
    """Return the parts of an address, safe in a header and in an SMTP command. Raises EmailAddressError.

    >>> parse_address(" Reader+x@例子.中国 ")
    EmailAddress(address='Reader+x@例子.中国', mailbox='reader+x@xn--fsqu00a.xn--fiqs8s', envelope='Reader+x@xn--fsqu00a.xn--fiqs8s', domain='xn--fsqu00a.xn--fiqs8s')
    """  # noqa: E501
    typed = text.strip().translate(_FULL_WIDTH)
    if not typed:
        raise EmailAddressError("empty", "an e-mail address is missing")
    if len(typed) > MAX_OCTETS:
        raise EmailAddressError("length", f"the address is longer than {MAX_OCTETS} characters")
    local, _, domain = typed.rpartition("@")
    if not typed.isprintable() or " " in typed or not local:
        raise EmailAddressError("syntax", "this is no e-mail address; expected for example reader@example.org")
    if not local.isascii():
        raise EmailAddressError("international", "only letters a to z, digits and signs can stand before the @ of an address")
    try:
        found = validate_email(
            f"{local}@{domain}", check_deliverability=False, test_environment=True, allow_smtputf8=False, strict=True
        )
    except EmailNotValidError as error:
        reason = str(error)  # the library's words, unless they quote what was typed
        reason = reason if reason.isascii() and reason.isprintable() else "the part after the @ has no valid form"
        raise EmailAddressError("syntax", f"this is no e-mail address that mail reaches: {reason}") from None
    envelope = f"{local}@{found.ascii_domain}"
    if len(envelope) > MAX_OCTETS or not envelope.isascii():
        raise EmailAddressError("length", f"the address is longer than {MAX_OCTETS} octets as it is sent")
    shown = domain if domain.isascii() and found.domain.isascii() else found.domain
    return EmailAddress(f"{local}@{shown}", envelope.lower(), envelope, found.ascii_domain.lower())


#: Domains whose mailboxes have any dots, and the domain that they are all known by.
_WITHOUT_DOTS = {"gmail.com": "gmail.com", "googlemail.com": "gmail.com"}


def counted_mailbox(mailbox: str) -> str:
    """Return the mailbox as limits count it: without `+tag`, and without dots where the provider ignores them.

    >>> counted_mailbox("reader+news@example.org"), counted_mailbox("r.e.ader+x@googlemail.com")
    ('reader@example.org', 'reader@gmail.com')
    """
    local, _, domain = mailbox.rpartition("@")
    local = local.partition("+")[0] or local
    if known := _WITHOUT_DOTS.get(domain):
        local, domain = local.replace(".", ""), known
    return f"{local}@{domain}"


def mask_address(address: str) -> str:
    """Return enough to recognise one's own address by.

    >>> mask_address("reader@example.org")
    'r***@example.org'
    """
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}***@{domain}"
