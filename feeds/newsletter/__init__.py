"""Catalog -> mail: who wants what, what is due, messages, delivery. Law: reads the store through `library.catalog` only.

Reading order: due (pure) -> issues (plan: issue and deliveries in one transaction) -> layout (pure) -> compose, mime, dkim
(one message for one reader) -> deliver (claim, send, mark) -> smtp, maildir -> bounces; beside them subscribers (consent,
preferences, import), limits, mailboxes (addresses), tokens (links that nobody can guess).
"""
