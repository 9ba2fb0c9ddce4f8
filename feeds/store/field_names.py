"""Names of header fields: what is wanted of an article, and the fields that carry it, of which the first one present counts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Of what few articles say (`headers/details.py`).
DETAILS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "licence": ("license", "licence", "licenses", "copyright_license", "copyright", "rights", "cc", "许可", "版权"),
        "part": (
            *("series_order", "seriesOrder", "series_index", "seriesIndex", "series_part", "seriesPart", "series_number"),
            *("series_weight", "seriesWeight", "series.order", "series.index", "series.part", "series.number"),
            *("series.weight", "part", "chapter", "order", "weight"),
        ),
        "discussion": (
            *("comments_url", "commentsUrl", "comment_url", "comments_link", "commentsLink", "discussion", "discussion_url"),
            *("discussionUrl", "discussions_to", "discuss", "discourse_url", "comments", "comment", "mastodon"),
        ),
        "media": (
            *("enclosure", "enclosures", "audio", "audios", "audio_url", "audioUrl", "audio_file", "audioFile", "mp3"),
            *("mp3_url", "podcast", "podcast_file", "podcastFile", "podcast_url", "podcast_link", "podcast.audio"),
            *(
                "episode.audio",
                "episode_url",
                "media",
                "media_url",
                "video",
                "videos",
                "video_url",
                "videoUrl",
                "video_file",
                "videoFile",
            ),
        ),
        "media_length": (
            *("audio_length", "audioLength", "audio_size", "podcast_bytes", "podcast_length", "podcast_file_size"),
            *("media_length", "enclosure_length", "video_size", "filesize", "file_size", "fileSize", "bytes", "length", "size"),
        ),
        "duration": (
            *("duration", "audio_duration", "audioDuration", "podcast_duration", "podcastDuration", "itunes_duration"),
            *("itunes.duration", "episode.duration", "video_duration"),
        ),
        "transcript": ("transcript", "transcript_url", "transcriptUrl", "podcast_transcript", "transcripts", "captions"),
        "artwork": ("episode_image", "itunes_image", "itunes.image", "podcast_image", "episode.image", "artwork"),
        "explicit": ("explicit", "itunes_explicit", "itunes.explicit", "podcast_explicit", "episode.explicit"),
        "episode": ("episode", "episode_number", "episodeNumber", "itunes_episode", "itunes.episode", "episode.number"),
        "season": ("season", "season_number", "itunes_season", "itunes.season", "episode.season"),
    }
)
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
        **DETAILS,
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
        **DETAILS,
    }
)
