"""Messages made for one reader each: 20 of an issue's 500 articles under five headings, HTML and text; then signed."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from feeds.config.models import Config, Dkim, Newsletter, Site
from feeds.model import Credit, Issue, IssueArticle, IssueContent, Recipient
from feeds.newsletter.messages.composer import DigestComposer
from feeds.newsletter.messages.dkim import Signer
from feeds.resources import TEMPLATES
from feeds.tokens import Tokens

from .bench import Bench
from .figures import Figure, middle, spread

UNSIGNED, SIGNED = 5_000.0, 1_000.0
NOW = 1_767_571_200
ARTICLES, SELECTIONS, SHOWN = 500, 600, 20
_TITLE = "在一台旧笔记本上用 systemd 和 Btrfs 搭一个会自己备份的家用服务器"
_SUMMARY = (
    "不需要多少预算，也不必懂太多：一块旧硬盘、一个定时器、几行配置，再加上一次认真的恢复演练，"
    "家里的照片和文档就有了第二份、第三份。本文从分区讲到验证，每一步都说明为什么。"
)


def measure(bench: Bench) -> Iterator[Figure]:
    messages = 400 if bench.quick else 5_000
    content = _content()
    for name, settings, bound in _cases(bench):
        signer = Signer.from_settings(settings, bench.folder)
        composer = DigestComposer(_config(), content, Tokens("benchmark"), [TEMPLATES / "mail"], signer)
        composer.message(_recipient(0), NOW)  # the forms: once an issue and language
        number = messages if bound == UNSIGNED else messages // 4
        rounds = [_round(composer, number) for _round_ in range(bench.rounds(5))]
        size = len(composer.message(_recipient(1), NOW).data)
        note = f"{size / 1000:.0f} KB, {SHOWN} of {ARTICLES} articles each, CPU of one core; {spread(rounds)}"
        yield Figure(f"messages made, {name}", middle(rounds), "/s", bound, at_least=True, note=note)


def _round(composer: DigestComposer, number: int) -> float:
    """Messages in a second of CPU, no two of them alike."""
    recipients = [_recipient(key) for key in range(number)]
    before = time.process_time()
    for recipient in recipients:
        composer.message(recipient, NOW)
    return number / (time.process_time() - before)


def _cases(bench: Bench) -> Iterator[tuple[str, Dkim, float | None]]:
    for name, key in (("rsa", rsa.generate_private_key(65537, 2048)), ("ed25519", ed25519.Ed25519PrivateKey.generate())):
        form = serialization.PrivateFormat.PKCS8
        pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        (bench.folder / f"{name}.pem").write_bytes(pem)
    yield "unsigned", Dkim(), UNSIGNED
    yield "RSA-2048", Dkim(domain="example.org", rsa_selector="r", rsa_key="rsa.pem"), SIGNED
    yield "Ed25519", Dkim(domain="example.org", ed25519_selector="e", ed25519_key="ed25519.pem"), None


def _config() -> Config:
    site = Site(base_url="https://feeds.example.org", article_url="https://example.org{permalink}")
    return Config(site=site, newsletter=Newsletter(max_articles=SHOWN))


def _content() -> IssueContent:
    chance = random.Random(1)
    sections = {
        (0, key): tuple(sorted(chance.sample(range(ARTICLES), chance.randint(4, 40)))) for key in range(1, SELECTIONS + 1)
    }
    return IssueContent(
        Issue(1, "weekly-2026-01-05", "weekly", NOW, "Asia/Shanghai", articles=ARTICLES),
        tuple(_article(number) for number in range(ARTICLES)),
        sections,
        {key: f"tag=term{key}" for key in range(1, SELECTIONS + 1)},
    )


def _article(number: int) -> IssueArticle:
    base = "https://feeds.example.org"
    tags = tuple(Credit(f"标签{tag}", f"{base}/tags/{tag}", f"{base}/tags/{tag}.atom") for tag in range(number, number + 3))
    translator = Credit("geekpi", f"{base}/translators/geekpi", f"{base}/translators/geekpi.atom")
    return IssueArticle(
        id=str(number),
        url=f"https://example.org/article-{number}-1.html",
        title=f"{_TITLE}（{number}）",
        summary=_SUMMARY,
        picture=f"https://img.example.org/data/attachment/album/202601/05/{number:06}cover.jpg",
        published=NOW - 3600 * number,
        original=f"https://example.com/original/{number}",
        editor_choice=number < 3,
        translators=(translator,),
        tags=tags,
    )


def _recipient(key: int) -> Recipient:
    chosen = tuple(random.Random(key).sample(range(1, SELECTIONS + 1), 5))
    return Recipient(key, f"reader{key}@example.org", "zh-CN", "Asia/Shanghai", 1, 0, chosen)
