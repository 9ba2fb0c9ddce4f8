"""Messages: what templates, articles and readers make of them, and that a mail program reads them as they were meant."""

from __future__ import annotations

import base64
import html
import quopri
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds import database
from feeds.model import Credit, IssueContent
from feeds.newsletter.issues.preview import PreviewRequest, newest_content
from feeds.newsletter.issues.sections import arrange_sections
from feeds.newsletter.messages.composer import MAX_HTML, DigestComposer
from feeds.newsletter.messages.mime import Fragment, encode_base64, encode_part, join_text
from feeds.newsletter.messages.templates import TemplateFault
from tests.examples import some

from .composing import BASE, FOLDER, NOW, TOKENS, article, composer, config, content, read, recipient

LANGUAGES = ("zh-CN", "en")
TOKEN = TOKENS.preferences(7, 1, NOW)
LEAVE = TOKENS.unsubscribe(7)


def shown(made: IssueContent, reader: Any, limit: int = 30) -> list[int]:
    return [rank for section in arrange_sections(made, reader.reach, reader.selections, limit) for rank in section.ranks]


# -- what is said ----------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_message_decodes_to_its_preview(language: str) -> None:
    one, reader = composer(), recipient(language=language)
    found, preview = read(one.message(reader, NOW).data), one.preview(reader)
    assert (found.subject, found.html, found.text) == (preview.subject, preview.html, preview.text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_parts_have_every_article_with_its_address(language: str) -> None:
    made = content(6)
    found = read(composer(made).message(recipient(language=language), NOW).data)
    for one in made.articles:
        assert one.title in found.text and one.url in found.text
        assert html.escape(one.title, quote=False) in found.html and html.escape(one.url) in found.html
        assert one.original in found.text and one.picture in found.html


def test_personal_links_are_the_readers_own() -> None:
    one = composer(content(6, s1=(0, 1), s2=(2, 3)))
    first = one.preview(recipient(2, 1))
    second = one.preview(recipient(1, subscriber=8, version=4, reach=0, address="other@example.net"))
    for part in (first.html, first.text):
        assert f"{BASE}/unsubscribe/{LEAVE}" in part and f"{BASE}/preferences/{TOKEN}" in part
        assert "reader@example.net" in part and "other@example.net" not in part
    assert f"{BASE}/digests/weekly-2026-01-05?reach=0&s=2.1" in first.text
    assert f"{BASE}/digests/weekly-2026-01-05?reach=0&amp;s=2.1" in first.html
    assert f"{BASE}/unsubscribe/{TOKENS.unsubscribe(8)}" in second.text
    assert TOKENS.preferences(8, 4, NOW) in second.text
    assert not {TOKEN, LEAVE} & set(re.split(r"[/\s\"<>]", second.text + second.html))


def test_a_reader_gets_the_chosen_articles_under_their_headings() -> None:
    made = content(6, s1=(0, 1), s2=(1, 2), s3=(4,), s4=(5,))
    found = composer(made).preview(recipient(2, 1, 3))
    places = [
        found.text.index(word) for word in ("内核与系统", "第 1 篇", "第 2 篇", "== Linux", "第 0 篇", "== a、b", "第 4 篇")
    ]
    assert places == sorted(places)
    assert "第 5 篇" not in found.text and "第 3 篇" not in found.html
    assert f'href="{BASE}/feeds/kernel.atom"' in found.html and f'href="{BASE}/tags/Linux"' in found.html
    assert "All articles" in composer(made).preview(recipient(4, language="en")).text


def test_one_word_is_singular_and_more_are_plural() -> None:
    one = composer(content(6, s1=(0,), s2=(1, 2)), config(max_articles=2))
    assert "1 article\n" in one.preview(recipient(1, language="en")).text
    assert "2 articles" in one.preview(recipient(2, language="en")).text
    assert "1 more article on the web" in one.preview(recipient(1, 2, language="en")).text
    assert "5 more articles on the web" in composer(content(6), config(max_articles=1)).preview(recipient(language="en")).html


def test_the_subject_names_the_readers_first_article_and_counts_the_others() -> None:
    one = composer(content(6, s1=(0,), s2=(1, 2), s3=(3, 4, 5)))
    assert one.preview(recipient(1)).subject == "每周文摘：第 0 篇：用 systemd 定时器代替 crontab"
    assert one.preview(recipient(2)).subject.endswith("另有 1 篇")
    subject = one.preview(recipient(3, language="en")).subject
    assert subject == "Weekly digest: 第 3 篇：用 systemd 定时器代替 crontab, and 2 more"


def test_long_words_are_cut_near_the_end_in_any_script() -> None:
    chinese, english = "用 " + "很长的标题" * 40, "many words " * 40
    found = [composer(content([article(1, title=title, summary=title)])).preview(recipient()) for title in (chinese, english)]
    assert [f"每周文摘：{title}" in one.subject for title, one in zip((chinese[:60], english[:50]), found, strict=True)] == [
        True
    ] * 2
    assert found[0].subject.endswith("…") and found[1].subject.endswith(("many…", "words…"))
    assert chinese[:190] in found[0].text and all(len(one.subject) < 80 for one in found)


def test_dates_are_in_the_readers_zone_and_language() -> None:
    one = composer(content([article(1, published=NOW - 9 * 3600 + 60)]))  # 23:01 of Sunday in Shanghai, 15:01 in UTC
    assert "2026 年 1 月 4 日" in one.preview(recipient()).text
    assert "2026 年 1 月 5 日 星期一" in one.preview(recipient()).html
    auckland = one.preview(recipient(timezone="Pacific/Auckland", language="en")).text
    assert "5 January 2026 |" in auckland and "Monday, 5 January 2026" in auckland
    assert "4 January 2026" in one.preview(recipient(timezone="No/Such_Zone", language="en")).text


def test_the_translator_is_credited_with_page_and_feed() -> None:
    found = composer().preview(recipient())
    assert f'href="{BASE}/translators/geekpi"' in found.html and f'href="{BASE}/translators/geekpi.atom"' in found.html
    assert "译者：geekpi" in found.text and f"{BASE}/translators/geekpi.atom" in found.text
    plain = composer(content([article(1, translators=(Credit("nobody"),))])).preview(recipient())
    assert "译者 nobody" in plain.html and "nobody.atom" not in plain.html


def test_sound_films_and_comments_have_their_links() -> None:
    talk, forum = "https://example.org/files/1/talk.mp3", "https://forum.example.org/t/1?a=1&b=2"
    made = content(
        [article(0, media=Credit("audio/mpeg", talk), discussion=forum), article(1, media=Credit("video/mp4", talk))]
    )
    found = read(composer(made).message(recipient(language="en"), NOW).data)
    assert f"Audio: {talk}" in found.text and f"Comments: {forum}" in found.text and f"Video: {talk}" in found.text
    assert re.search(f'href="{talk}"[^>]*>▶ Audio<', found.html) and "▶ Video<" in found.html
    assert re.search(f'href="{re.escape(html.escape(forum))}"[^>]*>Comments<', found.html)
    chinese = read(composer(made).message(recipient(language="zh-CN"), NOW).data)
    assert "音频：" in chinese.text and "评论" in chinese.html


def test_the_html_part_has_what_mail_programs_and_readers_need() -> None:
    found = composer().preview(recipient(language="en")).html
    assert found.startswith("<!DOCTYPE html>") and '<html lang="en"' in found
    assert found.count("<style") == 2  # media queries, and Outlook's
    assert "prefers-color-scheme: dark" in found or "prefers-color-scheme:dark" in found
    assert all("alt=" in picture for picture in re.findall(r"<img[^>]*>", found))
    assert "Example Road 1, Example Town" in found
    assert "★ Editor's choice" in found and re.search('<h3[^>]* lang="zh-CN"', found)
    squeezed = found.lower().replace(" ", "")
    for word in ("<script", "<link", "@import", "@font-face", "url(", "<form", "display:flex", "position:", "data-css-inline"):
        assert word not in squeezed
    # Nothing is fetched but covers: no pixel, no counted link.
    assert set(re.findall(r'src="https://([^/"]+)/', found)) == {"img.example.org"}


def test_the_hidden_preheader_is_in_the_html_part_only() -> None:
    found = composer(content(6, s1=(2, 3, 4, 5))).preview(recipient(1))
    hidden = re.search(r'<div class="preheader"[^>]*display:\s*none[^>]*>(.*?)</div>', found.html, re.DOTALL)
    assert hidden and [f"第 {number} 篇" in hidden[1] for number in range(6)] == [False, False, True, True, True, False]
    assert found.text.count(article(2).title) == 1


def test_an_issue_without_articles_can_be_previewed() -> None:
    found = composer(content([], s1=())).preview(recipient(1, language="en"))
    assert found.subject == "Weekly digest" and "0 articles" in found.text


# -- bytes -----------------------------------------------------------------


def test_equal_input_gives_equal_bytes() -> None:
    made = content(6, s1=(0, 1), s2=(2, 3))
    first, second = composer(made), composer(made)
    first.message(recipient(1, subscriber=1), NOW)  # what was made before does not matter
    assert first.message(recipient(2, 1), NOW) == second.message(recipient(2, 1), NOW)


def test_a_long_digest_is_cut_at_an_article_and_says_how_many_are_left() -> None:
    made = content([article(number, summary="长" * 190, title="题" * 100) for number in range(120)])
    settings_ = config(max_articles=200)
    found = composer(made, settings_).preview(recipient(language="en"))
    assert MAX_HTML * 0.9 < len(found.html.encode()) <= MAX_HTML
    there = found.html.count('class="title"')
    assert f"{120 - there} more articles on the web" in found.html
    assert f"{there} articles" in found.text and found.text.count("https://example.org/article-") == there


@pytest.mark.parametrize(("words", "encoding"), [("汉" * 150, "base64"), ("plain words " * 14, "quoted-printable")])
def test_the_smaller_encoding_is_taken(words: str, encoding: str) -> None:
    made = content([article(number, title=words, summary=words, tags=()) for number in range(12)])
    found = read(composer(made).message(recipient(language="en"), NOW).data)
    assert next(part["Content-Transfer-Encoding"] for part in found.message.iter_parts()) == encoding


def test_lines_are_short_and_of_seven_bits() -> None:
    made = content([article(number, title="Ünïcode " * 9, url=f"https://example.org/{'x' * 1500}") for number in range(9)])
    for language in LANGUAGES:
        data = composer(made).message(recipient(language=language), NOW).data
        head, _, rest = data.partition(b"\r\n\r\n")
        assert data.isascii() and b"\n" not in data.replace(b"\r\n", b"") and b"\r" not in data.replace(b"\r\n", b"")
        assert max(map(len, head.split(b"\r\n"))) <= 998
        assert max(map(len, rest.split(b"\r\n"))) <= 76


texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r"), max_size=300) | st.text(
    "=. \n中", max_size=160
)


@given(parts=st.lists(texts, max_size=12))
def test_fragments_in_any_order_decode_to_their_text(parts: list[str]) -> None:
    made = [Fragment(part, personal=at % 3 == 0) for at, part in enumerate(parts)] + [Fragment("\n")]
    whole = "".join(parts) + "\n"
    assert join_text(made) == whole
    for lines, decode in (
        (encode_base64(made), base64.b64decode),
        ([fragment.quoted for fragment in made], quopri.decodestring),
    ):
        encoded = b"".join(lines)
        assert decode(encoded).replace(b"\r\n", b"\n").decode() == whole
        assert max(map(len, encoded.split(b"\r\n"))) <= 76 and encoded.endswith(b"\r\n") and encoded.isascii()
    assert encode_part("plain", made)[0].startswith(b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: ")


# -- strangers' text -------------------------------------------------------

nasty = st.sampled_from(
    (
        "{{ 7 * 7 }}",
        "{% raw %}",
        "<script>alert(1)</script>",
        "</style></td></table>",
        "<!--",
        "-->",
        "%s %(title)s %",
        "a\r\nBcc: victim@example.org",
        "\x00\x1b\x7f",
        "\u2028\u2029\x85",
        "\u202e\u05d0\u05d1",
        "👩‍👩‍👧‍👦🏳️‍🌈",
        "=?utf-8?q?x?=",
        "=_weekly-2026-01-05",
        "--=_weekly-2026-01-05--",
        "m0123456789abcdef_unsubscribe_",
        "\n.\n",
        "\nFrom me",
        "]]>",
        '" onload="x',
        "  two  blanks ",
    )
)
strange = st.lists(nasty | st.text(max_size=20), max_size=6).map("".join)


@settings(max_examples=some(30))
@given(title=strange, summary=strange, name=strange, site=strange)
def test_no_text_becomes_markup_or_a_field_or_a_template(title: str, summary: str, name: str, site: str) -> None:
    made = article(1, title=title, summary=summary, authors=(Credit(name),), translators=(), tags=(Credit(name),))
    ordinary = {"title": "A site"} if not site.strip() or not site.isprintable() else {"title": site[:100]}
    one = composer(content([made, article(2)], {1: f"tag={'x'}"}), config(ordinary))
    expected = composer(content([article(1, authors=(Credit("n"),), translators=(), tags=(Credit("n"),)), article(2)]))
    message, plain = one.message(recipient(), NOW), expected.message(recipient(), NOW)
    found = read(message.data)
    assert found.message.keys() == read(plain.data).message.keys()
    preview = one.preview(recipient())
    assert (found.html, found.text) == (preview.html, preview.text)
    assert " ".join(found.subject.split()) == " ".join(preview.subject.split())
    tags = re.compile(r"<(/?[a-z0-9]+)")
    assert tags.findall(found.html) == tags.findall(_with_link(read(plain.data).html, bool(summary.strip(_BLANK))))
    seen = html.unescape(found.html)
    assert _line(title) in seen and _line(name) in seen
    assert "49" not in found.subject or "49" in title


_BLANK = "".join(map(chr, (*range(33), 0x7F, 0x85, 0x2028, 0x2029)))


def _line(value: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", "", " ".join(value.split()))


def _with_link(found: str, summary: bool) -> str:
    """The markup expected: without the first summary where there is none."""
    return found if summary else re.sub(r'<p class="summary.*?</p>', "", found, count=1, flags=re.DOTALL)


# -- templates -------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., DigestComposer]:
    """A composer with an operator's own templates: `own(**{"digest.txt": text})`."""

    def make(**files: str) -> DigestComposer:
        for name, words in files.items():
            (tmp_path / name).write_text(words, "utf-8")
        return composer(folders=(tmp_path, FOLDER))

    return make


def changed(name: str, old: str, new: str) -> str:
    text_ = (FOLDER / name).read_text("utf-8")
    assert old in text_
    return text_.replace(old, new)


def test_an_operators_template_comes_first(own: Callable[..., DigestComposer]) -> None:
    one = own(**{"digest.subject": "{{ site.title }}\n  No. {{ count }}\n"})
    assert one.preview(recipient()).subject == "Linux 中国 No. 6"
    assert "Linux 中国 No. 6" in read(one.message(recipient(), NOW).data).subject


def _line_of(name: str, word: str, text_: str) -> int:
    return next(number for number, line in enumerate(text_.splitlines(), 1) if word in line)


@pytest.mark.parametrize(
    ("name", "old", "new", "reason"),
    [
        ("digest.html", "{{ article.summary|", "{{ article.sumary|", "sumary"),
        ("digest.html", "{{ date(issue.due) }}", "{{ no_such_name }}", "no_such_name"),
        ("digest.txt", "{{ postal_address }}", "{{ 1 / 0 }}", "division"),
        ("digest.txt", "{% if section.url %}", "{% if section.url %", "expected token"),
        ("digest.subject", "{% elif count == 1 %}", "{% elif cnt == 1 %}", "cnt"),
    ],
)
def test_a_fault_in_a_template_is_named_by_file_and_line(
    own: Callable[..., DigestComposer], name: str, old: str, new: str, reason: str
) -> None:
    text_ = changed(name, old, new)
    with pytest.raises(TemplateFault, match=reason) as caught:
        own(**{name: text_}).message(recipient(), NOW)
    line = _line_of(name, new.split("|")[0], text_)
    assert Path(caught.value.path).name == name and abs(caught.value.line - line) <= int(name != "digest.html")
    assert str(caught.value).startswith(f"{caught.value.path}:{caught.value.line}:1: ")


@pytest.mark.parametrize(
    ("name", "old", "new", "reason"),
    [
        ("digest.html", "{{ content }}", "", "content"),
        ("digest.html", "links.unsubscribe", "links.home", "unsubscribe"),
        ("digest.txt", "links.preferences", "links.home", "preferences"),
        ("digest.txt", "macro section(section)", "macro heading(section)", "section"),
        (
            "digest.html",
            "</tr></table>\n{% endmacro %}\n\n{% macro section",
            "</tr>\n{% endmacro %}\n\n{% macro section",
            "article",
        ),
        ("digest.html", 'href="{{ links.unsubscribe }}"', 'href="{{ links.unsubscribe|upper }}"', "unsubscribe|filter"),
        ("digest.txt", "'count': section.more", "'count': section.more|upper", "filter"),
    ],
)
def test_a_template_that_lacks_what_a_digest_must_have_is_refused(
    own: Callable[..., DigestComposer], name: str, old: str, new: str, reason: str
) -> None:
    with pytest.raises(TemplateFault, match=reason):
        own(**{name: changed(name, old, new)}).message(recipient(), NOW)


def test_a_missing_template_is_named(tmp_path: Path) -> None:
    with pytest.raises(TemplateFault, match=r"digest\.html"):
        composer(folders=(tmp_path,)).message(recipient(), NOW)


# -- real articles ---------------------------------------------------------


def _draft(site: Any, wanted: list[str], now: int, after: int) -> tuple[IssueContent, Any]:
    settings_ = site.runtime.edition().config
    with database.reading(site.runtime.engine) as connection:
        request = PreviewRequest("weekly", "Asia/Shanghai", wanted)
        return newest_content(connection, settings_, request, now, after=after), settings_


def _read_again(made: IssueContent, settings_: Any) -> int:
    """Every article of an issue in messages of 30, for both languages: read again, with equal text, title and address."""
    number = 0
    for start in range(0, len(made.articles), 30):
        part = replace(made, sections={(0, 1): tuple(range(start, min(start + 30, len(made.articles))))})
        one = composer(part, settings_)
        for language in LANGUAGES:
            reader = recipient(language=language)
            found, preview = read(one.message(reader, NOW).data), one.preview(reader)
            assert (found.subject, found.text, found.html) == (preview.subject, preview.text, preview.html)
            assert len(found.html.encode()) <= MAX_HTML
            seen = html.unescape(found.html)
            for rank in shown(part, reader):
                title, url = " ".join(made.articles[rank].title.split()), made.articles[rank].url
                assert title in found.text and title in seen and url in found.text and url in seen
                number += 1
    return number


def test_every_demo_article_is_read_again_as_it_was(demo: Any) -> None:
    made, settings_ = _draft(demo, [""], 1_800_000_000, 0)
    assert len(made.articles) > 40
    assert _read_again(made, settings_) == 2 * len(made.articles)


@pytest.mark.corpus
def test_real_articles_are_read_again_as_they_were(corpus: Path, new_site: Callable[..., Any]) -> None:
    site = new_site(store=str(corpus))
    site.rescan()
    made, settings_ = _draft(site, [""], 1_800_000_000, 0)
    few = replace(made, articles=made.articles[:300])
    assert _read_again(few, settings_) >= 2 * min(300, len(made.articles)) * 0.9
