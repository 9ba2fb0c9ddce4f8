"""Transports: what carries messages to their recipients. `base` has the interface, this module chooses by newsletter.yaml."""

from __future__ import annotations

from ...config.environment import Environment
from ...config.models import TRANSPORT_GROUP, Config
from ...counters import Gathered
from ...errors import TransportError
from ...plugins import find_plugins, load_plugin
from .base import Transport
from .maildir import Maildir
from .smtp import Smtp
from .smtp_session import parse_servers

__all__ = ["Transport", "choose_transport"]


def choose_transport(config: Config, environment: Environment, gathered: Gathered | None = None) -> Transport:
    """Return the transport that newsletter.yaml names: one of ours, or one that another package provides.

    How SMTP servers answer is counted in `gathered`. Raises TransportError where FEEDS_SMTP_URL is missing or wrong, or where
    the other package is not installed here or cannot be loaded.
    """
    settings = config.newsletter
    if settings.transport == "maildir":
        return Maildir(environment.root / settings.maildir, settings.connections)
    if settings.transport == "smtp":
        if not environment.smtp_url:
            raise TransportError("newsletter.yaml says `transport: smtp`, and FEEDS_SMTP_URL is not set")
        return Smtp(
            parse_servers(environment.smtp_url.get_secret_value()),
            connections=settings.connections,
            per_connection=settings.messages_per_connection,
            gathered=gathered or Gathered(),
        )
    for plugin in find_plugins(TRANSPORT_GROUP):
        if plugin.name == settings.transport:
            try:
                found: Transport = load_plugin(plugin)(config, environment)
            except TransportError:
                raise
            except Exception as error:
                raise TransportError(plugin.fault(error)) from error
            return found
    raise TransportError(f"newsletter.yaml says `transport: {settings.transport}`, and no such transport is installed here")
