"""Names of header fields: what is wanted of an article, and the fields that carry it, of which the first one present counts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: A dot leads into a mapping, `[0]` into a list.
FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "title": ("title",),
        "date": ("date", "created", "created_at", "published_at", "createTime"),
        "updated": (
            *("lastmod", "last_modified_at", "updated", "modified", "updatedDate", "modDatetime", "lastUpdated"),
            "last_update.date",
        ),
        "publish": ("publishDate", "publish_date", "scheduled", "scheduledDate"),
        "expiry": ("expiryDate", "unpublishDate"),
        "slug": ("slug",),
        "address": ("permalink", "url"),
        "aliases": ("aliases", "redirect_from", "alias"),
        "tag": ("tags", "tag", "topics"),
        "category": ("categories", "category"),
        "author": ("authors", "author"),
        "translator": ("translator", "translators", "translated_by", "译者"),
        "reviewer": ("reviewer", "reviewers", "proofreader", "校对", "校对者"),
        "selector": ("collector", "selector", "选题", "定稿"),
        "original": (
            *("fromurl", "via", "original", "originallink", "original_url", "translated_from", "source_url", "canonical_url"),
            *("原文链接", "原文地址"),
        ),
        "language": ("lang", "language"),
        "translation": ("translationKey", "translation_key", "translation_id", "lang-ref", "lang_ref", "page_id", "ref"),
        "series": ("series",),
        "summary": ("description", "summary", "excerpt"),
        "cover": (
            *("cover", "image", "images[0]", "featured_image", "featuredImage", "heroImage", "banner", "thumbnail"),
            *("header-img", "largepic", "header.overlay_image", "header.image", "header.teaser"),
        ),
        "id": ("guid",),
    }
)
#: The archive's own names, which its files have always been read by (`model.FACETS`).
ARCHIVE_FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "title": ("title",),
        "date": ("date",),
        "updated": ("updated",),
        "publish": ("publishDate", "publish_date", "scheduled", "scheduledDate"),
        "expiry": ("expiryDate", "unpublishDate"),
        "address": ("permalink",),
        "tag": ("tags", "tag"),
        "category": ("category", "categories"),
        "author": ("author", "authors"),
        "translator": ("translator",),
        "reviewer": ("reviewer",),
        "selector": ("selector",),
        "original": ("fromurl",),
        "summary": ("excerpt", "summary", "description"),
        "cover": ("largepic", "pic"),
        "id": ("id",),
    }
)
