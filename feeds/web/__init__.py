"""HTTP. Law: asks `service`, decides nothing about articles or feeds; one Flask blueprint each for feeds and pages.

Reading order: conditional (RFC 9110, pure) -> answers (a document as a response) -> clients, limits, tally and
turnstile (counted, or refused) -> lane (cached documents, before Flask) and renewal (what a rescan leaves of them) -> feeds,
pages -> metrics -> app (all of it together) -> still (its answers as files).
"""
