"""Render mail templates, and cut the parts of a digest into fragments that are joined for each reader.

A digest's template is rendered once for an issue, a language and a time zone, with every article; style sheets are inlined
once; then the text is cut at marks that nobody can guess (they are random) into the frame, the articles, the headings and the
places of what is personal. What an article says passes through a template as a value only, never as a template.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
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
from ...resources import TEMPLATES
from .mime import Fragment

_SLOTS = ("content", "teasers", "tally", "notice")
_PAIRED = ("table", "tbody", "tr", "td", "div", "p", "ul", "ol", "li", "h2", "h3")
#: What a personal value takes, at most about (octets); for the size of a part before it is made.
_ROOM = 300


class TemplateFault(Fault):
    """A template that cannot be rendered, or lacks what a digest must have; prints as ``path:line:column: reason``."""


@dataclass(frozen=True, slots=True)
class SectionTitle:
    """A heading as templates see it; `url` and `feed` are "" where the selection has no page."""

    title: str
    url: str = ""
    feed: str = ""
    more: int | str = 0


def template_folders(root: Path) -> list[Path]:
    """Return where the templates of mails are, the operator's own first; `root` is the folder of the site."""
    return [root / "templates" / "mail", TEMPLATES / "mail"]


class Templates:
    """The templates of mails; `folders` in order of preference, the operator's first.

    Texts are looked up as words of mails. Raises TemplateFault for a template that is missing, faulty or not UTF-8.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._text = jinja2.Environment(
            loader=jinja2.FileSystemLoader(folders),
            autoescape=False,  # noqa: S701  a text part and a subject are no HTML
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._text.filters["shorten"] = _shorten
        self._html = self._text.overlay(autoescape=True)

    def get(self, name: str) -> jinja2.Template:
        """Return a template by the name of its file: `digest.html`, `confirm.subject`."""
        try:
            return (self._html if name.endswith(".html") else self._text).get_template(name)
        except jinja2.TemplateSyntaxError as error:
            path, reason = error.filename or error.name or name, error.message or "not a template"
            raise TemplateFault(path, error.lineno, 1, reason) from None
        except jinja2.TemplateNotFound as error:
            raise TemplateFault(name, 1, 1, f"no such template: {error.message}") from None
        except UnicodeDecodeError:
            raise TemplateFault(name, 1, 1, "not UTF-8") from None

    def render(self, name: str, values: Mapping[str, Any]) -> str:
        """Return what a template makes of `values`, with those of `base_values` among them."""
        template = self.get(name)
        with _faults_located(template):
            # Not `render`, which rewrites tracebacks so that `_faults_located` would not know its template in them.
            return str(template.make_module(dict(values)))


def base_values(language: str, zone: ZoneInfo) -> dict[str, Any]:
    """Return what every template of a mail finds: `_` looks a text up, `day` and `date` write UTC seconds."""
    return {
        "_": lambda text: i18n.translate(language, text, context=i18n.MAIL),
        "language": language,
        "day": lambda when: i18n.format_day(datetime.fromtimestamp(when, zone), language),
        "date": lambda when: i18n.format_day(datetime.fromtimestamp(when, zone), language, weekday=True),
    }


def _shorten(text: str, length: int) -> str:
    """Return at most `length` characters, up to a blank if one is near the end; Chinese has few."""
    if len(text) <= length:
        return text
    kept = text[: length - 1]
    blank = kept.rfind(" ", length - 20)
    return f"{kept[:blank] if blank > 0 else kept}…"


@contextlib.contextmanager
def _faults_located(template: jinja2.Template) -> Iterator[None]:
    """Turn what goes wrong while a template is rendered into a fault at the innermost line of a template."""
    try:
        yield
    except Fault:
        raise
    except jinja2.TemplateSyntaxError as error:  # of a template that this one includes
        raise TemplateFault(error.filename or str(error.name), error.lineno, 1, str(error.message)) from None
    except Exception as error:
        path, line = template.filename or str(template.name), 1
        trace: TracebackType | None = error.__traceback__
        while trace is not None:
            if found := trace.tb_frame.f_globals.get("__jinja_template__"):
                path, line = found.filename or str(found.name), found.get_corresponding_lineno(trace.tb_lineno)
            trace = trace.tb_next
        raise TemplateFault(path, line, 1, str(error).splitlines()[0] if str(error) else type(error).__name__) from None


@dataclass(frozen=True, slots=True)
class FragmentTemplate:
    """Fragments, and names of personal values between them. `size` in octets, with room for those."""

    items: tuple[Fragment | str, ...]
    size: int

    @classmethod
    def join(cls, items: Sequence[Fragment | str]) -> FragmentTemplate:
        """Return a template of these items, with its size."""
        return cls(tuple(items), sum(len(item.raw) if isinstance(item, Fragment) else _ROOM for item in items))


class _Marks:
    """Random words that stand for what is cut out later. No text can hold one by chance or by intent."""

    def __init__(self, html: bool) -> None:
        self.html, self.secret = html, "m" + secrets.token_hex(16)
        self.find = re.compile(rf"{self.secret}_([a-z]+)_")
        self.fences = re.compile(rf"(?:<!--)?{self.secret}:([a-z0-9.]+);(?:-->)?")

    def value(self, name: str) -> str:
        """Return the mark of a personal value."""
        return f"{self.secret}_{name}_"

    def fence(self, name: str) -> str:
        """Return the mark where something begins or ends: in HTML a comment, which may stand anywhere between elements."""
        mark = f"{self.secret}:{name};"
        return Markup("<!--{}-->").format(mark) if self.html else mark

    def cut(self, text: str) -> FragmentTemplate:
        """Return a text cut at its personal values."""
        found = self.find.split(text)
        return FragmentTemplate.join([part if at % 2 else Fragment(part) for at, part in enumerate(found) if part])


@dataclass(frozen=True, slots=True)
class PartTemplate:
    """One part (HTML or text) of an issue in one language and time zone. `articles` and `teasers` by rank.

    `escape` returns a text as the part must write it; `tally`: the line that counts all articles, for one and for many;
    `notice`: the line that says that the reader's choices were changed.
    """

    html: bool
    escape: Callable[[str], str]
    frame: FragmentTemplate
    articles: Sequence[FragmentTemplate]
    teasers: Sequence[FragmentTemplate]
    tally: tuple[FragmentTemplate, FragmentTemplate]
    notice: FragmentTemplate
    _marks: _Marks
    _texts: Mapping[str, str]

    def fill_macro(self, macro: str, section: SectionTitle, number: str) -> FragmentTemplate:
        """Return the `section` or the `more` of a heading; `number`: the wording for `one` or for `many`."""
        text = self._texts[f"{macro}.{'linked' if section.url else 'plain'}.{number}"]
        for name in ("title", "url", "feed"):
            text = text.replace(self._marks.value(name), self.escape(getattr(section, name)))
        return self._marks.cut(text)


class PartCutter:
    """Renders the template of a digest's part (`digest.html`, `digest.txt`) with marks in it, and cuts."""

    def __init__(self, template: jinja2.Template, values: Mapping[str, Any]) -> None:
        self.template, self.html = template, str(template.name).endswith(".html")
        self.marks = _Marks(self.html)
        self.fault = partial(TemplateFault, template.filename or str(template.name), 1, 1)
        links = {name: self.marks.value(name) for name in ("browser", "preferences", "unsubscribe")}
        slots = {name: self.marks.fence(f"slot.{name}") for name in _SLOTS}
        self.context = {**values, **slots, "links": {**values["links"], **links}, "address": self.marks.value("address")}
        # Languages differ for one and many; which number it is, a message says.
        self.numbers: tuple[tuple[str, int | str], ...] = (("one", 1), ("many", self.marks.value("count")))

    def cut(self, articles: Sequence[IssueArticle]) -> PartTemplate:
        """Return the part that the template makes of all articles of an issue. Raises TemplateFault."""
        with _faults_located(self.template):
            module = self.template.make_module(self.context)
            rendered = str(module)
            for slot in _SLOTS:
                fence = str(self.marks.fence(f"slot.{slot}"))
                if slot == "content" and rendered.count(fence) != 1:
                    raise self.fault("expected {{ content }} once")
                if fence in rendered:
                    texts = dict(self._render_macros(module, slot, articles))
                    filled = "".join(f"{self.marks.fence(name)}{text}" for name, text in texts.items())
                    # The texts are in the part once; where a slot is shown again, its fence stays and is enough.
                    rendered = rendered.replace(fence, f"{filled}{self.marks.fence(f'end.{slot}')}", 1)
        if self.html:
            # Style sheets become style attributes; one marked `data-css-inline="keep"` stays, for @media. Nothing is fetched.
            inliner = css_inline.CSSInliner(load_remote_stylesheets=False, minify_css=True, preallocate_node_capacity=1024)
            rendered = inliner.inline(rendered).replace(' data-css-inline="keep"', "")
        frame, texts = self._cut(f"{rendered.strip()}\n")
        return PartTemplate(
            html=self.html,
            escape=(lambda text: str(escape(text))) if self.html else str,
            frame=frame,
            articles=[self.marks.cut(texts[f"article.{rank}"]) for rank in range(len(articles))],
            teasers=[self.marks.cut(texts.get(f"teaser.{rank}", "")) for rank in range(len(articles))],
            tally=(self.marks.cut(texts.get("tally.one", "")), self.marks.cut(texts.get("tally.many", ""))),
            notice=self.marks.cut(texts.get("notice.changed", "")),
            _marks=self.marks,
            _texts={name: text for name, text in texts.items() if name.startswith(("section.", "more."))},
        )

    def _render_macros(
        self, module: jinja2.environment.TemplateModule, slot: str, articles: Sequence[IssueArticle]
    ) -> Iterator[tuple[str, str]]:
        """Yield (name, text) of all that a slot can show."""
        if slot == "teasers":
            yield from ((f"teaser.{rank}", self._call(module, "teaser", article)) for rank, article in enumerate(articles))
        elif slot == "notice":
            yield "notice.changed", self._call(module, "changed", self.marks.value("changed"))
        elif slot == "tally":
            yield from ((f"tally.{name}", self._call(module, "total", count)) for name, count in self.numbers)
        else:
            yield from ((f"article.{rank}", self._call(module, "article", article)) for rank, article in enumerate(articles))
            for name, number in self.numbers:
                title, url, feed = map(self.marks.value, ("title", "url", "feed"))
                linked = SectionTitle(title, url, feed, number)
                for kind, section in (("linked", linked), ("plain", SectionTitle(title, more=number))):
                    for macro in ("section", "more"):
                        yield f"{macro}.{kind}.{name}", self._call(module, macro, section)

    def _call(self, module: jinja2.environment.TemplateModule, macro: str, value: object) -> str:
        found = getattr(module, macro, None)
        if found is None:
            raise self.fault(f"expected a macro called {macro}")
        text = str(found(value))
        if self.html and any(text.count(f"<{tag}>") + text.count(f"<{tag} ") != text.count(f"</{tag}>") for tag in _PAIRED):
            raise self.fault(f"the macro {macro} opens an element that it does not close, or closes one that it did not open")
        return text

    def _cut(self, rendered: str) -> tuple[FragmentTemplate, dict[str, str]]:
        """Return the frame, with the names of slots in it, and the texts of the macros. Raises TemplateFault."""
        first, *rest = self.marks.fences.split(rendered)
        frame = list(self.marks.cut(first).items)
        texts: dict[str, str] = {}
        for name, text in zip(rest[::2], rest[1::2], strict=True):
            kind, _, what = name.partition(".")
            if kind in ("end", "slot"):
                frame += [what, *self.marks.cut(text).items]
            else:
                texts[name] = text
        for name in ("unsubscribe", "preferences"):
            if name not in frame:
                raise self.fault(f"expected {{{{ links.{name} }}}}: readers must find it in every digest")
        whole = [item.raw.decode() for item in frame if isinstance(item, Fragment)] + list(texts.values())
        if any(self.marks.secret in self.marks.find.sub("", text).lower() for text in whole):
            raise self.fault("a filter has changed a link, an address or a number that is filled in later")
        return FragmentTemplate.join(frame), texts
