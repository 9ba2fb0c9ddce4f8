"""What embedded players, programs and documents lead to: a page to open instead, its title, a picture of it. Pure.

No reader of feeds and no mail program runs a frame; a link is what stays of one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

_MAX_ADDRESS, _MAX_LABEL = 4000, 120


@dataclass(frozen=True, slots=True)
class Embed:
    """Where a frame or player leads: a page of a service, by its name, or the file itself ("" for `service`)."""

    address: str
    label: str
    service: str = ""
    picture: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """A service whose frames are known.

    `hosts` with all hosts below them. `path` finds the parts of an address in "/path?query", `page` is made of them.
    """

    name: str
    hosts: str
    path: str
    page: str
    picture: str = ""


#: The table to extend for another service; the first row that fits counts.
SERVICES: tuple[Service, ...] = (
    Service(
        "YouTube",
        "youtube.com youtube-nocookie.com",
        r"/embed/videoseries\?(?:.*&)?list=([\w-]+)",
        "https://www.youtube.com/playlist?list={0}",
    ),
    Service(
        "YouTube",
        "youtube.com youtube-nocookie.com youtu.be",
        r"/(?:embed/|v/|shorts/|watch\?(?:.*&)?v=)?([\w-]{11})(?![\w-])",
        "https://www.youtube.com/watch?v={0}",
        "https://i.ytimg.com/vi/{0}/hqdefault.jpg",
    ),
    Service("Vimeo", "vimeo.com", r"/(?:video/)?(\d+)", "https://vimeo.com/{0}"),
    Service("bilibili", "bilibili.com hdslb.com", r".*[?&]bvid=(BV\w+)", "https://www.bilibili.com/video/{0}/"),
    Service("bilibili", "bilibili.com hdslb.com", r".*[?&]aid=(\d+)", "https://www.bilibili.com/video/av{0}/"),
    Service("bilibili", "bilibili.com", r"/(?:blackboard/[\w/.-]*|video/)(BV\w+|av\d+)", "https://www.bilibili.com/video/{0}/"),
    Service("腾讯视频", "v.qq.com video.qq.com", r".*[?&]vid=(\w+)", "https://v.qq.com/x/page/{0}.html"),
    Service("优酷", "youku.com", r"/(?:embed/|player\.php/(?:.*/)?sid/)([\w=]+)", "https://v.youku.com/v_show/id_{0}.html"),
    Service("asciinema", "asciinema.org", r"/a/(\w+)", "https://asciinema.org/a/{0}", "https://asciinema.org/a/{0}.svg"),
    Service(
        "CodePen", "codepen.io", r"/([\w-]+)/(?:embed|pen|full|details)/(?:preview/)?(\w+)", "https://codepen.io/{0}/pen/{1}"
    ),
    Service("Gist", "gist.github.com", r"/([\w-]+/)?([0-9a-f]{5,40})", "https://gist.github.com/{0}{1}"),
    Service("CodeSandbox", "codesandbox.io", r"/embed/([\w-]+)", "https://codesandbox.io/s/{0}"),
    Service("JSFiddle", "jsfiddle.net", r"/((?:\w+/){1,3})embedded", "https://jsfiddle.net/{0}"),
    Service("Dailymotion", "dailymotion.com", r"/embed/video/(\w+)", "https://www.dailymotion.com/video/{0}"),
    Service("SoundCloud", "soundcloud.com", r"/player/?\?(?:.*&)?url=(http[^&]+)", "{0}"),
    Service("Spotify", "open.spotify.com", r"/embed/([\w/-]+)", "https://open.spotify.com/{0}"),
    Service("Internet Archive", "archive.org", r"/embed/([^/?#]+)", "https://archive.org/details/{0}"),
    Service("X", "platform.twitter.com", r"/embed/.*[?&]id=(\d+)", "https://twitter.com/i/status/{0}"),
    Service("Facebook", "facebook.com", r"/plugins/.*[?&]href=(http[^&]+)", "{0}"),
    Service("Loom", "loom.com", r"/embed/(\w+)", "https://www.loom.com/share/{0}"),
    Service(
        "SlideShare",
        "slideshare.net",
        r"/slideshow/embed_code/(?:key/)?(\w+)",
        "https://www.slideshare.net/slideshow/embed_code/key/{0}",
    ),
    Service("Google Docs", "docs.google.com", r"/([\w/-]+?)/(?:embed|preview|pub)\b", "https://docs.google.com/{0}/view"),
)
#: Titles that say nothing but what kind of player it is.
_EMPTY_TITLES = re.compile(
    r"(?:youtube|vimeo|bilibili|embedded|video|audio|media|iframe|player|content|from|[\W_])*", re.IGNORECASE
)


def find_embed(written: str, title: str = "") -> Embed | None:
    """Return what an embedded address leads to; None for what is no address. `title` is what its element says.

    >>> find_embed("//www.youtube.com/embed/Y29qZ71Kicg?rel=0")
    Embed(address='https://www.youtube.com/watch?v=Y29qZ71Kicg', label='YouTube: Y29qZ71Kicg', service='YouTube', \
picture='https://i.ytimg.com/vi/Y29qZ71Kicg/hqdefault.jpg')
    >>> find_embed("film/Our%20house.mp4")
    Embed(address='film/Our%20house.mp4', label='Our house.mp4', service='', picture='')
    """
    address = re.sub(r"[\x00-\x20]+", "", written) if len(written) <= _MAX_ADDRESS else ""
    if not address or address.lower().startswith(("javascript:", "data:", "about:", "blob:", "vbscript:")):
        return None
    address = f"https:{address}" if address.startswith("//") else address
    said = "" if _EMPTY_TITLES.fullmatch(title.strip()) else " ".join(title.split())[:_MAX_LABEL]
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").lower()
    except ValueError:
        return None
    rest = f"{parts.path}?{parts.query}" if parts.query else parts.path
    for service in SERVICES if host else ():
        if not any(host == known or host.endswith(f".{known}") for known in service.hosts.split()):
            continue
        if match := re.match(service.path, rest):
            found = [unquote(part) if part and part.startswith("http") else part or "" for part in match.groups()]
            page = service.page.format(*found)
            if service.name == "YouTube" and (start := _start(parts.query)):
                page += f"&t={start}"
            label = f"{said} ({service.name})" if said else f"{service.name}: {''.join(found)[:_MAX_LABEL]}"
            return Embed(page, label, service.name, service.picture.format(*found))
    name = unquote(parts.path.rstrip("/").rpartition("/")[2]) if is_media(parts.path) else f"{host}{parts.path}"
    return Embed(address, said or " ".join(name.split())[:_MAX_LABEL] or host or address[:_MAX_LABEL])


def _start(query: str) -> int:
    """Return the second at which a film begins."""
    value = next(iter(parse_qs(query).get("start", ())), "")
    return int(value) if re.fullmatch(r"[0-9]{1,6}", value) else 0


_MEDIA = re.compile(r"\.(?:mp4|m4v|webm|ogv|ogg|oga|mov|mp3|m4a|m4b|flac|wav|opus|aac|avi|mkv|swf|pdf)$", re.IGNORECASE)


def is_media(path: str) -> bool:
    """Return whether a path ends as films, recordings and documents do."""
    return _MEDIA.search(path) is not None


#: Scripts that put a player or a document where they stand.
_WIDGETS = re.compile(
    r"(?:https?:)?//(?:www\.)?(?:asciinema\.org/a/\w+|gist\.github\.com/[\w/-]+)\.js(?:\?[^\s]*)?", re.IGNORECASE
)


def is_widget(address: str) -> bool:
    """Return whether a script shows something of a service that has a page, too.

    >>> is_widget("https://asciinema.org/a/14.js"), is_widget("https://example.org/counter.js")
    (True, False)
    """
    return len(address) <= _MAX_ADDRESS and _WIDGETS.fullmatch(address.strip()) is not None
