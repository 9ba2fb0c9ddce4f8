"""An article with the addresses of a site, as the catalog gives it."""

from __future__ import annotations

import dataclasses

from feeds.config.models import Site
from feeds.model import ParsedArticle
from feeds.store import addresses

SITE = Site(article_url="https://linux.cn{permalink}", base_url="https://feeds.example", image_url="https://img.linux.net.cn")


def completed(article: ParsedArticle, site: Site = SITE) -> ParsedArticle:
    """Return the article with addresses on `site`."""
    url = addresses.article_url(site, article.url, article.permalink, article.id)
    return dataclasses.replace(
        article,
        url=url,
        html=addresses.complete_links(site, article.html, url),
        picture=addresses.picture_url(site, article.picture, url),
        original=article.original if article.original != url else "",
    )
