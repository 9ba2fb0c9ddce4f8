"""Templates -> forms: the whole digest of an issue in one language and time zone, rendered once and cut into pieces.

A template is rendered with every article of the issue; style sheets are inlined once; then the text is cut at marks that
nobody can guess (they are random) into the frame, the articles, the headings and the places of what is personal. What an
article says passes through a template as a value only, never as a template.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any
from zoneinfo import ZoneInfo

import css_inline
import jinja2
from markupsafe import Markup, escape

from ... import i18n
from ...errors import Fault
from ...model import IssueArticle
from .fragments import Piece

#: What differs from reader to reader. A template finds the first three in `links`.
PERSONAL = ("browser", "preferences", "unsubscribe", "address")
_SLOTS = ("content", "teasers", "tally")
_PAIRED = ("table", "tbody", "tr", "td", "div", "p", "ul", "ol", "li", "h2", "h3")

#: What a personal value takes, at most about; for the size of a part before it is made.
_ROOM = 300


@dataclass(frozen=True, slots=True)
class Mould:
    """Pieces, and names of personal values between them. `size` in octets, with room for those."""

    parts: tuple[Piece | str, ...]
    size: int

    @classmethod
    def of(cls, parts: Sequence[Piece | str]) -> Mould:
        return cls(tuple(parts), sum(len(part.raw) if isinstance(part, Piece) else _ROOM for part in parts))


class TemplateFault(Fault):
    """A template that cannot be rendered, or lacks what a digest must have; prints as ``path:line:column: reason``."""


@dataclass(frozen=True, slots=True)
class SectionTitle:
    """A heading as templates see it; `url` and `feed` are "" where the selection has no page."""

    title: str
    url: str = ""
    feed: str = ""
    more: int | str = 0


class Templates:
    """The templates of one issue; `folders` in order of preference."""

    def __init__(self, folders: Sequence[Path]) -> None:
        loader = jinja2.FileSystemLoader(folders)
        self.html = _environment(loader, autoescape=True)
        self.text = _environment(loader, autoescape=False)

    def subject(self, language: str, zone: ZoneInfo, values: Mapping[str, Any]) -> str:
        """One line, made for one set of `values`."""
        with _Blame(_get(self.text, "digest.subject")) as template:
            # Not `render`, which rewrites tracebacks so that `_Blame` would not know its template in them.
            rendered = str(template.make_module({**_helpers(language, zone), **values}))
        return " ".join(rendered.split())


def _environment(loader: jinja2.BaseLoader, *, autoescape: bool) -> jinja2.Environment:
    made = jinja2.Environment(
        loader=loader,
        autoescape=autoescape,  # noqa: S701  a text part and a subject are no HTML
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["shorten"] = _shorten
    return made


def _shorten(text: str, length: int) -> str:
    """At most `length` characters: up to a blank if there is one near the end. Chinese has few, and they may be far away."""
    if len(text) <= length:
        return text
    kept = text[: length - 1]
    blank = kept.rfind(" ", length - 20)
    return f"{kept[:blank] if blank > 0 else kept}…"


def _helpers(language: str, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "_": lambda text: i18n.translate(language, text, context=i18n.MAIL),
        "language": language,
        "day": lambda when: i18n.format_day(datetime.fromtimestamp(when, zone), language),
        "date": lambda when: i18n.format_date(datetime.fromtimestamp(when, zone), language),
    }


def _get(environment: jinja2.Environment, name: str) -> jinja2.Template:
    try:
        return environment.get_template(name)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateFault(error.filename or error.name or name, error.lineno, 1, error.message or "not a template") from None
    except jinja2.TemplateNotFound as error:
        raise TemplateFault(name, 1, 1, f"no such template: {error.message}") from None
    except UnicodeDecodeError:
        raise TemplateFault(name, 1, 1, "not UTF-8") from None


class _Blame:
    """Turns what goes wrong while a template is rendered into a fault at the template's line."""

    def __init__(self, template: jinja2.Template) -> None:
        self._template = template

    def __enter__(self) -> jinja2.Template:
        return self._template

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not isinstance(error, Exception) or isinstance(error, Fault):
            return
        if isinstance(error, jinja2.TemplateSyntaxError):  # of a template that this one includes
            raise TemplateFault(error.filename or str(error.name), error.lineno, 1, str(error.message)) from None
        path, line = self._template.filename or str(self._template.name), 1
        for found in _frames(trace):
            path, line = found
        raise TemplateFault(path, line, 1, f"{error}".splitlines()[0] if str(error) else type(error).__name__) from None


def _frames(trace: TracebackType | None) -> Iterator[tuple[str, int]]:
    """Places in templates, the outermost first."""
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            yield template.filename or str(template.name), template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next


# -- marks -----------------------------------------------------------------


class _Marks:
    """Random words that stand for what is cut out later. No text can hold one by chance or by intent."""

    def __init__(self) -> None:
        self.secret = "m" + secrets.token_hex(16)
        self.find = re.compile(rf"{self.secret}_([a-z]+)_")
        self.fences = re.compile(rf"(?:<!--)?{self.secret}:([a-z0-9.]+);(?:-->)?")

    def value(self, name: str) -> str:
        return f"{self.secret}_{name}_"

    def fence(self, name: str) -> str:
        return f"{self.secret}:{name};"

    def mould(self, text: str) -> Mould:
        """Cut at the personal values."""
        cut = self.find.split(text)
        return Mould.of([part if at % 2 else Piece(part) for at, part in enumerate(cut) if part])


# -- forms -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Form:
    """One part (HTML or text) of an issue in one language and time zone. `articles` and `teasers` by rank."""

    frame: Mould
    articles: Sequence[Mould]
    teasers: Sequence[Mould]
    tally: tuple[Mould, Mould]
    escape: Callable[[str], str]
    _marks: _Marks
    _texts: Mapping[str, str]

    def heading(self, section: SectionTitle) -> Mould:
        return self._filled("section", section, "many")

    def more(self, section: SectionTitle, *, one: bool) -> Mould:
        return self._filled("more", section, "one" if one else "many")

    def _filled(self, macro: str, section: SectionTitle, number: str) -> Mould:
        text = self._texts[f"{macro}.{'linked' if section.url else 'plain'}.{number}"]
        for name in ("title", "url", "feed"):
            text = text.replace(self._marks.value(name), self.escape(getattr(section, name)))
        return self._marks.mould(text)


def html_form(
    templates: Templates, language: str, zone: ZoneInfo, articles: Sequence[IssueArticle], values: Mapping[str, Any]
) -> Form:
    return _Workshop(_get(templates.html, "digest.html"), language, zone, values, html=True).form(articles)


def text_form(
    templates: Templates, language: str, zone: ZoneInfo, articles: Sequence[IssueArticle], values: Mapping[str, Any]
) -> Form:
    return _Workshop(_get(templates.text, "digest.txt"), language, zone, values, html=False).form(articles)


class _Workshop:
    """Renders one template with marks in it, and cuts."""

    def __init__(
        self, template: jinja2.Template, language: str, zone: ZoneInfo, values: Mapping[str, Any], *, html: bool
    ) -> None:
        self.template, self.html, self.marks = template, html, _Marks()
        personal = {name: self.marks.value(name) for name in PERSONAL}
        links = {**values["links"], **{name: text for name, text in personal.items() if name != "address"}}
        slots = {name: self._fence(f"slot.{name}") for name in _SLOTS}
        self.context = {**_helpers(language, zone), **values, **slots, "links": links, "address": personal["address"]}

    def _fence(self, name: str) -> str:
        """In HTML a comment, which may stand anywhere between elements."""
        return Markup("<!--{}-->").format(self.marks.fence(name)) if self.html else self.marks.fence(name)

    def form(self, articles: Sequence[IssueArticle]) -> Form:
        with _Blame(self.template):
            module = self.template.make_module(self.context)
            rendered = str(module)
            for slot in _SLOTS:
                if self._shows(rendered, slot):
                    rendered = self._fill(rendered, slot, dict(self._fragments(module, slot, articles)))
        rendered = _inline(rendered) if self.html else rendered
        frame, texts = self._cut(f"{rendered.strip()}\n")
        return Form(
            frame=frame,
            articles=[self.marks.mould(texts[f"article.{rank}"]) for rank in range(len(articles))],
            teasers=[self.marks.mould(texts.get(f"teaser.{rank}", "")) for rank in range(len(articles))],
            tally=(self.marks.mould(texts.get("tally.one", "")), self.marks.mould(texts.get("tally.many", ""))),
            escape=(lambda text: str(escape(text))) if self.html else str,
            _marks=self.marks,
            _texts={name: text for name, text in texts.items() if name.startswith(("section.", "more."))},
        )

    def _fragments(
        self, module: jinja2.environment.TemplateModule, slot: str, articles: Sequence[IssueArticle]
    ) -> Iterator[tuple[str, str]]:
        if slot == "teasers":
            yield from ((f"teaser.{rank}", self._call(module, "teaser", article)) for rank, article in enumerate(articles))
        elif slot == "tally":
            yield from ((f"tally.{name}", self._call(module, "total", count)) for name, count in self._numbers())
        else:
            yield from ((f"article.{rank}", self._call(module, "article", article)) for rank, article in enumerate(articles))
            for name, number in self._numbers():
                title, url, feed = map(self.marks.value, ("title", "url", "feed"))
                linked = SectionTitle(title, url, feed, number)
                for kind, section in (("linked", linked), ("plain", SectionTitle(title, more=number))):
                    for macro in ("section", "more"):
                        yield f"{macro}.{kind}.{name}", self._call(module, macro, section)

    def _numbers(self) -> tuple[tuple[str, int | str], ...]:
        """Languages differ for one and many; which number it is, a message says."""
        return (("one", 1), ("many", self.marks.value("count")))

    def _call(self, module: jinja2.environment.TemplateModule, macro: str, value: object) -> str:
        found = getattr(module, macro, None)
        if found is None:
            raise self._fault(f"expected a macro called {macro}")
        text = str(found(value))
        if self.html and any(text.count(f"<{tag}>") + text.count(f"<{tag} ") != text.count(f"</{tag}>") for tag in _PAIRED):
            raise self._fault(f"the macro {macro} opens an element that it does not close, or closes one that it did not open")
        return text

    def _shows(self, rendered: str, slot: str) -> bool:
        count = rendered.count(str(self._fence(f"slot.{slot}")))
        if slot == "content" and count != 1:
            raise self._fault("expected {{ content }} once")
        return count > 0

    def _fill(self, rendered: str, slot: str, fragments: Mapping[str, str]) -> str:
        fence = str(self._fence(f"slot.{slot}"))
        filled = "".join(f"{self._fence(name)}{text}" for name, text in fragments.items())
        # The fragments are in the text once; where a slot is shown again, its fence stays and is enough.
        return rendered.replace(fence, f"{filled}{self._fence(f'end.{slot}')}", 1)

    def _cut(self, rendered: str) -> tuple[Mould, dict[str, str]]:
        first, *rest = self.marks.fences.split(rendered)
        frame = list(self.marks.mould(first).parts)
        texts: dict[str, str] = {}
        for name, text in zip(rest[::2], rest[1::2], strict=True):
            kind, _, what = name.partition(".")
            if kind in ("end", "slot"):
                frame += [what, *self.marks.mould(text).parts]
            else:
                texts[name] = text
        self._check(frame, texts)
        return Mould.of(frame), texts

    def _check(self, frame: Sequence[Piece | str], texts: Mapping[str, str]) -> None:
        for name in ("unsubscribe", "preferences"):
            if name not in frame:
                raise self._fault(f"expected {{{{ links.{name} }}}}: readers must find it in every digest")
        whole = [part.raw.decode() for part in frame if isinstance(part, Piece)] + list(texts.values())
        if any(self.marks.secret in self.marks.find.sub("", text).lower() for text in whole):
            raise self._fault("a filter has changed a link, an address or a number that is filled in later")

    def _fault(self, reason: str) -> TemplateFault:
        return TemplateFault(self.template.filename or str(self.template.name), 1, 1, reason)


def _inline(html: str) -> str:
    """Style sheets become style attributes; one marked `data-css-inline="keep"` stays, for @media. Nothing is fetched."""
    inlined = css_inline.CSSInliner(load_remote_stylesheets=False, minify_css=True, preallocate_node_capacity=1024).inline(html)
    return inlined.replace(' data-css-inline="keep"', "")
