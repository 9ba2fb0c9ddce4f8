"""The walk of the store: which files there are and which changed."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.errors import StoreError
from feeds.store.walk import Listing, compare, file_stamp, is_leftover, list_files


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    for path in ("1.md", "2020/01/2.md", "2020/01/3.markdown"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("x")
    return folder


def paths(store: Path) -> set[str]:
    return set(list_files(str(store)).files)


def test_articles_are_found_in_all_folders_by_their_endings(store: Path) -> None:
    for path in ("README", "x.txt", "x.md.swp", "x.md~", ".git/x.md", "2020/.hidden/x.md"):
        (store / path).parent.mkdir(parents=True, exist_ok=True)
        (store / path).write_text("x")
    (store / "folder.md").mkdir()
    (store / "folder.md" / "inside.md").write_text("x")
    assert paths(store) == {"1.md", "2020/01/2.md", "2020/01/3.markdown", "folder.md/inside.md"}


LEFT_BEHIND = {
    "macOS": ["._1.md", ".DS_Store", "__MACOSX/1.md", ".Trashes/1.md", ".AppleDouble/1.md", "Icon\r"],
    "Emacs": [".#1.md", "#1.md#", "1.md~", "1.md.~2~", ".1.md.~undo-tree~"],
    "Vim": [".1.md.swp", ".1.md.swo", "1.md.swp", "4913", ".1.md.un~", "1.MD~"],
    "nano, Kate, JetBrains, gedit": ["1.md.save", "1.md.save.3", ".1.md.kate-swp", "1.md___jb_tmp___", ".goutputstream-A1B2C3"],
    "Office, Windows": ["~$1.md", "Thumbs.db", "desktop.ini", "$RECYCLE.BIN/1.md", "System Volume Information/1.md"],
    "downloads, rsync": ["1.md.part", "1.md.tmp", "1.md.crdownload", ".1.md.Xy12Zz", "1.md.bak", "1.md.BAK"],
    "merges": ["1.md.orig", "1.md.rej", "1_BASE_4711.md", "1_LOCAL_4711.md", "2020/1_REMOTE_4711.md", "1_BACKUP_4711.markdown"],
    "synchronising": ["~syncthing~1.md.tmp", ".syncthing.1.md.tmp", ".stfolder/1.md", ".dropbox.cache/1.md"],
    "version control": [".git/x.md", ".svn/1.md", ".hg/1.md", ".gitignore"],
    "stores": ["@eaDir/1.md", "#recycle/1.md", "lost+found/1.md", "node_modules/p/README.md", "2020/NODE_MODULES/1.md"],
    "hidden": [".1.md", ".1.markdown", "2020/.hidden/x.md", "2020/01/.2.MD"],
}


@pytest.mark.parametrize("path", [path for some in LEFT_BEHIND.values() for path in some])
def test_what_is_hidden_or_left_behind_is_no_article_and_is_counted(store: Path, path: str) -> None:
    before = paths(store)
    (store / path).parent.mkdir(parents=True, exist_ok=True)
    (store / path).write_text("x")
    found = list_files(str(store))
    assert (set(found.files), found.ignored, found.problems) == (before, 1, [])


NAMES = st.text(st.characters(whitelist_categories=["L", "N"], whitelist_characters=" -,!'"), min_size=1, max_size=30)
#: What programs make of the name of a file that they have open.
WRAPS = (
    *(".{}", "._{}", ".#{}", "#{}#", "{}~", "{}.~3~", "~${}", ".{}.swp", "{}.swp", ".{}.un~", "{}.bak", "{}.orig", "{}.rej"),
    *(
        "{}.tmp",
        "{}.part",
        ".{}.AbCdEf",
        "{}___jb_tmp___",
        "~syncthing~{}.tmp",
        "{}.save",
        ".goutputstream-{}",
        "{}.BAK",
        "{}.Orig",
    ),
)


@given(name=NAMES, suffix=st.sampled_from([".md", ".markdown", ".MD", ".Md"]), wrap=st.sampled_from(WRAPS))
def test_any_article_is_one_and_nothing_is_that_a_program_made_of_its_name(name: str, suffix: str, wrap: str) -> None:
    assert not is_leftover(name + suffix)
    assert is_leftover(wrap.format(name + suffix))


def test_a_lock_of_emacs_is_a_link_to_nowhere(store: Path) -> None:
    (store / ".#1.md").symlink_to("me@host.example.org.4711:1700000000")
    found = list_files(str(store))
    assert (found.ignored, found.problems) == (1, [])


@pytest.mark.parametrize(
    "path",
    (
        *(
            "#1 rule.md",
            "a~b.md",
            "C#.md",
            "4913.md",
            "4913/1.md",
            "tmp.md",
            "tmp/1.md",
            "bak.md",
            "x.orig.md",
            "lost+found.md",
        ),
        *(
            "my conflicted feelings.md",
            "conflict.md",
            "$100.md",
            "BASE_1.md",
            "node_modules.md",
            "_index.md",
            "x_BASE.md",
            "~.md",
        ),
    ),
)
def test_an_article_that_only_looks_a_little_like_it_is_an_article(store: Path, path: str) -> None:
    (store / path).parent.mkdir(parents=True, exist_ok=True)
    (store / path).write_text("x")
    found = list_files(str(store))
    assert path in found.files and not found.ignored and not found.problems


@pytest.mark.parametrize(
    "name",
    (
        *("1.sync-conflict-20240131-120000-ABCDEF7.md", "1 (conflicted copy 2024-01-31 120000).md"),
        *("1_conflict-20240131-120000.md", "1 (Ada's conflicted copy 2024-01-31).MD", "1 (Case Conflicted Copy).md"),
    ),
)
def test_a_copy_made_of_a_conflict_is_named_and_not_published_beside_its_original(store: Path, name: str) -> None:
    before = paths(store)
    (store / name).write_text("x")
    found = list_files(str(store))
    assert set(found.files) == before
    assert [(problem.path, problem.kind) for problem in found.problems] == [(name, "conflict")]


@pytest.mark.parametrize("name", ["x.MD", "x.Md", "x.MARKDOWN", "x.Markdown"])
def test_an_ending_counts_in_any_case(store: Path, name: str) -> None:
    (store / name).write_text("x")
    assert name in paths(store)


def test_a_file_is_known_by_size_and_both_times(store: Path) -> None:
    status = (store / "1.md").stat()
    assert list_files(str(store)).files["1.md"] == file_stamp(status)


def test_devices_and_pipes_are_no_articles(store: Path) -> None:
    os.mkfifo(store / "pipe.md")
    assert "pipe.md" not in paths(store)


def test_a_link_to_an_article_inside_the_store_is_followed(store: Path) -> None:
    (store / "link.md").symlink_to("2020/01/2.md")
    found = list_files(str(store))
    assert found.files["link.md"] == found.files["2020/01/2.md"]
    assert not found.problems


@pytest.mark.parametrize("target", ["/etc/passwd", "../secret.md", "2020/../../secret.md", "away/secret.md"])
def test_a_link_that_leaves_the_store_is_not_followed_and_is_listed(store: Path, target: str) -> None:
    (store.parent / "secret.md").write_text("secret")
    (store / "away").symlink_to(store.parent)
    (store / "link.md").symlink_to(target)
    found = list_files(str(store))
    assert "link.md" not in found.files
    assert [(problem.path, problem.kind) for problem in found.problems] == [("link.md", "link")]


def test_links_to_folders_are_not_followed_so_loops_do_no_harm(store: Path) -> None:
    (store / "loop").symlink_to(".")
    (store / "2020" / "up").symlink_to("..")
    (store / "self.md").symlink_to("self.md")
    (store / "dangling.md").symlink_to("nowhere.md")
    (store / "to-folder.md").symlink_to("2020")
    assert paths(store) == {"1.md", "2020/01/2.md", "2020/01/3.markdown"}
    assert {problem.path for problem in list_files(str(store)).problems} == {"self.md", "dangling.md"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_file_is_named_and_not_opened(store: Path) -> None:
    os.mkfifo(store / "pipe.md")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(store / "socket.md"))
        (store / "folder.md").mkdir()
        (store / "folder.md" / "4.md").write_text("x")
        found = list_files(str(store))
    assert set(found.files) == {"1.md", "2020/01/2.md", "2020/01/3.markdown", "folder.md/4.md"}
    assert sorted((problem.path, problem.kind) for problem in found.problems) == [
        ("pipe.md", "special"),
        ("socket.md", "special"),
    ]


def test_a_neighbour_of_the_store_with_a_longer_name_is_outside(store: Path) -> None:
    (store.parent / "store-2").mkdir()
    (store.parent / "store-2" / "x.md").write_text("x")
    (store / "link.md").symlink_to("../store-2/x.md")
    assert "link.md" not in paths(store)


def test_a_name_that_is_not_utf8_is_listed_and_harms_nothing(store: Path) -> None:
    with open(os.fsencode(store) + b"/\xd6\xd0.md", "w") as file:
        file.write("x")
    Path(os.fsdecode(os.fsencode(store) + b"/\xce\xc4")).mkdir()
    found = list_files(str(store))
    assert set(found.files) == {"1.md", "2020/01/2.md", "2020/01/3.markdown"}
    assert sorted((problem.path, problem.kind) for problem in found.problems) == [
        ("\\xce\\xc4", "encoding"),
        ("\\xd6\\xd0.md", "encoding"),
    ]


def test_names_in_any_script_are_found(store: Path) -> None:
    (store / "目录 一").mkdir()
    (store / "目录 一" / "文章 'x' #1?.md").write_text("x")
    assert "目录 一/文章 'x' #1?.md" in paths(store)


@pytest.mark.parametrize("name", ["missing", "1.md"])
def test_a_store_that_is_no_folder_is_an_error_and_not_an_empty_store(store: Path, name: str) -> None:
    with pytest.raises(StoreError, match=name):
        list_files(str(store / name))


STAMPS = st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2))
FILES = st.dictionaries(st.sampled_from([f"{folder}{name}.md" for folder in ("", "a/", "b/") for name in "xyz"]), STAMPS)


@given(FILES, FILES)
def test_what_changed_is_what_is_new_other_or_gone(
    before: dict[str, tuple[int, int, int]], after: dict[str, tuple[int, int, int]]
) -> None:
    changes = compare(before, Listing(files=after))
    assert set(changes.to_read) == {path for path in after if before.get(path) != after[path]}
    assert set(changes.removed) == set(before) - set(after)
    assert changes.unchanged == len(set(before.items()) & set(after.items()))
    assert list(changes.to_read) == sorted(changes.to_read)
    assert set(compare(before, Listing(files=after), everything=True).to_read) == set(after)


@given(FILES, FILES, st.sets(st.sampled_from(["a/x.md", "b/y.md", "gone.md"])))
def test_files_to_try_again_are_read_only_when_anything_else_happened(
    before: dict[str, tuple[int, int, int]], after: dict[str, tuple[int, int, int]], again: set[str]
) -> None:
    plain = compare(before, Listing(files=after))
    found = compare(before, Listing(files=after), again=again)
    more = again & set(after) if plain.to_read or plain.removed else set()
    assert set(found.to_read) == set(plain.to_read) | more


@given(FILES, FILES)
def test_files_of_a_folder_that_cannot_be_read_do_not_count_as_removed(
    before: dict[str, tuple[int, int, int]], after: dict[str, tuple[int, int, int]]
) -> None:
    visible = {path: stamp for path, stamp in after.items() if not path.startswith("a/")}
    changes = compare(before, Listing(files=visible, unreadable=["a/"]))
    assert set(changes.removed) == {path for path in before if not path.startswith("a/")} - set(visible)


class Torn:
    """A listing that is interrupted, as on a network disk that goes away."""

    def __init__(self, entries: Any) -> None:
        self.entries = entries

    def __enter__(self) -> Torn:
        return self

    def __exit__(self, *_error: object) -> None:
        self.entries.close()

    def __iter__(self) -> Iterator[Any]:
        yield next(self.entries)
        raise OSError(errno.ESTALE, "Stale file handle")


@pytest.mark.parametrize("folder", ["", "2020/01"])
def test_an_interrupted_listing_removes_nothing(store: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    known, really = list_files(str(store)).files, os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: Torn(really(path)) if Path(path) == store / folder else really(path))
    if not folder:
        with pytest.raises(StoreError, match="Stale file handle"):
            list_files(str(store))
        return
    found = list_files(str(store))
    assert compare(known, found).removed == ()
    assert [(problem.path, problem.reason) for problem in found.problems] == [("2020/01/", "cannot be read: Stale file handle")]
