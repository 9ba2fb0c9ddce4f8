"""Files that the server reads by itself."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from feeds.web import file_parts
from feeds.web.file_parts import FilePart, Slots


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[str], int]:
    def open_file(text: str) -> int:
        (tmp_path / text).write_text(text)
        return os.open(tmp_path / text, os.O_RDONLY)

    return open_file


def test_a_name_opens_the_file_also_after_it_was_closed_and_removed(opened: Callable[[str], int], tmp_path: Path) -> None:
    part = FilePart(opened("first"), 1, 4)
    name = Slots().name(part.descriptor)
    assert b"".join(part) == b"irs"
    part.close()
    part.close()
    (tmp_path / "first").unlink()
    assert name and Path(name).read_text() == "first"


def test_no_more_files_wait_than_there_are_names_and_a_late_name_is_another_published_file(
    opened: Callable[[str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_parts, "SLOTS", 2)
    slots, files = Slots(), [opened(text) for text in "abc"]
    first, second = slots.name(files[0]), slots.name(files[1])
    assert slots.name(files[2]) is None
    monkeypatch.setattr(file_parts.time, "monotonic", lambda: 10.0**12)
    assert slots.name(files[2]) == first and Path(str(first)).read_text() == "c" and Path(str(second)).read_text() == "b"
    for descriptor in files:
        os.close(descriptor)


def test_a_worker_serves_a_large_file_and_parts_of_it_and_a_client_that_takes_nothing_costs_no_memory(
    new_site: Callable[..., Any], running: Callable[..., Any]
) -> None:
    site = new_site(base_url="http://localhost", article_url="", image_url="", store={"path": "articles", "kind": "plain"})
    data = b"0000ftyp" + os.urandom(24 * 1024 * 1024)
    site.write("v.mp4", data)
    site.write("a.md", "---\ntitle: A\ndate: 2024-05-06\n---\n\n[v](v.mp4)\n")
    site.rescan()
    service = running(site.config_dir, "--workers", "1", "--no-clock").ready()
    [address] = set(re.findall(r"/files/[0-9a-f]{32}/v.mp4", service.request("/all.atom")[2].decode()))
    assert service.request(address)[2] == data
    status, headers, part = service.request(address, {"Range": "bytes=5000000-23000000"})
    assert status == 206 and part == data[5_000_000:23_000_001]
    assert headers["Content-Range"] == f"bytes 5000000-23000000/{len(data)}"
    before, clients = resident(service.process.pid), []
    for _ in range(12):
        client = socket.create_connection(("127.0.0.1", service.port))
        client.sendall(f"GET {address} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert client.recv(15) == b"HTTP/1.1 200 OK"
        clients.append(client)
    assert service.request("/articles/a")[0] == 200
    assert resident(service.process.pid) - before < 2 * len(data)
    for client in clients:
        client.close()


def resident(parent: int) -> int:
    """The memory of the processes that a process has started, in bytes."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    pages = sum(int(Path(f"/proc/{child}/statm").read_text().split()[1]) for child in children)
    return pages * os.sysconf("SC_PAGE_SIZE")
