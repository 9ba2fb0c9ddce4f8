"""What the console's pages show: how things stand, faults with their lines, who reads, who subscribes, settings, issues."""

from __future__ import annotations

import json
import re
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from lxml import etree, html

from feeds import audit_log, database
from feeds.audience.requests import Batch, Counts, add_batch
from feeds.config import load
from feeds.config.environment import Environment
from feeds.config.load import load_config
from feeds.syndication import lookup
from tests.admin.conftest import TOKEN, Operator

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def rows(page: Any, number: int = 0) -> list[list[str]]:
    """A table's cells as text."""
    table = html.fromstring(page.get_data(as_text=True)).xpath("//table")[number]
    return [[" ".join(" ".join(cell.itertext()).split()) for cell in row.xpath("./th|./td")] for row in table.xpath(".//tr")]


def facts(page: Any) -> dict[str, str]:
    found = html.fromstring(page.get_data(as_text=True)).xpath("//dl/div")
    return {one.xpath("string(dt)").strip(): one.xpath("string(dd)").strip() for one in found}


# -- how things stand ----------------------------------------------------------


def test_the_overview_says_what_is_published_and_what_waits(operator: Operator) -> None:
    found = facts(operator.get("/"))
    assert (found["Articles"], found["Files in quarantine"], found["Active subscribers"]) == ("5", "0", "0")
    assert found["Tags"] == "3" and "Weekly digest" not in found, "this site has no newsletter"


def test_the_overview_says_how_many_files_wait_for_their_date_and_when_the_next_one_comes_out(operator: Operator) -> None:
    assert "Files with a date to come" not in facts(operator.get("/"))
    operator.site.settle("site.yaml", store="articles")
    for name, year in (("later", 2031), ("next", 2030)):
        operator.site.write(f"{name}.md", date=f"{year}-05-01 08:00:00")
    operator.site.rescan()
    found = facts(operator.get("/"))
    assert (found["Files with a date to come"], found["Articles"]) == ("2", "5")
    assert "2030" in found["The next one comes out"]
    chinese = Operator(operator.site, "zh-CN")
    chinese.sign_in()
    assert facts(chinese.get("/"))["待发布的文件"] == "2" and "2030" in facts(chinese.page)["下次发布时间"]


def test_what_was_left_out_of_an_article_stands_beside_it(operator: Operator) -> None:
    assert facts(operator.get("/"))["Bodies mended"] == "0"
    assert "Nothing was left out" in operator.get("/articles").get_data(as_text=True)
    operator.site.write("91.md", title=EVIL, body="<script>x</script>a" + '<iframe src="https://p.example.org/"></iframe>' * 2)
    for number in range(100, 152):
        operator.site.write(f"{number}.md", body="<svg><path/></svg> words")
    operator.site.rescan()
    assert facts(operator.get("/"))["Bodies mended"] == "53"
    pages = [rows(operator.get(f"/articles?page={number}"))[1:] for number in (1, 2)]
    assert [len(found) for found in pages] == [50, 3]
    found = {cells[0]: cells[1] for page in pages for cells in page}
    assert found[f"{EVIL} 91.md"] == "<iframe>: a link instead (2) <script>: left out"
    page = html.fromstring(operator.get("/articles?page=2").get_data(as_text=True))
    links = page.xpath("//table//a/@href") + html.fromstring(operator.get("/articles").get_data(as_text=True)).xpath(
        "//table//a/@href"
    )
    assert "/articles/91" in links and "/articles/151" in links


def test_articles_are_found_with_what_was_left_out_of_them(operator: Operator) -> None:
    operator.site.write("91.md", title="防火墙入门", body="<script>x</script>nftables 网桥")
    operator.site.write("92.md", title="Other", body="words of the 網橋")
    operator.site.rescan()
    assert rows(operator.get("/articles?q=网桥"))[1:] == [
        ["Other 92.md", "nothing"],
        ["防火墙入门 91.md", "<script>: left out"],
    ]
    assert [cells[0] for cells in rows(operator.get("/articles?q=防火墙"))[1:]] == ["防火墙入门 91.md"]
    assert "No article has these words" in operator.get("/articles?q=zzz").get_data(as_text=True)
    assert operator.get("/articles?q=%22%3Cb%3E%00&page=99").status_code == 200


def test_a_fault_of_the_configuration_shows_with_its_place(operator: Operator) -> None:
    operator.site.set("feeds.yaml", "content: full\nfeeds:\n  - name: a\n    titel: x\n")
    operator.site.rescan()
    for path in ("/", "/configuration"):
        assert re.search(r"feeds\.yaml:4:5: feeds\.0\.titel: unknown setting", operator.get(path).get_data(as_text=True)), path


def test_the_console_opens_where_there_has_never_been_a_good_configuration(site: Any) -> None:
    site.environment = Environment.read(site.config_dir, {"FEEDS_OPERATOR_TOKEN": TOKEN})
    site.set("feeds.yaml", "nonsense: 1\n")
    operator = Operator(site)
    assert operator.sign_in().status_code == 303
    for path in ("/", "/quarantine", "/feeds", "/feeds/own", "/feeds/new", "/configuration", "/issues", "/subscribers", "/log"):
        assert operator.get(path).status_code == 200, path


def test_the_last_rescans_are_listed_but_not_those_that_did_nothing(operator: Operator) -> None:
    operator.site.rescan()
    operator.site.write("9.md", tags=["Linux"])
    operator.site.rescan()
    operator.site.rescan()
    found = rows(operator.get("/"))
    assert [row[1:4] for row in found[1:]] == [["1", "0", "0"], ["5", "0", "0"]]


def test_a_rescan_that_failed_is_listed_once_however_often_it_is_tried(operator: Operator) -> None:
    operator.site.store.rename(operator.site.root / "away")
    for _tick in range(3):
        with pytest.raises(Exception, match="articles"):
            operator.site.rescan()
    operator.get("/")
    assert operator.text.count(">failed<") == 1 and "The last rescan failed" in operator.text
    Path(operator.site.root, "away").rename(operator.site.store)
    operator.site.rescan()
    assert "The last rescan failed" not in operator.get("/").get_data(as_text=True)


def test_the_list_of_rescans_is_bounded(console_site: Any) -> None:
    with database.writing(console_site.runtime.engine) as connection:
        for number in range(audit_log.RESCANS + 20):
            audit_log.note_rescan(connection, number, {"added": 1}, "")
        assert len(audit_log.last_rescans(connection, 1000)) == audit_log.RESCANS


def test_pages_speak_chinese(chinese: Operator) -> None:
    for path, word in {"/": "概览", "/quarantine": "隔离区", "/feeds": "读者", "/issues": "期次", "/log": "日志"}.items():
        assert f"<h1>{word}</h1>" in chinese.get(path).get_data(as_text=True)


# -- quarantine ------------------------------------------------------------------


def test_a_faulty_file_shows_its_place_its_reason_and_its_lines(operator: Operator) -> None:
    operator.site.write("bad.md", "---\ntitle: x\ntags: [a\nauthor: y\n---\nbody\n")
    operator.site.rescan()
    operator.get("/quarantine")
    assert "bad.md:4:" in operator.text and "did not find expected" in operator.text
    assert ["3", "tags: [a"] in rows(operator.page)


def test_comments_in_a_faulty_file_are_not_shown(operator: Operator, text_of: Any) -> None:
    comments = [{"date": "2020", "message": "zqsecret", "postip": "203.0.113.9", "username": "zqsecret"}]
    operator.site.write("bad.md", text_of("7.md", comments_data=comments).replace("message: ", "message: *"))
    operator.site.rescan()
    operator.get("/quarantine")
    assert "bad.md" in operator.text and "may be a comment" in operator.text
    assert "zqsecret" not in operator.text and "203.0.113" not in operator.text


def test_many_faulty_files_come_page_by_page(operator: Operator) -> None:
    for number in range(45):
        operator.site.write(f"bad{number:02}.md", "no header\n")
    operator.site.rescan()
    seen = [
        re.findall(r"bad\d\d\.md", operator.get(f"/quarantine?page={page}").get_data(as_text=True)) for page in (1, 2, 3, 99)
    ]
    assert len({name for names in seen[:3] for name in names}) == 45
    assert seen[2] == seen[3]


# -- who reads -------------------------------------------------------------------


@pytest.fixture
def read_site(console_site: Any) -> Any:
    today = date.fromtimestamp(time.time() + 8 * 3600).toordinal()
    counts = {(today - back, "tags/Linux", "atom"): Counts(10, 7, 1, 1000) for back in range(3)}
    counts |= {(today, "all", "rss"): Counts(5, 0, 0, 10), (today - 30, "all", "rss"): Counts(100, 0, 0, 10)}
    readers = {(today, "tags/Linux", "Feedly", "f1"): 12, (today - 1, "tags/Linux", EVIL, ""): 3}
    with database.writing(console_site.runtime.engine) as connection:
        add_batch(connection, Batch(counts, readers))
    return console_site


def test_feeds_are_listed_with_requests_and_readers_of_the_week(read_site: Any, operator: Operator) -> None:
    _head, first, second, *_rest = rows(operator.get("/feeds"))
    assert (first[0].split()[-1], first[1], first[3:]) == ("/tags/Linux", "3", ["30", "21", "15"])
    assert (second[0].split()[-1], second[3:]) == ("/all", ["5", "0", "0"])


@pytest.mark.parametrize(
    ("order", "expected"), [("feed", "/all"), ("articles", "/translators/geekpi"), ("readers", "/tags/Linux")]
)
def test_the_table_can_be_sorted(read_site: Any, operator: Operator, order: str, expected: str) -> None:
    assert rows(operator.get(f"/feeds?sort={order}"))[1][0].endswith(expected)


def test_the_table_can_be_searched_by_title_and_by_address(operator: Operator) -> None:
    assert [row[0].split()[-1] for row in rows(operator.get("/feeds?q=UBUNTU"))[1:]] == ["/tags/Ubuntu"]
    assert [row[0].split()[-1] for row in rows(operator.get("/feeds?q=translators/"))[1:]] == ["/translators/geekpi"]


def test_many_feeds_come_page_by_page(operator: Operator) -> None:
    operator.site.write("many.md", tags=[f"tag{number:03}" for number in range(90)])
    operator.site.rescan()
    pages = [rows(operator.get(f"/feeds?sort=feed&page={page}"))[1:] for page in (1, 2)]
    assert len(pages[0]) == 50 and len({row[0] for page in pages for row in page}) == len(pages[0]) + len(pages[1])
    operator.get("/feeds?sort=feed")
    [following] = html.fromstring(operator.text).xpath("//a[@rel='next']/@href")
    assert rows(operator.get(following.removeprefix("/operator")))[1:] == pages[1]


def test_one_feed_has_its_days_as_plots_and_as_a_table(read_site: Any, operator: Operator) -> None:
    operator.get("/feeds/show?path=tags/Linux")
    days = rows(operator.page)[1:]
    assert len(days) == 90 and days[0][1:] == ["10", "7", "1", "12"] and days[1][4] == "3" and days[5][1:] == ["0"] * 4
    pictures = html.fromstring(operator.text).xpath("//img[contains(@class, 'plot')]")
    assert len(pictures) == 2 and all(picture.get("alt") for picture in pictures)
    assert operator.get("/feeds/show?path=nothing").status_code == 404


def test_a_plot_is_a_picture_that_can_do_nothing(read_site: Any, operator: Operator) -> None:
    for address in ("/plots/requests.svg?path=tags/Linux", "/plots/readers.svg?path=tags/Linux&narrow=1"):
        answered = operator.get(address)
        drawn = etree.fromstring(answered.get_data())
        assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
        assert not drawn.xpath("//*[local-name() = 'script']") and b"http" not in answered.get_data().replace(
            b"http://www.w3.org", b""
        )
        assert "script" not in answered.headers["Content-Security-Policy"]
    bars = etree.fromstring(operator.get("/plots/requests.svg?path=tags/Linux").get_data())
    assert bars.xpath("//*[local-name() = 'desc'][@class = 'value']/text()").count("7") == 3


def test_plots_speak_the_readers_language(read_site: Any, chinese: Operator) -> None:
    assert "无变化" in chinese.get("/plots/requests.svg?path=all").get_data(as_text=True)


# -- settings --------------------------------------------------------------------


def test_each_setting_says_where_its_value_comes_from(console_site: Any) -> None:
    console_site.set("site.yaml", "title: Here\n\nstore: articles\nlimits: {documents: 7}\n")
    console_site.set(
        "feeds.yaml", "facets:\n  tag:\n    limit: 5\nfeeds:\n  - {name: a, title: A}\n  - name: b\n    title: B\n"
    )
    environment = Environment.read(console_site.config_dir, {"FEEDS_STORE": str(console_site.store)})
    found = {f"{one.file}:{one.name}": one for one in load.settings_in_force(load_config(environment), environment)}
    assert (found["site.yaml:title"].value, found["site.yaml:title"].line) == ("Here", 1)
    assert (found["site.yaml:store"].value, found["site.yaml:store"].variable) == (str(console_site.store), "FEEDS_STORE")
    assert (found["site.yaml:limits.documents"].value, found["site.yaml:limits.documents"].line) == ("7", 4)
    assert (found["site.yaml:timezone"].value, found["site.yaml:timezone"].line) == ("Asia/Shanghai", 0)
    assert found["feeds.yaml:facets.tag.limit"].line == 3 and found["feeds.yaml:facets.tag.archive"].line == 0
    assert (found["feeds.yaml:feeds.1"].line, json.loads(found["feeds.yaml:feeds.1"].value)["name"]) == (6, "b")
    assert found["newsletter.yaml:enabled"].value == "false"


def test_every_setting_there_is_is_listed(demo: Any) -> None:
    """By the reference of the files that the program ships: each line of them is some setting's."""
    found = load.settings_in_force(load_config(demo.environment), demo.environment)
    listed = {(one.file, one.name.partition(".")[0]) for one in found}
    for file in load.SECTIONS:
        keys = re.findall(r"^([a-z_]+):", Path(demo.config_dir, file).read_text("utf-8"), re.MULTILINE)
        assert {(file, key) for key in keys} <= listed
    assert all(one.line for one in found if one.file == "newsletter.yaml")


def test_secrets_are_never_shown(console_site: Any) -> None:
    secrets = {
        "FEEDS_SMTP_URL": "smtps://user:hunter2@mail.example:465",
        "FEEDS_IMAP_URL": "imaps://user:hunter3@mail.example",
        "FEEDS_SECRET_KEY": "hunter4",
        "FEEDS_OPERATOR_TOKEN": TOKEN,
    }
    console_site.environment = Environment.read(console_site.config_dir, secrets)
    operator = Operator(console_site)
    operator.sign_in()
    operator.get("/configuration")
    assert facts(operator.page)["FEEDS_SMTP_URL"] == "set" and "hunter" not in operator.text and TOKEN not in operator.text
    database_url = "postgresql://me:hunter5@db.example/feeds?password=hunter6"
    told = load.variables(Environment.read(console_site.config_dir, {"FEEDS_DATABASE_URL": database_url}))
    assert [one.value for one in told if one.name == "FEEDS_DATABASE_URL"] == ["postgresql://…@db.example/feeds"]


# -- nothing that anybody writes is markup ------------------------------------------


def test_words_of_articles_aggregators_and_configuration_are_never_markup(read_site: Any, operator: Operator) -> None:
    site = operator.site
    site.write("evil.md", tags=[EVIL, "Linux"], title=EVIL, translator=EVIL, summary=EVIL, excerpt=EVIL)
    site.write(f"{EVIL.replace('/', '')}.md", f"{EVIL}\n")
    site.write("lines.md", f"---\ntitle: {EVIL}\ntags: [a\nauthor: y\n---\n")
    site.settle("site.yaml", title=EVIL, rights=EVIL)
    site.settle("feeds.yaml", feeds=[{"name": "evil", "title": EVIL, "description": EVIL, "select": {"tag": [EVIL]}}])
    site.rescan()
    with site.runtime.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM quarantine").scalar() == 2
    path = next(state.path for state, _ in site.runtime.read(lookup.list_feeds) if "script" in state.path)
    pages = ["/", "/quarantine", "/feeds", "/feeds/own", "/feeds/new?edit=evil", "/configuration", "/log", "/subscribers"]
    pages += [
        f"/feeds/show?path={path}",
        "/feeds/show?path=tags/Linux",
        f"/feeds?q={EVIL}&sort={EVIL}&page={EVIL}",
        f"/?said={EVIL}",
    ]
    for address in pages:
        operator.get(address, follow_redirects=True)
        assert operator.page.status_code == 200, address
        assert "<script>alert" not in operator.text and "<img src=x" not in operator.text, address
    assert "&lt;script&gt;alert(1)" in operator.get("/feeds/show?path=tags/Linux").get_data(as_text=True), "the aggregator"
    assert "&lt;script&gt;" in operator.get("/quarantine").get_data(as_text=True)
    site.set("feeds.yaml", f'"{EVIL.split(chr(34))[0]}": 1\n')
    site.rescan()
    operator.get("/")
    assert "&lt;script&gt;" in operator.text and "<script>alert" not in operator.text
    answered = operator.post(
        "/feeds/save", select="tag=a", name=EVIL, title=EVIL, limit=EVIL, key=operator.hidden("/sign-out")["key"]
    )
    assert answered.status_code == 400 and "<script>alert" not in operator.text
