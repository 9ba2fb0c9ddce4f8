"""What readers see while the database cannot be asked."""

from __future__ import annotations

import time
from typing import Any

from feeds.web.fast_path import RECHECK_SECONDS


def test_documents_in_the_cache_are_served_while_the_database_is_broken(web_site: Any, make_client: Any) -> None:
    client = make_client(web_site)
    before = client.get("/tags/Linux.atom")
    assert before.status_code == 200
    web_site.lose_database()
    time.sleep(RECHECK_SECONDS * 1.5)
    after = client.get("/tags/Linux.atom")
    assert (after.status_code, after.data, after.headers["ETag"]) == (200, before.data, before.headers["ETag"])
    assert client.get("/health").status_code == 200
    assert client.get("/ready").status_code == 503
