"""Signatures: two verifiers accept them, and none accepts a message that was changed."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dkim
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from feeds.config.models import Dkim
from feeds.newsletter.messages.dkim import DkimError, Signer

from .composing import NOW, composer, recipient

BOTH = Dkim(domain="example.org", rsa_selector="r1", rsa_key="rsa.pem", ed25519_selector="e1", ed25519_key="ed.pem")
RSA = Dkim(domain="example.org", rsa_selector="r1", rsa_key="rsa.pem")
ED = Dkim(domain="example.org", ed25519_selector="e1", ed25519_key="ed.pem")


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey, password: bytes = b"") -> bytes:
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    (folder / "rsa.pem").write_bytes(pem(rsa.generate_private_key(65537, 2048)))
    (folder / "ed.pem").write_bytes(pem(ed25519.Ed25519PrivateKey.generate()))
    (folder / "short.pem").write_bytes(pem(rsa.generate_private_key(65537, 1024)))
    (folder / "curve.pem").write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    (folder / "locked.pem").write_bytes(pem(ed25519.Ed25519PrivateKey.generate(), b"secret words"))
    (folder / "text.pem").write_text("no key at all")
    return folder


def signer(settings: Dkim, keys: Path) -> Signer:
    found = Signer.from_settings(settings, keys)
    assert found is not None
    return found


def signed(settings: Dkim, keys: Path, language: str = "zh-CN") -> bytes:
    return composer(signer=signer(settings, keys)).message(recipient(language=language), NOW).data


class _VerifyKey:
    """The one thing that dkimpy asks of PyNaCl, which would be one more library: the check on the curve itself."""

    def __init__(self, key: bytes, encoder: Any = None) -> None:
        self._key = ed25519.Ed25519PublicKey.from_public_bytes(base64.b64decode(key))

    def verify(self, digest: bytes, signature: bytes) -> None:
        self._key.verify(signature, digest)


@pytest.fixture(scope="module", autouse=True)
def _curve() -> None:
    if not hasattr(dkim, "nacl"):
        dkim.nacl = SimpleNamespace(
            signing=SimpleNamespace(VerifyKey=_VerifyKey),
            encoding=SimpleNamespace(Base64Encoder=None),
            exceptions=SimpleNamespace(ValueError=ValueError, BadSignatureError=InvalidSignature),
        )


def verified(data: bytes, by: Signer) -> list[bool]:
    """What dkimpy says of each signature."""
    records = {f"{name}.".encode(): text.encode() for name, text in by.records()}
    checked = dkim.DKIM(data)
    count = sum(name.lower() == b"dkim-signature" for name, _value in checked.headers)
    answers = []
    for index in range(count):
        try:
            answers.append(bool(checked.verify(index, dnsfunc=lambda name, timeout=5: records.get(name))))
        except dkim.DKIMException:
            answers.append(False)
    return answers


def test_without_a_domain_nothing_is_signed(keys: Path) -> None:
    assert Signer.from_settings(Dkim(), keys) is None
    assert b"DKIM-Signature" not in composer().message(recipient(), NOW).data


@pytest.mark.parametrize(("settings", "number"), [(RSA, 1), (ED, 1), (BOTH, 2)])
@pytest.mark.parametrize("language", ("zh-CN", "en"))
def test_dkimpy_accepts_the_signatures(keys: Path, settings: Dkim, number: int, language: str) -> None:
    assert verified(signed(settings, keys, language), signer(settings, keys)) == [True] * number


def test_a_signature_says_what_it_should(keys: Path) -> None:
    head = signed(BOTH, keys).partition(b"\r\n\r\n")[0].decode()
    fields = ["".join(field.split()) for field in head.replace("\r\n ", " ").split("\r\n") if field.startswith("DKIM-")]
    assert [dict(tag.split("=", 1) for tag in field.partition(":")[2].split(";"))["a"] for field in fields] == [
        "rsa-sha256",
        "ed25519-sha256",
    ]
    tags = dict(tag.split("=", 1) for tag in fields[0].partition(":")[2].split(";"))
    assert (tags["v"], tags["c"], tags["d"], tags["s"], tags["t"]) == ("1", "relaxed/simple", "example.org", "r1", str(NOW))
    assert "l" not in tags
    names = tags["h"].split(":")
    for once in ("from", "subject", "to", "date", "content-type", "list-unsubscribe", "list-unsubscribe-post", "list-id"):
        assert names.count(once) == 2, once  # one more than there are
    for absent in ("reply-to", "cc", "sender"):
        assert names.count(absent) == 1, absent
    assert max(map(len, head.split("\r\n"))) <= 120


def test_what_is_signed_is_what_is_sent(keys: Path) -> None:
    assert signed(BOTH, keys).endswith(composer().message(recipient(), NOW).data)
    assert signed(BOTH, keys) == signed(BOTH, keys)


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "a byte of List-Unsubscribe": lambda data: data.replace(b"/unsubscribe/", b"/unsubscribed/", 1),
    "a second List-Unsubscribe": lambda data: b"List-Unsubscribe: <https://evil.example/>\r\n" + data,
    "a second Subject": lambda data: b"Subject: buy\r\n" + data,
    "a second From": lambda data: b"From: <other@example.org>\r\n" + data,
    "a Reply-To": lambda data: b"Reply-To: <other@example.com>\r\n" + data,
    "another Content-Type": lambda data: b"Content-Type: text/html\r\n" + data,
    "a byte of the body": lambda data: data[:-400] + bytes([data[-400] ^ 1]) + data[-399:],
    "more at the end": lambda data: data + b"more\r\n",
    "no List-Unsubscribe-Post": lambda data: data.replace(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n", b"", 1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_message_is_refused(keys: Path, change: str) -> None:
    data = signed(BOTH, keys)
    altered = CHANGES[change](data)
    assert altered != data
    assert verified(altered, signer(BOTH, keys)) == [False, False]


def test_fields_may_be_folded_anew_and_empty_lines_added_on_the_way(keys: Path) -> None:
    data = signed(BOTH, keys)
    again = data.replace(b"Precedence: bulk", b"Precedence:\r\n   bulk", 1) + b"\r\n\r\n"
    assert verified(again, signer(BOTH, keys)) == [True, True]


pieces = st.sampled_from((b"a", b" ", b"\t", b"\r\n", b"\r\n\r\n", b".", b"word  word", b"=3D", b" \r\n"))


@given(
    body=st.lists(pieces, max_size=12).map(b"".join),
    subject=st.lists(st.sampled_from((b"a", b"  ", b"\t", b"\r\n b", b"x y ")), max_size=6).map(b"".join),
    twice=st.booleans(),
)
def test_any_message_is_made_canonical_as_the_verifier_does(keys: Path, body: bytes, subject: bytes, twice: bool) -> None:
    head = b"From: <a@example.org>\r\nSubject: s" + subject + b"\r\nTo:\t<b@example.net> \r\n"
    data = head + (b"Cc: <c@example.net>\r\n" * 2 if twice else b"") + b"\r\n" + body
    one = signer(BOTH, keys)
    assert verified(one.sign(data, NOW), one) == [True, True]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"rsa_key": "nowhere.pem"}, "rsa_key: .*nowhere.pem: No such file"),
        ({"rsa_key": "short.pem"}, "1024 bits"),
        ({"rsa_key": "ed.pem"}, "no RSA key"),
        ({"rsa_key": "text.pem"}, "no private key"),
        ({"rsa_key": "locked.pem"}, "password"),
        ({"ed25519_key": "rsa.pem"}, "no Ed25519 key"),
        ({"ed25519_key": "curve.pem"}, "no Ed25519 key"),
        ({"rsa_selector": "a b"}, "rsa_selector"),
        ({"domain": "example.org;"}, "domain"),
    ],
)
def test_a_key_that_nothing_can_be_signed_with_is_refused(keys: Path, settings: dict[str, str], reason: str) -> None:
    with pytest.raises(DkimError, match=reason) as caught:
        Signer.from_settings(BOTH.model_copy(update=settings), keys)
    assert "PRIVATE" not in str(caught.value) and "\n" not in str(caught.value)


# -- Debian's opendkim -----------------------------------------------------


def opendkim(tool: Callable[[str], str], folder: Path, data: bytes, by: Signer) -> str:
    """What it says; its exit status is 0 for a bad signature, too."""
    records = "".join(f"{name} {text}\n" for name, text in by.records())
    (folder / "dns.txt").write_text(records)
    (folder / "opendkim.conf").write_text(f"Mode v\nTestDNSData {folder / 'dns.txt'}\n")
    (folder / "message.eml").write_bytes(data)
    command = [tool("opendkim"), "-t", str(folder / "message.eml"), "-x", str(folder / "opendkim.conf")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return ran.stdout + ran.stderr


@pytest.mark.interop
@pytest.mark.parametrize("language", ("zh-CN", "en"))
def test_opendkim_accepts_the_signature(tool: Callable[[str], str], keys: Path, tmp_path: Path, language: str) -> None:
    said = opendkim(tool, tmp_path, signed(RSA, keys, language), signer(RSA, keys))
    assert re.search(r"verification \(s=r1, d=example\.org, 2048-bit key\) succeeded", said), said


@pytest.mark.interop
@pytest.mark.parametrize("change", CHANGES)
def test_opendkim_refuses_a_changed_message(tool: Callable[[str], str], keys: Path, tmp_path: Path, change: str) -> None:
    said = opendkim(tool, tmp_path, CHANGES[change](signed(RSA, keys)), signer(RSA, keys))
    assert "succeeded" not in said
    assert "failed" in said or "syntax error" in said, said
