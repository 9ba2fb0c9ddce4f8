"""Read what few headers say: licence, part of a series, comments' address, audio and video, what keeps out of feeds."""

from __future__ import annotations

import dataclasses
import os
import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ... import urls
from ...licences import Licence, read_licence
from ...model import NO_DETAILS, Details, MediaFile
from .. import markdown
from ..kinds import Place
from ..parse_settings import ParseSettings
from .lookup import Header, Wanted, flag_names, is_empty, text_of

#: Words that say yes and no in a flag.
YES = frozenset("true yes on y t 1 是".split())
NO = frozenset("false no off 0 0.0 n f never none 否 exclude excluded hidden .false.".split())
#: Flags that keep an article out of feeds, and out of digests, where they say no; and where they say yes.
_FEED_NO, _FEED_YES, _DIGEST_NO, _DIGEST_YES, _PINNED = map(
    flag_names, ("feed no", "feed yes", "digest no", "digest yes", "pinned")
)
_MAX_ADDRESS, _MAX_MEDIA, _MAX_PINNED = 2000, 10, 1_000_000
#: Hugo's lists begin with what has the smallest weight.
_MOST_WEIGHT = 100_000


def in_feeds(flags: Mapping[str, str]) -> bool:
    """Return whether the flags of a header let the article into feeds.

    >>> in_feeds({"feed": "false"}), in_feeds({"hidefromrss": "true"}), in_feeds({})
    (False, False, True)
    """
    return not _says(flags, _FEED_NO, _FEED_YES)


def in_digests(flags: Mapping[str, str]) -> bool:
    """Return whether the flags of a header let the article into digests."""
    return not _says(flags, _DIGEST_NO, _DIGEST_YES)


def _says(flags: Mapping[str, str], no: frozenset[str], yes: frozenset[str]) -> bool:
    return any(flags.get(name) in NO for name in no) or any(flags.get(name) in YES for name in yes)


def pinned(flags: Mapping[str, str], weight: str) -> int:
    """Return how far to the front of lists an article wants, 0 for not at all. `weight`: Hugo's, "" for none."""
    for name in _PINNED:
        text = flags.get(name, "")
        if text in YES:
            return 1
        if (number := _number(text)) is not None and number > 0:
            return min(max(round(number), 1), _MAX_PINNED)
    number = _number(weight)
    return max(1, _MOST_WEIGHT - round(number)) if number is not None and number > 0 else 0


def part(header: Header, names: tuple[str, ...]) -> int:
    """Return what orders an article in its series, 0 for nothing: the number that it says, in hundredths and one more.

    >>> part(Header({"part": "Part 2"}, {}), ("part",))
    201
    """
    for _, value in header.all(*names):
        found = re.search(r"\d{1,6}(?:\.\d{1,3})?", text_of(value))
        if found:
            return round(float(found[0]) * 100) + 1
    return 0


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?\d{1,12}(?:\.\d{1,6})?", text) else None


def read_details(header: Header, wanted: Wanted) -> Details:
    """Return what a header says of an article that few say. Addresses are as they are written, but that of comments."""
    media = _media(header, wanted)
    licence = _licence(header, wanted["licence"])
    discussion = _discussion(header, wanted["discussion"])
    if not (media or licence.name or licence.url or discussion):
        return NO_DETAILS
    found = Details(licence=licence.name, licence_url=licence.url, discussion=discussion, media=media)
    if not media:
        return found
    explicit = header.text(*wanted["explicit"]).lower()
    return dataclasses.replace(
        found,
        transcript=_address(header.first(*wanted["transcript"])),
        artwork=_address(header.first(*wanted["artwork"])),
        explicit="yes" if explicit in (*YES, "explicit") else "no" if explicit in (*NO, "clean") else "",
        episode=_whole(header.text(*wanted["episode"])),
        season=_whole(header.text(*wanted["season"])),
    )


def _whole(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,6}", text) else 0


# -- licence, comments ---------------------------------------------------------


def _licence(header: Header, names: tuple[str, ...]) -> Licence:
    for name, value in header.all(*names):
        one = value[0] if isinstance(value, list) and value else value
        if isinstance(one, dict):
            text = _of(one, "name", "title", "label", "type", "text", "id")
            found = _with_address(read_licence(markdown.one_line(text)), _of(one, "url", "link", "href"))
        else:
            found = read_licence(markdown.one_line(text_of(one)))
        found = found if urls.absolute_url(found.url, "") else Licence(found.name)
        if (found.name or found.url) and (found.url or name.lower() != "cc"):
            return found
    return Licence()


def _with_address(found: Licence, address: str) -> Licence:
    """Return a licence with the address that is said beside its name, which may name it."""
    said = read_licence(address)
    return said if said.name and said.url and not found.url else Licence(found.name, said.url or found.url)


def _discussion(header: Header, names: tuple[str, ...]) -> str:
    """Return the absolute address of an article's comments; "" for none, and for what only turns them on or off."""
    for _, value in header.all(*names):
        if isinstance(value, dict):  # a post of Mastodon under which they are
            host, user, id = (_of(value, *keys) for keys in (("host",), ("username", "user"), ("id",)))
            post = f"https://{host}/@{user.removeprefix('@')}/{id}"
            text = post if host and user and id else _of(value, "url", "link", "href")
        else:
            text = text_of(value)
        if text.lower().startswith(("http://", "https://")) and (address := urls.absolute_url(text[:_MAX_ADDRESS], "")):
            return address
    return ""


def _of(value: Mapping[str, Any], *keys: str) -> str:
    """Return the first of these keys that an object has a text for, in any case of letters."""
    folded = {key.lower().replace("_", "").replace("-", ""): one for key, one in value.items() if isinstance(key, str)}
    return next((text for key in keys if not is_empty(folded.get(key)) and (text := text_of(folded[key]))), "")


def _address(value: Any) -> str:
    """Return the reference in a value, as it is written; "" for none, and for what is a text."""
    one = value[0] if isinstance(value, list) and value else value
    text = _of(one, *_SOURCES) if isinstance(one, dict) else text_of(one)
    return text if 0 < len(text) <= _MAX_ADDRESS and not re.search(r"\s", text) and text.lower() not in (*YES, *NO) else ""


# -- audio and video -------------------------------------------------------------

_SOURCES = ("url", "src", "href", "file", "link", "path", "source")
#: Media types by the end of a name; the tables of operating systems differ.
TYPES: Mapping[str, str] = {
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "m4b": "audio/mp4",
    "aac": "audio/aac",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "weba": "audio/webm",
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    "webm": "video/webm",
    "ogv": "video/ogg",
    "mov": "video/quicktime",
    "mkv": "video/x-matroska",
}
_UNITS = {"": 1, "b": 1, "bytes": 1, "k": 1024, "kb": 1000, "kib": 1024, "m": 1024**2, "mb": 1000**2, "mib": 1024**2}
_UNITS |= {"g": 1024**3, "gb": 1000**3, "gib": 1024**3}
_MAX_BYTES, _MAX_SECONDS = 2**50, 10**6
#: What WordPress keeps after an enclosure.
_SERIALIZED = re.compile(r'"duration";s:\d+:"([0-9:.]+)"')


def _media(header: Header, wanted: Wanted) -> tuple[MediaFile, ...]:
    """Return the audio and video files that a header names, each once; references as they are written."""
    found: dict[str, MediaFile] = {}
    for _, value in header.all(*wanted["media"]):
        for one in _files(value):
            found.setdefault(one.url, one)
    media = list(found.values())[:_MAX_MEDIA]
    if not media:
        return ()
    first, sizes = media[0], [text_of(value) for value in _stated(header, wanted["media_length"], media[0])]
    durations = [text_of(value) for value in _stated(header, wanted["duration"], media[0])]
    length = next(filter(None, (_bytes(text) for text in sizes)), 0)
    seconds = next(filter(None, (_seconds(text) for text in (*durations, *(text for text in sizes if ":" in text)))), 0)
    media[0] = dataclasses.replace(first, length=first.length or length, seconds=first.seconds or seconds)
    return tuple(media)


def _stated(header: Header, names: tuple[str, ...], file: MediaFile) -> Iterator[Any]:
    """Give what fields beside a file say of it; of an object by formats the value for its format."""
    for _, value in header.all(*names):
        yield _of(value, _extension(file.url)) if isinstance(value, dict) else value


def _files(value: Any) -> Iterator[MediaFile]:
    if isinstance(value, list):
        for one in value[:_MAX_MEDIA]:
            if not isinstance(one, list):
                yield from _files(one)
    elif isinstance(value, dict):
        type, reference = _of(value, "type", "mimetype", "mime", "contenttype"), _of(value, *_SOURCES)
        length, seconds = _of(value, "length", "size", "bytes", "filesize"), _of(value, "duration", "seconds", "time")
        if reference:
            yield from _file(reference, type, _bytes(length), _seconds(seconds) or (_seconds(length) if ":" in length else 0))
            return
        for key, one in list(value.items())[:_MAX_MEDIA]:  # {mp3: talk.mp3, ogg: talk.ogg}
            if key.lower() in TYPES:
                yield from _file(text_of(one), TYPES[key.lower()], 0, _seconds(seconds))
    elif isinstance(value, str) and (words := value.split()):
        # As WordPress keeps them: address, bytes and type, each on a line of its own, then more.
        type = next((word for word in words[1:3] if "/" in word), "")
        duration = _SERIALIZED.search(value)
        if len(words) == 1 or type or words[1].isdecimal():
            size = _bytes(words[1]) if len(words) > 1 else 0
            yield from _file(words[0], type, size, _seconds(duration[1]) if duration else 0)


def _file(reference: str, type: str, length: int, seconds: int) -> Iterator[MediaFile]:
    """Give the file that a reference means, if it is audio or video by its type, or by the end of its name."""
    type = type.lower() if re.fullmatch(r"(?:audio|video)/[\w.+-]+", type.lower()) else TYPES.get(_extension(reference), "")
    if type and 0 < len(reference) <= _MAX_ADDRESS and not re.search(r"\s", reference):
        yield MediaFile(reference, type, length, seconds)


def _extension(reference: str) -> str:
    try:
        return urllib.parse.urlsplit(reference).path.rpartition(".")[2].lower()
    except ValueError:
        return ""


def _bytes(text: str) -> int:
    """Return a number of bytes, written with or without its unit; 0 for none.

    >>> _bytes("12.5 MB"), _bytes("24,986,239"), _bytes("long")
    (12500000, 24986239, 0)
    """
    found = re.fullmatch(r"([0-9][0-9,_]{0,18}(?:\.[0-9]{1,3})?)\s*([A-Za-z]{0,5})", text.strip())
    if not found or found[2].lower() not in _UNITS:
        return 0
    length = float(re.sub("[,_]", "", found[1])) * _UNITS[found[2].lower()]
    return round(length) if length <= _MAX_BYTES else 0


_UNITS_OF_TIME = re.compile(
    r"(?:P?T?)(?:(\d{1,4}(?:\.\d+)?)\s*(?:h|hrs?|hours?|小时|时))?\s*(?:(\d{1,5}(?:\.\d+)?)\s*(?:m|mins?|minutes?|分钟|分))?\s*"
    r"(?:(\d{1,6}(?:\.\d+)?)\s*(?:s|secs?|seconds?|秒))?",
    re.IGNORECASE,
)


def _seconds(text: str) -> int:
    """Return a duration in seconds: of 1:02:03, 62:03, 3723, PT1H2M3S, 1h 2m 3s; 0 for none.

    >>> [_seconds(text) for text in ("1:02:03", "62:03", "3723", "PT1H2M3S", "1h 2m", "long")]
    [3723, 3723, 3723, 3723, 3720, 0]
    """
    text = text.strip()[:40]
    if re.fullmatch(r"\d{1,7}(?:\.\d+)?", text):
        seconds = float(text)
    elif re.fullmatch(r"\d{1,4}(?::\d{1,2}){1,2}(?:\.\d+)?", text):
        seconds = 0.0
        for number in text.split(":"):
            seconds = seconds * 60 + float(number)
    elif match := _UNITS_OF_TIME.fullmatch(text):
        seconds = sum(float(number) * unit for number, unit in zip(match.groups(), (3600, 60, 1), strict=True) if number)
    else:
        return 0
    return round(seconds) if seconds <= _MAX_SECONDS else 0


def with_media(found: Details, played: Iterable[str]) -> Details:
    """Return details with the audio and video files of the store that a body plays, where the header names none."""
    if found.media:
        return found
    own = dict.fromkeys(one for one in played if "://" not in one and not one.startswith(("//", "data:", "blob:")))
    media = [file for reference in own for file in _file(reference, "", 0, 0)][:_MAX_MEDIA]
    return dataclasses.replace(found, media=tuple(media)) if media else found


def locate(settings: ParseSettings, place: Place, found: Details, address: Callable[[str], str]) -> Details:
    """Return details with the addresses that `address` makes of references, and the sizes of files of the store."""
    if found == NO_DETAILS:
        return found
    media = (
        dataclasses.replace(one, url=address(one.url), length=one.length or _size_of(settings, place, one.url))
        for one in found.media
    )
    artwork, transcript = (reference and address(reference) for reference in (found.artwork, found.transcript))
    return dataclasses.replace(found, media=tuple(one for one in media if one.url), artwork=artwork, transcript=transcript)


def _size_of(settings: ParseSettings, place: Place, reference: str) -> int:
    """Return the bytes of a file beside an article, or below the root of its site; 0 for what is no file there."""
    if "://" in reference or reference.startswith(("//", "#")):
        return 0
    store, site = os.path.realpath(settings.root), os.path.realpath(settings.site.root or settings.root)
    name = urllib.parse.unquote(reference.partition("?")[0]).replace("\0", "")
    if name.startswith("/"):
        folders = [os.path.join(site, folder) for folder in ("", *settings.site.static)]
    else:
        folders = [os.path.join(store, PurePosixPath(place.path).parent)]
    for folder in folders:
        path = os.path.realpath(os.path.join(folder, name.lstrip("/")))
        if path.startswith((os.path.join(store, ""), os.path.join(site, ""))) and os.path.isfile(path):
            return Path(path).stat().st_size
    return 0
