"""Catalog -> mail: who wants what, what is due, messages, delivery. Law: reads the store through `library.catalog` only.

Reading order, by subject:
- people: mailboxes (addresses), tokens (links that nobody can guess), subscribers, signups, limits, transfer (CSV), endings
- issues: due (pure), issues (plan: issue and deliveries in one transaction), layout (pure: what one reader gets)
- messages: words, forms (templates cut into pieces), pieces (encoded beforehand), headers, mime, compose, dkim; letters
- delivery: deliver, desk (one run), rows (the table), stock, rates, owners (who is alive), progress (what an operator sees)
- transports: parcels (the bargain), smtp with session, replies and servers; maildir; outbox (single messages)
- what comes back: mailbox (Maildir, IMAP), reports (pure: what a message says), bounces (what it means)
"""
