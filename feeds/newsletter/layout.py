"""Which articles one reader gets, under which headings. Pure: the same content and selections give the same sections."""

from __future__ import annotations

from collections.abc import Sequence

from ..model import IssueContent, Section


def sections(content: IssueContent, reach: int, selections: Sequence[int], limit: int) -> tuple[Section, ...]:
    """In the reader's order; each article once, in its first section; at most `limit` in all, the others counted in `more`.

    Ranks stay in their order (editor's choice, then the newest). A selection with nothing new has no section; one that the
    limit leaves nothing for still has, so that its articles are counted.
    """
    found = [(key, ranks) for key, ranks in _new(content, reach, selections) if ranks]
    shares = _shares([len(ranks) for _key, ranks in found], limit)
    return tuple(Section(key, ranks[:share], len(ranks) - share) for (key, ranks), share in zip(found, shares, strict=True))


def _new(content: IssueContent, reach: int, selections: Sequence[int]) -> list[tuple[int, tuple[int, ...]]]:
    """What each selection adds to those before it."""
    seen: set[int] = set()
    found = []
    for key in dict.fromkeys(selections):
        ranks = [rank for rank in content.sections.get((reach, key), ()) if rank not in seen]
        seen.update(ranks)
        found.append((key, tuple(sorted(ranks))))
    return found


def _shares(sizes: Sequence[int], limit: int) -> list[int]:
    """Room for each: as even as the sizes allow; what does not divide goes to those in front."""
    shares = [0] * len(sizes)
    left = limit
    while left > 0 and (hungry := [at for at, size in enumerate(sizes) if shares[at] < size]):
        each = max(1, left // len(hungry))
        for at in hungry:
            given = min(each, sizes[at] - shares[at], left)
            shares[at] += given
            left -= given
    return shares
