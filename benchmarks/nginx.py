"""nginx as the ceiling: it serves the same bytes, precompressed, as a file."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from .figures import need
from .processes import HOST, free_port, running, wait_for

_CONFIG = """
{user}
worker_processes 2;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  client_body_temp_path {folder}/temp-body;
  proxy_temp_path {folder}/temp-proxy;
  fastcgi_temp_path {folder}/temp-fastcgi;
  uwsgi_temp_path {folder}/temp-uwsgi;
  scgi_temp_path {folder}/temp-scgi;
  server {{
    listen {host}:{port} reuseport;
    root {folder}/files;
    gzip_static on;
    default_type "{type}";
{headers}
  }}
}}
"""
#: nginx makes these itself.
_OWN = {"content-type", "content-length", "content-encoding", "etag", "last-modified", "date", "server", "connection"}


@contextlib.contextmanager
def serving(folder: Path, headers: Sequence[tuple[str, str]], packed: bytes) -> Iterator[int]:
    """The port of an nginx that serves `packed` (gzip) at /feed, with the same headers. Raises NotMeasured."""
    nginx = need("nginx")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "files").mkdir(parents=True)
    (folder / "files" / "feed").write_bytes(gzip.decompress(packed))
    (folder / "files" / "feed.gz").write_bytes(packed)
    port = free_port()
    written = _CONFIG.format(
        user="user root;" if os.geteuid() == 0 else "",
        folder=folder,
        host=HOST,
        port=port,
        type=next(value for name, value in headers if name.lower() == "content-type"),
        headers="\n".join(f"    add_header {name} {_quoted(value)};" for name, value in headers if name.lower() not in _OWN),
    )
    (folder / "nginx.conf").write_text(written, "utf-8")
    with running([nginx, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]) as process:
        wait_for(port, "/feed", process)
        yield port


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
