"""The page of a tag or a person: what it says about them, and how it leads to readers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html
from werkzeug.test import Client

from feeds.catalog import queries, related_terms
from feeds.catalog.sort_key import position
from feeds.config.environment import Environment
from feeds.config.load import load_config
from feeds.errors import ConfigError
from feeds.selections import Aliases
from feeds.static.site_files import Exporter
from feeds.syndication.editions import load_edition
from feeds.syndication.feeds import enabled_facets
from feeds.syndication.term_stats import MAX_MONTHS, TermStatsCache, count_activity, load_term_stats
from feeds.web import charts

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def ask(site: Any, make_client: Callable[[Any], Client]) -> Callable[..., Any]:
    site.settle("site.yaml", base_url="https://feeds.example.org", article_url="")
    facets = {"tag": {}, "translator": {"profile": "https://github.com/{name}"}, "author": {}}
    site.settle("feeds.yaml", facets=facets)
    site.write("1.md", tags=["Linux", "内核"], translator="geekpi", date="2019-12-31 23:30:00")
    site.write("2.md", tags=["Linux", "内核"], translator="geekpi", date="2020-02-01 00:00:00")
    site.write("3.md", tags=["Linux", "BSD"], translator="张三", date="2020-02-29 10:00:00")
    site.write("4.md", tags=["Linux"], translator="geekpi", date="2020-03-01 10:00:00")
    site.rescan()

    def page(address: str, accepted: str = "en") -> Any:
        answered = make_client(site).get(address, headers={"Accept-Language": accepted})
        assert answered.status_code == 200
        return html.fromstring(answered.data)

    return page


def said(page: Any) -> dict[str, str]:
    rows = page.xpath("//section[@class='portrait']/dl/div")
    return {row.findtext("dt"): row.find("dd").text_content().strip() for row in rows}


def chips(page: Any) -> dict[str, list[str]]:
    """Heading -> terms with the number of articles that both have."""
    found = {}
    for heading in page.xpath("//section[@class='portrait']/h3"):
        found[heading.text] = [" ".join(one.text_content().split()) for one in heading.getnext()]
    return found


def test_a_translators_page_names_number_first_last_and_their_page_elsewhere(ask: Callable[..., Any]) -> None:
    page = ask("/translators/geekpi")
    assert said(page) == {  # never more than one in a month: none was the busiest
        "Articles": "3",
        "First article": "31 December 2019",
        "Newest article": "1 March 2020",
        "Profile": "GitHub",
    }
    (link,) = page.xpath("//dd/a[text()='GitHub']")
    assert (link.get("href"), link.get("rel")) == ("https://github.com/geekpi", "noopener external")


def test_a_name_that_cannot_be_an_account_has_no_link(ask: Callable[..., Any]) -> None:
    assert "Profile" not in said(ask("/translators/%E5%BC%A0%E4%B8%89"))
    assert "Profile" not in said(ask("/tags/Linux"))


def test_a_persons_tags_and_a_tags_people_come_with_how_often(ask: Callable[..., Any]) -> None:
    assert chips(ask("/translators/geekpi")) == {"Most used tags": ["Linux 3", "内核 2"]}
    assert chips(ask("/tags/Linux")) == {
        "Most active translators": ["geekpi 3", "张三 1"],
        "Often together with": ["内核 2", "BSD 1"],
    }


def test_the_plot_has_a_bar_for_each_month_in_the_sites_time_zone_and_says_it_in_words(ask: Callable[..., Any]) -> None:
    page = ask("/tags/Linux")
    (plot,) = page.xpath("//figure//*[local-name()='svg']")
    assert plot.get("viewbox") == "0 0 16 40"
    assert plot.find("path").get("d") == "M0 40v-20h3v20zM8 40v-40h3v40zM12 40v-20h3v20z"
    assert plot.get("role") == "img" and plot.findtext("title") == "Articles by month"
    assert plot.findtext("desc") == "Most in February 2020: 2"
    rows = [[cell.text for cell in row] for row in page.xpath("//figure/table//tr")]
    assert rows == [["Year", "Articles"], ["2019", "1"], ["2020", "3"]]
    assert said(page)["Busiest"] == "February 2020 · 2 articles"
    assert "2020 年 2 月最多：2 篇" in ask("/tags/Linux", "zh-CN").text_content()


def test_one_month_is_no_plot(ask: Callable[..., Any]) -> None:
    assert not ask("/tags/BSD").xpath("//figure")


def test_older_pages_and_other_feeds_say_nothing_that_would_change_them(site: Any, make_client: Any) -> None:
    for number in range(1, 61):
        site.write(f"{number}.md", tags=["Linux"], date=f"2020-01-01 00:00:{number - 1:02}")
    site.rescan()
    client = make_client(site)
    for address, shown in (("/tags/Linux", True), ("/tags/Linux/page/1", False), ("/all", False)):
        assert ('class="portrait"' in client.get(address).text) == shown, address


def test_a_feed_opens_in_the_readers_own_app_and_in_those_on_the_web(ask: Callable[..., Any]) -> None:
    links = ask("/tags/%E5%86%85%E6%A0%B8").xpath("//div[@class='open-in']//a")
    feed = "https://feeds.example.org/tags/%E5%86%85%E6%A0%B8.atom"
    assert links[0].get("href") == f"feed:{feed}"
    for link in links[1:]:
        address = link.get("href")
        assert address.startswith("https://") and unquote(address).endswith(feed), address
        assert link.get("rel") == "noopener nofollow external"
    assert len(links) == 6


@pytest.mark.parametrize(
    "profile", ["https://github.com/", "javascript:{name}", "//github.com/{name}", "{name}", "https://{name}.example.org"]
)
def test_a_profile_that_is_no_address_with_a_name_in_it_is_refused(site: Any, profile: str) -> None:
    site.settle("feeds.yaml", facets={"translator": {"profile": profile}})
    with pytest.raises(ConfigError, match=r"feeds\.yaml:.*\{name\}"):
        load_config(Environment.read(site.config_dir, {}))


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_company_is_the_same_by_articles_and_by_sets(demo: Any, limit: int) -> None:
    """Which of the two is asked depends on the number of the term's articles."""
    with demo.runtime.reading() as connection:
        for (key,) in connection.exec_driver_sql("SELECT key FROM terms WHERE articles > 0").all():
            asked = connection, key, ("tag", "translator"), limit
            assert related_terms._by_sets(*asked) == related_terms._by_articles(*asked)


@pytest.mark.parametrize("feeds", ["{}", "{facets: {tag: {min_articles: 3}, author: {}}, gone: [tags/Linux]}"])
def test_an_export_knows_of_terms_what_a_page_asks_for(demo: Any, new_site: Callable[..., Any], feeds: str) -> None:
    site = new_site()
    site.settle("site.yaml", store=str(demo.store))
    site.set("feeds.yaml", feeds)
    site.rescan()
    known = {file.address: file.facts for file in Exporter(site.runtime).files() if callable(file.facts)}
    with site.runtime.reading() as connection:
        config = load_edition(connection).config
        for facet in enabled_facets(config):
            for term in queries.terms_of(connection, facet, config.feeds.facet(facet).min_articles):
                address = f"/{term.term.path}"
                if address != "/tags/Linux":
                    assert known.pop(address)() == load_term_stats(connection, config, term)
    assert known.keys() <= {"/tags/Linux"}


def test_kept_statistics_are_those_of_the_edition_that_is_asked_and_no_more_than_the_bound(ask: Any, site: Any) -> None:
    kept = TermStatsCache(2)

    def load(slug: str) -> tuple[Any, Any]:
        with site.runtime.reading() as connection:
            term = queries.term_at(connection, Aliases({}), "tag", slug)
            assert term is not None
            return kept.load(connection, config, term), load_term_stats(connection, config, term)

    config = site.runtime.edition().config
    first, expected = load("Linux")
    assert first == expected
    assert load("Linux")[0] is first
    site.write("5.md", tags=["Linux", "BSD"], date="2020-05-01")
    site.rescan()
    changed, expected = load("Linux")
    assert changed == expected != first
    config = site.runtime.edition().config
    assert load("Linux")[0] is not changed, "settings may be others"
    latest = load("Linux")[0]
    for slug in ("BSD", "内核"):
        assert load(slug)[0] is load(slug)[0]
    assert load("Linux")[0] is not latest


@given(st.lists(st.integers(0, 2_000_000_000), min_size=1, max_size=30))
def test_every_article_is_in_one_period_and_no_period_is_left_out(published: list[int]) -> None:
    published.sort(key=lambda when: position(when, str(when % 7)))
    periods = list(count_activity([position(when, str(when % 7)) for when in published], SHANGHAI))
    assert sum(period.articles for period in periods) == len(published)
    assert len(periods) <= MAX_MONTHS
    assert periods[0].articles and periods[-1].articles
    first = datetime.fromtimestamp(published[0], SHANGHAI)
    assert (periods[0].year, periods[0].month) in ((first.year, first.month), (first.year, 0))
    steps = [one.year * 12 + one.month for one in periods]
    assert len({after - before for before, after in itertools.pairwise(steps)}) <= 1


def test_a_bar_of_one_among_thousands_can_still_be_seen() -> None:
    assert charts.sparkline([0, 1, 5000]) == "M4 40v-1h3v1zM8 40v-40h3v40z"
    assert charts.sparkline([]) == charts.sparkline([0]) == ""
