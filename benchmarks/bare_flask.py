"""A bare Flask application under the same server: it returns one response that it holds in memory.

`/bare` answers 200 and nothing else; `/conditional` lets Werkzeug decide between 200 and 304. The response comes from
the JSON file named by BENCH_RESPONSE: {"headers": [[name, value], ...], "body": base64}.
"""

from __future__ import annotations

import base64
import json
import os
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
