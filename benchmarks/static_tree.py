"""nginx over the exported tree, configured as docs/static.md says, against nginx over any static file of that size.

The other nginx serves the same bytes from a folder of one file, without any header, rule or table of redirects.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from . import nginx
from .bench import Bench
from .figures import Figure, middle, need, ratio, spread
from .processes import HOST, free_port, get, running, wait_for
from .stores import ROOT
from .throughput import GZIP, WANTED, Target, rate

_MAIN = """
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
{documented}
}}
"""


def measure(bench: Bench) -> Iterator[Figure]:
    wrk = need("wrk")
    site = bench.site("export", bench.store(bench.articles)).catalogued()
    tree = bench.folder / "tree"
    site.run("export", str(tree))
    packed = min(tree.glob("tags/*.atom.gz"), key=lambda path: abs(path.stat().st_size - WANTED))
    page = min(tree.glob("tags/*/page/*.html.gz"), key=lambda path: abs(path.stat().st_size - 8_000))
    with _serving(bench.folder / "nginx-tree", tree) as port:
        for what, file in (("a feed", packed), ("a page", page)):
            address = "/" + quote(file.relative_to(tree).as_posix().removesuffix(".gz").removesuffix(".html"))
            with _any(bench.folder / "nginx-any", file.read_bytes()) as other:
                ours, any_file = Target("the tree", port, address, address, {}), Target("any file", other, "/feed", "/feed", {})
                assert get(port, address, GZIP)[2] == get(other, "/feed", GZIP)[2] == file.read_bytes()
                for _round in range(bench.rounds(7)):
                    for target in (ours, any_file):
                        target.rates.setdefault(200, []).append(rate(wrk, target, 200, 1 if bench.quick else 3))
            mine, theirs = ours.rates[200], any_file.rates[200]
            note = (
                f"{file.stat().st_size / 1000:.0f} KB packed; requests/s: {middle(mine):,.0f} ({spread(mine)}), "
                f"any file {middle(theirs):,.0f} ({spread(theirs)})"
            )
            yield Figure(f"nginx over the tree, {what}", ratio(mine, theirs), "x", 0.95, at_least=True, note=note)


@contextlib.contextmanager
def _serving(folder: Path, tree: Path) -> Iterator[int]:
    found = re.search(r"```nginx\n(.*?)```", (ROOT / "docs" / "static.md").read_text("utf-8"), re.DOTALL)
    assert found is not None
    port = free_port()
    documented = found[1].replace("/srv/www/feeds", str(tree)).replace("listen 80;", f"listen {HOST}:{port} reuseport;")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_MAIN.format(user=user, folder=folder, documented=documented), "utf-8")
    with running([need("nginx"), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]) as process:
        wait_for(port, "/", process)
        yield port


def _any(folder: Path, packed: bytes) -> contextlib.AbstractContextManager[int]:
    assert gzip.decompress(packed)
    return nginx.serving(folder, [("Content-Type", "text/plain")], packed)
