"""HTTP. Law: asks `service`, decides nothing about articles or feeds; one Flask blueprint each for feeds and pages.

Reading order: conditional (RFC 9110, pure) -> answers (a document as a response) -> lane (cached documents, before Flask)
-> feeds, pages -> app (all of it together).
"""
