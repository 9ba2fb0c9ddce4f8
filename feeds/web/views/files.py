"""Files beside articles: pictures, sound and so on, each at an address that is another one when the content changes.

Nothing of them runs as a document of the site: types are those of an allow-list (`store.assets.kinds`), and every response says
that it has no rights. Ranges as of RFC 9110, section 14: one at a time.
"""

from __future__ import annotations

import os

from flask import Blueprint, Response, abort, request
from werkzeug.wrappers import Response as Answer

from ...catalog import assets
from ...catalog.assets import PublishedFile
from ..application import application
from ..file_parts import FilePart

blueprint = Blueprint("files", __name__)

#: A smaller file is read as a whole, and compared, before anything of it is sent.
SMALL = 1024 * 1024
_SANDBOX = "default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'unsafe-inline'; sandbox"
#: A browser shows no PDF file in a sandbox.
_PDF = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'"


@blueprint.get("/files/<string(length=32):hash>/<name>")
def published_file(hash: str, name: str) -> Answer:
    """A file that a published article refers to; 404 where it is another one by now."""
    app = application()
    site = app.config.site
    for file in app.runtime.read(assets.find_files, hash, name) if assets.kind_of(name) and site.files.publish else ():
        is_small = file.size <= SMALL or file.data is not None
        content = assets.read_file(site, file) if is_small else assets.open_file(site, file)
        if content is not None:
            return _described(_respond(file, content), file)
    return abort(404)


def _respond(file: PublishedFile, content: bytes | int) -> Response:
    """Return the response without the headers that all have. `content`: all bytes, or a descriptor that is closed after use."""
    response, (start, stop) = Response(), (0, 0)
    if request.if_none_match.contains_weak(file.hash):
        response.status_code = 304
    elif (wanted := _wanted_range(file)) is None:
        response.status_code = 416
        response.headers["Content-Range"] = f"bytes */{file.size}"
    else:
        start, stop = wanted
        if _has_range(file):
            response.status_code = 206
            response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    if not isinstance(content, bytes) and (request.method == "HEAD" or start == stop):
        os.close(content)
    elif start < stop:
        response.response = [content[start:stop]] if isinstance(content, bytes) else FilePart(content, start, stop)
        response.direct_passthrough = not isinstance(content, bytes)
    response.content_length = stop - start
    return response


def _has_range(file: PublishedFile) -> bool:
    """Return whether one range is asked for, of this very content."""
    found, condition = request.range, request.if_range
    if found is None or found.units != "bytes" or len(found.ranges) != 1 or request.method != "GET":
        return False
    return "If-Range" not in request.headers or condition.etag == file.hash


def _wanted_range(file: PublishedFile) -> tuple[int, int] | None:
    """Return the bytes that are asked for, all of them where no range is; None where the range lies outside."""
    if not _has_range(file):
        return 0, file.size
    assert request.range is not None
    return request.range.range_for_length(file.size)


def _described(response: Response, file: PublishedFile) -> Response:
    """Add the headers of all responses about a file."""
    kind = assets.kind_of(file.name)
    assert kind is not None
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    response.headers["Content-Security-Policy"] = _PDF if kind.media_type == "application/pdf" else _SANDBOX
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"  # readers on the web show it
    response.set_etag(file.hash)
    if response.status_code in (200, 206):
        response.headers["Content-Type"] = kind.media_type
        if kind.download:
            response.headers["Content-Disposition"] = "attachment"
    else:
        response.headers.pop("Content-Type", None)
    return response
