"""How long each kind of answer may be kept, by whom, and what it depends on."""

from __future__ import annotations

from typing import Any

from werkzeug.test import Client

from feeds.web.app import create_app

DOCUMENT = "public, max-age=30, stale-while-revalidate=600, stale-if-error=86400"
PAGE, BRIEFLY, MOVED, NEVER = "public, max-age=30", "public, max-age=60", "public, max-age=300", "no-store"
LANGUAGE = "Accept-Encoding, Accept-Language, Cookie"
READER = "Accept-Encoding, Sec-Fetch-Dest"

#: What is asked -> status, Cache-Control, Vary.
ANSWERS = [
    # feeds: short, but good enough for a day where we are down; a browser that opens one gets a page
    ("GET /all.atom", {}, 200, DOCUMENT, READER),
    ("HEAD /all.rss", {}, 200, DOCUMENT, READER),
    ("GET /all.json", {"If-None-Match": "*"}, 304, DOCUMENT, READER),
    ("GET /all.atom", {"If-Match": '"x"'}, 412, NEVER, None),
    ("GET /all.atom", {"Sec-Fetch-Dest": "document"}, 200, "private, max-age=0", f"{LANGUAGE}, Sec-Fetch-Dest"),
    ("GET /digests.atom", {}, 200, PAGE, "Accept-Encoding"),
    ("GET /feeds.opml", {}, 200, PAGE, "Accept-Encoding"),
    ("GET /tags.opml", {"If-None-Match": "*"}, 304, PAGE, "Accept-Encoding"),
    # pages: as long as the next rescan may be away
    ("GET /", {}, 200, PAGE, LANGUAGE),
    ("GET /tags/", {}, 200, PAGE, LANGUAGE),
    ("GET /tags/Linux", {}, 200, PAGE, LANGUAGE),
    ("GET /tags/Linux", {"If-None-Match": "*"}, 304, PAGE, LANGUAGE),
    ("GET /articles/1", {}, 200, PAGE, f"{LANGUAGE}, Accept"),
    ("GET /articles/1.md", {}, 200, PAGE, "Accept-Encoding"),
    ("GET /about/feeds", {}, 200, PAGE, LANGUAGE),
    ("GET /digests/", {}, 200, PAGE, LANGUAGE),
    ("GET /static/style.css", {}, 200, "public, max-age=600", None),
    # what moved, what is gone, what is not there (yet)
    ("GET /tags/linux.atom", {}, 301, MOVED, None),
    ("GET /tags/旧名.atom", {}, 301, MOVED, None),
    ("GET /tags", {}, 301, MOVED, None),
    ("GET /digests", {}, 301, MOVED, None),
    ("GET /article-1-1.html", {}, 301, MOVED, None),
    ("GET /tags/retired.atom", {}, 410, MOVED, LANGUAGE),
    ("GET /tags/retired", {}, 410, MOVED, LANGUAGE),
    ("GET /tags/None.atom", {}, 404, BRIEFLY, LANGUAGE),
    ("GET /articles/none", {}, 404, BRIEFLY, LANGUAGE),
    ("GET /static/none.css", {}, 404, BRIEFLY, LANGUAGE),
    ("GET /" + "x" * 3000, {}, 414, BRIEFLY, LANGUAGE),
    ("POST /all.atom", {}, 405, NEVER, LANGUAGE),
    # what is one reader's, or of this moment
    ("GET /subscribe", {}, 200, NEVER, LANGUAGE),
    ("POST /subscribe", {}, 200, NEVER, LANGUAGE),
    ("GET /confirm/x", {}, 404, NEVER, LANGUAGE),
    ("GET /preferences/x", {}, 404, NEVER, LANGUAGE),
    ("GET /unsubscribe/x", {}, 404, NEVER, LANGUAGE),
    ("POST /unsubscribe/x", {}, 404, NEVER, LANGUAGE),
    ("GET /health", {}, 200, NEVER, None),
    ("GET /ready", {}, 200, NEVER, None),
    ("GET /metrics", {}, 403, NEVER, None),
]


def test_each_kind_of_answer_says_how_long_it_may_be_kept(web_site: Any) -> None:
    web_site.set("newsletter.yaml", "enabled: true\n")
    web_site.rescan()
    client = Client(create_app(web_site.environment))
    for request_line, headers, status, cache, vary in ANSWERS:
        method, _, path = request_line.partition(" ")
        answered = client.open(path, method=method, headers=headers)
        found = (answered.status_code, answered.headers.get("Cache-Control"))
        assert found == (status, cache), request_line
        if not 300 < status < 304:  # a redirect is the same for everybody, whatever it lists
            assert answered.headers.get("Vary") == vary, request_line
        assert "Retry-After" not in answered.headers


def test_an_article_that_lives_elsewhere_is_looked_for_anew_after_a_while(web_site: Any) -> None:
    web_site.settle("site.yaml", article_url="https://linux.example{permalink}")
    web_site.rescan()
    answered = Client(create_app(web_site.environment)).get("/articles/1")
    assert answered.status_code == 302 and answered.headers["Cache-Control"] == MOVED


def test_a_refusal_is_kept_by_nobody_and_says_when_to_come_back(web_site: Any) -> None:
    web_site.settle("site.yaml", limits={"same_version": 1, "documents": 0})
    web_site.rescan()
    client = Client(create_app(web_site.environment))
    answers = [client.get("/all.atom", environ_base={"REMOTE_ADDR": "192.0.2.7"}) for _ in range(2)]
    assert [answered.status_code for answered in answers] == [200, 429]
    assert answers[1].headers["Cache-Control"] == NEVER and int(answers[1].headers["Retry-After"]) > 0


def test_before_the_first_rescan_nothing_is_kept(site: Any) -> None:
    for path in ("/", "/all.atom", "/feeds.opml", "/ready"):
        answered = Client(create_app(site.environment)).get(path)
        assert answered.status_code == 503 and answered.headers["Cache-Control"] == NEVER, path
        assert int(answered.headers["Retry-After"]) > 0
