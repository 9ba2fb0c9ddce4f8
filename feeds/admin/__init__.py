"""Use cases of the operator's console; `web.console` has the pages for them.

Reading: `reports`. Changing: `actions`, each noted in the audit log, `custom_feeds` (feeds.yaml), `sessions` (sign-in).

Invariant: the console shows numbers, lines of files and the operator's own words; never comments of readers, never secrets.
"""
