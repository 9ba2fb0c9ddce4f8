"""Strategies of damage: seeds (files) cut, spliced, doubled, and strewn with what has broken parsers before."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import strategies as st

TESTS = Path(__file__).resolve().parents[1]

_TIMES = re.compile(rb"\{([^{}]+)\*(\d+)\}")


def listed(name: str) -> list[bytes]:
    """Lines of a file of seeds/, with escapes as in Python's bytes; `{x*9}` is x nine times."""
    return [unescaped(line) for line in (TESTS / "fuzz" / "seeds" / name).read_bytes().splitlines()]


def unescaped(line: bytes) -> bytes:
    long = _TIMES.sub(lambda found: found[1] * int(found[2]), line)
    return long.decode("unicode_escape").encode("latin-1")


_TOKEN = st.sampled_from(listed("tokens"))
_WORD = st.text(max_size=8).map(str.encode)
_NOISE = st.one_of(_TOKEN, st.lists(_TOKEN, max_size=4).map(b"".join), st.binary(max_size=12), _WORD)


def seeds(*folders: str, ending: str = "") -> list[bytes]:
    """All files of folders below tests/."""
    found = [path.read_bytes() for folder in folders for path in sorted((TESTS / folder).glob(f"*{ending}"))]
    assert found, folders
    return found


@st.composite
def damaged(draw: st.DrawFn, whole: list[bytes], times: int = 6) -> bytes:
    """One of `whole`, changed up to `times` times; sometimes not at all."""
    data = draw(st.sampled_from(whole))
    for _time in range(draw(st.integers(0, times))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 0, 1, 2, 5, 20, 200])))
        kind = draw(st.sampled_from(["put", "double", "splice", "cut"]))
        if kind == "put":
            data = data[:start] + draw(_NOISE) + data[end:]
        elif kind == "double":
            data = data[:end] + data[start:end] * draw(st.sampled_from([1, 2, 40])) + data[end:]
        elif kind == "splice":
            other = draw(st.sampled_from(whole))
            data = data[:start] + other[draw(st.integers(0, len(other))) :]
        else:
            data = data[:start]
    return data


def noise(most: int = 6) -> st.SearchStrategy[bytes]:
    """Tokens and nothing else."""
    return st.lists(_NOISE, max_size=most).map(b"".join)
