"""One rescan of twelve kinds of articles that are made to cost time or memory, of the largest size, and of 50 honest edits.

Some are refused before they cost anything; the others end the process that parses them, and are tried again alone.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

from tests.hostile.bombs import HEAVY, PUBLISHED, REFUSED, Make, fill

from .bench import Bench, Site, clean_environ
from .figures import Figure
from .processes import Peak, cpu_seconds
from .stores import ROOT, retitle

EDITS = 50


def _article(body: str) -> str:
    return f"---\ntitle: bomb\n---\n{body}"


def _hidden(tag: str, between: str) -> Make:
    """Formatting that is never closed, with what looks like its end in an attribute."""
    unclosed = "".join(f"<b title='{number}</b>'>" for number in range(150))
    return lambda size: _article(f"<{tag}>{unclosed}</{tag}>{fill(between, size - 5000)}")


KINDS: dict[str, Make] = {
    **{name: REFUSED[name] for name in ("table-of-missing-cells", "tables-in-quotes", "unclosed-before-elements")},
    **{name: REFUSED[name] for name in ("quotes-in-lists", "links-of-a-long-base", "attributes-of-other-names")},
    **{name: PUBLISHED[name] for name in ("reference-used",)},
    **{name: HEAVY[name] for name in ("plain-text", "no-break-blanks")},
    "hidden formatting": _hidden("div", "<div>x</div>"),
    "nested emphasis": lambda size: _article(fill("*_", size // 2 - 500) + "a" + fill("_*", size // 2 - 500)),
    "headings": lambda size: _article(fill("# a\n", size - 500)),
}


def measure(bench: Bench) -> Iterator[Figure]:
    """Processor time and memory in one run: what is promised is both at once."""
    site = bench.site("bombs", bench.store(bench.articles))
    bombs = site.store / "bombs"
    for path in bombs.glob("*.md"):
        path.unlink()
    site.catalogued()
    bombs.mkdir(exist_ok=True)
    for name, make in KINDS.items():
        (bombs / f"{name}.md").write_text(make(1024 * 1024), "utf-8")
    edited = [path for path in sorted(site.store.rglob("*.md")) if path.parent != bombs][:EDITS]
    for number, path in enumerate(edited):
        retitle(path, f"edit {number}")
    before = cpu_seconds()
    report, peak = _rescan(site)
    spent = cpu_seconds() - before
    for path in bombs.glob("*.md"):
        path.unlink()
    if report["changed"] != EDITS or report["added"] + report["quarantined"] != len(KINDS):
        raise RuntimeError(f"not all honest edits are out, or a bomb is neither published nor in quarantine: {report}")
    note = f"{len(KINDS)} bombs of 1 MiB, {report['quarantined']} in quarantine; {EDITS} edits, all out"
    yield Figure("rescan with bombs", spent, "s CPU", 60.0, note=note)
    yield Figure("rescan with bombs, memory of all processes", peak, "MB", 600.0, note="peak of the summed PSS, every 0.02 s")


def _rescan(site: Site) -> tuple[dict[str, int], float]:
    command = [*site.command("rescan"), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environ(), cwd=ROOT)
    with process, Peak(process.pid, every=0.02) as peak:
        out, _err = process.communicate(timeout=600)
    return json.loads(out), peak.pss
