"""Addresses: those that a generator gives articles, and what links and pictures of a body lead to."""
