"""Sign messages with DKIM (RFC 6376, 8301, 8463), in the process, where no mail server signs them.

Our own 100 lines and not dkimpy, because dkimpy computes RSA in Python: about 100 signatures a second, where `cryptography`
makes thousands; and its canonicalisation of 40 KB costs more than the signature. The tests verify with dkimpy and opendkim.

`c=relaxed/simple`: header fields may be folded again on the way; the bodies are encoded with short lines, and no server touches
those. Every field of `SIGNED` is named once more than it occurs, so that one which is added on the way breaks the signature.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from ...config.models import Dkim
from ...errors import FeedsError

#: RFC 6376, 5.4.1, and what one-click unsubscribe needs (RFC 8058, 4).
SIGNED = (
    "from sender reply-to to cc subject date message-id in-reply-to references mime-version content-type "
    "content-transfer-encoding content-language list-id list-unsubscribe list-unsubscribe-post list-archive list-help "
    "list-owner list-post list-subscribe precedence auto-submitted feedback-id"
).split()
MIN_RSA_BITS = 2048
_BLANKS = re.compile(rb"[ \t]+")
_LABELS = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")


class DkimError(FeedsError):
    """A key or a name that cannot be used for signing; says which setting, and never what is in a key."""


@dataclass(frozen=True, slots=True)
class _Key:
    """`sign` takes the octets that RFC 6376, 3.7 gives; `public` is the p= of the DNS record."""

    algorithm: str
    selector: str
    sign: Callable[[bytes], bytes]
    public: str


class Signer:
    """Signs with one key or with two."""

    def __init__(self, domain: str, keys: Sequence[_Key]) -> None:
        self._domain, self._keys = domain, keys

    @classmethod
    def from_settings(cls, settings: Dkim, root: Path) -> Signer | None:
        """Return a signer with the keys that the settings name, paths from `root`; None without a domain. Raises DkimError."""
        if not settings.domain:
            return None
        keys = []
        if settings.rsa_key:
            keys.append(_load_key("rsa", settings.rsa_selector, root / settings.rsa_key))
        if settings.ed25519_key:
            keys.append(_load_key("ed25519", settings.ed25519_selector, root / settings.ed25519_key))
        _check_label("domain", settings.domain)
        return cls(settings.domain, keys)

    def records(self) -> list[tuple[str, str]]:
        """Return what the DNS must say: names, and the text at each."""
        at = f"_domainkey.{self._domain}"
        return [(f"{key.selector}.{at}", f"v=DKIM1; k={key.algorithm}; p={key.public}") for key in self._keys]

    def sign(self, message: bytes, now: int) -> bytes:
        """Return the message with a signature of each key in front. Its line ends are CRLF; `now` in UTC seconds."""
        head, _, body = message.partition(b"\r\n\r\n")
        fields: dict[str, list[bytes]] = {}  # in relaxed form, by name, in their order from the top
        for field in re.split(rb"\r\n(?![ \t])", head):
            name, relaxed = _relax_field(field)
            fields.setdefault(name, []).append(relaxed)
        names: list[str] = []
        octets: list[bytes] = []
        for name in SIGNED:  # fields of one name from the bottom up (RFC 6376, 5.4.2)
            names += [name] * (len(fields.get(name, [])) + 1)
            octets += reversed(fields.get(name, []))
        while body.endswith(b"\r\n\r\n"):  # one line end after the last line that is not empty (RFC 6376, 3.4.3)
            body = body[:-2]
        body = body if body.endswith(b"\r\n") else body + b"\r\n"
        body_hash = base64.b64encode(hashlib.sha256(body).digest()).decode()
        end = f"t={now};\r\n h={_fold_names(names)};\r\n bh={body_hash};\r\n b="
        signatures = []
        for key in self._keys:
            start = f"DKIM-Signature: v=1; a={key.algorithm}-sha256; c=relaxed/simple; d={self._domain};\r\n s={key.selector}; "
            field = (start + end).encode("ascii")
            # The field itself comes last, with an empty b= and without its line end.
            text = base64.b64encode(key.sign(b"".join((*octets, _relax_field(field)[1][:-2]))))
            lines = [text[at : at + 72] for at in range(0, len(text), 72)]
            signatures.append(field + b"\r\n ".join(lines) + b"\r\n")
        return b"".join((*signatures, message))


def _relax_field(field: bytes) -> tuple[str, bytes]:
    """Return the name in lower case, and the field in relaxed form (RFC 6376, 3.4.2)."""
    name, _, value = field.partition(b":")
    lower = name.strip().lower()
    return lower.decode("ascii"), lower + b":" + _BLANKS.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ") + b"\r\n"


def _fold_names(names: Iterable[str]) -> str:
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) > 70:
            lines.append("")
        lines[-1] += f"{name}:"
    return "\r\n  ".join(lines)[:-1]


def _check_label(setting: str, name: str) -> None:
    if not _LABELS.fullmatch(name):
        raise DkimError(f"dkim.{setting}: {name!r} is no name for the DNS")


def _load_key(algorithm: str, selector: str, path: Path) -> _Key:
    setting = f"dkim.{algorithm}_key: {path}"
    _check_label(f"{algorithm}_selector", selector)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise DkimError(f"{setting}: {error.strerror or 'cannot be read'}") from None
    except TypeError:
        raise DkimError(f"{setting} is protected by a password; expected a plain PEM file") from None
    except (ValueError, UnsupportedAlgorithm):
        raise DkimError(f"{setting} holds no private key in PEM") from None
    if algorithm == "rsa":
        if not isinstance(key, RSAPrivateKey):
            raise DkimError(f"{setting} is no RSA key")
        if key.key_size < MIN_RSA_BITS:
            raise DkimError(f"{setting} has {key.key_size} bits; receivers want {MIN_RSA_BITS} or more (RFC 8301)")
        padding, digest = PKCS1v15(), hashes.SHA256()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        public = key.public_key().public_bytes(serialization.Encoding.DER, form)
        return _Key("rsa", selector, lambda data: key.sign(data, padding, digest), base64.b64encode(public).decode())
    if not isinstance(key, Ed25519PrivateKey):
        raise DkimError(f"{setting} is no Ed25519 key")
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    # RFC 8463, 3: the hash of the canonical form is what is signed.
    return _Key("ed25519", selector, lambda data: key.sign(hashlib.sha256(data).digest()), base64.b64encode(public).decode())
