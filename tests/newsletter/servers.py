"""Real mail servers on this machine: Postfix, Debian's smtp-sink, Dovecot, and aiosmtpd with answers as wanted.

Each is a context manager that ends what it started, by its own means. They listen on 127.0.0.1 only and keep all they write
in a folder of their own. Postfix and Dovecot change their user, so they have to be started by root.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import signal
import smtplib
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
#: Mail for BOUNCES ends in a Maildir; for NOUSER it is taken, and refused by the next server, so that a report comes back; for
#: REFUSED it is not taken; for GREY it is put off the first time.
BOUNCES, NOUSER, REFUSED, GREY = "bounces.test", "nouser.test", "refused.test", "grey.test"
#: Whose files the Maildir is made of.
OWNER = 65534


class Missing(Exception):
    """A program, or the right to start it, is not here."""


def find(program: str) -> str:
    """The path of a program, also of those for the system's administrator. Raises Missing."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin:/usr/lib/postfix/sbin")
    if found is None:
        raise Missing(f"{program} is not installed")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(what: Callable[[], Any], seconds: float = 15.0, *, but: Callable[[], str] = lambda: "") -> Any:
    """The first true answer of `what`. Raises TimeoutError with what `but` says."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, smtplib.SMTPException):
            if found := what():
                return found
        time.sleep(0.02)
    raise TimeoutError(f"nothing after {seconds} s: {but()}")


def greets(port: int) -> bool:
    with socket.create_connection((HOST, port), timeout=2) as connection:
        return connection.recv(512).startswith((b"220", b"* OK"))


def end(process: subprocess.Popen[bytes], seconds: float = 10.0) -> None:
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(seconds)


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """One that servers may enter after they have changed their user, with a path short enough for their sockets."""
    folder = Path(tempfile.mkdtemp(prefix="mail-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# -- smtp-sink -------------------------------------------------------------


@contextlib.contextmanager
def sink(*options: str, port: int = 0) -> Iterator[int]:
    """Debian's smtp-sink on a port: `sink("-f", "rcpt", "-B", "550 5.1.1 no such user")`; -f: 5xx, -r: 4xx."""
    port = port or free_port()
    user = ("-u", "nobody") if os.geteuid() == 0 else ()
    command = [find("smtp-sink"), *user, *options, f"{HOST}:{port}", "256"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: greets(port), but=lambda: f"smtp-sink: {process.poll()}")
        yield port
    finally:
        end(process)


# -- Postfix ---------------------------------------------------------------

_MASTER = """\
{host}:{port} inet n - n - {limit} smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True)
class Postfix:
    """A running Postfix. `maildir` is where mail for BOUNCES arrives."""

    port: int
    folder: Path
    maildir: Path
    certificate: Path | None

    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def arrived(self) -> list[Path]:
        """Messages in the Maildir, the oldest first."""
        found = [path for place in ("new", "cur") for path in (self.maildir / place).glob("[!.]*")]
        return sorted(found, key=lambda path: path.stat().st_mtime_ns)

    def wait_for_mail(self, number: int = 1, seconds: float = 20.0) -> list[Path]:
        return wait_for(lambda: len(self.arrived()) >= number, seconds, but=self.log) and self.arrived()

    def wait_for_log(self, *words: str, seconds: float = 20.0) -> None:
        """Until the log holds each of these."""
        wait_for(lambda: all(word in self.log() for word in words), seconds, but=self.log)


@contextlib.contextmanager
def postfix(*, tls: bool = False, connections: int = 100, policy: bool = False, **settings: str) -> Iterator[Postfix]:
    """Postfix with a queue of its own: BOUNCES to a Maildir, NOUSER to a server that refuses, all else discarded.

    `tls`: offers STARTTLS with a certificate for 127.0.0.1 and localhost. `policy`: refuses REFUSED, and puts mail for GREY
    off once for each recipient. `settings` go to main.cf as they are.
    """
    program = find("postfix")
    if os.geteuid() != 0:
        raise Missing("Postfix is started by root only")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(open_folder())
        nobody = stack.enter_context(sink("-f", "rcpt", "-B", "550 5.1.1 no such user"))
        values = _main(folder, nobody)
        certificate = folder / "certificate.pem" if tls else None
        if certificate is not None:
            values |= _certified(certificate)
        if policy:
            asked = stack.enter_context(policy_server())
            values["smtpd_recipient_restrictions"] = f"check_policy_service inet:{HOST}:{asked}, permit"
        port = free_port()
        _write(folder, values | settings, _MASTER.format(host=HOST, port=port, limit=connections))
        running = Postfix(port, folder, folder / "mail" / "bounce", certificate)
        stack.callback(_stop, program, folder)
        _postfix(program, folder, "start")
        wait_for(lambda: greets(port), but=lambda: running.log() if (folder / "log").exists() else "no log")
        yield running


def _main(folder: Path, nobody: int) -> dict[str, str]:
    return {
        "compatibility_level": "3.6",
        "queue_directory": f"{folder}/queue",
        "data_directory": f"{folder}/data",
        "maillog_file": f"{folder}/log",
        "maillog_file_prefixes": str(folder),
        "mail_owner": "postfix",
        "setgid_group": "postdrop",
        "inet_interfaces": HOST,
        "inet_protocols": "ipv4",
        "myhostname": "mx.postfix.test",
        "mydestination": "",
        "mynetworks": "127.0.0.0/8",
        "local_recipient_maps": "",
        "alias_maps": "",
        "alias_database": "",
        "recipient_delimiter": "+",
        "default_transport": "discard",
        "relay_transport": "discard",
        "transport_maps": f"inline:{{ {{ {NOUSER} = smtp:[{HOST}]:{nobody} }} }}",
        "disable_dns_lookups": "yes",
        "virtual_mailbox_domains": BOUNCES,
        "virtual_mailbox_base": f"{folder}/mail",
        "virtual_mailbox_maps": "static:bounce/",
        "virtual_uid_maps": f"static:{OWNER}",
        "virtual_gid_maps": f"static:{OWNER}",
        "smtpd_peername_lookup": "no",
        "smtpd_client_connection_count_limit": "0",
        "smtpd_recipient_limit": "1000",
        "message_size_limit": "20480000",
    }


def _write(folder: Path, values: Mapping[str, str], master: str) -> None:
    for name, owner in (("queue", 0), ("mail", OWNER)):
        (folder / name).mkdir()
        os.chown(folder / name, owner, owner)
    data = folder / "data"
    data.mkdir()
    shutil.chown(data, "postfix", "postfix")
    (folder / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in values.items()))
    (folder / "master.cf").write_text(master)


def _postfix(program: str, folder: Path, verb: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([program, "-c", str(folder), verb], check=verb == "start", capture_output=True, timeout=30)


def _stop(program: str, folder: Path) -> None:
    """By its own `stop`; the master process is killed only where that does not end it in time."""
    pid = _master(folder)
    with contextlib.suppress(subprocess.TimeoutExpired):
        _postfix(program, folder, "stop")
    with contextlib.suppress(TimeoutError):
        wait_for(lambda: pid is None or not _runs(pid), 10)
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid or 0, signal.SIGKILL)


def _master(folder: Path) -> int | None:
    try:
        return int((folder / "queue" / "pid" / "master.pid").read_text().strip())
    except (OSError, ValueError):
        return None


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _certified(certificate: Path) -> dict[str, str]:
    certificate.write_bytes(make_certificate())
    return {"smtpd_tls_security_level": "may", "smtpd_tls_chain_files": str(certificate), "smtpd_tls_loglevel": "1"}


def make_certificate(days: int = 2) -> bytes:
    """A key and a certificate that it signed itself, for this machine's names, valid for so many days from now; PEM."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(HOST))])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(x509.random_serial_number()).add_extension(names, critical=False)
    built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    built = built.not_valid_before(now - datetime.timedelta(days=9)).not_valid_after(now + datetime.timedelta(days=days))
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private + built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@contextlib.contextmanager
def policy_server() -> Iterator[int]:
    """A policy server (Postfix's protocol) that refuses recipients at REFUSED and puts off each one at GREY once: the port."""
    seen: set[str] = set()

    class Policy(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            asked: dict[str, str] = {}
            for line in self.rfile:
                name, _, value = line.decode("utf-8", "replace").strip().partition("=")
                if name:
                    asked[name] = value
                    continue
                self.wfile.write(f"action={self.action(asked.get('recipient', ''))}\n\n".encode())
                asked.clear()

        def action(self, recipient: str) -> str:
            domain = recipient.rpartition("@")[2]
            if domain == REFUSED:
                return "550 5.1.1 no such user"
            known = recipient in seen or domain != GREY
            seen.add(recipient)
            return "dunno" if known else "defer_if_permit 4.7.1 Greylisted, come back later"

    with socketserver.ThreadingTCPServer((HOST, 0), Policy) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(5)


# -- Dovecot ---------------------------------------------------------------

PASSWORD = "pass:word/1"

_DOVECOT = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
listen = 127.0.0.1
protocols = imap
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = maildir:{maildir}
mail_uid = {owner}
mail_gid = {owner}
first_valid_uid = 100
first_valid_gid = 100
default_vsz_limit = 0
service imap-login {{
  chroot =
  process_min_avail = 0
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={owner} gid={owner} home={folder}/home
}}
"""


@contextlib.contextmanager
def dovecot(maildir: Path) -> Iterator[int]:
    """IMAP for a Maildir, for any user with PASSWORD, without TLS: the port."""
    program = find("dovecot")
    if os.geteuid() != 0:
        raise Missing("Dovecot is started by root only")
    with open_folder() as folder:
        port = free_port()
        (folder / "home").mkdir()
        os.chown(folder / "home", OWNER, OWNER)
        text = _DOVECOT.format(folder=folder, maildir=maildir, owner=OWNER, port=port, password=PASSWORD)
        (folder / "dovecot.conf").write_text(text)
        command = [program, "-F", "-c", str(folder / "dovecot.conf")]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        log = folder / "log"
        try:
            wait_for(lambda: greets(port), but=lambda: log.read_text() if log.exists() else f"no log, {process.poll()}")
            yield port
        finally:
            end(process)


# -- aiosmtpd --------------------------------------------------------------


@dataclass
class Receiver:
    """An SMTP server in a thread. `answers`: recipient -> what to say at RCPT, in turn, then 250; `arrived`: whole messages."""

    answers: dict[str, list[str]] = field(default_factory=dict)
    arrived: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if said := self.answers.get(address):
            return said.pop(0)
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.arrived.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.original_content))
        return "250 2.0.0 taken"


@contextlib.contextmanager
def receiver(answers: Mapping[str, list[str]] | None = None) -> Iterator[Receiver]:
    from aiosmtpd.controller import Controller

    handler = Receiver({address: list(said) for address, said in (answers or {}).items()}, port=free_port())
    controller = Controller(handler, hostname=HOST, port=handler.port)
    controller.start()
    try:
        yield handler
    finally:
        controller.stop()


@contextlib.contextmanager
def needed() -> Iterator[None]:
    """What is not installed skips a test, but fails it in CI, which has everything."""
    import pytest

    try:
        yield
    except Missing as missing:
        if os.environ.get("CI"):
            pytest.fail(f"{missing}, and CI must have it")
        pytest.skip(str(missing))
