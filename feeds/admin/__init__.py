"""The console's use cases. Law: it shows numbers, lines of files and the operator's words; never comments, never secrets.

`console` is what the web asks; beside it, by subject: sessions (who may in), record (what was done), overview, excerpts (lines
of files in quarantine), following (who reads what), people (who subscribes), sheets (feeds.yaml saved and taken back), drafts
(a feed in the making).
"""
