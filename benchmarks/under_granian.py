"""Any WSGI application under the server and the settings of `feeds.web.server`.

`python -m benchmarks.under_granian MODULE:FACTORY --port PORT`
"""

from __future__ import annotations

import sys

from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from feeds.web.rsgi import THREADS


def main(factory: str, port: int) -> None:
    Granian(
        factory,
        factory=True,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        workers=2,
        blocking_threads=THREADS,
        backlog=2048,
        http1_settings=HTTP1Settings(header_read_timeout=15_000),
        log_level=LogLevels.warning,
    ).serve()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[sys.argv.index("--port") + 1]))
