"""Transports: what carries messages to their recipients. `base` has the interface, this module chooses by newsletter.yaml."""

from __future__ import annotations

from dataclasses import replace

from ...config.environment import Environment
from ...config.models import TRANSPORT_GROUP, TRANSPORTS, Config
from ...counters import PendingCounts
from ...errors import TransportError
from ...plugins import Plugin, find_plugins, load_plugin
from .base import Transport
from .smtp import Smtp

__all__ = ["Transport", "choose_transport"]


def choose_transport(config: Config, environment: Environment, gathered: PendingCounts | None = None) -> Transport:
    """Return the transport that newsletter.yaml names: one of ours, or one that another package provides.

    How SMTP servers answer is counted in `gathered`. Raises TransportError where FEEDS_SMTP_URL is missing or wrong, or where
    the other package is not installed here or cannot be loaded.
    """
    wanted = config.newsletter.transport
    ours = (Plugin(TRANSPORT_GROUP, name, "feeds", "", target) for name, target in TRANSPORTS.items())
    for plugin in (*ours, *find_plugins(TRANSPORT_GROUP)):
        if plugin.name == wanted:
            try:
                found: Transport = load_plugin(plugin)(config, environment)
            except TransportError:
                raise
            except Exception as error:  # another package's code may raise anything
                raise TransportError(plugin.fault(error)) from error
            if gathered is not None and isinstance(found, Smtp):
                return replace(found, gathered=gathered)
            return found
    raise TransportError(f"newsletter.yaml says `transport: {wanted}`, and no such transport is installed here")
