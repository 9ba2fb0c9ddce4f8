"""Dialects of bodies: shortcodes, templates, components and the like, turned into Markdown."""
