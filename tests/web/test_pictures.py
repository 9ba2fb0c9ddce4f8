"""Room for pictures on pages, by their names, and when they are loaded."""

from __future__ import annotations

import pytest

from feeds.web.pictures import lazy_pictures, size_of_name


@pytest.mark.parametrize(
    ("address", "size"),
    [
        ("https://example.org/a-800x600.png", (800, 600)),
        ("a_1024x768.JPG?x=1#y", (1024, 768)),
        ("a-0x600.png", None),
        ("a-800x600", None),
        ("a-800x600.png.html", None),
        ("https://[broken/a-800x600.png", None),
    ],
)
def test_a_name_tells_a_size_as_blogs_write_it(address: str, size: tuple[int, int] | None) -> None:
    assert size_of_name(address) == size


@pytest.mark.parametrize(
    ("attributes", "added"),
    [
        (' src="https://example.org/a-800x600.png?a=1&amp;b=2" alt="&lt;"', ' width="800" height="600"'),
        (' src="https://example.org/a-800x600.png" width="400"', ""),
        (' src="https://example.org/a-800x600.png" height="40"', ""),
        (' src="https://example.org/a.png"', ""),
        (' alt="a-800x600.png"', ""),
    ],
)
def test_a_picture_on_a_page_leaves_the_room_that_its_name_tells(attributes: str, added: str) -> None:
    assert lazy_pictures(f"<img{attributes}>") == f'<img{attributes}{added} decoding="async">'
