"""A bare Flask application under the same server: it returns one response that it holds in memory.

`/bare` answers 200 and no more than that; `/conditional` lets Werkzeug decide between 200 and 304. The response comes from
the JSON file named by BENCH_RESPONSE: {"headers": [[name, value], ...], "body": base64}.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path

from flask import Flask, Response, request
from werkzeug.wrappers import Response as Answer


def create() -> Flask:
    kept = json.loads(Path(os.environ["BENCH_RESPONSE"]).read_text())
    headers, body = [tuple(header) for header in kept["headers"]], base64.b64decode(kept["body"])
    app = Flask(__name__, static_folder=None)

    @app.get("/bare")
    def bare() -> Answer:
        return Response(body, headers=headers)

    @app.get("/conditional")
    def conditional() -> Answer:
        return Response(body, headers=headers).make_conditional(request)

    return app


def main(port: int) -> None:
    """The settings of feeds.web.server."""
    from granian import Granian
    from granian.constants import Interfaces
    from granian.http import HTTP1Settings
    from granian.log import LogLevels

    Granian(
        "benchmarks.bare_flask:create",
        factory=True,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        workers=2,
        blocking_threads=4,
        backlog=2048,
        http1_settings=HTTP1Settings(header_read_timeout=15_000),
        log_level=LogLevels.warning,
    ).serve()


if __name__ == "__main__":
    main(int(sys.argv[sys.argv.index("--port") + 1]))
