"""What comes along with an installation: pinned by hashes, known by a line, under a licence that goes with ours, complete."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata

import pytest

from tools.reference import PAGES, Unexplained, dependencies
from tools.reference.dependencies import EXTRAS, LICENCES, PACKAGES, ROOT, pinned

LOCKS = ("requirements.lock", "requirements-dev.lock")
#: What authors write in place of an SPDX expression. Of a dual licence, one that suits is enough.
SPELLINGS = {
    "apache": "Apache-2.0",
    "mozilla": "MPL-2.0",
    "gnu lesser": "LGPL-3.0-or-later",
    "gnu lgpl": "LGPL-3.0-or-later",
    "lgplv3": "LGPL-3.0-or-later",
    "bsd": "BSD-3-Clause",
    "mit": "MIT",
    "isc": "ISC",
    "python software": "PSF-2.0",
    "unlicense": "Unlicense",
    "dfsg": "BSD-3-Clause",
    "artistic": "Artistic-1.0-Perl",
}
#: Of tools that are used and not passed on: the licence of old Python regular expressions.
TOOLS = LICENCES | {"CNRI-Python"}


def said(name: str) -> set[str]:
    """What a package says of its own licence, in SPDX words; nothing where it is not installed on this machine."""
    try:
        found = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return set()
    if expression := found.get("License-Expression"):
        return set(re.findall(r"[A-Za-z0-9.-]+", expression)) - {"AND", "OR"}
    classified = [one.split(" :: ")[-1] for one in found.get_all("Classifier") or [] if one.startswith("License ::")]
    texts = [*classified, (found.get("License") or "").split("\n")[0]]
    known = {spdx for text in texts for word, spdx in SPELLINGS.items() if re.search(rf"\b{word}", text.lower())}
    return known | {text for text in texts if text in LICENCES} or _of_file(name)


def _of_file(name: str) -> set[str]:
    """By the first words of the licence that lies with it."""
    files = [file for file in metadata.files(name) or [] if file.name.upper().startswith("LICENSE")]
    begin = " ".join(file.read_text()[:200].lower() for file in files[:1])
    return {spdx for word, spdx in SPELLINGS.items() if re.search(rf"\b{word}", begin)}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_to_one_version_by_hashes(lock: str) -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", (ROOT / lock).read_text("utf-8").strip())
    assert len(entries) > 50
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+==[0-9][^\s;]*( ;[^\\]*)? \\\n", entry), entry[:80]
        assert re.findall(r"--hash=sha256:[0-9a-f]{64}", entry), entry[:80]
        assert "://" not in entry and "git+" not in entry


def test_the_locks_agree_on_what_an_installation_has() -> None:
    assert pinned("requirements.lock") <= pinned("requirements-dev.lock")


def test_everything_declared_is_locked() -> None:
    own, extras = dependencies.declared()
    assert own <= pinned("requirements.lock")
    assert set().union(*extras.values()) <= pinned("requirements-dev.lock")


@pytest.mark.parametrize(
    "name", sorted({**PACKAGES, **{name: line for extra in EXTRAS.values() for name, line in extra.items()}})
)
def test_a_licence_is_the_one_that_the_package_names_and_goes_with_ours(name: str) -> None:
    line = PACKAGES.get(name) or next(extra[name] for extra in EXTRAS.values() if name in extra)
    written = set(re.findall(r"[A-Za-z0-9.-]+", line[0])) - {"AND", "OR"}
    assert written <= LICENCES
    families = {spdx.partition("-")[0] for spdx in written}
    assert {spdx.partition("-")[0] for spdx in said(name)} <= families, (name, said(name))


@pytest.mark.parametrize("name", sorted(pinned("requirements-dev.lock") - set(PACKAGES)))
def test_tools_of_the_tests_are_free_as_well(name: str) -> None:
    assert said(name) <= TOOLS
    assert said(name) or name in ("colorama", "pywin32"), "only what belongs to another system may be missing here"


def test_a_package_without_a_line_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependencies, "PACKAGES", {name: line for name, line in PACKAGES.items() if name != "lxml"})
    with pytest.raises(Unexplained, match=r"lxml of requirements\.lock has no line"):
        PAGES["dependencies"]()


def test_a_line_without_a_package_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependencies, "PACKAGES", {**PACKAGES, "left-pad": ("MIT", "padding")})
    with pytest.raises(Unexplained, match=r"left-pad of requirements\.lock is not there any more"):
        PAGES["dependencies"]()


def test_what_is_installed_fits_together() -> None:
    checked = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
