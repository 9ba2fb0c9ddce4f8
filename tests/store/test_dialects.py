"""Dialects of generators become Markdown: what they mean where that is simple, never source, and code as it is."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.store import markdown
from feeds.store.bodies.code_spans import Masked, code_spans
from feeds.store.bodies.dialects import PASSES, BodyContext, Plain, plain_markdown
from feeds.store.kinds import KINDS
from tests.examples import some


def plain(kind: str, body: str, **context: object) -> str:
    return made(kind, body, **context).body


def made(kind: str, body: str, **context: object) -> Plain:
    return plain_markdown(body, KINDS[kind].passes, BodyContext(**context))  # type: ignore[arg-type]


def test_every_pass_that_a_kind_names_is_there() -> None:
    assert {name for kind in KINDS.values() for name in kind.passes} <= PASSES.keys()


SHORTCODES = {
    '{{< figure src="a b.png" alt="Alt" >}}': "![Alt](a%20b.png)",
    '{{< figure src="/a.png" caption="Two words" link="/b/" >}}': "[![Two words](/a.png)](/b/)\n\n*Two words*",
    "{{% figure src=a.png %}}": "![](a.png)",
    "Boil {{< highlight text >}}slowly{{< /highlight >}} and wait.": "Boil `slowly` and wait.",
    '{{< highlight go "linenos=table" >}}\na := "`{{< x >}}`"\n{{< /highlight >}}': '\n```go\na := "`{{< x >}}`"\n```\n',
    '[a]({{< ref "posts/b.md#part" >}})': "[a](posts/b.md#part)",
    '[a]({{% relref "/posts/b" %}})': "[a](/posts/b.md)",
    "{{< youtube dQw4 >}}": "[YouTube](https://www.youtube.com/watch?v=dQw4)",
    '{{< youtube id="dQw4" autoplay="true" >}}': "[YouTube](https://www.youtube.com/watch?v=dQw4)",
    "{{< vimeo 1234 >}}": "[Vimeo](https://vimeo.com/1234)",
    "{{< gist spf13 7896402 >}}": "[Gist](https://gist.github.com/spf13/7896402)",
    "{{< mine >}}kept **words**{{< /mine >}}": "kept **words**",
    "{{< outer >}}a {{< inner >}}b{{< /inner >}}{{< /outer >}}": "a b",
    '{{% notice tip "Mind this" %}}\nWords.\n{{% /notice %}}': "\n> **Mind this**\n>\n> Words.\n",
    "{{/* a comment */}}text": "text",
    "a {{< unknown x=1 />}} b": "a  b",
    "Say {{</* name */>}} so.": "Say &#123;{&#60; name >}} so.",
    "{{ not a shortcode }}": "{{ not a shortcode }}",
    "## Title {#own-id}": "## Title {#own-id}",
    "## Title {.wide #own-id}\n\ntext {#x}": "## Title {#own-id}\n\ntext",
}
LIQUID = {
    "{% include note.html %}\ntext": "\ntext",
    '{% include figure.html image_path="/a.png" alt="Alt" %}': "![Alt](/a.png)",
    '{% include youtube.html id="dQw4" %}': "[YouTube](https://www.youtube.com/watch?v=dQw4)",
    "{% raw %}{{ literal }}{% endraw %}": "&#123;{ literal }}",
    "{% highlight ruby linenos %}\ndef a\nend\n{% endhighlight %}": "\n```ruby\ndef a\nend\n```\n",
    "[a]({% post_url 2020-01-02-a %})": "[a](/_posts/2020-01-02-a.md)",
    "[a]({% link _docs/a.md %})": "[a](/_docs/a.md)",
    "![]({{ site.baseurl }}/a.png)": "![](/press/a.png)",
    "[a]({{ '/b c/' | relative_url }})": "[a](/press/b%20c/)",
    '[a]({{ "/b/" | absolute_url }})': "[a](https://example.org/press/b/)",
    "On {{ site.title }}.": "On Small Press.",
    "{% if a %}one{% else %}two{% endif %}": "onetwo",
    "{% for a in b %}- x{% endfor %}": "- x",
    "a{% comment %} hidden {{ x }} {% endcomment %}b": "ab",
    "{% capture x %}unseen{% endcapture %}seen": "seen",
    "{%- assign x = 1 -%}text": "text",
    "Text {: .lead}": "Text",
    "* TOC\n{:toc}\n\ntext": "\n\ntext",
    "100 {% of it": "100   of it",
}
HEXO = {
    "{% asset_img moon.png Moon %}": "![Moon](moon.png)",
    '{% asset_img "a b.png" %}': "![](a%20b.png)",
    "{% asset_img left moon.png 100 200 'A title' %}": "![A title](moon.png)",
    "{% img /i/moon.png 100 %}": "![](/i/moon.png)",
    "{% post_link hello 'Hi there' %}": "[Hi there](hello.md)",
    "{% post_link sub/hello %}": "[hello](sub/hello.md)",
    "[a]({% post_path hello %})": "[a](hello.md)",
    "{% asset_link a.pdf The paper %}": "[The paper](a.pdf)",
    "{% codeblock _.compact lang:js %}\nx\ny\n{% endcodeblock %}": "\n```js\nx\ny\n```\n",
    "{% blockquote Ann, Notes %}\nWords.\n{% endblockquote %}": "\n> Words.\n>\n> — Ann Notes\n",
    "{% note info %}\nWords.\n{% endnote %}": "\n> **Info**\n>\n> Words.\n",
    "{% youtube dQw4 %}": "[YouTube](https://www.youtube.com/watch?v=dQw4)",
    "{% link Site https://example.com %}": "[Site](https://example.com)",
    "{% raw %}<i>{{ x }}</i>{% endraw %}": "<i>&#123;{ x }}</i>",
}
MDX = {
    "import Box from '@site/src/Box';\n\ntext": "\ntext",
    "import {\n  A,\n\n  B,\n} from 'x'\nexport const n = {\n  a: 1,\n};\n\ntext": "\ntext",
    "import duties rose": "import duties rose",
    '<Box kind="plain">Words inside stay.</Box>': "Words inside stay.",
    "<Box on={() => 1 > 0} {...rest}>Words</Box>": "Words",
    "{/* truncate */}\nMore": "\nMore",
    "There are {n} of them{'!'}": "There are  of them!",
    "Escaped \\{n} stays": "Escaped \\{n} stays",
    "<img src={require('./x.png').default} alt=\"y\" style={{width: 1}} />": '<img src="./x.png" alt="y"/>',
    '<Image src="/a.png" alt="b" />': "![b](/a.png)",
    '<YouTube id="dQw4" />': "[YouTube](https://www.youtube.com/watch?v=dQw4)",
    "<>words</>": "words",
    "<details><summary>S</summary>t</details>": "<details><summary>S</summary>t</details>",
    "1 < 2 and a <b>": "1 < 2 and a <b>",
    ":::note Mind this\n\nInside.\n\n:::\nAfter": "> **Mind this**\n>\n>\n> Inside.\n>\n\nAfter",
    ":::tip[With *stress*]\nInside.\n:::": "> **With *stress***\n>\n> Inside.\n",
    "::::info\n:::note\nInner.\n:::\n::::": "> **Info**\n>\n> > **Note**\n> >\n> > Inner.\n>\n",
}
VUE = {
    "::: tip 提示\n穿厚一点。\n:::": "> **提示**\n>\n> 穿厚一点。\n",
    "::: code-group\ntext\n:::": "text\n",
    "[[toc]]": "",
    '<Badge text="新" /> 下了一天。': " 下了一天。",
    "{{ 1 + 1 }} is two": " is two",
    "<script setup>\nlet x\n</script>\ntext": "\ntext",
    "<my-box>kept</my-box> <BR> <b>bold</b>": "kept <BR> <b>bold</b>",
    "## Title {#own}": "## Title {#own}",
}
OBSIDIAN = {
    "Sow [[Compost|old leaves]].": "Sow [old leaves](Compost.md).",
    "See [[Seeds and Soil#Warmth]].": "See [Seeds and Soil > Warmth](Seeds%20and%20Soil.md).",
    "[[#Here]] | [[Note\\|text]]": "Here | [text](Note.md)",
    "![[plan.png]] ![[plan.png|200]] ![[plan.png|A plan]]": "![](plan.png) ![](plan.png) ![A plan](plan.png)",
    "![[Other note]]": "[Other note](Other%20note.md)",
    "[[paper.pdf]]": "[paper.pdf](paper.pdf)",
    "a %%nobody sees\n\nthis%% b": "a  b",
    "==Turn it== a == b": "<mark>Turn it</mark> a == b",
    "> [!tip] Warmth\n> Wait.": "> **Warmth**\n>\n> Wait.",
    "> [!NOTE]-\n> Wait.": "> **Note**\n>\n> Wait.",
    "Text ^block-id": "Text",
    "$$\nx^2\n$$": "\n```latex\nx^2\n```\n",
    "The sum $$a$$ is $5 or $$ more": "The sum `a` is $5 or $$ more",
    "unclosed [[ here": r"unclosed \[\[ here",
    "Title\n=====": "Title\n=====",
}
PLAIN = {
    '!!! note "A title"\n    one\n\n    two\nafter': "> **A title**\n>\n> one\n>\n> two\n\nafter",
    "??? tip\n    one\n\nafter": "> **Tip**\n>\n> one\n\nafter",
    "[TOC]\n\ntext": "\n\ntext",
    "[[one]] and {{ x }} and {% y %}": "[[one]] and {{ x }} and {% y %}",
}
TABLES = {
    "hugo": SHORTCODES,
    "jekyll": LIQUID,
    "hexo": HEXO,
    "docusaurus": MDX,
    "vuepress": VUE,
    "obsidian": OBSIDIAN,
    "plain": PLAIN,
}


@pytest.mark.parametrize(
    ("kind", "body", "expected"), [(kind, *pair) for kind, table in TABLES.items() for pair in table.items()]
)
def test_what_is_simple_is_kept_as_what_it_means(kind: str, body: str, expected: str) -> None:
    context = {"base_path": "/press", "base_url": "https://example.org/press", "values": {"site.title": "Small Press"}}
    assert plain(kind, body, **context) == expected


def test_code_stays_as_it_is() -> None:
    code = [
        "`{{< x >}}`",
        "`` {% y %} ` [[z]] ``",
        "```go\n{{< figure src=a >}}\n::: tip\n[[toc]]\n```",
        "~~~\n{% raw %}\n\nimport x from 'y'\n~~~",
        "    indented {{ x }} %%y%%\n    $$z$$",
        "> ```\n> {% quoted %}\n> ```",
        "- item\n\n  ```\n  {% in a list %}\n  ```",
    ]
    for kind in KINDS:
        assert plain(kind, "## A {#own}\n\nx") == "## A {#own}\n\nx", kind
        assert plain(kind, "\n\n".join(code)) == "\n\n".join(code)
    assert plain("jekyll", "{% raw %}\n```\n{{ x }}\n```\n{% endraw %}") == "\n```\n{{ x }}\n```\n"
    assert plain("docusaurus", ":::note\n```js\nimport x from 'y'\n```\n:::") == (
        "> **Note**\n>\n> ```js\n> import x from 'y'\n> ```\n"
    )


@pytest.mark.parametrize("kind", ["hexo", "eleventy", "plain", "docusaurus", "vuepress"])
def test_containers_are_quotes_wherever_a_generator_or_its_plugins_have_them(kind: str) -> None:
    assert plain(kind, ":::info\nMind the tide.\n:::\n") == "> **Info**\n>\n> Mind the tide.\n\n"


def test_pelican_has_the_tags_of_liquid_but_prints_no_values() -> None:
    text = "{% img left /images/oar.png 300 'An oar' %} and {{ name }}"
    assert plain("pelican", text) == "![An oar](/images/oar.png) and {{ name }}"


def test_what_cannot_be_shown_becomes_a_link_to_the_article_where_it_stands_alone_and_is_counted() -> None:
    one = made("hugo", "{{< chart data=x >}}\n\ninline {{< chart >}}\n\n{{< chart >}}", link="https://example.org/a b/")
    assert one.body == "[…](https://example.org/a%20b/)\n\ninline \n\n[…](https://example.org/a%20b/)"
    assert one.notices == ("chart: left out (3)",)
    assert made("astro", "<Chart />\n", link="/a/").body == "[…](/a/)\n"
    assert made("astro", "{not} <Mdx>", mdx=False).body == "{not} <Mdx>"


def test_tags_in_the_text_of_a_note_are_found() -> None:
    one = made(
        "obsidian", "# Title\nSow early. #beans, #garden/spring #2024 `#code` a#b https://x.example/#part（#中文）#beans"
    )
    assert one.tags == ("beans", "garden/spring", "中文")
    assert "#beans" in one.body


def test_what_is_made_is_what_readers_see() -> None:
    html = markdown.render_html(plain("jekyll", "{% raw %}{{ literal }}{% endraw %} {% highlight c %}a<b{% endhighlight %}"))
    assert "{{ literal }}" in html and "<code>a&lt;b</code>" in html
    html = markdown.render_html(plain("docusaurus", ":::note\nInside.\n:::\nAfter\n"))
    assert html.count("<blockquote>") == 1 and html.index("After") > html.index("</blockquote>")


# -- any text ------------------------------------------------------------------

_PIECES = st.sampled_from(
    [
        *(body for table in TABLES.values() for body in table),
        *("```", "~~~", "`", "``", "{{<", ">}}", "{%", "%}", "{{", "}}", "[[", "]]", "![[", ":::", "::: a", "> ", "    ", "\t"),
        *("<A", "<A b={", "/>", "{", "}", "$$", "%%", "==", "!!! a", "- ", "1. ", "\\", "import {", "\ufdd0", "\ufdd01\ufdd0"),
        *("{% raw %}", "{% endraw %}", "{{< a >}}", "{{< /a >}}", "{% if %}", "{% endif %}", "<script>", "{{< highlight >}}"),
    ]
)
_SOUP = st.lists(_PIECES | st.text(max_size=6) | st.just("\n") | st.just("\n\n"), max_size=40).map("".join)


@settings(max_examples=some(600), deadline=None)
@given(text=_SOUP)
def test_the_scanner_cuts_any_text_into_code_and_the_rest_and_puts_it_together_again(text: str) -> None:
    spans = list(code_spans(text))
    assert all(0 <= start <= end <= len(text) for start, end in spans)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
    masked = Masked(text)
    assert masked.restore(masked.text) == text


@settings(max_examples=some(800), deadline=None)
@given(kind=st.sampled_from(sorted(KINDS)), text=_SOUP, link=st.sampled_from(["", "/a/"]))
def test_any_body_becomes_markdown(kind: str, text: str, link: str) -> None:
    one = made(kind, text, link=link)
    assert isinstance(one.body, str) and len(one.tags) <= 100
    assert all("\n" not in notice and len(notice) < 100 for notice in one.notices)


_WORDS = st.text(st.characters(codec="utf-8", exclude_characters="{}[]:!?$=%#<>^\\`~&|"), max_size=80)


@settings(max_examples=some(400), deadline=None)
@given(kind=st.sampled_from(sorted(KINDS)), text=st.lists(_WORDS, max_size=6).map("\n\n".join))
def test_a_text_without_dialects_comes_back_as_it_is(kind: str, text: str) -> None:
    assert made(kind, text) == Plain(text)


@settings(max_examples=some(400), deadline=None)
@given(
    kind=st.sampled_from(sorted(TABLES)),
    bodies=st.data(),
    code=st.lists(st.sampled_from(["`{{< a >}}`", "```\n{% b %}\n[[c]]\n```", "    {{< d >}}", "~~~\n<E>\n~~~"]), max_size=4),
)
def test_no_source_is_left_outside_of_code_and_code_is_kept(kind: str, bodies: st.DataObject, code: list[str]) -> None:
    pieces = bodies.draw(st.lists(st.sampled_from(sorted(TABLES[kind])), max_size=6))
    mixed = bodies.draw(st.permutations([*pieces, *code]))
    result = made(kind, "\n\ntext\n\n".join(mixed)).body
    assert all(one in result for one in code)
    hidden = Masked(result).text
    forms = {"hugo": ["{{<", "{{%"], "jekyll": ["{%", "{{"], "hexo": ["{%", "{{"], "obsidian": ["[["], "vuepress": ["{{", "[["]}
    for form in forms.get(kind, []):
        assert form not in re.sub(r"\{\{ not a shortcode", "", hidden), hidden
