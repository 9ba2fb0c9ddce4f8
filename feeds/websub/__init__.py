"""Push: a WebSub hub (https://www.w3.org/TR/websub/) for the site's own feeds, and word to a hub outside.

Law: web workers only accept and write (`asking`, `rows`); one process makes all requests to others (`courier`); nothing is
called but through `wire`, which connects to addresses that `callbacks` allows and to no others.

Reading order: callbacks (whom may be called), asking (what a form asks for), rules (what follows from an answer), rows (the
tables), wire (HTTP), turns (who is next), courier (the run), announce (a hub outside).
"""
