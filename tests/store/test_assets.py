"""Files of a store as they are opened and read, whatever lies there."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from feeds.store.assets.kinds import KINDS
from feeds.store.assets.opening import MISSING, open_inside, read_asset, read_data
from feeds.store.generators.find import find_site
from feeds.store.kinds import StoreOptions
from feeds.store.parse import parse_article
from feeds.store.parse_settings import AssetSettings, ParseSettings
from feeds.store.walk import UNSETTLED

PNG = b"\x89PNG\r\n\x1a\n" + bytes(60)
LATER = 4_000_000_000 * 10**9


@pytest.mark.parametrize(
    "path", ["", ".", "..", "../a.png", "a/../a.png", "/etc/passwd", "a//b.png", "a.png/", "\0", "a\0.png"]
)
def test_no_path_leads_out_of_a_store(tmp_path: Path, path: str) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    store = tmp_path / "store"
    store.mkdir()
    with pytest.raises((OSError, ValueError)):
        open_inside(str(store), path)


def test_a_file_is_read_with_its_hash_its_size_and_its_stamp(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b c.png").write_bytes(PNG)
    first, fault = read_asset(str(tmp_path), "a/b c.png", 1000, LATER)
    assert not fault and len(first.hash) == 32 and first.size == len(PNG) and first.address == f"/files/{first.hash}/b%20c.png"
    young, _ = read_asset(str(tmp_path), "a/b c.png", 1000, time.time_ns())
    assert young.stamp == UNSETTLED and young.hash == first.hash
    assert read_asset(str(tmp_path), "a/none.png", 1000, LATER)[0].stamp == MISSING


def test_what_is_no_plain_file_is_named_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("/dev/zero")
    (tmp_path / "around.png").symlink_to("around.png")
    (tmp_path / "folder.png").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(tmp_path)  # names of sockets are short
        try:
            server.bind("socket.png")
        finally:
            os.chdir(here)
        for name in ("pipe", "link", "around", "folder", "socket"):
            asset, fault = read_asset(str(tmp_path), f"{name}.png", 1000, LATER)
            assert fault and not asset.hash and asset.stamp not in (MISSING, UNSETTLED)


def test_a_file_of_ten_gigabytes_is_refused_without_being_read(tmp_path: Path) -> None:
    with open(tmp_path / "a.zip", "wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(10 * 1024**3)
    asset, fault = read_asset(str(tmp_path), "a.zip", 1_000_000, LATER)
    assert "larger than 1000000 bytes" in fault and not asset.hash


@pytest.mark.parametrize("data", [b"", b"<html>", b"<?xml version='1.0'?><html/>", b"#!/bin/sh", b"GIF8", b"\0" * 600, b"MZ"])
def test_no_name_makes_something_else_of_a_file(tmp_path: Path, data: bytes) -> None:
    plain = {suffix for suffix, kind in KINDS.items() if kind.media_type.startswith("text/plain")}
    for suffix in KINDS.keys() - (plain if data in (b"", b"#!/bin/sh", b"GIF8", b"MZ") else set()):
        (tmp_path / f"a.{suffix}").write_bytes(data)
        asset, fault = read_asset(str(tmp_path), f"a.{suffix}", 1000, LATER)
        assert fault and not asset.hash, suffix


@pytest.mark.parametrize(
    "address",
    [
        "data:image/png,x",
        "data:image/png;base64,",
        "data:image/svg+xml,<svg/>",
        "data:text/html,x",
        "data:",
        "data:image/png;base64,%%%",
    ],
)
def test_what_is_no_picture_in_an_address_is_none(address: str) -> None:
    assert read_data(address, 1_000_000) is None


def test_an_article_says_which_of_its_files_are_not_published(tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(PNG + bytes(2000))
    (tmp_path / "page.png").write_bytes(b"<html>")
    site = find_site(str(tmp_path), StoreOptions(kind="plain"), "")
    settings = ParseSettings(str(tmp_path), "UTC", 1_000_000, site=site, assets=AssetSettings(1000))
    text = b"---\ntitle: a\ndate: 2024-05-06\n---\n\n![x](large.png) ![y](page.png) ![z](none.png)\n"
    read = parse_article(settings, "a.md", text, 0, now=LATER // 10**9)
    assert [notice.partition(":")[0] for notice in read.notices] == [
        f"{name}.png is not published" for name in ("large", "page", "none")
    ]
    assert [asset.path for asset in read.assets] == ["large.png", "page.png", "none.png"]
